"""``keyturn token``: what a token or secret is; read from a prompt or standard input, never an argument."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from keyturn.cli.command import Config, Data, Form, noun, settings_of
from keyturn.cli.output import Format, Row, instant, show
from keyturn.core.durations import in_words
from keyturn.core.errors import ConfigError, Fault, OperatorError, Unavailable
from keyturn.core.secret import Secret, scanner_patterns
from keyturn.exchange.inspect import Knowledge
from keyturn.tokens.inspection import Look, Sight, look_at

app = noun(
    "Tokens and secrets.",
    "keyturn token inspect < token.txt",
    "keyturn token patterns --format json",
)

_TIMES = {"iat": "issued", "nbf": "valid", "exp": "expires"}
_MOST = 64 * 1024
_LAST_INSTANT = 253_402_300_799


@app.command("inspect")
def inspect_token(data: Data = None, config: Config = None, form: Form = Format.TABLE) -> None:
    """Say what a token or secret is, from a prompt or standard input; with a data folder, if it is good."""
    presented = _read()
    sight = look_at(presented)
    row = _seen(sight, datetime.now(UTC))
    row |= _asked(presented, sight, data, config)
    show(row if form is Format.JSON else _flat(row), form)


@app.command()
def patterns(form: Form = Format.TABLE) -> None:
    """Print the regular expressions by which a scanner finds secrets of ours; each ends in a checksum."""
    show([{"kind": kind, "pattern": pattern} for kind, pattern in scanner_patterns().items()], form)


def _read() -> Secret:
    if sys.stdin.isatty():
        return Secret(typer.prompt("Token or secret", hide_input=True, err=True).strip())
    text = sys.stdin.read(_MOST).strip()
    if not text:
        raise OperatorError("token or secret: nothing came by standard input")
    return Secret(text)


def _seen(sight: Sight, now: datetime) -> Row:
    """Show what can be told offline: never the secret, never a signature."""
    row: Row = {"looks_like": (sight.kind or sight.look).replace("_", " "), "verified": False}
    if sight.look is Look.DAMAGED:
        row["note"] = "mistyped, cut or made up: the checksum does not fit"
    if sight.refresh is not None:
        row |= {"family_id": sight.refresh.family_id, "generation": sight.refresh.generation}
    if sight.claims is not None:
        row |= {"header": sight.header, "claims": sight.claims, "times": _times(sight.claims, now)}
    return row


def _times(claims: dict[str, Any], now: datetime) -> dict[str, str]:
    return {
        word: _time(word, claims[name], now)
        for name, word in _TIMES.items()
        if type(claims.get(name)) is int and 0 <= claims[name] <= _LAST_INSTANT
    }


def _time(word: str, seconds: int, now: datetime) -> str:
    at = datetime.fromtimestamp(seconds, UTC)
    when = in_words(now - at)
    if word == "expires":
        told = f"in {when}" if at > now else f"expired since {when}"
    else:
        told = f"in {when}" if at > now else f"{when} ago"
    return f"{instant(at)} ({told})"


def _asked(presented: Secret, sight: Sight, data: Path | None, config: Path | None) -> Row:
    """Ask the store, where there is one; what is seen offline is told in any case."""
    if sight.look in {Look.UNKNOWN, Look.JWT, Look.DAMAGED, Look.MASTER_KEY}:
        return {"store": "not asked: nothing of ours that it could know"}
    try:
        known = asyncio.run(_ask(presented, sight, data, config))
    except ConfigError as error:
        return {"store": f"not asked: {error.problems[0]}"}
    except Unavailable as error:
        return {"store": f"not asked: {error.reason.replace('_', ' ')}"}
    except Fault as error:
        return {"store": f"not asked: {error}"}
    return {} if known is None else _known(known)


async def _ask(presented: Secret, sight: Sight, data: Path | None, config: Path | None) -> Knowledge | None:
    from keyturn.cli.local import open_verbs

    async with open_verbs(settings_of(data, config)) as verbs:
        return await verbs.inspect(presented, sight)


def _known(known: Knowledge) -> Row:
    return {
        "store": "asked",
        "verified": known.genuine,
        "standing": known.standing,
        "introspection": {"active": known.active},
        "why_not": known.why,
        "organisation": known.organisation,
        "client_id": known.client_id,
        "credential_id": known.credential_id,
        "family_id": known.family_id,
    }


def _flat(row: Row) -> Row:
    """Spread what is nested over rows of their own, and say plainly what was not verified."""
    flat: Row = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{inner}": told for inner, told in value.items()}
        else:
            flat[name] = value
    flat["verified"] = "yes" if row["verified"] else "NOT VERIFIED"
    return flat
