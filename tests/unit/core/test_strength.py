"""How hard a secret of somebody else's is to guess, at most."""

import secrets
import uuid

import pytest

from keyturn.core.strength import is_strong


@pytest.mark.parametrize(
    "make",
    [
        lambda: secrets.token_hex(16),
        lambda: secrets.token_urlsafe(24),
        lambda: str(uuid.uuid4()),
        lambda: "sk_" + secrets.token_hex(20),
    ],
)
def test_random(make):
    """TK-12: what machines make, UUIDs too, may be kept under a fast hash."""
    assert all(is_strong(make()) for _ in range(50))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hunter2",
        "a" * 64,
        "0123456789abcdef" * 4,
        "correct horse battery staple again and again",
        "5ccc6a3505b1e29cade7670e",
        "1234567890123456789012345678901234567",
        "Summer2026!Summer2026!Summer2026!",
    ],
)
def test_made_by_people(text):
    """TK-12: short texts, words and repetitions may not, however long they are."""
    assert not is_strong(text)
