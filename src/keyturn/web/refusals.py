"""Refusals on their way into the audit trail, folded when one address repeats one (design.md section 4).

The first refusals of an address and private reason each have a row, durable before the answer. What repeats
them within the minute is counted in memory and becomes one summary row when the minute is over, so a flood
of wrong secrets costs an attacker more than it costs the disk. A kill -9 may lose that one row.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from datetime import datetime

import structlog

from keyturn.core.addresses import subscriber
from keyturn.core.changes import Change, Unit
from keyturn.core.clock import Clock
from keyturn.core.errors import Fault, Unavailable
from keyturn.core.ports import Recorder
from keyturn.core.records import AuditEvent

KEPT_A_MINUTE = 20
"""Refusals of one address and reason that have a row of their own within a minute."""
WINDOW_SECONDS = 60.0
SWEEP_SECONDS = 5.0
TABLE_LIMIT = 10_000
"""Addresses and reasons that are watched at once; one more ends the oldest minute early."""
SUMMARIES_LIMIT = 10_000
"""Summary rows that may wait for a store that is away; more are dropped and counted in the log."""

log = structlog.get_logger("keyturn.desk")


class _Minute:
    """What one address was refused for one reason since its minute began."""

    __slots__ = ("count", "ends", "first", "last", "mixed", "rows")

    def __init__(self, ends: float) -> None:
        self.ends = ends
        self.rows = 0
        self.count = 0
        self.first: AuditEvent | None = None
        self.last: AuditEvent | None = None
        self.mixed = False

    def fold(self, event: AuditEvent) -> None:
        self.count += 1
        self.first = self.first or event
        self.last = event
        self.mixed = self.mixed or event.organisation_id != self.first.organisation_id


class Refusals:
    """Writes refusals, or counts them.

    Args:
        recorder: Takes the rows.
        clock: Dates the summaries and measures the minutes.
        kept_a_minute: How many of one address and reason have a row of their own.
    """

    def __init__(self, recorder: Recorder, clock: Clock, *, kept_a_minute: int = KEPT_A_MINUTE) -> None:
        self._recorder = recorder
        self._clock = clock
        self._kept = kept_a_minute
        self._minutes: dict[tuple[str, str], _Minute] = {}
        self._due: deque[AuditEvent] = deque()
        self._dropped = 0

    async def record(self, event: AuditEvent, consequence: tuple[Change, ...]) -> None:
        """Write a refusal before it is told, or count it with those like it.

        Args:
            event: With the caller's address among its personal fields.
            consequence: Committed with it; a refusal that has one is never folded.

        Raises:
            Unavailable: It had to be written and could not be.
        """
        if not consequence and self._folded(event):
            return
        # If the consequence lost, another refusal or the owner brought it about already.
        await self._recorder.record(Unit(audit=event, changes=consequence, audit_if_lost=event))

    async def write_due(self, *, everything: bool = False) -> None:
        """Write the summaries of the minutes that are over; what cannot be written waits for the next time.

        Args:
            everything: Also of those that are not over: the process is about to stop.
        """
        now = self._clock.monotonic()
        for key in [key for key, minute in self._minutes.items() if everything or minute.ends <= now]:
            self._finish(key)
        while self._due:
            try:
                await self._recorder.record(Unit(audit=self._due[0]))
            except Unavailable:
                break
            except Fault:
                log.exception("a refusal summary cannot be written")
            self._due.popleft()
        if self._dropped:
            log.warning("refusal summaries were dropped", count=self._dropped)
            self._dropped = 0

    def _folded(self, event: AuditEvent) -> bool:
        """Count a refusal; True when those before it in its minute were enough rows."""
        key = (subscriber(event.personal["address"]), event.reason or "")
        now = self._clock.monotonic()
        minute = self._minutes.get(key)
        if minute is not None and minute.ends <= now:
            self._finish(key)
            minute = None
        if minute is None:
            if len(self._minutes) >= TABLE_LIMIT:
                self._finish(next(iter(self._minutes)))
            minute = self._minutes[key] = _Minute(now + WINDOW_SECONDS)
        if minute.rows < self._kept:
            minute.rows += 1
            return False
        minute.fold(event)
        return True

    def _finish(self, key: tuple[str, str]) -> None:
        """End a minute; what was folded in it becomes a summary that waits to be written."""
        minute = self._minutes.pop(key)
        if minute.first is None or minute.last is None:
            return
        if len(self._due) >= SUMMARIES_LIMIT:
            self._dropped += 1
            return
        self._due.append(_summary(minute, minute.first, minute.last, key[0], self._clock.now()))


@contextlib.asynccontextmanager
async def summarising(refusals: Refusals) -> AsyncIterator[None]:
    """Write summaries as they come due for the length of a block, and all that are left at its end."""
    stopping = asyncio.Event()

    async def sweep() -> None:
        while not stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), SWEEP_SECONDS)
            await refusals.write_due(everything=stopping.is_set())

    sweeping = asyncio.get_running_loop().create_task(sweep())
    try:
        yield
    finally:
        stopping.set()
        await sweeping


def _summary(minute: _Minute, first: AuditEvent, last: AuditEvent, address: str, now: datetime) -> AuditEvent:
    """Say in one row what was folded; whom it concerned, only where that was one organisation."""
    details = {
        "count": str(minute.count),
        "first": first.request_id,
        "last": last.request_id,
        "from": first.at.isoformat(),
        "until": last.at.isoformat(),
    }
    return AuditEvent(
        at=now,
        kind="token.refused.summary",
        actor="system:desk",
        request_id=last.request_id,
        outcome=last.outcome,
        organisation_id=None if minute.mixed else last.organisation_id,
        reason=last.reason,
        details=details,
        personal={"address": address},
    )
