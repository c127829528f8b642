"""How many requests are answered at once, so that whoever is let in has an answer soon (RE-10).

Requests that come faster than they are answered would all wait longer and longer, until every caller has
given up before its turn. So there is room for as many as are answered within ``TARGET_SECONDS``, going by how
fast the last ones were; who comes on top is refused at once. That must cost next to nothing: under overload
most requests are refused. So who was refused is not heard for ``REST_SECONDS``: callers who ask again at once
would take the time that answers need, ever fewer would be answered, and there would be room for ever fewer.
"""

from typing import Final

_READS: Final = frozenset({"GET", "HEAD"})
ROOM = 256
"""There is always room for that many, however slow they are: a store that is away refuses them by itself."""
TARGET_SECONDS = 0.25
REST_SECONDS = 0.25
"""How long the connection of a refused caller is not read, who was told to come back after a second."""
_LOOK_AFTER = 64
_LOOK_SECONDS = 0.1


class Underway:
    """The requests of one server that are being answered."""

    def __init__(self) -> None:
        """Begin with none."""
        self._room = ROOM
        self._inside = self._left = 0
        self._since = 0.0

    def lets_in(self, method: str) -> bool:
        """Count a request in, unless it would have to wait too long.

        What is read with GET goes on: keys and metadata must be had while all others wait for the store.
        """
        if self._inside >= self._room and method not in _READS:
            return False
        self._inside += 1
        return True

    def leave(self, now: float) -> None:
        """Count one out, and see now and then how fast that goes.

        Args:
            now: Seconds that never go back.
        """
        self._inside -= 1
        self._left += 1
        if self._left >= _LOOK_AFTER and now - self._since >= _LOOK_SECONDS:
            self._room = max(ROOM, int(TARGET_SECONDS * self._left / (now - self._since)))
            self._left, self._since = 0, now
