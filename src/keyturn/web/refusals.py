"""Refusals on their way into the audit trail, folded when one address repeats one (design.md section 4).

The first refusals of an address and public code each have a row, durable before the answer. What repeats them
within the minute is counted in memory and becomes one summary row for each organisation that it was aimed at
when the minute is over, so a flood of wrong secrets costs an attacker more than it costs the disk. Whether a
refusal has a row shows in how long its answer takes, so nothing that the caller may not know decides it
(TE-09). A kill -9 may lose the summaries.
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
from keyturn.core.vocabulary import OrganisationId

KEPT_A_MINUTE = 20
"""Refusals of one address and public code that have a row of their own within a minute."""
WINDOW_SECONDS = 60.0
SWEEP_SECONDS = 5.0
TABLE_LIMIT = 10_000
"""Addresses and codes that are watched at once; one more ends the oldest minute early."""
ORGANISATIONS_A_MINUTE = 64
"""Organisations that are told apart within one minute of one address and code."""
ORGANISATIONS_LIMIT = 10_000
"""Organisations that are told apart in all minutes together; what is beyond counts as no organisation's."""
SUBJECTS_KEPT = 5
"""Subjects that a summary names: the first of its minute."""
SUMMARIES_LIMIT = 10_000
"""Summary rows that may wait for a store that is away; more are dropped and counted in the log."""

log = structlog.get_logger("keyturn.desk")


class _Group:
    """What was folded of one organisation, or of none, in one minute."""

    __slots__ = ("count", "first", "last", "reasons", "subjects", "unattributed")

    def __init__(self, first: AuditEvent) -> None:
        self.first = first
        self.last = first
        self.count = 0
        self.unattributed = 0
        self.reasons: dict[str, int] = {}
        self.subjects: list[str] = []

    def add(self, event: AuditEvent) -> None:
        self.count += 1
        self.last = event
        reason = event.reason or ""
        self.reasons[reason] = self.reasons.get(reason, 0) + 1
        subject = event.subject
        if subject is not None and len(self.subjects) < SUBJECTS_KEPT and subject not in self.subjects:
            self.subjects.append(subject)


class _Minute:
    """What one address was refused with one public code since its minute began."""

    __slots__ = ("ends", "groups", "rows")

    def __init__(self, ends: float) -> None:
        self.ends = ends
        self.rows = 0
        self.groups: dict[OrganisationId | None, _Group] = {}

    @property
    def organisations(self) -> int:
        """How many organisations are told apart; no organisation is always one more."""
        return len(self.groups) - (None in self.groups)

    def fold(self, event: AuditEvent, *, room: bool) -> None:
        """Count a refusal, as no organisation's where there is no room to tell one more apart."""
        whose = event.organisation_id
        kept = whose is None or whose in self.groups or (room and self.organisations < ORGANISATIONS_A_MINUTE)
        group = self.groups.get(whose if kept else None)
        if group is None:
            group = self.groups[whose if kept else None] = _Group(event)
        group.add(event)
        if not kept:
            group.unattributed += 1


class Refusals:
    """Writes refusals, or counts them.

    Args:
        recorder: Takes the rows.
        clock: Dates the summaries and measures the minutes.
        kept_a_minute: How many of one address and public code have a row of their own.
    """

    def __init__(self, recorder: Recorder, clock: Clock, *, kept_a_minute: int = KEPT_A_MINUTE) -> None:
        self._recorder = recorder
        self._clock = clock
        self._kept = kept_a_minute
        self._minutes: dict[tuple[str, str], _Minute] = {}
        self._organisations = 0
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
        key = (subscriber(event.personal["address"]), event.outcome)
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
        before = minute.organisations
        minute.fold(event, room=self._organisations < ORGANISATIONS_LIMIT)
        self._organisations += minute.organisations - before
        return True

    def _finish(self, key: tuple[str, str]) -> None:
        """End a minute; what was folded in it becomes summaries that wait to be written."""
        minute = self._minutes.pop(key)
        self._organisations -= minute.organisations
        now = self._clock.now()
        for organisation_id, group in minute.groups.items():
            if len(self._due) >= SUMMARIES_LIMIT:
                self._dropped += 1
            else:
                self._due.append(_summary(organisation_id, group, key[0], now))


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


def _summary(
    organisation_id: OrganisationId | None, group: _Group, address: str, now: datetime
) -> AuditEvent:
    """Say in one row what of one organisation was folded; docs/operations/README.md tells what the details mean."""
    first, last = group.first, group.last
    details = {
        "count": str(group.count),
        "first": first.request_id,
        "last": last.request_id,
        "from": first.at.isoformat(),
        "until": last.at.isoformat(),
        "reasons": ",".join(f"{reason}={count}" for reason, count in sorted(group.reasons.items())),
    }
    if group.subjects:
        details["subjects"] = ",".join(group.subjects)
    if group.unattributed:
        details["unattributed"] = str(group.unattributed)
    return AuditEvent(
        at=now,
        kind="token.refused.summary",
        actor="system:desk",
        request_id=last.request_id,
        outcome=last.outcome,
        organisation_id=organisation_id,
        reason=last.reason if len(group.reasons) == 1 else None,
        details=details,
        personal={"address": address},
    )
