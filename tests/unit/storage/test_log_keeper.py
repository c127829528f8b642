"""The log's keeper: what was committed is copied home beside whoever commits."""

import logging
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest
from sqlalchemy import event

from keyturn.storage.engines import copying_engine
from keyturn.storage.log_keeper import LogFile, LogKeeper, OpenFile
from keyturn.storage.turns import FairLock

DUE = 40
PATIENCE_SECONDS = 10
LEAVE_THE_LOG = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0)
try:
    print(connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0])
except sqlite3.OperationalError as error:
    print(error)
"""
"""Works only for somebody who is alone with the file."""


@pytest.fixture
def path(tmp_path):
    """A database whose log nobody copies home but the keeper."""
    path = tmp_path / "keyturn.db"
    with opened(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE kept (id INTEGER PRIMARY KEY, what BLOB)")
    return path


@pytest.fixture
def writer(path):
    with opened(path) as connection:
        yield connection


@pytest.fixture
def keeper(path):
    kept = keep(path)
    yield kept
    kept.close(PATIENCE_SECONDS)


def opened(path):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    return closing(connection)


def keep(path):
    """Make a keeper that begins early."""
    return LogKeeper(path, copying_engine(path), lambda: FairLock(path), due_pages=DUE, long_pages=4 * DUE)


def commit(writer, keeper, times=8):
    """Commit a page or two at a time; as often as the keeper looks, if nothing else is said."""
    for _ in range(times):
        writer.execute("INSERT INTO kept (what) VALUES (randomblob(3000))")
        keeper.committed()


def eventually(condition, *each_time):
    """Wait until a condition comes true, and do something before each look."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < until
        for do in each_time:
            do()
        time.sleep(0.005)


def test_the_log_begins_anew(path, writer, keeper):
    """RE-01: what is committed is copied home in time, again and again, and all of it is there."""
    log = LogFile(path)
    commit(writer, keeper)
    for _ in range(3):
        eventually(lambda: log.reaches(DUE), lambda: commit(writer, keeper, 4))
        keeper.committed()
        eventually(lambda: not log.reaches(DUE), lambda: commit(writer, keeper))
    assert keeper.pages >= DUE
    assert log.path.stat().st_size < 20 * DUE * 4096
    (rows,) = writer.execute("SELECT count(*) FROM kept").fetchone()
    assert rows == keeper._commits - 3


def test_a_reader_that_does_not_end(path, writer, keeper, caplog):
    """Who reads all the time makes the log long: that is told once, and it begins anew when he is gone."""
    caplog.set_level(logging.WARNING)
    log = LogFile(path)
    with opened(path) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM kept").fetchone()
        eventually(lambda: caplog.records, lambda: commit(writer, keeper))
        pages = keeper.pages
        assert pages >= 4 * DUE
        eventually(lambda: keeper.pages > pages, lambda: commit(writer, keeper))
        assert [each.getMessage().split(":")[0] for each in caplog.records] == [
            f"{log.path} has {pages} pages"
        ]
    eventually(lambda: not log.reaches(4 * DUE), lambda: commit(writer, keeper))


def test_two_keepers(path, writer, keeper):
    """Each process has one, and they do not keep each other from it."""
    other = keep(path)
    try:
        for _ in range(30):
            commit(writer, keeper)
            commit(writer, other)
        for each in (keeper, other):  # at one moment it is chance who finds it copied already
            eventually(lambda each=each: each.pages >= DUE, lambda each=each: commit(writer, each))
    finally:
        other.close(PATIENCE_SECONDS)
    assert writer.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_log_does_not_begin_anew_under_a_copy(path, writer, keeper):
    """RE-01: SQLite before 3.51.3 destroys a file whose log begins anew just as a copy starts."""
    log, stayed = LogFile(path), []

    @event.listens_for(keeper._engine, "before_cursor_execute")
    def another_is_faster(_connection, _cursor, statement, *_rest):
        if "PASSIVE" not in statement:
            return
        header = log.path.read_bytes()[:32]
        with opened(path) as other:
            _, pages, copied = other.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            assert pages == copied
            other.execute("INSERT INTO kept (what) VALUES ('after all was home')")
        stayed.append(log.path.read_bytes()[:32] == header)

    for _ in range(DUE):
        writer.execute("INSERT INTO kept (what) VALUES (randomblob(3000))")
    for _ in range(8):
        keeper.committed()
    eventually(lambda: keeper.pages)
    assert stayed[0]


def test_the_locks_stay(path, writer, keeper):
    """RE-01: looking at the files lets go of no lock: nobody else may take the log away meanwhile."""
    eventually(lambda: keeper.pages, lambda: commit(writer, keeper))
    home = OpenFile(path)
    home.flush()
    assert path.samefile(f"/dev/fd/{home._descriptor}")
    said = subprocess.run(
        [sys.executable, "-S", "-c", LEAVE_THE_LOG, path], capture_output=True, text=True, check=True
    )
    assert said.stdout == "database is locked\n"


def test_a_file_that_nobody_has_open(tmp_path):
    """What cannot be flushed is left to SQLite."""
    path = tmp_path / "keyturn.db"
    OpenFile(path).flush()
    path.touch()
    OpenFile(path).flush()


def test_a_log_that_is_not_there_is_told_of(path, caplog):
    """A keeper that finds no log says so, and ends when it is told to."""
    keeper = keep(path)
    for _ in range(8):
        keeper.committed()
    eventually(lambda: caplog.records)
    keeper.close(PATIENCE_SECONDS)
    assert not keeper._thread.is_alive()


def test_it_ends_though_it_was_told_so_while_it_copied(path, writer, keeper):
    """A keeper that is told to end in the middle of a copy ends after it, and does not wait for a commit."""
    turns = FairLock(path)
    with turns.held():
        eventually(lambda: keeper._turns, lambda: commit(writer, keeper))
        ending = threading.Thread(target=keeper.close, args=(PATIENCE_SECONDS,))
        ending.start()
        eventually(lambda: keeper._closing)
    turns.close()
    eventually(lambda: not keeper._thread.is_alive())
    ending.join()


def test_another_brought_the_log_home(path, writer, keeper):
    """Who was kept from it does not let the log grow any longer once another process did it."""
    with opened(path) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM kept").fetchone()
        eventually(lambda: keeper._due > 4 * DUE, lambda: commit(writer, keeper))
    assert writer.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()[0] == 0
    pages = keeper.pages
    commit(writer, keeper)
    eventually(lambda: keeper.pages != pages, lambda: commit(writer, keeper))
    assert keeper.pages < 3 * DUE
