"""Limits to ask and a clock to move, shared by the limits' tests; also run as a process of its own.

``python limits_kit.py PATH PER_MINUTE BURST SECONDS`` says ready, waits for a line, takes places of one
client as fast as it is given any, and prints how many it was admitted.
"""

import asyncio
import hashlib
import secrets
import sys
import time
from collections.abc import Awaitable
from datetime import timedelta

from contract.store_kit import NOW, PlainSealer
from keyturn.core.clock import SystemClock
from keyturn.core.limits import Rate
from keyturn.storage import open_store

PLENTY = Rate(1_000_000_000, 1_000_000_000)


def tag(message):
    """Digest as every process of the tests does."""
    return hashlib.sha256(message).digest()


class HandClock:
    """A clock that stands still until a test moves it; read by threads too."""

    def __init__(self):
        self.seconds = 0.0

    def now(self):
        return NOW + timedelta(seconds=self.seconds)

    def monotonic(self):
        return 1000.0 + self.seconds


def rates(**chosen):
    """Put every limit out of the way but the chosen ones."""
    return dict.fromkeys(("client", "user", "address", "organisation"), PLENTY) | chosen


async def take(limits, clock, *keys):
    """Take one place, whether the answer comes at once or later."""
    taken = limits.take(keys, clock.monotonic())
    return await taken if isinstance(taken, Awaitable) else taken


async def admitted(limits, clock, times, *keys):
    """Count how many of some requests are admitted."""
    return sum([(await take(limits, clock, *keys)).admitted for _ in range(times)])


async def flood(path, rate, seconds):
    """Take places as fast as they are given."""
    clock = SystemClock()
    store = await open_store(path, PlainSealer(), clock, secrets.token_bytes, create=True)
    limits = store.limits(rates(client=rate), tag)
    print("ready", flush=True)  # noqa: T201  # how the parent knows
    sys.stdin.readline()
    until = time.monotonic() + seconds

    async def lane():
        count = 0
        while time.monotonic() < until:
            taken = await take(limits, clock, "client:one", "address:192.0.2.1")
            count += taken.admitted
            await asyncio.sleep(0 if taken.admitted else 0.001)
        return count

    counts = await asyncio.gather(*(lane() for _ in range(4)))
    await store.close()
    print(sum(counts), flush=True)  # noqa: T201  # the answer


if __name__ == "__main__":
    _, where, per_minute, burst, duration = sys.argv
    asyncio.run(flood(where, Rate(int(per_minute), int(burst)), float(duration)))
