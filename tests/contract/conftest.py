"""Where the contract's stores are kept: in memory, in a SQLite file, in a PostgreSQL database."""

import pytest

from made import with_tables


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def place(request, tmp_path):
    """A place for an empty store of each kind; None is memory."""
    return None if request.param == "memory" else _kept(request, tmp_path)


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request, tmp_path):
    """A place that several processes can open."""
    return _kept(request, tmp_path)


def _kept(request, tmp_path):
    if request.param == "postgresql":
        return request.getfixturevalue("keyturn_url")
    return with_tables(tmp_path / "data" / "keyturn.db")
