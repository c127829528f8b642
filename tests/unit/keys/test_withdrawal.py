"""A key that leaked: withdrawn at once, whatever it was in its ring, and the rest goes on."""

import secrets
from datetime import UTC, datetime, timedelta

import pytest

from keyturn.core.errors import Fault, Unavailable
from keyturn.core.vocabulary import Algorithm, Reason
from keyturn.keys.ring import Rings
from keyturn.keys.schedule import PUBLISH_MARGIN, RETIRE_MARGIN, NotRotated

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
CACHE = timedelta(minutes=5)
LIFETIME = timedelta(minutes=10)
WAIT = CACHE + PUBLISH_MARGIN
SECOND = timedelta(seconds=1)
ES256 = Algorithm.ES256


@pytest.fixture
def node(store, sealer):
    """Make rings that a process would have on the store."""

    def make(cache=CACHE):
        return Rings(store, sealer, secrets.token_bytes, lambda _: (ES256,), jwks_cache=cache)

    return make


@pytest.fixture
def rings(node):
    return node()


async def turn(rings, now, lifetime=LIFETIME):
    return await rings.rotate(
        "acme", ES256, now, longest_lifetime=lifetime, actor="operator:root", request_id="r-1"
    )


async def withdraw(rings, key_id, now):
    return await rings.withdraw(
        "acme", key_id, now, longest_lifetime=LIFETIME, actor="operator:root", request_id="r-2"
    )


async def kids(rings, now):
    return [jwk["kid"] for jwk in await rings.published("acme", now)]


async def signs(rings, now):
    return (await rings.signer("acme", ES256, now)).key_id


async def test_the_current_key(rings, store):
    """TK-14: the current key leaves the key set at once, the next one signs, and a new next one is there."""
    leaked = await signs(rings, NOW)
    _, following = await kids(rings, NOW)
    gone = await withdraw(rings, leaked, NOW + SECOND)
    assert gone.was == "current"
    assert gone.signs_from <= NOW + SECOND
    assert leaked not in await kids(rings, NOW + SECOND)
    assert await signs(rings, NOW + SECOND) == following
    assert len(await kids(rings, NOW + SECOND)) == 2
    assert (store.audit[-1].kind, store.audit[-1].subject) == ("signing_key.withdrawn", leaked)
    assert await withdraw(rings, leaked, NOW + 2 * SECOND) is None
    later = NOW + WAIT + 2 * SECOND
    assert not isinstance(await turn(rings, later), NotRotated)
    assert leaked not in await kids(rings, later)


async def test_the_current_key_while_the_next_is_fresh(rings):
    """TK-14, HT-09: with a next key that no verifier knows yet nobody signs until all can know it."""
    await signs(rings, NOW)
    await turn(rings, NOW + SECOND)
    leaked = await signs(rings, NOW + SECOND)
    gone = await withdraw(rings, leaked, NOW + 2 * SECOND)
    assert gone.signs_from == NOW + SECOND + WAIT
    with pytest.raises(Unavailable) as caught:
        await rings.signer("acme", ES256, NOW + 3 * SECOND)
    assert caught.value.reason is Reason.KEY_UNAVAILABLE
    assert await signs(rings, gone.signs_from) in await kids(rings, gone.signs_from)
    again = await withdraw(rings, (await kids(rings, NOW + 3 * SECOND))[-1], NOW + 3 * SECOND)
    assert again.was == "next"  # in the gap, too, the next one has a successor
    assert not isinstance(await turn(rings, gone.signs_from + WAIT), NotRotated)


async def test_the_next_key(rings):
    """TK-14: the next key is replaced by a new one, which waits until verifiers can know it."""
    current = await signs(rings, NOW)
    _, leaked = await kids(rings, NOW)
    gone = await withdraw(rings, leaked, NOW + SECOND)
    assert (gone.was, gone.signs_from) == ("next", None)
    assert await signs(rings, NOW + SECOND) == current
    assert leaked not in await kids(rings, NOW + SECOND)
    rotated = await turn(rings, NOW + 2 * SECOND)
    assert rotated.active_at == NOW + SECOND + WAIT
    assert rotated.signing_key_id != leaked


