"""What a connection of the load says: the same again, what its last answer leads to, or the next of many."""

import json
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any, Protocol

Write = Callable[[str], bytes]
"""Makes the bytes of a request from a token."""


class Talk(Protocol):
    """One side of a connection."""

    def next(self, answer: bytes | None) -> bytes | None:
        """Give the next request, after the last one's body; None when there is nothing left to say."""


class Repeat:
    """The same bytes each time."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def next(self, answer: bytes | None) -> bytes:
        """Say it again."""
        return self._raw


class Follow:
    """A refresh token and then its successors, found at ``path`` in each answer, each presented once."""

    def __init__(self, token: str, write: Write, path: str = "refresh_token") -> None:
        self._token = token
        self._write = write
        self._path = path.split(".")

    def next(self, answer: bytes | None) -> bytes:
        """Present the newest; a refusal says nothing of it, and is counted by who reads the status."""
        if answer is not None:
            self.hear(answer)
        return self._write(self._token)

    def hear(self, answer: bytes) -> None:
        """Take the successor out of an answer."""
        self._token = self._successor(json.loads(answer))

    def _successor(self, told: Any) -> str:
        for name in self._path:
            told = told.get(name, {})
        return told or self._token


class TakeTurns:
    """Several that one connection follows in turns."""

    def __init__(self, follows: list[Follow]) -> None:
        self._turns = cycle(follows)
        self._spoke: Follow | None = None

    def next(self, answer: bytes | None) -> bytes:
        """Give the answer to whose it is, and let the next one speak."""
        if self._spoke is not None and answer is not None:
            self._spoke.hear(answer)
        self._spoke = next(self._turns)
        return self._spoke.next(None)


class Draw:
    """What several connections take from one heap, until it is empty."""

    def __init__(self, heap: Iterator[bytes]) -> None:
        self._heap = heap

    def next(self, answer: bytes | None) -> bytes | None:
        """Take the next."""
        return next(self._heap, None)


class Collect:
    """The same bytes each time, by several connections, until they have enough bodies together."""

    def __init__(self, raw: bytes, wanted: int, bodies: list[bytes]) -> None:
        self._raw = raw
        self._wanted = wanted
        self._bodies = bodies

    def next(self, answer: bytes | None) -> bytes | None:
        """Keep what came and ask for more."""
        if answer is not None:
            self._bodies.append(answer)
        return self._raw if len(self._bodies) < self._wanted else None


def each_once(raws: list[bytes], connections: int) -> list[Talk]:
    """Let connections share a heap of requests."""
    heap = iter(raws)
    return [Draw(heap) for _ in range(connections)]


def in_turns(raws: list[bytes], connections: int) -> list[Talk]:
    """Let connections share a heap of requests that begins again at its end."""
    heap = cycle(raws)
    return [Draw(heap) for _ in range(connections)]
