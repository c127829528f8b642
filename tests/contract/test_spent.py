"""What is used once is used once: the store's contract for single-use things, in memory and on disk."""

import asyncio
import datetime as dt

import pytest

from contract.store_kit import ACME, BETA, NOW, credential, open_at, open_file, seed, unit
from keyturn.core.changes import Add, Lost, Recorded
from keyturn.core.records import Spent
from keyturn.core.vocabulary import CredentialKind

JWK = {"kty": "OKP", "crv": "Ed25519", "x": "x", "kid": "k", "alg": "EdDSA", "use": "sig"}


@pytest.fixture
async def store(place):
    """An open store of each kind with two organisations."""
    made = await open_at(place)
    await seed(made)
    yield made
    await made.close()


def spent(organisation_id=ACME, name="assertion:1"):
    """Use something up."""
    return Add(Spent(id=name, organisation_id=organisation_id, expires_at=NOW + dt.timedelta(minutes=6)))


async def test_second_use_loses(store):
    """TE-06: a second use loses, whoever claims it, and names the change that lost."""
    assert await store.recorder.record(unit(spent())) == Recorded()
    for again in (spent(), spent(BETA)):
        outcome = await store.recorder.record(unit(again))
        assert isinstance(outcome, Lost)
        assert outcome.change == again
    assert await store.recorder.record(unit(spent(name="assertion:2"))) == Recorded()


async def test_race(store):
    """TE-06: of many uses at once exactly one is recorded, also within one batch."""
    outcomes = await asyncio.gather(*(store.recorder.record(unit(spent())) for _ in range(50)))
    assert outcomes.count(Recorded()) == 1


async def test_two_processes(shared):
    """RE-02: two stores at one place record one use between them, and a restart forgets nothing."""
    first = await open_file(shared)
    await seed(first)
    second = await open_file(shared)
    both = (first.recorder, second.recorder) * 10
    outcomes = await asyncio.gather(*(each.record(unit(spent())) for each in both))
    assert outcomes.count(Recorded()) == 1
    await first.close()
    await second.close()
    again = await open_file(shared)
    assert isinstance(await again.recorder.record(unit(spent())), Lost)
    await again.close()


async def test_public_keys_are_seen_with_the_client(store):
    """A client is found with its public keys beside its secrets, as they were added."""
    key = credential("key-1", kind=CredentialKind.PUBLIC_KEY, lookup_hash=b"t" * 32, public_jwk=JWK)
    assert await store.recorder.record(unit(Add(key))) == Recorded()
    view = await store.registry.find_client("client-1")
    assert {item.kind for item in view.credentials} == {
        CredentialKind.CLIENT_SECRET,
        CredentialKind.PUBLIC_KEY,
    }
    assert key in view.credentials
