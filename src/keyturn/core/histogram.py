"""How long something took, counted in plain numbers: the hot path adds one to an int in a list."""

from bisect import bisect_left
from collections.abc import Callable, Sequence


class Histogram:
    """Durations by upper bounds; used on one thread.

    Args:
        bounds: Upper bounds of the buckets in seconds, rising; one more bucket takes the rest.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        """Begin with nothing counted."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds


Count = Callable[[float], None]

CHECK_BOUNDS = (0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)


class CheckTimes:
    """How long checks of credentials take: digests and signatures apart from slow hashes."""

    def __init__(self) -> None:
        """Begin with nothing counted.

        ``fast`` counts one check of a digest or a signature, ``slow`` one of a slow hash, the wait for a
        thread included; both are taken as they are, as each request asks for one.
        """
        self.of_fast = Histogram(CHECK_BOUNDS)
        self.of_slow = Histogram(CHECK_BOUNDS)
        self.fast: Count = self.of_fast.add
        self.slow: Count = self.of_slow.add
