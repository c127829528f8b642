"""Bytes to names and values: content types, forms, JSON objects and HTTP Basic.

Strict where two readers could differ, lenient only where the URL standard is. Every function raises a
``Refusal`` and nothing else, whatever the bytes.
"""

import base64
import binascii
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

from keyturn.core.errors import InvalidClient, InvalidRequest, UnsupportedMediaType
from keyturn.core.json_guard import BadJson, decode_json
from keyturn.core.vocabulary import Reason
from keyturn.wire.http import WireRequest
from keyturn.wire.readers import MAX_FIELD_BYTES
from keyturn.wire.tables import FORM, JSON

MAX_FIELDS = 100

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
        name, *parameters = declared[0].decode("latin-1").split(";")
        if name.strip().lower() in accepted and all(map(_is_harmless, parameters)):
            return name.strip().lower()
    raise UnsupportedMediaType(Reason.MEDIA_TYPE, "content type must be " + " or ".join(accepted))


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
    parts = body.split(b"&")
    if len(parts) > MAX_FIELDS:
        raise InvalidRequest(Reason.MALFORMED, "too many fields")
    return [_pair(part) for part in parts if part]


def _pair(part: bytes) -> tuple[str, str]:
    name, _, value = part.partition(b"=")
    pair = _decoded(name), _decoded(value)
    if len(part) > MAX_FIELD_BYTES and max(len(text.encode()) for text in pair) > MAX_FIELD_BYTES:
        raise InvalidRequest(Reason.MALFORMED, "a field is too long")
    return pair


def _decoded(raw: bytes) -> str:
    if b"+" in raw:
        raw = raw.replace(b"+", b" ")
    if b"%" in raw:
        raw = unquote_to_bytes(raw)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(Reason.MALFORMED, "the body is not UTF-8") from None


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
        owner, colon, secret = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        pair = _decoded(owner), _decoded(secret)
    except (binascii.Error, InvalidRequest):
        raise InvalidClient(Reason.MALFORMED) from None
    if not colon:
        raise InvalidClient(Reason.MALFORMED)
    return pair


PARSERS: dict[str, Callable[[bytes], Pairs]] = {FORM: form, JSON: json_object}
"""Media type -> what parses a body of it."""
