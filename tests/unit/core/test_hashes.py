"""Hashes of other systems: recognised in every spelling, bounded, and told without being quoted."""

import base64
import hashlib

import pytest

from keyturn.core.hashes import HashKind, read_hash, split_pbkdf2

DIGEST = hashlib.sha256(b"secret").digest()
SALT, DERIVED = b"a salt of theirs", hashlib.pbkdf2_hmac("sha256", b"secret", b"a salt of theirs", 1000)
BCRYPT = "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"
ARGON2 = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRvZnVycw$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"


def plain(octets):
    """Write octets in base64 without padding."""
    return base64.b64encode(octets).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        DIGEST.hex(),
        DIGEST.hex().upper(),
        base64.urlsafe_b64encode(DIGEST).decode(),
        plain(DIGEST),
        "{sha256}" + DIGEST.hex(),
    ],
)
def test_sha256(text):
    """A SHA-256 is read in hexadecimal and in both alphabets of base64, padded or not."""
    assert read_hash(text).digest == DIGEST


@pytest.mark.parametrize(
    "text",
    [
        f"pbkdf2_sha256$1000${SALT.decode()}${base64.b64encode(DERIVED).decode()}",
        f"pbkdf2:sha256:1000${SALT.decode()}${DERIVED.hex()}",
        f"$pbkdf2-sha256$1000${plain(SALT).replace('+', '.')}${plain(DERIVED).replace('+', '.')}",
        f"$pbkdf2-sha256$i=1000,l=32${plain(SALT)}${plain(DERIVED)}",
    ],
)
def test_pbkdf2(text):
    """Django's, Werkzeug's, passlib's and the PHC spelling of one PBKDF2 hash are kept as one."""
    read = read_hash(text)
    assert read.kind is HashKind.PBKDF2
    assert split_pbkdf2(read.verifier) == ("sha256", 1000, SALT, DERIVED)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (BCRYPT, BCRYPT),
        ("bcrypt$" + BCRYPT, BCRYPT),
        ("{bcrypt}" + BCRYPT.replace("2b", "2y", 1), BCRYPT.replace("2b", "2y", 1)),
        (BCRYPT[:28] + "P" + BCRYPT[29:], BCRYPT),
        ("bcrypt_sha256$" + BCRYPT, "bcrypt_sha256$" + BCRYPT),
        (ARGON2, ARGON2),
        ("argon2" + ARGON2, ARGON2),
    ],
)
def test_slow(text, kept):
    """Bcrypt and argon2 are kept as they are, without what frameworks write before and without stray bits."""
    assert read_hash(text).verifier == kept


@pytest.mark.parametrize(
    "text",
    [
        BCRYPT.replace("$12$", "$31$"),
        BCRYPT.replace("$12$", "$03$"),
        "pbkdf2:sha256:90000000$salt$" + "ab" * 32,
        "$pbkdf2-sha256$1999999$c2FsdA$" + plain(bytes(64)),
        ARGON2.replace("m=65536", "m=9999999"),
        ARGON2.replace("t=3", "t=900"),
        ARGON2.replace("p=4", "p=64"),
        ARGON2.replace("p=4", "p=0"),
    ],
)
def test_absurd_costs(text):
    """RE-10: a hash that would keep a thread for long is refused when it is read."""
    with pytest.raises(ValueError, match="hash"):
        read_hash(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        "$2x$" + BCRYPT[4:],
        BCRYPT[:-1],
        DIGEST.hex()[:-1],
        "scrypt:32768:8:1$salt$" + "ab" * 64,
        "pbkdf2:md5:1000$salt$" + "ab" * 16,
        "pbkdf2:sha256:1000$salt$abc",
        "0" * 40,
        ARGON2[:-30],
    ],
)
def test_unknown(text):
    """AD-04: what is no hash that is known is refused without a word of it."""
    with pytest.raises(ValueError, match="hash") as caught:
        read_hash(text)
    assert not text or text not in str(caught.value)
