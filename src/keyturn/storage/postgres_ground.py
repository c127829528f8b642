"""PostgreSQL as the ground of a store: a database that several nodes share, also behind pgbouncer.

Nothing of ours outlives a transaction on the server: no session setting, no session lock, no prepared
statement. So a pooler in transaction mode may stand between. Every transaction carries its own time limits.

**Turns.** Whoever writes takes an advisory lock first, for the transaction: shared to append to the trail,
exclusive for everything else. So nodes append side by side, and all else may rely, as on SQLite, on nobody
else writing meanwhile. The locks are queued in order. They are taken by the statement *before* the first
that reads, and in READ COMMITTED each statement sees what was committed when it began: what is read under
the lock is current.

**Hung nodes.** The server's limits end a transaction whose node falls silent, but not in the middle of a
statement: no limit reaches a COPY that waits for its rows. So whoever waited in vain for a lock ends those.

**Hung servers.** The server's own limits end what waits there; the connection's limit (``ANSWER_SECONDS``)
ends what waits for a server that says nothing at all.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, TypeVar, cast

import psycopg
from psycopg import sql
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.types.string import StrDumper
from sqlalchemy import Connection, Engine, Table, create_engine
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from keyturn.core.errors import ConfigError
from keyturn.storage.ground import Amendment, Counting, Point, Reading
from keyturn.storage.postgres_url import PostgresPlace
from keyturn.storage.schema import FEED

LOCK_MS = 3000
"""How long a lock is waited for: less than a caller's patience, so that who waits is told in time."""
STATEMENT_MS = 5000
IDLE_MS = 5000
"""How long a node may do nothing in a transaction: one that hangs must not keep the lock from the others."""
MIGRATION_MS = 60_000
ANSWER_SECONDS = 10.0
"""How long a silent server is listened to, whatever was asked."""

LOCK_SPACE = 0x6B747572
"""First half of our advisory locks' numbers; the second is 1 for the writers, and each ``Counting``'s own."""
_WRITERS = 1

_LIMITS = (
    f"SET LOCAL lock_timeout = {LOCK_MS}; SET LOCAL statement_timeout = {STATEMENT_MS}; "
    f"SET LOCAL idle_in_transaction_session_timeout = {IDLE_MS}; "
)
_BEGIN = f"BEGIN ISOLATION LEVEL READ COMMITTED; {_LIMITS}"
_READ_POINT = (
    # Who starts is another server or has crashed; a standby that lags behind tells no start at all.
    f"SELECT {FEED.c.version.name}, CASE WHEN NOT pg_is_in_recovery() THEN"  # noqa: S608  # our own names
    f" extract(epoch FROM pg_postmaster_start_time())::text END FROM {FEED.name}"
)
_BEGIN_ALONE = f"{_BEGIN}SELECT pg_advisory_xact_lock({LOCK_SPACE}, {_WRITERS}); {_READ_POINT}"
_BEGIN_BESIDE = f"{_BEGIN}SELECT pg_advisory_xact_lock_shared({LOCK_SPACE}, {_WRITERS}); {_READ_POINT}"
_BEGIN_COUNTING = {
    # A count may be lost with the machine; waiting for the disk would cost a token's commit.
    what: f"{_BEGIN}SET LOCAL synchronous_commit = off; SELECT pg_advisory_xact_lock({LOCK_SPACE}, {what})"
    for what in Counting
}
_BEGIN_MIGRATING = (
    f"{_BEGIN}SET LOCAL lock_timeout = {MIGRATION_MS}; SET LOCAL statement_timeout = {MIGRATION_MS}; "
    f"SELECT pg_advisory_xact_lock({LOCK_SPACE}, {_WRITERS}); SET LOCAL lock_timeout = {LOCK_MS}"
)
_END_HUNG = (
    "ROLLBACK; SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)"  # noqa: S608  # our own numbers
    f" WHERE locktype = 'advisory' AND classid = {LOCK_SPACE} AND granted AND datname = current_database()"
    " AND state = 'active' AND wait_event = 'ClientRead'"
    f" AND clock_timestamp() > query_start + interval '{STATEMENT_MS} milliseconds'"
)
_BEGIN_READING = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_LIMITS}"
# A time limit that ends the wait for a synchronous standby would have COMMIT succeed without the standby.
_COMMIT = "SET LOCAL statement_timeout = 0; COMMIT"

