"""``keyturn user-key``: keys by which users' programs come in. One is printed once (AD-04)."""

from datetime import timedelta
from typing import Annotated

import typer

from keyturn.cli.command import noun, verb
from keyturn.cli.output import Answer, Row
from keyturn.cli.secret import COLUMNS, Expires, ExpiresAt, chosen_end, duration, shown
from keyturn.cli.user import Named
from keyturn.cli.verbs import Verbs
from keyturn.directory.secret_status import SecretStatus

app = noun(
    "User keys: by which users' programs come in.",
    "keyturn user-key create acme/jon --name ci",
    "keyturn user-key rotate KEY_ID --overlap 24h",
)

Id = Annotated[
    str, typer.Argument(metavar="KEY_ID", help="The key's id, as `keyturn user-key list` shows it.")
]
Dialects = Annotated[
    list[str], typer.Option("--dialect", help="A wire format it works in; repeatable; all that take one.")
]


def _shown(status: SecretStatus) -> Row:
    return shown(status, "user_id")


@verb(app)
async def create(
    verbs: Verbs,
    user: Named,
    name: Annotated[str, typer.Option(help="What people call it.")] = "key",
    dialect: Dialects = [],  # noqa: B006  # typer copies
    expires_at: ExpiresAt = None,
    expires: Expires = None,
) -> Answer:
    """Make a key and print it, this once."""
    end_ = chosen_end(expires_at, expires)
    status, secret = await verbs.create_user_key(user, name, dialect, end_)
    return {**_shown(status), "secret": secret.reveal()}


@verb(app, columns=COLUMNS.replace("client_id", "user_id"))
async def list(verbs: Verbs, user: Named) -> Answer:  # noqa: A001  # the command's name
    """List a user's keys with their last use, oldest first."""
    return [_shown(each) for each in await verbs.user_keys(user)]


@verb(app)
async def rotate(
    verbs: Verbs,
    key_id: Id,
    overlap: Annotated[
        timedelta,
        typer.Option(parser=duration, metavar="DURATION", help="How long the old one stays good, as 24h."),
    ],
    expires_at: ExpiresAt = None,
    expires: Expires = None,
) -> Answer:
    """Make the successor of a key and print it, this once; the old one stays good for a while."""
    end_ = chosen_end(expires_at, expires)
    status, secret = await verbs.rotate_user_key(key_id, overlap, end_)
    return {**_shown(status), "secret": secret.reveal()}


@verb(app)
async def revoke(
    verbs: Verbs,
    key_id: Id,
    why: Annotated[str, typer.Option(help="For the record.")] = "revoked by an operator",
) -> Answer:
    """End a key for good; the tokens made from it are dead at once."""
    return _shown(await verbs.end_secret(key_id, why))


@verb(app)
async def disable(verbs: Verbs, key_id: Id) -> Answer:
    """Refuse a key until it is enabled; the tokens made from it are dead at once."""
    return _shown(await verbs.disable_secret(key_id))


@verb(app)
async def enable(verbs: Verbs, key_id: Id) -> Answer:
    """Accept a key again."""
    return _shown(await verbs.enable_secret(key_id))
