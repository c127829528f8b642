"""A request that is handed over whole, for applications that offer ``answer`` beside ASGI.

It stands where uvicorn has its ``RequestResponseCycle`` and has what uvicorn's protocol reads and writes
there; but nobody waits for messages, so there is no event, no queue and no copy of the server's state.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from keyturn.wire.http import WireResponse

Answer = Callable[[dict[str, Any], bytes], Awaitable[tuple[bytes, WireResponse]]]
"""What an application may offer beside ASGI: a scope and a body in, a request id and an answer out.

The scope has ASGI's names, but only ``method``, ``raw_path``, ``query_string``, ``headers``, ``client`` and
``state``.
"""


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
