"""Jobs: due when they should be, one process at a time, and never stopped by one another."""

import asyncio
import secrets
from datetime import timedelta

import pytest

from contract.store_kit import PlainSealer
from harness import HandClock
from keyturn.core.clock_watch import ClockMark, ClockWatch
from keyturn.core.errors import OperatorError
from keyturn.core.upkeep_ports import JobRun
from keyturn.storage.memory import MemoryStore
from keyturn.upkeep import scheduler as scheduler_module
from keyturn.upkeep.schedule import Job, due_at, is_due
from keyturn.upkeep.scheduler import Scheduler

HOUR = timedelta(hours=1)


class Node:
    """A process with one job, on a store that others share."""

    def __init__(self, store, clock, name="a", every=HOUR):
        self.store = store
        self.clock = clock
        self.ran = []
        self.started = asyncio.Event()
        self.error = None
        self.gate = None
        self.watch = ClockWatch()
        self.scheduler = Scheduler(
            [Job("job", every, self.work)], (), store.upkeep, clock, self.watch, holder=name
        )

    async def work(self, now):
        self.ran.append(now)
        self.started.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return "done"


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def store(clock):
    return MemoryStore(PlainSealer(), clock, secrets.token_bytes)


async def test_a_job_runs_when_it_is_due(store, clock):
    """A job runs at first sight, then not before its time, and its run is told."""
    node = Node(store, clock)
    for _ in range(3):
        await node.scheduler.do_jobs()
    assert len(node.ran) == 1
    [state] = await node.scheduler.states()
    assert (state.holder, state.last.outcome, state.due_at) == (None, "done", node.ran[0] + HOUR)
    clock.advance(3600)
    await node.scheduler.do_jobs()
    assert len(node.ran) == 2


async def test_of_two_processes_one_runs_a_job(store, clock):
    """Of two processes one runs a due job while the other passes it by, and it is not due again after."""
    one, other = Node(store, clock, "one"), Node(store, clock, "other")
    one.gate = asyncio.Event()
    running = asyncio.create_task(one.scheduler.do_jobs())
    await one.started.wait()
    await other.scheduler.do_jobs()
    with pytest.raises(OperatorError, match="another process"):
        await other.scheduler.run_now("job")
    one.gate.set()
    await running
    await other.scheduler.do_jobs()
    assert (len(one.ran), len(other.ran)) == (1, 0)


async def test_a_job_that_waits_for_others_runs_beside(store, clock, monkeypatch):
    """A job that waits for somebody outside holds up no other; a stop ends it and gives its lease back."""
    monkeypatch.setattr(scheduler_module, "QUIET_SECONDS", 0.0)
    waiting, done = asyncio.Event(), asyncio.Event()

    async def wait(_now):
        waiting.set()
        await asyncio.Event().wait()

    async def work(_now):
        await waiting.wait()
        done.set()
        return "done"

    jobs = [Job("outside", HOUR, wait, beside=True), Job("inside", HOUR, work)]
    scheduler = Scheduler(jobs, (), store.upkeep, clock, ClockWatch(), holder="a")
    async with asyncio.timeout(30), scheduler.running():
        await done.wait()
    held = {state.name: state.holder for state in await scheduler.states()}
    assert held["outside"] is None


async def test_a_process_that_read_too_early_does_not_repeat_a_job(store, clock):
    """Who decided on what it read before another's run sees that run when it gets the lease."""
    one, other = Node(store, clock, "one"), Node(store, clock, "other")
    await one.scheduler.do_jobs()
    assert await other.scheduler._run(other.scheduler._jobs["job"], clock.now()) is None
    assert other.ran == []


async def test_the_lease_of_a_dead_process_runs_out(store, clock):
    """A job whose holder died is taken over when the lease is over, and not before."""
    node = Node(store, clock)
    now = clock.now()
    await store.upkeep.lease("job", "dead", now, now + scheduler_module.LEASE)
    await node.scheduler.do_jobs()
    assert node.ran == []
    clock.advance(scheduler_module.LEASE.total_seconds())
    await node.scheduler.do_jobs()
    assert len(node.ran) == 1


async def test_a_failure_is_counted_and_tried_again_ever_later(store, clock):
    """A failed job is told with the kind of error only, tried again soon, then later, then as planned."""
    node = Node(store, clock)
    node.error = ValueError("a secret")
    waits = []
    for _ in range(9):
        await node.scheduler.do_jobs()
        [state] = await node.scheduler.states()
        waits.append((state.due_at - clock.now()).total_seconds())
        clock.advance(waits[-1])
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert state.last.outcome == "failed: ValueError"
    assert node.scheduler.figures()["job"][2] == 9
    node.error = None
    await node.scheduler.do_jobs()
    assert (await node.scheduler.states())[0].last.failures == 0


async def test_no_job_runs_on_a_clock_that_was_set_back(store, clock):
    """RE-07: while the clock may not be trusted nothing is cleaned, rotated or signed, by command neither."""
    node = Node(store, clock)
    node.watch.follow(ClockMark(newest_at=clock.now() + HOUR))
    await node.scheduler.do_jobs()
    with pytest.raises(OperatorError, match="clock accept"):
        await node.scheduler.run_now("job")
    assert node.ran == []


async def test_a_lost_lease_stops_the_job_and_nothing_else(store, clock, monkeypatch):
    """A job whose lease has gone to another process is stopped; the scheduler goes on."""
    monkeypatch.setattr(scheduler_module, "RENEW_SECONDS", 0.001)
    node = Node(store, clock)
    node.gate = asyncio.Event()
    running = asyncio.create_task(node.scheduler.do_jobs())
    await node.started.wait()
    clock.advance(3600)
    assert await store.upkeep.lease("job", "thief", clock.now(), clock.now() + HOUR / 6) is not None
    await running
    assert (await store.upkeep.leases())[0].holder == "thief"


async def test_a_stop_releases_the_lease(store, clock, monkeypatch):
    """RE-03: a server that stops in the middle of a job gives the lease back at once."""
    monkeypatch.setattr(scheduler_module, "QUIET_SECONDS", 0)
    node = Node(store, clock)
    node.gate = asyncio.Event()
    async with node.scheduler.running():
        await node.started.wait()
    [lease] = await store.upkeep.leases()
    assert not lease.held(clock.now())
    assert lease.last is None


async def test_an_unknown_job(store, clock):
    """A job that does not exist is named with those that do."""
    with pytest.raises(OperatorError, match="there is job"):
        await Node(store, clock).scheduler.run_now("jobs")


def test_a_run_in_the_future_does_not_stop_a_job():
    """RE-07: a run told by a clock that has been set back since does not keep its job from running."""
    job, now = Job("job", HOUR, None), HandClock().now()
    assert not is_due(job, JobRun(ran_at=now, failures=0, outcome=""), now + HOUR / 2)
    assert is_due(job, JobRun(ran_at=now + 9 * HOUR, failures=0, outcome=""), now)
    assert due_at(job, None) is None
