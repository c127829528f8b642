"""The metrics of several workers as if they were one process's, whichever of them is asked.

Each worker leaves its figures in its slot of shared memory, once a second and when it stops; whoever is asked
adds up those of the others and its own of this moment. Whoever takes a dead worker's place goes on from what
that one left, so that nothing that is counted goes down; a kill -9 loses the counts of its last second.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence

import msgspec
import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from keyturn.web.slots import Slots

PUBLISH_SECONDS = 1.0

log = structlog.get_logger("keyturn")

Merge = Callable[[Iterable[float]], float]
"""What becomes of the values that several workers have for one thing."""


class Family(msgspec.Struct, frozen=True, array_like=True):
    """One metric with its samples, as it is left in a slot: (name, sorted labels) and value."""

    name: str
    kind: str
    documentation: str
    samples: list[tuple[str, tuple[tuple[str, str], ...], float]]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Family])


class Together(Collector):
    """The figures of all workers, seen by one of them.

    Args:
        slots: Where they leave them.
        number: This worker's slot.
        own: What this process counts itself.
        gauges: What becomes of gauges, by name; what is not named there is summed and never goes down.
    """

    def __init__(
        self, slots: Slots, number: int, own: CollectorRegistry, gauges: Mapping[str, Merge]
    ) -> None:
        self._slots = slots
        self._number = number
        self._registry = own
        self._gauges = gauges
        self._before = self._counted(self._left_by(number))
        self._complained = False

    def collect(self) -> Iterable[Metric]:
        """Give every metric once, and how many workers there are."""
        others = (self._seen(number) for number in range(self._slots.count) if number != self._number)
        for family in self._merged([self._own(), *others]):
            metric = Metric(family.name, family.documentation, family.kind)
            for name, labels, value in family.samples:
                metric.add_sample(name, dict(labels), value)
            yield metric
        up = sum(self._slots.is_up(number) for number in range(self._slots.count))
        yield GaugeMetricFamily("keyturn_workers", "Workers that serve now.", value=up)
        yield CounterMetricFamily(
            "keyturn_worker_restarts", "Workers that took a dead one's place.", value=self._slots.restarts
        )

    def publish(self) -> None:
        """Leave this worker's figures for the others."""
        if not self._slots.write(self._number, _encoder.encode(self._own())) and not self._complained:
            self._complained = True
            log.warning("metrics_too_many")

    @contextlib.asynccontextmanager
    async def publishing(self) -> AsyncIterator[None]:
        """Publish each second for the block, and once more at its end."""
        task = asyncio.create_task(self._publish_for_ever())
        try:
            yield
        finally:
            task.cancel()
            self.publish()

    async def _publish_for_ever(self) -> None:
        while True:
            self.publish()
            await asyncio.sleep(PUBLISH_SECONDS)

    def _own(self) -> list[Family]:
        return self._merged([self._before, [_family(metric) for metric in self._registry.collect()]])

    def _left_by(self, number: int) -> list[Family]:
        content = self._slots.read(number)
        return [] if content is None else _decoder.decode(content)

    def _seen(self, number: int) -> list[Family]:
        """Give what another worker left; of a dead one only what it counted still says something."""
        left = self._left_by(number)
        return left if self._slots.is_up(number) else self._counted(left)

    def _counted(self, families: Iterable[Family]) -> list[Family]:
        return [family for family in families if family.name not in self._gauges]

    def _merged(self, parts: Sequence[Iterable[Family]]) -> list[Family]:
        found: dict[str, list[Family]] = {}
        for family in (each for part in parts for each in part):
            found.setdefault(family.name, []).append(family)
        return [_merge(alike, self._gauges.get(name, sum)) for name, alike in found.items()]


def _family(metric: Metric) -> Family:
    samples = [
        (sample.name, tuple(sorted(sample.labels.items())), float(sample.value)) for sample in metric.samples
    ]
    return Family(metric.name, metric.type, metric.documentation, samples)


def _merge(alike: Sequence[Family], merge: Merge) -> Family:
    values: dict[tuple[str, tuple[tuple[str, str], ...]], list[float]] = {}
    for name, labels, value in _samples(alike):
        values.setdefault((name, labels), []).append(value)
    first = alike[0]
    samples = [(name, labels, merge(each)) for (name, labels), each in values.items()]
    return Family(first.name, first.kind, first.documentation, samples)


def _samples(families: Iterable[Family]) -> Iterator[tuple[str, tuple[tuple[str, str], ...], float]]:
    for family in families:
        yield from family.samples
