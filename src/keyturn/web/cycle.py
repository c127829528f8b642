"""A request that is handed over whole, for applications that offer ``answer`` beside ASGI.

It stands where uvicorn has its ``RequestResponseCycle`` and has what uvicorn's protocol reads and writes
there; but nobody waits for messages, so there is no event, no queue and no copy of the server's state.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from keyturn.wire.http import WireResponse

Answer = Callable[[dict[str, Any], bytes], Awaitable[tuple[bytes, WireResponse]]]
"""What an application may offer beside ASGI: a scope and a body in, a request id and an answer out.

The scope has ASGI's names, but only ``method``, ``raw_path``, ``query_string``, ``headers``, ``client`` and
``state``.
"""


BROKEN: Final = WireResponse(
    500,
    b'{"error":"server_error"}',
    ((b"content-type", b"application/json"), (b"cache-control", b"no-store")),
)
"""What is sent where an application fails to answer."""


@lru_cache(maxsize=1024)
def _head(status: int, headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Spell status line and headers; few differ, so each is joined once."""
    return STATUS_LINE[status] + _spell(headers)


def _spell(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    return b"".join([b"%s: %s\r\n" % header for header in headers])


class _Unheard:
    """The event that uvicorn sets when a body grows or a client leaves: nobody waits for it."""

    def set(self) -> None:
        """Do nothing."""


_UNHEARD: Final = _Unheard()


class WholeRequest:
    """One request on its way in, and what uvicorn has to know of its answer."""

    __slots__ = (
        "body",
        "disconnected",
        "keep_alive",
        "message_event",
        "more_body",
        "response_complete",
        "scope",
        "transport",
    )

    def __init__(
        self,
        method: str,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        client: tuple[str, int] | None,
        transport: asyncio.Transport,
        *,
        keep_alive: bool,
    ) -> None:
        """Take the head; ``target`` has no fragment and names no host, ``web/protocol.py`` saw to that."""
        path, _, query = target.partition(b"?")
        self.scope: dict[str, Any] = {
            "method": method,
            "raw_path": path,
            "query_string": query,
            "headers": headers,
            "client": client,
            "state": {},
        }
        self.body = bytearray()
        self.more_body = True
        self.message_event = _UNHEARD
        self.transport = transport
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False

    def spell(self, request_id: bytes, response: WireResponse) -> bytes:
        """Give the answer as bytes on the wire."""
        head = _head(response.status, response.headers) + _spell(response.changing)
        body = b"" if self.scope["method"] == "HEAD" else response.body
        close = b"" if self.keep_alive else b"connection: close\r\n"
        return b"%scontent-length: %d\r\nx-request-id: %s\r\n%s\r\n%s" % (
            head,
            len(response.body),
            request_id,
            close,
            body,
        )
