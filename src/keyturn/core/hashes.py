"""Hashes of secrets that other systems made: which kind a text is, and whether checking it is bounded work.

Pure: nothing is hashed here. Each kind has one spelling that is kept, whatever the spelling it came in.
Sources: RFC 9106 (argon2), RFC 8018 section 5.2 (PBKDF2), the PHC string format, and how bcrypt, Django,
passlib, Werkzeug and Spring Security write theirs.
"""

import base64
import binascii
import re
from enum import StrEnum

import msgspec

BCRYPT_MOST_COST = 14
PBKDF2_MOST_ROUNDS = 2_000_000
"""Iterations for each block of the derived key, all blocks together."""
ARGON2_MOST_KIB = 128 * 1024
ARGON2_MOST_WORK = 512 * 1024
"""KiB times passes."""
ARGON2_MOST_LANES = 8
BCRYPT_MOST_BYTES = 72
"""What bcrypt looks at; it is blind to the rest."""
BCRYPT_SHA256 = "bcrypt_sha256$"
"""Django's bcrypt over the hexadecimal SHA-256, which has no such end."""

EXACT = "sha256:"
"""Before a hash of ours over the SHA-256 of a machine's secret: exact, and of one length whatever it is."""

_SALT = range(1, 65)
_DERIVED = range(16, 65)
_DIGEST_BYTES = {"sha1": 20, "sha256": 32, "sha512": 64}
_SHA256_BYTES = 32

_BCRYPT = re.compile(
    r"(\$2[aby]\$(\d\d)\$)([./A-Za-z0-9]{21})([./A-Za-z0-9])([./A-Za-z0-9]{30})([./A-Za-z0-9])"
)
_BCRYPT_DIGITS = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_ARGON2 = re.compile(
    r"\$argon2(?:id|i|d)\$(?:v=(?:16|19)\$)?m=(\d{1,9}),t=(\d{1,9}),p=(\d{1,9})"
    r"\$([A-Za-z0-9+/]{1,128})\$([A-Za-z0-9+/]{1,128})"
)
_DJANGO = re.compile(r"pbkdf2_(sha1|sha256|sha512)\$(\d{1,9})\$([^$]{1,128})\$([A-Za-z0-9+/]{1,128}={0,2})")
_WERKZEUG = re.compile(r"pbkdf2:(sha1|sha256|sha512):(\d{1,9})\$([^$]{1,128})\$([0-9a-f]{1,256})")
_PASSLIB = re.compile(
    r"\$pbkdf2(?:-(sha256|sha512))?\$(\d{1,9})\$([A-Za-z0-9./]{1,128})\$([A-Za-z0-9./]{1,128})"
)
_PHC = re.compile(
    r"\$pbkdf2-(sha1|sha256|sha512)\$(?:v=\d\$)?i=(\d{1,9})(?:,l=\d{1,3})?"
    r"\$([A-Za-z0-9+/]{1,128})\$([A-Za-z0-9+/]{1,128})"
)
_HEX = re.compile(r"[0-9a-fA-F]{64}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{43}=?")
_WRAPPINGS = ("{bcrypt}", "{argon2}", "{argon2@SpringSecurity_v5_8}", "{sha256}", "bcrypt$")
"""What Spring Security and Django write before a hash that says itself what it is."""


class HashKind(StrEnum):
    """How another system hashed a secret."""

    SHA256 = "sha256"
    BCRYPT = "bcrypt"
    PBKDF2 = "pbkdf2"
    ARGON2 = "argon2"


class ForeignHash(msgspec.Struct, frozen=True):
    """A hash that was read.

    Args:
        verifier: The one spelling that is kept; empty for SHA-256.
        digest: Of a SHA-256: the octets.
    """

    kind: HashKind
    verifier: str = ""
    digest: bytes = b""


def read_hash(text: str) -> ForeignHash:
    """Read a hash in any known spelling.

    Raises:
        ValueError: It is of no known kind, malformed, or too costly to check; the words hold nothing of it.
    """
    for wrapping in _WRAPPINGS:
        text = text.removeprefix(wrapping)
    if text.startswith("argon2$argon2"):
        text = text.removeprefix("argon2")
    for read in (_sha256, _bcrypt, _argon2, _pbkdf2):
        found = read(text)
        if found is not None:
            return found
    raise ValueError("no hash that is known: SHA-256, bcrypt, PBKDF2 or argon2")


def is_bounded(verifier: str, own_kib: int, own_passes: int) -> bool:
    """Tell of a kept hash whether checking it costs no more than what is imported or made here may cost.

    Args:
        own_kib: The memory that this deployment spends on a hash of its own.
        own_passes: How often it goes over that.
    """
    text = verifier.removeprefix(EXACT)
    found = _ARGON2.fullmatch(text)
    if (
        found
        and int(found[1]) <= own_kib
        and int(found[2]) <= own_passes
        and int(found[3]) <= ARGON2_MOST_LANES
    ):
        return True
    try:
        return read_hash(text).kind is not HashKind.SHA256
    except ValueError:
        return False


