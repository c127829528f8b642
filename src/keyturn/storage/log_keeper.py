"""SQLite's write-ahead log is copied home beside the writer, so that no commit pays for it.

What SQLite does by itself happens inside the commit that makes the log too long: thousands of pages and their
way to the disk, while everybody waits. Here a thread of its own copies while the writer goes on, again what
came meanwhile, and takes a turn only for the last few pages: the log begins anew only once all of it is home.
Several processes may try; SQLite lets one. Sources: sqlite.org/wal.html; sections 4.1 and 4.2 of
sqlite.org/fileformat2.html for the log's headers.
"""

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from keyturn.storage.causes import Complaints
from keyturn.storage.engines import LONG_LOG_PAGES, ask, say
from keyturn.storage.ground import Turns

log = logging.getLogger(__name__)

PAGES = 2000
"""Pages in the log before it is copied home: 8 MB, since what a disk is given at once holds up commits."""
_COMMITS_A_LOOK = 8
_FEW_PAGES = 200
"""May be copied while everybody waits: as much as a few large batches write."""
_PASSES = 4
_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24
_sync = getattr(os, "fdatasync", os.fsync)  # not every system has it


class LogKeeper:
    """Copies a file's log home when it has grown.

    Args:
        path: The database file itself, and no link to it.
        engine: Gives the connections that copy.
        turns: Joins the queue of processes.
        due_pages: How far the log grows before it is copied home.
        long_pages: How far it grows before somebody is told.
    """

    def __init__(
        self,
        path: Path,
        engine: Engine,
        turns: Callable[[], Turns],
        *,
        due_pages: int = PAGES,
        long_pages: int = LONG_LOG_PAGES,
    ) -> None:
        self._engine = engine
        self._join = turns
        self._turns: Turns | None = None
        self._log = LogFile(path)
        self._home = OpenFile(path)
        self._complaints = Complaints(path)
        self._apart, self._long = due_pages, long_pages
        self._due = due_pages
        self._told = False
        self._commits = 0
        self.pages = 0
        """How many the log had when it was copied last."""
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="keyturn-log", daemon=True)
        self._thread.start()

    def committed(self) -> None:
        """Hear of one commit; called by threads that wait for nothing."""
        self._commits += 1  # two at once may count as one
        if self._commits % _COMMITS_A_LOOK == 0:
            self._wake.set()

    def close(self, seconds: float) -> None:
        """Stop, and leave the log to whoever closes the file last; not to be called on the event loop.

        Args:
            seconds: How long to wait for that: another process may be stopped in its turn.
        """
        self._closing = True
        self._wake.set()
        self._thread.join(seconds)

    # --- on the thread ---

    def _run(self) -> None:
        while self._wait():
            try:
                self._look()
            except (SQLAlchemyError, OSError) as error:
                self._complaints.about(error)
        self._engine.dispose()
        if self._turns is not None:
            self._turns.close()

    def _wait(self) -> bool:
        # Who has just copied forgot every call, the last one too; and after that none comes.
        if not self._closing:
            self._wake.wait()
        self._wake.clear()
        return not self._closing

    def _look(self) -> None:
        if self._log.reaches(self._due):
            self._copy_all()
        elif self._due > self._apart and not self._log.reaches(self._due - self._apart):
            self._due = self._apart  # shorter than when we failed: another process brought it home

    def _copy_all(self) -> None:
        """Copy the log home, so that the next commit begins it anew; else try again when it has grown."""
        with self._engine.connect() as connection, self._engine.connect() as guard:
            for _ in range(_PASSES):
                busy, _, copied = _copy_beside(connection, guard)
                if busy:
                    return  # another process is at it
                if not self._log.reaches(copied + 1):
                    break
                self._home.flush()
                if not self._log.reaches(copied + _FEW_PAGES):
                    break
            if self._turns is None:
                self._turns = self._join()
            with self._turns.held():
                # Waits a moment for those who read from the log: until they have done it cannot begin anew.
                busy, pages, copied = _copy(connection, "RESTART")
        self._wake.clear()  # nobody has written since, so there is nothing to look at
        self.pages = max(pages, 0)
        whole = not busy and pages == copied
        self._due = self._apart if whole else max(pages, self._due) + self._apart
        self._tell(whole=whole)

    def _tell(self, *, whole: bool) -> None:
        """Say once that somebody keeps the log from ending."""
        long = not whole and self.pages >= self._long
        if long and not self._told:
            log.warning(
                "%s has %d pages: somebody has been reading the database all the time"
                " (a backup that hangs, a shell)",
                self._log.path,
                self.pages,
            )
        self._told = long


class LogFile:
    """The log as a file: how far it goes, which SQLite tells only those who copy it.

    No lock of SQLite's is on it, so it may be opened and closed.
    """

    def __init__(self, path: Path) -> None:
        """Look beside the database at ``path``."""
        self.path = path.with_name(path.name + "-wal")

    def reaches(self, pages: int) -> bool:
        """Tell whether so many were written since it began anew: what is older has other salts.

        Raises:
            OSError: It cannot be read.
        """
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            header = os.pread(descriptor, _HEADER_BYTES, 0)
            page_bytes = int.from_bytes(header[8:12])
            at = _HEADER_BYTES + (pages - 1) * (_FRAME_HEADER_BYTES + page_bytes)
            frame = os.pread(descriptor, _FRAME_HEADER_BYTES, at)
        finally:
            os.close(descriptor)
        return len(frame) == _FRAME_HEADER_BYTES and frame[8:16] == header[16:24]


class OpenFile:
    """A file that SQLite has open, by a descriptor of SQLite's.

    Whoever opens one of his own and closes it lets go of every lock that this process has on the file.
    """

    def __init__(self, path: Path) -> None:
        """Know nothing of it yet."""
        self._path = path
        self._descriptor: int | None = None

    def flush(self) -> None:
        """Have the disk keep what was copied so far: SQLite does it only when all is, and keeps the turn."""
        # Whatever fails here SQLite does later. Should the number be another file's by now, that is flushed.
        with suppress(OSError):
            wanted = self._path.stat()
            if not _leads_to(self._descriptor, wanted):
                numbers = (int(each.name) for each in Path("/dev/fd").iterdir())
                self._descriptor = next((each for each in numbers if _leads_to(each, wanted)), None)
            if self._descriptor is not None:
                _sync(self._descriptor)


def _leads_to(descriptor: int | None, wanted: os.stat_result) -> bool:
    try:
        return descriptor is not None and os.path.samestat(os.fstat(descriptor), wanted)
    except OSError:
        return False


def _copy_beside(connection: Connection, guard: Connection) -> tuple[int, int, int]:
    """Copy home what can be while others write, as ``_copy`` does.

    SQLite before 3.51.3 destroys the file when the log begins anew just as such a copy starts, which happens
    where another process has copied all of it a moment ago (sqlite.org/wal.html, "The WAL-Reset Bug"). Who
    reads from the log keeps it from that; who reads although all is home keeps everybody from copying.
    """
    say(guard, "BEGIN")
    try:
        ask(guard, "PRAGMA schema_version")  # from here on it reads
        return _copy(connection, "PASSIVE")
    finally:
        say(guard, "ROLLBACK")


def _copy(connection: Connection, how: str) -> tuple[int, int, int]:
    """Copy home what can be: whether somebody was in the way, pages in the log, and those that are home."""
    busy, pages, copied = connection.exec_driver_sql(f"PRAGMA wal_checkpoint({how})").one()
    return int(busy), int(pages), int(copied)
