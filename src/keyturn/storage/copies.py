"""Copies of a SQLite store: taken while others write, looked at, and put in the place of another.

A copy is one transaction's view of the whole file, so it is whole whatever is written meanwhile. A file is
replaced only when nobody has it open: by our own lock, and by SQLite's, which older versions hold too.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import msgspec

from keyturn.core.errors import OperatorError
from keyturn.core.sealed_values import IN_USE, MASTER_KEY, key_of
from keyturn.storage import turns
from keyturn.storage.engines import path_of, require_file

_PAGES_AT_ONCE = 4_000
_COUNTED = ("organisation", "client", "user_account", "entity", "credential", "admin_token", "refresh_family")


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What can be told of a store's file without the master key.

    Args:
        schema: Its revision.
        deployment: The name of its first audit chain: each deployment's own, and kept for ever.
        checkpoint: The number and hash of its newest audit checkpoint, as the log names it; empty for none.
        audit_rows_to: The number of its newest audit row.
        counts: How many rows some tables have.
        master_key: The id of the master key in use; empty while there was never another than the first.
    """

    schema: str
    deployment: str
    checkpoint: str
    audit_rows_to: int
    counts: dict[str, int]
    master_key: str = ""


def file_of(path_or_url: str | Path) -> Path:
    """Give the file of a SQLite store.

    Raises:
        ConfigError: There is none.
        OperatorError: The store is no file.
    """
    if str(path_or_url).startswith(("postgresql:", "postgres:")):
        raise OperatorError("PostgreSQL has its own backups: see docs/operations/backup.md")
    return path_of(path_or_url)


def copy_online(source: Path, target: Path) -> None:
    """Copy a store that others may be writing to.

    Raises:
        ConfigError: There is none.
        OSError: It is being replaced, or the disk refuses.
        sqlite3.Error: It cannot be read, or the disk is full.
    """
    require_file(source)
    present = turns.presence(source)
    try:
        with closing(_connect(source)) as reading, closing(_connect(target, create=True)) as writing:
            reading.execute("PRAGMA query_only = ON")
            # Without a transaction of its own the copy would begin anew with each commit of somebody else.
            reading.execute("BEGIN")
            reading.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            writing.execute("PRAGMA synchronous = OFF")  # it is read once, and removed
            reading.backup(writing, pages=_PAGES_AT_ONCE, sleep=0)
    finally:
        os.close(present)


def look(path: Path) -> Sight:
    """Tell what a store's file holds; nobody else has it open.

    Raises:
        sqlite3.Error: It is no store, or damaged.
    """
    with closing(_connect(path)) as store:
        (schema,) = store.execute("SELECT version_num FROM alembic_version").fetchone()
        (deployment,) = store.execute("SELECT chain FROM audit_chain ORDER BY id LIMIT 1").fetchone() or ("",)
        newest = store.execute(
            "SELECT seq, statement FROM audit_checkpoint ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        (rows_to,) = store.execute("SELECT coalesce(max(id), 0) FROM audit").fetchone()
        present = {name for (name,) in store.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        counts = {
            table: int(store.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608  # our names
            for table in _COUNTED
            if table in present
        }
        (in_use,) = store.execute(
            "SELECT value FROM sealed WHERE purpose = ? AND id = ?", (MASTER_KEY, IN_USE)
        ).fetchone() or (b"",)
    return Sight(
        schema=schema,
        deployment=deployment,
        checkpoint="" if newest is None else f"{newest[0]}:{hashlib.sha256(newest[1]).hexdigest()}",
        audit_rows_to=rows_to,
        counts=counts,
        master_key=key_of(in_use),
    )


def damage(path: Path) -> str | None:
    """Say what SQLite finds wrong with a file; None where every page and index holds."""
    try:
        with closing(_connect(path)) as store:
            (found,) = store.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        return str(error)
    return None if found == "ok" else str(found)


def settle(path: Path) -> None:
    """Bring a store's log home, so that the file alone is the store; nobody else has it open.

    Raises:
        OperatorError: Somebody has it open after all.
        sqlite3.Error: It is no database, or damaged.
    """
    with closing(_connect(path)) as store:
        try:
            store.execute("PRAGMA journal_mode = DELETE").fetchone()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            raise OperatorError(_OPEN.format(path=path)) from None


_OPEN = "{path} is open in another process: stop every server and command on it first"


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep every process off a store's file for the block.

    Raises:
        OperatorError: One has it open.
        OSError: The locks cannot be made.
    """
    try:
        holding = turns.alone(path)
        holding.__enter__()
    except OSError as error:
        if isinstance(error, PermissionError):
            raise
        raise OperatorError(_OPEN.format(path=path)) from None
    try:
        yield
    finally:
        holding.__exit__(None, None, None)


def put_in_place(fresh: Path, path: Path, now: datetime) -> Path | None:
    """Put a settled file in the place of a store's; whoever is killed leaves the one or the other whole.

    Args:
        fresh: On the same disk, flushed.
        path: Kept ``alone`` by the caller.
        now: Names what was there before.

    Returns:
        Where the file is that was there before, if one was.

    Raises:
        OperatorError: Somebody has it open.
    """
    aside = None
    _give_away(fresh, path if path.exists() else path.parent)
    if path.exists() and path.stat().st_size:
        aside = path.with_name(f"{path.name}.replaced-{now:%Y%m%dT%H%M%S%f}")
        try:
            settle(path)
        except sqlite3.Error:
            # What is damaged is kept with its log, for whoever may still get something out of it.
            _move(path.with_name(path.name + "-wal"), aside.with_name(aside.name + "-wal"))
        os.link(path, aside)
    # A log that is not this file's own would be read as if it were.
    for suffix in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    fresh.replace(path)
    flush(path.parent)
    return aside


def _give_away(fresh: Path, like: Path) -> None:
    """Have a file belong to whom another belongs: root restores, and a server that is not root starts."""
    if os.geteuid() == 0:
        owner = like.stat()
        os.chown(fresh, owner.st_uid, owner.st_gid)


def _move(path: Path, to: Path) -> None:
    if path.exists():
        path.replace(to)


def flush(path: Path) -> None:
    """Have the disk keep a file, or a folder's names, before anything relies on it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _connect(path: Path, *, create: bool = False) -> sqlite3.Connection:
    mode = "rwc" if create else "rw"
    return sqlite3.connect(f"file:{quote(str(path))}?mode={mode}", uri=True, isolation_level=None)
