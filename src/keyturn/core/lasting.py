"""Facts that are told again and again, and what keeps an answer from being spelled anew each time."""

from typing import Any


class Spelling:
    """How facts that are told again and again were written; it belongs to who writes them.

    Args:
        by: What wrote them.
        words: The answer's body, with a place for each of the texts that differ.
        told: The facts that give those texts, in that order.
        untold: Those that were None and have no place.
    """

    __slots__ = ("by", "told", "untold", "words")

    def __init__(self) -> None:
        """Begin with nothing written."""
        self.by: object = None
        self.words = b""
        self.told: tuple[str, ...] = ()
        self.untold: tuple[str, ...] = ()


class LastingFacts(dict[str, Any]):
    """Facts of which all that share a spelling say the same, but for ``OF_EACH_TOKEN``."""

    __slots__ = ("spelling",)

    spelling: Spelling


OF_EACH_TOKEN = frozenset(
    {"access_token", "refresh_token", "id_token", "token_id", "issued_at", "expires_at", "request_id"}
)
"""The facts in which the tokens of one decision differ, and the answers that bring them."""
