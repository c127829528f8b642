"""What an operator is told of a store's tables, and the plan that does what applying does."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import inspect

from earlier import make_earlier
from keyturn.core.errors import ConfigError, Unavailable
from keyturn.storage.grounds import ground_of
from keyturn.storage.migrate import HEAD
from keyturn.storage.tables import Standing, Tables

FIRST_RELEASE = "0006"
MISSING = ["0007", "0008", "0009", "0010"]
"""What the first release's tables lack."""


@dataclass
class Place:
    """A database and its own tool's way in."""

    url: str
    connect: Any

    def run(self, script):
        """Run SQL in one transaction, as the database's own tool does."""
        with closing(self.connect()) as connection, connection:
            for statement in filter(str.strip, script.split(";\n")):
                connection.execute(statement)

    def version(self):
        """Read which revision the tables say they have."""
        with closing(self.connect()) as connection:
            return connection.execute("SELECT version_num FROM alembic_version").fetchall()

    def shape(self):
        """Read every table, column, index and key as the database has it."""
        engine = ground_of(self.url).writing_engine()
        looked = inspect(engine)
        found = {name: _shape(looked, name) for name in looked.get_table_names()}
        engine.dispose()
        return found

    @contextmanager
    def held(self):
        """Be in the way of whoever changes tables."""
        with closing(self.connect()) as stranger:
            stranger.execute("BEGIN")
            stranger.execute("UPDATE credential SET name = name")
            yield
            stranger.rollback()


def _shape(looked, name):
    facts = ("name", "nullable", "default")
    columns = [(str(each["type"]), *map(each.get, facts)) for each in looked.get_columns(name)]
    indexes = {(each["name"], each["unique"], *each["column_names"]) for each in looked.get_indexes(name)}
    return columns, indexes, looked.get_foreign_keys(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def new_place(request, tmp_path):
    """A maker of databases, each empty."""
    if request.param == "sqlite":

        def make():
            path = tmp_path / f"{len(list(tmp_path.iterdir()))}.db"
            path.touch()
            return Place(str(path), lambda: sqlite3.connect(path, timeout=1))

        yield make
        return
    import psycopg  # where there is no PostgreSQL the fixture has skipped

    made = []
    server = request.getfixturevalue("postgres")

    def make():
        made.append(server.make_database())
        return Place(made[-1], lambda url=made[-1]: psycopg.connect(url))

    yield make
    for url in made:
        server.drop_database(url)


@pytest.fixture
def place(new_place):
    """A database, empty."""
    return new_place()


def test_behind(place):
    """An older store is told with each revision that it lacks, oldest first, and left as it is."""
    make_earlier(place.url, "0005")
    with Tables.of(place.url) as tables:
        found = tables.look()
    assert (found.version, found.head, found.standing(found.version)) == ("0005", HEAD, Standing.BEHIND)
    assert [each.revision for each in found.pending] == [FIRST_RELEASE, *MISSING]
    assert place.version() == [("0005",)]


def test_applying_says_what_was_missing(place):
    """Applying brings all in and gives what it found; a second time there is nothing to do."""
    make_earlier(place.url, FIRST_RELEASE)
    with Tables.of(place.url) as tables:
        assert [each.revision for each in tables.apply().pending] == MISSING
        assert place.version() == [(HEAD,)]
        again = tables.apply()
    assert (again.pending, again.standing(again.version)) == ((), Standing.CURRENT)


def test_two_at_once(place):
    """RE-04: of two that apply at one moment one brings all in; the other waits and has nothing to do."""
    make_earlier(place.url, "0001")
    start = Barrier(2)

    def apply(_):
        with Tables.of(place.url) as tables:
            start.wait()
            return len(tables.apply().pending)

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(apply, range(2))) == [0, int(HEAD) - 1]


@pytest.mark.parametrize("version", ["0001", FIRST_RELEASE])
def test_the_plan_is_what_applying_does(new_place, version):
    """The SQL of the plan, run by the database's own tool, makes what applying makes, and notes it."""
    applied, scripted = new_place(), new_place()
    for place in (applied, scripted):
        make_earlier(place.url, version)
    with Tables.of(applied.url) as tables:
        plan = tables.apply().pending
    scripted.run("\n".join(each.sql for each in plan))
    assert scripted.shape() == applied.shape()
    assert scripted.version() == applied.version() == [(HEAD,)]


@pytest.mark.parametrize("version", ["0001", FIRST_RELEASE])
def test_what_was_there_stays_as_it_was(place, version):
    """RE-04: no table, column, type, default, index or key of a version is changed by those that follow."""
    make_earlier(place.url, version)
    before = place.shape()
    with Tables.of(place.url) as tables:
        tables.apply()
    now = place.shape()
    for name, (columns, indexes, keys) in before.items():
        assert now[name][0][: len(columns)] == columns
        assert indexes <= now[name][1]
        assert now[name][2] == keys


def test_newer(place):
    """A store that a later version has added to is newer, lacks nothing, and is not touched."""
    make_earlier(place.url, HEAD)
    place.run("UPDATE alembic_version SET version_num = '9999'")
    with Tables.of(place.url) as tables:
        found = tables.apply()
    assert (found.standing(found.version), found.pending) == (Standing.NEWER, ())
    assert place.version() == [("9999",)]


def test_no_tables_of_ours(place):
    """Somebody else's database is named as such, and `keyturn init` with it; nothing is made in it."""
    place.run("CREATE TABLE theirs (id INTEGER)")
    for ask in (Tables.look, Tables.apply):
        with pytest.raises(ConfigError, match="keyturn init"), Tables.of(place.url) as tables:
            ask(tables)
    assert list(place.shape()) == ["theirs"]


def test_no_database(tmp_path):
    """A path where nothing is stays without a database."""
    with pytest.raises(ConfigError, match="keyturn init"), Tables.of(tmp_path / "none.db"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_locked(place):
    """RE-04: who is in the way is not waited for long; nothing is changed then, and it works later."""
    make_earlier(place.url, FIRST_RELEASE)
    with place.held(), pytest.raises(Unavailable), Tables.of(place.url) as tables:
        tables.apply()
    assert place.version() == [(FIRST_RELEASE,)]
    with Tables.of(place.url) as tables:
        tables.apply()
    assert place.version() == [(HEAD,)]
