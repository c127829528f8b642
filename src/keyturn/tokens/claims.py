"""Read single claims of a token whose signature was proved: exact types only (RFC 7519 section 4.1)."""

from datetime import UTC, datetime
from typing import Any

from keyturn.tokens.errors import Rejection, TokenRejected

_LAST_INSTANT = 253_402_300_799
"""The end of the year 9999, the last that ``datetime`` holds."""


def text(claims: dict[str, Any], name: str) -> str:
    """Read a claim that must be a string with something in it.

    Raises:
        TokenRejected: It is missing or no such string.
    """
    value = _claim(claims, name)
    if type(value) is not str or not value:
        raise TokenRejected(Rejection.CLAIM_INVALID)
    return value


def audiences(claims: dict[str, Any]) -> tuple[str, ...]:
    """Read ``aud``, a string or a list of strings (RFC 7519 section 4.1.3); never by substring (TK-10).

    Raises:
        TokenRejected: It is missing or neither.
    """
    value = _claim(claims, "aud")
    members = (value,) if type(value) is str else tuple(value) if type(value) is list else ()
    if not members or not all(type(member) is str and member for member in members):
        raise TokenRejected(Rejection.CLAIM_INVALID)
    return members


def instant(claims: dict[str, Any], name: str) -> datetime:
    """Read a time as a true integer: ``true`` is not 1, and 1e300 or "9999999999" are no times.

    Raises:
        TokenRejected: It is missing or no such integer.
    """
    value = _claim(claims, name)
    if type(value) is not int or not 0 <= value <= _LAST_INSTANT:
        raise TokenRejected(Rejection.CLAIM_INVALID)
    return datetime.fromtimestamp(value, UTC)


def _claim(claims: dict[str, Any], name: str) -> Any:
    try:
        return claims[name]
    except KeyError:
        raise TokenRejected(Rejection.CLAIM_MISSING) from None
