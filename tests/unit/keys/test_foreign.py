"""Secrets under hashes of other systems: right, wrong, and never cut."""

import hashlib

import bcrypt
import pytest
from argon2.low_level import Type, hash_secret

from keyturn.core.errors import Fault
from keyturn.core.hashes import read_hash
from keyturn.core.secret import Secret
from keyturn.keys.passwords import ArgonPasswords

SALT = "a salt of theirs"


@pytest.fixture
def passwords():
    """Hashing that costs next to nothing."""
    quick = ArgonPasswords(lambda size: bytes(range(size)), memory_kib=8, passes=1, threads=1)
    yield quick
    quick.close()


def by_bcrypt(secret):
    """Hash by bcrypt, as weakly as it can."""
    return bcrypt.hashpw(secret, bcrypt.gensalt(4)).decode()


def by_django_bcrypt(secret):
    """Hash by Django's bcrypt over SHA-256."""
    return "bcrypt_sha256$" + by_bcrypt(hashlib.sha256(secret).hexdigest().encode())


def by_pbkdf2(secret):
    """Hash as Werkzeug does."""
    return f"pbkdf2:sha512:50${SALT}${hashlib.pbkdf2_hmac('sha512', secret, SALT.encode(), 50).hex()}"


def by_argon2(secret, kind=Type.I):
    """Hash by an argon2 that we never make."""
    return hash_secret(secret, SALT.encode(), 1, 16, 2, 24, kind).decode()


@pytest.mark.parametrize("made", [by_bcrypt, by_django_bcrypt, by_pbkdf2, by_argon2])
async def test_right_and_wrong(passwords, made):
    """A secret under each kind of hash is right to the octet, as a machine's and as a password."""
    kept = read_hash(made("pässword-of-old".encode())).verifier
    for check in (passwords.check, passwords.check_exactly):
        assert await check(Secret("pässword-of-old"), kept) is True
        for wrong in ("pässword-of-ol", "pässword-of-old ", "Pässword-of-old", ""):
            assert await check(Secret(wrong), kept) is False
    assert passwords.is_outdated(kept)


async def test_bcrypt_is_not_asked_about_what_it_cannot_see(passwords):
    """TE-05: behind 72 bytes or a NUL nothing matches a bcrypt hash, also what it would take for the same."""
    start = "x" * 72
    kept = by_bcrypt(start.encode())
    assert await passwords.check_exactly(Secret(start), kept) is True
    assert await passwords.check_exactly(Secret(start + "y"), kept) is False
    short = by_bcrypt(b"")
    assert await passwords.check_exactly(Secret("\x00rest"), short) is False
    assert await passwords.check_exactly(Secret(start + "y"), short) is False


async def test_what_was_typed_counts_too(passwords):
    """PW-02: a system that knew no normal form hashed what was typed; a machine's secret is only itself."""
    typed, normal = "de\u0301ja\u0300 vu", "d\u00e9j\u00e0 vu"
    kept = by_bcrypt(typed.encode())
    assert await passwords.check(Secret(typed), kept) is True
    exact = await passwords.hash_exactly(Secret(typed))
    assert await passwords.check_exactly(Secret(typed), exact) is True
    assert await passwords.check_exactly(Secret(normal), exact) is False
    assert not passwords.is_outdated(exact)


async def test_damaged(passwords):
    """A hash that cannot be read is a fault of ours and no wrong secret."""
    for damaged in ("", "$pbkdf2-sha256$i=x", "$argon2id$v=19$", "$2b$04$short"):
        with pytest.raises(Fault):
            await passwords.check_exactly(Secret("x"), damaged)
