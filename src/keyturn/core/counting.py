"""Counts in sentences."""


def counted(count: int, name: str) -> str:
    """Say how many there are: ``1 ring``, ``2 rings``; ``name`` is one's, of a word that takes an s."""
    return f"{count} {name}" if count == 1 else f"{count} {name}s"
