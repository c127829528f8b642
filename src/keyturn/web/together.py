"""The metrics of several workers as if they were one process's, whichever of them is asked.

Each worker leaves its figures in its slot of shared memory, once a second and when it stops; whoever is asked
adds up those of the others and its own of this moment. Whoever takes a dead worker's place goes on from what
that one left, so that nothing that is counted goes down; a kill -9 loses the counts of its last second.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence

import msgspec
import structlog

from keyturn.web.measures import GAUGES, Family, Labels, single
from keyturn.web.slots import Slots

PUBLISH_SECONDS = 1.0

log = structlog.get_logger("keyturn")

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Family])


class Together:
    """The figures of all workers, seen by one of them.

    Args:
        slots: Where they leave them.
        number: This worker's slot.
        own: Gives what this process counts itself.
    """

    def __init__(self, slots: Slots, number: int, own: Callable[[], Iterable[Family]]) -> None:
        self._slots = slots
        self._number = number
        self._counts = own
        self._before = _counted(self._left_by(number))
        self._complained = False

    def collect(self) -> Iterator[Family]:
        """Give every metric once, and how many workers there are."""
        others = (self._seen(number) for number in range(self._slots.count) if number != self._number)
        yield from _merged([self._own(), *others])
        up = sum(self._slots.is_up(number) for number in range(self._slots.count))
        yield single("keyturn_workers", up)
        yield single("keyturn_worker_restarts", self._slots.restarts)

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
        return _merged([self._before, self._counts()])

    def _left_by(self, number: int) -> list[Family]:
        content = self._slots.read(number)
        return [] if content is None else _decoder.decode(content)

    def _seen(self, number: int) -> list[Family]:
        """Give what another worker left; of a dead one only what it counted still says something."""
        left = self._left_by(number)
        return left if self._slots.is_up(number) else _counted(left)


def _counted(families: Iterable[Family]) -> list[Family]:
    return [family for family in families if family.name not in GAUGES]


def _merged(parts: Sequence[Iterable[Family]]) -> list[Family]:
    found: dict[str, list[Family]] = {}
    for family in (each for part in parts for each in part):
        found.setdefault(family.name, []).append(family)
    return [_merge(name, alike) for name, alike in found.items()]


def _merge(name: str, alike: Sequence[Family]) -> Family:
    values: dict[tuple[str, Labels], list[float]] = {}
    for each in alike:
        for sample, labels, value in each.samples:
            values.setdefault((sample, labels), []).append(value)
    merge = GAUGES.get(name, sum)
    return Family(name, [(sample, labels, merge(each)) for (sample, labels), each in values.items()])