_SETTINGS = (
    "SELECT current_setting('server_encoding'), current_setting('synchronous_commit'),"
    " current_setting('server_version_num')::int"
)
_OLDEST_VERSION = 150000
_LOCK_TAKEN = (
    f"BEGIN; {_LIMITS}SELECT pg_advisory_xact_lock({LOCK_SPACE}, 0); "  # noqa: S608  # our own numbers
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
)
"""Some databases that speak PostgreSQL's protocol accept the call and lock nothing."""

_DISCONNECTED = ("08", "57P")
"""SQLSTATEs (or their beginnings) of a connection that is over; the server says so where it still can."""
_PASSING = (*_DISCONNECTED, "40", "23505", "25P02", "25P03")
"""Of a transaction that came to nothing and may go well if repeated: a deadlock, a collision of keys."""
_UNITS_OWN = ("22", "23", "42", "54")
"""Of a statement that the server refuses for what is in it."""

T = TypeVar("T")


class _Listener(psycopg.Connection[Any]):
    """A connection that gives up on a server that does not answer."""

    patience = ANSWER_SECONDS

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Wait for an answer."""
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()  # an answer that comes later would be taken for the next one's
            raise


class _Sought(StrDumper):
    """Text that is looked for. PostgreSQL keeps none with a NUL and calls it an error to ask."""

    def dump(self, obj: str) -> Any:
        """Ask for something else that is not there."""
        return super().dump(obj.replace("\0", "\ufffd"))


class _NoTurns:
    """The queue of processes is the server's: advisory locks (``ground.Turns``)."""

    def held(self) -> nullcontext[None]:
        """Wait for nothing."""
        return nullcontext()

    def close(self) -> None:
        """Leave nothing."""


