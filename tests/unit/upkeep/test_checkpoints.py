"""Checkpoints and retention: what was signed is found to be there, or its absence is named."""

import asyncio
import random
import time
from datetime import timedelta
from types import SimpleNamespace

import msgspec
import pytest

from contract.store_kit import unit
from harness import HandClock
from keyturn.core.actors import operator
from keyturn.core.checkpoints import ChainEnd, sign_statement
from keyturn.core.errors import Fault
from keyturn.directory.audit import verify_audit
from keyturn.keys.audit_key import StoredAuditKeys
from keyturn.keys.sealing import MasterKey, MasterSealer
from keyturn.storage import Tail, verify_chain
from keyturn.storage.audit import hash_of
from keyturn.storage.memory import MemoryStore
from keyturn.upkeep import batches
from keyturn.upkeep import checkpoints as checkpoints_module
from keyturn.upkeep.batches import Pace
from keyturn.upkeep.checkpoints import Checkpoints, Retention

DAY = timedelta(days=1)


def check(rows, place):
    return verify_chain(rows, Tail(place.chain, place.seq, place.row_hash) if place else None)


@pytest.fixture
def trail():
    """A store, its jobs, and ways to write and to verify."""
    clock, dice = HandClock(), random.Random(3).randbytes  # noqa: S311  # a test repeats itself
    sealer = MasterSealer(MasterKey.generate(dice), dice)
    store = MemoryStore(sealer, clock, dice)
    keys = StoredAuditKeys(store.deployment, sealer, dice)
    signing = Checkpoints(store.upkeep, keys)

    async def write(count):
        for _ in range(count):
            made = unit(organisation_id=None)
            event = msgspec.structs.replace(made.audit, at=clock.now())
            await store.deployment.record(msgspec.structs.replace(made, audit=event))

    async def sign():
        return await signing.work(clock.now())

    async def cut(monotonic=time.monotonic, **kept):
        job = Retention(
            store=store.upkeep,
            clock=store.upkeep,
            trail=store.deployment,
            keys=keys,
            check=check,
            kept=timedelta(**kept),
            dice=dice,
            pace=Pace(0, monotonic),
        )
        return await job.work(clock.now())

    async def verify():
        key = await keys.find()
        return await verify_audit(
            operator("a"),
            store.deployment,
            store.upkeep,
            check=check,
            signature=key.verify if key else None,
        )

    return SimpleNamespace(
        clock=clock, store=store, keys=keys, write=write, sign=sign, cut=cut, verify=verify
    )


async def signed(trail, *sizes):
    """Write that many rows before each of some checkpoints, and give the rows."""
    await trail.keys.find_or_make(trail.clock.now())
    for size in sizes:
        await trail.write(size)
        await trail.sign()
    assert (await trail.verify()).intact
    return trail.store._shelf.audit


async def broken_rows(trail):
    verdict = await trail.verify()
    assert not verdict.intact
    assert verdict.problem is None
    return [each.broken_at for each in verdict.chains]


# --- checkpoints ---


async def test_a_checkpoint_is_made_when_rows_were_added(trail):
    """A checkpoint covers what is new, and none is made where nothing is."""
    await trail.write(3)
    assert await trail.sign() == "checkpoint 1"
    assert await trail.sign() == "checkpoint 2"  # the birth of the audit key
    assert await trail.sign() == "no new rows"
    [verdict] = (await trail.verify()).chains
    assert (verdict.rows, verdict.signed) == (4, 4)


async def test_rows_after_the_newest_checkpoint_hold_too(trail):
    """Rows that no checkpoint covers yet are followed by their links."""
    await signed(trail, 2)
    await trail.write(2)
    [verdict] = (await trail.verify()).chains
    assert (verdict.rows, verdict.signed, verdict.broken_at) == (5, 3, None)


