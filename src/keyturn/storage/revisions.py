"""The revisions in ``migrations/versions``: which a store lacks, and the SQL of each.

Importing this loads Alembic, so it is imported where somebody asks.
"""

import io
import threading
from pathlib import Path

import msgspec
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

_MIGRATIONS = Path(__file__).parent / "migrations"
_ALEMBIC = threading.Lock()
"""Alembic keeps what it works on in globals: one thread at a time."""


class Revision(msgspec.Struct, frozen=True):
    """One revision, and in a sentence what it adds."""

    number: str
    summary: str


def carry_out(connection: Connection) -> None:
    """Carry out all that are missing, in the transaction that the connection is in."""
    config = _config()
    config.attributes["connection"] = connection
    with _ALEMBIC:
        command.upgrade(config, "head")


def after(version: str) -> tuple[Revision, ...]:
    """Give the revisions that come after one that we know, oldest first."""
    scripts = ScriptDirectory.from_config(_config()).iterate_revisions("head", version)
    return tuple(Revision(each.revision, each.doc) for each in scripts)[::-1]


def sql_of(revision: str, dialect: str) -> str:
    """Write a revision as SQL, with the statement that notes it.

    Args:
        dialect: What SQLAlchemy calls the kind of database.
    """
    written = io.StringIO()
    config = _config(written)
    config.attributes["dialect"] = dialect
    (script,) = ScriptDirectory.from_config(config).get_revisions(revision)
    with _ALEMBIC:
        command.upgrade(config, f"{script.down_revision or 'base'}:{revision}", sql=True)
    lines = written.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines if not line.startswith("-- ")).strip()


def _config(output: io.StringIO | None = None) -> Config:
    config = Config(output_buffer=output)
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config
