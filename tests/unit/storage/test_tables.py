"""What an operator is told of a store's tables, and the plan that does what applying does."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import inspect

from earlier import make_earlier
from keyturn.core.errors import ConfigError, Unavailable
from keyturn.storage.engines import writing_engine
from keyturn.storage.migrate import HEAD
from keyturn.storage.revisions import after
from keyturn.storage.tables import Standing, Tables

EVERY = ["0001", *(each.number for each in after("0001"))]
FIRST_RELEASE = "0006"


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "keyturn.db"


def shape(path):
    """Read every table, column and index as the database has it."""
    engine = writing_engine(path)
    looked = inspect(engine)
    found = {
        name: (
            [
                (each["name"], str(each["type"]), each["nullable"], each["default"])
                for each in looked.get_columns(name)
            ],
            sorted(
                (each["name"], each["unique"], *each["column_names"]) for each in looked.get_indexes(name)
            ),
            looked.get_foreign_keys(name),
        )
        for name in looked.get_table_names()
    }
    engine.dispose()
    return found


def said(path):
    """Read the SQL that made what is in a file, and the revision it says it has."""
    with closing(sqlite3.connect(path)) as store:
        return store.execute("SELECT version_num FROM alembic_version").fetchall()


def test_behind(path):
    """An older store is told with each revision that it lacks, oldest first."""
    make_earlier(path, "0005")
    with Tables.of(path) as tables:
        found = tables.look()
    assert (found.version, found.head, found.standing(found.version)) == ("0005", HEAD, Standing.BEHIND)
    assert [each.revision for each in found.pending] == EVERY[EVERY.index("0006") :]
    assert said(path) == [("0005",)]


def test_applying_says_what_was_missing(path):
    """Applying brings all in and gives what it found; a second time there is nothing to do."""
    make_earlier(path, FIRST_RELEASE)
    with Tables.of(path) as tables:
        assert tables.apply().pending
        assert said(path) == [(HEAD,)]
        again = tables.apply()
    assert (again.pending, again.standing(again.version)) == ((), Standing.CURRENT)


@pytest.mark.parametrize("version", EVERY[:-1])
def test_the_plan_is_what_applying_does(tmp_path, version):
    """The SQL of the plan, run by the database's own tool, makes what applying makes, and notes it."""
    applied, scripted = tmp_path / "applied.db", tmp_path / "scripted.db"
    for path in (applied, scripted):
        make_earlier(path, version)
    with Tables.of(applied) as tables:
        plan = tables.apply().pending
    with closing(sqlite3.connect(scripted)) as store:
        store.executescript("\n".join(each.sql for each in plan))
    assert shape(scripted) == shape(applied)
    assert said(scripted) == said(applied)


@pytest.mark.parametrize("version", EVERY[:-1])
def test_what_was_there_stays_as_it_was(path, version):
    """RE-04: no table, column, type, default, index or key of any version is changed by those that follow."""
    make_earlier(path, version)
    before = shape(path)
    with Tables.of(path) as tables:
        tables.apply()
    now = shape(path)
    for name, (columns, indexes, keys) in before.items():
        assert now[name][0][: len(columns)] == columns
        assert set(indexes) <= set(now[name][1])
        assert now[name][2] == keys


def test_newer(path):
    """A store that a later version has added to is newer, lacks nothing, and is not touched."""
    make_earlier(path, HEAD)
    with closing(sqlite3.connect(path)) as store, store:
        store.execute("UPDATE alembic_version SET version_num = '9999'")
    with Tables.of(path) as tables:
        found = tables.apply()
    assert (found.standing(found.version), found.pending) == (Standing.NEWER, ())
    assert said(path) == [("9999",)]


def test_no_tables_of_ours(path):
    """Somebody else's database is named as such, and `keyturn init` with it; nothing is made in it."""
    with closing(sqlite3.connect(path)) as store, store:
        store.execute("CREATE TABLE theirs (id INTEGER)")
    with Tables.of(path) as tables:
        for ask in (tables.look, tables.apply):
            with pytest.raises(ConfigError, match="keyturn init"):
                ask()
    assert list(shape(path)) == ["theirs"]


def test_no_database(path):
    """A path where nothing is stays without a database."""
    with pytest.raises(ConfigError, match="keyturn init"), Tables.of(path):
        pass
    assert not path.exists()


def test_a_store_that_is_locked(path):
    """While a stranger holds the database, applying says so within the time-out and changes nothing."""
    make_earlier(path, FIRST_RELEASE)
    with closing(sqlite3.connect(path, isolation_level=None)) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable), Tables.of(path) as tables:
            tables.apply()
    assert said(path) == [(FIRST_RELEASE,)]
