"""Every metric there is: what it says, what tells its samples apart, and what several workers' values become.

``docs/operations/monitoring.md`` and the board in ``deploy/grafana`` are held to this table, and so is what a
running server shows. Labels are bounded: they come from tables and enums, never from a caller.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import msgspec

Merge = Callable[[Iterable[float]], float]
"""What becomes of the values that several workers have for one thing."""


class Measure(msgspec.Struct, frozen=True):
    """One metric.

    Args:
        text: What it says, as ``/metrics`` shows it.
        labels: What tells its samples apart.
        merge: What several workers' values become; None for what is counted, which is summed and never
            goes down.
    """

    kind: Literal["counter", "gauge", "histogram"]
    text: str
    labels: tuple[str, ...] = ()
    merge: Merge | None = None

    def shown_as(self, name: str) -> str:
        """Give the name under which it is asked for; a histogram has three more."""
        return f"{name}_total" if self.kind == "counter" else name


MEASURES: Mapping[str, Measure] = {
    "keyturn_requests": Measure(
        "counter",
        "Answered requests by dialect, route and outcome (ok or the private reason).",
        ("dialect", "route", "outcome"),
    ),
    "keyturn_token_requests": Measure(
        "counter",
        "Requests for a token by dialect, grant (unread: refused before it was known) and outcome.",
        ("dialect", "grant", "outcome"),
    ),
    "keyturn_refusals": Measure("counter", "Refused requests by the private reason.", ("reason",)),
    "keyturn_request_seconds": Measure(
        "histogram", "From the last byte of a request to its answer.", ("dialect",)
    ),
    "keyturn_credential_check_seconds": Measure(
        "histogram",
        "How long the check of a credential took: fast for digests and signatures, slow for passwords.",
        ("hash",),
    ),
    "keyturn_framing_refused": Measure(
        "counter", "Connections and requests refused before they reached a dialect.", ("reason",)
    ),
    "keyturn_store_queue_length": Measure("gauge", "Units that wait to be written.", merge=sum),
    "keyturn_store_batches": Measure("gauge", "Commits since the start."),
    "keyturn_store_units": Measure("gauge", "Units in all commits since the start."),
    "keyturn_store_last_batch": Measure("gauge", "Units in the last commit.", merge=max),
    "keyturn_store_largest_batch": Measure("gauge", "The most units in one commit.", merge=max),
    "keyturn_store_last_commit_seconds": Measure(
        "gauge", "How long the disk took for the last commit.", merge=max
    ),
    "keyturn_store_turn_seconds": Measure("gauge", "How long a turn at writing takes, smoothed.", merge=max),
    "keyturn_store_audit_lag_seconds": Measure(
        "gauge", "For how long the unit waits, with its audit row, that has waited longest.", merge=max
    ),
    "keyturn_store_audit_newest_timestamp_seconds": Measure(
        "gauge", "When the newest audit row was committed; 0 for none since the start.", merge=max
    ),
    "keyturn_store_log_pages": Measure(
        "gauge",
        "SQLite: pages in its log when it was copied home last; it grows while somebody reads.",
        merge=max,
    ),
    "keyturn_store_reader_connections": Measure("gauge", "Connections that read.", merge=sum),
    "keyturn_store_reader_connections_busy": Measure(
        "gauge", "Connections that read, those in use.", merge=sum
    ),
    "keyturn_store_reads_waiting": Measure("gauge", "Reads that wait for a connection.", merge=sum),
    "keyturn_store_feed_version": Measure(
        "gauge", "The version of the directory that memory has applied.", merge=min
    ),
    "keyturn_store_feed_lag": Measure(
        "gauge", "Versions of the directory that were seen and are not applied yet.", merge=max
    ),
    "keyturn_store_feed_age_seconds": Measure(
        "gauge", "How long ago memory was last confirmed to be current.", merge=max
    ),
    "keyturn_upkeep_last_run_timestamp_seconds": Measure(
        "gauge", "When this server last ran a job of upkeep; 0 for never.", ("task",), max
    ),
    "keyturn_upkeep_last_success_timestamp_seconds": Measure(
        "gauge",
        "When any server last ran a job of upkeep well, as far as this one saw; 0 for never.",
        ("task",),
        max,
    ),
    "keyturn_upkeep_failures": Measure("counter", "Runs of a job of upkeep that failed.", ("task",)),
    "keyturn_signing_key_oldest_seconds": Measure(
        "gauge", "For how long the oldest signing key in memory has signed.", merge=max
    ),
    "keyturn_notice_tries": Measure(
        "counter",
        "Notices that were tried: delivered, delayed (tried again later) or dead (given up);"
        " and postponed mails, since those of the day are used up.",
        ("outcome",),
    ),
    "keyturn_outbox_depth": Measure("gauge", "Deliveries that waited when a server last looked.", merge=max),
    "keyturn_outbox_oldest_seconds": Measure(
        "gauge", "For how long the oldest delivery has waited.", merge=max
    ),
    "keyturn_certificate_expiry_timestamp_seconds": Measure(
        "gauge", "When the certificate of the public listener expires; missing without TLS.", merge=min
    ),
    "keyturn_master_key_info": Measure(
        "gauge", "1 for the id of the master key that this server seals under.", ("key_id",), max
    ),
    "keyturn_build_info": Measure("gauge", "1 for the version that runs.", ("version",), max),
    "keyturn_workers": Measure("gauge", "With several workers: how many serve now.", merge=sum),
    "keyturn_worker_restarts": Measure(
        "counter", "With several workers: how often one took a dead one's place."
    ),
}
"""By name, a counter's without the ``_total`` that it is shown with."""