async def test_racing_writers_make_one_checkpoint(trail):
    """RE-02: of processes that sign at once one adds the checkpoint, and what they leave verifies."""
    await trail.keys.find_or_make(trail.clock.now())
    await trail.write(3)
    told = await asyncio.gather(*(trail.sign() for _ in range(5)))
    assert (await trail.verify()).newest.seq == len({each for each in told if each.startswith("check")})


# --- what is broken is named ---


async def test_an_altered_row(trail):
    """AD-05: an altered row is named."""
    rows = await signed(trail, 5)
    rows[2] = msgspec.structs.replace(rows[2], actor="operator:nobody")
    assert await broken_rows(trail) == [3]


async def test_a_removed_row(trail):
    """AD-05: a row removed from the middle is named."""
    rows = await signed(trail, 5)
    del rows[3]
    assert await broken_rows(trail) == [4]


async def test_rows_cut_from_the_end(trail):
    """AD-05: rows cut from the end of a chain, which the chain itself cannot show, are named."""
    rows = await signed(trail, 5)
    del rows[4:]
    assert await broken_rows(trail) == [5]


async def test_a_removed_chain(trail):
    """AD-05: a whole chain that is gone is named, with its first row."""
    rows = await signed(trail, 5)
    [gone] = {row.chain for row in rows}
    rows.clear()
    [verdict] = (await trail.verify()).chains
    assert (verdict.chain, verdict.rows, verdict.broken_at) == (gone, 0, 1)


async def test_a_chain_written_anew(trail):
    """AD-05: rows that were altered and hashed again hold in themselves, and are named by what was signed."""
    rows = await signed(trail, 3, 3)
    forge(rows, 4)
    [verdict] = (await trail.verify()).chains
    assert (verdict.broken_at, verdict.written_anew) == (7, True)
    assert check(rows, None) is None


def forge(rows, index):
    """Alter a row and make everything after it hold again, as whoever can write the store could."""
    rows[index] = msgspec.structs.replace(rows[index], actor="operator:nobody")
    for number in range(index, len(rows)):
        linked = msgspec.structs.replace(rows[number], prev_hash=rows[number - 1].row_hash)
        rows[number] = msgspec.structs.replace(linked, row_hash=hash_of(linked))


@pytest.mark.parametrize(("removed", "named"), [(1, 1), (2, 2)])
async def test_a_removed_checkpoint(trail, removed, named):
    """AD-05: a checkpoint that is missing before the newest is named."""
    await signed(trail, 2, 2, 2)
    del trail.store.upkeep._checkpoints[removed]
    verdict = await trail.verify()
    assert (verdict.broken_checkpoint, verdict.problem) == (named, "removed")


@pytest.mark.parametrize("field", ["statement", "signature", "key_id", "at"])
async def test_an_altered_checkpoint(trail, field):
    """AD-05: a checkpoint whose statement, signature, key or time was altered is named."""
    await signed(trail, 2, 2, 2)
    kept = trail.store.upkeep._checkpoints
    other = {
        "statement": kept[2].statement.replace(b'"seq":2', b'"seq":3'),
        "signature": kept[3].signature,
        "key_id": "another",
        "at": kept[2].at + DAY,
    }
    kept[2] = msgspec.structs.replace(kept[2], **{field: other[field]})
    verdict = await trail.verify()
    assert verdict.broken_checkpoint == 2
    assert verdict.problem.startswith("altered")


def strange_key(trail):
    """Give a key for checkpoints that is not this deployment's."""
    dice = random.Random(4).randbytes  # noqa: S311  # a test repeats itself
    sealer = MasterSealer(MasterKey.generate(dice), dice)
    return StoredAuditKeys(MemoryStore(sealer, trail.clock, dice).deployment, sealer, dice)