class PostgresGround:
    """One PostgreSQL database (``ground.Ground``).

    Args:
        url: ``postgresql://``, as libpq reads it: several hosts, ``target_session_attrs``, ``sslmode`` and
            all its other parameters.

    Raises:
        ConfigError: It is no such URL.
    """

    readers = 4
    side_by_side = True
    refuses_nul = True

    def __init__(self, url: str) -> None:
        self._place = PostgresPlace(url)
        self.name = self._place.name
        self._copies: dict[str, sql.Composed] = {}

    # --- opening ---

    def require(self) -> None:
        """Do nothing: whoever looks at the tables sees whether there are any (``migrate``)."""

    def make(self) -> None:
        """Do nothing: the database is there, or an operator makes it."""

    def prepare(self, engine: Engine) -> None:
        """Refuse a database that would lose something."""
        with engine.connect() as connection:
            encoding, synchronous, version = connection.exec_driver_sql(_SETTINGS).one()
            locked = _say(connection, _LOCK_TAKEN).fetchone()
            connection.exec_driver_sql("ROLLBACK")
        problems = []
        if encoding != "UTF8":
            problems.append(f"{self.name}: its encoding is {encoding}; it has to be UTF8")
        if synchronous == "off":
            problems.append(f"{self.name}: synchronous_commit is off, so that tokens would go unrecorded")
        if version < _OLDEST_VERSION:
            problems.append(f"{self.name}: PostgreSQL {version // 10000} is too old; 15 or newer is needed")
        if locked == (0,):
            problems.append(f"{self.name}: its advisory locks do not lock; nodes would overwrite one another")
        if problems:
            raise ConfigError(problems)

    def turns(self) -> _NoTurns:
        """Join no queue: locks are taken with each transaction."""
        return _NoTurns()

    def writing_engine(self) -> Engine:
        """Make the engine of the one writer; it may be asked for a second connection."""
        return self._engine(2)

    def counting_engine(self) -> Engine:
        """Make the engine of a counter."""
        return self._engine(1)

    def reading_engine(self, connections: int) -> Engine:
        """Make the engine of the readers."""
        return self._engine(connections, self._connect_to_read)

    def _engine(self, connections: int, connect: Callable[[], _Listener] | None = None) -> Engine:
        return create_engine(
            "postgresql+psycopg://",
            creator=connect or self._connect,
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,
            pool_size=connections,
            max_overflow=0,
            use_native_hstore=False,  # it would be asked for at every start
        )

    def _connect(self) -> _Listener:
        return _Listener.connect(**self._place.parameters, autocommit=True, prepare_threshold=None)

    def _connect_to_read(self) -> _Listener:
        connection = self._connect()
        connection.adapters.register_dumper(str, _Sought)
        return connection

    # --- transactions ---

    def log_keeper(self) -> None:
        """Give nothing: the server looks after its log."""

    def begin_writing(self, connection: Connection, *, alone: bool) -> Point:
        """Begin to write, with the writers' lock: everything in one trip to the server."""
        cursor = self._locked(connection, _BEGIN_ALONE if alone else _BEGIN_BESIDE)
        return _point(connection, cursor.fetchone())

    def begin_migrating(self, connection: Connection) -> None:
        """Begin to change the tables, with the writers' lock; a table's own lock is not waited for long."""
        _driver(connection).patience = MIGRATION_MS / 1000 + ANSWER_SECONDS
        _say(connection, _BEGIN_MIGRATING)

    def begin_counting(self, connection: Connection, what: Counting) -> None:
        """Begin to count, alone among those who count the same."""
        self._locked(connection, _BEGIN_COUNTING[what])

    def _locked(self, connection: Connection, begin: str) -> psycopg.Cursor[Any]:
        """Begin with a lock; where it was not to be had, see to it that no hung node keeps it for ever."""
        try:
            return _say(connection, begin)
        except DBAPIError as error:
            if self.is_busy(error):
                with suppress(DBAPIError):  # another role's node: that is for an operator to end
                    _say(connection, _END_HUNG)
            raise

    def begin_reading(self, connection: Connection) -> None:
        """Begin to read everything as it is at one moment."""
        # By SQLAlchemy, which then knows of a lost connection and gives none of the others from its pool.
        connection.exec_driver_sql(_BEGIN_READING)

    def commit(self, connection: Connection) -> None:
        """Commit; a transaction that had failed would otherwise be rolled back without a word."""
        with _told(connection) as warnings:
            cursor = _say(connection, _COMMIT)
        _driver(connection).patience = ANSWER_SECONDS
        if cursor.statusmessage != "COMMIT" or warnings:
            # An operator ended the wait for the standby: it is here, and may be gone after a failover.
            raise _ours(psycopg.OperationalError(*warnings or ["the transaction had failed"]), connection)

    def say(self, connection: Connection, statement: str) -> None:
        """Send a statement that has neither values nor an answer."""
        _say(connection, statement)

    def point(self, connection: Connection) -> Point:
        """Tell how far the server has come, by its start: no other server has the same."""
        return _point(connection, _say(connection, _READ_POINT).fetchone())

    def pulse(self, connection: Connection) -> Point:
        """Give the point itself: nothing is cheaper here."""
        return self.point(connection)

    def find_row(
        self, connection: Connection, table: str, columns: Sequence[str], key: str
    ) -> tuple[Any, ...] | None:
        """Read the row with an id, in a transaction of its own that ends in time."""
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        query = sql.SQL("SELECT {} FROM {} WHERE id = %s").format(names, sql.Identifier(table))
        with Reading(self, connection), _errors(connection):
            return _driver(connection).execute(query, (key,)).fetchone()

    def append(
        self, connection: Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
    ) -> None:
        """Insert rows by COPY, the cheapest way for any number of them (decision 0021)."""
        copy = self._copies.get(table)
        if copy is None:
            names = sql.SQL(", ").join(map(sql.Identifier, columns))
            copy = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
            self._copies[table] = copy
        driver = _driver(connection)
        with _errors(connection), driver.cursor() as cursor, cursor.copy(copy) as lines:
            for row in rows:
                lines.write_row(row)

    def amend(self, connection: Connection, amendment: Amendment, rows: Sequence[tuple[Any, ...]]) -> int:
        """Update rows in one statement, whose parameters are a list for each column."""
        names = (*amendment.expected, *amendment.changed)
        kinds = [amendment.table.c[name].type.compile(connection.dialect) for name in names]
        lists = ", ".join(f"%s::{kind.partition(' ')[0]}[]" for kind in kinds)
        columns = ", ".join(f"column{at}" for at in range(1, len(names) + 1))
        text = amendment.text(f"unnest({lists}) AS v({columns})")
        driver = _driver(connection)
        with _errors(connection), driver.cursor() as cursor:
            return cursor.execute(text, [list(each) for each in zip(*rows, strict=True)]).rowcount

    def insert(self, table: Table) -> Any:
        """Start an INSERT that may say what happens ON CONFLICT."""
        return insert(table)

    def wipe_log(self, engine: Engine) -> bool:  # noqa: ARG002  # the port's
        """Do nothing: what VACUUM and the log leave is the server's business (docs/storage.md)."""
        return True

    # --- failures ---

    def is_busy(self, error: Exception) -> bool:
        """Tell whether a lock was not to be had in time."""
        return _state(error).startswith("55P03")

    def is_units_own(self, error: DBAPIError) -> bool:
        """Tell whether a statement failed for what was in it: the driver or the server refused it."""
        return not error.connection_invalidated and (
            isinstance(error.orig, psycopg.DataError) or _state(error).startswith(_UNITS_OWN)
        )

    def may_go_again(self, error: Exception) -> bool:
        """Tell whether a transaction came to nothing for a reason that passes."""
        lost = isinstance(error, DBAPIError) and error.connection_invalidated
        return lost or _state(error).startswith(_PASSING)


