"""Leased limits under any schedule: whatever processes ask when, a minute admits its figure and a tenth."""

import asyncio
from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from contract.limits_kit import HandClock, rates, tag, take
from keyturn.core.limits import Rate
from keyturn.storage.cells import _carry_out
from keyturn.storage.leases import SharedLimits

RATE = Rate(per_minute=600, burst=60)
LARGE = Rate(per_minute=24_000, burst=600)
"""Of this two places a lease are not booked."""
PROCESSES = 3

STEPS = st.lists(
    st.tuples(
        st.integers(0, PROCESSES - 1),
        st.sampled_from([1, 2, 5, 30, 200]),
        st.sampled_from([0, 0.05, 0.5, 1.9, 2.1, 7, 30]),
    ),
    max_size=60,
)


class Store:
    """A shared store that answers at once, as the thread of each process would."""

    def __init__(self, clock):
        self.clock = clock
        self.arrivals = {}

    def _write(self, job):
        return _carry_out(job, self.arrivals, int(self.clock.monotonic() * 1e9))

    def leave(self, job, then):
        then(self._write(job))

    async def hurry(self, future):
        return await future

    async def close(self):
        pass


@given(STEPS)
def test_no_minute_admits_too_many(steps):
    """RE-08: of any minute, three processes together admit at most 110 % of rate and burst."""
    asyncio.run(check(steps, RATE))


@given(STEPS)
def test_no_minute_admits_too_many_in_trifles(steps):
    """RE-08: nor where a lease of which hardly anything was used is not booked."""
    asyncio.run(check([(number, times, pause) for number, times, pause in steps], LARGE))


async def check(steps, rate):
    clock = HandClock()
    store = Store(clock)
    loop = asyncio.get_running_loop()
    processes = [SharedLimits(rates(client=rate), store, tag, clock, loop) for _ in range(PROCESSES)]
    admitted = []
    for number, times, pause in steps:
        answers = [await take(processes[number], clock, "client:a") for _ in range(times)]
        admitted += [clock.seconds for answer in answers if answer.admitted]
        clock.seconds += pause
    for index, begin in enumerate(admitted):
        in_a_minute = bisect_left(admitted, begin + 60) - index
        assert in_a_minute <= 1.1 * (rate.per_minute + rate.burst)
    for each in processes:
        await each.close()


@given(STEPS)
def test_nothing_is_lost(steps):
    """RL-01: once all processes have stopped, the store has counted each admitted request and no other."""
    asyncio.run(check_books(steps))


async def check_books(steps):
    clock = HandClock()
    store = Store(clock)
    loop = asyncio.get_running_loop()
    plenty = Rate(per_minute=60_000, burst=1_000_000)
    processes = [SharedLimits(rates(client=plenty), store, tag, clock, loop) for _ in range(PROCESSES)]
    total = 0
    for number, times, _ in steps:
        total += sum([(await take(processes[number], clock, "client:a")).admitted for _ in range(times)])
    for each in processes:
        await each.close()
    used = (max(store.arrivals.values(), default=0) - int(clock.monotonic() * 1e9)) // plenty.spacing
    assert (used if total else 0) == total == sum(times for _, times, _ in steps)


def test_many_processes_keep_nothing_for_later():
    """RE-08: twenty processes that were busy half a minute ago hold nothing that a flood could spend now."""
    asyncio.run(check_hoarding())


async def check_hoarding():
    clock = HandClock()
    store = Store(clock)
    loop = asyncio.get_running_loop()
    processes = [SharedLimits(rates(client=RATE), store, tag, clock, loop) for _ in range(20)]
    for limits in processes:
        for _ in range(12):
            await take(limits, clock, "client:a")
        clock.seconds += 1.5
    clock.seconds += 20
    admitted = 0
    for _ in range(59):
        for limits in processes:
            answers = [await take(limits, clock, "client:a") for _ in range(30)]
            admitted += sum(answer.admitted for answer in answers)
        clock.seconds += 1
    assert admitted <= 1.1 * (RATE.per_minute + RATE.burst)
    for each in processes:
        await each.close()


def test_who_comes_seldom_costs_no_write():
    """RE-08: a caller that uses next to nothing of a large limit is booked nowhere; one that uses more is."""
    asyncio.run(check_seldom())


async def check_seldom():
    clock = HandClock()
    store = Store(clock)
    limits = SharedLimits(rates(client=LARGE), store, tag, clock, asyncio.get_running_loop())
    for times, booked in ((2, 0), (3, 1)):
        for _ in range(times):
            assert (await take(limits, clock, "client:a")).admitted
        clock.seconds += 2.1
        await take(limits, clock, "client:a")  # begins another lease, and ends that one
        clock.seconds += 2.1
        assert len(store.arrivals) == booked
    await limits.close()
