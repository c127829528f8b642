"""Migrations: they make what the schema says, once, and cost a current store nothing."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from earlier import make_earlier
from keyturn.core.errors import ConfigError
from keyturn.storage import migrate
from keyturn.storage.engines import prepare_file, writing_engine
from keyturn.storage.schema import METADATA


@pytest.fixture
def engine(tmp_path):
    path = tmp_path / "keyturn.db"
    prepare_file(path)
    made = writing_engine(path)
    yield made
    made.dispose()


def test_the_migrations_make_the_schema(engine):
    """Alembic finds no difference between the migrated tables and the schema, indexes and names included."""
    assert migrate.apply(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_applying_twice_does_nothing(engine):
    """A current store is left alone and known to be current."""
    assert not migrate.check(engine)
    assert migrate.apply(engine)
    assert migrate.check(engine)
    assert not migrate.apply(engine)


def test_a_newer_store_is_good_enough(engine):
    """Tables that a later version has added to are current for this one (RE-04)."""
    migrate.apply(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    assert migrate.check(engine)


@pytest.mark.parametrize("version", [None, "0006"])
def test_tables_change_only_where_they_may(tmp_path, version):
    """Without leave to upgrade an older store is left as it is, and without leave to create none is made."""
    path = tmp_path / "earlier.db"
    if version:
        make_earlier(path, version)
    else:
        prepare_file(path)
    engine = writing_engine(path)
    with pytest.raises(ConfigError, match="keyturn migrate apply" if version else "keyturn init"):
        migrate.make_ready(engine, create=False, upgrade=False)
    with engine.connect() as connection:
        assert migrate.version_of(connection) == version
    migrate.make_ready(engine, create=version is None, upgrade=version is not None)
    assert migrate.check(engine)
    migrate.make_ready(engine, create=False, upgrade=False)
    engine.dispose()


def test_head_is_the_newest_revision():
    """The revision that the program asks for is the last one there is."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == migrate.HEAD


def test_a_failed_migration_leaves_nothing(engine, monkeypatch):
    """A migration that fails in the middle is undone whole, and the next attempt works."""
    whole = migrate._upgrade

    def half(connection):
        connection.exec_driver_sql("CREATE TABLE half (id INTEGER)")
        raise RuntimeError("power")

    monkeypatch.setattr(migrate, "_upgrade", half)
    with pytest.raises(RuntimeError, match="power"):
        migrate.apply(engine)
    monkeypatch.setattr(migrate, "_upgrade", whole)
    assert migrate.apply(engine)
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master WHERE name = 'half'")
        assert found.scalar() == 0


def test_a_current_store_does_not_load_alembic(engine):
    """A process that opens a current store never imports alembic."""
    migrate.apply(engine)
    code = """
        import sys
        from pathlib import Path
        from keyturn.storage import migrate, open_store
        from keyturn.storage.engines import writing_engine
        assert not migrate.apply(writing_engine(Path(sys.argv[1])))
        print("alembic" in sys.modules)
    """
    paths = [str(Path(migrate.__file__).parents[2]), *sys.path]
    out = subprocess.check_output(
        [sys.executable, "-c", textwrap.dedent(code), engine.url.database],
        env={"PYTHONPATH": ":".join(filter(None, paths))},
        text=True,
    )
    assert out.strip() == "False"
