"""How hard a machine's secret that somebody else made is to guess, at most: by its length and alphabet. Pure.

Nobody can tell randomness by looking. So this is a ceiling, lowered where a text looks made by a person;
what is below ``ENOUGH_BITS`` is kept under a slow hash (TK-12).
"""

import math

ENOUGH_BITS = 128
LEAST_LENGTH = 8
"""Characters; less is guessed over the network, whatever hash it is kept under."""

_SEPARATORS = frozenset("-_.: /+=")
_LEAST_DISTINCT = 8
"""Different characters: what is random and long enough has fewer next to never."""
_BITS_A_LETTER = 1.5
"""Of letters of one case without a digit among them, which are most likely words."""


def is_strong(secret: str) -> bool:
    """Tell whether a secret may be kept under a fast hash."""
    return bits_of(secret) >= ENOUGH_BITS


def bits_of(secret: str) -> float:
    """Give the most bits that a secret may hold."""
    body = "".join(char for char in secret if char not in _SEPARATORS)
    if len(set(body)) < _LEAST_DISTINCT or body in (body + body)[1:-1]:  # the second: it repeats itself
        return 0.0
    if body.isalpha() and body in {body.lower(), body.upper()}:
        return len(body) * _BITS_A_LETTER
    return len(body) * math.log2(_alphabet(body))


def _alphabet(body: str) -> int:
    if all(char in "0123456789" for char in body):
        return 10
    if all(char in "0123456789abcdef" for char in body) or all(char in "0123456789ABCDEF" for char in body):
        return 16
    if not body.isascii() or not body.isalnum():
        return 64
    return 36 if body in {body.lower(), body.upper()} else 62
