"""Cleaning, and a clock that is set while it runs."""

from datetime import UTC, datetime, timedelta

import pytest

from keyturn.core.clock_watch import ClockMark
from keyturn.upkeep import batches
from keyturn.upkeep.batches import Pace
from keyturn.upkeep.cleaning import Cleaning

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MONTH = timedelta(days=30)


class Tables:
    """Two tables without end, and a clock that is set after some batches."""

    cleaners = ("one", "other")

    def __init__(self, stepped_at, after):
        self.stepped_at = stepped_at
        self.after = after
        self.batches = 0
        self.deleted = 0

    async def sweep(self, cleaner, now, limit):
        self.batches += 1
        self.deleted += limit
        return limit

    async def clock_mark(self):
        return ClockMark(newest_at=NOW, stepped_at=self.stepped_at if self.batches >= self.after else None)


@pytest.mark.parametrize("stepped_at", [NOW, NOW - MONTH, NOW + MONTH])
async def test_a_step_ends_a_run_that_is_under_way(stepped_at):
    """RE-07: each batch asks again, so a step noted meanwhile, either way, ends the run everywhere."""
    tables = Tables(stepped_at, after=3)
    assert await Cleaning(tables, tables, Pace(0)).work(NOW) == f"deleted {tables.deleted} of one"
    assert tables.batches == 3


async def test_no_table_keeps_the_others_waiting_for_long(monkeypatch):
    """On a slow disk each table has some minutes, and other jobs their turn; the next run goes on."""
    monkeypatch.setattr(batches, "LONGEST_PAUSE_SECONDS", 0.0)
    tables, passed = Tables(None, after=0), iter(range(0, 10_000, 100))
    told = await Cleaning(tables, tables, Pace(0, lambda: float(next(passed)))).work(NOW)
    assert 2 <= tables.batches < 20
    assert " of one, " in told
    assert told.endswith(" of other")
