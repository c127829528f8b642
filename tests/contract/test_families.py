"""Contract: families begin and rotate, many in one batch, each as if it were alone (RT-01, RT-03).

The same checks for every store.
"""

import asyncio

import msgspec

from contract.store_kit import (
    ACME,
    BETA,
    NOW,
    ON_CLIENT,
    client,
    family,
    next_version,
    open_file,
    seed,
    unit,
)
from keyturn.core.changes import Add, EndFamily, Lost, Recorded, Rotate
from keyturn.core.errors import Fault, Unavailable
from keyturn.core.refresh import rotated
from keyturn.storage import verify_chain
from keyturn.web.cycle import begin


def turned(before, by="next"):
    """Rotate a family as whoever read it would."""
    digest = f"{before.id} {before.generation + 1} {by}".encode()
    return Rotate(rotated(before, digest, before.pepper_id, b"sealed for " + digest, NOW))


async def begun(store, *names):
    """Begin families, all at once."""
    digests = (f"{name} 0".encode() for name in names)
    families = [
        msgspec.structs.replace(family(name), current_hash=digest)
        for name, digest in zip(names, digests, strict=True)
    ]
    units = [unit(ON_CLIENT, Add(each), request_id=each.id) for each in families]
    assert set(await asyncio.gather(*map(store.recorder.record, units))) == {Recorded()}
    return families


async def test_rotation(store):
    """What is begun and rotated is found again field by field, and recalled as it is there if at all."""
    (born,) = await begun(store, "f")
    assert await store.registry.find_family("f") == born
    assert store.registry.recall_family(born.current_hash) in {None, born}
    change = turned(born)
    assert await store.recorder.record(unit(ON_CLIENT, change)) == Recorded()
    found = await store.registry.find_family("f")
    assert found == change.record
    assert store.registry.recall_family(found.current_hash) in {None, found}
    assert store.registry.recall_family(born.current_hash) is None


async def test_it_is_found_outside_of_any_task(store):
    """IN-01, HT-09: a question about a refresh token that is begun at once has its answer, not 503."""
    (born,) = await begun(store, "f")
    loop = asyncio.get_running_loop()
    found = loop.create_future()

    async def ask():
        assert asyncio.current_task() is None
        try:
            found.set_result(await store.registry.find_family("f"))
        except Unavailable as error:
            found.set_exception(error)

    loop.call_soon(lambda: begin(ask(), loop, set(), at_once=True))
    assert await found == born


async def test_what_is_not_as_it_was_does_not_turn(store):
    """RT-01: a rotation loses to another token, another version, another organisation and to nobody."""
    (born,) = await begun(store, "f")
    good = turned(born).record
    differing = (
        {"previous_hash": b"another"},
        {"version": good.version + 1},
        {"organisation_id": BETA},
        {"id": "nobody"},
    )
    for fields in differing:
        wrong = Rotate(msgspec.structs.replace(good, **fields))
        event = {"organisation_id": wrong.record.organisation_id}
        assert isinstance(await store.recorder.record(unit(ON_CLIENT, wrong, **event)), Lost)
        assert await store.registry.find_family("f") == born
        assert await store.registry.find_family("nobody") is None


async def test_many_at_once(store):
    """RT-01: in one batch each family turns once, and who loses takes no neighbour along."""
    names = [f"f{number:03}" for number in range(80)]
    families = await begun(store, *names)
    ended = unit(EndFamily("f001", ACME, "revoked", NOW))
    assert await store.recorder.record(ended) == Recorded()
    counted_again = msgspec.structs.replace(turned(families[2]).record, previous_hash=b"another")
    moved = msgspec.structs.replace(turned(families[2]).record, organisation_id="org-beta")
    units = [unit(ON_CLIENT, turned(each, by)) for each in families[3:] for by in ("first", "second")]
    others = [
        unit(ON_CLIENT, turned(families[1]), lost=True),
        unit(Rotate(moved)),
        unit(Rotate(counted_again)),
        unit(turned(family("nobody"))),
        unit(ON_CLIENT, turned(families[0]), details={"text": "\ud800"}),
        unit(ON_CLIENT, Add(family("f002"))),
        unit(ON_CLIENT),
        unit(ON_CLIENT, Add(family("born meanwhile"))),
    ]
    asked = [store.recorder.record(each) for each in (*units, *others)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    pairs = zip(outcomes[: len(units) : 2], outcomes[1 : len(units) : 2], strict=True)
    assert all(sorted(map(type, pair), key=repr) == [Lost, Recorded] for pair in pairs)
    *said, plain, born = outcomes[len(units) :]
    assert [type(each) for each in said] == [Lost, Lost, Lost, Lost, Fault, Lost]
    assert [plain, born] == [Recorded(), Recorded()]
    assert await store.registry.find_family("f000") == families[0]
    assert await store.registry.find_family("f002") == families[2]
    for each in families[3:]:
        assert (await store.registry.find_family(each.id)).generation == 1
    (chain,) = await store.deployment.audit_chains()
    rows = await store.deployment.audit_rows(chain=chain, limit=1000)
    assert verify_chain(rows) is None
    # Three seeded, 80 births, an end, 77 rotations, a loss that tells, a plain one, a birth.
    assert len(rows) == 3 + 80 + 1 + 77 + 1 + 1 + 1


async def test_what_it_rests_on_comes_first(store):
    """RV-04: in the batch after a client was changed no family of its old version begins or turns."""
    (born,) = await begun(store, "f")
    assert await store.recorder.record(unit(next_version(client(), disabled=True))) == Recorded()
    units = [unit(ON_CLIENT, turned(born)), unit(ON_CLIENT, Add(family("late")))]
    outcomes = await asyncio.gather(*map(store.recorder.record, units))
    assert [type(each) for each in outcomes] == [Lost, Lost]
    assert await store.registry.find_family("f") == born
    assert await store.registry.find_family("late") is None


async def test_another_process_was_first(shared):
    """RT-01: what memory holds of a family loses to what another process did, and is forgotten then."""
    here, there = await open_file(shared), await open_file(shared)
    await seed(here)
    await here.registry.find_client("client-1")
    (born,) = await begun(here, "f")
    theirs, ours = turned(born, "there"), turned(born, "here")
    assert await there.recorder.record(unit(theirs)) == Recorded()
    assert here.registry.recall_family(born.current_hash) == born
    assert await here.registry.find_family("f") == theirs.record
    assert isinstance(await here.recorder.record(unit(ON_CLIENT, ours)), Lost)
    assert here.registry.recall_family(born.current_hash) is None
    await here.close()
    await there.close()
