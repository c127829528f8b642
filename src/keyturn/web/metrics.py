"""What an operator can count. Labels are bounded: dialects, routes, reasons; never names or addresses."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Metrics:
    """The counters of one process; a child per label set is looked up once."""

    def __init__(self) -> None:
        """Register every metric in a registry of this process's own."""
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "keyturn_requests",
            "Answered requests by dialect, route and outcome (ok or the private reason).",
            ["dialect", "route", "outcome"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "keyturn_request_seconds",
            "From the last byte of a request to its answer, in seconds.",
            ["dialect"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
            registry=self.registry,
        )
        self._framing = Counter(
            "keyturn_framing_refused",
            "Connections and requests refused before they reached a dialect.",
            ["reason"],
            registry=self.registry,
        )
        self._outcomes: dict[tuple[str, str, str], Counter] = {}
        self._timers: dict[str, Histogram] = {}

    def answered(self, dialect: str, route: str, outcome: str, seconds: float) -> None:
        """Count one answer and its time."""
        key = (dialect, route, outcome)
        counter = self._outcomes.get(key)
        if counter is None:
            counter = self._outcomes[key] = self._requests.labels(*key)
        counter.inc()
        timer = self._timers.get(dialect)
        if timer is None:
            timer = self._timers[dialect] = self._seconds.labels(dialect)
        timer.observe(seconds)

    def framing_refused(self, reason: str) -> None:
        """Count one refusal by ``web/protocol.py``."""
        self._framing.labels(reason).inc()

    def watch(self, figures: Callable[[], Mapping[str, float]]) -> None:
        """Show the store's figures, read when somebody looks."""
        self.registry.register(_Figures(figures))

    def watch_upkeep(
        self, jobs: Callable[[], Mapping[str, tuple[float, int]]], oldest_key_seconds: Callable[[], float]
    ) -> None:
        """Show the last run and the failures of each job, and how long the oldest key has signed."""
        self.registry.register(_UpkeepFigures(jobs, oldest_key_seconds))


class _UpkeepFigures(Collector):
    def __init__(
        self, jobs: Callable[[], Mapping[str, tuple[float, int]]], oldest_key_seconds: Callable[[], float]
    ) -> None:
        self._jobs = jobs
        self._oldest_key_seconds = oldest_key_seconds

    def collect(self) -> Iterable[Metric]:
        last = GaugeMetricFamily(
            "keyturn_upkeep_last_run_timestamp_seconds", "See docs/operations.md.", labels=["job"]
        )
        failures = CounterMetricFamily("keyturn_upkeep_failures", "See docs/operations.md.", labels=["job"])
        for name, (ran_at, failed) in self._jobs().items():
            last.add_metric([name], ran_at)
            failures.add_metric([name], failed)
        yield from (last, failures)
        yield GaugeMetricFamily(
            "keyturn_signing_key_oldest_seconds", "See docs/operations.md.", value=self._oldest_key_seconds()
        )


class _Figures(Collector):
    def __init__(self, figures: Callable[[], Mapping[str, float]]) -> None:
        self._figures = figures

    def collect(self) -> Iterable[GaugeMetricFamily]:
        for name, value in self._figures().items():
            yield GaugeMetricFamily(f"keyturn_store_{name}", "See docs/operations.md.", value=value)
