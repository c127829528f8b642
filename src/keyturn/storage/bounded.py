"""A dictionary that forgets what was not asked for longest, so that memory has a limit."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Lru(Generic[K, V]):
    """At most ``limit`` entries; putting one more forgets the least recently used.

    Args:
        limit: How many entries to keep, at least 1.
        forgotten: Told of each entry that had to go for lack of room.
    """

    def __init__(self, limit: int, forgotten: Callable[[V], None] | None = None) -> None:
        self._limit = limit
        self._forgotten = forgotten
        self._entries: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def get(self, key: K) -> V | None:
        """Give an entry and count it as used; None where there is none."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: K, entry: V) -> None:
        """Keep an entry in place of what was there."""
        self._entries[key] = entry
        self._entries.move_to_end(key)
        if len(self._entries) > self._limit:
            _, oldest = self._entries.popitem(last=False)
            if self._forgotten is not None:
                self._forgotten(oldest)

    def pop(self, key: K) -> V | None:
        """Take an entry out; None where there is none."""
        return self._entries.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
