"""Which ground a setting names; PostgreSQL's driver is loaded only where it is meant."""

from pathlib import Path

from keyturn.core.errors import ConfigError
from keyturn.storage.engines import path_of
from keyturn.storage.ground import Ground
from keyturn.storage.sqlite_ground import SqliteGround

_POSTGRES = ("postgresql://", "postgres://")


def ground_of(path_or_url: str | Path) -> Ground:
    """Give the ground that a setting names.

    Raises:
        ConfigError: It names none that we know.
    """
    url = str(path_or_url)
    if not url.startswith(_POSTGRES):
        return SqliteGround(path_of(path_or_url))
    try:
        from keyturn.storage.postgres_ground import PostgresGround
    except ImportError as error:
        raise ConfigError(
            [f"store: PostgreSQL needs the package psycopg ({error.name} is missing)"]
        ) from error
    return PostgresGround(url)
