"""Notices on their way: who gets them, what is tried again, and what is given up."""

import secrets
from datetime import timedelta

import msgspec
import pytest

from contract.store_kit import ACME, BETA, PlainSealer, credential
from keyturn.core.changes import Add
from keyturn.core.errors import Clash, NothingThere, OperatorError
from keyturn.core.life import Life
from keyturn.core.notices import (
    GIVEN_UP_AFTER,
    Happening,
    Noticed,
    make_notice,
    spell_webhook_secret,
)
from keyturn.directory import notices as verbs
from keyturn.upkeep import notices as jobs
from keyturn.upkeep.notices import Expiry, Noticing, wait_after
from unit.upkeep.told import ACTOR, URL, Place


@pytest.fixture
async def place():
    """Such a place."""
    return await Place.opened()


async def test_everybody_hears_of_their_own(place):
    """TN-02: an organisation's subscription hears of that organisation, a deployment's of all, once each."""
    _, secret = await place.subscribe(organisation_id=ACME)
    await place.subscribe("https://hooks.all.example/", kinds=("credential.leaked",))
    await place.subscribe("https://hooks.none.example/", kinds=("lockout.began",))
    await place.leak("n1")
    await place.leak("n2", BETA)
    for _ in range(2):
        await place.run()
    assert sorted((name, target) for name, target, _ in place.receiver.got) == [
        ("n1", "https://hooks.all.example/"),
        ("n1", URL),
        ("n2", "https://hooks.all.example/"),
    ]
    [[signing]] = [keys for _, target, keys in place.receiver.got if target == URL]
    assert spell_webhook_secret(signing).reveal() == secret.reveal()
    assert place.tallies.outcomes == {"delivered": 3}


async def test_tried_again_until_given_up(place):
    """What is not taken is tried again, more and more seldom, then given up, shown and audited."""
    await place.subscribe()
    await place.leak("n1")
    place.receiver.problem = "status 500"
    assert await place.run() == "1 new; 1 delayed"
    assert await place.run() == "0 new; nothing to send"
    [waiting] = await place.store.outbox.deliveries(dead=False, limit=9)
    assert (waiting.tries, waiting.problem) == (1, "status 500")
    assert place.tallies.depth == 1
    place.clock.advance(wait_after(1).total_seconds())
    assert await place.run() == "0 new; 1 delayed"
    place.clock.advance(GIVEN_UP_AFTER.total_seconds())
    assert await place.run() == "0 new; 1 dead"
    [dead] = await verbs.list_deliveries(ACTOR, place.store.outbox, dead=True, limit=9)
    assert (dead.tries, dead.problem) == (3, "status 500")
    rows = await place.store.deployment.audit_rows(limit=99)
    assert [row.details["problem"] for row in rows if row.kind == "notice.undelivered"] == ["status 500"]
    place.receiver.problem = None
    place.clock.advance(GIVEN_UP_AFTER.total_seconds())
    assert await place.run() == "0 new; nothing to send"


async def test_one_target_that_breaks_us(place):
    """A target that we fail at in a way nobody thought of does not keep others from being told."""
    await place.subscribe("https://hooks.broken.example/")
    await place.subscribe()
    await place.leak("n1")
    assert await place.run() == "1 new; 1 delayed, 1 delivered"
    [waiting] = await place.store.outbox.deliveries(dead=False, limit=9)
    assert waiting.problem == "a fault of ours: RuntimeError"


async def test_two_secrets_sign_for_a_day(place):
    """After a rotation a message is signed by the new secret and the old one, a day later by the new one."""
    subscription, first = await place.subscribe()
    asked = (ACTOR, place.store.deployment, place.store.outbox, subscription.id)
    _, second = await verbs.rotate_subscription(*asked, sealer=PlainSealer(), **place.common)
    with pytest.raises(Clash):
        await verbs.rotate_subscription(*asked, sealer=PlainSealer(), **place.common)
    await verbs.send_test(*asked, **place.common)
    await place.run()
    place.clock.advance(timedelta(days=1).total_seconds())
    await verbs.send_test(*asked, now=place.clock.now(), dice=secrets.token_bytes)
    await place.run()
    spelled = [[spell_webhook_secret(key).reveal() for key in keys] for *_, keys in place.receiver.got]
    assert spelled == [[second.reveal(), first.reveal()], [second.reveal()]]


