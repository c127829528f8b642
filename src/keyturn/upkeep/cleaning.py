"""Deletes what expired. Which tables that are, each store's list of cleaners says."""

from datetime import datetime
from functools import partial

import msgspec

from keyturn.core.upkeep_ports import Cleaners, ClockStore
from keyturn.upkeep.batches import Pace, delete_in_batches

MOST_ROWS = 1_000_000
"""Of one table in one run, minutes of short batches: what is more waits for the next, after other jobs."""
LONGEST_SECONDS = 480.0
"""For one table in one run, where the disk is slow: keys are to be rotated and checkpoints signed as well."""


class Cleaning(msgspec.Struct, frozen=True):
    """The job ``clean``."""

    cleaners: Cleaners
    clock: ClockStore
    pace: Pace = Pace()

    async def work(self, now: datetime) -> str:
        """Sweep every table; nothing within an hour of a step of the clock, nor once one is noted (RE-07)."""
        mark = await self.clock.clock_mark()
        if mark is not None and not mark.settled(now):
            return "waits: the clock was set less than an hour ago"
        before = mark.stepped_at if mark is not None else None
        counts = {
            name: await delete_in_batches(
                partial(self._sweep, name, now, before),
                self.pace,
                MOST_ROWS,
                self.pace.monotonic() + LONGEST_SECONDS,
            )
            for name in self.cleaners.cleaners
        }
        told = ", ".join(f"{count} of {name}" for name, count in counts.items() if count)
        return f"deleted {told or 'nothing'}"

    async def _sweep(self, cleaner: str, now: datetime, before: datetime | None, limit: int) -> int:
        """Delete a batch, unless a step was noted since the run began: then ``now`` itself is in doubt."""
        mark = await self.clock.clock_mark()
        if mark is not None and mark.stepped_at != before:
            return 0
        return await self.cleaners.sweep(cleaner, now, limit)
