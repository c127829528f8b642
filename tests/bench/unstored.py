"""The real server over a store in memory: what a token costs that leaves nothing on a disk.

``python -m bench.unstored`` takes what ``keyturn`` takes. It is no setting of the product, which promises
that what it answered is on the disk. What a process remembers of its store is remembered of this one too.
"""

import sys
from pathlib import Path
from typing import Any

from keyturn import app
from keyturn.cli import main as keyturn
from keyturn.core.clock import Clock
from keyturn.core.ports import Sealer
from keyturn.core.secret import Dice
from keyturn.storage.memory import MemoryStore
from keyturn.storage.registry import CachedRegistry


class Unstored(MemoryStore):
    """A store in memory behind the memory of one on disk; its rows are sealed and linked all the same."""

    def __init__(self, sealer: Sealer, clock: Clock, dice: Dice) -> None:
        super().__init__(sealer, clock, dice)
        self._remembered = CachedRegistry(self._shelf, self.feed)
        self._remembered.require_fresh = self.require_fresh  # nobody else changes it, so nobody polls

    @property
    def registry(self) -> CachedRegistry:
        """Who exists, remembered."""
        return self._remembered


async def open_unstored(
    _place: str | Path, sealer: Sealer, clock: Clock, dice: Dice, **_how: Any
) -> Unstored:
    """Open a store that is empty and goes with the process."""
    store = Unstored(sealer, clock, dice)
    await store.revocations.load()
    return store


def main() -> None:
    """Run the command with this store in place of what a setting names.

    Raises:
        RuntimeError: The application opens its store elsewhere by now: this file has to follow.
    """
    if not hasattr(app, "open_store"):
        raise RuntimeError("keyturn.app has no open_store any more")
    app.open_store = open_unstored
    keyturn()


if __name__ == "__main__":
    sys.exit(main())
