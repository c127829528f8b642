"""Failures in a row, kept where every process counts them: the same steps for every store, over few moves.

A row is kept under a keyed digest, so no name and no address is at rest: a guess at names cannot even be
tried on a stolen copy. Names that nobody has take rows like those that somebody has; a full table drops the
counts that say least, so filling it with made-up names does not free a name under attack.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from keyturn.core.errors import SlowDown
from keyturn.core.lockout import (
    DEVICE_KNOWN,
    DEVICES_KEPT,
    KNOWN_DEVICE,
    STRANGERS,
    LockoutTicket,
    Strikes,
)
from keyturn.core.vocabulary import Reason

ROWS_LIMIT = 100_000
"""Names that are counted at once; beyond it those with the fewest failures go first, the oldest of them."""
CLEAN_ROWS = 1000

Tag = Callable[[bytes], bytes]
"""Gives a keyed digest; the same in every process of a deployment."""


class Count(msgspec.Struct, frozen=True):
    """One row: what strangers failed at a name, or what one of its known devices did.

    Args:
        key: Equal to ``name_key`` for the strangers' row.
        known_at: The last success from this device; None for the strangers' row.
    """

    key: bytes
    name_key: bytes
    strikes: Strikes = Strikes()
    known_at: datetime | None = None


class Shelf(Protocol):
    """A store's rows inside one transaction."""

    def find(self, key: bytes) -> Count | None:
        """Read a row."""
        ...

    def put(self, count: Count) -> None:
        """Write a row in place of what was there."""
        ...

    def of_name(self, name_key: bytes) -> Sequence[Count]:
        """Read all rows of a name."""
        ...

    def drop(self, keys: Sequence[bytes]) -> None:
        """Remove rows."""
        ...


class Attempt(msgspec.Struct, frozen=True):
    """Somebody wants to be checked."""

    ticket: LockoutTicket
    now: datetime


class Success(msgspec.Struct, frozen=True):
    """The check was passed."""

    ticket: LockoutTicket
    now: datetime


class Clearing(msgspec.Struct, frozen=True):
    """An operator forgives a name."""

    name_key: bytes


Job = Attempt | Success | Clearing


def carry_out(job: Job, shelf: Shelf) -> timedelta:
    """Do one job in a transaction that nobody else writes in; for an attempt, how long it has to wait."""
    match job:
        case Attempt():
            return _attempt(job, shelf)
        case Success():
            _succeed(job, shelf)
        case Clearing():
            shelf.drop([each.key for each in shelf.of_name(job.name_key)])
    return timedelta(0)


def _attempt(job: Attempt, shelf: Shelf) -> timedelta:
    ticket, now = job.ticket, job.now
    count = shelf.find(ticket.device_key)
    rule = KNOWN_DEVICE
    if count is None or not _is_known(count, now):
        rule = STRANGERS
        count = shelf.find(ticket.name_key) or Count(ticket.name_key, ticket.name_key)
        if count.strikes.forgotten(now):
            count = Count(ticket.name_key, ticket.name_key)
    wait = count.strikes.wait(rule, now)
    if not wait:
        shelf.put(msgspec.structs.replace(count, strikes=count.strikes.one_more(now)))
    return wait


def _is_known(count: Count, now: datetime) -> bool:
    """Tell whether a device has a count of its own: it succeeded lately and did not fail too often since."""
    recently = count.known_at is not None and now < count.known_at + DEVICE_KNOWN
    return recently and count.strikes.failures < KNOWN_DEVICE.limit


def _succeed(job: Success, shelf: Shelf) -> None:
    ticket = job.ticket
    shelf.drop([ticket.name_key])
    shelf.put(Count(ticket.device_key, ticket.name_key, known_at=job.now))
    devices = sorted(_devices(shelf.of_name(ticket.name_key)))
    shelf.drop([key for _, key in devices[:-DEVICES_KEPT]])


def _devices(counts: Sequence[Count]) -> Iterator[tuple[datetime, bytes]]:
    return ((each.known_at, each.key) for each in counts if each.known_at is not None)


def make_ticket(name: str, device: str, tag: Tag) -> LockoutTicket:
    """Name the rows of an attempt by keyed digests."""
    name_key = tag(b"lockout name:" + name.encode())
    return LockoutTicket(name_key, tag(b"lockout device:" + name_key + device.encode()))


def name_key_of(name: str, tag: Tag) -> bytes:
    """Give the digest under which a name is counted."""
    return make_ticket(name, "", tag).name_key


def let_pass(wait: timedelta) -> None:
    """Refuse an attempt that has to wait.

    Raises:
        SlowDown: It has.
    """
    if wait:
        raise SlowDown(Reason.LOCKED_OUT, retry_after=-(-wait // timedelta(seconds=1)))


class MemoryShelf:
    """Rows in a dictionary."""

    def __init__(self) -> None:
        """Start with none."""
        self.rows: dict[bytes, Count] = {}

    def find(self, key: bytes) -> Count | None:
        """Read a row."""
        return self.rows.get(key)

    def put(self, count: Count) -> None:
        """Write a row in place of what was there."""
        self.rows[count.key] = count
        if len(self.rows) > ROWS_LIMIT:
            strangers = (each for each in self.rows.values() if each.known_at is None)
            least = min(strangers, key=_says_least, default=count)
            del self.rows[least.key]

    def of_name(self, name_key: bytes) -> Sequence[Count]:
        """Read all rows of a name."""
        return [each for each in self.rows.values() if each.name_key == name_key]

    def drop(self, keys: Sequence[bytes]) -> None:
        """Remove rows."""
        for key in keys:
            self.rows.pop(key, None)


def _says_least(count: Count) -> tuple[int, datetime | None]:
    return count.strikes.failures, count.strikes.failed_at


class MemoryLockout:
    """The port ``Lockout`` for a store that is in memory."""

    def __init__(self, tag: Tag) -> None:
        """Start with no failures."""
        self._shelf = MemoryShelf()
        self._tag = tag

    async def admit(self, name: str, device: str, now: datetime) -> LockoutTicket:
        """Count an attempt as failed, before it is checked.

        Raises:
            SlowDown: Nothing may be checked now (Reason.LOCKED_OUT).
        """
        ticket = make_ticket(name, device, self._tag)
        let_pass(carry_out(Attempt(ticket, now), self._shelf))
        return ticket

    async def succeeded(self, ticket: LockoutTicket, now: datetime) -> None:
        """Clear the count, and know the device from now on."""
        carry_out(Success(ticket, now), self._shelf)

    async def clear(self, name: str) -> None:
        """Forget every failure of a name and its devices, for an operator."""
        carry_out(Clearing(name_key_of(name, self._tag)), self._shelf)
