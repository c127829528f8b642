"""Why a store is not available: plain words, and not too many of them."""

import sqlite3

from psycopg.errors import UniqueViolation
from sqlalchemy.exc import IntegrityError, OperationalError

from keyturn.storage.causes import COLLISION, Complaints, why


def failure(text):
    """Make what SQLAlchemy raises for an error of SQLite."""
    return OperationalError("SELECT secret FROM credential", {}, sqlite3.OperationalError(text))


def test_why():
    """Each kind has a plain word, and what is not known is not told (HT-07)."""
    assert why(failure("database is locked")) == "locked"
    assert why(failure("database or disk is full")) == "disk full"
    assert why(FileNotFoundError(2, "No such file or directory")) == "no such file"
    assert why(TimeoutError()) == "too slow"
    assert why(failure("something else")) is None
    assert why(None) is None


def test_a_collision_is_no_outage(caplog):
    """Two nodes that make one thing at one moment are told apart from a store that is away."""
    collision = IntegrityError("INSERT INTO sealed", {}, UniqueViolation("Key (id)=(secret)"))
    Complaints("postgresql://db/keyturn").about(collision)
    assert why(collision) == COLLISION
    assert caplog.messages == [
        "a transaction at postgresql://db/keyturn met another process's and was undone (UniqueViolation)"
    ]


def test_once_a_kind_and_minute(caplog):
    """A kind is logged once a minute, with the path and without the statement (HT-07)."""
    now = [0.0]
    complaints = Complaints("/data/keyturn.db", lambda: now[0])
    for text in ("database is locked", "database is locked", "database or disk is full"):
        complaints.about(failure(text))
    now[0] = 61.0
    complaints.about(failure("database is locked"))
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 3
    assert said[0] == "the store at /data/keyturn.db is not available (locked): database is locked"
    assert "SELECT" not in caplog.text
