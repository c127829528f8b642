"""Turns among the processes that write one SQLite file: the server, the CLI, a second worker.

SQLite's own busy timeout is a lottery in which the fastest writer starves the others. Here a waiter first
passes a turnstile and holds it until the main lock is its own, so whoever has just had a turn queues behind
it. A third lock is held by all who have the file open, so that nobody puts another in its place meanwhile.
All are ``flock`` on files of their own: the kernel frees them however a process dies.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FairLock:
    """One process's (or one store's) place in the queue for a file; not for use by two threads at once.

    Args:
        path: The database file itself, and no link to it; the locks lie beside it.

    Raises:
        OSError: The lock files cannot be made, or the database is being replaced (``alone``).
    """

    def __init__(self, path: Path) -> None:
        self._presence = presence(path)
        held = [self._presence]
        try:
            self._turnstile = _open(path.with_name(path.name + "-turnstile"))
            held.append(self._turnstile)
            self._main = _open(path.with_name(path.name + "-turn"))
        except OSError:
            for each in held:
                os.close(each)
            raise

    def held(self) -> "FairLock":
        """Wait for a turn, without a limit, and keep it for the block.

        A limit is the business of those whose work waits: this blocks only the writer's thread.

        Raises:
            OSError: The file system does not lock.
        """
        return self

    def __enter__(self) -> None:
        fcntl.flock(self._turnstile, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._main, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._turnstile, fcntl.LOCK_UN)

    def __exit__(self, *_why: object) -> None:
        fcntl.flock(self._main, fcntl.LOCK_UN)

    def close(self) -> None:
        """Leave the queue for good."""
        os.close(self._main)
        os.close(self._turnstile)
        os.close(self._presence)


def presence(path: Path) -> int:
    """Say that somebody has the database open, until the descriptor is closed.

    Raises:
        OSError: It is being replaced, or the lock file cannot be made.
    """
    return _locked(path, fcntl.LOCK_SH)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep everybody out of a database for the block.

    Raises:
        OSError: Somebody has it open (``errno.EBUSY``), or the lock file cannot be made.
    """
    descriptor = _locked(path, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def _locked(path: Path, how: int) -> int:
    descriptor = _open(path.with_name(path.name + "-open"))
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(path)) from error
    return descriptor


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
