"""Key rings: made once, turned in time, agreed on by every node."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keyturn.core.errors import Fault, Unavailable
from keyturn.core.sealed_values import SIGNING_KEY
from keyturn.core.vocabulary import Algorithm, Reason
from keyturn.keys.ring import Rings
from keyturn.keys.schedule import PUBLISH_MARGIN, RETIRE_MARGIN, NotRotated, Rotated
from keyturn.keys.sealing import MasterKey, MasterSealer
from keyturn.tokens.encode import encode_token
from keyturn.tokens.keyset import KeySet

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
CACHE = timedelta(minutes=5)
LIFETIME = timedelta(minutes=10)
SECOND = timedelta(seconds=1)
ES256 = Algorithm.ES256


def node(store, sealer, **changes):
    return Rings(store, sealer, secrets.token_bytes, lambda _: (ES256,), jwks_cache=CACHE, **changes)


async def turn(rings, now, issuer_id="acme", algorithm=ES256):
    return await rings.rotate(
        issuer_id, algorithm, now, longest_lifetime=LIFETIME, actor="operator:root", request_id="r-1"
    )


async def kids(rings, now, issuer_id="acme"):
    return [jwk["kid"] for jwk in await rings.published(issuer_id, now)]


@pytest.fixture
def rings(store, sealer):
    return node(store, sealer)


@pytest.mark.parametrize("algorithm", Algorithm)
async def test_a_first_signer_signs_and_is_published(rings, algorithm):
    """TK-14: at first need a ring is made, and its signer's signature verifies from what is published."""
    signer = await rings.signer("acme", algorithm, NOW)
    assert signer.algorithm is algorithm
    keys = KeySet.from_jwks(await rings.published("acme", NOW))
    head, _, _ = encode_token({}, signer, "JWT").rpartition(".")
    assert keys.get(signer.key_id).verify(signer.sign(head.encode()), head.encode())


async def test_a_first_key_set_holds_the_first_signer(rings):
    """TK-14: a key set served before the first token already has the key of that token, and the next one."""
    shown = await kids(rings, NOW)
    assert len(shown) == 2
    assert (await rings.signer("acme", ES256, NOW + SECOND)).key_id == shown[0]


async def test_keys_are_sealed_and_differ(store, sealer):
    """TK-12, TK-13: each issuer has keys of its own, each sealed for its issuer only."""
    rings = node(store, sealer)
    for issuer in ("acme", "zeta"):
        for algorithm in (ES256, Algorithm.EDDSA):
            await rings.signer(issuer, algorithm, NOW)
    assert len({key.public_jwk["x"] for key in store.keys.values()}) == 8
    assert {key.id for key in store.keys.values()} == {key.public_jwk["kid"] for key in store.keys.values()}
    key = next(key for key in store.keys.values() if key.issuer_id == "acme")
    with pytest.raises(Fault):
        sealer.open(SIGNING_KEY, f"zeta/{key.id}", key.sealed_private)


async def test_published_keys_are_public(rings):
    """TK-13: no published key has a private member, and each has `kid`, `alg` and `use`."""
    for algorithm in Algorithm:
        await rings.signer("acme", algorithm, NOW)
    published = await rings.published("acme", NOW)
    assert len(published) == 6
    for jwk in published:
        assert not jwk.keys() & {"d", "p", "q", "dp", "dq", "qi", "k"}
        assert jwk.keys() >= {"kid", "alg", "use"}


async def test_a_first_rotation_acts_at_once(rings, store):
    """TK-14: the first rotation makes the published next key the signer in the same instant."""
    current, following = await kids(rings, NOW)
    rotated = await turn(rings, NOW)
    assert isinstance(rotated, Rotated)
    assert (rotated.active_at, rotated.signing_key_id, rotated.retiring_key_id) == (NOW, following, current)
    assert (await rings.signer("acme", ES256, NOW)).key_id == following
    assert await kids(rings, NOW) == [current, following, rotated.next_key_id]
    assert store.audit[-1].kind == "signing_key.rotated"
    assert (store.audit[-1].actor, store.audit[-1].subject) == ("operator:root", following)