async def test_an_ended_subscription_hears_nothing(place):
    """What waits for a subscription that ended is given up, and its secrets are gone."""
    subscription, _ = await place.subscribe()
    await place.leak("n1")
    place.receiver.problem = "status 500"
    await place.run()
    ended = await verbs.end_subscription(
        ACTOR, place.store.deployment, place.store.outbox, subscription.id, **place.common
    )
    assert ended.secret is None
    place.receiver.problem = None
    place.clock.advance(wait_after(1).total_seconds())
    assert await place.run() == "0 new; 1 dead"
    assert place.receiver.got == []


async def test_who_may_subscribe_to_what(place):
    """TN-02: an actor of one organisation subscribes to that one only, and sees no other's subscriptions."""
    confined = msgspec.structs.replace(ACTOR, organisation_id=BETA)
    made, _ = await place.subscribe(organisation_id=ACME)
    for reach in (None, ACME):
        with pytest.raises(NothingThere):
            await place.subscribe(actor=confined, organisation_id=reach)
    assert await verbs.list_subscriptions(confined, place.store.outbox) == []
    with pytest.raises(NothingThere):
        await verbs.show_subscription(confined, place.store.outbox, made.id)
    with pytest.raises(OperatorError, match="not listed"):
        await place.subscribe("https://elsewhere.example/")


async def test_expiry_is_told_at_each_threshold(place):
    """A credential that will expire is told of once at each threshold, and not at those it has passed."""
    now = place.clock.now()
    life = Life(created_at=now, expires_at=now + timedelta(days=5))
    await place.record(Add(credential(life=life)))
    job = Expiry(
        outbox=place.store.outbox, trail=place.store.deployment, dice=secrets.token_bytes, days=(30, 7, 1)
    )
    assert await job.work(now) == "told of 1 credential"
    assert await job.work(now) == "told of 0 credentials"
    assert await job.work(now + timedelta(days=4, hours=1)) == "told of 1 credential"
    told = await place.store.outbox.unspread(9)
    assert [each.details["days"] for each in told] == ["7", "1"]


async def test_one_organisation_silences_no_other(place, monkeypatch):
    """TN-04: who has more secrets that expire than a run tells of silences no other, at no threshold."""
    monkeypatch.setattr(jobs, "MOST_A_RUN", 2)
    monkeypatch.setattr(jobs, "PAGE", 2)
    now = place.clock.now()
    wanted = [(ACME, f"a{days}-{n}", days) for days in (1, 7) for n in range(5)]
    wanted += [(BETA, f"b{days}", days) for days in (1, 7)]
    for of, name, days in wanted:
        life = Life(created_at=now, expires_at=now + timedelta(days=days) - timedelta(hours=of == ACME))
        made = credential(name, organisation_id=of, life=life, lookup_hash=name.encode())
        await place.record(Add(made), organisation_id=of)
    outbox = place.store.outbox
    job = Expiry(outbox=outbox, trail=place.store.deployment, dice=secrets.token_bytes, days=(7, 1))
    assert await job.work(now) == "told of 4 credentials"
    assert {each.details["subject"] for each in await outbox.unspread(9)} == {"a1-0", "b1", "a7-0", "b7"}


async def test_what_a_process_noticed_is_written_once(place):
    """What is noticed outside a unit is written by the chore, once, and bounded while it waits."""
    noticed = Noticed()
    chore = Noticing(noticed=noticed, trail=place.store.deployment, dice=secrets.token_bytes)
    lock = make_notice("lockout:x", Happening.LOCKED_OUT, ACME, place.clock.now(), user="u-1")
    for _ in range(2):
        noticed.note(lock)
        await chore.work()
    rows = await place.store.deployment.audit_rows(limit=99)
    assert [row.subject for row in rows if row.kind == "lockout.began"] == ["u-1"]
    assert await place.store.outbox.notice("lockout:x") == lock
