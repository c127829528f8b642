"""Verify a token that this deployment signed: strict, bounded, and one reason for each refusal.

The order is cheap before costly and proof before meaning: size, shape, header, signature, and only then are
the claims read at all. Source: RFC 7515 section 5.2, RFC 7519 section 7.2, RFC 8725; TK-01 to TK-10.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import msgspec

from keyturn.tokens.claims import audiences, instant, text
from keyturn.tokens.compact import decode_header, decode_object, decode_part, require_plain_header, split
from keyturn.tokens.errors import Rejection, TokenRejected
from keyturn.tokens.keyset import KeySet, VerifyingKey
from keyturn.tokens.own import CLAIM, OwnClaim, decode_own_claim

MAX_LEEWAY_SECONDS = 60
_NO_LEEWAY = timedelta(0)

_USUAL_HEADER = 256
"""Bytes; a longer header is not remembered, so strangers cannot fill memory with headers."""
_HEADERS_KEPT = 20_000


class VerifiedClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What a genuine, unexpired token of the expected kind says.

    Args:
        not_before_at: None where the token has no ``nbf``.
        claims: Every claim, the ones above included.
    """

    key_id: str
    issuer: str
    subject: str
    token_id: str
    audiences: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime
    not_before_at: datetime | None
    own: OwnClaim
    claims: Mapping[str, Any]


def verify_token(
    token: str | bytes,
    keys: KeySet,
    *,
    issuer: str,
    audience: str | None,
    kind: str,
    header_type: str,
    now: datetime,
    leeway_seconds: int = 0,
    genuine: bool = False,
) -> VerifiedClaims:
    """Prove that a token is genuine, for here, of the expected kind, and valid now.

    Args:
        token: The compact serialisation, without a scheme such as ``Bearer``.
        keys: The issuer's own key set; nothing in the token can add to it (TK-02).
        issuer: The exact ``iss``.
        audience: An exact member of ``aud``; None where the caller decides over ``aud`` itself.
        kind: The exact ``kt.k``: a token of another kind does not pass (TK-08).
        header_type: The exact ``typ`` of that kind's profile.
        now: An aware instant.
        leeway_seconds: For clocks that are not ours; 0 for own tokens, 60 at most (TK-09).
        genuine: This process made these very bytes, so that their signature tells nothing new.

    Raises:
        TokenRejected: For any flaw; no bytes whatever raise anything else.
    """
    if not 0 <= leeway_seconds <= MAX_LEEWAY_SECONDS:
        raise ValueError("leeway is 0 to 60 seconds")
    message, header_part, claims_part, signature_part = split(token)
    header = _known_header(header_part) if len(header_part) <= _USUAL_HEADER else decode_header(header_part)
    kid, key = _find_key(header, keys, header_type)
    if not (genuine or key.verify(decode_part(signature_part), message)):
        raise TokenRejected(Rejection.SIGNATURE)
    verified = _read_claims(decode_object(claims_part, Rejection.CLAIMS_JSON), kid)
    if verified.issuer != issuer:
        raise TokenRejected(Rejection.ISSUER)
    if verified.own.kind != kind:
        raise TokenRejected(Rejection.KIND)
    if audience is not None and audience not in verified.audiences:
        raise TokenRejected(Rejection.AUDIENCE)
    check_time(verified, now, leeway_seconds)
    return verified


def check_time(verified: VerifiedClaims, now: datetime, leeway_seconds: int = 0) -> None:
    """Check ``nbf`` and ``exp``, at each use of a token and also of a remembered one (TK-09).

    Raises:
        TokenRejected: Rejection.NOT_YET_VALID or Rejection.EXPIRED.
    """
    leeway = timedelta(seconds=leeway_seconds) if leeway_seconds else _NO_LEEWAY
    begins = verified.not_before_at
    if begins is not None and begins > now + leeway:
        raise TokenRejected(Rejection.NOT_YET_VALID)
    if verified.expires_at <= now - leeway:
        raise TokenRejected(Rejection.EXPIRED)


_known_header = lru_cache(maxsize=_HEADERS_KEPT)(decode_header)
"""All tokens of a key and kind share one header; what it says is checked at each use."""


def _find_key(header: dict[str, Any], keys: KeySet, header_type: str) -> tuple[str, VerifyingKey]:
    require_plain_header(header)  # we sign no other members, so a header that has one is not ours
    kid = header.get("kid")
    if type(kid) is not str:
        raise TokenRejected(Rejection.KEY_ID)
    key = keys.get(kid)
    if key is None:
        raise TokenRejected(Rejection.KEY_UNKNOWN)
    if header.get("alg") != key.algorithm:  # the key decides; the header may only agree (TK-01)
        raise TokenRejected(Rejection.ALGORITHM)
    if header.get("typ") != header_type:
        raise TokenRejected(Rejection.HEADER_TYPE)
    return kid, key


def _read_claims(claims: dict[str, Any], kid: str) -> VerifiedClaims:
    """Read the claims that every Keyturn token has; their meaning is checked by the caller."""
    return VerifiedClaims(
        key_id=kid,
        issuer=text(claims, "iss"),
        subject=text(claims, "sub"),
        token_id=text(claims, "jti"),
        audiences=audiences(claims),
        issued_at=instant(claims, "iat"),
        expires_at=instant(claims, "exp"),
        not_before_at=instant(claims, "nbf") if "nbf" in claims else None,
        own=decode_own_claim(claims.get(CLAIM)),
        claims=MappingProxyType(claims),
    )
