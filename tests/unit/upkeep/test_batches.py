"""How much is deleted at a time: what fits into the time that requests may be kept waiting."""

import pytest

from keyturn.upkeep import batches
from keyturn.upkeep.batches import BATCH, HELD_SECONDS, LARGEST, SMALLEST, Pace, delete_in_batches, next_size


class Table:
    """A table whose rows take some time each to delete; it is its own clock."""

    def __init__(self, rows, seconds_a_row):
        self.rows = rows
        self.seconds_a_row = seconds_a_row
        self.now = 0.0
        self.sizes = []

    async def delete(self, limit):
        self.sizes.append(limit)
        gone = min(limit, self.rows)
        self.rows -= gone
        self.now += gone * self.seconds_a_row
        return gone

    def monotonic(self):
        return self.now


@pytest.fixture
def pauses(monkeypatch):
    """Skip pauses, and give how long they would have been."""
    taken = []

    async def sleep(seconds):
        taken.append(seconds)

    monkeypatch.setattr(batches.asyncio, "sleep", sleep)
    return taken


@pytest.mark.parametrize(
    ("seconds_a_row", "settled"), [(1e-7, LARGEST), (HELD_SECONDS / 250, 250), (1e-3, SMALLEST)]
)
async def test_a_batch_takes_as_long_as_it_should(pauses, seconds_a_row, settled):
    """RE-10: cheap rows go by the thousand, dear ones a few at a time, and in the end all are gone."""
    table = Table(20_000, seconds_a_row)
    assert await delete_in_batches(table.delete, Pace(0.01, table.monotonic)) == 20_000
    assert table.rows == 0
    assert set(table.sizes[4:]) == {settled}


async def test_pauses_are_longer_than_what_they_rest_from(pauses):
    """RE-10: a slow disk is rested from for longer, up to a bound, so that deleting goes on."""
    table = Table(1_000, 1e-3)
    await delete_in_batches(table.delete, Pace(0.01, table.monotonic))
    assert pauses[0] == batches.LONGEST_PAUSE_SECONDS
    assert pauses[1:] == pytest.approx([2 * SMALLEST * 1e-3] * len(pauses[1:]))
    table = Table(1_000, 0.0)
    del pauses[:]
    await delete_in_batches(table.delete, Pace(0.01, table.monotonic))
    assert set(pauses) == {0.01}


async def test_a_run_has_an_end(pauses):
    """What is more than a run may do is left, but for the rest of a batch."""
    table = Table(10_000, 0.0)
    assert BATCH <= await delete_in_batches(table.delete, Pace(0, table.monotonic), 300) < 300 + LARGEST


async def test_a_run_has_an_end_on_a_slow_disk(pauses):
    """Time ends a run as well: other jobs wait for it, and a slow disk takes hours for a million rows."""
    table = Table(10_000, 1e-2)
    gone = await delete_in_batches(table.delete, Pace(0, table.monotonic), 10_000, until=5.0)
    assert gone == 10_000 - table.rows
    assert 5.0 <= table.now < 5.0 + BATCH * 1e-2
    assert await delete_in_batches(table.delete, Pace(0, table.monotonic), until=5.0) == 0


def test_one_hiccup_does_not_stop_deleting():
    """However long a batch took, the next one is not smaller than the smallest."""
    assert next_size(SMALLEST, 5.0) == SMALLEST
    assert next_size(LARGEST, 0.0) == LARGEST
