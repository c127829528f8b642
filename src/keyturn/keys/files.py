"""The files that keep secrets: whole, private, and never one in the place of another."""

import os
import secrets
from pathlib import Path

from keyturn.keys.sealing import MasterKey


def write_private(path: Path, content: bytes) -> None:
    """Put a file in place whole, readable by its owner only, and durable before anything relies on it."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


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
    return True