async def test_a_checkpoint_of_another_key(trail):
    """AD-05: a checkpoint that somebody else signed, and put in the place of ours, is none."""
    await signed(trail, 2)
    theirs = await strange_key(trail).find_or_make(trail.clock.now())
    kept = trail.store.upkeep._checkpoints
    kept[2] = sign_statement(
        msgspec.structs.replace(kept[1].read(), seq=2, previous=kept[1].digest), theirs.key_id, theirs.sign
    )
    assert (await trail.verify()).broken_checkpoint == 2
    await trail.write(1)
    with pytest.raises(Fault, match="checkpoint 2 is not by"):
        await trail.sign()  # ours on top would be the proof of theirs


@pytest.mark.parametrize("left", [0, 1])
async def test_a_store_that_was_set_back_is_not_signed_anew(trail, left):
    """AD-05: a process whose own newest checkpoint is gone, with all that came after, signs nothing more."""
    rows = await signed(trail, 2, 2)
    kept = trail.store.upkeep._checkpoints
    for seq in [seq for seq in kept if seq > left]:
        del kept[seq]
    del rows[3 * left :]
    await trail.write(1)
    with pytest.raises(Fault, match="removed or altered"):
        await trail.sign()


# --- retention ---


async def test_retention_leaves_a_trail_that_can_be_checked(trail, monkeypatch):
    """AD-05: old rows go in batches, the rest of the chain is intact, and the removal is in the trail."""
    monkeypatch.setattr(batches, "BATCH", 2)
    monkeypatch.setattr(batches, "next_size", lambda size, took: size)
    monkeypatch.setattr(checkpoints_module, "PAGE", 3)
    rows = await signed(trail, 7, 2)
    trail.clock.advance(10 * 86_400)
    await trail.write(4)
    assert await trail.cut(days=5) == "removed 10 rows of 1 chain"
    assert [row.seq for row in rows] == [11, 12, 13, 14, 15]
    assert rows[-1].kind == "audit.pruned"
    [verdict] = (await trail.verify()).chains
    assert (verdict.rows, verdict.broken_at) == (5, None)
    await trail.sign()
    assert (await trail.verify()).intact
    assert await trail.cut(days=5) == "nothing is old enough"


async def test_what_retention_left_is_still_guarded(trail):
    """AD-05: after old rows went, a row more that is missing or altered is named like before."""
    rows = await signed(trail, 7)
    trail.clock.advance(10 * 86_400)
    await trail.write(4)
    await trail.cut(days=5)
    [first, *_] = [row.seq for row in rows]
    del rows[0]
    assert await broken_rows(trail) == [first]


async def test_retention_removes_no_evidence(trail):
    """AD-05: a chain that does not hold, or not as it was signed, is not cut."""
    rows = await signed(trail, 3, 3)
    trail.clock.advance(10 * 86_400)
    await trail.write(2)
    kept = rows[1]
    rows[1] = msgspec.structs.replace(kept, actor="operator:nobody")
    with pytest.raises(Fault, match="row 2; nothing was removed"):
        await trail.cut(days=5)
    rows[1] = kept
    forge(rows, 4)
    with pytest.raises(Fault, match="row 7; nothing was removed"):
        await trail.cut(days=5)
    assert len(rows) == 9


async def test_a_retention_that_was_killed_goes_on(trail, monkeypatch):
    """AD-05, RE-01: killed between signing and removing it verifies, and the next run removes the rest."""
    rows = await signed(trail, 6)
    trail.clock.advance(10 * 86_400)
    await trail.write(2)

    async def killed(*_):
        raise OSError("power")

    with monkeypatch.context() as patched:
        patched.setattr(trail.store.upkeep, "prune_audit", killed)
        with pytest.raises(OSError, match="power"):
            await trail.cut(days=5)
    assert len(rows) == 10
    assert (await trail.verify()).intact
    await trail.cut(days=5)
    assert [row.seq for row in rows] == [8, 9, 10]
    assert rows[-1].kind == "audit.pruned"  # the run that signed it told of it, although it was killed
    assert (await trail.verify()).intact


