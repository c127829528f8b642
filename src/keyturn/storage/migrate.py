"""Bring a store's tables up to what this program knows, once, however many processes start together.

Migrations only ever add (RE-04), so a store that is newer than the program is as good as a current one: two
versions run side by side during an upgrade. Alembic is imported only where there is something to do; a
running server that finds its store current never loads it.
"""

from pathlib import Path

from sqlalchemy import Connection, Engine, text

from keyturn.storage.ground import Ground

HEAD = "0007"
"""The newest revision in ``migrations/versions``; four digits each, so they compare as text."""

_MIGRATIONS = Path(__file__).parent / "migrations"


def check(engine: Engine) -> bool:
    """Tell whether the tables are at least as new as this program.

    Raises:
        DBAPIError: The store cannot be reached.
    """
    with engine.connect() as connection:
        return is_current(connection)


def apply(engine: Engine, ground: Ground) -> bool:
    """Carry out what is missing, in one transaction, and tell whether anything was.

    The caller holds the turn (``ground.turns``); the transaction keeps out whoever does not ask for one.

    Raises:
        DBAPIError: The store cannot be reached or written.
    """
    if check(engine):
        return False
    with engine.connect() as connection:
        ground.begin_migrating(connection)
        try:
            missing = not is_current(connection)  # another process may have been faster
            if missing:
                _upgrade(connection)
            ground.commit(connection)
        except BaseException:
            connection.invalidate()  # undone whole, whatever state it is in
            raise
    return missing


def is_current(connection: Connection) -> bool:
    """Tell the same of an open connection."""
    if not has_tables(connection):
        return False
    version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return version is not None and str(version) >= HEAD


def has_tables(connection: Connection) -> bool:
    """Tell whether there are tables of ours at all."""
    return connection.dialect.has_table(connection, "alembic_version")


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
