"""The store's contract for notices: one suite for every store."""

from datetime import timedelta

import msgspec
import pytest

from contract.store_kit import ACME, BETA, NOW, credential, next_version, open_at, organisation, seed, unit
from keyturn.core.changes import Add, Recorded
from keyturn.core.life import Life
from keyturn.core.notices import (
    MAILS_USED_UP,
    ORDER_KEPT,
    Channel,
    Delivery,
    Happening,
    MailKind,
    Subscription,
    delivery_id,
    expiry_id,
    id_of_test,
    make_notice,
)

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
async def store(place):
    """A store of each kind with an organisation, a client and its secret."""
    made = await open_at(place)
    await seed(made)
    yield made
    await made.close()


def notice(name="notice-1", organisation_id=ACME, **details):
    """Make a notice."""
    return make_notice(name, Happening.LEAKED, organisation_id, NOW, **details)


def subscription(name="sub-1", **fields):
    """Make a subscription with everything in it."""
    members = {
        "id": name,
        "organisation_id": ACME,
        "channel": Channel.WEBHOOK,
        "target": "https://hooks.example.com/in",
        "kinds": ("credential.leaked",),
        "created_at": NOW,
        "secret": b"sealed",
        "previous_until": NOW + DAY,
    }
    return Subscription(**(members | fields))


def delivery(name="d-1", **fields):
    """Make a delivery that is due."""
    members = {
        "id": name,
        "notice_id": "notice-1",
        "subscription_id": "sub-1",
        "organisation_id": ACME,
        "created_at": NOW,
        "expires_at": NOW + 30 * DAY,
        "next_at": NOW,
    }
    return Delivery(**(members | fields))


async def record(store, *changes, **fields):
    """Commit changes."""
    return await store.recorder.record(unit(*changes, **fields))


async def test_what_was_told_is_told(store):
    """A notice is in its unit or nowhere, and a second one by its id changes nothing and loses nothing."""
    assert await record(store, Add(notice(kind="client_secret"))) == Recorded()
    assert await record(store, Add(notice(kind="other")), Add(notice("notice-2"))) == Recorded()
    assert await store.outbox.notice("notice-1") == notice(kind="client_secret")
    assert [each.id for each in await store.outbox.unspread(10)] == ["notice-1", "notice-2"]
    lost = next_version(credential("nobody"))
    assert await record(store, Add(notice("notice-3")), lost, lost=True) != Recorded()
    assert await store.outbox.notice("notice-3") is None


async def test_deliveries_are_made_once_and_settled(store):
    """A notice is spread once; its deliveries are due by their time, and settled ones no more."""
    await record(store, Add(subscription()), Add(notice()))
    assert list(await store.outbox.subscriptions()) == [subscription()]
    for _ in range(2):
        await store.outbox.spread(notice(), [delivery(), delivery("d-2", next_at=NOW + DAY)], NOW)
    assert await store.outbox.unspread(10) == []
    assert await store.outbox.due_deliveries(NOW, 10) == [delivery()]
    assert await store.outbox.depth() == (2, NOW)
    dead = msgspec.structs.replace(delivery(), next_at=None, dead_at=NOW, tries=3, problem="status 500")
    await store.outbox.settle(dead)
    assert await store.outbox.due_deliveries(NOW, 10) == []
    assert await store.outbox.deliveries(dead=True, limit=10) == [dead]
    assert [each.id for each in await store.outbox.deliveries(dead=False, limit=10)] == ["d-2"]
    assert await store.outbox.depth() == (1, NOW)


async def test_what_is_due_takes_turns(store):
    """The first due of each subscription come first, those that nobody failed before the failing."""
    made = [
        delivery("a2", subscription_id="a", created_at=NOW - DAY, tries=2, next_at=NOW - 2 * SECOND),
        delivery("a1", subscription_id="a", created_at=NOW - 2 * DAY),
        delivery("b1", subscription_id="b", next_at=NOW - SECOND),
        delivery("b2", subscription_id="b", created_at=NOW + SECOND),
        delivery("c1", subscription_id="c"),
    ]
    await record(store, Add(notice()))
    await store.outbox.spread(notice(), made, NOW)
    due = [each.id for each in await store.outbox.due_deliveries(NOW, 10)]
    assert due == ["b1", "c1", "a1", "b2", "a2"]
    assert [each.id for each in await store.outbox.due_deliveries(NOW, 3)] == due[:3]


