"""The limits' contract: one suite for every store, and what only shared ones promise."""

import asyncio
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contract import limits_kit
from contract.limits_kit import HandClock, admitted, rates, tag, take
from contract.store_kit import open_at, open_file
from contract.stranger import Stranger
from contract.test_store_on_disk import eventually
from keyturn.core.errors import Unavailable
from keyturn.core.limits import Rate, Taken
from keyturn.storage.leases import LEASE_SECONDS

SMALL = Rate(per_minute=60, burst=5)
LARGE = Rate(per_minute=6000, burst=50)


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
async def store(place, clock):
    """An open, empty store of each kind, on a clock that a test moves."""
    made = await open_at(place, clock)
    yield made
    await made.close()


async def while_admitted(limits, clock, key):
    """Take places until the store is needed, which is away."""
    while True:
        try:
            yield await take(limits, clock, key)
        except Unavailable:
            return


# --- every store ---


@pytest.mark.parametrize("rate", [SMALL, LARGE])
async def test_burst_then_rate(store, clock, rate):
    """RL-01: as many as the burst come at once, then none, then as many as time allows."""
    limits = store.limits(rates(client=rate), tag)
    assert await admitted(limits, clock, 3 * rate.burst, "client:a") == rate.burst
    refused = await take(limits, clock, "client:a")
    assert (refused.kind, refused.admitted, refused.remaining) == ("client", False, 0)
    assert refused.seconds == pytest.approx(60 / rate.per_minute)
    clock.seconds += 180 / rate.per_minute
    assert await admitted(limits, clock, 9, "client:a") == 3


@pytest.mark.parametrize("rate", [SMALL, LARGE])
async def test_counters_are_apart(store, clock, rate):
    """TN-04: a client and an organisation that use up their own limits take nothing of another's."""
    limits = store.limits(rates(client=rate, organisation=rate), tag)
    noisy = ("address:192.0.2.1", "client:a", "organisation:a")
    quiet = ("address:192.0.2.1", "client:b", "organisation:b")
    await admitted(limits, clock, 10 * rate.burst, *noisy)
    assert not (await take(limits, clock, *noisy)).admitted
    assert await admitted(limits, clock, rate.burst, *quiet) == rate.burst


@pytest.mark.parametrize("rate", [SMALL, LARGE])
@pytest.mark.parametrize("other", [SMALL, LARGE])
async def test_all_or_none(store, clock, rate, other):
    """TN-04: a request that one counter refuses takes no place of another, whichever of them are leased."""
    limits = store.limits(rates(address=rate, organisation=other), tag)
    await admitted(limits, clock, 10 * other.burst, "organisation:a")
    refused = ("address:192.0.2.1", "organisation:a")
    assert await admitted(limits, clock, 10 * rate.burst, *refused) == 0
    assert (await take(limits, clock, *refused)).kind == "organisation"
    assert await admitted(limits, clock, rate.burst, "address:192.0.2.1") == rate.burst


async def test_the_tightest_is_told(store, clock):
    """A caller is told of the counter that leaves the least room."""
    limits = store.limits(rates(client=Rate(60, 5), organisation=Rate(60, 3)), tag)
    taken = await take(limits, clock, "address:192.0.2.1", "client:a", "organisation:a")
    assert taken == Taken("organisation", admitted=True, remaining=2, seconds=1.0)


async def test_a_clock_that_jumps_back_keeps_nobody_out(store, clock):
    """RE-07: after an hour's jump back a caller waits a minute and a burst at most."""
    limits = store.limits(rates(client=SMALL), tag)
    await admitted(limits, clock, 9, "client:a")
    monotonic = clock.monotonic() + 90
    clock.seconds -= 3600
    clock.monotonic = lambda: monotonic
    await take(limits, clock, "client:a")
    monotonic += 70
    clock.seconds += 70
    assert (await take(limits, clock, "client:a")).admitted


# --- shared ones ---


@pytest.mark.parametrize("rate", [SMALL, LARGE])
async def test_two_processes_share(shared, clock, rate):
    """RE-08 and RL-01: two processes together admit what one would, and a lease's worth more at most."""
    stores = [await open_file(shared, clock) for _ in range(2)]
    both = [store.limits(rates(client=rate), tag) for store in stores]
    total = 0
    for _ in range(3 * rate.burst):
        for limits in both:
            total += (await take(limits, clock, "client:a")).admitted
    assert rate.burst <= total <= 1.1 * rate.burst
    for store in stores:
        await store.close()


