"""Tokens signed together: each caller gets its own, and one that fails or leaves takes nobody along."""

import asyncio

import pytest

from keyturn.core.vocabulary import Algorithm
from keyturn.exchange.signing import Signing


class NamedSigner:
    """Signs with its name, so that one can see who signed."""

    algorithm = Algorithm.ES256
    x5t = None

    def __init__(self, key_id: str) -> None:
        self.key_id = key_id
        self.signed = 0

    def sign(self, message: bytes) -> bytes:
        self.signed += 1
        return self.key_id.encode()


class BrokenSigner(NamedSigner):
    """Cannot sign."""

    def sign(self, message: bytes) -> bytes:
        raise RuntimeError(self.key_id)


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


async def test_a_signature_that_fails_is_its_own_caller_s_alone() -> None:
    """Neighbours of a signature that fails have theirs."""
    signing, sound = Signing(), NamedSigner("sound")
    broken = signing.token({}, BrokenSigner("broken"), "JWT")
    neighbour = signing.token({"n": 1}, sound, "JWT")

    with pytest.raises(RuntimeError, match="broken"):
        await broken
    assert payload(await neighbour) == "eyJuIjoxfQ"


async def test_who_left_is_not_signed_for() -> None:
    """Nothing is signed for a caller that left, and the next turn signs as ever."""
    signing, signer = Signing(), NamedSigner("key")
    signing.token({}, signer, "JWT").cancel()
    await asyncio.sleep(0)
    assert signer.signed == 0

    await signing.token({}, signer, "JWT")
    assert signer.signed == 1