def _sha256(text: str) -> ForeignHash | None:
    if _HEX.fullmatch(text):
        return ForeignHash(HashKind.SHA256, digest=bytes.fromhex(text))
    if not _BASE64.fullmatch(text):
        return None
    digest = base64.b64decode(text.rstrip("=").translate(_FROM_URL) + "=")
    again = base64.b64encode(digest).decode().rstrip("=")
    if len(digest) != _SHA256_BYTES or again != text.rstrip("=").translate(_FROM_URL):
        return None
    return ForeignHash(HashKind.SHA256, digest=digest)


_FROM_URL = str.maketrans("-_", "+/")


def _bcrypt(text: str) -> ForeignHash | None:
    outer = BCRYPT_SHA256 if text.startswith(BCRYPT_SHA256) else ""
    found = _BCRYPT.fullmatch(text.removeprefix(outer))
    if found is None:
        return None
    if not 4 <= int(found[2]) <= BCRYPT_MOST_COST:  # noqa: PLR2004  # bcrypt's own least
        raise ValueError(f"a bcrypt hash with a cost beyond {BCRYPT_MOST_COST} would take too long to check")
    # Old libraries left the bits that mean nothing as they were; every check compares them cleared.
    salt_end, hash_end = _cleared(found[4], 0x30), _cleared(found[6], 0x3C)
    kept = f"{outer}{found[1]}{found[3]}{salt_end}{found[5]}{hash_end}"
    return ForeignHash(HashKind.BCRYPT, kept)


def _cleared(digit: str, mask: int) -> str:
    return _BCRYPT_DIGITS[_BCRYPT_DIGITS.index(digit) & mask]


def _argon2(text: str) -> ForeignHash | None:
    found = _ARGON2.fullmatch(text)
    if found is None:
        return None
    memory, passes, lanes = int(found[1]), int(found[2]), int(found[3])
    if memory > ARGON2_MOST_KIB or memory * passes > ARGON2_MOST_WORK or lanes > ARGON2_MOST_LANES:
        raise ValueError("an argon2 hash with so much memory, passes or lanes would take too long to check")
    if passes < 1 or lanes < 1 or memory < 8 * lanes:
        raise ValueError("an argon2 hash whose parameters cannot be")
    _require_sizes(_decoded(found[4]), _decoded(found[5]), least_salt=8)
    return ForeignHash(HashKind.ARGON2, text)


def _pbkdf2(text: str) -> ForeignHash | None:
    if found := _DJANGO.fullmatch(text):
        parts = found[1], found[2], found[3].encode(), _decoded(found[4])
    elif found := _WERKZEUG.fullmatch(text):
        parts = (
            found[1],
            found[2],
            found[3].encode(),
            bytes.fromhex(found[4] if len(found[4]) % 2 == 0 else ""),
        )
    elif found := _PASSLIB.fullmatch(text):
        salt, derived = (_decoded(part.replace(".", "+")) for part in (found[3], found[4]))
        parts = found[1] or "sha1", found[2], salt, derived
    elif found := _PHC.fullmatch(text):
        parts = found[1], found[2], _decoded(found[3]), _decoded(found[4])
    else:
        return None
    digest, rounds, salt, derived = parts
    _require_sizes(salt, derived)
    blocks = -(-len(derived) // _DIGEST_BYTES[digest])
    if not 1 <= int(rounds) * blocks <= PBKDF2_MOST_ROUNDS:
        raise ValueError(
            f"a PBKDF2 hash with more than {PBKDF2_MOST_ROUNDS} rounds would take too long to check"
        )
    return ForeignHash(HashKind.PBKDF2, spell_pbkdf2(digest, int(rounds), salt, derived))


def spell_pbkdf2(digest: str, rounds: int, salt: bytes, derived: bytes) -> str:
    """Write a PBKDF2 hash as it is kept."""
    return f"$pbkdf2-{digest}$i={rounds}${_encoded(salt)}${_encoded(derived)}"


def split_pbkdf2(verifier: str) -> tuple[str, int, bytes, bytes]:
    """Take a kept PBKDF2 hash apart: digest, rounds, salt and derived key.

    Raises:
        ValueError: It is none.
    """
    found = _PHC.fullmatch(verifier)
    if found is None:
        raise ValueError("no PBKDF2 hash")
    return found[1], int(found[2]), _decoded(found[3]), _decoded(found[4])


def _require_sizes(salt: bytes, derived: bytes, least_salt: int = 1) -> None:
    if len(salt) not in _SALT or len(salt) < least_salt or len(derived) not in _DERIVED:
        raise ValueError("a hash whose salt or whose own length cannot be")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), validate=True)
    except binascii.Error:
        raise ValueError("a hash that is malformed") from None


def _encoded(octets: bytes) -> str:
    return base64.b64encode(octets).decode().rstrip("=")
