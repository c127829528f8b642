"""SQLite as the ground of a store: one file, one writer at a time, turns among processes by file locks."""

import sqlite3
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import (
    DatabaseError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoResultFound,
    OperationalError,
    ProgrammingError,
)

from keyturn.storage import engines
from keyturn.storage.engines import ask, say
from keyturn.storage.feed import READ_VERSION
from keyturn.storage.ground import Amendment, Counting, Point
from keyturn.storage.log_keeper import LogKeeper
from keyturn.storage.turns import FairLock

_LARGEST_INSERT = 64
_SQLITE, _OLDEST_TO_AMEND = sqlite3.sqlite_version_info, (3, 33, 0)


class SqliteGround:
    """One SQLite file (``ground.Ground``)."""

    readers = 2
    """Misses and operators are few, and SQLite reads from memory."""
    side_by_side = False
    refuses_nul = False

    def __init__(self, path: Path) -> None:
        """Stand on the file at ``path``."""
        self.path = path
        self.name = str(path)
        self._texts: dict[tuple[str, int], str] = {}

    def require(self) -> None:
        """Confirm that there is a database; a file without content is none."""
        engines.require_file(self.path)

    def make(self) -> None:
        """Make the folder and the file."""
        engines.prepare_file(self.path)

    def prepare(self, engine: Engine) -> None:
        """Switch the file to its write-ahead log for good."""
        engines.use_write_ahead_log(engine)

    def turns(self) -> FairLock:
        """Join the queue of processes."""
        return FairLock(self.path)

    def writing_engine(self) -> Engine:
        """Make the engine of the one writer."""
        return engines.writing_engine(self.path)

    def counting_engine(self) -> Engine:
        """Make the engine of a counter."""
        return engines.counting_engine(self.path)

    def reading_engine(self, connections: int) -> Engine:
        """Make the engine of the readers, whose connections cannot write."""
        return engines.reading_engine(self.path, connections)

    def log_keeper(self) -> LogKeeper:
        """Make what copies the write-ahead log home beside the writer."""
        return LogKeeper(self.path, engines.copying_engine(self.path), self.turns)

    def begin_writing(self, connection: Connection, *, alone: bool) -> Point:  # noqa: ARG002  # SQLite has one writer
        """Begin a transaction that has SQLite's write lock."""
        say(connection, "BEGIN IMMEDIATE")
        return self.point(connection)

    def begin_migrating(self, connection: Connection) -> None:
        """Begin a transaction that has SQLite's write lock."""
        # By SQLAlchemy, so that Alembic knows of the transaction and ends none of its own.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def begin_counting(self, connection: Connection, what: Counting) -> None:  # noqa: ARG002  # the same
        """Begin a transaction that has SQLite's write lock."""
        say(connection, "BEGIN IMMEDIATE")

    def begin_reading(self, connection: Connection) -> None:
        """Begin to read."""
        connection.exec_driver_sql("BEGIN")

    def commit(self, connection: Connection) -> None:
        """Commit."""
        say(connection, "COMMIT")

    def say(self, connection: Connection, statement: str) -> None:
        """Run a statement that has neither values nor an answer."""
        say(connection, statement)

    def point(self, connection: Connection) -> Point:
        """Tell how far the file has come; it has one history, and who replaces it stops every process."""
        return Point(_number(ask(connection, READ_VERSION)))

    def pulse(self, connection: Connection) -> int:
        """Give SQLite's own counter: it moves with every commit of another connection, and reads no table."""
        return _number(ask(connection, "PRAGMA data_version"))

    def find_row(
        self, connection: Connection, table: str, columns: Sequence[str], key: str
    ) -> tuple[Any, ...] | None:
        """Read the row with an id: each statement less is a time less to win the interpreter's lock back."""
        text = f"SELECT {', '.join(columns)} FROM {table} WHERE id = ?"  # noqa: S608  # our own names
        return ask(connection, text, (key,))

    def append(
        self, connection: Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
    ) -> None:
        """Insert rows, many to a statement.

        sqlite3 gives up the interpreter's lock for every statement and has to win it back from a busy event
        loop, so one statement of 64 rows is worth far more than executemany. There is a text for every size,
        and SQLite prepares each once.
        """
        for start in range(0, len(rows), _LARGEST_INSERT):
            some = rows[start : start + _LARGEST_INSERT]
            text = self._texts.get((table, len(some)))
            if text is None:
                text = self._texts[table, len(some)] = _insert_text(table, columns, len(some))
            say(connection, text, tuple(chain.from_iterable(some)))

    def amend(self, connection: Connection, amendment: Amendment, rows: Sequence[tuple[Any, ...]]) -> int:
        """Update rows, many to a statement; SQLite before 3.33 cannot, and updates none."""
        if _SQLITE < _OLDEST_TO_AMEND:
            return 0
        found = 0
        for start in range(0, len(rows), _LARGEST_INSERT):
            some = rows[start : start + _LARGEST_INSERT]
            key = (f"amend {amendment.table.name}", len(some))
            text = self._texts.get(key)
            if text is None:
                marks = f"({', '.join('?' * len(some[0]))})"
                text = self._texts[key] = amendment.text(f"(VALUES {', '.join([marks] * len(some))}) AS v")
            found += say(connection, text, tuple(chain.from_iterable(some))).rowcount
        return found

    def insert(self, table: Table) -> Any:
        """Start an INSERT that may say what happens ON CONFLICT."""
        return insert(table)

    def wipe_log(self, engine: Engine) -> bool:
        """Copy the write-ahead log home and empty it."""
        return engines.wipe_log(engine)

    def is_busy(self, error: Exception) -> bool:
        """Tell whether somebody else's lock was in the way."""
        return isinstance(error, OperationalError) and "locked" in str(error.orig)

    def is_units_own(self, error: DBAPIError) -> bool:
        """Tell whether a statement failed for what a unit wrote."""
        return isinstance(error, IntegrityError | ProgrammingError | DataError) or not isinstance(
            error, DatabaseError
        )

    def may_go_again(self, error: Exception) -> bool:  # noqa: ARG002  # whatever fails here fails again
        """Say no: there is no connection to lose, and nobody to collide with."""
        return False


def _number(row: tuple[Any, ...] | None) -> int:
    if row is None:
        raise NoResultFound
    return int(row[0])


def _insert_text(table: str, columns: Sequence[str], rows: int) -> str:
    marks = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([marks] * rows)}"  # noqa: S608  # names and marks only
