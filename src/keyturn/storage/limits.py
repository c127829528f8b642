"""Counters of requests in the memory of one process, for a store that is in memory too."""

from collections.abc import Mapping, Sequence

from keyturn.core.limits import NANOSECONDS, Grant, Rate, Taken, grant

TABLE_LIMIT = 100_000
"""Counters kept; beyond it the finished ones are dropped, then the oldest."""


class MemoryLimits:
    """The port ``Limits`` for one process.

    Args:
        rates: By the kind of counter, the part of its name before the colon.
    """

    def __init__(self, rates: Mapping[str, Rate]) -> None:
        """Start with every counter empty."""
        self.rates = rates
        self._arrivals: dict[str, int] = {}

    def take(self, keys: Sequence[str], now: float) -> Taken:
        """Take one place in every counter, or none."""
        instant = int(now * NANOSECONDS)
        grants = {key: grant(self._arrivals.get(key, 0), instant, self.rates[kind_of(key)]) for key in keys}
        if all(each.places for each in grants.values()):
            self._arrivals.update((key, each.arrival) for key, each in grants.items())
            if len(self._arrivals) > TABLE_LIMIT:
                self._drop(instant)
        return tightest(grants)

    def _drop(self, now: int) -> None:
        self._arrivals = {key: at for key, at in self._arrivals.items() if at > now}
        while len(self._arrivals) > TABLE_LIMIT:
            del self._arrivals[next(iter(self._arrivals))]


def kind_of(key: str) -> str:
    """Give the kind of a counter: the part of its name before the colon."""
    return key.partition(":")[0]


def tightest(grants: Mapping[str, Grant]) -> Taken:
    """Tell of several counters, each asked for one place, the one that leaves the least room."""
    refused = {key: each for key, each in grants.items() if not each.places}
    if refused:
        key, least = max(refused.items(), key=lambda pair: pair[1].wait)
    else:
        key, least = min(grants.items(), key=lambda pair: pair[1].room)
    return Taken(kind_of(key), not refused, 0 if refused else least.room, least.wait / NANOSECONDS)
