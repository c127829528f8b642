"""Small counters, many askers: one thread gathers the jobs that wait and carries them out together.

Like the audit's group commit (``writer.py``), but what is counted here may be lost with the power, not with
the process: its connection does not wait for the disk. So a turn takes about a millisecond, and the turns of
the audit's writer are hardly longer for it.
"""

import asyncio
import threading
from asyncio import AbstractEventLoop, Future, TimerHandle
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

from sqlalchemy import Connection

from keyturn.core.errors import Unavailable
from keyturn.core.vocabulary import Reason
from keyturn.storage.ground import Counting, Ground
from keyturn.storage.writing import WritingConnection, unavailable

QUEUE_LIMIT = 4096
"""Jobs that may wait; more are refused at once (RE-10)."""
BATCH_LIMIT = 512
GATHER_SECONDS = 0.01
"""How long a job that nobody waits for may gather company."""

J = TypeVar("J")
R = TypeVar("R")
T = TypeVar("T")


class Batches(Generic[J, R]):
    """Carries out jobs on a thread of its own; made on the event loop whose callers it answers.

    Args:
        name: Of the thread.
        ground: Keeps what is counted.
        what: It counts; those who count the same take turns.
        write: Carries out jobs in an open transaction that has the write lock, in their order.
        loop: Where callers wait.
        patience_seconds: How long they do.
        committed: Hears of every commit, on the thread; must not fail.
    """

    def __init__(
        self,
        *,
        name: str,
        ground: Ground,
        what: Counting,
        write: Callable[[Connection, Sequence[J]], Sequence[R]],
        loop: AbstractEventLoop,
        patience_seconds: float,
        committed: Callable[[], None] | None = None,
    ) -> None:
        self._ground = ground
        self._begin = partial(ground.begin_counting, what=what)
        self._turns = ground.turns()
        self._held = WritingConnection(ground, ground.counting_engine(), self._turns, loop)
        self._write = write
        self._loop = loop
        self._patience = patience_seconds
        self._committed = committed
        self._waiting: deque[tuple[J, Future[R]]] = deque()
        self._wake = threading.Event()
        self._timer: TimerHandle | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    # --- on the event loop ---

    async def ask(self, job: J) -> R:
        """Have a job done and wait for what came of it.

        Raises:
            Unavailable: It was not done, or not in time; then it may be done yet.
        """
        future = self._enqueue(job)
        try:
            return await self.hurry(future)
        finally:
            future.cancel()  # who does not wait any more is not counted, if there is still time

    async def hurry(self, future: Future[T]) -> T:
        """Have what waits done now, and wait for something that comes of it.

        Raises:
            Unavailable: It did not come in time.
        """
        self._wake.set()
        # Not ``asyncio.timeout``: a question that is begun at once is in no task yet (``web/cycle.py``).
        done, _ = await asyncio.wait({future}, timeout=self._patience)
        if not done:
            raise unavailable(TimeoutError())
        return future.result()

    def leave(self, job: J, then: Callable[[R | None], None]) -> None:
        """Have a job done some time soon, with others.

        Args:
            then: Called on the event loop with what came of it; None when it was not done.
        """
        try:
            future = self._enqueue(job)
        except Unavailable:
            then(None)
            return
        future.add_done_callback(lambda done: then(None if done.exception() else done.result()))
        if self._timer is None:
            self._timer = self._loop.call_later(GATHER_SECONDS, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._wake.set()

    def _enqueue(self, job: J) -> Future[R]:
        if self._closing or len(self._waiting) >= QUEUE_LIMIT:
            raise Unavailable(Reason.STORE_UNAVAILABLE)
        future: Future[R] = self._loop.create_future()
        self._waiting.append((job, future))
        return future

    async def close(self) -> None:
        """Do what waits, take no more, and stop."""
        self._closing = True
        self._wake.set()
        if self._timer is not None:
            self._timer.cancel()
        await self._loop.run_in_executor(None, self._thread.join, self._patience)

    # --- on the thread ---

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._waiting:
                self._turn()
            if self._closing:
                break
        self._held.close()

    def _turn(self) -> None:
        """Carry out what waits, or refuse it; whatever happens, the next turn starts from a clean state."""
        taken: list[tuple[J, Future[R]]] = []
        try:
            with self._turns.held():
                connection, _ = self._held.begin(self._begin)
                taken = self._take()
                results = self._write(connection, [job for job, _ in taken])
                self._ground.commit(connection)
                if self._committed is not None:
                    self._committed()
            self._held.tell(partial(_answer, [future for _, future in taken], results))
        except Exception as error:  # noqa: BLE001  # told by ``failed``
            self._held.failed(error)
            self._held.tell(partial(_refuse, [future for _, future in taken or self._take()], error))

    def _take(self) -> list[tuple[J, Future[R]]]:
        """Take what waits, but for those who left while nothing had been done for them."""
        size = min(len(self._waiting), BATCH_LIMIT)
        return [each for each in (self._waiting.popleft() for _ in range(size)) if not each[1].done()]


def _answer(futures: Sequence[Future[R]], results: Sequence[R]) -> None:
    for future, result in zip(futures, results, strict=True):
        if not future.done():
            future.set_result(result)


def _refuse(futures: Sequence[Future[R]], cause: Exception) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(unavailable(cause))