async def test_a_second_rotation_waits_for_the_caches(rings):
    """TK-14: a second rotation acts once every cached key set has the key, and a third must wait."""
    first = await turn(rings, NOW)
    second = await turn(rings, NOW + SECOND)
    assert second.active_at == NOW + CACHE + PUBLISH_MARGIN
    assert (await rings.signer("acme", ES256, second.active_at - SECOND)).key_id == first.signing_key_id
    assert (await rings.signer("acme", ES256, second.active_at)).key_id == second.signing_key_id
    assert await turn(rings, NOW + 2 * SECOND) == NotRotated(active_at=second.active_at)
    assert isinstance(await turn(rings, second.active_at), Rotated)


async def test_an_old_key_is_published_until_its_last_token_expired(rings):
    """TK-14: the old key is shown until its last token's longest lifetime and a margin are over."""
    old = (await rings.signer("acme", ES256, NOW)).key_id
    rotated = await turn(rings, NOW)
    gone = NOW + LIFETIME + RETIRE_MARGIN
    assert rotated.retires_at == gone
    assert old in await kids(rings, gone - SECOND)
    assert old not in await kids(rings, gone)


async def test_a_key_set_is_that_of_the_instant(rings):
    """RE-07: what a key set shows follows the clock in both directions, though it is kept in between."""
    first = await kids(rings, NOW)
    rotated = await turn(rings, NOW)
    for _ in range(2):
        assert set(first) < set(await kids(rings, rotated.retires_at - SECOND))
        assert first[0] not in await kids(rings, rotated.retires_at)


async def test_nodes_agree_without_talking(store, sealer):
    """TK-14: a node that read the ring before a scheduled rotation changes its signer when the others do."""
    one, other = node(store, sealer), node(store, sealer)
    await turn(one, NOW)
    second = await turn(one, NOW + SECOND)
    for rings in (one, other):
        before = await rings.signer("acme", ES256, second.active_at - SECOND)
        after = await rings.signer("acme", ES256, second.active_at)
        assert (before.key_id, after.key_id) == (second.retiring_key_id, second.signing_key_id)


async def test_racing_nodes_make_one_ring(store, sealer):
    """TK-14: nodes and requests that need a new ring at once get one ring, whatever their clocks' order."""
    nodes = [node(store, sealer) for _ in range(4)]
    asked = [
        rings.signer("acme", ES256, NOW + timedelta(milliseconds=shift))
        for rings in nodes
        for shift in (5, 0, 9, -900)
    ]
    signers = await asyncio.gather(*asked)
    assert len({signer.key_id for signer in signers}) == 1
    assert len(store.keys) == 2
    assert [event.kind for event in store.audit] == ["signing_ring.created"]


async def test_racing_rotations_turn_once(store, sealer):
    """TK-14: of two nodes that rotate at once one wins, and the other says when the winner's took effect."""
    nodes = [node(store, sealer) for _ in range(2)]
    for rings in nodes:
        await rings.signer("acme", ES256, NOW)
    outcomes = await asyncio.gather(*(turn(rings, NOW + SECOND) for rings in nodes))
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NotRotated", "Rotated"]
    lost = next(outcome for outcome in outcomes if isinstance(outcome, NotRotated))
    assert lost == NotRotated(active_at=NOW + SECOND, lost_race=True)
    assert len(store.keys) == 3


async def test_a_signer_comes_from_memory(rings, store):
    """A signer that was given before is given again without the store, also while that is away."""
    signer = await rings.signer("acme", ES256, NOW)
    reads, store.down = store.reads, True
    assert await rings.signer("acme", ES256, NOW + SECOND) is signer
    assert store.reads == reads


async def test_a_hit_does_not_give_way(rings):
    """A signer from memory is given without suspending the caller."""
    signer = await rings.signer("acme", ES256, NOW)
    with pytest.raises(StopIteration) as done:
        rings.signer("acme", ES256, NOW).send(None)
    assert done.value.value is signer


