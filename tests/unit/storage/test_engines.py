"""Connections: what SQLite may do to the file, whatever the file's name."""

import pytest
from sqlalchemy.exc import DBAPIError, OperationalError

from keyturn.core.errors import ConfigError
from keyturn.storage.engines import (
    counting_engine,
    path_of,
    prepare_file,
    reading_engine,
    require_file,
    say,
    use_write_ahead_log,
    writing_engine,
)

ENGINES = (writing_engine, counting_engine, lambda path: reading_engine(path, 1))


@pytest.mark.parametrize("make", ENGINES, ids=["writing", "counting", "reading"])
def test_a_deleted_file_is_not_made_again(tmp_path, make):
    """No connection makes a database that was deleted under a running server (HT-09)."""
    path = tmp_path / "keyturn.db"
    engine = make(path)
    with pytest.raises(OperationalError, match="unable to open"):
        engine.connect()
    assert not path.exists()


@pytest.mark.parametrize("name", ["a b?mode=memory#1.db", "100%25.db", "schlüssel.db", "a&b.db"])
def test_any_name(tmp_path, name):
    """A file's name is a name, whatever it would mean in a URI (HT-09)."""
    path = tmp_path / name
    prepare_file(path)
    engine = writing_engine(path)
    use_write_ahead_log(engine)
    engine.dispose()
    require_file(path)
    assert {each.name for each in tmp_path.iterdir()} >= {name}


def test_an_empty_file_is_no_database(tmp_path):
    """What is missing, empty or below a file is no database, and the line names its path (HT-09)."""
    path = tmp_path / "keyturn.db"
    for sought in (path, path / "below"):
        with pytest.raises(ConfigError, match=f"no database at {sought}"):
            require_file(path_of(sought))
        path.touch()
    with pytest.raises(ConfigError, match="keyturn init"):
        require_file(path)


def test_a_link_names_the_file_itself(tmp_path, monkeypatch):
    """RE-01: however a file is named it is one, so its locks are too; a circle of links is one's own name."""
    path, link, circle = tmp_path / "disk" / "keyturn.db", tmp_path / "store", tmp_path / "circle"
    path.parent.mkdir()
    link.symlink_to(path)
    circle.symlink_to(circle)
    (tmp_path / "folder").symlink_to(path.parent)
    monkeypatch.chdir(path.parent)
    names = (path, link, f"sqlite:///{link}", tmp_path / "folder" / path.name, path.name, "../store")
    assert {path_of(name) for name in names} == {path}
    assert path_of(circle) == circle


BAD = {
    "no such table": ("SELECT 'hush' FROM nothing WHERE name = ?", ("hush",)),
    "a constraint": ("INSERT INTO thing VALUES (?)", ("hush",)),
    "no value that SQLite knows": ("INSERT INTO thing VALUES (?)", (["hush"],)),
    "too few values": ("INSERT INTO thing VALUES (?)", ()),
}


@pytest.mark.parametrize(("statement", "values"), BAD.values(), ids=BAD)
def test_what_is_said_fails_as_sqlalchemy_has_it(tmp_path, statement, values):
    """Past SQLAlchemy an error is of the same kind and tells the same, and no value (HT-09)."""
    path = tmp_path / "keyturn.db"
    prepare_file(path)
    with writing_engine(path).connect() as connection:
        say(connection, "CREATE TABLE thing (name TEXT PRIMARY KEY)")
        say(connection, "INSERT INTO thing VALUES (?)", ("hush",))
        with pytest.raises(DBAPIError) as theirs:
            connection.exec_driver_sql(statement, values)
        with pytest.raises(DBAPIError) as ours:
            say(connection, statement, values)
    assert type(ours.value) is type(theirs.value)
    assert str(ours.value.orig) == str(theirs.value.orig)
    assert "hush" not in str(ours.value).replace(statement, "")
