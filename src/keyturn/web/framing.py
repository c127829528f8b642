"""What a connection may do: how much, how many, how long, and how a request's length is told.

Everything here is pure; ``web/protocol.py`` holds connections to it.

Spec: RFC 9112 sections 3.2, 6 and 11.2.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from keyturn.web.holders import HeldElsewhere
from keyturn.web.underway import Underway

CHUNKED: Final = -1
"""What ``read_framing`` gives for a chunked body."""
# Only what a value may hold: the rest of any other line joins the line before it, and llhttp refuses that.
_UPGRADE: Final = re.compile(rb"\r\nupgrade:[\t\x20-\x7e\x80-\xff]*", re.IGNORECASE)
_ONCE: Final = frozenset({b"host", b"content-length", b"transfer-encoding"})
# fmt: off
Refused = Literal[
    "malformed", "bare_newline", "request_line", "host", "repeated_field", "content_length",
    "transfer_encoding", "chunk", "trailer", "url_too_long", "head_too_large", "head_timeout", "body_timeout",
    "address_full", "server_full", "overloaded",
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
    goodbye_seconds: float = 0.5  # how long a stopping server waits for a last request on an idle connection
    linger_seconds: float = 1  # how long what follows a refusal is discarded, so that the answer can be read
    connections_per_address: int = 256  # for one IPv4 address or one IPv6 /64; over it 503
    connections: int = 10_000  # in all; over it 503


class FramingRefused(Exception):
    """A head whose limits or framing we refuse; it carries its ``Refused``."""


def without_upgrade(head: bytearray) -> bytearray:
    """Take the wish for another protocol out of a head: we speak none, and may ignore it.

    llhttp would stop reading there and leave the body to whoever comes next.

    Spec: RFC 9110 section 7.8.
    """
    # Few wish it, so look before searching.
    return bytearray(_UPGRADE.sub(b"", head)) if b"\r\nupgrade:" in head.lower() else head


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
        return CHUNKED
    length = fields.get(b"content-length", b"0").strip(b" \t")
    if not length.isdigit() or len(length) > 18:  # noqa: PLR2004 - what fits in 63 bits
        raise FramingRefused("content_length")
    return int(length)


def _spell(status: str, error: str, fields: str = "Connection: close\r\n") -> bytes:
    """Spell a generic answer."""
    body = f'{{"error":"{error}"}}'
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n{fields}\r\n{body}"
    ).encode()


_BUSY: Final = ("503 Service Unavailable", "temporarily_unavailable")
FULL: Final = _spell(*_BUSY, "Retry-After: 1\r\nConnection: close\r\n")
OVERLOADED: Final = _spell(*_BUSY, "Retry-After: 1\r\nConnection: keep-alive\r\n")
_BAD_REQUEST: Final = _spell("400 Bad Request", "invalid_request")
_ANSWERS: Final = {
    "url_too_long": _spell("414 URI Too Long", "invalid_request"),
    "head_too_large": _spell("431 Request Header Fields Too Large", "invalid_request"),
    **dict.fromkeys(("head_timeout", "body_timeout"), _spell("408 Request Timeout", "invalid_request")),
}


def answer_to(why: Refused) -> bytes:
    """Give the generic answer of a connection that is closed with it."""
    return _ANSWERS.get(why, _BAD_REQUEST)


class Shared:
    """What all connections of one server share: their limits, who counts refusals, who holds how many.

    ``others`` is a worker's: what the other ones hold.
    """

    def __init__(self, limits: ProtocolLimits, on_refused: Callable[[str], None]) -> None:
        self.limits = limits
        self.others: HeldElsewhere | None = None
        self.on_refused = on_refused
        self.underway = Underway()
        self.held: Counter[str] = Counter()
        self.total = 0

    def take(self, holder: str) -> Refused | None:
        """Count one more connection, or say which limit is reached and count nothing."""
        if self.total >= self.limits.connections:
            return "server_full"
        # A Unix socket has no address: everybody behind it would share one place.
        elsewhere = 0 if self.others is None else self.others.elsewhere(holder)
        if holder and self.held[holder] + elsewhere >= self.limits.connections_per_address:
            return "address_full"
        self.held[holder] += 1
        self.total += 1
        if self.others is not None:
            self.others.count(holder, 1)
        return None

    def leave(self, holder: str) -> None:
        """Give a place back; an address without connections leaves no entry behind."""
        self.total -= 1
        self.held[holder] -= 1
        if self.others is not None:
            self.others.count(holder, -1)
        if not self.held[holder]:
            del self.held[holder]
