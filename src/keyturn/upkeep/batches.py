"""Deleting in short batches with pauses, so that requests never wait for it.

What a row costs depends on its table, its indexes and the disk, so each batch says how large the next one is.
Who deletes rests twice as long as it worked: however slow the disk, the writer is mostly the requests'.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec

SMALLEST, BATCH, LARGEST = 100, 200, 1_000
"""Rows of one transaction: at the least, of the first, and at the most."""
HELD_SECONDS = 0.01
"""What a batch should take, waiting for its turn included."""
LONGEST_PAUSE_SECONDS = 0.25

Delete = Callable[[int], Awaitable[int]]
"""Deletes at most so many and tells how many it were."""


class Pace(msgspec.Struct, frozen=True):
    """How who deletes leaves room to requests.

    Args:
        pause_seconds: The shortest pause between two batches.
        monotonic: Times batches.
    """

    pause_seconds: float = 0.05
    monotonic: Callable[[], float] = time.monotonic


async def delete_in_batches(
    delete: Delete, pace: Pace, most: int | None = None, until: float | None = None
) -> int:
    """Delete until nothing is left, about ``most`` are gone or it is late; tell how many.

    Args:
        until: When to leave the rest, by the pace's clock: on a slow disk a number of rows bounds nothing,
            and other jobs wait.
    """
    total, size = 0, BATCH
    while most is None or total < most:
        began = pace.monotonic()
        if until is not None and began >= until:
            break
        count = await delete(size)
        took = pace.monotonic() - began
        total += count
        if count < size:
            break
        await asyncio.sleep(max(pace.pause_seconds, min(2 * took, LONGEST_PAUSE_SECONDS)))
        size = next_size(size, took)
    return total


def next_size(size: int, took: float) -> int:
    """Say how many rows take about as long as they should, if ``size`` rows took so many seconds."""
    fitting = size * HELD_SECONDS / max(took, HELD_SECONDS / 2)
    return round(max(SMALLEST, min(LARGEST, fitting)))
