"""Where the contract's stores are kept: in memory, in a SQLite file, in a PostgreSQL database."""

import pytest

from contract.store_kit import open_at, seed
from made import with_tables


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def place(request, tmp_path):
    """A place for an empty store of each kind; None is memory."""
    return None if request.param == "memory" else _kept(request, tmp_path)


@pytest.fixture
async def store(place):
    """A seeded store of each kind, whose memory has a client and every revocation."""
    made = await open_at(place)
    await seed(made)
    await made.registry.find_client("client-1")
    await made.revocations.load()
    yield made
    await made.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request, tmp_path):
    """A place that several processes can open."""
    return _kept(request, tmp_path)


def _kept(request, tmp_path):
    if request.param == "postgresql":
        return request.getfixturevalue("keyturn_url")
    return with_tables(tmp_path / "data" / "keyturn.db")
