"""``keyturn key``: public keys of clients that sign assertions instead of sending a secret (RFC 7523)."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from keyturn.cli.command import noun, verb
from keyturn.cli.output import Answer, Row
from keyturn.cli.secret import COLUMNS, ClientIdArgument, moment
from keyturn.cli.secret import shown as shown_secret
from keyturn.cli.verbs import Verbs
from keyturn.core.errors import OperatorError
from keyturn.directory.secret_status import SecretStatus

app = noun(
    "Public keys of clients.",
    "keyturn key add CLIENT_ID --jwk public.pem",
    "keyturn key list CLIENT_ID",
)

MAX_KEY_BYTES = 64 * 1024

Id = Annotated[str, typer.Argument(metavar="KEY_ID", help="The key's id, as `keyturn key list` shows it.")]


def shown(status: SecretStatus) -> Row:
    """Give what is shown of a key: its life, and what its owner's assertions say in their header."""
    jwk = status.credential.public_jwk or {}
    return shown_secret(status) | {"kid": jwk.get("kid"), "algorithm": jwk.get("alg")}


def _read(source: str) -> bytes:
    try:
        with sys.stdin.buffer if source == "-" else Path(source).open("rb") as file:
            return file.read(MAX_KEY_BYTES)
    except OSError as error:
        raise OperatorError(f"{source}: {error.strerror}") from None


@verb(app)
async def add(
    verbs: Verbs,
    client_id: ClientIdArgument,
    jwk: Annotated[
        str, typer.Option(metavar="FILE|-", help="The public key, a JWK or PEM; - for standard input.")
    ],
    name: Annotated[str, typer.Option(help="What people call it.")] = "key",
    expires_at: Annotated[
        datetime | None, typer.Option(parser=moment, metavar="INSTANT", help="Refuse it from then on.")
    ] = None,
) -> Answer:
    """Register a public key; the client signs assertions with the private one (private_key_jwt)."""
    return shown(await verbs.add_key(client_id, _read(jwk), name, expires_at))


@verb(app, columns=f"{COLUMNS} kid algorithm")
async def list(verbs: Verbs, client_id: ClientIdArgument) -> Answer:  # noqa: A001  # the command's name
    """List a client's public keys, oldest first."""
    return [shown(each) for each in await verbs.keys(client_id)]


@verb(app)
async def end(
    verbs: Verbs,
    key_id: Id,
    why: Annotated[str, typer.Option(help="For the record.")] = "ended by an operator",
) -> Answer:
    """End a key for good; the tokens made from it are dead at once."""
    return shown(await verbs.end_secret(key_id, why))


@verb(app)
async def disable(verbs: Verbs, key_id: Id) -> Answer:
    """Refuse a key until it is enabled; the tokens made from it are dead at once."""
    return shown(await verbs.disable_secret(key_id))


@verb(app)
async def enable(verbs: Verbs, key_id: Id) -> Answer:
    """Accept a key again."""
    return shown(await verbs.enable_secret(key_id))
