"""Keeps every process's idea of the newest time alike, and notices when a clock is set."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from keyturn.core.clock import Clock
from keyturn.core.clock_watch import ClockMark, ClockWatch
from keyturn.core.upkeep_ports import ClockStore

NOTE_AFTER = timedelta(seconds=30)
"""The store's mark may lag that much behind; audit rows tell of every issuance in between."""
FORGET_AFTER = timedelta(minutes=10)

log = logging.getLogger(__name__)


class ClockChore:
    """The chore that watches the clock, in every process; it also lets memory forget what expired.

    Args:
        clock: The machine's.
        watch: What the roads ask before they issue.
        store: What other processes saw.
        forget_expired: Drops from memory what no living token needs, given the time.
    """

    def __init__(
        self,
        clock: Clock,
        watch: ClockWatch,
        store: ClockStore,
        forget_expired: Callable[[datetime], None],
    ) -> None:
        """Look at nothing yet."""
        self._clock = clock
        self._watch = watch
        self._store = store
        self._forget_expired = forget_expired
        self._forgot_at: datetime | None = None
        self._untold: datetime | None = None
        self._was_sound = True  # so that a start on a clock that is behind is told as well
        self._turns = asyncio.Lock()

    async def work(self) -> None:
        """Compare clocks, take in what others saw, and tell them what we saw.

        One look at a time: who returns from here knows that a step is in the store.

        Raises:
            Unavailable: The store cannot be asked or told; a step that was found is told at the next look.
        """
        async with self._turns:
            await self._look()

    async def _look(self) -> None:
        now, monotonic = self._clock.now(), self._clock.monotonic()
        mark = await self._store.clock_mark()
        if mark is not None:
            self._follow(mark, now)
        step = self._watch.look(now, monotonic)
        if step is not None:
            words = "forward" if step > timedelta(0) else "back"
            log.warning("the clock was set %s by %s, or nothing ran for so long", words, abs(step))
            self._untold = now
        if self._untold is not None:
            await self._store.note_clock(self._untold, stepped_at=self._untold)
            self._untold = None
            mark = await self._store.clock_mark()
        if not self._watch.is_sound(now):
            return
        newest = self._watch.latest(now)
        if mark is None or newest - mark.newest_at > NOTE_AFTER:
            await self._store.note_clock(newest)
        rested = self._forgot_at is None or now - self._forgot_at > FORGET_AFTER
        if rested and mark is not None and mark.settled(now):
            self._forgot_at = now
            self._forget_expired(now)

    def _follow(self, mark: ClockMark, now: datetime) -> None:
        was_sound = self._was_sound
        self._watch.follow(mark)
        self._was_sound = self._watch.is_sound(now)
        if was_sound and not self._was_sound:
            log.error(
                "nothing is issued: the clock is behind %s, the newest time seen; mend it, or say"
                " `keyturn clock accept`",
                self._watch.newest_at.isoformat(),
            )
