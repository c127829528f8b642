"""Remembered tokens."""

import pytest

from keyturn.tokens.cache import VerifiedCache
from keyturn.tokens.errors import TokenRejected
from keyturn.tokens.keyset import KeySet


def test_a_repeat_is_the_same_answer(press):
    """A token that was verified before gives the same claims without another verification."""
    cache = VerifiedCache()
    token = press.token().encode()
    first = cache.verify(token, press.keys, **press.expected())
    assert cache.verify(token, press.keys, **press.expected()) is first


def test_a_remembered_token_expires(press):
    """TK-09: a remembered token is refused from its `exp` on."""
    cache = VerifiedCache()
    token = press.token().encode()
    expires_at = cache.verify(token, press.keys, **press.expected()).expires_at
    with pytest.raises(TokenRejected, match="expired"):
        cache.verify(token, press.keys, **press.expected(now=expires_at))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "mend.access"),
        ("issuer", "https://auth.example/o/other"),
        ("audience", "https://x.example/"),
        ("header_type", "JWT"),
    ],
)
def test_a_remembered_token_passes_for_its_own_question_only(press, name, value):
    """TK-08: what was remembered for one kind, issuer or audience is no answer for another."""
    cache = VerifiedCache()
    token = press.token().encode()
    cache.verify(token, press.keys, **press.expected())
    with pytest.raises(TokenRejected):
        cache.verify(token, press.keys, **press.expected(**{name: value}))


def test_a_key_that_left_takes_its_tokens_along(press):
    """TK-02: a remembered token is refused once its key is no longer in the set."""
    cache = VerifiedCache()
    token = press.token().encode()
    cache.verify(token, press.keys, **press.expected())
    with pytest.raises(TokenRejected, match="unknown"):
        cache.verify(token, KeySet({}), **press.expected())


def test_the_memory_is_bounded(press):
    """The cache keeps no more tokens than its limit, and no refused ones."""
    cache = VerifiedCache(limit=2)
    for number in range(4):
        cache.verify(press.token(claims={"jti": str(number)}).encode(), press.keys, **press.expected())
    with pytest.raises(TokenRejected):
        cache.verify(b"a.b.c", press.keys, **press.expected())
    assert len(cache) == 2


def test_claims_cannot_be_changed_in_memory(press):
    """What one caller does to the claims does not reach the next."""
    verified = VerifiedCache().verify(press.token().encode(), press.keys, **press.expected())
    with pytest.raises(TypeError):
        verified.claims["sub"] = "somebody-else"
