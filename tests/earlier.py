"""Stores as an earlier version left them: the tables of a revision, with nothing in them."""

from pathlib import Path

from alembic import command
from alembic.config import Config

from keyturn.storage import migrate
from keyturn.storage.grounds import ground_of


def make_earlier(path_or_url: str | Path, revision: str) -> None:
    """Make the tables that a revision left, in an SQLite file or in a PostgreSQL database that is there."""
    ground = ground_of(path_or_url)
    ground.make()
    engine = ground.writing_engine()
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        ground.begin_migrating(connection)
        command.upgrade(config, revision)
        ground.commit(connection)
    engine.dispose()
