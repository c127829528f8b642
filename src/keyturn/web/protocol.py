"""The bounds on a connection: what bare uvicorn would let a stranger do to us, and what happens instead.

Bytes are cut into requests here, before uvicorn's parser (llhttp) sees them. The head is checked first, then
llhttp checks it again, byte by byte; a request that either of the two readers refuses reaches nobody, so none
can be smuggled through a difference between them. The application starts once a request has arrived whole: a
slow client costs a buffer and never a task.

    head ──► body or chunks ──► the application answers ──► head of the next request
      └───────────┴── refused, or too late: one generic answer, what still comes is discarded, close

Who keeps a connection sends the same head again and again. The last few are kept, and a request that comes
whole behind one of them goes straight to the application.

What llhttp refuses is not written again: the tests hold it to that, and we refuse what it lets pass.

Spec: RFC 9112 sections 2.2, 3, 5.1, 6 and 11.2; RFC 9110 sections 7.2, 7.8 and 10.1.1.
"""

import asyncio
import math
import re
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar, Final

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from keyturn.core.addresses import subscriber
from keyturn.web.cycle import BROKEN, Answer, AnswerAndClose, Head, KnownHeads, Task, WholeRequest, begin
from keyturn.web.framing import (
    CHUNKED,
    FULL,
    OVERLOADED,
    FramingRefused,
    ProtocolLimits,
    Refused,
    Shared,
    answer_to,
    read_framing,
    without_upgrade,
)
from keyturn.web.underway import REST_SECONDS

OVERSIZED: Final = "keyturn.oversized"
"""Present in ``scope["state"]`` when the body was over the limit: it was not read; answer with 413."""

