"""Takes in what lies sealed in the store and changes while this process runs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from keyturn.core.errors import Fault, Unavailable

_AGAIN_SECONDS = 1.0

log = logging.getLogger("keyturn.keys")


class Learner:
    """Reads sealed values again until the store answers.

    Args:
        read: Takes in what is there now. May raise Unavailable, and Fault where a value does not open.
        loss: What a value that does not open means here, for the log.
    """

    def __init__(self, read: Callable[[], Awaitable[None]], loss: str) -> None:
        """Have nothing to do."""
        self._read = read
        self._loss = loss
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()

    async def read(self) -> None:
        """Take in what is there now, one at a time: what was read last is what holds.

        Raises:
            Unavailable: The store is away.
            Fault: A value does not open.
        """
        async with self._turn:
            await self._read()

    def learn(self) -> None:
        """Begin to read; to be called on the event loop."""
        task = asyncio.get_running_loop().create_task(self._until_read())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _until_read(self) -> None:
        while True:
            try:
                await self.read()
            except Unavailable:
                await asyncio.sleep(_AGAIN_SECONDS)
            except Fault as error:
                log.error("%s: %s", self._loss, error)  # noqa: TRY400  # the reason is all there is to know
                return
            else:
                return
