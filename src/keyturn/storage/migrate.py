"""Bring a store's tables up to what this program knows, once, however many processes start together.

Migrations only ever add (RE-04), so a store that is newer than the program is as good as a current one: two
versions run side by side during an upgrade. Alembic is imported only where there is something to do; a
running server that finds its store current never loads it.
"""

from sqlalchemy import Connection, Engine, text

from keyturn.core.errors import ConfigError
from keyturn.storage.ground import Ground

HEAD = "0010"
"""The newest revision in ``migrations/versions``; four digits each, so they compare as text."""

EMPTY = "the database has no tables of ours: `keyturn init` makes them; is this the right database?"
FOREIGN = "the database is another application's: it has an alembic_version and no tables of ours"
_OURS = "audit_chain"
"""A table that we have from the first revision on; others use Alembic as well."""


def make_ready(engine: Engine, ground: Ground, *, create: bool, upgrade: bool) -> None:
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
        apply(engine, ground)
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
    version = version_of(connection)
    return version is not None and version >= HEAD


def version_of(connection: Connection) -> str | None:
    """Read which revision the tables have; None where there are none.

    Raises:
        ConfigError: The tables are another application's.
    """
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    if not connection.dialect.has_table(connection, _OURS):
        raise ConfigError([FOREIGN])
    version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if version is None else str(version)


def _upgrade(connection: Connection) -> None:
    from keyturn.storage.revisions import carry_out

    carry_out(connection)
