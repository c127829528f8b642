"""Traffic at a rate of its own: requests come when they are due, whether or not earlier ones were answered.

A caller who waits for an answer before the next request slows down with the server and hides how long the
others would have waited; these do not. Latency counts from when a request was due. Where more is due than all
callers together can ask, that would measure the length of our own queue: such traffic drops what finds nobody
free, and counts from when a request was sent.
"""

import asyncio
import itertools
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from bench.load import read_answer

TICK_SECONDS = 0.002
_LOOK_AFTER = 32
PATIENCE_SECONDS = 30.0
Next = Callable[[bytes | None], bytes]
"""Writes a caller's next request, given the body of its last answer (None before the first, or a refusal)."""


@dataclass
class Seen:
    """What came of some traffic.

    Args:
        unsent: Requests that found no connection free: at the end, or at all where they do not wait.
        cut: Requests whose connection ended without an answer.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    """Of what was answered with 200, in seconds."""
    slowest_refusal: float = 0.0
    unsent: int = 0
    cut: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Requests a second that were answered with 200."""
        return self.statuses[200] / self.seconds

    def quantile(self, share: float) -> float:
        """Give a quantile of the latencies."""
        return sorted(self.latencies)[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


@dataclass(frozen=True)
class Usage:
    """What a process has of the machine."""

    at: float
    resident_megabytes: float
    descriptors: int


def usage(pid: int) -> Usage:
    """Read it from the kernel."""
    status = Path(f"/proc/{pid}/status").read_text()
    kilobytes = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return Usage(time.monotonic(), kilobytes / 1024, len(list(Path(f"/proc/{pid}/fd").iterdir())))


class _Line(asyncio.Protocol):
    """One caller's connection."""

    def __init__(self, traffic: "_Traffic", next_: Next) -> None:
        self._traffic = traffic
        self._next = next_
        self._inbox = bytearray()
        self._last: bytes | None = None
        self.due: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport

    def ask(self, due: float) -> None:
        """Send the next request."""
        self.due = due
        self.transport.write(self._next(self._last))

    def data_received(self, data: bytes) -> None:
        self._inbox += data
        answer = read_answer(self._inbox)
        if answer is not None:
            del self._inbox[: answer.size]
            # After a refusal the caller begins anew.
            self._last = answer.body if answer.status == 200 else None
            due, self.due = self.due, None
            self._traffic.answered(self, answer.status, due)

    def connection_lost(self, error: Exception | None) -> None:
        self._traffic.lost(self)


class _Traffic:
    def __init__(self, rate: float, seconds: float, *, waits: bool) -> None:
        self._rate = rate
        self._waits = waits
        self._seconds = seconds
        self._idle: deque[_Line] = deque()
        self._waiting: deque[float] = deque()
        self._lines: set[_Line] = set()
        self.seen = Seen()

    async def connect(self, url: str, caller: Callable[[], Next], addresses: Iterable[str]) -> None:
        loop, parts = asyncio.get_running_loop(), urlsplit(url)
        for address in addresses:
            _, line = await loop.create_connection(
                lambda: _Line(self, caller()), parts.hostname, parts.port, local_addr=(address, 0)
            )
            self._lines.add(line)
            self._idle.append(line)

    async def run(self) -> None:
        began = time.monotonic()
        for number in itertools.count():
            due = began + number / self._rate
            if due > began + self._seconds:
                break
            while time.monotonic() < due:  # noqa: ASYNC110  # time is what is waited for
                await asyncio.sleep(TICK_SECONDS)
            if self._idle:
                self._idle.popleft().ask(due if self._waits else time.monotonic())
            elif self._waits:
                self._waiting.append(due)
            else:
                self.seen.unsent += 1
            if number % _LOOK_AFTER == 0:
                await asyncio.sleep(0)  # answers are read, also where the next request is due already
        self.seen.seconds = time.monotonic() - began
        self.seen.unsent += len(self._waiting)
        self._waiting.clear()
        until = time.monotonic() + PATIENCE_SECONDS
        while any(line.due for line in self._lines) and time.monotonic() < until:  # noqa: ASYNC110  # or that
            await asyncio.sleep(TICK_SECONDS)
        for line in list(self._lines):
            line.transport.abort()
        await asyncio.sleep(0)

    def answered(self, line: _Line, status: int, due: float) -> None:
        took = time.monotonic() - due
        self.seen.statuses[status] += 1
        if status == 200:
            self.seen.latencies.append(took)
        else:
            self.seen.slowest_refusal = max(self.seen.slowest_refusal, took)
        if self._waiting:
            line.ask(self._waiting.popleft())
        else:
            self._idle.append(line)

    def lost(self, line: _Line) -> None:
        self._lines.discard(line)
        if line in self._idle:
            self._idle.remove(line)
        if line.due is not None:
            self.seen.cut += 1


def send(
    url: str,
    caller: Callable[[], Next],
    rate: float,
    seconds: float,
    *,
    connections: int = 250,
    addresses: Sequence[str] = ("127.0.0.1",),
    waits: bool = True,
) -> Seen:
    """Send requests at a rate for a while, and wait for the last answers.

    Args:
        caller: Makes what a connection says.
        connections: How many there are, made before the first request and kept.
        addresses: From which they come, in turns.
        waits: Whether a request that finds no connection free waits for one; it is late from when it was due.
    """

    async def go() -> Seen:
        traffic = _Traffic(rate, seconds, waits=waits)
        await traffic.connect(url, caller, itertools.islice(itertools.cycle(addresses), connections))
        await traffic.run()
        return traffic.seen

    return uvloop.run(go())
