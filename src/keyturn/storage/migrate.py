"""Bring a store's tables up to what this program knows, once, however many processes start together.

Migrations only ever add (RE-04), so a store that is newer than the program is as good as a current one: two
versions run side by side during an upgrade. Alembic is imported only where there is something to do; a
running server that finds its store current never loads it.
"""

from sqlalchemy import Connection, Engine, text

from keyturn.core.errors import ConfigError

HEAD = "0007"
"""The newest revision in ``migrations/versions``; four digits each, so they compare as text."""

EMPTY = "the database has no tables of ours: `keyturn init` makes them; is this the right database?"


def make_ready(engine: Engine, *, create: bool, upgrade: bool) -> None:
    """See that the tables are current before anything else is done; the caller holds the turn.

    Args:
        create: Whether to make them where there are none.
        upgrade: Whether to change those of an older store.

    Raises:
        ConfigError: They are not, and may not be made so.
        DBAPIError: The store cannot be reached or written.
    """
    with engine.connect() as connection:
        version = version_of(connection)
    if version is None and not create:
        raise ConfigError([EMPTY])
    if version is None or upgrade:
        apply(engine)
    elif version < HEAD:
        problem = f"the database is at revision {version}, this program needs {HEAD}"
        raise ConfigError([f"{problem}: run `keyturn migrate apply` (migrate_at_start is off)"])


def check(engine: Engine) -> bool:
    """Tell whether the tables are at least as new as this program.

    Raises:
        DBAPIError: The store cannot be reached.
    """
    with engine.connect() as connection:
        return is_current(connection)


def apply(engine: Engine) -> bool:
    """Carry out what is missing, in one transaction, and tell whether anything was.

    The caller holds the turn (``turns.FairLock``); BEGIN IMMEDIATE keeps out whoever does not ask for one.

    Raises:
        DBAPIError: The store cannot be reached or written.
    """
    if check(engine):
        return False
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            if is_current(connection):  # another process was faster
                return False
            _upgrade(connection)
            connection.exec_driver_sql("COMMIT")
        finally:
            if connection.connection.dbapi_connection.in_transaction:  # type: ignore[union-attr]  # sqlite3's connection
                connection.exec_driver_sql("ROLLBACK")
    return True


def is_current(connection: Connection) -> bool:
    """Tell the same of an open connection."""
    version = version_of(connection)
    return version is not None and version >= HEAD


def version_of(connection: Connection) -> str | None:
    """Read which revision the tables have; None where there are none."""
    known = connection.execute(
        text("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'")
    ).first()
    if known is None:
        return None
    version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if version is None else str(version)


def _upgrade(connection: Connection) -> None:
    from keyturn.storage.revisions import carry_out

    carry_out(connection)
