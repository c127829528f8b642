"""A request that is handed over whole, for applications that offer ``answer`` beside ASGI.

It stands where uvicorn has its ``RequestResponseCycle`` and has what uvicorn's protocol reads and writes
there; but nobody waits for messages, so there is no event, no queue and no copy of the server's state.
"""

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from contextvars import copy_context
from functools import lru_cache
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from keyturn.wire.blanks import Blank
from keyturn.wire.http import WireResponse


class Head:
    """What the head of a request says, once it was judged.

    Args:
        headers: Names in lower case.
        client: The peer's address and port; None where it has none.
        keep_alive: Whether another request may follow.
        length: Of the body, in bytes; meaningless where it came in chunks.

    ``memory`` is the application's: what it made of this head, for the next request that has the same. So are
    ``at_once``, whether such a request hardly ever waits for anything, and ``blank``, where the head may hold
    another secret. ``raw`` is the head as it came, if it is kept. One that was found by the blank of another
    has that as its ``first``, and in ``filled`` its own secret.
    """

    __slots__ = (
        "at_once",
        "blank",
        "client",
        "filled",
        "first",
        "headers",
        "keep_alive",
        "length",
        "memory",
        "method",
        "path",
        "query",
        "raw",
    )

    def __init__(
        self,
        method: str,
        target: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        client: tuple[str, int] | None,
        *,
        keep_alive: bool = True,
    ) -> None:
        """Take what was read; ``web/protocol.py`` saw to it that ``target`` has no host and no fragment."""
        self.method = method
        self.path, _, self.query = target.partition(b"?")
        self.headers = headers
        self.client = client
        self.keep_alive = keep_alive
        self.length = 0
        self.memory: Any = None
        self.at_once = False
        self.raw = b""
        self.blank: Blank | None = None
        self.filled: bytes | None = None
        self.first: Head | None = None

    def refilled(self, raw: bytes) -> "Head | None":
        """Give the head that some bytes are which are this one's but for the secret in its blank."""
        value = None if self.blank is None else self.blank.value_in(raw)
        if self.blank is None or value is None:
            return None
        first = self.blank.first
        headers = [(name, value if found == first else found) for name, found in self.headers]
        target = self.path + b"?" + self.query
        head = Head(self.method, target, headers, self.client, keep_alive=self.keep_alive)
        head.length = self.length
        head.at_once = self.at_once
        head.filled = value
        head.first = self
        return head


Answer = Callable[[Head, bytes, bool], Awaitable[tuple[bytes, WireResponse]]]
"""What an application may offer beside ASGI: a head, a body and whether that was too large to be read in,
a request id and an answer out."""


BROKEN: Final = WireResponse(
    500,
    b'{"error":"server_error"}',
    ((b"content-type", b"application/json"), (b"cache-control", b"no-store")),
)
"""What is sent where an application fails to answer."""


Task = asyncio.Task[None]


def begin(
    request: Coroutine[Any, Any, None], loop: AbstractEventLoop, tasks: set[Task], *, at_once: bool
) -> Task | None:
    """Have a request answered in a task among ``tasks``; or at once, and in one only if it has to wait.

    A task, and the turn of the loop until it runs, cost a short request more than a tenth of its time. Its
    context is its own all the same, from its first step to its last.
    """
    context = copy_context()
    if at_once:
        try:
            waits_for = context.run(request.send, None)
        except StopIteration:
            return None
        request = _go_on(request, waits_for)
    task = loop.create_task(request, context=context)
    tasks.add(task)
    return task


async def _go_on(request: Coroutine[Any, Any, None], waits_for: Any) -> None:
    """Finish a request that was begun outside of any task."""
    await _Rest(request, waits_for)


class _Rest:
    """What is left of a coroutine that has begun to wait."""

    def __init__(self, begun: Coroutine[Any, Any, None], waits_for: Any) -> None:
        self._begun = begun
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, None]:
        waits_for = self._waits_for
        while True:
            try:
                try:
                    sent = yield waits_for
                except BaseException as error:  # noqa: BLE001 - whatever it is, it is the request's
                    waits_for = self._begun.throw(error)
                else:
                    waits_for = self._begun.send(sent)
            except StopIteration:
                return


