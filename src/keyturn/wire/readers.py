"""Named readers of single values: what a field's text or JSON member must be, and what it becomes.

A reader gets one value from outside and returns what the core works with, or raises ``ValueError`` whose
message the caller may see: it names what was expected and never repeats what came.
"""

import re
from collections.abc import Callable
from typing import Any

from keyturn.core.secret import Secret
from keyturn.core.vocabulary import ASSERTION_TYPE

MAX_FIELD_BYTES = 8 * 1024
MAX_SCOPE_BYTES = 4 * 1024
MAX_SCOPES = 100
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
"""RFC 6749 section 3.3, ``scope-token``."""
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
"""UUIDs compare without case (RFC 9562 section 4)."""
_FORBIDDEN = re.compile(r"[\x00\r\n\ud800-\udfff]")
"""HT-02: NUL and line breaks reach neither store nor header; lone surrogates cannot be encoded."""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        message = "must be a string"
        raise ValueError(message)  # noqa: TRY004 - a caller's mistake, told to the caller
    if len(value) > MAX_FIELD_BYTES // 4 and len(value.encode("utf-8", "surrogatepass")) > MAX_FIELD_BYTES:
        message = "is too long"
        raise ValueError(message)
    if _FORBIDDEN.search(value):
        message = "holds a character that is not allowed"
        raise ValueError(message)
    return value


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


READERS: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "secret": _secret,
    "uuid_or_text": _uuid_or_text,
    "scope_words": _scope_words,
    "scope_list": _scope_list,
    "absolute_uri": _absolute_uri,
    "jwt_bearer": _jwt_bearer,
}
"""Name of a reader -> what it does; a table names one, it never holds one."""

LIST_READERS = frozenset({"scope_list"})
"""Those that read a JSON array."""
