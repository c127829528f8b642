"""The load: keep-alive connections that send their next request as soon as they have an answer.

It reads just enough of an answer to know its status and where it ends, so one core of it outruns any server
measured here; the report says how busy it was.
"""

import asyncio
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import uvloop

from bench.figures import Round
from bench.processes import cpu_seconds
from bench.talks import Collect, Talk

RAMP_SECONDS = 0.2
"""How long connections run before the window opens, so that no handshake is in it."""
CONNECT_SECONDS = 15.0


class BrokenAnswerError(Exception):
    """A server sent what this client does not read: no content length, or a head without an end."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request, as bytes, and where it goes."""

    host: str
    port: int
    raw: bytes

    @classmethod
    def form(cls, url: str, body: str, headers: tuple[str, ...] = ()) -> "Request":
        """Make a POST of a form."""
        named = (tuple(line.split(": ", 1)) for line in headers)
        kind = ("Content-Type", "application/x-www-form-urlencoded")
        return cls.of("POST", url, body, (("Accept", "application/json"), kind, *named))

    @classmethod
    def of(cls, method: str, url: str, body: str, headers: Iterable[tuple[str, ...]]) -> "Request":
        """Make any request."""
        parts = urlsplit(url)
        lines = (
            f"{method} {url.removeprefix(f'{parts.scheme}://{parts.netloc}')} HTTP/1.1",
            f"Host: {parts.netloc}",
            *(f"{name}: {text}" for name, text in headers),
            f"Content-Length: {len(body.encode())}",
        )
        raw = "\r\n".join([*lines, "", body]).encode()
        return cls(parts.hostname or "127.0.0.1", parts.port or 80, raw)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: its status, its body, and how many bytes it took."""

    status: int
    body: bytes
    size: int


def read_answer(data: bytes | bytearray) -> Answer | None:
    """Read the first answer in the data; None while it is not whole.

    Raises:
        BrokenAnswerError: It does not say how long it is.
    """
    head_ends = data.find(b"\r\n\r\n")
    if head_ends < 0:
        return None
    head = bytes(data[:head_ends]).lower()
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        raise BrokenAnswerError(head.decode("latin-1"))
    length = int(head[at + 17 :].partition(b"\r\n")[0])
    size = head_ends + 4 + length
    if len(data) < size:
        return None
    return Answer(int(head[9:12]), bytes(data[head_ends + 4 : size]), size)


class _Counts:
    def __init__(self) -> None:
        self.open = False
        self.answered = 0
        self.refused = 0
        self.latencies: list[float] = []
        self.broken: Exception | None = None
        self.spent = asyncio.Event()


class _Pace:
    """When requests are due, whether or not the server keeps up: each waits for a free connection.

    What is late is late from the moment at which it was due, so a server that stalls cannot hide it.
    """

    def __init__(self, a_second: float) -> None:
        self._apart = 1 / a_second
        self._idle: deque[_Caller] = deque()
        self._due: deque[float] = deque()

    def rest(self, caller: "_Caller") -> None:
        """Take in a connection that has nothing to do, or give it what is late."""
        if self._due:
            caller.speak(self._due.popleft())
        else:
            self._idle.append(caller)

    async def beat(self) -> None:
        """Make requests due, evenly, until cancelled."""
        due = time.perf_counter()
        while True:
            while due <= time.perf_counter():
                if self._idle:
                    self._idle.popleft().speak(due)
                else:
                    self._due.append(due)
                due += self._apart
            await asyncio.sleep(max(0.0, min(self._apart, due - time.perf_counter())))


class _Caller(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, talk: Talk, counts: _Counts, pace: _Pace | None) -> None:
        self._talk = talk
        self._counts = counts
        self._pace = pace
        self._last: bytes | None = None
        self._inbox = bytearray()
        self._sent = 0.0
        self.leaving = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._go_on()

    def _go_on(self) -> None:
        if self._pace is None:
            self.speak(time.perf_counter())
        else:
            self._pace.rest(self)

    def speak(self, due: float) -> None:
        """Send the next request, which was due at an instant."""
        raw = None if self.leaving else self._talk.next(self._last)
        if raw is None:
            self._counts.spent.set()
            return
        self._sent = due
        self.transport.write(raw)

    def data_received(self, data: bytes) -> None:
        self._inbox += data
        counts = self._counts
        try:
            answer = read_answer(self._inbox)
        except BrokenAnswerError as broken:
            counts.broken = broken
            counts.spent.set()
            return
        if answer is None:
            return
        del self._inbox[: answer.size]
        if counts.open:
            if answer.status == 200:
                counts.answered += 1
                counts.latencies.append(time.perf_counter() - self._sent)
            else:
                counts.refused += 1
        if not self.leaving:
            self._last = answer.body
            self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.leaving:
            self._counts.broken = exc or BrokenAnswerError("the server closed a connection")
            self._counts.spent.set()


def ask(request: Request) -> Answer:
    """Send one request on a connection of its own.

    Raises:
        OSError: Nobody is there.
        BrokenAnswerError: The answer has no readable end.
    """
    with socket.create_connection((request.host, request.port), timeout=CONNECT_SECONDS) as connection:
        connection.sendall(request.raw)
        data = bytearray()
        while True:
            answer = read_answer(data)
            if answer is not None:
                return answer
            piece = connection.recv(65536)
            if not piece:
                raise BrokenAnswerError("the server closed the connection")
            data += piece


def ask_until_ready(
    request: Request, alive: Callable[[], bool], seconds: float = CONNECT_SECONDS, *, settled: bool = False
) -> Answer:
    """Ask until somebody answers.

    Args:
        settled: Whether only 200 counts: some servers listen before they know their clients.

    Raises:
        RuntimeError: The server ended, or does not answer in time.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            answer = ask(request)
            if answer.status == 200 or not settled:
                return answer
        except (OSError, BrokenAnswerError):
            answer = None
        if not alive() or time.monotonic() > until:
            said = answer.body[:200] if answer else b"nothing"
            raise RuntimeError(f"a server did not become ready; it says {said!r}")
        time.sleep(0.005)


