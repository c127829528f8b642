"""What was revoked, in memory: one dictionary look-up for every question, kept current by the change feed.

The feed's key of a revocation says all there is to keep, so hearing of one costs no read. Only after a gap in
the feed is everything read again; until that has happened the set answers nothing at all, because a missing
revocation would make a dead token live (RV-02, HT-09).
"""

import asyncio
from asyncio import Task
from datetime import datetime, timedelta

from keyturn.core.errors import Unavailable
from keyturn.core.vocabulary import Reason
from keyturn.storage.feed import EVERYTHING, Confirmation
from keyturn.storage.reads import Reads

KEPT_AFTER_EXPIRY = timedelta(days=1)
"""A dead entry is kept this long, so that a step of the clock cannot revive what it covers (RE-07)."""


class RevocationSet:
    """Every revocation that a living token could need (``Revocations``).

    Args:
        reads: Gives all of them, at the first need and after a gap in the feed.
        feed: Names each new one.
    """

    def __init__(self, reads: Reads, feed: Confirmation) -> None:
        self._reads = reads
        self._until: dict[str, datetime] = {}
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
        kept = await self._reads.revocations()
        self._until.update((revocation.id, revocation.expires_at) for revocation in kept)
        self._complete = gaps == self._gaps

    def covers(self, token_id: str, family_id: str | None) -> bool:
        """Tell whether a token, or the refresh family it came from, was revoked.

        Raises:
            Unavailable: Memory is being read again (Reason.CACHE_STALE).
        """
        if not self._complete:
            self._start_loading()
            raise Unavailable(Reason.CACHE_STALE)
        return token_id in self._until or (family_id is not None and family_id in self._until)

    def forget_expired(self, now: datetime) -> None:
        """Drop what no living token can need any more, a day after that."""
        self._until = {key: until for key, until in self._until.items() if now < until + KEPT_AFTER_EXPIRY}

    def __len__(self) -> int:
        """Count what is kept."""
        return len(self._until)

    def _heard(self, topic: str, key: str) -> None:
        if topic == EVERYTHING:
            self._gaps += 1
            self._complete = False
            self._start_loading()
        elif topic == "revocation":
            revoked, _, until = key.partition("|")
            self._until[revoked] = datetime.fromisoformat(until)

    def _start_loading(self) -> None:
        if self._loading is None or self._loading.done():
            self._loading = asyncio.get_running_loop().create_task(self._try_to_load())

    async def _try_to_load(self) -> None:
        try:
            await self.load()
        except Unavailable:
            return  # the next question starts another try
