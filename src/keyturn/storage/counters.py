"""The counters of one open SQL store: limits and lockout, each with a thread of its own once asked for."""

from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection

from keyturn.core.clock import Clock
from keyturn.core.limits import Rate
from keyturn.core.ports import Limits, Lockout
from keyturn.storage.batches import Batches, J, R
from keyturn.storage.cells import Cells
from keyturn.storage.ground import Counting, Ground
from keyturn.storage.leases import SharedLimits
from keyturn.storage.lockout import Tag
from keyturn.storage.lockout_rows import Lockouts, SharedLockout


class SqlCounters:
    """Makes counters over one SQL store, and closes them with it.

    Args:
        ground: Keeps what is counted.
        clock: Dates what is counted.
        loop: Where callers wait.
        patience_seconds: How long they do.
        committed: Hears of every commit, on a counter's thread; must not fail.
    """

    def __init__(
        self,
        ground: Ground,
        clock: Clock,
        loop: AbstractEventLoop,
        patience_seconds: float,
        committed: Callable[[], None] | None = None,
    ) -> None:
        self._ground = ground
        self._clock = clock
        self._loop = loop
        self._patience = patience_seconds
        self._committed = committed
        self._open: list[SharedLimits | SharedLockout] = []

    def limits(self, rates: Mapping[str, Rate], tag: Tag) -> Limits:
        """Make the limits that all processes on the store share."""
        batches = self._batches(Counting.LIMITS, Cells(self._clock).write)
        limits = SharedLimits(rates, batches, tag, self._clock, self._loop)
        self._open.append(limits)
        return limits

    def lockout(self, tag: Tag) -> Lockout:
        """Make the lockout that all processes on the store share."""
        lockout = SharedLockout(self._batches(Counting.LOCKOUT, Lockouts(self._clock).write), tag)
        self._open.append(lockout)
        return lockout

    async def close(self) -> None:
        """Give back what was not used, and stop."""
        while self._open:
            await self._open.pop().close()

    def _batches(
        self, what: Counting, write: Callable[[Connection, Sequence[J]], Sequence[R]]
    ) -> Batches[J, R]:
        return Batches(
            name=f"keyturn-{what.name.lower()}",
            ground=self._ground,
            what=what,
            write=write,
            loop=self._loop,
            patience_seconds=self._patience,
            committed=self._committed,
        )
