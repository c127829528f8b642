"""Upkeep as the bench wants it: quiet while a line is measured, and running while another is.

A job is due by what its lease says of the last run, so setting that is all it takes, while a server runs too.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.server import UnfitError
from keyturn.storage.schema import micros

JOBS = ("clean", "retention", "checkpoint", "expiry")
QUIET_SECONDS = 60.0
"""A server's upkeep begins so long after its start, and looks for what is due each quarter of that."""
PATIENCE_SECONDS = 2 * QUIET_SECONDS
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Run:
    """How a job went last."""

    running: bool
    ran_at: int
    outcome: str


def rest(connection: sqlite3.Connection) -> None:
    """Say that every long job ran just now."""
    now = micros(datetime.now(UTC))
    connection.executemany(
        "INSERT INTO lease (name, holder, until, ran_at, failures, outcome) VALUES (?, 'bench', ?, ?, 0, '')"
        " ON CONFLICT (name) DO UPDATE SET ran_at = excluded.ran_at, until = excluded.until",
        [(name, now, now) for name in JOBS],
    )


def call(store: Path, job: str) -> None:
    """Make a job due."""
    with opened(store) as connection:
        connection.execute("UPDATE lease SET ran_at = 0 WHERE name = ?", (job,))


def look(store: Path, job: str) -> Run:
    """Tell how a job does."""
    with opened(store) as connection:
        until, ran_at, outcome = connection.execute(
            "SELECT until, ran_at, outcome FROM lease WHERE name = ?", (job,)
        ).fetchone()
        return Run(until > micros(datetime.now(UTC)), ran_at, outcome)


def wait_until_running(store: Path, job: str) -> None:
    """Wait until a server has begun a job that was called.

    Raises:
        UnfitError: None does, or it was over at once.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while not (run := look(store, job)).running:
        if run.ran_at > 0 or time.monotonic() > until:
            raise UnfitError(f"{job} did not run long enough to measure beside it: {run.outcome}")
        time.sleep(_LOOK_SECONDS)


@contextmanager
def opened(store: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection beside a running server's."""
    with closing(sqlite3.connect(store, isolation_level=None, timeout=30)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        yield connection
