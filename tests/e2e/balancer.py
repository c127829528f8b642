"""A small TCP balancer, as one stands before two nodes: it asks who is ready, and sends nobody elsewhere."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from e2e.servers import Node

ASK_SECONDS = 0.05


class Balancer:
    """Carries connections to nodes that are ready, by turns; on a thread of its own."""

    def __init__(self) -> None:
        self.nodes: Sequence[Node] = ()
        self.url = ""
        self._ready: list[Node] = []
        self._turn = 0
        self._up = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def start(self) -> None:
        """Listen, and begin to ask the nodes."""
        self._thread.start()
        assert self._up.wait(10)

    def stop(self) -> None:
        """Stop at once."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)
        self._loop.close()

    def sees(self, *nodes: Node) -> bool:
        """Tell whether connections go to these nodes and no others."""
        return {id(node) for node in self._ready} == {id(node) for node in nodes}

    async def _serve(self) -> None:
        self._stopping = asyncio.Event()
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        asking = asyncio.create_task(self._ask_for_ever())
        self._up.set()
        await self._stopping.wait()
        asking.cancel()
        server.close()
        running = asyncio.all_tasks() - {asyncio.current_task()}
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _ask_for_ever(self) -> None:
        while True:
            nodes = list(self.nodes)
            answers = await asyncio.gather(*(self._is_ready(node) for node in nodes))
            self._ready = [node for node, ready in zip(nodes, answers, strict=True) if ready]
            await asyncio.sleep(ASK_SECONDS)

    async def _is_ready(self, node: Node) -> bool:
        parts = urlsplit(node.management)
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
                writer.write(b"GET /health/ready HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n")
                line = await reader.readline()
                writer.close()
                return b" 200 " in line
        return False

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect to a ready node, to another one where that one is gone, and pass bytes both ways."""
        with contextlib.suppress(OSError):
            inner_reader, inner_writer = await self._connect()
            await asyncio.gather(_pass(reader, inner_writer), _pass(inner_reader, writer))

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while True:
            self._turn += 1
            for number in range(len(self._ready)):
                node = self._ready[(self._turn + number) % len(self._ready)]
                parts = urlsplit(node.url)
                with contextlib.suppress(ConnectionRefusedError):
                    return await asyncio.open_connection(parts.hostname, parts.port)
            await asyncio.sleep(ASK_SECONDS)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()


@contextlib.contextmanager
def balancing() -> Iterator[Balancer]:
    """Run a balancer for a block; tell it its nodes before the first connection."""
    balancer = Balancer()
    balancer.start()
    try:
        yield balancer
    finally:
        balancer.stop()
