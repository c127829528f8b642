"""Something installed once into a folder that is no part of the repository, shared by all who ask."""

import fcntl
import time
from collections.abc import Callable
from pathlib import Path


def once(folder: Path, wanted: str, install: Callable[[], str]) -> Path | str:
    """Install what is wanted, unless it is there already.

    One process does it while others wait and share the outcome, a refusal too; whoever comes later
    tries again.

    Args:
        wanted: Names what to install, versions included: another text installs again.
        install: Does it, and says why not or nothing.

    Returns:
        The folder, or why there is none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    began, refusal, mark = time.time(), folder / "refused.txt", folder / "installed.txt"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if refusal.exists() and refusal.stat().st_mtime > began:
            return refusal.read_text()
        if not mark.exists() or mark.read_text() != wanted:
            refused = install()
            if refused:
                refusal.write_text(refused)
                return refused
            mark.write_text(wanted)
    return folder