def _driver(connection: Connection) -> _Listener:
    return cast("_Listener", connection.connection.driver_connection)


def _say(connection: Connection, statements: str) -> psycopg.Cursor[Any]:
    """Send several statements in one trip, past SQLAlchemy; gives the cursor at the last one's result."""
    with _errors(connection):
        cursor = _driver(connection).execute(statements)
        while cursor.nextset():
            pass
        result: psycopg.Cursor[Any] = cursor
        return result


def _point(connection: Connection, row: tuple[int, str | None] | None) -> Point:
    if row is None or row[1] is None:
        raise _ours(psycopg.OperationalError("the session is read-only: on a standby"), connection)
    return Point(row[0], row[1])


@contextmanager
def _errors(connection: Connection) -> Iterator[None]:
    """Raise the driver's errors as SQLAlchemy would."""
    try:
        yield
    except psycopg.Error as error:
        raise _ours(error, connection) from error


def _ours(error: psycopg.Error, connection: Connection) -> Exception:
    driver = _driver(connection)
    return DBAPIError.instance(
        None,
        None,
        error,
        psycopg.Error,
        hide_parameters=True,
        connection_invalidated=bool(driver.closed or driver.broken),
    )


@contextmanager
def _told(connection: Connection) -> Iterator[list[str]]:
    """Collect the server's warnings."""
    warnings: list[str] = []

    def note(diagnostic: psycopg.errors.Diagnostic) -> None:
        if diagnostic.severity_nonlocalized == "WARNING":
            warnings.append(diagnostic.message_primary or "")

    driver = _driver(connection)
    driver.add_notice_handler(note)
    try:
        yield warnings
    finally:
        driver.remove_notice_handler(note)


def _state(error: Exception) -> str:
    """Give the SQLSTATE of an error; empty where the server did not say one."""
    return getattr(getattr(error, "orig", error), "sqlstate", None) or ""
