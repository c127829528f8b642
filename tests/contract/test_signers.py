"""Every custody of signing keys passes the same suite: in this process, and in a PKCS#11 token."""

import asyncio
import os
import threading
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from cryptography.x509 import load_der_x509_certificate

from ground import HandClock
from keyturn.core.clock import SystemClock
from keyturn.core.errors import Fault, Unavailable
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import Algorithm, Reason
from keyturn.keys import pkcs11_token
from keyturn.keys.certificates import certify
from keyturn.keys.custody import REFERENCE, SoftwareKeys
from keyturn.keys.pkcs11_token import RETRY_SECONDS, Token
from keyturn.keys.ring import Rings
from keyturn.keys.sealing import MasterKey, MasterSealer
from keyturn.keys.token_keys import TokenKeys
from keyturn.storage.memory import MemoryStore
from keyturn.tokens.keyset import KeySet
from softhsm import PIN

NOW = datetime(2026, 11, 1, tzinfo=UTC)
SIZES = {Algorithm.ES256: 64, Algorithm.RS256: 256, Algorithm.EDDSA: 64}


def open_token(device, clock, pin=PIN):
    return Token(device.module, device.label, Secret(pin), 2, clock)


def keys_in(token, **changes):
    return TokenKeys(token, SoftwareKeys(), os.urandom, **{"make_here": True, **changes})


@pytest.fixture(params=["software", "token"])
def custody(request):
    """A custody of each kind."""
    if request.param == "software":
        yield SoftwareKeys()
        return
    token = open_token(request.getfixturevalue("device"), SystemClock())
    yield keys_in(token)
    token.close()


async def signed(signer, message):
    """Sign where the exchange signs."""
    if signer.elsewhere is None:
        return signer.sign(message)
    return await signer.elsewhere(partial(signer.sign, message))


def verifier(jwk):
    return KeySet.from_jwks([jwk]).get(jwk["kid"])


@pytest.mark.parametrize("algorithm", list(Algorithm))
async def test_what_is_signed_verifies(custody, algorithm):
    """TK-01, TK-13: a key signs under its own public half, many at once, and for its own algorithm only."""
    made = await asyncio.to_thread(custody.make, algorithm, "acme")
    signer = custody.load(made.public_jwk["kid"], algorithm, made.private)
    assert (signer.key_id, signer.algorithm, signer.x5t) == (made.public_jwk["kid"], algorithm, None)
    messages = [b"message %d" % number for number in range(8)]
    key = verifier(made.public_jwk)
    for message, signature in zip(
        messages, await asyncio.gather(*(signed(signer, each) for each in messages)), strict=True
    ):
        assert len(signature) == SIZES[algorithm]
        assert key.verify(signature, message)
        assert not key.verify(signature, message + b"\0")
    for other in set(Algorithm) - {algorithm}:
        with pytest.raises(Fault, match="not a key for"):
            custody.load(signer.key_id, other, made.private)


async def test_a_certificate_names_its_key(custody):
    """A key that a certificate names signs that certificate itself, and says its x5t."""
    make = partial(certify, name="shared", now=NOW, dice=os.urandom)
    made = await asyncio.to_thread(custody.make, Algorithm.RS256, "shared", make)
    certificate = load_der_x509_certificate(made.certificate)
    certificate.verify_directly_issued_by(certificate)
    x5t = made.public_jwk["x5t"]
    signer = custody.load(made.public_jwk["kid"], Algorithm.RS256, made.private, x5t)
    assert signer.x5t == x5t
    assert verifier(made.public_jwk).verify(await signed(signer, b"m"), b"m")


async def test_no_two_keys_are_the_same(custody):
    """TK-11: two keys have nothing in common, and neither prints."""
    one, other = (custody.make(Algorithm.ES256, "acme") for _ in range(2))
    assert one.public_jwk["kid"] != other.public_jwk["kid"]
    assert one.private != other.private
    assert repr(one) == f"MadeKey({one.public_jwk['kid']})"


# --- what only a token can do ---


async def test_a_token_keeps_its_keys(device):
    """TK-12: a private key cannot be read out of the token, and what the ring keeps is no key."""
    from pkcs11 import Attribute
    from pkcs11.exceptions import AttributeSensitive

    token = open_token(device, SystemClock())
    made = keys_in(token).make(Algorithm.ES256, "acme")
    assert made.private.startswith(REFERENCE)
    assert len(made.private) < 32

    def look(session):
        key = session.private_key(made.private[-16:])
        assert (key[Attribute.EXTRACTABLE], key[Attribute.SENSITIVE]) == (False, True)
        with pytest.raises(AttributeSensitive):
            key[Attribute.VALUE]
        return key[Attribute.LABEL]

    assert token.call(look) == "keyturn acme ES256"
    token.close()


async def test_both_kinds_in_one_ring(device):
    """An issuer moves to a token and back: each key signs where it was made, whatever makes the next."""
    token = open_token(device, SystemClock())
    before = SoftwareKeys().make(Algorithm.ES256, "acme")
    custody = keys_in(token)
    after = custody.make(Algorithm.ES256, "acme")
    back = keys_in(token, make_here=False)
    for made in (before, after, back.make(Algorithm.ES256, "acme")):
        signer = back.load(made.public_jwk["kid"], Algorithm.ES256, made.private)
        assert verifier(made.public_jwk).verify(await signed(signer, b"m"), b"m")
    with pytest.raises(Fault, match=r"set pkcs11\.module"):
        SoftwareKeys().load("kid", Algorithm.ES256, after.private)
    token.close()


