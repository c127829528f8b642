"""A piece of memory that worker processes share: what each of them tells the others, without a file.

Made before the workers are, and gone with the last of them. Each worker writes into its own slot, by turns
into the two halves of it: one that is killed while it writes leaves the other half, and a checksum tells
which of them are whole. A lock across processes could be kept by a dead one.
"""

import mmap
import struct
from zlib import crc32

HALF_BYTES = 512 * 1024
"""Room for one content. Memory that nobody wrote to costs nothing."""
_PAGE = 4096
_RESTARTS = struct.Struct("=Q")
_UP_FROM = _RESTARTS.size
_COUNT = struct.Struct("=QI")
_HEAD = struct.Struct("=QII")


class Slots:
    """Slots for a number of workers, and what their supervisor says of them.

    Args:
        count: How many workers there are.
    """

    def __init__(self, count: int, half_bytes: int = HALF_BYTES) -> None:
        self.count = count
        self._half = half_bytes
        self._memory = mmap.mmap(-1, _PAGE + 2 * count * half_bytes)

    def write(self, number: int, content: bytes) -> bool:
        """Put a content in the place of what a slot held; False if there is no room, and nothing is changed.

        Only one process at a time writes to a slot.
        """
        if len(content) > self._half - _HEAD.size:
            return False
        newest = self._newest(number)
        generation = newest[0] + 1 if newest else 1
        start = self._start(number, generation)
        self._memory[start + _HEAD.size : start + _HEAD.size + len(content)] = content
        check = crc32(_COUNT.pack(generation, len(content)) + content)
        self._memory[start : start + _HEAD.size] = _HEAD.pack(generation, len(content), check)
        return True

    def read(self, number: int) -> bytes | None:
        """Give what a slot holds; None if nothing was written to it yet."""
        newest = self._newest(number)
        return newest[1] if newest else None

    def set_up(self, number: int, *, up: bool) -> None:
        """Note whether a worker serves; the supervisor alone knows."""
        self._memory[_UP_FROM + number] = up

    def is_up(self, number: int) -> bool:
        """Tell whether a worker serves."""
        return bool(self._memory[_UP_FROM + number])

    def restarted(self) -> None:
        """Count a worker that took another's place."""
        self._memory[: _RESTARTS.size] = _RESTARTS.pack(self.restarts + 1)

    @property
    def restarts(self) -> int:
        """How many workers took another's place."""
        return int(_RESTARTS.unpack_from(self._memory)[0])

    def _newest(self, number: int) -> tuple[int, bytes] | None:
        whole = [half for parity in (0, 1) if (half := self._whole(number, parity)) is not None]
        return max(whole, default=None)

    def _whole(self, number: int, parity: int) -> tuple[int, bytes] | None:
        start = self._start(number, parity)
        generation, length, check = _HEAD.unpack_from(self._memory, start)
        if not 0 < length <= self._half - _HEAD.size:
            return None
        content = self._memory[start + _HEAD.size : start + _HEAD.size + length]
        return (generation, content) if crc32(_COUNT.pack(generation, length) + content) == check else None

    def _start(self, number: int, generation: int) -> int:
        return _PAGE + (2 * number + generation % 2) * self._half
