"""``keyturn secret``: client secrets. One is printed once, when it is made (AD-04)."""

from datetime import datetime, timedelta
from typing import Annotated

import typer

from keyturn.cli.command import noun, verb
from keyturn.cli.output import Answer, Row, instant
from keyturn.cli.people_verbs import End
from keyturn.cli.verbs import Verbs
from keyturn.core.durations import parse_duration
from keyturn.directory.secret_status import SecretStatus

app = noun(
    "Client secrets.",
    "keyturn secret create CLIENT_ID --expires 180d",
    "keyturn secret rotate CLIENT_ID --overlap 24h",
    "keyturn secret finish SECRET_ID",
)

ClientIdArgument = Annotated[str, typer.Argument(metavar="CLIENT_ID", help="The client's id.")]
Id = Annotated[
    str, typer.Argument(metavar="SECRET_ID", help="The secret's id, as `keyturn secret list` shows it.")
]


COLUMNS = (
    "id client_id name standing state disabled created_at expires_at overlap_until last_used_on succeeds"
    " ended_at ended_why"
)
"""What ``shown`` gives."""


def shown(status: SecretStatus, owner: str = "client_id") -> Row:
    """Give what is shown of a secret, and under ``owner`` whose it is: never the secret."""
    credential, life = status.credential, status.credential.life
    return {
        "id": credential.id,
        owner: credential.owner_id,
        "name": credential.name,
        "standing": status.standing.value,
        "state": life.state.value,
        "disabled": life.disabled,
        "created_at": instant(life.created_at),
        "expires_at": instant(status.expires_at),
        "overlap_until": instant(life.overlap_until),
        "last_used_on": credential.last_used_on.isoformat() if credential.last_used_on else None,
        "succeeds": credential.succeeds,
        "ended_at": instant(life.ended_at),
        "ended_why": life.ended_why,
    }


def moment(text: str) -> datetime:
    """Read an instant from the command line; it says its zone."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("an instant such as 2030-01-31T12:00:00Z") from None
    if read.tzinfo is None:
        raise typer.BadParameter("say the zone too, as in 2030-01-31T12:00:00Z")
    return read


def duration(text: str) -> timedelta:
    """Read a duration from the command line, such as 180d."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


ExpiresAt = Annotated[
    datetime | None, typer.Option(parser=moment, metavar="INSTANT", help="Refuse it from then on.")
]
Expires = Annotated[
    timedelta | None,
    typer.Option("--expires", parser=duration, metavar="DURATION", help="Refuse it after that, as 180d."),
]


def chosen_end(expires_at: datetime | None, expires: timedelta | None) -> End:
    """Take whichever of the two was given."""
    if expires_at is not None and expires is not None:
        raise typer.BadParameter("give --expires or --expires-at, not both")
    return expires_at or expires


@verb(app)
async def create(
    verbs: Verbs,
    client_id: ClientIdArgument,
    name: Annotated[str, typer.Option(help="What people call it.")] = "secret",
    expires_at: ExpiresAt = None,
    expires: Expires = None,
) -> Answer:
    """Make a secret and print it, this once."""
    status, secret = await verbs.create_secret(client_id, name, chosen_end(expires_at, expires))
    return {**shown(status), "secret": secret.reveal()}


@verb(app)
async def rotate(
    verbs: Verbs,
    client_id: ClientIdArgument,
    overlap: Annotated[
        timedelta,
        typer.Option(parser=duration, metavar="DURATION", help="How long the old one stays good, as 24h."),
    ],
    name: Annotated[str | None, typer.Option(help="What people call it; as the old one.")] = None,
    expires_at: ExpiresAt = None,
    expires: Expires = None,
) -> Answer:
    """Make the successor of a client's secret and print it, this once; the old one stays good for a while."""
    status, secret = await verbs.rotate_secret(client_id, overlap, name, chosen_end(expires_at, expires))
    return {**shown(status), "secret": secret.reveal()}


@verb(app)
async def finish(verbs: Verbs, secret_id: Id) -> Answer:
    """End the old secret of a rotation now; the tokens made from it are dead at once."""
    return shown(await verbs.finish_rotation(secret_id))


@verb(app)
async def cancel(verbs: Verbs, secret_id: Id) -> Answer:
    """Go back to the old secret of a rotation; its successor has ended, with its tokens."""
    return shown(await verbs.cancel_rotation(secret_id))


@verb(app, columns=COLUMNS)
async def list(verbs: Verbs, client_id: ClientIdArgument) -> Answer:  # noqa: A001  # the command's name
    """List a client's secrets, oldest first."""
    return [shown(each) for each in await verbs.secrets(client_id)]


@verb(app)
async def end(
    verbs: Verbs,
    secret_id: Id,
    why: Annotated[str, typer.Option(help="For the record.")] = "ended by an operator",
) -> Answer:
    """End a secret for good; the tokens made from it are dead at once."""
    return shown(await verbs.end_secret(secret_id, why))


@verb(app)
async def disable(verbs: Verbs, secret_id: Id) -> Answer:
    """Refuse a secret until it is enabled; the tokens made from it are dead at once."""
    return shown(await verbs.disable_secret(secret_id))


@verb(app)
async def enable(verbs: Verbs, secret_id: Id) -> Answer:
    """Accept a disabled or dormant secret again."""
    return shown(await verbs.enable_secret(secret_id))
