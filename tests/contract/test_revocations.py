"""Contract: revocations, many in one batch, each as if it were alone (RV-01, RV-02).

The same checks for every store.
"""

import asyncio

import pytest

from contract.store_kit import (
    ACME,
    NOW,
    ON_CLIENT,
    family,
    next_version,
    open_at,
    open_file,
    organisation,
    seed,
    unit,
)
from contract.test_store_on_disk import eventually
from keyturn.core.changes import Add, Recorded
from keyturn.core.errors import Fault
from keyturn.core.records import Revocation
from keyturn.core.status_records import StatusMark
from keyturn.storage import verify_chain
from keyturn.storage.scribe import Scribe


def dead(name):
    return Revocation(id=name, organisation_id=ACME, revoked_at=NOW, expires_at=NOW)


def mark(name):
    return StatusMark(id=name, list_id="list", organisation_id=ACME, number=7, expires_at=NOW)


async def test_many_at_once(store):
    """RV-02: all of a batch are covered once they are answered, and what failed takes no neighbour along."""
    names = [f"t{number:03}" for number in range(80)]
    units = [unit(Add(dead(name)), request_id=name) for name in names]
    marked = unit(Add(dead("marked")), Add(mark("marked")))
    no_text = unit(Add(dead("no text")), details={"text": "\ud800"})
    begun = unit(ON_CLIENT, Add(family("born meanwhile")))
    asked = [store.recorder.record(each) for each in (*units, marked, no_text, begun)]
    *outcomes, failed, born = await asyncio.gather(*asked, return_exceptions=True)
    assert {*outcomes, born} == {Recorded()}
    assert isinstance(failed, Fault)
    assert [name for name in (*names, "marked") if not store.revocations.covers(name, None)] == []
    assert not store.revocations.covers("no text", None)
    assert (await store.registry.find_family("born meanwhile")).id == "born meanwhile"
    (chain,) = await store.deployment.audit_chains()
    rows = await store.deployment.audit_rows(chain=chain, limit=1000)
    assert verify_chain(rows) is None
    assert len(rows) == 3 + 80 + 1 + 1  # seeded, revoked, marked, born


async def test_what_is_dead_may_be_killed_again(store):
    """RV-01: a token that is revoked twice, in one batch or later, is revoked, and each time told of."""
    once, other = unit(Add(dead("twice"))), unit(Add(dead("once")))
    assert set(await asyncio.gather(*map(store.recorder.record, (once, other, once)))) == {Recorded()}
    marked = unit(Add(dead("twice")), Add(mark("twice")))
    assert set(await asyncio.gather(*map(store.recorder.record, (marked, once)))) == {Recorded()}
    assert store.revocations.covers("twice", None)
    assert store.revocations.covers("once", None)


async def test_it_holds_whatever_became_of_the_organisation(store):
    """RV-01: what an ended organisation's token is revoked by is kept, and so is its mark."""
    ending = next_version(organisation(), ended_at=NOW)
    assert await store.recorder.record(unit(ending)) == Recorded()
    units = [unit(Add(dead("late")), Add(mark("late"))), unit(Add(dead("later")))]
    assert set(await asyncio.gather(*map(store.recorder.record, units))) == {Recorded()}
    assert store.revocations.covers("late", None)
    assert store.revocations.covers("later", None)


@pytest.mark.parametrize("before", ["t00", "other"])
async def test_another_process_hears_of_all(shared, before):
    """RV-02: another process covers each of a batch, however written, and those that it had revoked."""
    here, there = await open_file(shared), await open_file(shared)
    try:
        await seed(here)
        await here.revocations.load()
        await there.revocations.load()
        assert await there.recorder.record(unit(Add(dead(before)))) == Recorded()
        names = [f"t{number:02}" for number in range(20)]
        units = [unit(Add(dead("asks more")), ON_CLIENT), *(unit(Add(dead(name))) for name in names)]
        assert set(await asyncio.gather(*map(here.recorder.record, units))) == {Recorded()}

        async def covered():
            return all(there.revocations.covers(name, None) for name in (*names, "asks more"))

        assert await eventually(covered, 5)
    finally:
        await here.close()
        await there.close()


async def test_a_batch_is_not_written_one_by_one(shared, monkeypatch):
    """What only revokes does not go its own way, which costs several times as much."""
    alone = []
    carry = Scribe._carry
    monkeypatch.setattr(Scribe, "_carry", lambda *given: alone.append(given) or carry(*given))
    store = await open_at(shared)
    try:
        await seed(store)
        alone.clear()
        units = [unit(Add(dead(f"t{number}"))) for number in range(20)]
        marked = unit(Add(dead("marked")), Add(mark("marked")))
        await asyncio.gather(*map(store.recorder.record, (*units, marked)))
        assert alone == []
    finally:
        await store.close()
