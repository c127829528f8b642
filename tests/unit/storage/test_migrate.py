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
from keyturn.storage.grounds import ground_of
from keyturn.storage.schema import METADATA


@pytest.fixture
def ground(tmp_path):
    made = ground_of(tmp_path / "keyturn.db")
    made.make()
    return made


@pytest.fixture
def engine(ground):
    made = ground.writing_engine()
    yield made
    made.dispose()


def test_the_migrations_make_the_schema(engine, ground):
    """Alembic finds no difference between the migrated tables and the schema, indexes and names included."""
    assert migrate.apply(engine, ground)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_applying_twice_does_nothing(engine, ground):
    """A current store is left alone and known to be current."""
    assert not migrate.check(engine)
    assert migrate.apply(engine, ground)
    assert migrate.check(engine)
    assert not migrate.apply(engine, ground)


def test_a_newer_store_is_good_enough(engine, ground):
    """Tables that a later version has added to are current for this one (RE-04)."""
    migrate.apply(engine, ground)
    with engine.connect() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    assert migrate.check(engine)


@pytest.mark.parametrize("version", [None, "0006"])
def test_tables_change_only_where_they_may(engine, ground, version):
    """Without leave to upgrade an older store is left as it is, and without leave to create none is made."""
    if version:
        make_earlier(ground.path, version)
    with pytest.raises(ConfigError, match="keyturn migrate apply" if version else "keyturn init"):
        migrate.make_ready(engine, ground, create=False, upgrade=False)
    with engine.connect() as connection:
        assert migrate.version_of(connection) == version
    migrate.make_ready(engine, ground, create=version is None, upgrade=version is not None)
    assert migrate.check(engine)
    migrate.make_ready(engine, ground, create=False, upgrade=False)


@pytest.mark.parametrize("create", [True, False])
def test_another_applications_tables_are_left_alone(engine, ground, create):
    """A database with somebody else's revisions is refused by name, whatever they are called."""
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num TEXT)")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('ae1027a6acf')")
        connection.commit()
    with pytest.raises(ConfigError, match="another application's"):
        migrate.make_ready(engine, ground, create=create, upgrade=True)
    with engine.connect() as connection:
        assert not connection.dialect.has_table(connection, "organisation")


def test_head_is_the_newest_revision():
    """The revision that the program asks for is the last one there is."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == migrate.HEAD


def test_a_failed_migration_leaves_nothing(engine, ground, monkeypatch):
    """A migration that fails in the middle is undone whole, and the next attempt works."""
    whole = migrate._upgrade

    def half(connection):
        connection.exec_driver_sql("CREATE TABLE half (id INTEGER)")
        raise RuntimeError("power")

    monkeypatch.setattr(migrate, "_upgrade", half)
    with pytest.raises(RuntimeError, match="power"):
        migrate.apply(engine, ground)
    monkeypatch.setattr(migrate, "_upgrade", whole)
    assert migrate.apply(engine, ground)
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master WHERE name = 'half'")
        assert found.scalar() == 0


def test_a_current_store_does_not_load_alembic(engine, ground):
    """A process that opens a current store never imports alembic."""
    migrate.apply(engine, ground)
    code = """
        import sys
        from keyturn.storage import migrate, open_store
        from keyturn.storage.grounds import ground_of
        ground = ground_of(sys.argv[1])
        assert not migrate.apply(ground.writing_engine(), ground)
        print("alembic" in sys.modules)
    """
    paths = [str(Path(migrate.__file__).parents[2]), *sys.path]
    out = subprocess.check_output(
        [sys.executable, "-c", textwrap.dedent(code), engine.url.database],
        env={"PYTHONPATH": ":".join(filter(None, paths))},
        text=True,
    )
    assert out.strip() == "False"
