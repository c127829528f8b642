"""SQLite connections as the store wants them: durable for the writer, unable to write for readers.

Every connection runs without transactions of its own making; BEGIN and COMMIT are said where they are meant.
Statements never show their values in errors: they may be secrets' digests or somebody's name.
"""

import os
import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from keyturn.core.errors import ConfigError

BUSY_MS = 1000
"""How long SQLite itself waits for a lock that a stranger holds (backups, the sqlite3 shell)."""
_READERS_MS = 10
"""How long who copies the log home waits for those who read from it, while nobody may write."""
LONG_LOG_PAGES = 65_536
"""With so many pages in the log, 256 MB, a commit copies it home after all; ``log_keeper.py`` does before."""

_URL_PREFIX = "sqlite:///"


def path_of(path_or_url: str | Path) -> Path:
    """Give the database file that a setting names, past all links.

    SQLite follows them before it names its log, and so must whoever names a lock: who came by another name
    would have turns of its own.

    Raises:
        ConfigError: It names a store that this version does not know.
    """
    text = str(path_or_url)
    if text.startswith(_URL_PREFIX):
        text = text.removeprefix(_URL_PREFIX)
    elif "://" in text:
        raise ConfigError(
            [f"store: {text.split('://')[0]} is not a store we know; give sqlite:///path or a path"]
        )
    if not text or text == ":memory:":
        raise ConfigError(["store: needs a file's path"])
    return Path(os.path.realpath(text))  # not ``resolve``, which stops at a circle of links


def prepare_file(path: Path) -> None:
    """Make the folder and the file so that only this account reads them; leave what exists as it is.

    SQLite gives its log and shared memory the modes of the file itself.

    Raises:
        OSError: They cannot be made.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def require_file(path: Path) -> None:
    """Confirm that there is a database; a file without content is none.

    Raises:
        ConfigError: There is none.
    """
    try:
        if path.stat().st_size:
            return
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError:  # there may be one: whoever opens it says what is wrong
        return
    raise ConfigError([f"no database at {path}: `keyturn init` makes one; is this the right data folder?"])


def writing_engine(path: Path) -> Engine:
    """Make the engine of the one writer, whose COMMIT returns after the disk has it (RE-01)."""
    return _engine(
        path,
        pool_size=2,
        pragmas=(
            f"busy_timeout = {BUSY_MS}",
            "synchronous = FULL",
            "foreign_keys = ON",
            # What is deleted or replaced is overwritten and not only unlinked (TN-05; decision 0015).
            "secure_delete = ON",
            f"wal_autocheckpoint = {LONG_LOG_PAGES}",
        ),
    )


def counting_engine(path: Path) -> Engine:
    """Make the engine of a counter, whose COMMIT survives the process at once and the machine a little later.

    A count that is lost with the power lets a few requests more pass; an fsync for it would cost a token's.
    Nor does it copy the log home sooner than the writer does.
    """
    pragmas = (
        f"busy_timeout = {BUSY_MS}",
        "synchronous = NORMAL",
        f"wal_autocheckpoint = {LONG_LOG_PAGES}",
    )
    return _engine(path, pool_size=1, pragmas=pragmas)


def copying_engine(path: Path) -> Engine:
    """Make the engine of who copies the log home; nothing is written over before the disk has the copy."""
    return _engine(path, pool_size=2, pragmas=(f"busy_timeout = {_READERS_MS}", "synchronous = FULL"))


def reading_engine(path: Path, connections: int) -> Engine:
    """Make the engine of the readers, whose connections cannot write."""
    return _engine(path, pool_size=connections, pragmas=(f"busy_timeout = {BUSY_MS}", "query_only = ON"))


def _engine(path: Path, *, pool_size: int, pragmas: tuple[str, ...]) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        creator=partial(_connect, path),
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        pool_size=pool_size,
        max_overflow=0,
    )

    def prepare(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    event.listen(engine, "connect", prepare)
    return engine


def _connect(path: Path) -> sqlite3.Connection:
    # A file that is not there any more is an error and not a fresh, empty database.
    return sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, check_same_thread=False)


def say(connection: Connection, text: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
    """Run a statement that every batch has, past SQLAlchemy: its own work is several times SQLite's there.

    Raises:
        DBAPIError: As if SQLAlchemy had run it.
    """
    try:
        return _driven(connection).execute(text, values)
    except sqlite3.Error as error:
        raise _as_sqlalchemy_has_it(text, error) from error


def ask(connection: Connection, text: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
    """Run a question in the same way, and give the first row of the answer.

    Raises:
        DBAPIError: As if SQLAlchemy had run it.
    """
    try:
        row: tuple[Any, ...] | None = _driven(connection).execute(text, values).fetchone()
    except sqlite3.Error as error:
        raise _as_sqlalchemy_has_it(text, error) from error
    return row


def _driven(connection: Connection) -> sqlite3.Connection:
    return cast("sqlite3.Connection", connection.connection.dbapi_connection)


def _as_sqlalchemy_has_it(text: str, error: sqlite3.Error) -> BaseException:
    return DBAPIError.instance(text, (), error, sqlite3.Error, hide_parameters=True)


def use_write_ahead_log(engine: Engine) -> None:
    """Switch the file to its write-ahead log for good; the caller holds the turn.

    Raises:
        DBAPIError: The store cannot be reached or written.
    """
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")


def wipe_log(engine: Engine) -> bool:
    """Copy the write-ahead log home and empty it; the caller holds the turn.

    Until then it holds pages as they were before.

    Returns:
        False where another connection still reads from the log; nothing is lost then, try again later.

    Raises:
        DBAPIError: The store cannot be reached or written.
    """
    with engine.connect() as connection:
        busy, *_ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    return not busy
