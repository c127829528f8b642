"""Deleting in short batches with pauses, so that requests never wait for it."""

import asyncio
from collections.abc import Awaitable, Callable

BATCH = 500
"""Rows of one transaction: a few milliseconds on the writer's thread."""
PAUSE_SECONDS = 0.05

Delete = Callable[[int], Awaitable[int]]
"""Deletes at most so many and tells how many it were."""


async def delete_in_batches(delete: Delete, pause_seconds: float, most: int | None = None) -> int:
    """Delete until nothing is left, or about ``most`` are gone; tell how many."""
    total = 0
    while most is None or total < most:
        count = await delete(BATCH)
        total += count
        if count < BATCH:
            break
        await asyncio.sleep(pause_seconds)
    return total
