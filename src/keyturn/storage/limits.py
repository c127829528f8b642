"""Counters of requests in memory: the generic cell rate algorithm, one number a counter.

A counter holds the theoretical arrival time of its next request. It never needs cleaning to be right: one
whose time has passed is as good as absent, so the table is bounded by dropping those first.
"""

from collections.abc import Mapping, Sequence

import msgspec

TABLE_LIMIT = 100_000
"""Counters kept; beyond it the finished ones are dropped, then the oldest."""


class Rate(msgspec.Struct, frozen=True):
    """How many requests a minute, and how many of them may come at once."""

    per_minute: int
    burst: int

    @property
    def spacing(self) -> float:
        """Seconds that one request uses up."""
        return 60.0 / self.per_minute


class MemoryLimits:
    """The port ``Limits`` for one process.

    Args:
        rates: By the kind of counter, the part of its name before the colon.
    """

    def __init__(self, rates: Mapping[str, Rate]) -> None:
        """Start with every counter empty."""
        self._spacing = {kind: rate.spacing for kind, rate in rates.items()}
        self._tolerance = {kind: rate.spacing * (rate.burst - 1) for kind, rate in rates.items()}
        self._arrivals: dict[str, float] = {}

    def take(self, keys: Sequence[str], now: float) -> float | None:
        """Take one place in every counter, or none: seconds until a retry may succeed."""
        wait = 0.0
        for key in keys:
            kind = key.partition(":")[0]
            wait = max(wait, self._arrivals.get(key, now) - self._tolerance[kind] - now)
        if wait > 0:
            return wait
        for key in keys:
            self._arrivals[key] = (
                max(self._arrivals.get(key, now), now) + self._spacing[key.partition(":")[0]]
            )
        if len(self._arrivals) > TABLE_LIMIT:
            self._drop(now)
        return None

    def _drop(self, now: float) -> None:
        self._arrivals = {key: at for key, at in self._arrivals.items() if at > now}
        while len(self._arrivals) > TABLE_LIMIT:
            del self._arrivals[next(iter(self._arrivals))]
