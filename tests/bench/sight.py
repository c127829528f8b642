"""What proving a token costs inside a process: bare, at first sight, and when it was seen before.

First sight and repeat are ``keyturn.tokens``' own, with every check; bare is a signature verified and
claims decoded, and nothing looked at.
"""

import base64
import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from bench.figures import Round
from keyturn.core.vocabulary import Algorithm
from keyturn.keys.signers import Es256Signer, make_private_key
from keyturn.tokens.cache import VerifiedCache
from keyturn.tokens.encode import encode_token
from keyturn.tokens.jwks import public_jwk
from keyturn.tokens.keyset import KeySet

ISSUER, KIND, TYPE = "https://id.example/o/acme", "oauth2.access", "at+jwt"
BARE, FIRST, REPEAT = "bare verify", "first sight", "repeat"
TOKENS = 128


def rounds(count: int, seconds: float) -> dict[str, list[Round]]:
    """Measure each in turns, in processor time of this thread.

    Args:
        count: How many rounds.
        seconds: About how long one takes; first sights need as many tokens, which are made before.
    """
    key = make_private_key(Algorithm.ES256)
    jwk = public_jwk(key.public_key(), Algorithm.ES256)
    signer = Es256Signer(jwk["kid"], key)
    tokens = [encode_token(_claims(number), signer, TYPE).encode() for number in range(TOKENS)]
    keys, now, public = KeySet.from_jwks([jwk]), datetime.now(UTC), key.public_key()
    decode, ecdsa = msgspec.json.Decoder().decode, ECDSA(SHA256())

    def bare(token: bytes) -> None:
        message, _, signature = token.rpartition(b".")
        raw = _unpacked(signature)
        r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
        public.verify(encode_dss_signature(r, s), message, ecdsa)
        decode(_unpacked(message.rpartition(b".")[2]))

    def ask(cache: VerifiedCache) -> Callable[[bytes], object]:
        return lambda token: cache.verify(
            token, keys, issuer=ISSUER, audience="urn:api", kind=KIND, header_type=TYPE, now=now
        )

    found: dict[str, list[Round]] = {BARE: [], FIRST: [], REPEAT: []}
    known = VerifiedCache()
    for token in tokens:
        ask(known)(token)
    for _ in range(count):
        found[BARE].append(_measured(lambda: bare, tokens, seconds))
        # A new cache for each pass over the tokens: none of them was seen before.
        found[FIRST].append(_measured(lambda: ask(VerifiedCache()), tokens, seconds))
        found[REPEAT].append(_measured(lambda: ask(known), tokens, seconds))
    return found


def _measured(begin: Callable[[], Callable[[bytes], object]], tokens: list[bytes], seconds: float) -> Round:
    answered, began, used = 0, time.perf_counter(), time.thread_time()
    while time.perf_counter() - began < seconds:
        once = begin()
        for token in tokens:
            once(token)
        answered += len(tokens)
    return Round(answered, 0, time.perf_counter() - began, time.thread_time() - used)


def _claims(number: int) -> dict[str, object]:
    name = f"01a202db-9de6-7552-a87d-{number:012x}"
    issued = int(datetime.now(UTC).timestamp())
    return {
        "iss": ISSUER,
        "sub": name,
        "client_id": name,
        "aud": "urn:api",
        "iat": issued,
        "exp": issued + 600,
        "jti": name,
        "scope": "read write",
        "kt": {"k": KIND, "o": name, "c": name, "e": [0, 0, 0]},
    }


def _unpacked(part: bytes) -> bytes:
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
