"""What a store says of its own condition: whether its tables are current, its promise to keep, its room.

Asked by ``keyturn doctor``, which judges. Reads only, needs no master key, and takes no turn at writing.
"""

import shutil
import sqlite3
from pathlib import Path
from typing import Literal

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from keyturn.core.errors import ConfigError, Unavailable
from keyturn.core.vocabulary import Reason
from keyturn.storage import migrate
from keyturn.storage.grounds import ground_of
from keyturn.storage.sqlite_ground import SqliteGround

_PG_SETTINGS = (
    "SELECT current_setting('fsync'), current_setting('full_page_writes'),"
    " current_setting('synchronous_commit'), current_setting('synchronous_standby_names'),"
    " current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,"
    " pg_is_in_recovery()"
)
_PG_USED = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
# Who may not see what other roles do sees rows without a state.
_PG_STANDBYS = (
    "SELECT count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')),"
    " count(*) FILTER (WHERE sync_state IN ('async', 'potential')),"
    " count(*) FILTER (WHERE sync_state IS NULL) FROM pg_stat_replication"
)


class PostgresCondition(msgspec.Struct, frozen=True, kw_only=True):
    """What matters of a server's settings and company.

    Args:
        standby_names: ``synchronous_standby_names``: empty where a commit waits for no standby.
        unseen_standbys: Those whose state our role may not see.
        connections: How many clients may have.
        used: How many they have.
    """

    fsync: bool
    full_page_writes: bool
    synchronous_commit: str
    standby_names: str
    synchronous_standbys: int
    other_standbys: int
    unseen_standbys: int
    connections: int
    used: int
    in_recovery: bool


class FileCondition(msgspec.Struct, frozen=True, kw_only=True):
    """What matters of an SQLite file; its disk is asked for apart (``free_bytes``).

    Args:
        library: The version of SQLite that this process has.
    """

    library: tuple[int, int, int]
    journal_mode: str
    size_bytes: int
    log_bytes: int


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A store that can be reached.

    Args:
        version: The revision of its tables; None where there are none.
        head: The revision that this program knows.
    """

    kind: Literal["sqlite", "postgresql"]
    version: str | None
    head: str
    postgres: PostgresCondition | None = None
    file: FileCondition | None = None


def look(path_or_url: str | Path) -> Condition:
    """Ask the store that a setting names.

    Raises:
        ConfigError: The setting names no store that we know, or one that is not there.
        Unavailable: The store cannot be reached or read now.
    """
    ground = ground_of(path_or_url)
    try:
        ground.require()
        engine = ground.reading_engine(1)
        try:
            with engine.connect() as connection:
                version = migrate.version_of(connection)
                if isinstance(ground, SqliteGround):
                    found = _file(connection, ground.path)
                    return Condition(kind="sqlite", version=version, head=migrate.HEAD, file=found)
                server = _server(connection)
                return Condition(kind="postgresql", version=version, head=migrate.HEAD, postgres=server)
        finally:
            engine.dispose()
    except (SQLAlchemyError, OSError) as error:
        raise Unavailable(Reason.STORE_UNAVAILABLE) from error


def free_bytes(path_or_url: str | Path) -> int | None:
    """Say how much room the disk of an SQLite file has; None where it is no file, or is not there."""
    try:
        ground = ground_of(path_or_url)
        return shutil.disk_usage(ground.path.parent).free if isinstance(ground, SqliteGround) else None
    except (ConfigError, OSError):
        return None


def _file(connection: Connection, path: Path) -> FileCondition:
    log = path.with_name(path.name + "-wal")
    return FileCondition(
        library=sqlite3.sqlite_version_info,
        journal_mode=str(connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()),
        size_bytes=path.stat().st_size,
        log_bytes=log.stat().st_size if log.exists() else 0,
    )


def _server(connection: Connection) -> PostgresCondition:
    fsync, pages, commit, names, connections, recovering = connection.exec_driver_sql(_PG_SETTINGS).one()
    synchronous, other, unseen = connection.exec_driver_sql(_PG_STANDBYS).one()
    return PostgresCondition(
        fsync=fsync == "on",
        full_page_writes=pages == "on",
        synchronous_commit=commit,
        standby_names=names,
        synchronous_standbys=synchronous,
        other_standbys=other,
        unseen_standbys=unseen,
        connections=connections,
        used=connection.exec_driver_sql(_PG_USED).scalar_one(),
        in_recovery=recovering,
    )
