"""What the SQL store asks of the database it stands on: one ``Ground`` for each kind that we know.

Everything else (units, chains, feed, counters, upkeep) is written once, over these moves. Source: design.md
section 4.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from enum import IntEnum
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.exc import DBAPIError


class Counting(IntEnum):
    """Which counters a transaction writes; those of different kinds do not wait for one another."""

    LIMITS = 2
    LOCKOUT = 3


class Point(NamedTuple):
    """How far a store has come; equal points have the same past.

    Args:
        version: Raised by one with every change that memory may have to hear of.
        history: Whose count that is. A server that takes over, or comes back, may have lost the newest
            versions and count them again for other changes.
    """

    version: int
    history: str = ""


BEGINNING = Point(0)


class Amendment(NamedTuple):
    """How rows of a table are updated: what each must still hold, and what it gets."""

    table: Table
    expected: tuple[str, ...]
    changed: tuple[str, ...]

    def text(self, rows: str) -> str:
        """Write the UPDATE; ``rows`` gives the values as ``v``, with columns ``column1`` and so on."""
        name, first = self.table.name, len(self.expected) + 1
        gets = ", ".join(f"{each} = v.column{first + at}" for at, each in enumerate(self.changed))
        holds = " AND ".join(f"{name}.{each} = v.column{at}" for at, each in enumerate(self.expected, 1))
        return f"UPDATE {name} SET {gets} FROM {rows} WHERE {holds}"  # noqa: S608  # our own names


class Turns(Protocol):
    """A thread's place in the queue of processes."""

    def held(self) -> AbstractContextManager[None]:
        """Wait for a turn, and keep it for the block."""
        ...

    def close(self) -> None:
        """Leave the queue for good."""
        ...


class LogKeeper(Protocol):
    """Does beside the writer what commits would otherwise have to do now and then."""

    @property
    def pages(self) -> int:
        """How long the log was when it was looked after last."""
        ...

    def committed(self) -> None:
        """Hear of one commit; called by threads that wait for nothing."""
        ...

    def close(self, seconds: float) -> None:
        """Stop, and wait for that no longer than so; not to be called on the event loop."""
        ...


class Ground(Protocol):
    """A kind of database, and one of its kind."""

    @property
    def name(self) -> str:
        """How complaints call it; without a password."""
        ...

    @property
    def readers(self) -> int:
        """How many threads may read at once."""
        ...

    @property
    def side_by_side(self) -> bool:
        """Whether processes append to the trail at once; then its numbers are not in order of commits."""
        ...

    @property
    def refuses_nul(self) -> bool:
        """Whether text may not hold the character NUL."""
        ...

    # --- opening ---

    def require(self) -> None:
        """Confirm that there is a deployment.

        Raises:
            ConfigError: There is none.
            DBAPIError: The store cannot be reached.
        """
        ...

    def make(self) -> None:
        """Make what has to be there before the first connection.

        Raises:
            OSError: It cannot be made.
        """
        ...

    def prepare(self, engine: Engine) -> None:
        """Do what comes before the tables; the caller holds the turn.

        Raises:
            ConfigError: The database is not as we need it.
            DBAPIError: The store cannot be reached or written.
        """
        ...

    def turns(self) -> Turns:
        """Join the queue of processes."""
        ...

    def writing_engine(self) -> Engine:
        """Make the engine of the one writer, whose COMMIT returns after the disk has it (RE-01)."""
        ...

    def counting_engine(self) -> Engine:
        """Make the engine of a counter, whose COMMIT need not wait for the disk."""
        ...

    def reading_engine(self, connections: int) -> Engine:
        """Make the engine of the readers."""
        ...

    def log_keeper(self) -> LogKeeper | None:
        """Make what looks after the log; None where the server does."""
        ...

    # --- transactions ---

    def begin_writing(self, connection: Connection, *, alone: bool) -> Point:
        """Begin to write, and tell how far the store has come until the commit.

        Args:
            connection: In no transaction.
            alone: Keep everybody else out. Otherwise nobody may write anything but rows of the trail
                meanwhile, so what is read stays as it is.

        Raises:
            DBAPIError: There is no turn now, or no store.
        """
        ...

    def begin_migrating(self, connection: Connection) -> None:
        """Begin to change the tables, alone; waits for another process that does."""
        ...

    def begin_counting(self, connection: Connection, what: Counting) -> None:
        """Begin to count, alone; raises like ``begin_writing``."""
        ...

    def begin_reading(self, connection: Connection) -> None:
        """Begin to read everything as it is at one moment; raises like ``begin_writing``."""
        ...

    def commit(self, connection: Connection) -> None:
        """Commit.

        Raises:
            DBAPIError: It is not known that the store has it.
        """
        ...

    def say(self, connection: Connection, statement: str) -> None:
        """Run a statement that has neither values nor an answer, for as little as possible.

        Raises:
            DBAPIError: It failed.
        """
        ...

    def point(self, connection: Connection) -> Point:
        """Tell how far the store has come.

        Raises:
            DBAPIError: It cannot be told, or this is a copy that lags behind.
        """
        ...

    def pulse(self, connection: Connection) -> object:
        """Give what changes whenever the store's point may have, for as little as possible.

        Raises:
            DBAPIError: As ``point``.
        """
        ...

    def find_row(
        self, connection: Connection, table: str, columns: Sequence[str], key: str
    ) -> tuple[Any, ...] | None:
        """Read the row with an id, outside of any transaction and past SQLAlchemy.

        Raises:
            DBAPIError: The store cannot be read.
        """
        ...

    def append(
        self, connection: Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
    ) -> None:
        """Insert many rows at once."""
        ...

    def amend(self, connection: Connection, amendment: "Amendment", rows: Sequence[tuple[Any, ...]]) -> int:
        """Update many rows at once; gives how many were still as expected, and only those were updated.

        Args:
            rows: The values of ``expected``, then those of ``changed``; no row of the table twice.
        """
        ...

    def insert(self, table: Table) -> Any:
        """Start an INSERT that may say what happens ON CONFLICT."""
        ...

    def wipe_log(self, engine: Engine) -> bool:
        """Leave nothing that was erased in any log; False where somebody still reads it, so try later.

        The caller holds the turn.

        Raises:
            DBAPIError: The store cannot be reached or written.
        """
        ...

    # --- failures ---

    def is_busy(self, error: Exception) -> bool:
        """Tell whether somebody else's lock was in the way; whoever waits may go on waiting."""
        ...

    def is_units_own(self, error: DBAPIError) -> bool:
        """Tell whether a statement failed for what a unit wrote, and the transaction may go on without it."""
        ...

    def may_go_again(self, error: Exception) -> bool:
        """Tell whether a transaction that failed before its COMMIT may succeed when all of it is repeated."""
        ...


class Reading:
    """Reads everything in the block as it is at one moment; raises like ``Ground.begin_reading``.

    No generator, which would cost every read half a dozen calls more.
    """

    __slots__ = ("_connection", "_ground")

    def __init__(self, ground: Ground, connection: Connection) -> None:
        self._ground = ground
        self._connection = connection

    def __enter__(self) -> None:
        self._ground.begin_reading(self._connection)

    def __exit__(self, *_why: object) -> None:
        if not self._connection.invalidated:  # else there is nothing to end, and why would be forgotten
            self._connection.exec_driver_sql("ROLLBACK")
