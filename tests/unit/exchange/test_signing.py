"""Tokens signed together: each caller gets its own."""

import asyncio

from keyturn.core.vocabulary import Algorithm
from keyturn.exchange.signing import Signing


class NamedSigner:
    """Signs with its name, so that one can see who signed."""

    algorithm = Algorithm.ES256
    x5t = None

    def __init__(self, key_id: str) -> None:
        self.key_id = key_id

    def sign(self, message: bytes) -> bytes:
        return self.key_id.encode()


def payload(token: str) -> str:
    return token.split(".")[1]


async def test_each_caller_gets_its_own_claims_signed_by_its_own_key() -> None:
    """Tokens that are signed in one turn are not mixed up (TK-08)."""
    signing, first, second = Signing(), NamedSigner("first"), NamedSigner("second")

    one, other = await asyncio.gather(
        signing.token({"n": 1}, first, "JWT"), signing.token({"n": 2}, second, "JWT")
    )

    assert (payload(one), payload(other)) == ("eyJuIjoxfQ", "eyJuIjoyfQ")
    assert (one.rpartition(".")[2], other.rpartition(".")[2]) == ("Zmlyc3Q", "c2Vjb25k")
