"""Connections without sockets: each asks again and again, and what it hands over goes all the way.

So a count sees what callers on a kept connection cost: the bytes are cut, the head is known, the desk
answers, the answer is spelled. All connections ask in one turn of the event loop, as under the bench's load.
"""

import asyncio
import json
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from harness import Deployment, Filled
from keyturn.web.framing import ProtocolLimits
from keyturn.web.protocol import BoundedProtocol, protocol_class

LINES = 20
TOKENS = 4
"""Asked about in turns, so that no question repeats the last one of its connection."""


class Wire(asyncio.Transport):
    """Where a connection's answers go."""

    def __init__(self) -> None:
        """Be open."""
        super().__init__()
        self.answers: list[bytes] = []

    def write(self, data: Any) -> None:
        """Take an answer."""
        self.answers.append(bytes(data))

    def is_closing(self) -> bool:
        """Never close."""
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Give the same address to each."""
        return ("192.0.2.1", 50_000) if name in {"peername", "sockname"} else default

    def pause_reading(self) -> None:
        """Do nothing: who answers is asked nothing more."""

    resume_reading = close = abort = pause_reading


class Lines:
    """Some connections to one desk; make them on the event loop."""

    def __init__(self, here: Deployment) -> None:
        """Connect."""
        http = protocol_class(ProtocolLimits(), lambda _: None)
        config = uvicorn.Config(
            here.desk, http=http, ws="none", lifespan="off", log_config=None, proxy_headers=False
        )
        config.load()
        state = ServerState()
        self._ends: list[tuple[BoundedProtocol, Wire]] = []
        for _ in range(LINES):
            protocol, wire = http(config, state, {}), Wire()
            protocol.connection_made(wire)
            self._ends.append((protocol, wire))

    async def ask(self, requests: list[bytes], times: int) -> bytes:
        """Have each connection send the requests in turns; gives the last answer's body.

        Raises:
            RuntimeError: One was refused: then its count would be worth nothing.
        """
        last = b""
        for turn in range(times):
            for protocol, wire in self._ends:
                wire.answers.clear()
                protocol.data_received(requests[turn % len(requests)])
            while not all(wire.answers for _, wire in self._ends):  # noqa: ASYNC110 - events would count
                await asyncio.sleep(0)
            for _, wire in self._ends:
                (last,) = wire.answers
                if not last.startswith(b"HTTP/1.1 200 "):
                    raise RuntimeError(last[:500])
        return last.partition(b"\r\n\r\n")[2]

    async def questions(self, issue: bytes, introspection: Filled) -> list[bytes]:
        """Give questions about good tokens, each made as ``issue`` asks."""
        asked = []
        for _ in range(TOKENS):
            token = json.loads(await self.ask([issue], 1))["access_token"]
            asked.append(spelled(introspection, f"token={token}&token_type_hint=access_token"))
        return asked

    def close(self) -> None:
        """Hang up, so that no clock runs on."""
        for protocol, _ in self._ends:
            protocol.connection_lost(None)


def spelled(request: Filled, body: str | None = None) -> bytes:
    """Spell a request as it goes over the wire."""
    content = (request.body if body is None else body).encode()
    fields = "".join(f"{name}: {value}\r\n" for name, value in request.headers)
    head = f"{request.method} {request.path} HTTP/1.1\r\nHost: a\r\n{fields}"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content
