"""What every store keeps for upkeep: leases, due rings, cleaners, the clock's mark, checkpoints."""

import asyncio
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from contract import store_kit
from contract.store_kit import (
    ACME,
    NOW,
    event,
    open_at,
    open_file,
    organisation,
    seed,
    signing_key,
    unit,
)
from keyturn.core.changes import Add, Recorded
from keyturn.core.checkpoints import Checkpoint
from keyturn.core.errors import Unavailable
from keyturn.core.records import RefreshFamily, Revocation, Spent
from keyturn.core.upkeep_ports import JobRun, Node
from keyturn.core.vocabulary import Algorithm, ClientId, CredentialId, FamilyId

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
KIT = Path(store_kit.__file__)


@pytest.fixture
async def store(place):
    """An open, empty store of each kind."""
    made = await open_at(place)
    yield made
    await made.close()


def checkpoint(seq):
    """Make a checkpoint as a store sees it: some bytes."""
    return Checkpoint(seq=seq, at=NOW, statement=b"{}", signature=b"s", key_id="k")


# --- leases ---


async def test_a_lease_is_one_holders(store):
    """A lease that is held is not given to another, is renewed for its holder, and is free when over."""
    kept = store.upkeep
    assert (await kept.lease("clean", "a", NOW, NOW + MINUTE)).holder == "a"
    assert await kept.lease("clean", "b", NOW + SECOND, NOW + MINUTE) is None
    assert (await kept.lease("keys", "b", NOW, NOW + MINUTE)).holder == "b"
    assert (await kept.lease("clean", "a", NOW + SECOND, NOW + 2 * MINUTE)).until == NOW + 2 * MINUTE
    assert await kept.lease("clean", "b", NOW + 2 * MINUTE - SECOND, NOW + 5 * MINUTE) is None
    assert (await kept.lease("clean", "b", NOW + 2 * MINUTE, NOW + 5 * MINUTE)).holder == "b"


async def test_a_lease_of_a_clock_that_was_set_back(store):
    """RE-07: a lease taken while a clock was a day ahead keeps nobody from a job for that day."""
    kept = store.upkeep
    await kept.lease("clean", "a", NOW + DAY, NOW + DAY + MINUTE)
    assert not (await kept.leases())[0].held(NOW)
    assert (await kept.lease("clean", "b", NOW, NOW + MINUTE)).holder == "b"
    assert await kept.lease("clean", "a", NOW, NOW + MINUTE) is None


async def test_a_released_lease_is_free_and_remembers(store):
    """Who releases a lease leaves how the job went; who no longer has it changes nothing."""
    kept = store.upkeep
    run = JobRun(ran_at=NOW, failures=2, outcome="failed: OSError")
    await kept.lease("clean", "a", NOW, NOW + MINUTE)
    await kept.release("clean", "b", NOW, run)
    assert (await kept.leases())[0].last is None
    await kept.release("clean", "a", NOW, run)
    assert not (await kept.leases())[0].held(NOW)
    assert (await kept.lease("clean", "b", NOW, NOW + MINUTE)).last == run


async def test_of_racers_one_gets_the_lease(store):
    """RE-02: of fifty that ask at once one gets the lease."""
    asked = (store.upkeep.lease("keys", str(number), NOW, NOW + MINUTE) for number in range(50))
    assert sum(lease is not None for lease in await asyncio.gather(*asked)) == 1


async def test_two_processes_one_lease(shared):
    """RE-02: of processes that want one lease of a store at once, one gets it."""
    await (await open_file(shared)).close()
    paths = os.pathsep.join(filter(None, [str(KIT.parents[1]), *sys.path]))
    running = [
        subprocess.Popen(  # noqa: ASYNC220  # both must run while neither is waited for
            [sys.executable, str(KIT), "lease", str(shared), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths},
            text=True,
        )
        for name in ("one", "other")
    ]
    for process in running:
        assert process.stdout.readline() == "ready\n"
    told = sorted(process.communicate("go\n")[0].strip() for process in running)
    assert told in (["no", "one"], ["no", "other"])


# --- rings ---


async def test_due_rings_wait_in_line(store):
    """Rings are noted once, come oldest first, and go when they are forgotten."""
    kept = store.upkeep
    await kept.note_due_rings([("b", Algorithm.ES256)], NOW)
    await kept.note_due_rings([("a", Algorithm.RS256), ("b", Algorithm.ES256)], NOW + SECOND)
    assert await kept.due_rings(10) == [("b", Algorithm.ES256), ("a", Algorithm.RS256)]
    assert len(await kept.due_rings(1)) == 1
    await kept.forget_due_ring("b", Algorithm.ES256)
    assert await kept.due_rings(10) == [("a", Algorithm.RS256)]


