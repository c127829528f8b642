"""HTTP as plain values: what a server hands in and gets back, without any server."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from keyturn.core.vocabulary import RequestId

Headers = tuple[tuple[bytes, bytes], ...]


class HeadNotes:
    """What a reader found in a request's head alone; kept with the head where requests repeat one.

    Whoever keeps the head of a connection keeps these as long and no longer: a secret is among them.

    Args:
        media: The media type that decides who reads the body.
        path: What the fields of the path were read into.
        claimed: The client and secret of HTTP Basic; empty where there is none.
    """

    __slots__ = ("claimed", "media", "path")

    def __init__(self) -> None:
        """Know nothing yet."""
        self.media: str | None = None
        self.path: dict[str, Any] | None = None
        self.claimed: tuple[Any, ...] | None = None


class WireRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it arrived; framing and sizes were checked by ``web/protocol.py``.

    Args:
        path: As sent, still percent-encoded, without the query.
        headers: Names in lower case.
        oversized: The body was over the limit and was not read.
        params: What the route's path template matched, by name.
        notes: Shared with other requests behind the same head.
    """

    request_id: RequestId
    method: str
    path: str
    query: bytes = b""
    headers: Sequence[tuple[bytes, bytes]] = ()
    body: bytes = b""
    address: str = ""
    oversized: bool = False
    params: Mapping[str, str] = {}
    notes: HeadNotes = msgspec.field(default_factory=HeadNotes)

    def header(self, name: bytes) -> list[bytes]:
        """Give every value of a header, in order."""
        return [value for key, value in self.headers if key == name]


class WireResponse(msgspec.Struct, frozen=True):
    """One answer, ready to send.

    Args:
        headers: Such as many answers share; spelled once for all of them.
        changing: Such as differ from one answer to the next.
    """

    status: int
    body: bytes
    headers: Headers
    changing: Headers = ()
