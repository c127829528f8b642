"""Why the store is not available, in plain words: never SQL, never a value."""

import logging
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.exc import DBAPIError

log = logging.getLogger(__name__)

QUIET_SECONDS = 60.0
"""A kind of failure is logged once in so long: a store that is away fails every request."""

COLLISION = "collision"
"""Two processes made the same thing at one moment: one did, and the other's transaction goes again."""

_KINDS = (
    ("locked", "locked"),
    ("busy", "locked"),
    ("not a database", "not a database"),
    ("malformed", "damaged"),
    ("is full", "disk full"),
    ("no space left", "disk full"),
    ("readonly", "read only"),
    ("read-only", "read only"),
    ("unable to open", "cannot be opened"),
    ("no such file", "no such file"),
    ("permission denied", "permission denied"),
    ("is a directory", "is a directory"),
    ("i/o error", "disk error"),
    ("no such table", "its tables are missing"),
    ("password authentication failed", "access denied"),
    ("no pg_hba.conf entry", "access denied"),
    ("certificate", "its certificate is not trusted"),
    ("too many", "too many connections"),
    ("remaining connection slots", "too many connections"),
    ("lock timeout", "locked"),
    ("statement timeout", "too slow"),
    ("timeout expired", "cannot be reached"),
    ("the database system is", "starting or stopping"),
    ("session is", "cannot be written"),
    ("connection failed", "cannot be reached"),
    ("could not translate", "cannot be reached"),
    ("failed to resolve", "cannot be reached"),
    ("terminating connection", "connection lost"),
    ("connection", "connection lost"),
    ("relation", "its tables are missing"),
    ("uniqueviolation", COLLISION),
    ("deadlock detected", COLLISION),
    ("could not serialize", COLLISION),
)

_SPOKEN_STATES = ("08", "25", "28", "3D", "40", "42P01", "53", "55", "57", "58")
"""SQLSTATEs whose words are about the server; others quote what was written."""


def why(error: BaseException | None) -> str | None:
    """Name the kind of a store's failure; None where it is none that we know."""
    if isinstance(error, TimeoutError):
        return "too slow"
    text = _own_words(error)
    return next((kind for part, kind in _KINDS if part in text.lower()), None)


def _own_words(error: BaseException | None) -> str:
    """Give what the database or the system says, without the statement that SQLAlchemy adds."""
    if isinstance(error, DBAPIError):
        error = error.orig
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    if isinstance(error, sqlite3.Error):
        return str(error)
    # PostgreSQL's driver, which is loaded only where it is used. Its further lines may quote a row.
    spoken = type(error).__module__.startswith("psycopg") and str(error)
    state = getattr(error, "sqlstate", None)
    if spoken and (state is None or state.startswith(_SPOKEN_STATES)):
        return spoken.splitlines()[0]
    return type(error).__name__


class Complaints:
    """Says in the log why a store is not available, once for each kind and minute."""

    def __init__(self, path: Path | str, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Complain about the store at ``path``."""
        self._path = str(path)
        self._monotonic = monotonic
        self._told: dict[str, float] = {}

    def about(self, error: BaseException) -> None:
        """Log a failure unless one of its kind was logged within the minute."""
        words = _own_words(error)
        kind, now = why(error) or type(error).__name__, self._monotonic()
        if now - self._told.get(kind, -QUIET_SECONDS) < QUIET_SECONDS:
            return
        self._told[kind] = now
        if kind == COLLISION:
            log.warning("a transaction at %s met another process's and was undone (%s)", self._path, words)
        else:
            log.warning("the store at %s is not available (%s): %s", self._path, kind, words)