def run(
    at: Request,
    talks: Sequence[Talk],
    seconds: float,
    pids: Sequence[int],
    *,
    a_second: float | None = None,
    beside: Sequence[Talk] = (),
) -> tuple[Round, float]:
    """Load a server for a while, or until one of the connections has nothing left to say.

    Args:
        at: Whose host and port are connected to, once for each talk.
        pids: Whose process trees' processor time is read at both ends of the window.
        a_second: How many requests are sent; each as soon as there was an answer if not given.
        beside: Further connections, that are not measured themselves.

    Returns:
        What was measured, and how busy this client's core was.

    Raises:
        BrokenAnswerError: The server failed in a way that is no answer.
    """
    return uvloop.run(_run(at, talks, seconds, pids, a_second, beside))


def collect(request: Request, wanted: int, connections: int) -> list[bytes]:
    """Have a request answered at least ``wanted`` times and keep the bodies.

    Raises:
        BrokenAnswerError: An answer has no readable end, or is no 200.
    """
    bodies: list[bytes] = []
    talks = [Collect(request.raw, wanted, bodies) for _ in range(min(connections, wanted))]
    uvloop.run(_collect(request, talks))
    return bodies


async def _collect(at: Request, talks: Sequence[Talk]) -> None:
    counts = _Counts()
    counts.open = True
    async with _connected(at, talks, counts, None):
        await counts.spent.wait()
    if counts.broken is not None:
        raise counts.broken
    if counts.refused:
        raise BrokenAnswerError(f"{counts.refused} requests were refused")


@asynccontextmanager
async def _connected(
    at: Request, talks: Sequence[Talk], counts: _Counts, pace: _Pace | None
) -> AsyncIterator[None]:
    """Keep a connection for each talk for the length of a block."""
    loop = asyncio.get_running_loop()
    callers = []
    for talk in talks:
        caller = _Caller(talk, counts, pace)
        await loop.create_connection(lambda caller=caller: caller, at.host, at.port)
        callers.append(caller)
    beating = asyncio.ensure_future(pace.beat()) if pace else None
    try:
        yield
    finally:
        if beating is not None:
            beating.cancel()
        for caller in callers:
            caller.leaving = True
        await asyncio.sleep(RAMP_SECONDS / 2)
        for caller in callers:
            caller.transport.abort()


async def _run(
    at: Request,
    talks: Sequence[Talk],
    seconds: float,
    pids: Sequence[int],
    a_second: float | None,
    beside: Sequence[Talk],
) -> tuple[Round, float]:
    counts, others = _Counts(), _Counts()
    pace = _Pace(a_second) if a_second else None
    async with _connected(at, beside, others, None), _connected(at, talks, counts, pace):
        await asyncio.sleep(RAMP_SECONDS)
        counts.open = True
        began, used, mine = time.perf_counter(), _used(pids), time.process_time()
        with suppress(TimeoutError):
            await asyncio.wait_for(counts.spent.wait(), seconds)
        took, mine = time.perf_counter() - began, time.process_time() - mine
        used = _used(pids) - used
        counts.open = False
    broken = counts.broken or others.broken
    if broken is not None:
        raise broken
    return Round(counts.answered, counts.refused, took, used, counts.latencies), mine / took


def _used(pids: Sequence[int]) -> float:
    return sum(map(cpu_seconds, pids))
