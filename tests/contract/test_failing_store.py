"""A store that cannot be written: the log and the error say which file it is, and why."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from contract.store_kit import NOW, open_file, unit
from keyturn.core.errors import Unavailable
from keyturn.storage.causes import why
from keyturn.storage.engines import reading_engine
from keyturn.storage.feed import STALE_SECONDS


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "keyturn.db"


@pytest.fixture
async def store(path):
    """A store whose callers wait half a second."""
    made = await open_file(path, patience_seconds=0.5)
    yield made
    await made.close()


WRITES = {
    "a unit": lambda store: store.deployment.record(unit(organisation_id=None)),
    "an errand": lambda store: store.upkeep.note_clock(NOW),
    "a count": lambda store: store.lockout(lambda name: name).admit("alice", "device", NOW),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_the_log_says_which_store_and_why(store, path, write, caplog):
    """HT-09: whatever thread finds the store locked, the log names file and cause, without a statement."""
    with closing(sqlite3.connect(path, isolation_level=None)) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable) as caught:
            await write(store)
        for _ in range(2):  # once a kind and minute
            with pytest.raises(Unavailable):
                await write(store)
    assert why(caught.value.__cause__) in {"locked", "too slow"}
    await store.close()  # waits for what the threads still say
    said = [record.getMessage() for record in caplog.records]
    assert f"the store at {path} is not available (locked): database is locked" in said
    assert "BEGIN" not in caplog.text


async def test_the_feed_says_which_store_and_why(store, path, caplog):
    """HT-09: a change feed that cannot be read names file and cause."""
    store.feed._engine = reading_engine(path.with_name("nowhere.db"), 1)
    store.feed._connection = None
    for _ in range(200):
        if caplog.text:
            break
        await asyncio.sleep(0.05)
    assert f"the store at {path} is not available (cannot be opened)" in caplog.text


async def test_the_feed_goes_on_after_whatever_happens(store, monkeypatch, caplog):
    """HT-09: an error that nobody thought of is told, makes memory stale, and ends with its cause."""

    def broken():
        raise ValueError("nobody thought of that")

    with monkeypatch.context() as patched:
        patched.setattr(store.feed, "_poll", broken)
        for _ in range(200):
            if store.feed.age_seconds > STALE_SECONDS and caplog.text:
                break
            await asyncio.sleep(0.05)
        with pytest.raises(Unavailable):
            store.feed.require_fresh()
    for _ in range(200):
        if store.feed.age_seconds < STALE_SECONDS:
            break
        await asyncio.sleep(0.05)
    store.feed.require_fresh()
    assert "ValueError" in caplog.text
