"""The bounds on a connection: what bare uvicorn would let a stranger do to us, and what happens instead.

Bytes are cut into requests here, before uvicorn's parser (llhttp) sees them. The head is checked first, then
llhttp checks it again, byte by byte; a request that either of the two readers refuses reaches nobody, so none
can be smuggled through a difference between them. The application starts once a request has arrived whole: a
slow client costs a buffer and never a task.

    head ──► body or chunks ──► the application answers ──► head of the next request
      └───────────┴── refused, or too late: one generic answer, what still comes is discarded, close

What llhttp refuses is not written again: the tests hold it to that, and we refuse what it lets pass.

Spec: RFC 9112 sections 2.2, 3, 5.1, 6 and 11.2; RFC 9110 sections 7.2, 7.8 and 10.1.1.
"""

import asyncio
import ipaddress
import math
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

OVERSIZED: Final = "keyturn.oversized"
"""Present in ``scope["state"]`` when the body was over the limit: it was not read; answer with 413."""

_CR: Final = 13
_END: Final = b"\r\n\r\n"
_CHUNKED: Final = -1
_ONCE: Final = frozenset({b"host", b"content-length", b"transfer-encoding"})
# llhttp also speaks RTSP, ICE, HTTP/0.9 and HTTP/2.0, and skips line feeds before a method. CONNECT would be
# a tunnel. An absolute target names a second host: who routes by the one and trusts the other is fooled.
# A fragment never travels: one reader drops it, another keeps it in the path.
_REQUEST_LINE: Final = re.compile(rb"(?!CONNECT )[A-Z]+ (?:/[!\"$-~]*|(?<=OPTIONS )\*) HTTP/1\.[01]\r\n")
_SIZE_LINE_BYTES: Final = 256 + len("ffffffff\r\n")
_SIZE_LINE: Final = re.compile(rb"([0-9a-fA-F]{1,8})(?:;.{0,255})?")
_BARE_NEWLINE: Final = re.compile(rb"(?<!\r)\n|\r[^\n]")
_LEADING_CRLF: Final = re.compile(rb"(\r\n)+")
# Only what a value may hold: the rest of any other line joins the line before it, and llhttp refuses that.
_UPGRADE: Final = re.compile(rb"\r\nupgrade:[\t\x20-\x7e\x80-\xff]*", re.IGNORECASE)

