"""Take a compact JWS apart, strictly: what every verifier here does before it knows whose token it is.

One spelling of each part, objects only, nothing larger than the limit (RFC 7515 section 5.2; TK-04 to TK-06).
"""

from collections.abc import Mapping
from typing import Any

from keyturn.core.json_guard import BadJson, decode_json
from keyturn.tokens import base64url
from keyturn.tokens.errors import Rejection, TokenRejected

MAX_TOKEN_BYTES = 16 * 1024

_PARTS = 3
_HEADER_MEMBERS = frozenset({"alg", "kid", "typ", "x5t", "x5t#S256"})


def split(token: str | bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Give the signing input and the three parts; size comes before any work (TK-05).

    Raises:
        TokenRejected: It is too large, or not three parts with something in each.
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenRejected(Rejection.TOO_LARGE)
    if isinstance(token, str):
        try:
            token = token.encode("ascii")
        except UnicodeEncodeError:
            raise TokenRejected(Rejection.ENCODING) from None
    parts = token.split(b".")
    if len(parts) != _PARTS:  # five are a JWE, none is the JSON serialisation (TK-04)
        raise TokenRejected(Rejection.PARTS)
    header, claims, signature = parts
    if (
        not header or not claims or not signature
    ):  # an empty signature is an unsecured JWS (RFC 7515 appendix A.5)
        raise TokenRejected(Rejection.EMPTY_PART)
    return token[: token.rindex(b".")], header, claims, signature


def decode_part(part: bytes) -> bytes:
    """Decode one part.

    Raises:
        TokenRejected: It is not in its one canonical spelling (Rejection.ENCODING).
    """
    try:
        return base64url.decode(part)
    except ValueError:
        raise TokenRejected(Rejection.ENCODING) from None


def decode_object(part: bytes, flaw: Rejection) -> dict[str, Any]:
    """Decode a part that must be a JSON object.

    Raises:
        TokenRejected: It is none (``flaw``).
    """
    try:
        value = decode_json(decode_part(part))
    except BadJson:
        raise TokenRejected(flaw) from None
    if type(value) is not dict:
        raise TokenRejected(flaw)
    return value


def decode_header(part: bytes) -> dict[str, Any]:
    """Decode a header, whose meaning nobody has checked yet.

    Raises:
        TokenRejected: It is no object (Rejection.HEADER_JSON).
    """
    return decode_object(part, Rejection.HEADER_JSON)


def require_plain_header(header: Mapping[str, Any]) -> None:
    """Refuse a header with any member that could change how the token is read.

    That settles ``crit`` and ``b64`` (RFC 7515 section 4.1.11, RFC 7797), keys and addresses of keys in the
    token (``jwk``, ``jku``, ``x5u``, ``x5c``: RFC 8725 section 3.10; TK-02) and compression (``zip``) without
    knowing them by name.

    Raises:
        TokenRejected: Rejection.HEADER_MEMBER.
    """
    if not header.keys() <= _HEADER_MEMBERS:
        raise TokenRejected(Rejection.HEADER_MEMBER)
