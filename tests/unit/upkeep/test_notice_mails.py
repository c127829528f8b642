"""How many mails of a day there are: no more than set, none lost, and nobody's at another's cost."""

import logging
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from contract.store_kit import ACME, BETA
from keyturn.core.changes import Add
from keyturn.core.notices import GIVEN_UP_AFTER, MAILS_USED_UP, Channel, Happening, make_notice
from keyturn.directory import notices as verbs
from keyturn.upkeep.notices import Outgoing
from unit.upkeep.told import ACTOR, Place

DAY = timedelta(days=1)


@pytest.fixture
async def place():
    """Two organisations, and two mails a day of each kind."""
    made = await Place.opened()
    made.outgoing = msgspec.structs.replace(made.outgoing, mails_a_day=2)
    return made


async def mail(place, name, organisation_id=ACME):
    """Subscribe a mailbox."""
    made, _ = await place.subscribe(f"mail://{name}", channel=Channel.MAIL, organisation_id=organisation_id)
    return made


def had(place, name):
    """Give what a mailbox has."""
    return [notice for notice, target, _ in place.receiver.got if target == f"mail://{name}"]


async def waiting(place):
    """Give what waits: to when, and why."""
    found = await place.store.outbox.deliveries(dead=False, limit=99)
    return {(each.next_at, each.tries, each.problem) for each in found}


def midnight(place):
    """Give when the day ends."""
    return datetime.combine(place.clock.now().date() + DAY, datetime.min.time(), UTC)


async def test_no_more_than_so_many_a_day(place, caplog):
    """TN-04: an organisation's subscriptions share the mails of a day; the rest waits, and says so."""
    await mail(place, "a")
    await mail(place, "b")
    for number in range(3):
        await place.leak(f"n{number}")
    with caplog.at_level(logging.WARNING):
        assert await place.run() == "3 new; 2 delivered, 4 postponed"
    assert "4 mails put off until tomorrow: notices.mails_a_day" in caplog.text
    assert await waiting(place) == {(midnight(place), 0, MAILS_USED_UP)}
    assert await place.run() == "0 new; nothing to send"
    for _ in range(2):
        place.clock.advance((midnight(place) - place.clock.now()).total_seconds())
        await place.run()
    assert had(place, "a") == had(place, "b") == ["n0", "n1", "n2"]
    assert place.tallies.outcomes == {"delivered": 6, "postponed": 4 + 2}


async def test_a_day_outlasts_a_process(place):
    """TN-04: who sends next, after a restart or in another worker, goes on with the same number."""
    subscription = await mail(place, "a")
    names = {name: getattr(place.outgoing, name) for name in Outgoing.__struct_fields__}
    for number in range(3):
        await place.leak(f"n{number}")
        await Outgoing(**names).work(place.clock.now())
    assert had(place, "a") == ["n0", "n1"]
    # Nor does an end and a new beginning help.
    common = (ACTOR, place.store.deployment, place.store.outbox)
    await verbs.end_subscription(*common, subscription.id, **place.common)
    await mail(place, "b")
    await place.leak("n4")
    await place.run()
    assert had(place, "b") == []


async def test_nobody_uses_up_anothers(place):
    """TN-04: another organisation, or kind of notice, uses up no mails, those to the operator included."""
    await mail(place, "acme")
    await mail(place, "beta", BETA)
    await mail(place, "all", None)
    for number in range(9):
        locked = make_notice(f"l{number}", Happening.LOCKED_OUT, ACME, place.clock.now())
        await place.record(Add(locked))
    await place.run()
    await place.leak("a")
    await place.leak("b", BETA)
    await place.run()
    assert had(place, "acme") == ["l0", "l1", "a"]
    assert had(place, "beta") == ["b"]
    assert had(place, "all") == ["l0", "l1", "a", "b"]


async def test_one_that_failed_before_waits_alone(place):
    """TN-04: a mail that failed and is then put off to the next day holds back none of another kind."""
    await mail(place, "a")
    await mail(place, "b")
    place.receiver.problem = "the mail server has not taken it"
    for number in range(2):
        locked = make_notice(f"l{number}", Happening.LOCKED_OUT, ACME, place.clock.now())
        await place.record(Add(locked))
        await place.run()
    place.receiver.problem = None
    place.clock.advance(60)
    assert await place.run() == "0 new; 2 delivered, 2 postponed"
    await place.leak("leak")
    assert await place.run() == "1 new; 2 delivered"


async def test_webhooks_and_failures_use_up_none(place):
    """What is no mail, or was not taken, is not counted, in the same run neither."""
    for name in ("broken-1", "broken-2", "beta"):
        await mail(place, name, BETA)
    await place.leak("b", BETA)
    assert await place.run() == "1 new; 2 delayed, 1 delivered"
    assert had(place, "beta") == ["b"]
    await place.subscribe(organisation_id=ACME)
    await mail(place, "a")
    place.receiver.problem = "the mail server has not taken it"
    for number in range(3):
        await place.leak(f"n{number}")
    await place.run()
    place.receiver.problem = None
    place.clock.advance(60)
    await place.run()
    assert len(had(place, "a")) == 2
    assert len(place.receiver.got) == 1 + 3 + 2


async def test_what_waits_too_long_is_given_up_in_the_open(place):
    """A mail that no day has room for is given up after three days, shown with its reason, and audited."""
    await mail(place, "a")
    for number in range(12):
        await place.leak(f"n{number:02}")
    for _ in range(GIVEN_UP_AFTER // DAY + 2):
        last = await place.run()
        place.clock.advance((midnight(place) - place.clock.now()).total_seconds())
    assert last == "0 new; 2 dead, 2 delivered"
    assert had(place, "a") == [f"n{number:02}" for number in range(10)]
    dead = await verbs.list_deliveries(ACTOR, place.store.outbox, dead=True, limit=9)
    assert [(each.notice_id, each.problem) for each in dead] == [
        ("n11", MAILS_USED_UP),
        ("n10", MAILS_USED_UP),
    ]
    rows = await place.store.deployment.audit_rows(limit=99)
    assert [row.subject for row in rows if row.kind == "notice.undelivered"] == ["n10", "n11"]
