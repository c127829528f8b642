"""Time, as an argument: the one place that reads the machine's clocks."""

import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def moved(at: datetime, by: timedelta) -> datetime:
    """Move an instant; one that would leave the calendar stays at its end: callers may name any year."""
    try:
        return at + by
    except OverflowError:
        return _LAST if by > timedelta() else _FIRST


class Clock(Protocol):
    """Wall time for lifetimes, monotonic time for timers and limits (RE-07)."""

    def now(self) -> datetime:
        """Give the aware UTC wall time."""
        ...

    def monotonic(self) -> float:
        """Give seconds that never go back."""
        ...


class SystemClock:
    """The machine's clocks."""

    now = staticmethod(partial(datetime.now, UTC))
    """Give the aware UTC wall time; like ``monotonic`` without a function of ours around it."""
    monotonic = staticmethod(time.monotonic)
    """Give seconds that never go back; the function itself, as every request asks four times."""