async def test_turning_issuers(store):
    """The issuers with a rotation still to come are known without reading every ring."""
    await seed(store)
    later = signing_key("kid-2", "acme", active_at=NOW + MINUTE)
    await store.deployment.record(unit(Add(signing_key(active_at=NOW)), Add(later)))
    assert list(await store.upkeep.turning_issuers(NOW)) == ["acme"]
    assert list(await store.upkeep.turning_issuers(NOW + MINUTE)) == []


# --- cleaning ---


def family(name, **changes):
    made = RefreshFamily(
        id=FamilyId(name),
        organisation_id=ACME,
        client_id=ClientId("client-1"),
        subject="client-1",
        dialect="oauth2",
        profile="oauth2.access",
        credential_id=CredentialId("cred-1"),
        scopes=(),
        audiences=(),
        created_at=NOW,
        ends_at=NOW + 30 * DAY,
        epochs=(0, 0, 0),
        current_hash=b"h",
        pepper_id="p",
    )
    return msgspec.structs.replace(made, **changes)


async def test_cleaners_delete_what_is_long_over(store):
    """RE-07: each table keeps what expired for at least a day, and nothing that has not expired ever goes."""
    await seed(store)
    changes = [
        *(
            Add(Revocation(id=f"r{age}", organisation_id=ACME, revoked_at=NOW, expires_at=NOW - age * DAY))
            for age in (-1, 1, 2)
        ),
        *(Add(Spent(id=f"s{age}", organisation_id=ACME, expires_at=NOW - age * DAY)) for age in (-1, 1, 2)),
        Add(family("living")),
        Add(family("just ended", ended_at=NOW - DAY)),
        Add(family("long ended", ended_at=NOW - 8 * DAY)),
        Add(family("long over", ends_at=NOW - 8 * DAY)),
        Add(signing_key("signs", active_at=NOW - DAY)),
        Add(signing_key("retired", active_at=NOW - 9 * DAY, retires_at=NOW - 2 * DAY)),
        Add(signing_key("retiring", active_at=NOW - 9 * DAY, retires_at=NOW + DAY)),
    ]
    assert await store.deployment.record(unit(*changes)) == Recorded()
    for age in (0, 2):
        seen = Node(id=f"n{age}", seen_at=NOW - age * DAY, held=("a",), sealing_under="a")
        await store.upkeep.report_node(seen)
    swept = {name: await store.upkeep.sweep(name, NOW, 500) for name in store.upkeep.cleaners}
    assert swept == {
        "revocation": 1,
        "spent": 1,
        "refresh_family": 2,
        "signing_key": 1,
        "kept_answer": 0,
        "notice": 0,
        "notice_delivery": 0,
        "notice_subscription": 0,
        "node": 1,
        "status_block": 0,
        "status_mark": 0,
    }
    assert await store.registry.find_family(FamilyId("just ended")) is not None
    assert await store.registry.find_family(FamilyId("long over")) is None
    later = [await store.upkeep.sweep("signing_key", NOW + days * DAY, 500) for days in (2, 3, 99)]
    assert later == [0, 1, 0]  # the retiring one, a day after it retired; never the one that signs


async def test_no_cleaner_touches_what_has_a_name(store):
    """TK-15: organisations, clients and credentials are never cleaned, so no identifier is used again."""
    await seed(store)
    for name in store.upkeep.cleaners:
        await store.upkeep.sweep(name, NOW + 36_500 * DAY, 500)
    assert len(await store.deployment.organisations()) == 2
    assert await store.deployment.client_view(ClientId("client-1")) is not None
    assert await store.deployment.organisation_of_credential(CredentialId("cred-1")) == ACME


async def test_a_sweep_is_one_short_batch(store):
    """A sweep deletes no more than it was told, and says how many it were."""
    spent = [Add(Spent(id=f"s{n}", organisation_id=ACME, expires_at=NOW - 2 * DAY)) for n in range(7)]
    await store.deployment.record(unit(*spent))
    assert [await store.upkeep.sweep("spent", NOW, 3) for _ in range(4)] == [3, 3, 1, 0]


# --- the clock ---