async def test_a_later_one_waits_for_an_older_one(store):
    """What is tried again holds back the later ones of its subscription, for a while and no others."""
    made = [
        delivery("a1", subscription_id="a", created_at=NOW - ORDER_KEPT),
        delivery("a2", subscription_id="a", created_at=NOW - SECOND, tries=1, next_at=NOW + DAY),
        delivery("a3", subscription_id="a"),
        delivery("b1", subscription_id="b"),
    ]
    await record(store, Add(notice()))
    await store.outbox.spread(notice(), made, NOW)
    for after, names in ((0 * SECOND, ["b1", "a1"]), (ORDER_KEPT - SECOND, ["b1", "a1", "a3"])):
        due = await store.outbox.due_deliveries(NOW + after, 10)
        assert [each.id for each in due] == names


async def test_a_refused_one_comes_behind(store):
    """What was refused, put off or is old holds nothing back; if it was tried, it comes behind the fresh."""
    hour = {"next_at": NOW + HOUR}
    made = [
        delivery("a0", created_at=NOW - ORDER_KEPT, tries=9),
        delivery("a1", created_at=NOW - 9 * SECOND, tries=1, problem="status 500"),
        delivery("a2", created_at=NOW - 8 * SECOND, tries=1, problem="status 500", **hour),
        delivery("a3", created_at=NOW - 7 * SECOND, tries=1, problem=MAILS_USED_UP, **hour),
        delivery("a4", created_at=NOW - 6 * SECOND, tries=1, problem="no answer"),
        delivery("a5", created_at=NOW - 5 * SECOND),
        delivery("a6", created_at=NOW - 4 * SECOND, tries=1, problem="no answer", **hour),
        delivery("a7", created_at=NOW - 3 * SECOND),
        delivery("a8", created_at=NOW - 2 * SECOND, tries=1, problem="status 500"),
    ]
    await record(store, Add(notice()))
    await store.outbox.spread(notice(), made, NOW)
    due = await store.outbox.due_deliveries(NOW, 10)
    assert [each.id for each in due] == ["a4", "a5", "a0", "a1"]


async def test_mails_of_a_day_are_counted(store):
    """TN-04: taken mails are counted from an instant on, by owner, organisation told of and kind."""
    mail = {"channel": Channel.MAIL, "secret": None, "previous_until": None}
    leak, shared = notice(), make_notice("notice-2", Happening.KEY_ROTATED, None, NOW)
    await record(
        store,
        Add(subscription()),
        Add(subscription("own", **mail)),
        Add(subscription("gone", ended_at=NOW, **mail)),
        Add(subscription("all", organisation_id=None, **mail)),
        Add(leak),
        Add(shared),
    )
    taken, deployments = {"next_at": None, "delivered_at": NOW}, {"organisation_id": None}
    made = [
        delivery("webhook", **taken),
        delivery("a1", subscription_id="own", **taken),
        delivery("a2", subscription_id="gone", **taken),
        delivery("early", subscription_id="own", next_at=None, delivered_at=NOW - SECOND),
        delivery("dead", subscription_id="own", next_at=None, dead_at=NOW),
        delivery("waits", subscription_id="own"),
        delivery("d1", subscription_id="all", **taken, **deployments),
        delivery("d2", subscription_id="all", notice_id="notice-2", **taken, **deployments),
    ]
    await store.outbox.spread(leak, made, NOW)
    of_leaks, of_rings = str(Happening.LEAKED), str(Happening.KEY_ROTATED)
    assert await store.outbox.mails(NOW) == {
        MailKind(ACME, ACME, of_leaks): 2,
        MailKind(None, ACME, of_leaks): 1,
        MailKind(None, None, of_rings): 1,
    }
    assert await store.outbox.mails(NOW + SECOND) == {}


