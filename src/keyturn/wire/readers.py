"""Named readers of single values: what a field's text or JSON member must be, and what it becomes.

A reader gets one value from outside and returns what the core works with, or raises ``ValueError`` whose
message the caller may see: it names what was expected and never repeats what came.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from keyturn.core.canonical import canonical_email, canonical_user_name
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import ASSERTION_TYPE

MAX_FIELD_BYTES = 8 * 1024
MAX_SCOPE_BYTES = 4 * 1024
MAX_SCOPES = 100
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
"""RFC 6749 section 3.3, ``scope-token``."""
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
"""UUIDs compare without case (RFC 9562 section 4)."""
_DATE_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
"""RFC 3339 section 5.6, ``date-time``, with at most nanoseconds."""
MAX_LIST = 100
MAX_INTEGER = 2**53 - 1
"""What every JSON reader holds exactly (RFC 8259 section 6)."""
_DIGITS = re.compile(r"-?[0-9]{1,16}", re.ASCII)
_FORBIDDEN = re.compile(r"[\x00\r\n\ud800-\udfff]")
"""HT-02: NUL and line breaks reach neither store nor header; lone surrogates cannot be encoded."""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        message = "must be a string"
        raise ValueError(message)  # noqa: TRY004 - a caller's mistake, told to the caller
    if len(value) > MAX_FIELD_BYTES // 4 and len(value.encode("utf-8", "surrogatepass")) > MAX_FIELD_BYTES:
        message = "is too long"
        raise ValueError(message)
    # Plain text is most of it, and is searched for three characters much faster than by a pattern.
    plain = value.isascii() and not ("\0" in value or "\r" in value or "\n" in value)
    if not plain and _FORBIDDEN.search(value):
        message = "holds a character that is not allowed"
        raise ValueError(message)
    return value


def _lines(value: Any) -> str:
    """Read a text of several lines, such as PEM."""
    lines = value.replace("\r\n", "\n").split("\n") if isinstance(value, str) else [value]
    return "\n".join(map(_text, lines))


def _secret(value: Any) -> Secret:
    return Secret(_text(value))


def _uuid_or_text(value: Any) -> str:
    text = _text(value)
    return text.lower() if _UUID.fullmatch(text) else text


def _scopes(words: list[str]) -> tuple[str, ...]:
    if len(words) > MAX_SCOPES or sum(map(len, words)) > MAX_SCOPE_BYTES:
        message = "is too long"
        raise ValueError(message)
    if not all(_SCOPE.fullmatch(word) for word in words):
        message = "holds a malformed scope"
        raise ValueError(message)
    return tuple(dict.fromkeys(words))


def _scope_words(value: Any) -> tuple[str, ...] | None:
    return _scopes([word for word in _text(value).split(" ") if word]) or None


def _scope_list(value: Any) -> tuple[str, ...] | None:
    if not isinstance(value, list):
        message = "must be an array of strings"
        raise ValueError(message)  # noqa: TRY004 - a caller's mistake, told to the caller
    return _scopes([_text(item) for item in value]) or None


def _absolute_uri(value: Any) -> str:
    text = _text(value)
    scheme, colon, rest = text.partition(":")
    if not colon or not rest or not scheme.isascii() or not scheme[:1].isalpha() or "#" in text:
        message = "must be an absolute URI without a fragment"
        raise ValueError(message)
    return text


def _jwt_bearer(value: Any) -> str:
    text = _text(value)
    if text != ASSERTION_TYPE:
        message = f"must be {ASSERTION_TYPE}"
        raise ValueError(message)
    return text


def _words(value: Any) -> tuple[str, ...]:
    return tuple(word for word in _text(value).split(" ") if word)


def _text_list(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        message = "must be an array of strings"
        raise ValueError(message)  # noqa: TRY004 - a caller's mistake, told to the caller
    if len(value) > MAX_LIST:
        message = "is too long"
        raise ValueError(message)
    return tuple(map(_text, value))


def _integer(value: Any) -> int:
    if type(value) is not int or abs(value) > MAX_INTEGER:
        message = "must be a whole number"
        raise ValueError(message)
    return value


def _integer_text(value: Any) -> int:
    return _integer(int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else None)


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        message = "must be true or false"
        raise ValueError(message)
    return value


def _boolean_text(value: Any) -> bool:
    return _boolean({"true": True, "false": False}.get(value) if isinstance(value, str) else None)


def _date_time(value: Any) -> datetime:
    text = _text(value)
    try:
        if _DATE_TIME.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass  # the 31st of February, or an offset that leaves the calendar
    message = "must be a date and time with a zone (RFC 3339)"
    raise ValueError(message)


_ETAG = re.compile(r'"([0-9]{1,18})"', re.ASCII)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def _etag(value: Any) -> int:
    """Read the one version that a change is for: not ``*`` and not several (RFC 9110 section 8.8.3)."""
    found = _ETAG.fullmatch(_text(value))
    if found is None:
        message = "must be one entity tag, as ETag gave it"
        raise ValueError(message)
    return int(found[1])


def _idempotency_key(value: Any) -> str:
    text = _text(value)
    if not _KEY.fullmatch(text):
        message = "must be 1 to 255 visible ASCII characters"
        raise ValueError(message)
    return text


def _json_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        message = "must be an object"
        raise ValueError(message)  # noqa: TRY004 - a caller's mistake, told to the caller
    return value


def _scalar(value: Any) -> str | int | bool:
    if isinstance(value, str):
        return _text(value)
    if type(value) is bool:
        return value
    return _integer(value)


def _email(value: Any) -> str:
    try:
        return canonical_email(_text(value))
    except ValueError:
        message = "must be an e-mail address"
        raise ValueError(message) from None


def _user_name(value: Any) -> str:
    try:
        return canonical_user_name(_text(value))
    except ValueError:
        message = "must be a user name"
        raise ValueError(message) from None


READERS: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "lines": _lines,
    "secret": _secret,
    "uuid_or_text": _uuid_or_text,
    "scope_words": _scope_words,
    "scope_list": _scope_list,
    "absolute_uri": _absolute_uri,
    "jwt_bearer": _jwt_bearer,
    "prefixed_word": _words,
    "text_list": _text_list,
    "integer": _integer,
    "boolean": _boolean,
    "date_time": _date_time,
    "email": _email,
    "user_name": _user_name,
    "etag": _etag,
    "idempotency_key": _idempotency_key,
    "json_object": _json_object,
    "scalar": _scalar,
}
"""Name of a reader -> what it does; a table names one, it never holds one."""

TEXT_READERS: dict[str, Callable[[Any], Any]] = {"integer": _integer_text, "boolean": _boolean_text}
"""Those that read other than in JSON where all there is is text: forms, queries, headers and paths."""

LIST_READERS = frozenset({"scope_list", "text_list"})
"""Those that read a JSON array."""
WORD_READERS = frozenset({"scope_words"})
"""Those that read several words out of one text."""

_TEXT: dict[str, Any] = {"type": "string", "maxLength": MAX_FIELD_BYTES}
READER_SCHEMAS: dict[str, dict[str, Any]] = {
    "text": _TEXT,
    "lines": _TEXT,
    "secret": {**_TEXT, "format": "password"},
    "uuid_or_text": _TEXT,
    "scope_words": {**_TEXT, "pattern": r"^[ !#-\[\]-~]*$"},
    "scope_list": {
        "type": "array",
        "items": {"type": "string", "pattern": r"^[!#-\[\]-~]+$"},
        "maxItems": MAX_SCOPES,
    },
    "absolute_uri": {**_TEXT, "format": "uri"},
    "jwt_bearer": {"type": "string", "const": ASSERTION_TYPE},
    "prefixed_word": _TEXT,
    "text_list": {"type": "array", "items": _TEXT, "maxItems": MAX_LIST},
    "integer": {"type": "integer", "minimum": -MAX_INTEGER, "maximum": MAX_INTEGER},
    "boolean": {"type": "boolean"},
    "date_time": {"type": "string", "format": "date-time"},
    "email": {"type": "string", "format": "email"},
    "user_name": _TEXT,
    "etag": {"type": "string", "pattern": '^"[0-9]{1,18}"$'},
    "idempotency_key": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    "json_object": {"type": "object"},
    "scalar": {"type": ["string", "integer", "boolean"]},
}
"""Name of a reader -> what it reads, as JSON Schema. Every one is here."""
