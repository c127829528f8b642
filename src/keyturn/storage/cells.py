"""The counters that processes share: one row each, a batch of wishes carried out by two statements.

A counter's name is kept as a keyed digest only, because an address is a person's (docs/storage.md). Time is
the wall clock, the only one that processes share; ``limits.grant`` bounds what a step of it can do.
"""

from collections.abc import Iterator, Sequence

import msgspec
from sqlalchemy import Connection, bindparam, select, text

from keyturn.core.clock import Clock
from keyturn.core.limits import Grant, Rate, grant
from keyturn.storage.schema import LIMIT_CELL, micros

CHUNK = 500
"""Names to a statement: SQLite takes 32,766 parameters, older ones 999."""
CLEAN_SECONDS = 30.0
CLEAN_ROWS = 1000

_READ = select(LIMIT_CELL.c.name, LIMIT_CELL.c.arrival).where(
    LIMIT_CELL.c.name.in_(bindparam("names", expanding=True))
)
_WRITE = text(
    "INSERT INTO limit_cell (name, arrival) VALUES (:name, :arrival)"
    " ON CONFLICT (name) DO UPDATE SET arrival = excluded.arrival"
)
_CLEAN = text(
    "DELETE FROM limit_cell WHERE name IN (SELECT name FROM limit_cell WHERE arrival < :now LIMIT :rows)"
)


class Wish(msgspec.Struct, frozen=True):
    """Places wanted in one counter.

    Args:
        name: Its keyed digest.
        owed: Places to book whatever the room; negative to give back.
    """

    name: bytes
    rate: Rate
    wanted: int = 1
    owed: int = 0


class Wishes(msgspec.Struct, frozen=True):
    """What one asker wants.

    Args:
        whole: Grant a place in each counter, or keep none of them.
    """

    wishes: tuple[Wish, ...]
    whole: bool = False


class Cells:
    """Carries out batches of wishes (``batches.Batches``); used by one thread only."""

    def __init__(self, clock: Clock) -> None:
        """Date by a clock."""
        self._clock = clock
        self._clean_at = clock.monotonic() + CLEAN_SECONDS
        self._added = 0

    def write(self, connection: Connection, jobs: Sequence[Wishes]) -> Sequence[tuple[Grant, ...]]:
        """Carry out wishes in their order."""
        now = micros(self._clock.now()) * 1000
        names = sorted({wish.name for job in jobs for wish in job.wishes})
        arrivals = dict(_read(connection, names))
        before = dict(arrivals)
        grants = [_carry_out(job, arrivals, now) for job in jobs]
        changed = [
            {"name": name, "arrival": arrival}
            for name, arrival in arrivals.items()
            if before.get(name) != arrival
        ]
        if changed:
            connection.execute(_WRITE, changed)
        self._added += len(arrivals.keys() - before.keys())
        if self._added >= CLEAN_ROWS or self._clock.monotonic() >= self._clean_at:
            # More than was added, so that the table cannot outgrow the counters that are in use.
            connection.execute(_CLEAN, {"now": now, "rows": self._added + CLEAN_ROWS})
            self._clean_at = self._clock.monotonic() + CLEAN_SECONDS
            self._added = 0
        return grants


def _read(connection: Connection, names: Sequence[bytes]) -> Iterator[tuple[bytes, int]]:
    for start in range(0, len(names), CHUNK):
        for row in connection.execute(_READ, {"names": names[start : start + CHUNK]}):
            yield row.name, row.arrival


def _carry_out(job: Wishes, arrivals: dict[bytes, int], now: int) -> tuple[Grant, ...]:
    grants = tuple(
        grant(arrivals.get(wish.name, 0), now, wish.rate, wanted=wish.wanted, owed=wish.owed)
        for wish in job.wishes
    )
    refused = job.whole and any(not each.places for each in grants)
    for wish, each in zip(job.wishes, grants, strict=True):
        # One that is refused may still have been brought back from beyond what a clock's jump left there.
        if not (refused and each.places):
            arrivals[wish.name] = each.arrival
    return grants
