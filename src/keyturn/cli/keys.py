"""``keyturn keys``: signing keys."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import typer

from keyturn.cli.command import noun, verb
from keyturn.cli.output import Answer, Row, instant
from keyturn.cli.verbs import KeySight, Ring, Turned, Verbs
from keyturn.core.errors import OperatorError
from keyturn.core.vocabulary import Algorithm

app = noun(
    "Signing keys.",
    "keyturn keys list --org acme",
    "keyturn keys rotate --org acme --algorithm ES256",
)

Org = Annotated[
    str | None, typer.Option("--org", metavar="SLUG", help="One organisation's; all if not given.")
]

Issuer = Annotated[
    str | None,
    typer.Option(
        "--issuer", metavar="NAME", help="One that all organisations share, as `keys list` names it."
    ),
]


@verb(app, columns="issuer key_id algorithm state published_at active_at retires_at")
async def list(verbs: Verbs, org: Org = None, issuer: Issuer = None) -> Answer:  # noqa: A001  # the command's name
    """List the keys of each issuer; an issuer has none before its first token."""
    return [row for ring in await verbs.rings(org, issuer) for row in _rows(ring)]


def _age(key: KeySight) -> tuple[datetime, bool, str]:
    """Put the oldest first, and of two that were published in one moment the one that signs."""
    return key.published_at, key.active_at is None, key.id


def _rows(ring: Ring) -> Iterator[Row]:
    for key in sorted(ring.keys, key=_age):
        yield {
            "issuer": ring.issuer,
            "key_id": key.id,
            "algorithm": key.algorithm.value,
            "state": key.state,
            "published_at": instant(key.published_at),
            "active_at": instant(key.active_at),
            "retires_at": instant(key.retires_at),
        }


@verb(app, columns="issuer algorithm rotated key_id active_at old_key_retires_at", signs=True)
async def rotate(
    verbs: Verbs,
    org: Org = None,
    issuer: Issuer = None,
    algorithm: Annotated[
        Algorithm | None, typer.Option(help="One algorithm's ring; all in use if not given.")
    ] = None,
) -> Answer:
    """Rotate: the next key takes over as soon as every cached key set holds it (TK-14)."""
    return [_turned(each) for each in await verbs.rotate(org, issuer, algorithm)]


@verb(app, dashed=True, signs=True)
async def withdraw(
    verbs: Verbs,
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="As `keyturn keys list` shows it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it: it cannot be undone.")] = False,  # a flag
) -> Answer:
    """Withdraw a key that leaked: it leaves the key set at once and never signs again. Needs --yes.

    Every token that it signed is refused: here at once, elsewhere as soon as the key set is fetched again.
    Clients, secrets and refresh tokens stay. If it was the current key and the next one was published a
    moment ago, nothing is issued until every cached key set holds that.
    """
    if not yes:
        raise OperatorError(
            f"every token signed by {key_id} would be refused, here at once and by others when they fetch the"
            " key set again; refresh tokens and secrets stay. It cannot be undone: say --yes"
        )
    gone = await verbs.withdraw_key(key_id)
    return {
        "issuer": gone.issuer,
        "key_id": key_id,
        "algorithm": gone.algorithm.value,
        "was": gone.was,
        "withdrawn": True,
        "nothing_signs_until": instant(gone.signs_from),
    }


def _turned(turned: Turned) -> Row:
    return {
        "issuer": turned.issuer,
        "algorithm": turned.algorithm.value,
        "rotated": turned.rotated,
        "key_id": turned.key_id,
        "active_at": instant(turned.active_at),
        "old_key_retires_at": instant(turned.retires_at),
    }
