"""What an operator can count. Labels are bounded: dialects, routes, reasons; never names or addresses.

What is counted at every request is counted in plain numbers, on the event loop alone, where it is also read;
the library's counters take a lock for each of them.
"""

from bisect import bisect_left
from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from keyturn.core.clock import Clock
from keyturn.core.notices import Tallies
from keyturn.web.slots import Slots
from keyturn.web.together import Merge, Together

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds of the histogram's buckets in seconds; one more takes the rest."""

GAUGES: Mapping[str, Merge] = {
    "keyturn_store_queue_length": sum,
    "keyturn_store_largest_batch": max,
    "keyturn_store_last_commit_seconds": max,
    "keyturn_store_turn_seconds": max,
    "keyturn_store_reader_connections": sum,
    "keyturn_store_reader_connections_busy": sum,
    "keyturn_store_reads_waiting": sum,
    "keyturn_store_feed_version": min,
    "keyturn_store_feed_age_seconds": max,
    "keyturn_upkeep_last_run_timestamp_seconds": max,
    "keyturn_signing_key_oldest_seconds": max,
    "keyturn_outbox_depth": max,
    "keyturn_outbox_oldest_seconds": max,
}
"""What is shown where each worker has a value of its own; everything else is counted, and summed."""


class Metrics:
    """The counters of one process."""

    def __init__(self) -> None:
        """Register every metric in a registry of this process's own."""
        self.registry = CollectorRegistry()
        self._answers = _Answers()
        self.registry.register(self._answers)
        self.shown: Collector = self.registry

    def answered(self, dialect: str, route: str, outcome: str, seconds: float) -> None:
        """Count one answer and its time."""
        answers = self._answers
        answers.requests[dialect, route, outcome] += 1
        answers.buckets[dialect, bisect_left(_BOUNDS, seconds)] += 1
        answers.seconds[dialect] += seconds

    def framing_refused(self, reason: str) -> None:
        """Count one refusal by ``web/protocol.py``."""
        self._answers.framing[reason] += 1

    def watch(self, figures: Callable[[], Mapping[str, float]]) -> None:
        """Show the store's figures, read when somebody looks."""
        self.registry.register(_Figures(figures))

    def watch_upkeep(
        self, jobs: Callable[[], Mapping[str, tuple[float, int]]], oldest_key_seconds: Callable[[], float]
    ) -> None:
        """Show the last run and the failures of each job, and how long the oldest key has signed."""
        self.registry.register(_UpkeepFigures(jobs, oldest_key_seconds))

    def watch_notices(self, tallies: Tallies, clock: Clock) -> None:
        """Show what became of the notices that were tried, and what the outbox held when it was looked at."""
        self.registry.register(_NoticeFigures(tallies, clock))

    def share(self, slots: Slots, number: int) -> Together:
        """Show the figures of all workers from here on; who asks sees to it that this one's are published."""
        together = Together(slots, number, self.registry, GAUGES)
        self.shown = together
        return together


class _UpkeepFigures(Collector):
    def __init__(
        self, jobs: Callable[[], Mapping[str, tuple[float, int]]], oldest_key_seconds: Callable[[], float]
    ) -> None:
        self._jobs = jobs
        self._oldest_key_seconds = oldest_key_seconds

    def collect(self) -> Iterable[Metric]:
        last = GaugeMetricFamily(
            "keyturn_upkeep_last_run_timestamp_seconds", "See docs/operations.", labels=["job"]
        )
        failures = CounterMetricFamily("keyturn_upkeep_failures", "See docs/operations.", labels=["job"])
        for name, (ran_at, failed) in self._jobs().items():
            last.add_metric([name], ran_at)
            failures.add_metric([name], failed)
        yield from (last, failures)
        yield GaugeMetricFamily(
            "keyturn_signing_key_oldest_seconds", "See docs/operations.", value=self._oldest_key_seconds()
        )


class _NoticeFigures(Collector):
    def __init__(self, tallies: Tallies, clock: Clock) -> None:
        self._tallies = tallies
        self._clock = clock

    def collect(self) -> Iterable[Metric]:
        tallies, oldest = self._tallies, self._tallies.oldest_at
        tries = CounterMetricFamily("keyturn_notice_tries", "See docs/operations.", labels=["outcome"])
        for outcome in ("delivered", "delayed", "dead"):
            tries.add_metric([outcome], tallies.outcomes[outcome])
        age = 0.0 if oldest is None else max(0.0, (self._clock.now() - oldest).total_seconds())
        yield tries
        yield GaugeMetricFamily("keyturn_outbox_depth", "See docs/operations.", value=tallies.depth)
        yield GaugeMetricFamily("keyturn_outbox_oldest_seconds", "See docs/operations.", value=age)


class _Answers(Collector):
    """Numbers of answers and how long they took, put into the library's form when somebody looks."""

    def __init__(self) -> None:
        self.requests: Tally[tuple[str, str, str]] = Tally()
        self.buckets: Tally[tuple[str, int]] = Tally()
        self.seconds: dict[str, float] = defaultdict(float)
        self.framing: Tally[str] = Tally()

    def collect(self) -> Iterable[Metric]:
        requests = CounterMetricFamily(
            "keyturn_requests",
            "Answered requests by dialect, route and outcome (ok or the private reason).",
            labels=["dialect", "route", "outcome"],
        )
        for labels, count in self.requests.items():
            requests.add_metric(labels, count)
        seconds = HistogramMetricFamily(
            "keyturn_request_seconds",
            "From the last byte of a request to its answer, in seconds.",
            labels=["dialect"],
        )
        bounds = [*map(str, _BOUNDS), "+Inf"]
        for dialect, total in self.seconds.items():
            counts = accumulate(self.buckets[dialect, place] for place in range(len(bounds)))
            seconds.add_metric([dialect], list(zip(bounds, counts, strict=True)), total)
        framing = CounterMetricFamily(
            "keyturn_framing_refused",
            "Connections and requests refused before they reached a dialect.",
            labels=["reason"],
        )
        for reason, count in self.framing.items():
            framing.add_metric([reason], count)
        return requests, seconds, framing


class _Figures(Collector):
    def __init__(self, figures: Callable[[], Mapping[str, float]]) -> None:
        self._figures = figures

    def collect(self) -> Iterable[GaugeMetricFamily]:
        for name, value in self._figures().items():
            yield GaugeMetricFamily(f"keyturn_store_{name}", "See docs/operations.", value=value)
