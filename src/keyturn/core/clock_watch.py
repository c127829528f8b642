"""Is the clock to be trusted? Wall time against the newest time there was, and against the time that passed.

A clock that is set back would revive what has expired, so nothing is issued until it is near the newest time
again, or an operator accepts it (design.md section 4; RE-07, HT-09). One set forward is only noticed. Pure:
the store's part of the newest time comes in with ``follow``.
"""

from datetime import UTC, datetime, timedelta

import msgspec

from keyturn.core.errors import Unavailable
from keyturn.core.vocabulary import Reason

TOLERANCE = timedelta(seconds=5)
"""How far nodes may be apart, and so how far behind the newest time a clock is still good (RE-07)."""
UNSETTLED = timedelta(hours=1)
"""For so long after a step nothing is dropped for its age."""

_NEVER = datetime.min.replace(tzinfo=UTC)


class ClockMark(msgspec.Struct, frozen=True, kw_only=True):
    """What the store knows of the clock.

    Args:
        newest_at: The newest time that any process has seen; only an operator lowers it.
        accepted: How often an operator has accepted a clock that was set back.
        stepped_at: The time just after the latest step that any process has seen, if there was one.
    """

    newest_at: datetime
    accepted: int = 0
    stepped_at: datetime | None = None

    def settled(self, now: datetime) -> bool:
        """Tell whether the last step is long enough ago for things to be dropped for their age.

        A clock that is behind ``stepped_at`` has been set back since: not settled either.
        """
        return self.stepped_at is None or now >= self.stepped_at + UNSETTLED


class ClockWatch:
    """One process's view of the clock; used on the event loop."""

    def __init__(self) -> None:
        """Know of no time yet, so that any is good."""
        self.newest_at = _NEVER
        self._accepted = 0
        self._last: tuple[datetime, float] | None = None
        self._found: datetime | None = None

    def require_sound(self, now: datetime) -> None:
        """Confirm before anything is issued that the clock was not set back.

        Raises:
            Unavailable: It is more than 5 s behind the newest time (Reason.CLOCK_UNUSABLE).
        """
        if now >= self.newest_at:  # nearly always, and then it is surely sound
            self.newest_at = now
        elif not self.is_sound(now):
            raise Unavailable(Reason.CLOCK_UNUSABLE, retry_after=5)

    def is_sound(self, now: datetime) -> bool:
        """Tell whether the clock is near the newest time, or past it."""
        return now >= self.newest_at - TOLERANCE if self.newest_at > _NEVER else True

    def latest(self, now: datetime) -> datetime:
        """Give what expiry is checked against: a clock that was set back revives nothing (RE-07)."""
        return max(self.newest_at, now)

    def look(self, now: datetime, monotonic: float) -> timedelta | None:
        """Compare wall time with the time that passed since the last look.

        How much time passed before the first look nobody knows: more than an hour since the newest time that
        this process found counts as a step, as it may be one.

        Returns:
            By how much the wall clock was set, where that is more than 5 s; None otherwise.
        """
        last, self._last = self._last, (now, monotonic)
        if last is None:
            ahead = timedelta(0) if self._found is None else now - self._found
            return ahead if ahead > UNSETTLED else None
        step = (now - last[0]) - timedelta(seconds=monotonic - last[1])
        return step if abs(step) > TOLERANCE else None

    def follow(self, mark: ClockMark) -> None:
        """Take in what the store knows; an acceptance that is new here replaces what memory had."""
        if self._found is None:
            self._found = mark.newest_at
        if mark.accepted != self._accepted:
            self._accepted, self.newest_at = mark.accepted, mark.newest_at
        self.newest_at = max(self.newest_at, mark.newest_at)
