"""What a text looks like, offline: one of our secrets or tokens, or a JWT. Nothing here proves anything.

The checksum of a secret tells a typing error from a stranger, and whoever knows the format can compute it; a
JWT is only decoded. Source: design.md section 3.
"""

from enum import StrEnum
from typing import Any

import msgspec

from keyturn.core.json_guard import BadJson, decode_json
from keyturn.core.refresh_token import RefreshToken, read_refresh_token
from keyturn.core.secret import MASTER_KEY_PREFIX, PREFIXES, Secret, parse_secret
from keyturn.core.vocabulary import CredentialKind
from keyturn.tokens import base64url
from keyturn.tokens.compact import MAX_TOKEN_BYTES
from keyturn.tokens.own import CLAIM

_PARTS = 3


class Look(StrEnum):
    """What a text looks like."""

    SECRET = "secret"
    """One that we make and somebody holds for long: ``Sight.kind`` says which."""
    REFRESH_TOKEN = "refresh token"
    MASTER_KEY = "master key"
    DAMAGED = "damaged secret"
    """It begins like one of ours, and its checksum does not fit: mistyped, cut or made up."""
    OWN_JWT = "token in Keyturn's form"
    JWT = "JWT of somebody else"
    UNKNOWN = "unknown"


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What can be told without asking anybody.

    Args:
        kind: What a secret is for, by its prefix.
        refresh: What a refresh token says of itself.
        header: Of a JWT, unverified.
        claims: Of a JWT, unverified.
    """

    look: Look
    kind: CredentialKind | None = None
    refresh: RefreshToken | None = None
    header: dict[str, Any] | None = None
    claims: dict[str, Any] | None = None


def look_at(presented: Secret) -> Sight:
    """Tell what a text looks like, by prefix, checksum and form."""
    text = presented.reveal()
    if text.startswith(MASTER_KEY_PREFIX):
        return Sight(look=Look.MASTER_KEY)
    if text.startswith(tuple(PREFIXES.values())):
        return _secret(presented)
    return _jwt(text) or Sight(look=Look.UNKNOWN)


def _secret(presented: Secret) -> Sight:
    kind = parse_secret(presented.reveal())
    if kind is not None and kind is not CredentialKind.REFRESH_TOKEN:
        return Sight(look=Look.SECRET, kind=kind)
    refresh = read_refresh_token(presented)
    if refresh is None:
        return Sight(look=Look.DAMAGED)
    return Sight(look=Look.REFRESH_TOKEN, refresh=refresh)


def _jwt(text: str) -> Sight | None:
    """Decode the first two parts of a compact JWS; the signature is not even read."""
    parts = text.split(".")
    if len(parts) != _PARTS or len(text) > MAX_TOKEN_BYTES or not text.isascii():
        return None
    try:
        header, claims = (decode_json(base64url.decode(part.encode())) for part in parts[:2])
    except (BadJson, ValueError):
        return None
    if type(header) is not dict or type(claims) is not dict:
        return None
    look = Look.OWN_JWT if CLAIM in claims else Look.JWT
    return Sight(look=look, header=header, claims=claims)
