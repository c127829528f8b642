"""Stores as an earlier version left them: the tables of a revision, with nothing in them."""

from pathlib import Path

from alembic import command
from alembic.config import Config

from keyturn.storage import migrate
from keyturn.storage.engines import prepare_file, writing_engine


def make_earlier(path: Path, revision: str) -> None:
    """Make an SQLite file with the tables that a revision left."""
    prepare_file(path)
    engine = writing_engine(path)
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        connection.exec_driver_sql("BEGIN")
        command.upgrade(config, revision)
        connection.exec_driver_sql("COMMIT")
    engine.dispose()