async def test_an_invalidated_ring_is_read_again(store, sealer):
    """TK-14: after the change feed's word a node follows a rotation of another node."""
    one, other = node(store, sealer), node(store, sealer)
    await other.signer("acme", ES256, NOW)
    rotated = await turn(one, NOW + SECOND)
    other.invalidate("acme")
    assert (await other.signer("acme", ES256, NOW + SECOND)).key_id == rotated.signing_key_id
    other.invalidate_all()
    assert rotated.next_key_id in await kids(other, NOW + SECOND)


async def test_a_read_that_was_overtaken_is_not_kept(rings, store):
    """TK-14: rows read before an invalidation and returned after it are not remembered."""
    reading = asyncio.create_task(rings._read("acme"))
    await asyncio.sleep(0)
    rings.invalidate("acme")
    await reading
    assert store.reads == 1
    assert not rings._issuers


async def test_memory_is_bounded(store, sealer):
    """No more issuers than the limit are kept, the most recently used ones."""
    rings = node(store, sealer, limit=2)
    for issuer in ("a", "b", "a", "c"):
        await rings.signer(issuer, ES256, NOW)
    assert list(rings._issuers) == ["a", "c"]


async def test_a_ring_made_by_a_wrong_clock_can_be_used(rings):
    """TK-14, RE-07: a first key, without which no key set was ever served, signs before its time too."""
    first = await rings.signer("acme", ES256, NOW)
    earlier = NOW - timedelta(days=365)
    assert (await rings.signer("acme", ES256, earlier)).key_id == first.key_id
    assert first.key_id in await kids(rings, earlier)


async def test_a_later_key_never_signs_before_its_time(rings, store):
    """TK-14: in a ring without its first key nothing signs early, and the caller is told to come again."""
    first = await rings.signer("acme", ES256, NOW)
    await turn(rings, NOW + SECOND)
    del store.keys[first.key_id]
    rings.invalidate("acme")
    with pytest.raises(Unavailable) as caught:
        await rings.signer("acme", ES256, NOW)
    assert caught.value.reason is Reason.KEY_UNAVAILABLE


async def test_a_store_that_is_away_signs_nothing(rings, store):
    """A ring that is not in memory is unavailable while the store is, and comes back with it."""
    store.down = True
    with pytest.raises(Unavailable):
        await rings.signer("acme", ES256, NOW)
    store.down = False
    assert await rings.signer("acme", ES256, NOW)


async def test_a_wrong_master_key_signs_nothing(store, sealer):
    """TK-12, HT-09: a ring sealed under another master key is not usable, and makes no new ring."""
    await node(store, sealer).signer("acme", ES256, NOW)
    other = MasterSealer(MasterKey.generate(secrets.token_bytes), secrets.token_bytes)
    with pytest.raises(Unavailable) as refused:
        await node(store, other).signer("acme", ES256, NOW)
    assert refused.value.reason is Reason.KEY_UNAVAILABLE
    assert len(store.keys) == 2


async def test_a_damaged_ring_is_not_turned(rings, store):
    """A ring that lacks its next key is a fault, and stays as it is."""
    _, following = await kids(rings, NOW)
    del store.keys[following]
    with pytest.raises(Fault, match="lacks"):
        await turn(rings, NOW)
    assert len(store.keys) == 1


async def history(rings, store, waits):
    """Rotate and sign at the given waits; note every key set served and every signer."""
    now, served, signed = NOW, [], []
    for wait, rotate in waits:
        now += timedelta(seconds=wait)
        served.append((now, frozenset(await kids(rings, now))))
        if rotate:
            await turn(rings, now)
        signed.append((now, (await rings.signer("acme", ES256, now)).key_id))
        served.append((now, frozenset(await kids(rings, now))))
    return served, signed


@given(st.lists(st.tuples(st.integers(0, 900), st.booleans()), min_size=1, max_size=25))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_key_signs_before_every_cached_key_set_has_it(sealer, store, waits):
    """TK-14: whenever rotations happen, the signer is in every key set that is cached or asked for."""
    fresh = type(store)()
    served, signed = asyncio.run(history(node(fresh, sealer), fresh, waits))
    for at, kid in signed:
        cached = [shown for when, shown in served if at - CACHE <= when <= at + LIFETIME]
        assert all(kid in shown for shown in cached)
    assert len({key.id for key in fresh.keys.values()}) == len(fresh.keys)