async def test_a_token_comes_back(device, caplog):
    """HT-09: a token that is away is 503, is told once, tried once a second, and signs when it is back."""
    clock = HandClock()
    token = open_token(device, clock)
    made = keys_in(token).make(Algorithm.ES256, "acme")
    signer = keys_in(token).load(made.public_jwk["kid"], Algorithm.ES256, made.private)
    await signed(signer, b"m")
    with device.away():
        for _ in range(3):
            with pytest.raises(Unavailable) as caught:
                await signed(signer, b"m")
            assert (caught.value.reason, caught.value.retry_after) == (Reason.KEY_UNAVAILABLE, 1)
            clock.advance(RETRY_SECONDS)
        with pytest.raises(Unavailable):
            await signed(signer, b"m")
    with pytest.raises(Unavailable):  # it was tried a moment ago
        await signed(signer, b"m")
    clock.advance(RETRY_SECONDS)
    assert verifier(made.public_jwk).verify(await signed(signer, b"m"), b"m")
    told = [record.message for record in caplog.records if record.name == "keyturn.keys"]
    assert [text.split(device.label)[1].split(":")[0] for text in told] == [
        " does not answer",
        " answers again",
    ]
    token.close()


async def test_a_wrong_pin_is_tried_once(device, caplog):
    """HT-09: a refused PIN is not tried again, since a token locks after a few; no log line shows it."""
    clock = HandClock()
    token = open_token(device, clock, pin="666666")
    for _ in range(3):
        with pytest.raises(Unavailable):
            keys_in(token).make(Algorithm.ES256, "acme")
        clock.advance(60)
    assert len([each for each in caplog.records if "refuses the PIN" in each.message]) == 1
    assert "666666" not in caplog.text
    token.close()
    good = open_token(device, clock)
    keys_in(good).make(Algorithm.ES256, "acme")
    good.close()


async def test_one_missing_key_disturbs_no_other(device):
    """HT-09: where a token lacks one key, that one is 503 and the others go on at once."""
    clock = HandClock()
    token = open_token(device, clock)
    custody = keys_in(token)
    there, lost = (custody.make(Algorithm.ES256, "acme") for _ in range(2))
    gone = custody.load("kid", Algorithm.ES256, lost.private[:-1] + bytes([lost.private[-1] ^ 1]))
    with pytest.raises(Unavailable):
        await signed(gone, b"m")
    signer = custody.load(there.public_jwk["kid"], Algorithm.ES256, there.private)
    assert await signed(signer, b"m")
    token.close()


async def test_a_hanging_token_keeps_nobody(device, monkeypatch):
    """HT-09: whoever waits for a token that hangs is refused, and nobody waits in a line without end."""
    token = open_token(device, SystemClock())
    release = threading.Event()
    monkeypatch.setattr(pkcs11_token, "ANSWER_SECONDS", 0.05)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await token.elsewhere(release.wait)
    token._places = threading.BoundedSemaphore(1)
    token._places.acquire()
    with pytest.raises(Unavailable):
        await token.elsewhere(lambda: None)
    release.set()
    token.close()


async def test_a_ring_turns(custody):
    """TK-12, TK-14: keys of either custody sign, give way and are withdrawn; what is at rest is sealed."""
    clock = HandClock()
    sealer = MasterSealer(MasterKey.generate(os.urandom), os.urandom)
    store = MemoryStore(sealer, clock, os.urandom).deployment
    rings = Rings(store, sealer, os.urandom, lambda _: (Algorithm.ES256,), custody=custody)
    by = {"longest_lifetime": timedelta(minutes=5), "actor": "system:test", "request_id": "r"}

    async def key_now():
        signer = await rings.signer("acme", Algorithm.ES256, clock.now())
        published = KeySet.from_jwks(await rings.published("acme", clock.now()))
        assert published.get(signer.key_id).verify(await signed(signer, b"m"), b"m")
        return signer.key_id

    first = await key_now()
    turned = await rings.rotate("acme", Algorithm.ES256, clock.now(), **by)
    assert await key_now() == turned.signing_key_id != first
    clock.advance(3600)
    await rings.withdraw("acme", turned.signing_key_id, clock.now(), **by)
    assert await key_now() == turned.next_key_id
    assert all(key.sealed_private[:1] == b"\1" for key in await store.signing_keys("acme"))


async def test_threads_do_not_mix(device):
    """Many signatures at once, by many keys, are each by the key that was asked."""
    token = Token(device.module, device.label, Secret(PIN), 4, SystemClock())
    custody = keys_in(token)
    made = [custody.make(Algorithm.ES256, "acme") for _ in range(4)]
    signers = [custody.load(each.public_jwk["kid"], Algorithm.ES256, each.private) for each in made]
    keys = [verifier(each.public_jwk) for each in made]
    for number in range(3):
        message = b"%d" % number
        signatures = await asyncio.gather(*(signed(each, message) for each in signers * 8))
        assert all(key.verify(each, message) for key, each in zip(keys * 8, signatures, strict=True))
    token.close()