_CR: Final = 13
_END: Final = b"\r\n\r\n"
# llhttp also speaks RTSP, ICE, HTTP/0.9 and HTTP/2.0, and skips line feeds before a method. CONNECT would be
# a tunnel. An absolute target names a second host: who routes by the one and trusts the other is fooled.
# A fragment never travels: one reader drops it, another keeps it in the path.
_REQUEST_LINE: Final = re.compile(rb"(?!CONNECT )[A-Z]+ (?:/[!\"$-~]*|(?<=OPTIONS )\*) HTTP/1\.[01]\r\n")
_SIZE_LINE_BYTES: Final = 256 + len("ffffffff\r\n")
_SIZE_LINE: Final = re.compile(rb"([0-9a-fA-F]{1,8})(?:;.{0,255})?")
_BARE_NEWLINE: Final = re.compile(rb"(?<!\r)\n|\r[^\n]")
_LEADING_CRLF: Final = re.compile(rb"(\r\n)+")


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Make the class for a server with ``protocol_class``.

    ``_step`` is what is done with bytes that arrive: it takes what it can use from ``_inbox`` and returns
    whether it got on. One request is handled at a time; what is pipelined behind it waits, unread.
    """

    shared: ClassVar[Shared]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a place, or refuse the connection at once."""
        super().connection_made(transport)
        # uvicorn lets data follow a request that closes the connection; we pass none on, so be strict.
        self.parser.set_dangerous_leniencies(lenient_data_after_close=False)
        self.limits = self.shared.limits
        self._answer: Answer | None = getattr(self.app, "answer", None)
        self._version = "1.1"
        self._inbox = bytearray()
        self._step: Callable[[], bool] = self._read_head
        self._scanned = self._missing = self._body_bytes = self._chunks = 0
        self._responding: Task | None = None
        self._last = False  # the server is stopping: the next answer closes the connection
        self._known = KnownHeads()
        self._idle = False  # nothing of the next request is here yet
        self._head_begun = True  # for the first request the clock runs from accept
        self._deadline = self._alarm_at = math.inf
        self._alarm: asyncio.TimerHandle | None = None
        self._holder: str | None = subscriber(self.client[0] if self.client else "")
        if full := self.shared.take(self._holder):
            self._holder = None
            self._step = self._discard
            self.shared.on_refused(full)
            transport.write(FULL)
            transport.close()
        self._allow(self.limits.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back and stop the clock."""
        if self._holder is not None:
            self.shared.leave(self._holder)
        if self._alarm is not None:
            self._alarm.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes from the socket, and go as far as they reach."""
        if self._idle:
            self._idle = False
            again = self._known.begin(data, self.transport)
            if again is not None:
                self.cycle = again  # type: ignore[assignment]  # all that uvicorn uses
                self._start(at_once=again.head.at_once)
                return
        self._inbox += data
        while self._inbox and self._step():
            pass

    def _read_head(self) -> bool:
        inbox = self._inbox
        # Empty lines before a request are to be ignored (RFC 9112 section 2.2).
        if inbox[0] == _CR and (empty_lines := _LEADING_CRLF.match(inbox)):
            del inbox[: empty_lines.end()]
        end = inbox.find(_END, max(0, self._scanned - 3), self.limits.head_bytes)
        if end < 0:
            return self._await_head()
        self._scanned = 0
        self._head_begun = False
        head = self._take(end + len(_END))
        try:
            length = self._parse_head(head)
        except FramingRefused as refused:
            return self._refuse(refused.args[0])
        if length > self.limits.body_bytes:
            return self._answer_oversized()
        cycle: RequestResponseCycle | WholeRequest = self.cycle
        if isinstance(cycle, WholeRequest):
            self._known.keep(head, cycle.head, length)
        if length < 0 or length > len(inbox):
            return self._await_body(length)
        return (length == 0 or self._feed(self._take(length))) and self._start()

    def _parse_head(self, head: bytearray) -> int:
        """Have a head judged by both readers, and return the length of its body."""
        if not _REQUEST_LINE.match(head):
            raise FramingRefused("request_line")
        try:
            self.parser.feed_data(without_upgrade(head))
        except httptools.HttpParserError as error:
            raise FramingRefused("malformed") from error
        if len(self.url) > self.limits.url_bytes:
            raise FramingRefused("url_too_long")
        return read_framing(self._version, self.headers, self.limits)

    def _await_head(self) -> bool:
        """Wait for the rest of a head, unless it is already clear that it will be refused."""
        inbox = self._inbox
        if len(inbox) >= self.limits.head_bytes:
            url_ends = inbox.find(b"\r\n", 0, self.limits.url_bytes + len("OPTIONS  HTTP/1.1\r\n")) > 0
            return self._refuse("head_too_large" if url_ends else "url_too_long")
        # Without this a head that ends in bare line feeds would only be refused by the clock.
        if _BARE_NEWLINE.search(inbox, max(0, self._scanned - 1)):
            return self._refuse("bare_newline")
        self._scanned = len(inbox)
        if not self._head_begun:
            self._head_begun = True
            self._allow(self.limits.head_seconds)
        return False

    def _await_body(self, length: int) -> bool:
        self._body_bytes = self._chunks = 0
        self._missing = max(length, 0)
        self._step = self._read_chunk if length == CHUNKED else self._read_body
        self._allow(self.limits.body_seconds)
        if self._version == "1.1" and not self._inbox and self._wants_100():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def _wants_100(self) -> bool:
        return any(name == b"expect" and value.lower() == b"100-continue" for name, value in self.headers)

    def _read_body(self) -> bool:
        return self._feed_missing() and (self._missing > 0 or self._start())

    def _read_chunk(self) -> bool:
        inbox = self._inbox
        end = inbox.find(b"\r\n", 0, _SIZE_LINE_BYTES)
        if end < 0:
            # Extensions and tiny chunks are a way to send much that counts as little body (CVE-2023-39326).
            if len(inbox) >= _SIZE_LINE_BYTES:
                return self._refuse("chunk")
            return False
        size = _SIZE_LINE.fullmatch(inbox, 0, end)
        self._chunks += 1
        if size is None or self._chunks > self.limits.body_chunks:
            return self._refuse("chunk")
        length = int(size[1], 16)
        self._body_bytes += length
        if self._body_bytes > self.limits.body_bytes:
            return self._answer_oversized()
        self._missing = length + len(b"\r\n")
        self._step = self._read_chunk_data if length else self._read_end_of_chunks
        return self._feed(self._take(end + len(b"\r\n")))

    def _read_chunk_data(self) -> bool:
        fed = self._feed_missing()
        if fed and not self._missing:
            self._step = self._read_chunk
        return fed

    def _read_end_of_chunks(self) -> bool:
        # A trailer is a header that arrives after the head was checked, and nothing here needs one.
        if not b"\r\n".startswith(self._inbox[: self._missing]):
            return self._refuse("trailer")
        return len(self._inbox) >= self._missing and self._read_body()

    def _wait(self) -> bool:
        """Leave what is pipelined unread while a request is answered."""
        self.flow.pause_reading()
        return False

    def _discard(self) -> bool:
        """Throw away what comes after a refusal: it may be a body, and must never be read as a request."""
        self._inbox.clear()
        return False

    def _take(self, count: int) -> bytearray:
        piece = self._inbox[:count]
        del self._inbox[:count]
        return piece

    def _feed_missing(self) -> bool:
        piece = self._take(self._missing)
        self._missing -= len(piece)
        return self._feed(piece)

    def _feed(self, data: bytes | bytearray) -> bool:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            return self._refuse("malformed")
        return True

    # What llhttp reports. uvicorn asks about upgrades at every turn, and there is none here.

    def on_message_begin(self) -> None:
        """Begin a request."""
        if self._answer is None:
            super().on_message_begin()
        else:
            self.url, self.headers = b"", []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header field."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Make the cycle that takes the body."""
        parser = self.parser
        self._version = parser.get_http_version()
        if self._answer is None:
            super().on_headers_complete()
            return
        head = Head(
            parser.get_method().decode("ascii"),
            self.url,
            self.headers,
            self.client,
            keep_alive=self._version != "1.0" and parser.should_keep_alive(),
        )
        self.cycle = WholeRequest(head, self.transport)  # type: ignore[assignment]  # all that uvicorn uses

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self.cycle.body += body

    def on_message_complete(self) -> None:
        """Note that the request is whole."""
        self.cycle.more_body = False
        self.cycle.message_event.set()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:  # noqa: ARG002
        """Keep what uvicorn would start at the end of the head, for ``_start`` at the end of the body."""
        self._app = app

    def _start(self, *, at_once: bool = False) -> bool:
        if self.cycle.more_body:  # llhttp sees another end of this request than we do: somebody is wrong
            return self._refuse("malformed")
        if self._last:
            self.cycle.keep_alive = False
        self._deadline = math.inf
        self._step = self._wait
        cycle: RequestResponseCycle | WholeRequest = self.cycle
        if isinstance(cycle, WholeRequest) and self._answer is not None:
            if not self.shared.underway.lets_in(cycle.head.method):
                return self._turn_away(cycle)
            answering = self._respond(cycle, self._answer)
            self._responding = begin(answering, self.loop, self.tasks, at_once=at_once)
        else:
            cycle.transport = AnswerAndClose(self.transport, self.close_after_reading)  # type: ignore[assignment]
            super()._start_asgi_task(self.cycle, self._app)
        return True

    def _turn_away(self, cycle: WholeRequest) -> bool:
        """Refuse what would wait too long, keep the connection, and do not listen to it for a while."""
        self.shared.on_refused("overloaded")
        self.transport.write(OVERLOADED if cycle.keep_alive else FULL)
        if cycle.keep_alive:
            self.flow.pause_reading()
            self.loop.call_later(REST_SECONDS, self._listen_again)
        else:
            self._step = self._discard if cycle.oversized else self._step  # its body may be on its way
            self.close_after_reading()
        return True

    def _listen_again(self) -> None:
        if not self.transport.is_closing():
            self.on_response_complete()

    async def _respond(self, cycle: WholeRequest, answer: Answer) -> None:
        """Answer without ASGI's messages, where the application offers that.

        Both are whole, so receive and send would only cost: a fifth of a token's time (docs/performance.md).
        """
        try:
            try:
                request_id, response = await answer(cycle.head, bytes(cycle.body), cycle.oversized)
            except Exception:
                self.logger.exception("the application failed")
                request_id, response, cycle.keep_alive = b"", BROKEN, False
            if self.flow.write_paused and not cycle.disconnected:
                await self.flow.drain()
        finally:
            self.shared.underway.leave(self.loop.time())
            self.tasks.discard(self._responding)  # uvicorn's callback costs another turn of the loop
        if not cycle.disconnected:
            cycle.transport.write(cycle.spell(request_id, response))
            if not cycle.keep_alive:
                self.close_after_reading()
        cycle.response_complete = True
        self.on_response_complete()

    def _answer_oversized(self) -> bool:
        """Let the application say 413 in the words of its dialect; the rest of the body is not read."""
        cycle: RequestResponseCycle | WholeRequest = self.cycle
        if isinstance(cycle, WholeRequest):
            cycle.oversized = True
        else:
            cycle.scope["state"][OVERSIZED] = True
        cycle.body, cycle.keep_alive = bytearray(), False
        self.on_message_complete()
        self._start()
        self._step = self._discard
        return True

    def _refuse(self, why: Refused) -> bool:
        self.shared.on_refused(why)
        self.transport.write(answer_to(why))
        self.close_after_reading()
        return False

    def close_after_reading(self) -> None:
        """Close once the client has read the answer: closing over unread bytes would reset it away."""
        if self._step == self._wait and not self._inbox:  # nothing came behind the request
            self._allow(self.limits.idle_seconds)
            self.transport.close()
            return
        self._step, self._idle = self._discard, False  # idle, what comes behind a known head would be begun
        self._inbox.clear()
        self.flow.resume_reading()
        self._allow(self.limits.linger_seconds)
        if self.transport.can_write_eof():
            with suppress(OSError):  # the client is gone; the alarm tidies up
                self.transport.write_eof()
        else:  # TLS
            self.transport.close()

    def on_response_complete(self) -> None:
        """Turn to the next request, as uvicorn does, with one timer a connection instead of one a request."""
        self.server_state.total_requests += 1
        if self._step == self._discard:
            return
        self._allow(self.limits.goodbye_seconds if self._last else self.limits.idle_seconds)
        self._step = self._read_head
        self._idle = not self._inbox
        if self.flow.read_paused and not self.transport.is_closing():
            self.flow.resume_reading()
        if self._inbox and not self.transport.is_closing():
            self.data_received(b"")

    def shutdown(self) -> None:
        """Let a request that is under way, or already sent to us, have its answer; then close (RE-03).

        Closing an idle connection at once would break the request that its client is just sending.
        """
        self._last = True
        if self._step == self._wait:
            self.cycle.keep_alive = False
        elif self._step == self._read_head:
            self._allow(self.limits.goodbye_seconds)

    def pause_writing(self) -> None:
        """Bound how long an answer waits for its reader, who would otherwise hold a task for ever."""
        super().pause_writing()
        if self._step == self._wait:
            self._allow(self.limits.idle_seconds)

    def resume_writing(self) -> None:
        """Go on once the client reads again."""
        super().resume_writing()
        if self._step == self._wait:
            self._deadline = math.inf

    def _allow(self, seconds: float) -> None:
        """Set the deadline; the alarm moves only if it would ring too late, which is rare."""
        self._deadline = self.loop.time() + seconds
        if self._deadline < self._alarm_at:
            self._set_alarm(self._deadline)

    def _set_alarm(self, at: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = self.loop.call_at(at, self._on_alarm)

    def _on_alarm(self) -> None:
        now, self._alarm_at = self.loop.time(), math.inf
        if now < self._deadline:
            self._set_alarm(min(self._deadline, now + self.limits.idle_seconds))
        elif self.transport.is_closing() or self._step in {self._wait, self._discard}:
            self.transport.abort()  # the client does not read its answer
        elif self._step != self._read_head or self._inbox:
            self._refuse("head_timeout" if self._step == self._read_head else "body_timeout")
        else:
            self.close_after_reading()


def protocol_class(limits: ProtocolLimits, on_refused: Callable[[str], None]) -> type[BoundedProtocol]:
    """Make the class for ``uvicorn.Config(http=..., ws="none")``.

    Args:
        limits: Apply to every connection of the server.
        on_refused: Called with a ``Refused`` for each refusal that no application sees, to be counted.
    """

    class Bounded(BoundedProtocol):
        """A connection within the given limits."""

        shared = Shared(limits, on_refused)

    return Bounded
