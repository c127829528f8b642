"""What a field's table says of its value beyond its reader: choices, bounds and the one word that counts."""

from collections.abc import Callable
from typing import Any

from keyturn.wire.tables import Field

Narrow = Callable[[Any], Any]


def narrow(field: Field) -> Narrow | None:
    """Give the function that checks what a field's reader made and gives what its slot holds.

    Like a reader it raises ``ValueError`` in words that the caller may see. None if there is no more.
    """
    steps: list[Narrow] = []
    if field.prefix:
        steps.append(_prefixed(field.prefix))
    if field.choices:
        steps.append(_chosen(field.choices))
    if field.minimum is not None or field.maximum is not None:
        steps.append(_bounded(field.minimum, field.maximum))
    if field.longest is not None:
        steps.append(_short(field.longest))
    if not steps:
        return None

    def checked(value: Any) -> Any:
        for step in steps:
            value = step(value)
        return value

    return checked


def _prefixed(prefix: str) -> Narrow:
    """Take the word that begins so; of none, of two and of nothing behind it nobody knows what is meant."""
    start = prefix.lower()

    def take(words: tuple[str, ...]) -> str:
        found = [word.lower().removeprefix(start) for word in words if word.lower().startswith(start)]
        if len(found) != 1 or not found[0]:
            message = f"must hold one {prefix}<name>"
            raise ValueError(message)
        return found[0]

    return take


def _chosen(choices: tuple[str, ...]) -> Narrow:
    def check(value: Any) -> Any:
        words = value if isinstance(value, tuple) else (value,)
        if value is not None and not set(words) <= set(choices):
            message = "must be " + " or ".join(choices)
            raise ValueError(message)
        return value

    return check


def _bounded(minimum: int | None, maximum: int | None) -> Narrow:
    def check(value: int) -> int:
        if minimum is not None and value < minimum:
            message = f"must be at least {minimum}"
            raise ValueError(message)
        if maximum is not None and value > maximum:
            message = f"must be at most {maximum}"
            raise ValueError(message)
        return value

    return check


def _short(longest: int) -> Narrow:
    def check(value: str) -> str:
        if len(value) > longest:
            message = f"must be at most {longest} characters"
            raise ValueError(message)
        return value

    return check
