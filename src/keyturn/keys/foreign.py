"""Checks hashes of secrets, ours and those that other systems made, in the spellings of ``core/hashes.py``.

Slow on purpose, so only ever called on the threads of ``passwords``. Each of these lets go of the interpreter
while it works, and is imported at first need.
"""

import hashlib
from hmac import compare_digest

from keyturn.core.hashes import BCRYPT_MOST_BYTES, BCRYPT_SHA256, split_pbkdf2


def verify_foreign(secret: bytes, verifier: str) -> bool:
    """Compare a secret with a kept hash, whatever its kind.

    Raises:
        ValueError: The hash is damaged.
    """
    if verifier.startswith("$argon2"):
        return _argon2(secret, verifier)
    if verifier.startswith("$pbkdf2-"):
        digest, rounds, salt, derived = split_pbkdf2(verifier)
        return compare_digest(hashlib.pbkdf2_hmac(digest, secret, salt, rounds, len(derived)), derived)
    if verifier.startswith(BCRYPT_SHA256):
        return _bcrypt(hashlib.sha256(secret).hexdigest().encode(), verifier.removeprefix(BCRYPT_SHA256))
    return _bcrypt(secret, verifier)


def _argon2(secret: bytes, verifier: str) -> bool:
    from argon2 import extract_parameters
    from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
    from argon2.low_level import verify_secret

    try:
        return verify_secret(verifier.encode(), secret, extract_parameters(verifier).type)
    except VerifyMismatchError:
        return False
    except (VerificationError, InvalidHashError) as error:
        raise ValueError("no argon2 hash") from error


def _bcrypt(secret: bytes, verifier: str) -> bool:
    """Compare by bcrypt; what it would not look at to the end never matches, and costs the same (TE-05)."""
    from bcrypt import checkpw

    blind = len(secret) > BCRYPT_MOST_BYTES or b"\x00" in secret
    same = checkpw(b"" if blind else secret, verifier.encode())
    return same and not blind
