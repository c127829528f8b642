"""How many connections an address has at all workers together, in memory that they share.

Each worker counts its own in a row that nobody else writes, so there is no lock that a dead one could keep;
whoever takes its place begins with an empty row. A row has a place for each remainder of an address's hash:
addresses that meet in one place count together, which nobody can bring about, as the hash is keyed.
"""

import mmap

PLACES = 1 << 16
_ITEM_BYTES = 4


class Holders:
    """The rows of a number of workers; made before they are forked, who then have the same keyed hash.

    Args:
        workers: How many there are.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._memory = mmap.mmap(-1, workers * PLACES * _ITEM_BYTES)

    def row(self, number: int) -> "HeldElsewhere":
        """Begin an empty row for worker ``number`` (from 0)."""
        return HeldElsewhere(memoryview(self._memory).cast("I"), number, self.workers)


class HeldElsewhere:
    """What one worker tells the others of its connections, and sees of theirs."""

    def __init__(self, counts: memoryview, number: int, workers: int) -> None:
        """Begin with none of one's own."""
        self._counts = counts
        self._own = number * PLACES
        self._others = [each * PLACES for each in range(workers) if each != number]
        counts[self._own : self._own + PLACES] = memoryview(bytes(PLACES * _ITEM_BYTES)).cast("I")

    def count(self, holder: str, change: int) -> None:
        """Count a connection in (1) or out (-1)."""
        self._counts[self._own + hash(holder) % PLACES] += change

    def elsewhere(self, holder: str) -> int:
        """Tell how many connections the other workers have of an address."""
        place = hash(holder) % PLACES
        return sum(self._counts[row + place] for row in self._others)