async def test_a_key_that_is_about_to_sign(rings, store):
    """TK-14: where the scheduled key goes, the current one signs on, and stays for all that it signs."""
    await signs(rings, NOW)
    await turn(rings, NOW + SECOND)
    current = await signs(rings, NOW + SECOND)
    rotated = await turn(rings, NOW + 2 * SECOND)
    gone = await withdraw(rings, rotated.signing_key_id, NOW + 60 * SECOND)
    assert (gone.was, gone.signs_from) == ("scheduled", None)
    assert await signs(rings, rotated.active_at) == current
    handover = NOW + 2 * SECOND + WAIT  # of the key that was the next one then
    assert await signs(rings, handover) == rotated.next_key_id
    assert store.keys[current].retires_at == handover + LIFETIME + RETIRE_MARGIN


async def test_a_previous_key(rings):
    """TK-14: a previous key goes, and nothing else changes."""
    leaked = await signs(rings, NOW)
    await turn(rings, NOW + SECOND)
    before = await kids(rings, NOW + SECOND)
    assert (await withdraw(rings, leaked, NOW + 2 * SECOND)).was == "previous"
    assert await kids(rings, NOW + 2 * SECOND) == [kid for kid in before if kid != leaked]


async def test_a_node_that_is_behind(node):
    """TK-14, RE-07: another node, whose clock is 5 s behind, does not publish or use a withdrawn key."""
    rings, behind = node(), node()
    leaked = await signs(rings, NOW)
    _, following = await kids(rings, NOW)
    await withdraw(rings, leaked, NOW + timedelta(seconds=60))
    early = NOW + timedelta(seconds=55)
    assert leaked not in await kids(behind, early)
    assert await signs(behind, early) == following


async def test_a_withdrawal_that_loses_a_race_is_done_again(node, store, monkeypatch):
    """TK-14: where another node turned the ring meanwhile, the withdrawal is planned anew and done."""
    rings, other = node(), node()
    leaked, record = await signs(rings, NOW), store.record

    async def beaten(unit):
        monkeypatch.setattr(store, "record", record)
        await turn(other, NOW + SECOND)
        return await record(unit)

    monkeypatch.setattr(store, "record", beaten)
    assert (await withdraw(rings, leaked, NOW + SECOND)).was == "previous"
    assert leaked not in await kids(rings, NOW + SECOND)


# --- what servers promised ---


async def test_a_rotation_keeps_the_promises_of_servers(node, store):
    """TK-14: a process with shorter settings turns a ring by the longest that any server ever promised."""
    server, command = node(cache=timedelta(days=1)), node()
    await server.promise(timedelta(days=14), NOW)
    await node().promise(LIFETIME, NOW)  # a server with less takes nothing back
    await signs(command, NOW)
    await turn(command, NOW + SECOND)
    rotated = await turn(command, NOW + 2 * SECOND)
    assert rotated.active_at == NOW + SECOND + timedelta(days=1) + PUBLISH_MARGIN
    assert rotated.retires_at == rotated.active_at + timedelta(days=14) + RETIRE_MARGIN
    assert [event.kind for event in store.audit].count("signing_keys.promised") == 1


async def test_a_promise_that_was_altered(rings, store):
    """TK-14: who can write the store but has no master key shortens no promise: nothing is turned then."""
    await signs(rings, NOW)
    await rings.promise(LIFETIME, NOW)
    [place] = [place for place in store.values if place[0] == "key-promise"]
    kept = store.values.pop(place)
    store.values[place[0], "other"] = type(kept)(
        id="other", purpose=place[0], value=kept.value, created_at=NOW
    )
    with pytest.raises(Fault):
        await turn(rings, NOW + SECOND)


async def test_a_due_ring_is_told_again(store, sealer):
    """TK-14: a ring that nobody turned although it is due is told again after an hour, not at each look."""
    rings = Rings(
        store,
        sealer,
        secrets.token_bytes,
        lambda _: (ES256,),
        jwks_cache=CACHE,
        rotate_after=timedelta(days=1),
    )
    await signs(rings, NOW)
    now = NOW + timedelta(days=2)
    await signs(rings, now)
    due = [("acme", ES256)]
    assert [rings.take_due(now), rings.take_due(now + SECOND)] == [due, []]
    assert rings.take_due(now + timedelta(hours=1)) == due
