"""Remembered tokens."""

from datetime import UTC, datetime

import pytest

from keyturn.core.secret import Secret
from keyturn.core.vocabulary import Algorithm
from keyturn.tokens.cache import MadeHere, VerifiedCache
from keyturn.tokens.errors import TokenRejected
from keyturn.tokens.keyset import KeySet, VerifyingKey


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


@pytest.fixture
def made():
    """A memory of what is made here, of which somebody has asked."""
    memory = MadeHere(kept=3)
    assert not memory.has(b"")
    return memory


@pytest.fixture
def unsure(press):
    """The keys, none of which finds any signature good."""
    return KeySet({press.signer.key_id: VerifyingKey(Algorithm.ES256, lambda _signature, _message: False)})


def test_what_was_made_here_is_genuine(press, made, unsure):
    """TK-06: of these very bytes the signature is not verified again, and of any others it is."""
    cache, token = VerifiedCache(made=made), press.token()
    with pytest.raises(TokenRejected, match="signature"):
        cache.verify(token.encode(), unsure, **press.expected())
    made.note(Secret(token))
    assert cache.verify(token.encode(), unsure, **press.expected()).token_id == "token-1"
    other = press.token(claims={"sub": "somebody-else"})
    for forged in (other, token[:-1] + ("A" if token[-1] != "A" else "B"), f"{token}A"):
        with pytest.raises(TokenRejected):
            cache.verify(forged.encode(), unsure, **press.expected())


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "mend.access"},
        {"issuer": "https://auth.example/o/other"},
        {"audience": "https://x.example/"},
        {"header_type": "JWT"},
        {"now": datetime(2030, 1, 1, tzinfo=UTC)},
    ],
)
def test_what_was_made_here_is_checked_all_the_same(press, made, unsure, change):
    """TK-08, TK-09: that it was made here says nothing of what it is good for, or for how long."""
    token = press.token()
    made.note(Secret(token))
    with pytest.raises(TokenRejected):
        VerifiedCache(made=made).verify(token.encode(), unsure, **press.expected(**change))


def test_a_key_that_left_takes_what_was_made_here_along(press, made):
    """TK-02: what was made here under a key that is not in the set any more is refused."""
    token = press.token()
    made.note(Secret(token))
    with pytest.raises(TokenRejected, match="unknown"):
        VerifiedCache(made=made).verify(token.encode(), KeySet({}), **press.expected())


def test_what_is_made_here_is_remembered_while_somebody_asks():
    """The next tokens after a question are remembered, a bounded number, and nothing where nobody asks."""
    memory = MadeHere(kept=3)
    secrets = [Secret(str(number)) for number in range(12)]
    memory.note(secrets[0])
    assert not memory.has(secrets[0].sha256())
    for secret in secrets[1:]:
        memory.note(secret)
    assert [number for number, secret in enumerate(secrets) if memory.has(secret.sha256())] == [4, 5, 6]
