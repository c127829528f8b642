"""What was revoked, in memory: one dictionary look-up for every question, kept current by the change feed.

The feed's key of a revocation says all there is to keep, so hearing of one costs no read. Only after a gap in
the feed is everything read again; until that has happened the set answers nothing at all, because a missing
revocation would make a dead token live (RV-02, HT-09). There may be a million of them: they are read a page
at a time, and what expired is forgotten a few at a time, so that neither stops the event loop.
"""

import asyncio
from asyncio import Task
from datetime import datetime, timedelta
from typing import Final

from keyturn.core.errors import Unavailable
from keyturn.core.vocabulary import Reason
from keyturn.storage.feed import EVERYTHING, Confirmation
from keyturn.storage.reads import Reads
from keyturn.storage.schema import micros

KEPT_AFTER_EXPIRY = timedelta(days=1)
"""A dead entry is kept this long, so that a step of the clock cannot revive what it covers (RE-07)."""
PAGE: Final = 20_000
"""Revocations read at a time: some hundredths of a second."""
FORGOTTEN_AT_ONCE: Final = 5_000
"""Dead entries dropped in one turn of the event loop: about a millisecond."""
PAUSE_SECONDS: Final = 0.02
_HOUR: Final = 3_600_000_000
_KEPT_HOURS: Final = KEPT_AFTER_EXPIRY // timedelta(hours=1)


class RevocationSet:
    """Every revocation that a living token could need (``Revocations``).

    Args:
        reads: Gives all of them, at the first need and after a gap in the feed.
        feed: Names each new one.
    """

    def __init__(self, reads: Reads, feed: Confirmation) -> None:
        self._reads = reads
        self._hours: dict[str, int] = {}
        """The hour since 1970 in which what is revoked expires: a number that many entries share."""
        self._due: dict[int, list[str]] = {}
        self._loading: Task[None] | None = None
        self._complete = False
        self._gaps = 0
        feed.on_change(self._heard)

    async def load(self) -> None:
        """Read every revocation.

        Raises:
            Unavailable: The store cannot be read; the set keeps answering nothing.
        """
        gaps = self._gaps
        page = await self._reads.revocations("", PAGE)
        while page:
            for name, until in page:
                self._keep(name, until // _HOUR)
            page = await self._reads.revocations(page[-1][0], PAGE)
        self._complete = gaps == self._gaps

    def covers(self, token_id: str, family_id: str | None) -> bool:
        """Tell whether a token, or the refresh family it came from, was revoked.

        Raises:
            Unavailable: Memory is being read again (Reason.CACHE_STALE).
        """
        if not self._complete:
            self._start_loading()
            raise Unavailable(Reason.CACHE_STALE)
        return token_id in self._hours or (family_id is not None and family_id in self._hours)

    def forget_expired(self, now: datetime) -> None:
        """Drop what no living token can need any more, a day after that and within the hour.

        Where there is much to drop, the rest follows in later turns of the event loop.
        """
        left, over = FORGOTTEN_AT_ONCE, micros(now) // _HOUR - _KEPT_HOURS
        for hour in sorted(hour for hour in self._due if hour < over):
            names = self._due[hour]
            while names and left:
                left -= 1
                name = names.pop()
                if self._hours.get(name) == hour:
                    del self._hours[name]
            if names:
                asyncio.get_running_loop().call_later(PAUSE_SECONDS, self.forget_expired, now)
                return
            del self._due[hour]

    def _keep(self, name: str, hour: int) -> None:
        if self._hours.get(name, -1) < hour:
            self._hours[name] = hour
            self._due.setdefault(hour, []).append(name)

    def __len__(self) -> int:
        """Count what is kept."""
        return len(self._hours)

    def _heard(self, topic: str, key: str) -> None:
        if topic == EVERYTHING:
            self._gaps += 1
            self._complete = False
            self._start_loading()
        elif topic == "revocation":
            revoked, _, until = key.partition("|")
            self._keep(revoked, micros(datetime.fromisoformat(until)) // _HOUR)

    def _start_loading(self) -> None:
        if self._loading is None or self._loading.done():
            self._loading = asyncio.get_running_loop().create_task(self._try_to_load())

    async def _try_to_load(self) -> None:
        try:
            await self.load()
        except Unavailable:
            return  # the next question starts another try
