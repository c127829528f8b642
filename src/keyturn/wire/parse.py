"""Bytes to names and values: content types, forms, JSON objects and HTTP Basic.

Strict where two readers could differ, lenient only where the URL standard is. Every function raises a
``Refusal`` and nothing else, whatever the bytes.
"""

import binascii
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from keyturn.core.errors import InvalidClient, InvalidRequest, InvalidToken, UnsupportedMediaType
from keyturn.core.json_guard import BadJson, decode_json
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import Reason
from keyturn.wire.http import WireRequest
from keyturn.wire.readers import MAX_FIELD_BYTES, READERS
from keyturn.wire.tables import FORM, JSON, TEXT, Bearer

MAX_FIELDS = 100
MEDIA_KEPT = 256
"""Content types whose reading is remembered."""

Pairs = list[tuple[str, Any]]


def media_type(request: WireRequest, accepted: tuple[str, ...], *, optional: bool) -> str:
    """Decide by the declared content type which parser reads the body (TE-03).

    Raises:
        UnsupportedMediaType: None or another is declared, twice, or with a charset that is not UTF-8.
    """
    declared = request.header(b"content-type")
    if not declared and optional:
        return accepted[0]
    if len(declared) == 1:
        media = _media_of(declared[0])
        if media in accepted:
            return media
    raise UnsupportedMediaType(Reason.MEDIA_TYPE, "content type must be " + " or ".join(accepted))


@lru_cache(maxsize=MEDIA_KEPT)
def _media_of(declared: bytes) -> str:
    """Read a content type; one with a charset that is not UTF-8 is none that anybody reads."""
    name, *parameters = declared.decode("latin-1").split(";")
    return name.strip().lower() if all(map(_is_harmless, parameters)) else ""


def _is_harmless(parameter: str) -> bool:
    name, _, value = parameter.strip().lower().partition("=")
    return name != "charset" or value.strip('"') in {"utf-8", "utf8", "us-ascii"}


def form(body: bytes) -> Pairs:
    """Parse ``application/x-www-form-urlencoded``; a ``%`` that starts no escape stands for itself.

    Raises:
        InvalidRequest: Over 100 fields, a field over 8 KiB, or not UTF-8 (HT-01, HT-02).
    """
    if not body:
        return []
    parts = _decoded(body.replace(b"+", b" ")).split("&")
    if len(parts) > MAX_FIELDS:
        raise InvalidRequest(Reason.MALFORMED, "too many fields")
    pairs: Pairs = []
    for part in parts:
        name, _, value = part.partition("=")
        if "%" in part:
            name, value = _unescaped(name), _unescaped(value)
        if (
            len(part) > MAX_FIELD_BYTES // 4
            and max(len(name.encode()), len(value.encode())) > MAX_FIELD_BYTES
        ):
            raise InvalidRequest(Reason.MALFORMED, "a field is too long")
        if part:
            pairs.append((name, value))
    return pairs


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(Reason.MALFORMED, "the body is not UTF-8") from None


def _unescaped(text: str) -> str:
    return _decoded(unquote_to_bytes(text))


def json_object(body: bytes) -> Pairs:
    """Parse a JSON object into its members.

    Raises:
        InvalidRequest: Not one well-formed object, or over the limits (HT-01, HT-02).
    """
    try:
        value = decode_json(body)
    except BadJson:
        raise InvalidRequest(Reason.MALFORMED, "the body is not a well-formed JSON object") from None
    if not isinstance(value, dict) or len(value) > MAX_FIELDS:
        raise InvalidRequest(Reason.MALFORMED, "the body is not a well-formed JSON object")
    return list(value.items())


def basic(request: WireRequest, *, other_schemes_refused: bool) -> tuple[str, str] | None:
    """Read HTTP Basic client authentication, both parts form-decoded (RFC 6749 section 2.3.1).

    Returns:
        The client id and secret as claimed; None when no Basic header was sent.

    Raises:
        InvalidRequest: Two ``Authorization`` headers.
        InvalidClient: The header cannot be read, or has another scheme where that is refused.
    """
    headers = request.header(b"authorization")
    if not headers:
        return None
    if len(headers) > 1:
        raise InvalidRequest(Reason.TWO_AUTHENTICATIONS, "more than one Authorization header")
    scheme, _, encoded = headers[0].strip().partition(b" ")
    if scheme.lower() != b"basic":
        if other_schemes_refused:
            raise InvalidClient(Reason.MALFORMED)
        return None
    try:
        owner, colon, secret = binascii.a2b_base64(encoded.strip(), strict_mode=True).partition(b":")
        pair = _form_text(owner), _form_text(secret)
    except (binascii.Error, InvalidRequest):
        raise InvalidClient(Reason.MALFORMED) from None
    if not colon:
        raise InvalidClient(Reason.MALFORMED)
    return pair


def _form_text(raw: bytes) -> str:
    text = _decoded(raw.replace(b"+", b" "))
    return _unescaped(text) if "%" in text else text


def bearer(request: WireRequest, table: Bearer) -> Secret | None:
    """Read the access token of a call, from every place where the contract has it (RFC 6750 section 2.1).

    Returns:
        The token as claimed; None when none was sent: another scheme brings none.

    Raises:
        InvalidRequest: Two different ones, or two ``Authorization`` headers (RFC 6750 section 3.1).
        InvalidToken: What stands in its place can be no token.
    """
    headers = request.header(b"authorization")
    if len(headers) > 1:
        raise InvalidRequest(Reason.TWO_AUTHENTICATIONS, "more than one Authorization header")
    found = {_bearer_of(value, bare=table.bare) for value in headers}
    found |= {value.strip() for name in table.headers for value in request.header(name.encode())}
    found.discard(b"")
    if not found:
        return None
    if len(found) > 1:
        raise InvalidRequest(Reason.TWO_AUTHENTICATIONS, "more than one access token")
    try:
        token: Secret = READERS["secret"](found.pop().decode("ascii"))
    except ValueError:
        raise InvalidToken(Reason.MALFORMED) from None
    return token


def _bearer_of(value: bytes, *, bare: bool) -> bytes:
    scheme, _, token = value.strip().partition(b" ")
    if scheme.lower() == b"bearer":
        return token.strip()
    return scheme if bare and not token else b""


PARSERS: dict[str, Callable[[bytes], Pairs]] = {FORM: form, JSON: json_object, TEXT: form}
"""Media type -> what parses a body of it."""
