"""The text of a file that may hold a secret: bounded, and nothing of it is told when it is wrong (HT-07)."""

from pathlib import Path

MOST_CHARACTERS = 64 * 1024
"""More than eight master keys and all that is remarked about them; ``/dev/zero`` has no end."""


def read_secret_text(path: Path, what: str = "the secret alone") -> str:
    """Read a file to its end.

    Args:
        what: What should be in it.

    Raises:
        OSError: It cannot be read.
        ValueError: It is too long, or no UTF-8 text.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MOST_CHARACTERS + 1)
    except UnicodeDecodeError:  # whose words quote a byte
        message = f"{path}: is not UTF-8 text"
        raise ValueError(message) from None
    if len(text) > MOST_CHARACTERS:
        message = f"{path}: has more than {MOST_CHARACTERS} characters: it should hold {what}"
        raise ValueError(message)
    return text
