"""The files that keep secrets: whole, private, and never one in the place of another."""

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from keyturn.core.errors import ConfigError, OperatorError
from keyturn.keys.sealing import MasterKey


def write_private(path: Path, content: bytes, like: os.stat_result | None = None) -> None:
    """Put a file in place whole, readable by its owner only, and durable before anything relies on it.

    Args:
        path: What is there makes room.
        content: All of it.
        like: Whose owner and mode it gets instead, before it has its name: a server may look at any moment.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if like is not None:
                if os.geteuid() == 0:
                    os.fchown(descriptor, like.st_uid, like.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(like.st_mode) & 0o777)
            file.flush()
            os.fsync(descriptor)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)  # a part of a secret that nobody would look for
        raise
    sync_folder(path.parent)


def make_master_key(path: Path) -> bool:
    """Make a master key unless there is one; True if it was made."""
    if path.exists():
        return False
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    write_private(fresh, MasterKey.generate(secrets.token_bytes).reveal().encode() + b"\n")
    try:
        os.link(fresh, path)  # unlike a rename, never takes the place of another process's key
    except FileExistsError:
        return False
    finally:
        fresh.unlink()
    sync_folder(path.parent)
    return True


def require_free(file: Path, *, force: bool) -> None:
    """Refuse early what ``fresh`` would refuse late.

    Raises:
        OperatorError: The file is there already.
    """
    if file.exists() and not force:
        raise OperatorError(f"{file} is there already; say --force to replace it")


@contextmanager
def fresh(file: Path, *, force: bool) -> Iterator[BinaryIO]:
    """Write a file that has its name only once it is whole and on the disk, for its owner only.

    Args:
        file: Where it goes.
        force: Whether to take the place of one that is there.

    Raises:
        ConfigError: It cannot be written.
        OperatorError: It is there already, or another process is writing it, or it cannot be written safely.
    """
    partial = file.with_name(f"{file.name}.part")
    with spoken(), private(partial) as out:
        try:
            fcntl.flock(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OperatorError(f"another process is writing {partial}") from None
        _require_nobodys(out, partial)
        os.fchmod(out.fileno(), 0o600)
        out.truncate(0)  # what one that was killed has left
        try:
            yield out
            out.flush()
            os.fsync(out.fileno())
            if force:
                partial.replace(file)
            else:
                os.link(partial, file)  # unlike a rename, never takes the place of another
        except FileExistsError:
            raise OperatorError(f"{file} is there already; say --force to replace it") from None
        finally:
            partial.unlink(missing_ok=True)
        sync_folder(file.absolute().parent)


def _require_nobodys(out: BinaryIO, partial: Path) -> None:
    """Refuse a file that somebody laid there, or that is whole: its writer was killed after it had its name.

    Raises:
        OperatorError: It is one.
    """
    found = os.fstat(out.fileno())
    if found.st_nlink != 1 or found.st_uid != os.geteuid():
        raise OperatorError(f"{partial} is somebody else's, or has another name too: remove it first")


def private(path: Path) -> BinaryIO:
    """Open a file to write that only its owner reads."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb")


def sync_folder(folder: Path) -> None:
    """Have the disk keep a folder's names."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def spoken() -> Iterator[None]:
    """Say in plain words that a file cannot be read or written.

    Raises:
        ConfigError: It cannot.
    """
    try:
        yield
    except OSError as error:
        raise ConfigError([f"{error.filename or 'the disk'}: {error.strerror}"]) from None
