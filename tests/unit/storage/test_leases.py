"""Leased limits of a process whose store hangs."""

import asyncio

from contract.limits_kit import HandClock, rates, tag, take
from keyturn.core.errors import Unavailable
from keyturn.core.limits import Rate
from keyturn.core.vocabulary import Reason
from keyturn.storage.leases import SharedLimits

COUNTERS = 20


class Hanging:
    """A store that answers nobody; those who hurry give up once all of them are waiting."""

    def __init__(self):
        self.hurrying = 0
        self.all_there = asyncio.Event()
        self.left = 0

    def leave(self, _job, _then):
        self.left += 1

    async def hurry(self, _future):
        self.hurrying += 1
        if self.hurrying == COUNTERS:
            self.all_there.set()
        await self.all_there.wait()
        raise Unavailable(Reason.STORE_UNAVAILABLE)

    async def close(self):
        pass


async def test_a_stop_waits_once_however_many_counters_hang():
    """RE-03: at a stop a store that hangs is waited for once, and not for each counter that asks it."""
    clock, store = HandClock(), Hanging()
    rate = Rate(per_minute=6_000, burst=100)
    limits = SharedLimits(rates(client=rate), store, tag, clock, asyncio.get_running_loop())
    for number in range(COUNTERS):
        for _ in range(6):
            assert (await take(limits, clock, f"client:{number}")).admitted
    assert store.left == COUNTERS
    async with asyncio.timeout(5):
        await limits.close()
    assert store.hurrying == COUNTERS