# fmt: off
Refused = Literal[
    "malformed", "bare_newline", "request_line", "host", "repeated_field", "content_length",
    "transfer_encoding", "chunk", "trailer", "url_too_long", "head_too_large", "head_timeout", "body_timeout",
    "address_full", "server_full",
]
# fmt: on
"""Why a connection was refused before the front desk saw a request: a counter's label, never sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolLimits:
    """How much, how many and how long; the defaults are those of the security checklist (HT-01, HT-05)."""

    head_bytes: int = 32 * 1024  # request line and headers together; over it 431
    head_lines: int = 100  # over it 431
    url_bytes: int = 8 * 1024  # the request target; over it 414
    body_bytes: int = 64 * 1024  # declared or chunked; over it the application answers 413, see OVERSIZED
    body_chunks: int = 1_000  # a thousand tiny chunks cost what a large body costs; over it 400
    head_seconds: float = 10  # from the first byte of a request, or from accept, to the end of its head
    body_seconds: float = 20  # from the end of the head to the end of the body; over either 408
    idle_seconds: float = 60  # between requests; also how long an answer may wait for its reader
    linger_seconds: float = 1  # how long what follows a refusal is discarded, so that the answer can be read
    connections_per_address: int = 256  # for one IPv4 address or one IPv6 /64; over it 503
    connections: int = 10_000  # in all; over it 503


class FramingRefused(Exception):
    """A head whose limits or framing we refuse; it carries its ``Refused``."""


def read_framing(version: str, headers: list[tuple[bytes, bytes]], limits: ProtocolLimits) -> int:
    """Check what llhttp lets pass, and say how long the body is.

    Returns:
        The declared length, 0 without one, or -1 for a chunked body.

    Raises:
        FramingRefused: A limit is passed, or a proxy in front of us could read this head in another way.

    Spec: RFC 9112 section 3.2 (Host), section 6.3 (length of a body).
    """
    if len(headers) > limits.head_lines:
        raise FramingRefused("head_too_large")
    fields = dict(headers)
    if len(fields) < len(headers):
        once = [name for name, _ in headers if name in _ONCE]
        if len(once) > len(set(once)):
            raise FramingRefused("repeated_field")
    if b"host" not in fields and version == "1.1":
        raise FramingRefused("host")
    if b"transfer-encoding" in fields:
        # An HTTP/1.0 proxy takes chunks for the next request. llhttp also accepts `gzip, chunked`.
        coding = fields[b"transfer-encoding"].strip(b" \t").lower()
        if version == "1.0" or coding != b"chunked" or b"content-length" in fields:
            raise FramingRefused("transfer_encoding")
        return _CHUNKED
    length = fields.get(b"content-length", b"0").strip(b" \t")
    if not length.isdigit() or len(length) > 18:  # noqa: PLR2004 - what fits in 63 bits
        raise FramingRefused("content_length")
    return int(length)


def _answer(status: str, error: str, extra: str = "") -> bytes:
    body = f'{{"error":"{error}"}}'
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
        f"{extra}Connection: close\r\n\r\n{body}"
    ).encode()


_BAD_REQUEST: Final = _answer("400 Bad Request", "invalid_request")
_FULL: Final = _answer("503 Service Unavailable", "temporarily_unavailable", "Retry-After: 1\r\n")
_ANSWERS: Final = {
    "url_too_long": _answer("414 URI Too Long", "invalid_request"),
    "head_too_large": _answer("431 Request Header Fields Too Large", "invalid_request"),
    **dict.fromkeys(("head_timeout", "body_timeout"), _answer("408 Request Timeout", "invalid_request")),
}


class Shared:
    """What all connections of one server share: their limits, who counts refusals, who holds how many."""

    def __init__(self, limits: ProtocolLimits, on_refused: Callable[[str], None]) -> None:
        self.limits = limits
        self.on_refused = on_refused
        self.held: Counter[str] = Counter()
        self.total = 0

    def take(self, holder: str) -> Refused | None:
        """Count one more connection, or say which limit is reached and count nothing."""
        if self.total >= self.limits.connections:
            return "server_full"
        # A Unix socket has no address: everybody behind it would share one place.
        if holder and self.held[holder] >= self.limits.connections_per_address:
            return "address_full"
        self.held[holder] += 1
        self.total += 1
        return None

    def leave(self, holder: str) -> None:
        """Give a place back; an address without connections leaves no entry behind."""
        self.total -= 1
        self.held[holder] -= 1
        if not self.held[holder]:
            del self.held[holder]


def holder_of(address: str) -> str:
    """Name who holds a connection: an IPv4 address, or the /64 that one IPv6 subscriber usually owns."""
    if ":" not in address:
        return address
    ip = ipaddress.IPv6Address(address)
    # On a dual-stack socket all of IPv4 is one /64.
    return str(ip.ipv4_mapped or ipaddress.IPv6Network((int(ip), 64), strict=False))


class _AnswerAndDiscard:
    """The transport an oversized request answers through: it closes once the client has read the answer."""

    def __init__(self, connection: "BoundedProtocol") -> None:
        self._connection = connection
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing

    def close(self) -> None:
        self._connection.close_after_reading()


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
        self._inbox = bytearray()
        self._step: Callable[[], bool] = self._read_head
        self._scanned = self._missing = self._body_bytes = self._chunks = 0
        self._head_begun = True  # for the first request the clock runs from accept
        self._deadline = self._alarm_at = math.inf
        self._alarm: asyncio.TimerHandle | None = None
        self._holder: str | None = holder_of(self.client[0] if self.client else "")
        if full := self.shared.take(self._holder):
            self._holder = None
            self._step = self._discard
            self.shared.on_refused(full)
            transport.write(_FULL)
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
        try:
            length = self._parse_head(self._take(end + len(_END)))
        except FramingRefused as refused:
            return self._refuse(refused.args[0])
        if length > self.limits.body_bytes:
            return self._answer_oversized()
        if length < 0 or length > len(inbox):
            return self._await_body(length)
        return (length == 0 or self._feed(self._take(length))) and self._start()

    def _parse_head(self, head: bytearray) -> int:
        """Have a head judged by both readers, and return the length of its body."""
        if not _REQUEST_LINE.match(head):
            raise FramingRefused("request_line")
        # We speak nothing to upgrade to, so we may ignore the wish (RFC 9110 section 7.8); llhttp would stop
        # reading here and leave the body to whoever comes next.
        try:
            self.parser.feed_data(_UPGRADE.sub(b"", head))
        except httptools.HttpParserError as error:
            raise FramingRefused("malformed") from error
        if len(self.url) > self.limits.url_bytes:
            raise FramingRefused("url_too_long")
        return read_framing(self.scope["http_version"], self.headers, self.limits)

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
        self._step = self._read_chunk if length == _CHUNKED else self._read_body
        self._allow(self.limits.body_seconds)
        if self.cycle.waiting_for_100_continue and self.scope["http_version"] == "1.1" and not self._inbox:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

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

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:  # noqa: ARG002
        """Keep what uvicorn would start at the end of the head, for ``_start`` at the end of the body."""
        self._app = app

    def _start(self) -> bool:
        if self.cycle.more_body:  # llhttp sees another end of this request than we do: somebody is wrong
            return self._refuse("malformed")
        self.cycle.waiting_for_100_continue = False
        self._deadline = math.inf
        self._step = self._wait
        super()._start_asgi_task(self.cycle, self._app)
        return True

    def _answer_oversized(self) -> bool:
        """Let the application say 413 in the words of its dialect; the rest of the body is not read."""
        self.scope["state"][OVERSIZED] = True
        self.cycle.body.clear()
        self.on_message_complete()
        self.cycle.keep_alive = False
        self.cycle.transport = _AnswerAndDiscard(self)  # type: ignore[assignment]
        self._start()
        self._step = self._discard
        return True

    def _refuse(self, why: Refused) -> bool:
        self.shared.on_refused(why)
        self.transport.write(_ANSWERS.get(why, _BAD_REQUEST))
        self.close_after_reading()
        return False

    def close_after_reading(self) -> None:
        """Close once the client has read the answer: closing over unread bytes would reset it away."""
        self._step = self._discard
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
        self._allow(self.limits.idle_seconds)
        self._step = self._read_head
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self._inbox:
                self.data_received(b"")

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
        now = self.loop.time()
        if now < self._deadline:
            self._set_alarm(min(self._deadline, now + self.limits.idle_seconds))
        elif self.transport.is_closing() or self._step in {self._wait, self._discard}:
            self.transport.abort()  # the client does not read its answer
        elif self._step != self._read_head:
            self._refuse("body_timeout")
        elif self._inbox:
            self._refuse("head_timeout")
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