async def test_what_is_not_used_comes_back(shared, clock):
    """A process that stops gives back what it leased and did not spend."""
    first, second = [await open_file(shared, clock) for _ in range(2)]
    assert await admitted(first.limits(rates(client=LARGE), tag), clock, 20, "client:a") == 20
    await first.close()
    assert await admitted(second.limits(rates(client=LARGE), tag), clock, 100, "client:a") == 30
    await second.close()


async def test_common_requests_pay_no_trip(shared, clock):
    """Requests below a large limit are answered at once, the first of a caller too."""
    store = await open_file(shared, clock)
    limits = store.limits(rates(client=Rate(60_000, 10_000)), tag)
    for number in range(100):
        key = f"client:{number % 10}"
        assert isinstance(limits.take(("address:192.0.2.1", key), clock.monotonic()), Taken)
    await store.close()


async def test_a_flood_over_the_limit_costs_the_store_nothing(shared, clock):
    """TN-04 and RE-10: what was refused a moment ago is refused from memory."""
    store = await open_file(shared, clock)
    limits = store.limits(rates(client=SMALL), tag)
    await admitted(limits, clock, 10, "client:a")
    for _ in range(100):
        taken = limits.take(("client:a",), clock.monotonic())
        assert isinstance(taken, Taken)
        assert not taken.admitted
    await store.close()


async def test_names_are_not_at_rest(tmp_path, clock):
    """No file of the store holds an address or an id that was counted."""
    store = await open_file(tmp_path / "keyturn.db", clock)
    limits = store.limits(rates(address=SMALL), tag)
    await take(limits, clock, "address:203.0.113.77")
    for each in tmp_path.iterdir():
        assert b"203.0.113.77" not in each.read_bytes()
    await store.close()


async def test_while_the_store_is_away(shared, clock):
    """HT-09: what was leased may be used up, nothing new is leased, and it works again by itself."""
    store = await open_file(shared, clock, patience_seconds=0.5)
    limits = store.limits(rates(client=LARGE), tag)
    assert await admitted(limits, clock, 20, "client:a") == 20
    with Stranger(shared) as stranger:
        stranger.begin()
        left = [taken async for taken in while_admitted(limits, clock, "client:a")]
        assert 0 < len(left) < LARGE.burst - 20
        assert await eventually(lambda: refused(limits, clock), 10)
        stranger.say("ROLLBACK")
    clock.seconds += LEASE_SECONDS + 60
    assert (await take(limits, clock, "client:a")).admitted
    assert (await take(limits, clock, "client:b")).admitted
    await store.close()


async def refused(limits, clock):
    """Tell whether somebody new is refused for want of the store: it has to be known to be away."""
    try:
        await take(limits, clock, f"client:{secrets.token_hex(4)}")
    except Unavailable:
        return True
    return False


async def test_finished_counters_are_dropped(shared, clock):
    """The table holds only counters that still count for something."""
    store = await open_file(shared, clock)
    limits = store.limits(rates(client=SMALL), tag)
    for number in range(20):
        await take(limits, clock, f"client:{number}")
    clock.seconds += 120
    await take(limits, clock, "client:last")
    with Stranger(shared) as stranger:
        assert stranger.say("SELECT count(*) FROM limit_cell")[0][0] <= 1
    await store.close()


def start(place, rate, seconds):
    """Start the kit as a process of its own, with this process's import paths."""
    kit = Path(limits_kit.__file__)
    paths = os.pathsep.join(filter(None, [str(kit.parents[1]), *sys.path]))
    return subprocess.Popen(
        [sys.executable, str(kit), str(place), str(rate.per_minute), str(rate.burst), str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("rate", [Rate(6000, 100), Rate(300, 20)])
async def test_two_real_processes(shared, rate):
    """RE-08: two processes that flood one client's limit are admitted its figure, give or take a tenth."""
    seconds = 5.0
    await (await open_file(shared, limits_kit.SystemClock())).close()
    flooding = [start(shared, rate, seconds) for _ in range(2)]
    for process in flooding:
        await asyncio.to_thread(process.stdout.readline)
    began = time.monotonic()
    for process in flooding:
        process.stdin.write("go\n")
        process.stdin.flush()
    texts = await asyncio.gather(*(asyncio.to_thread(process.communicate) for process in flooding))
    took = time.monotonic() - began
    counts = [int(out) for out, _ in texts]
    figure = rate.burst + rate.per_minute * seconds / 60
    assert sum(counts) <= 1.1 * (rate.burst + rate.per_minute * took / 60)
    assert sum(counts) >= 0.7 * figure
    assert min(counts) > 0
