"""Encode a token: claims and a signer in, a compact JWS out (RFC 7515 section 3.1)."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from keyturn.core.ports import Signer
from keyturn.core.vocabulary import Algorithm
from keyturn.tokens import base64url

HEADERS_KEPT = 20_000
"""How many encoded headers stay in memory: one for each key and header type that signs now."""

_ENCODER = msgspec.json.Encoder()


Claims = Mapping[str, Any] | msgspec.Raw
"""Anything that msgspec encodes as a JSON object, or one that is encoded already."""


def encode_token(claims: Claims, signer: Signer, header_type: str) -> str:
    """Sign claims as a JWT.

    Args:
        claims: Their order is kept.
        signer: Gives ``kid`` and ``alg`` of the header, and ``x5t`` where its key has a certificate.
        header_type: The header's ``typ``, for example ``at+jwt`` (RFC 9068 section 2.1).
    """
    header = _header(signer.key_id, signer.algorithm, header_type, signer.x5t)
    spelled = claims if isinstance(claims, msgspec.Raw) else _ENCODER.encode(claims)
    message = header + base64url.encode(spelled)
    return (message + b"." + base64url.encode(signer.sign(message))).decode("ascii")


@lru_cache(maxsize=HEADERS_KEPT)
def _header(key_id: str, algorithm: Algorithm, header_type: str, x5t: str | None) -> bytes:
    """Encode the header and the dot after it, once for each key and type."""
    header = {"alg": algorithm, "kid": key_id, "typ": header_type}
    return base64url.encode(_ENCODER.encode(header | {"x5t": x5t} if x5t else header)) + b"."
