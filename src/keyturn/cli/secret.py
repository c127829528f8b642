"""``keyturn secret``: client secrets. One is printed once, when it is made (AD-04)."""

from datetime import datetime
from typing import Annotated

import typer

from keyturn.cli.command import noun, verb
from keyturn.cli.output import Answer, Row, instant
from keyturn.cli.verbs import Verbs
from keyturn.core.records import Credential

app = noun("Client secrets.")

ClientIdArgument = Annotated[str, typer.Argument(metavar="CLIENT_ID", help="The client's id.")]
Id = Annotated[
    str, typer.Argument(metavar="SECRET_ID", help="The secret's id, as `keyturn secret list` shows it.")
]


def shown(credential: Credential) -> Row:
    """Give what is shown of a secret: never the secret."""
    life = credential.life
    return {
        "id": credential.id,
        "client_id": credential.owner_id,
        "name": credential.name,
        "state": life.state.value,
        "disabled": life.disabled,
        "created_at": instant(life.created_at),
        "expires_at": instant(life.expires_at),
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


@verb(app)
async def create(
    verbs: Verbs,
    client_id: ClientIdArgument,
    name: Annotated[str, typer.Option(help="What people call it.")] = "secret",
    expires_at: Annotated[
        datetime | None, typer.Option(parser=moment, metavar="INSTANT", help="Refuse it from then on.")
    ] = None,
) -> Answer:
    """Make a secret and print it, this once."""
    credential, secret = await verbs.create_secret(client_id, name, expires_at)
    return {**shown(credential), "secret": secret.reveal()}


@verb(app)
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
    """Accept a secret again."""
    return shown(await verbs.enable_secret(secret_id))
