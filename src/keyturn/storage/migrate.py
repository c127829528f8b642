"""Bring a store's tables up to what this program knows, once, however many processes start together.

Migrations only ever add (RE-04), so a store that is newer than the program is as good as a current one: two
versions run side by side during an upgrade. Alembic is imported only where there is something to do; a
running server that finds its store current never loads it.
"""

from pathlib import Path

from sqlalchemy import Connection, Engine, text

HEAD = "0008"
"""The newest revision in ``migrations/versions``; four digits each, so they compare as text."""

_MIGRATIONS = Path(__file__).parent / "migrations"


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
    known = connection.execute(
        text("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'")
    ).first()
    if known is None:
        return False
    version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return version is not None and str(version) >= HEAD


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
