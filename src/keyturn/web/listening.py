"""Take connections as they come, as many in a turn of the loop as a crowd needs.

uvloop's servers accept one connection in each turn (libuv does so since 1.48). Under overload a turn is long,
and who had come in a crowd stood at the door for many seconds, their requests sent long ago (RE-10). So where
it accepts one, those who wait behind are taken as well. One by one, its way costs half of ours.
"""

import asyncio
import socket
from collections.abc import Callable, Iterable
from typing import Any

ACCEPT_AT_ONCE = 64

Make = Callable[[], asyncio.Protocol]
"""Makes the protocol of one connection."""


class Listener:
    """Accepts connections and gives each a protocol; uvicorn closes it like asyncio's server.

    Args:
        listener: Bound and listening.
        make: Makes the protocol.
        backlog: Connections that the kernel holds while we are busy.
    """

    def __init__(self, listener: socket.socket, make: Make, *, backlog: int) -> None:
        self._listener = listener
        self._make = make
        self._backlog = backlog
        self._loop = asyncio.get_running_loop()
        self._beginning: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin to accept."""
        self._listener.setblocking(False)
        self._server = await self._loop.create_server(self._first, sock=self._listener, backlog=self._backlog)

    def close(self) -> None:
        """Take no more connections."""
        if self._server is not None:
            self._server.close()

    def let_in(self, connection: socket.socket, address: Any) -> None:  # noqa: ARG002  # TLS asks for it
        """Begin with a connection that was accepted."""
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._connect(connection))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)

    async def finish(self) -> None:
        """Wait until everybody who was let in has a protocol (RE-03)."""
        await asyncio.gather(*self._beginning)

    async def wait_closed(self) -> None:
        """Wait as uvicorn does at the end of a server."""
        await self.finish()

    async def _connect(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make, connection)
        except OSError:  # gone again
            connection.close()

    def _first(self) -> asyncio.Protocol:
        """Make the protocol of a connection that the loop accepted, and take those behind it."""
        for connection, address in self._behind():
            self.let_in(connection, address)
        return self._make()

    def _behind(self) -> Iterable[tuple[socket.socket, Any]]:
        for _ in range(ACCEPT_AT_ONCE):
            try:
                yield self._listener.accept()
            except OSError:  # nobody waits any more; or no descriptors, of which the loop will say
                return