async def test_each_organisation_reads_its_own(store):
    """TN-02: subscriptions and deliveries are read of one organisation or of all, in pages, newest first."""
    made = [
        delivery("a1", created_at=NOW - SECOND),
        delivery("a2"),
        delivery("a3"),
        delivery("b1", organisation_id=None),
        delivery("a4", next_at=None, dead_at=NOW),
    ]
    await record(store, Add(subscription()), Add(subscription("sub-2", organisation_id=None)), Add(notice()))
    await store.outbox.spread(notice(), made, NOW)
    assert [each.id for each in await store.outbox.subscriptions()] == ["sub-1", "sub-2"]
    assert [each.id for each in await store.outbox.subscriptions(ACME)] == ["sub-1"]
    asked = store.outbox.deliveries
    assert [each.id for each in await asked(dead=False, limit=9)] == ["b1", "a3", "a2", "a1"]
    assert [each.id for each in await asked(dead=False, limit=2, of=ACME)] == ["a3", "a2"]
    rest = await asked(dead=False, limit=9, of=ACME, before=(NOW, "a2"))
    assert [each.id for each in rest] == ["a1"]
    assert [each.id for each in await asked(dead=True, limit=9, of=ACME)] == ["a4"]


async def test_a_test_is_on_its_way(store):
    """A test is on its way from when it is written until it is delivered or given up, or too old to count."""
    of_one, of_other = (notice(id_of_test(name, "x")) for name in ("sub-1", "sub-10"))
    sent = delivery(delivery_id(of_one.id, "sub-1"), notice_id=of_one.id)
    asked = store.outbox.has_test
    await record(store, Add(of_other), Add(notice()))
    assert not await asked("sub-1", NOW - SECOND)
    await record(store, Add(of_one))
    assert await asked("sub-1", NOW - SECOND)
    assert not await asked("sub-1", NOW)
    await store.outbox.spread(of_one, [sent], NOW)
    assert await asked("sub-1", NOW - SECOND)
    await store.outbox.settle(msgspec.structs.replace(sent, next_at=None, delivered_at=NOW))
    assert not await asked("sub-1", NOW - SECOND)
    assert await asked("sub-1", NOW - SECOND, settled=True)
    assert not await asked("sub-1", NOW, settled=True)
    assert not await asked("sub-2", NOW - SECOND, settled=True)


async def test_what_will_expire_is_told_once(store):
    """Living credentials that expire in a time are found until their threshold was told."""
    for name, life in {
        "soon": Life(created_at=NOW, expires_at=NOW + 3 * DAY),
        "later": Life(created_at=NOW, expires_at=NOW + 9 * DAY),
        "over": Life(created_at=NOW, expires_at=NOW),
        "ended": Life(created_at=NOW, expires_at=NOW + 3 * DAY).ended(NOW, "test"),
    }.items():
        await record(store, Add(credential(name, life=life, lookup_hash=name.encode())))
    found = await store.outbox.expiring(NOW, NOW + 7 * DAY, "7", 10)
    assert [each.id for each in found] == ["soon"]
    await record(store, Add(notice(expiry_id("soon", "7"))))
    assert await store.outbox.expiring(NOW, NOW + 7 * DAY, "7", 10) == []
    assert len(await store.outbox.expiring(NOW, NOW + 7 * DAY, "3", 10)) == 1


async def test_no_organisation_hides_what_others_lose(store):
    """TN-04: of each organisation the first to expire is found before the second of any, however many."""
    await record(store, Add(organisation(BETA)), organisation_id=BETA)
    for name, organisation_id, hours in (("a1", ACME, 1), ("a2", ACME, 2), ("a3", ACME, 3), ("b1", BETA, 9)):
        life = Life(created_at=NOW, expires_at=NOW + hours * HOUR)
        made = credential(name, organisation_id=organisation_id, life=life, lookup_hash=name.encode())
        await record(store, Add(made), organisation_id=organisation_id)
    found = await store.outbox.expiring(NOW, NOW + DAY, "1", 3)
    assert [each.id for each in found] == ["a1", "b1", "a2"]


async def test_an_organisation_leaves_none(store):
    """TN-05: subscriptions, notices and deliveries of an organisation are among what its deletion removes."""
    await record(store, Add(subscription()), Add(notice()))
    await store.outbox.spread(notice(), [delivery()], NOW)
    counts = await store.deployment.organisation_store(ACME).leftover_counts()
    told = {name: count for name, count in counts.items() if name.startswith("notice")}
    assert told == {"notice_subscriptions": 1, "notices": 1, "notice_deliveries": 1}
