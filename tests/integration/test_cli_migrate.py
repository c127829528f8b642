"""``keyturn migrate`` on a database that an earlier version left: look, plan, apply once (RE-04)."""

import sqlite3
from contextlib import closing

import pytest

from earlier import make_earlier
from integration.test_cli import Terminal
from keyturn.app import make_master_key
from keyturn.storage.migrate import HEAD
from postgres import PASSWORD

EARLIER = "0006"
MISSING = ["0007", "0008", "0009", "0010"]


@pytest.fixture
def terminal(capsys, tmp_path):
    """A data folder with the database of an earlier version, and no master key."""
    made = Terminal(capsys, tmp_path / "data")
    make_earlier(made.data / "keyturn.db", EARLIER)
    return made


def version(terminal):
    """Read which revision the tables have."""
    with closing(sqlite3.connect(terminal.data / "keyturn.db")) as store:
        return store.execute("SELECT version_num FROM alembic_version").fetchone()[0]


def test_look_then_apply(terminal):
    """--check exits with 1 and names what is missing, apply brings it in, then --check exits with 0."""
    code, out, err = terminal.code("migrate", "--check")
    assert (code, err) == (1, "")
    assert out.splitlines()[:3] == [f"database  {EARLIER}", f"program   {HEAD}", "state     behind"]
    assert "0007      Add people" in out
    assert version(terminal) == EARLIER
    applied = terminal.json("migrate", "apply")
    assert (applied["database"], applied["program"], applied["state"]) == (HEAD, HEAD, "current")
    assert [each["revision"] for each in applied["applied"]] == MISSING
    assert version(terminal) == HEAD
    nothing = {"database": HEAD, "program": HEAD, "state": "current"}
    assert terminal.json("migrate", "--check") == nothing | {"missing": []}
    assert terminal.json("migrate", "apply") == nothing | {"applied": []}


def test_plan(terminal):
    """--plan prints the SQL of what is missing, for people and for programs, and changes nothing."""
    script = terminal.table("migrate", "--plan")
    assert script.startswith("-- 0007: Add people")
    assert "CREATE TABLE membership" in script
    steps = terminal.json("migrate", "--plan")
    assert [step["revision"] for step in steps] == MISSING
    assert all(step["sql"] in script for step in steps)
    assert version(terminal) == EARLIER
    terminal.table("migrate", "apply")
    assert terminal.table("migrate", "--plan") == "-- nothing is missing\n"
    assert terminal.json("migrate", "--plan") == []


def test_a_newer_database(terminal):
    """A database that a newer version has added to is good, and is said to be newer."""
    terminal.table("migrate", "apply")
    with closing(sqlite3.connect(terminal.data / "keyturn.db")) as store, store:
        store.execute("UPDATE alembic_version SET version_num = '9999'")
    looked = terminal.json("migrate", "--check")
    assert looked == {"database": "9999", "program": HEAD, "state": "newer", "missing": []}
    assert terminal.json("migrate", "apply")["database"] == "9999"


@pytest.mark.parametrize("arguments", [(), ("--check", "--plan"), ("--check", "apply"), ("downgrade",)])
def test_usage(terminal, arguments):
    """Without one of --check, --plan and apply, or with two, nothing is done and the exit code is 2."""
    code, out, _ = terminal.code("migrate", *arguments)
    assert (code, out) == (2, "")
    assert version(terminal) == EARLIER


@pytest.mark.parametrize("arguments", ["--check", "--plan", "apply"])
def test_without_a_database(capsys, tmp_path, arguments):
    """Where there is no database it says so, names keyturn init, and makes nothing."""
    code, message = Terminal(capsys, tmp_path / "none").refused("migrate", arguments)
    assert code == 3
    assert "keyturn init" in message
    assert not (tmp_path / "none").exists()


def test_only_by_hand(terminal, monkeypatch):
    """With migrate_at_start off every command refuses an older database and says what to run."""
    monkeypatch.setenv("KEYTURN_MIGRATE_AT_START", "false")
    key = terminal.data / "master.key"
    for command in (("init",), ("org", "list")):
        code, message = terminal.refused(*command)
        assert code == 3
        assert f"{EARLIER}, this program needs {HEAD}: run `keyturn migrate apply`" in message
        assert version(terminal) == EARLIER
        assert not key.exists() or command != ("init",)
        make_master_key(key)
    terminal.table("migrate", "apply")
    assert terminal.json("org", "list") == []


def test_on_postgresql(capsys, tmp_path, monkeypatch, postgres_url):
    """On PostgreSQL it is the same: empty is refused, older is planned in its own SQL, then applied."""
    there = Terminal(capsys, tmp_path)
    monkeypatch.setenv("KEYTURN_DATABASE_URL", postgres_url)
    code, message = there.refused("migrate", "--check")
    assert code == 3
    assert "keyturn init" in message
    assert PASSWORD not in message
    make_earlier(postgres_url, EARLIER)
    assert there.code("migrate", "--check")[0] == 1
    assert "sealed BYTEA" in there.table("migrate", "--plan")
    assert [each["revision"] for each in there.json("migrate", "apply")["applied"]] == MISSING
    assert there.json("migrate", "--check")["state"] == "current"
