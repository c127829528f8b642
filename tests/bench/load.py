"""The load: keep-alive connections that send their next request as soon as they have an answer.

It reads just enough of an answer to know its status and where it ends, so one core of it outruns any server
measured here; the report says how busy it was.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
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
        parts = urlsplit(url)
        lines = (
            f"POST {parts.path} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Accept: application/json",
            "Content-Type: application/x-www-form-urlencoded",
            f"Content-Length: {len(body)}",
            *headers,
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


class _Caller(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, talk: Talk, counts: _Counts) -> None:
        self._talk = talk
        self._counts = counts
        self._inbox = bytearray()
        self._sent = 0.0
        self.leaving = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._send(None)

    def _send(self, last: bytes | None) -> None:
        raw = self._talk.next(last)
        if raw is None:
            self._counts.spent.set()
            return
        self._sent = time.perf_counter()
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
            self._send(answer.body)

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


def ask_until_ready(request: Request, alive: Callable[[], bool]) -> Answer:
    """Ask until somebody listens.

    Raises:
        RuntimeError: The server ended, or nobody listens in time.
    """
    until = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            return ask(request)
        except (OSError, BrokenAnswerError) as error:
            if not alive() or time.monotonic() > until:
                raise RuntimeError("the server did not become ready") from error
            time.sleep(0.005)


def run(at: Request, talks: Sequence[Talk], seconds: float, pid: int) -> tuple[Round, float]:
    """Load a server for a while, or until one of the connections has nothing left to say.

    Args:
        at: Whose host and port are connected to, once for each talk.
        pid: Whose process tree's processor time is read at both ends of the window.

    Returns:
        What was measured, and how busy this client's core was.

    Raises:
        BrokenAnswerError: The server failed in a way that is no answer.
    """
    return uvloop.run(_run(at, talks, seconds, pid))


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
    async with _connected(at, talks, counts):
        await counts.spent.wait()
    if counts.broken is not None:
        raise counts.broken
    if counts.refused:
        raise BrokenAnswerError(f"{counts.refused} requests were refused")


@asynccontextmanager
async def _connected(at: Request, talks: Sequence[Talk], counts: _Counts) -> AsyncIterator[None]:
    """Keep a connection for each talk for the length of a block."""
    loop = asyncio.get_running_loop()
    callers = []
    for talk in talks:
        _, caller = await loop.create_connection(lambda talk=talk: _Caller(talk, counts), at.host, at.port)
        callers.append(caller)
    try:
        yield
    finally:
        for caller in callers:
            caller.leaving = True
        await asyncio.sleep(RAMP_SECONDS / 2)
        for caller in callers:
            caller.transport.abort()


async def _run(at: Request, talks: Sequence[Talk], seconds: float, pid: int) -> tuple[Round, float]:
    counts = _Counts()
    async with _connected(at, talks, counts):
        await asyncio.sleep(RAMP_SECONDS)
        counts.open = True
        began, used, mine = time.perf_counter(), cpu_seconds(pid), time.process_time()
        with suppress(TimeoutError):
            await asyncio.wait_for(counts.spent.wait(), seconds)
        took, mine = time.perf_counter() - began, time.process_time() - mine
        used = cpu_seconds(pid) - used
        counts.open = False
    if counts.broken is not None:
        raise counts.broken
    return Round(counts.answered, counts.refused, took, used, counts.latencies), mine / took
