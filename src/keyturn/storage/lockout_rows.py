"""Failures in a row as SQL rows, a batch of attempts to a transaction (``lockout.py`` has the steps)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select

from keyturn.core.clock import Clock
from keyturn.core.lockout import DEVICE_KNOWN, KEPT_AFTER_FAILURE, LockoutTicket, Strikes
from keyturn.storage.batches import Batches
from keyturn.storage.lockout import (
    CLEAN_ROWS,
    ROWS_LIMIT,
    Attempt,
    Clearing,
    Count,
    Job,
    Success,
    Tag,
    carry_out,
    let_pass,
    make_ticket,
    name_key_of,
)
from keyturn.storage.schema import LOCKOUT

CLEAN_SECONDS = 30.0


class SqlShelf:
    """Rows in an open transaction."""

    def __init__(self, connection: Connection) -> None:
        """Work in a transaction that has the write lock."""
        self._connection = connection
        self.added = 0

    def find(self, key: bytes) -> Count | None:
        """Read a row."""
        row = self._connection.execute(select(LOCKOUT).where(LOCKOUT.c.key == key)).first()
        return None if row is None else _count_of(row)

    def put(self, count: Count) -> None:
        """Write a row in place of what was there."""
        replaced = self._connection.execute(LOCKOUT.delete().where(LOCKOUT.c.key == count.key)).rowcount
        self.added += 1 - replaced
        strikes = count.strikes
        self._connection.execute(
            LOCKOUT.insert().values(
                key=count.key,
                name_key=count.name_key,
                failures=strikes.failures,
                failed_at=strikes.failed_at,
                known_at=count.known_at,
            )
        )

    def of_name(self, name_key: bytes) -> Sequence[Count]:
        """Read all rows of a name."""
        rows = self._connection.execute(select(LOCKOUT).where(LOCKOUT.c.name_key == name_key))
        return [_count_of(row) for row in rows]

    def drop(self, keys: Sequence[bytes]) -> None:
        """Remove rows."""
        if keys:
            self._connection.execute(LOCKOUT.delete().where(LOCKOUT.c.key.in_(keys)))


def _count_of(row: Row[Any]) -> Count:
    return Count(row.key, row.name_key, Strikes(row.failures, row.failed_at), row.known_at)


class Lockouts:
    """Carries out batches of attempts (``batches.Batches``); used by one thread only."""

    def __init__(self, clock: Clock) -> None:
        """Clean up by a clock."""
        self._clock = clock
        self._clean_at = clock.monotonic() + CLEAN_SECONDS
        self._added = 0

    def write(self, connection: Connection, jobs: Sequence[Job]) -> Sequence[timedelta]:
        """Carry out jobs in their order."""
        shelf = SqlShelf(connection)
        waits = [carry_out(job, shelf) for job in jobs]
        self._added += shelf.added
        if self._added >= CLEAN_ROWS or self._clock.monotonic() >= self._clean_at:
            clean(connection, self._clock.now(), most=self._added + CLEAN_ROWS)
            self._clean_at = self._clock.monotonic() + CLEAN_SECONDS
            self._added = 0
        return waits


def clean(connection: Connection, now: datetime, limit: int = ROWS_LIMIT, most: int = CLEAN_ROWS) -> None:
    """Drop some of what is too old to count, and of what is too much.

    Args:
        most: More than was added since the last time, so that the table cannot outgrow its limit.
    """
    columns = LOCKOUT.c
    old = func.coalesce(columns.known_at, columns.failed_at) < now - max(KEPT_AFTER_FAILURE, DEVICE_KNOWN)
    _drop_some(connection, select(columns.key).where(old).limit(most))
    strangers = select(columns.key).where(columns.known_at.is_(None))
    excess = connection.execute(select(func.count()).select_from(strangers.subquery())).scalar_one() - limit
    if excess > 0:
        least = strangers.order_by(columns.failures, columns.failed_at).limit(min(excess, most))
        _drop_some(connection, least)


def _drop_some(connection: Connection, keys: Any) -> None:
    connection.execute(delete(LOCKOUT).where(LOCKOUT.c.key.in_(keys)))


class SharedLockout:
    """The port ``Lockout`` over a store that processes share."""

    def __init__(self, batches: Batches[Job, timedelta], tag: Tag) -> None:
        """Count by batches, under keyed digests."""
        self._batches = batches
        self._tag = tag

    async def admit(self, name: str, device: str, now: datetime) -> LockoutTicket:
        """Count an attempt as failed, before it is checked.

        Raises:
            SlowDown: Nothing may be checked now (Reason.LOCKED_OUT).
            Unavailable: It could not be counted, so nothing may be checked.
        """
        ticket = make_ticket(name, device, self._tag)
        let_pass(await self._batches.ask(Attempt(ticket, now)))
        return ticket

    async def succeeded(self, ticket: LockoutTicket, now: datetime) -> None:
        """Clear the count, and know the device from now on.

        Raises:
            Unavailable: It could not be recorded; the attempt stays counted.
        """
        await self._batches.ask(Success(ticket, now))

    async def clear(self, name: str) -> None:
        """Forget every failure of a name and its devices, for an operator.

        Raises:
            Unavailable: It could not be recorded.
        """
        await self._batches.ask(Clearing(name_key_of(name, self._tag)))

    async def close(self) -> None:
        """Count what waits, and stop."""
        await self._batches.close()