@pytest.mark.parametrize("tampering", ["cut off", "gone", "written anew"])
async def test_retention_signs_no_trail_that_lacks_something(trail, tampering):
    """AD-05: where the end of a chain is not as it was signed, no full checkpoint takes that for good."""
    rows = await signed(trail, 4)
    trail.clock.advance(10 * 86_400)
    await trail.write(3)
    await trail.sign()
    if tampering == "written anew":
        forge(rows, len(rows) - 1)
    else:
        del rows[0 if tampering == "gone" else len(rows) - 1 :]
    with pytest.raises(Fault, match="does not end as it was signed"):
        await trail.cut(days=5)
    assert not (await trail.verify()).intact


async def test_retention_signs_again_where_another_process_was_faster(trail, monkeypatch):
    """AD-05: a checkpoint that another process adds while the trail is followed does not cost the run."""
    await signed(trail, 4)
    trail.clock.advance(10 * 86_400)
    await trail.write(3)
    add, other = trail.store.upkeep.add_checkpoint, Checkpoints(trail.store.upkeep, trail.keys)

    async def beaten(checkpoint):
        monkeypatch.setattr(trail.store.upkeep, "add_checkpoint", add)
        await other.work(trail.clock.now())
        return await add(checkpoint)

    monkeypatch.setattr(trail.store.upkeep, "add_checkpoint", beaten)
    assert await trail.cut(days=5) == "removed 5 rows of 1 chain"
    assert (await trail.verify()).intact


async def test_not_every_round_of_retention_says_all(trail):
    """AD-05: retention names every chain there ever was once a day; in between it names what it cut."""
    await signed(trail, 3)
    made = []
    for _ in range(30):
        trail.clock.advance(3_600)
        await trail.write(1)
        await trail.cut(hours=2)
        made.append((await trail.store.upkeep.newest_checkpoint()).read())
        assert (await trail.verify()).intact
    assert all(each.cuts for each in made[2:])
    assert sum(each.full for each in made[2:]) == 2


async def test_old_checkpoints_go_when_rows_do(trail):
    """AD-05: after some rounds only checkpoints that kept rows need are there, from a full one on."""
    await signed(trail, 3)
    for _ in range(8):
        trail.clock.advance(86_400)
        await trail.write(3)
        await trail.sign()
        await trail.cut(days=2)
        assert (await trail.verify()).intact
    kept = await trail.store.upkeep.checkpoints(0, 100)
    assert len(kept) < 10
    assert kept[0].read().full
    end = kept[0].read().chains[0]
    assert isinstance(end, ChainEnd)


async def test_retention_waits_after_a_step_of_the_clock(trail):
    """RE-07: while the clock was set a moment ago, when the whole trail may look old, nothing is removed."""
    await trail.write(3)
    await trail.sign()
    trail.clock.advance(3 * 86_400)
    await trail.store.upkeep.note_clock(trail.clock.now(), trail.clock.now())
    assert (await trail.cut(days=1)).startswith("waits")
    trail.clock.advance(2 * 3_600)
    assert not (await trail.cut(days=1)).startswith("waits")


async def test_retention_goes_on_where_a_slow_disk_stopped_it(trail, monkeypatch):
    """AD-05: what a run has no time to remove is signed away, verifies, and goes with the next run."""
    monkeypatch.setattr(batches, "LONGEST_PAUSE_SECONDS", 0.0)
    rows = await signed(trail, batches.BATCH + 50)
    trail.clock.advance(10 * DAY.total_seconds())
    await trail.write(1)
    slow = iter(range(0, 100_000, 400))
    told = await trail.cut(lambda: float(next(slow)), days=1)
    assert told == f"cut {batches.BATCH + 51} rows of 1 chain, and removed a part of them"
    assert 51 <= len(rows) < batches.BATCH
    assert (await trail.verify()).intact
    assert await trail.cut(days=1) == "nothing is old enough"
    assert len(rows) < 51
    assert (await trail.verify()).intact