GAUGES: Mapping[str, Merge] = {
    name: measure.merge for name, measure in MEASURES.items() if measure.merge is not None
}
"""What is shown where each worker has a value of its own; everything else is counted, and summed."""

Labels = tuple[tuple[str, str], ...]


class Family(msgspec.Struct, frozen=True, array_like=True):
    """One metric with its samples (name, sorted labels, value), as it is shown and left for other workers."""

    name: str
    samples: list[tuple[str, Labels, float]]


def family(name: str, values: Iterable[tuple[tuple[str, ...], float]]) -> Family:
    """Put values of one metric into a family, each with its labels' values in the table's order."""
    measure = MEASURES[name]
    shown = measure.shown_as(name)
    return Family(name, [(shown, _labels(measure, values_), float(value)) for values_, value in values])


def single(name: str, value: float) -> Family:
    """Put the one value of a metric without labels into a family."""
    return family(name, [((), value)])


def histogram(
    name: str, bounds: Iterable[float], counts: Iterable[tuple[tuple[str, ...], Iterable[int], float]]
) -> Family:
    """Put histograms of one metric into a family: labels, counts of each bucket, and the sum of all."""
    measure, samples = MEASURES[name], []
    limits = [*map(str, bounds), "+Inf"]
    for values, buckets, total in counts:
        labels, so_far = _labels(measure, values), 0
        for limit, count in zip(limits, buckets, strict=True):
            so_far += count
            samples.append((f"{name}_bucket", tuple(sorted((*labels, ("le", limit)))), float(so_far)))
        samples += [(f"{name}_count", labels, float(so_far)), (f"{name}_sum", labels, total)]
    return Family(name, samples)


def _labels(measure: Measure, values: tuple[str, ...]) -> Labels:
    return tuple(sorted(zip(measure.labels, values, strict=True)))


def exposition(families: Iterable[Family]) -> tuple[str, bytes]:
    """Write metrics as Prometheus reads them: the content type and the text.

    The library is loaded by the first who looks: a server that nobody watches does without its memory.
    """
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
    from prometheus_client.core import Metric
    from prometheus_client.registry import Collector

    class Shown(Collector):
        def collect(self) -> Iterable[Metric]:
            for each in families:
                measure = MEASURES[each.name]
                metric = Metric(each.name, measure.text, measure.kind)
                for name, labels, value in each.samples:
                    metric.add_sample(name, dict(labels), value)
                yield metric

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Shown())
    return CONTENT_TYPE_LATEST, generate_latest(registry)
