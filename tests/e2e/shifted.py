"""A server whose clock is wrong: ``python shifted.py FILE keyturn serve ...`` adds what FILE says.

Production has no switch for that. The wall clock of the process is moved before anything is imported that
asks for it; the monotonic one goes on, as on a machine whose clock is set.

    with shift(file) as clock:
        with serving(..., wrapper=clock.wrapper): ...
        clock.set(timedelta(hours=1))
"""

import contextlib
import mmap
import struct
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

_SECONDS = struct.Struct("=d")


class Shift:
    """By how much the processes started with ``wrapper`` are wrong; takes effect with their next look."""

    def __init__(self, file: Path) -> None:
        """Share a file of one number with them."""
        if not file.exists():
            file.write_bytes(_SECONDS.pack(0.0))
        with file.open("r+b") as opened:
            self._memory = mmap.mmap(opened.fileno(), _SECONDS.size)
        self.wrapper = (sys.executable, str(Path(__file__).resolve()), str(file))

    def set(self, by: timedelta) -> None:
        """Set their clocks that far from the machine's."""
        _SECONDS.pack_into(self._memory, 0, by.total_seconds())

    def now(self) -> datetime:
        """Give the time they believe it is."""
        return datetime.now(UTC) + timedelta(seconds=_SECONDS.unpack_from(self._memory)[0])

    def close(self) -> None:
        """Let go of the file."""
        self._memory.close()


@contextlib.contextmanager
def shift(file: Path) -> Iterator[Shift]:
    """Have clocks to set for a block."""
    made = Shift(file)
    try:
        yield made
    finally:
        made.close()


def _main() -> None:
    from keyturn.core.clock import SystemClock

    clock = Shift(Path(sys.argv[1]))
    SystemClock.now = lambda _: clock.now()
    sys.argv[1:3] = []  # what is left is keyturn's own command line

    from keyturn.cli import main

    main()


if __name__ == "__main__":
    _main()