ANSWER_HEADS_KEPT: Final = 1024
"""Heads of answers that are spelled already."""


@lru_cache(maxsize=ANSWER_HEADS_KEPT)
def _head(status: int, headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Spell status line and headers; few differ, so each is joined once."""
    return STATUS_LINE[status] + b"".join([b"%s: %s\r\n" % header for header in headers])


class _Unheard:
    """The event that uvicorn sets when a body grows or a client leaves: nobody waits for it."""

    def set(self) -> None:
        """Do nothing."""


_UNHEARD: Final = _Unheard()
_END: Final = b"\r\n\r\n"
_HEADS_KEPT: Final = 4
_HEADS_KEPT_BYTES: Final = 4096  # of all of them: read, a head takes five times its bytes


class WholeRequest:
    """One request on its way in, and what uvicorn has to know of its answer."""

    __slots__ = (
        "body",
        "disconnected",
        "head",
        "keep_alive",
        "message_event",
        "more_body",
        "oversized",
        "response_complete",
        "transport",
    )

    def __init__(self, head: Head, transport: asyncio.Transport) -> None:
        """Take the head; the body is to come."""
        self.head = head
        self.body: bytes | bytearray = bytearray()
        self.more_body = True
        self.oversized = False
        self.message_event = _UNHEARD
        self.transport = transport
        self.keep_alive = head.keep_alive
        self.disconnected = False
        self.response_complete = False

    def spell(self, request_id: bytes, response: WireResponse) -> bytes:
        """Give the answer as bytes on the wire."""
        head = _head(response.status, response.headers)
        for header in response.changing:
            head += b"%s: %s\r\n" % header
        body = b"" if self.head.method == "HEAD" else response.body
        close = b"" if self.keep_alive else b"connection: close\r\n"
        return b"%scontent-length: %d\r\nx-request-id: %s\r\n%s\r\n%s" % (
            head,
            len(response.body),
            request_id,
            close,
            body,
        )


class AnswerAndClose:
    """The transport that uvicorn answers through: how it closes is the protocol's matter."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        """Stand before the transport of a connection."""
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


class KnownHeads:
    """The heads that one connection has sent and both readers took; kept as long as the connection lasts.

    The same bytes get the same verdict, so a request that comes whole and alone behind one of them needs
    neither reader. A dictionary finds them by a keyed hash: its time does not tell how far two heads agree,
    which behind a proxy may be two callers'.
    """

    __slots__ = ("_bytes", "_heads")

    def __init__(self) -> None:
        """Know none."""
        self._heads: dict[bytes, Head] = {}
        self._bytes = 0

    def keep(self, raw: bytearray, head: Head, length: int) -> None:
        """Keep a head, if it is short and says how long its body is."""
        if length < 0 or len(raw) > _HEADS_KEPT_BYTES:
            return
        head.length = length
        head.raw = bytes(raw)
        self._bytes += len(raw)
        if len(self._heads) >= _HEADS_KEPT or self._bytes > _HEADS_KEPT_BYTES:
            self._heads.clear()
            self._bytes = len(raw)
        self._heads[head.raw] = head

    def begin(self, data: bytes, transport: asyncio.Transport) -> WholeRequest | None:
        """Give the request that some bytes are from their first to their last, if its head is known."""
        body_begins = data.find(_END) + len(_END)
        raw = data[:body_begins]
        head = self._heads.get(raw)
        if head is None:
            alike = (kept.refilled(raw) for kept in self._heads.values() if kept.blank is not None)
            head = next(filter(None, alike), None)
        if head is None or len(data) != body_begins + head.length:
            return None
        request = WholeRequest(head, transport)
        request.body = data[body_begins:]
        request.more_body = False
        return request
