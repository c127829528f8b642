"""A writing thread's own connection, and its way back to the event loop: what all such threads share."""

import logging
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from keyturn.core.errors import Unavailable
from keyturn.core.vocabulary import Reason
from keyturn.storage.causes import Complaints
from keyturn.storage.ground import Ground, Turns

log = logging.getLogger(__name__)

T = TypeVar("T")


class Bell:
    """Wakes one thread from the event loop: a ring that comes too early is kept, and many are one.

    ``threading.Event`` does so with a condition, a dozen calls a batch; this is a lock that is given back.
    """

    def __init__(self) -> None:
        self._silence = threading.Lock()
        self._silence.acquire()

    def ring(self) -> None:
        """Wake the thread, or let its next wait end at once; on the event loop only."""
        if self._silence.locked():
            self._silence.release()

    def wait(self, seconds: float = -1) -> None:
        """Wait for a ring and use it up; without a limit if none is given."""
        self._silence.acquire(timeout=seconds)

    def hush(self) -> None:
        """Use up a ring that came already."""
        self._silence.acquire(blocking=False)


class WritingConnection:
    """The one connection of a thread that writes; used by that thread only.

    Args:
        ground: What the connection leads to.
        engine: Gives the connection, again after each failure.
        turns: The thread's place in the queue of processes.
        loop: Where those wait who are told.
    """

    def __init__(self, ground: Ground, engine: Engine, turns: Turns, loop: AbstractEventLoop) -> None:
        self._engine = engine
        self._turns = turns
        self._loop = loop
        self._connection: Connection | None = None
        self._complaints = Complaints(ground.name)

    def begin(self, begin: Callable[[Connection], T]) -> tuple[Connection, T]:
        """Begin a transaction.

        Args:
            begin: Says how, and gives what is known from then on.

        Raises:
            SQLAlchemyError: There is none now.
        """
        if self._connection is not None:
            try:
                return self._connection, begin(self._connection)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                # It died while nothing was said on it, so nothing can be lost: once more, on a new one.
                let_go(self._connection)
                self._connection = None
        self._connection = self._engine.connect()
        return self._connection, begin(self._connection)

    def failed(self, error: Exception) -> None:
        """Let go of the connection, and tell of a failure: once a minute where it is the store's."""
        connection, self._connection = self._connection, None
        let_go(connection)
        if isinstance(error, SQLAlchemyError | OSError):
            self._complaints.about(error)
        else:
            log.error("writing to the store failed", exc_info=error)

    def tell(self, news: Callable[[], None]) -> None:
        """Have something done on the event loop."""
        try:
            self._loop.call_soon_threadsafe(news)
        except RuntimeError:  # the loop is closed: nobody is left to be told
            log.warning("the store's event loop is gone")

    def close(self) -> None:
        """Let go of everything, for good."""
        let_go(self._connection)
        self._engine.dispose()
        self._turns.close()


def let_go(connection: Connection | None) -> None:
    """Close a connection whatever state it is in, so that nobody gets it from the pool."""
    if connection is not None:
        connection.invalidate()
        connection.close()


def unavailable(cause: BaseException) -> Unavailable:
    """Make what those are told whose work was not done, for want of the store."""
    told = Unavailable(Reason.STORE_UNAVAILABLE)
    told.__cause__ = cause
    return told
