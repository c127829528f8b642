"""Secrets: a value that does not leak by accident, and the format of those that Keyturn makes.

A made secret is ``kt_<kind>_<random><crc>``: at least 256 random bits in base62, then the CRC-32 of all
before it as six base62 digits, so that a leak scanner finds it by pattern and the CLI can tell a typing
error from a stranger without asking the store. Source: design.md section 3; TK-11.
"""

import hashlib
import re
import zlib
from collections.abc import Callable
from typing import NoReturn

from keyturn.core.base62 import encode, encode_six
from keyturn.core.vocabulary import CredentialKind

_CHECKSUM_LENGTH = 6
_RANDOM_LENGTH = 43
"""Base62 digits that hold 256 bits: 62**43 > 2**256."""

PREFIXES: dict[CredentialKind, str] = {
    CredentialKind.CLIENT_SECRET: "kt_cs_",
    CredentialKind.REFRESH_TOKEN: "kt_rt_",
    CredentialKind.USER_KEY: "kt_uk_",
    CredentialKind.API_TOKEN: "kt_at_",
    CredentialKind.ENTITY_SECRET: "kt_es_",
    CredentialKind.RECOVERY_CODE: "kt_rc_",
    CredentialKind.ADMIN_TOKEN: "kt_admin_",
    CredentialKind.SETUP_TOKEN: "kt_setup_",
}
_LONGER = {CredentialKind.API_TOKEN: (39, 53)}
"""Random bytes and base62 digits where callers expect another length: an API token has 65 characters."""
_REFRESH_LENGTH = 92
"""Base62 digits of a refresh token, which carries more than dice (``core/refresh_token.py``)."""
MASTER_KEY_PREFIX = "kt_master_"
"""How a master key begins; ``keys/sealing.py`` knows the rest."""
SECRET_PATTERN = re.compile(r"kt_[a-z]{2,5}_[0-9A-Za-z]{49,}")
"""What a leak scanner looks for; ``parse_secret`` then checks the tail."""

Dice = Callable[[int], bytes]
"""Gives that many random bytes; ``secrets.token_bytes`` outside tests."""


class Secret:
    """A clear-text secret that does not print, format, compare or pickle.

    ``reveal`` is called in few places only; an architecture test lists them. ``proved`` belongs to
    ``exchange/credentials``: what this secret was found to prove, for as long as it lives.
    """

    __slots__ = ("__digest", "__value", "proved")

    def __init__(self, value: str) -> None:
        """Wrap a clear value."""
        self.__value = value
        self.__digest: bytes | None = None
        self.proved: object = None

    def reveal(self) -> str:
        """Give the clear value: to digest it, to seal it or to show it once."""
        return self.__value

    def sha256(self) -> bytes:
        """Give the SHA-256 of the clear value, worked out once; what stores know is a digest of that."""
        if self.__digest is None:
            self.__digest = hashlib.sha256(self.__value.encode()).digest()
        return self.__digest

    def __repr__(self) -> str:
        """Show that there is a secret, not which."""
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        """Format like ``repr``, whatever the format string asks."""
        return repr(self)

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied into another process."""
        message = "a Secret is never serialised"
        raise TypeError(message)

    def __eq__(self, other: object) -> NoReturn:
        """Refuse to be compared: equality of strings takes a time that tells."""
        message = "compare digests in constant time, not Secrets"
        raise TypeError(message)

    __hash__ = None  # type: ignore[assignment]  # a Secret is no dictionary key


def _checksum(text: str) -> str:
    return encode_six(zlib.crc32(text.encode()))


def make_secret(kind: CredentialKind, dice: Dice) -> Secret:
    """Make a fresh secret of a kind, with 256 random bits or more."""
    size, length = _LONGER.get(kind, (32, _RANDOM_LENGTH))
    return spell_secret(kind, int.from_bytes(dice(size)), length)


def spell_secret(kind: CredentialKind, number: int, length: int) -> Secret:
    """Write a number as a secret of a kind: prefix, ``length`` base62 digits, checksum."""
    return checked_secret(PREFIXES[kind] + encode(number, length))


def checked_secret(body: str) -> Secret:
    """Put the checksum behind a secret that is spelled but for it."""
    return Secret(body + _checksum(body))


def scanner_patterns() -> dict[str, str]:
    """Give for each kind of secret the regular expression by which a leak scanner finds it.

    Each is exact in length, so what is found is the whole secret; the checksum then tells it from other text.
    """
    patterns = {
        kind.value: f"{prefix}[0-9A-Za-z]{{{_digits(kind) + _CHECKSUM_LENGTH}}}"
        for kind, prefix in PREFIXES.items()
    }
    return {**patterns, "master_key": f"{MASTER_KEY_PREFIX}[0-9A-Za-z_-]{{48}}"}


def _digits(kind: CredentialKind) -> int:
    if kind is CredentialKind.REFRESH_TOKEN:
        return _REFRESH_LENGTH
    return _LONGER.get(kind, (0, _RANDOM_LENGTH))[1]


def parse_secret(text: str) -> CredentialKind | None:
    """Tell which kind of Keyturn secret a text is, or None if it is none or mistyped.

    The checksum is no proof: whoever knows the format can compute it.
    """
    body, tail = text[:-_CHECKSUM_LENGTH], text[-_CHECKSUM_LENGTH:]
    if not text.isascii() or not SECRET_PATTERN.fullmatch(text) or _checksum(body) != tail:
        return None
    return next((kind for kind, prefix in PREFIXES.items() if text.startswith(prefix)), None)
