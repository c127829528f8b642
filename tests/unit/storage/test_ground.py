"""What every ground has in common: how it is read."""

import pytest

from keyturn.storage.engines import prepare_file
from keyturn.storage.ground import Reading
from keyturn.storage.sqlite_ground import SqliteGround


@pytest.fixture
def ground(tmp_path):
    """A file that nobody reads yet."""
    prepare_file(tmp_path / "keyturn.db")
    return SqliteGround(tmp_path / "keyturn.db")


@pytest.fixture
def connection(ground):
    """A connection that reads it."""
    engine = ground.reading_engine(1)
    with engine.connect() as made:
        yield made
    engine.dispose()


def is_reading(connection):
    """Tell whether a transaction is open."""
    return connection.connection.dbapi_connection.in_transaction


def fail(why):
    """Fail in the middle of a read."""
    raise ValueError(why)


def test_what_is_read_ends(ground, connection):
    """A transaction that reads ends with its block, also where that fails: else the log never begins anew."""
    with Reading(ground, connection):
        assert is_reading(connection)
    assert not is_reading(connection)
    with pytest.raises(ValueError, match="inside"), Reading(ground, connection):
        fail("inside")
    assert not is_reading(connection)


def test_a_connection_that_is_lost_meanwhile(ground, connection):
    """HT-09: why a read failed is told, and not that its connection is lost, too."""
    with pytest.raises(ValueError, match="why"), Reading(ground, connection):
        fail(connection.invalidate() or "why")
    assert connection.invalidated
