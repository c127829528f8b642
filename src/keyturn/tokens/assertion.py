"""A client's signed assertion: read strictly, and its claims judged once the signature is proved (TE-06).

Which keys are the client's, and that an assertion works once, is for ``exchange``. Spec: RFC 7523 sections
2.2 and 3, and its update (draft-ietf-oauth-rfc7523bis-11): the issuer is the only audience.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

import msgspec

from keyturn.core.vocabulary import Algorithm
from keyturn.tokens.claims import instant, text
from keyturn.tokens.compact import decode_header, decode_object, decode_part, require_plain_header, split
from keyturn.tokens.errors import Rejection, TokenRejected

LONGEST = timedelta(minutes=5)
"""How far ahead ``exp`` may be: it bounds what a stolen assertion is worth, and the store of spent ones."""
LEEWAY = timedelta(seconds=60)
"""For clocks that are not ours (TK-09)."""

ALGORITHMS = {algorithm.value: algorithm for algorithm in Algorithm} | {"Ed25519": Algorithm.EDDSA}
"""What ``alg`` may say -> the algorithm of the key; RFC 9864 names EdDSA on Ed25519 by its curve."""

_TYPES = frozenset({"jwt", "client-authentication+jwt"})


class PresentedAssertion(msgspec.Struct, frozen=True):
    """An assertion taken apart; nothing about it is proved.

    Args:
        key_id: The header's ``kid``; None where it names none.
    """

    algorithm: Algorithm
    key_id: str | None
    message: bytes
    signature: bytes
    claims_part: bytes


class Assertion(msgspec.Struct, frozen=True):
    """What a genuine assertion says that outlives its check.

    Args:
        token_id: Its ``jti``, unique among those of its client.
        spent_until: From then on it is refused for its age, so its use need not be remembered.
        issued_at: None where it does not say.
    """

    token_id: str
    spent_until: datetime
    issued_at: datetime | None = None


def parse_assertion(presented: str) -> PresentedAssertion:
    """Take an assertion apart and check its header.

    Raises:
        TokenRejected: It is no compact JWS of an algorithm and type that are accepted here: ``none``, HMAC
            and tokens of other kinds are not (TK-01, TK-08).
    """
    message, header_part, claims_part, signature_part = split(presented)
    header = decode_header(header_part)
    require_plain_header(header)
    name, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    algorithm = ALGORITHMS.get(name) if type(name) is str else None
    if algorithm is None:
        raise TokenRejected(Rejection.ALGORITHM)
    if key_id is not None and type(key_id) is not str:
        raise TokenRejected(Rejection.KEY_ID)
    # A media type, so its case says nothing (RFC 7515 section 4.1.9).
    if type(kind) is not str or kind.lower() not in _TYPES:
        raise TokenRejected(Rejection.HEADER_TYPE)
    return PresentedAssertion(algorithm, key_id, message, decode_part(signature_part), claims_part)


def unverified_subject(presented: str) -> str | None:
    """Say whom an assertion claims to be of: to find keys, and for nothing else (RFC 7521 section 4.2)."""
    try:
        return text(decode_object(split(presented)[2], Rejection.CLAIMS_JSON), "sub")
    except TokenRejected:
        return None


def check_claims(
    proved: PresentedAssertion, *, client_id: str, audiences: Collection[str], now: datetime
) -> Assertion:
    """Check what an assertion says, once one of its client's keys has verified its signature.

    Args:
        client_id: The exact ``iss`` and ``sub``.
        audiences: Each an ``aud`` that is accepted; a list in the token is not, whatever is in it, since an
            assertion for two servers is one that either can use at the other (CVE-2025-27370).

    Raises:
        TokenRejected: A claim is missing, malformed or not acceptable.
    """
    claims = decode_object(proved.claims_part, Rejection.CLAIMS_JSON)
    if text(claims, "iss") != client_id or text(claims, "sub") != client_id:
        raise TokenRejected(Rejection.SUBJECT)
    if text(claims, "aud") not in audiences:
        raise TokenRejected(Rejection.AUDIENCE)
    expires_at = instant(claims, "exp")
    if expires_at <= now - LEEWAY:
        raise TokenRejected(Rejection.EXPIRED)
    if expires_at > now + LONGEST + LEEWAY:
        raise TokenRejected(Rejection.LIFETIME)
    for name in ("iat", "nbf"):
        if name in claims and instant(claims, name) > now + LEEWAY:
            raise TokenRejected(Rejection.NOT_YET_VALID)
    issued_at = instant(claims, "iat") if "iat" in claims else None
    return Assertion(text(claims, "jti"), expires_at + LEEWAY, issued_at)