async def test_the_newest_time_never_falls_by_itself(store):
    """RE-07: the mark only rises, keeps the last step, and counts recent audit rows."""
    kept = store.upkeep
    assert await kept.clock_mark() is None
    await kept.note_clock(NOW, stepped_at=NOW)
    await kept.note_clock(NOW - DAY)
    mark = await kept.clock_mark()
    assert (mark.newest_at, mark.stepped_at, mark.accepted) == (NOW, NOW, 0)
    later = msgspec.structs.replace(event(organisation_id=None), at=NOW + MINUTE)
    await store.deployment.record(msgspec.structs.replace(unit(organisation_id=None), audit=later))
    assert (await kept.clock_mark()).newest_at == NOW + MINUTE


async def test_an_accepted_clock_is_the_newest_time(store):
    """RE-07: an operator's word lowers the newest time, whatever rows and marks said before it."""
    kept = store.upkeep
    ahead = msgspec.structs.replace(event(organisation_id=None), at=NOW + 365 * DAY)
    await store.deployment.record(msgspec.structs.replace(unit(organisation_id=None), audit=ahead))
    await kept.note_clock(NOW + 366 * DAY)
    for count in (1, 2):
        await kept.accept_clock(NOW)
        mark = await kept.clock_mark()
        assert (mark.newest_at, mark.accepted, mark.stepped_at) == (NOW, count, NOW)


# --- the trail ---


async def test_tails_are_those_that_grew(store):
    """The end of a chain is told with its number, and only if it has moved since a number."""
    assert await store.upkeep.audit_tails(0) == []
    for _ in range(3):
        await store.deployment.record(unit(organisation_id=None))
    [tail] = await store.upkeep.audit_tails(0)
    [*_, last] = await store.deployment.audit_rows(limit=10)
    assert (tail.row, tail.row.seq) == (last, 3)
    assert await store.upkeep.audit_tails(tail.number) == []
    await store.deployment.record(unit(organisation_id=None))
    assert [each.row.seq for each in await store.upkeep.audit_tails(tail.number)] == [4]


async def test_a_checkpoint_is_added_once(store):
    """RE-02: of two checkpoints with one seq the first stays, and they are read in order."""
    kept = store.upkeep
    assert await kept.newest_checkpoint() is None
    assert await kept.add_checkpoint(checkpoint(1))
    assert not await kept.add_checkpoint(msgspec.structs.replace(checkpoint(1), key_id="other"))
    assert await kept.add_checkpoint(checkpoint(2))
    assert await kept.newest_checkpoint() == checkpoint(2)
    assert await kept.checkpoints(0, 10) == [checkpoint(1), checkpoint(2)]
    assert await kept.checkpoints(1, 10) == [checkpoint(2)]
    assert await kept.prune_checkpoints(2, 10) == 1
    assert await kept.checkpoints(0, 10) == [checkpoint(2)]


async def test_pruning_leaves_the_end_of_a_chain(store):
    """A chain loses its oldest rows in batches, never its last, and its writer goes on from there."""
    for _ in range(5):
        await store.deployment.record(unit(organisation_id=None))
    [chain] = await store.deployment.audit_chains()
    pruned = [await store.upkeep.prune_audit(chain, 99, 3) for _ in range(3)]
    assert pruned == [3, 1, 0]
    await store.deployment.record(unit(organisation_id=None))
    rows = await store.deployment.audit_rows(chain=chain)
    assert [row.seq for row in rows] == [5, 6]
    assert rows[1].prev_hash == rows[0].row_hash


# --- errands ---


async def test_an_errand_that_fails_is_alone(shared):
    """HT-09: an errand that breaks is told so and undone, and requests beside it are written."""
    store = await open_file(shared)

    def broken(connection):
        connection.exec_driver_sql("INSERT INTO lease VALUES ('x', 'y', 0, NULL, 0, '')")
        raise OSError("power")

    beside = [store.deployment.record(unit(organisation_id=None)) for _ in range(20)]
    failed, *outcomes = await asyncio.gather(store.recorder.errand(broken), *beside, return_exceptions=True)
    assert isinstance(failed, Unavailable)
    assert outcomes == [Recorded()] * 20
    assert await store.upkeep.leases() == []
    await store.deployment.record(unit(Add(organisation()), organisation_id=ACME))
    await store.close()
    with pytest.raises(Unavailable):
        await store.upkeep.lease("keys", "a", NOW, NOW + MINUTE)
