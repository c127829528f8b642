"""What a new password must be (PW-01, PW-02): long, whole and not one that everybody tries first.

Nothing is asked of its characters, and nobody is made to change it for its age (NIST SP 800-63B-4 section
3.1.1.2). Whatever a rule says is about setting a password here; one that was imported is left alone.
"""

import gzip
import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib import resources
from itertools import pairwise

MIN_LENGTH = 15
MIN_LENGTH_WITH_SECOND_FACTOR = 8
MAX_LENGTH = 256
"""Longer ones are refused and never cut; no hash takes longer for what is shorter."""
_MIN_CONTEXT = 4
"""A shorter word of the context says nothing: too many good passwords hold it by chance."""
_SHORT_PIECE = 5


def normal_form(password: str) -> str:
    """Give the form that is hashed when it is set and when it is checked: NFC, else as typed (PW-02)."""
    return unicodedata.normalize("NFC", password)


def check_new_password(password: str, *, second_factor: bool, context: Iterable[str] = ()) -> str:
    """Accept a new password.

    Args:
        second_factor: Whether its user cannot come in without another factor.
        context: What whoever knows the user tries first: the user name, the e-mail address, the names of the
            organisation and of the service.

    Returns:
        Its normal form.

    Raises:
        ValueError: It must not be set; the words may be shown, they hold nothing of it.
    """
    least = MIN_LENGTH_WITH_SECOND_FACTOR if second_factor else MIN_LENGTH
    # Before it is normalised, which takes a time that grows faster than the text (HT-01).
    if len(password) > MAX_LENGTH:
        raise ValueError(f"a password has at most {MAX_LENGTH} characters")
    normal = normal_form(password)
    if len(normal) < least:
        raise ValueError(f"a password has at least {least} characters")
    if any(char == "\x00" or unicodedata.category(char) == "Cs" for char in normal):
        raise ValueError("a password holds no NUL and nothing that is no character")
    plain = unicodedata.normalize("NFKC", normal).casefold()
    if _is_common(plain):
        raise ValueError("this is one of the passwords that everybody tries first")
    if _is_made_of(plain, context):
        raise ValueError("a password is not made of the names of its user, organisation or service")
    return normal


def _is_common(plain: str) -> bool:
    piece = _period(plain)
    if len(piece) < len(plain) and (len(piece) <= _SHORT_PIECE or piece in _common_passwords()):
        return True
    return _is_sequence(plain) or plain in _common_passwords()


def _period(text: str) -> str:
    """Give the shortest piece, at most half, that a text repeats, the last time perhaps cut; or all of it."""
    for length in range(1, len(text) // 2 + 1):
        if (text[:length] * (len(text) // length + 1)).startswith(text):
            return text[:length]
    return text


def _is_sequence(text: str) -> bool:
    """Tell whether each character follows the one before in the alphabet, forwards or backwards."""
    steps = {ord(after) - ord(before) for before, after in pairwise(text)}
    return steps in ({1}, {-1}, {1, -9}, {-1, 9})


def _is_made_of(plain: str, context: Iterable[str]) -> bool:
    """Tell whether too little is left of a password once the words of its context are taken out of it."""
    words = {part for each in context for part in _words(each) if len(part) >= _MIN_CONTEXT}
    left = plain
    for word in sorted(words, key=len, reverse=True):
        left = left.replace(word, "")
    return len(left) < len(plain) and len(left) < MIN_LENGTH_WITH_SECOND_FACTOR


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text).casefold()
    return [plain, *"".join(char if char.isalnum() else " " for char in plain).split()]


@cache
def _common_passwords() -> frozenset[str]:
    """Read the list at first need: most processes never set a password."""
    packed = (resources.files("keyturn.core") / "common_passwords.txt.gz").read_bytes()
    return frozenset(gzip.decompress(packed).decode().split("\n"))
