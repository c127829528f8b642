"""A ring that all organisations share and whose keys are named by certificates."""

import secrets
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1

from keyturn.core.profile import RingPlan, TokenProfile
from keyturn.core.vocabulary import Algorithm
from keyturn.keys.ring import Rings
from keyturn.keys.schedule import PUBLISH_MARGIN, RETIRE_MARGIN, Rotated
from keyturn.tokens import base64url
from keyturn.tokens.encode import encode_token
from keyturn.tokens.errors import TokenRejected
from keyturn.tokens.keyset import KeySet
from keyturn.tokens.verify import verify_token

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
CACHE = timedelta(minutes=5)
LIFETIME = timedelta(hours=1)
RS256 = Algorithm.RS256
PLAN = RingPlan.of(
    [
        TokenProfile(kind="a.access", dialect="a", lifetime_seconds=60),
        TokenProfile(
            kind="b.access",
            dialect="b",
            lifetime_seconds=60,
            algorithm=RS256,
            shared_ring="b",
            certificate=True,
        ),
        TokenProfile(kind="c.access", dialect="c", lifetime_seconds=60, algorithm=RS256, shared_ring="c"),
    ]
)


def node(store, sealer):
    return Rings(
        store,
        sealer,
        secrets.token_bytes,
        PLAN.algorithms_of,
        jwks_cache=CACHE,
        certified=PLAN.certified,
    )


async def turn(rings, now):
    turned = await rings.rotate(
        "b", RS256, now, longest_lifetime=LIFETIME, actor="operator:root", request_id="r-1"
    )
    assert isinstance(turned, Rotated)
    return turned


def test_the_plan_of_rings():
    """A deployment's rings are the shared ones by name, and those of each organisation."""
    assert PLAN.shared == ["b", "c"]
    assert PLAN.certified == {"b"}
    assert list(PLAN.algorithms_of("b")) == [RS256]
    assert list(PLAN.algorithms_of("some organisation")) == [Algorithm.ES256]


def test_a_plan_certifies_shared_rings_only():
    """A profile that wants certificates without a shared ring is refused at start."""
    lone = TokenProfile(kind="d.access", dialect="d", lifetime_seconds=60, certificate=True)
    with pytest.raises(ValueError, match=r"d\.access"):
        RingPlan.of([lone])


async def test_every_key_has_a_certificate_of_its_own(store, sealer):
    """TK-13: a certified ring's keys are named by their stored certificates, and no other ring's are."""
    rings = node(store, sealer)
    await turn(rings, NOW)
    for issuer in ("c", "some organisation"):
        await rings.published(issuer, NOW)
    certified = [key for key in store.keys.values() if key.issuer_id == "b"]
    assert len(certified) == 3
    for key in certified:
        certificate = x509.load_der_x509_certificate(key.certificate)
        assert key.id == key.public_jwk["kid"] == certificate.fingerprint(SHA1()).hex().upper()  # noqa: S303  # what x5t is
        modulus = certificate.public_key().public_numbers().n
        assert int.from_bytes(base64url.decode(key.public_jwk["n"].encode())) == modulus
    others = [key for key in store.keys.values() if key.issuer_id != "b"]
    assert others
    assert all(key.certificate is None and "x5t" not in key.public_jwk for key in others)


async def test_a_shared_ring_turns_by_the_same_schedule(store, sealer):
    """TK-14: on two nodes a certified key is published before it signs and until its tokens expire."""
    one, other = node(store, sealer), node(store, sealer)
    first = await turn(one, NOW)
    second = await turn(one, NOW)
    assert second.active_at == NOW + CACHE + PUBLISH_MARGIN
    other.invalidate("b")
    for at in (NOW, second.active_at - timedelta(seconds=1), second.active_at, second.retires_at):
        for rings in (one, other):
            signer = await rings.signer("b", RS256, at)
            shown = {jwk["kid"]: jwk for jwk in await rings.published("b", at)}
            assert signer.key_id in shown
            assert signer.x5t == shown[signer.key_id]["x5t"]
            assert signer.key_id == (first if at < second.active_at else second).signing_key_id
    assert second.retires_at == second.active_at + LIFETIME + RETIRE_MARGIN
    published = {jwk["kid"] for jwk in await one.published("b", second.retires_at)}
    assert first.signing_key_id not in published
    assert second.signing_key_id in published


async def test_a_token_under_a_certificate_verifies(store, sealer):
    """TK-03: a token is found by its `kid`, and an `x5t` in its header is allowed and decides nothing."""
    rings = node(store, sealer)
    signer = await rings.signer("b", RS256, NOW)
    issued = int(NOW.timestamp())
    own = {"k": "b.access", "o": "organisation-1", "c": "credential-1", "e": [0, 1, 2]}
    claims = {"iss": "i", "sub": "s", "aud": "a", "iat": issued, "exp": issued + 60, "jti": "j", "kt": own}
    token = encode_token(claims, signer, "JWT")
    expected = {"issuer": "i", "audience": "a", "kind": "b.access", "header_type": "JWT", "now": NOW}
    keys = KeySet.from_jwks(await rings.published("b", NOW))
    assert verify_token(token, keys, **expected).key_id == signer.key_id
    with pytest.raises(TokenRejected):
        verify_token(token, KeySet.from_jwks(await rings.published("c", NOW)), **expected)
