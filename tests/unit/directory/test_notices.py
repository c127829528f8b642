"""How many subscriptions and tests there may be, whoever asks and however fast."""

import asyncio
import secrets

import msgspec
import pytest

from contract.store_kit import ACME, BETA
from keyturn.core.changes import RequireVersion
from keyturn.core.errors import Clash, OperatorError
from keyturn.core.notices import ORDER_KEPT, Channel
from keyturn.directory import notices as verbs
from unit.upkeep.told import ACTOR, Place

BOUND = msgspec.structs.replace(ACTOR, organisation_id=ACME)


class Waiting:
    """An ``Outbox`` that lets others run after each question, as one on a disk does."""

    def __init__(self, outbox):
        self._outbox = outbox
        self.asked = []

    def __getattr__(self, name):
        async def ask(*args, **kwargs):
            self.asked.append(name)
            found = await getattr(self._outbox, name)(*args, **kwargs)
            await asyncio.sleep(0)
            return found

        return ask


@pytest.fixture
async def place():
    """Two organisations, and an outbox that is as slow as others."""
    made = await Place.opened()
    made.store.outbox = Waiting(made.store.outbox)
    return made


async def at_once(count, do):
    """Do something many times in one moment; gives what was done, and in what words the rest was refused."""
    done = await asyncio.gather(*(do() for _ in range(count)), return_exceptions=True)
    assert all(isinstance(each, Clash) for each in done if isinstance(each, BaseException)), done
    return [each for each in done if not isinstance(each, Clash)]


async def test_a_limit_holds_in_one_moment(place, monkeypatch):
    """HT-10: requests that meet make no more subscriptions than one after the other; others' do not count."""
    monkeypatch.setattr(verbs, "MOST_LIVING", 2)
    await place.subscribe(organisation_id=BETA)
    made = await at_once(5, lambda: place.subscribe(actor=BOUND, organisation_id=ACME))
    listed = await verbs.list_subscriptions(BOUND, place.store.outbox)
    assert (len(made), len(listed)) == (2, 2)  # who meets others counts again, and is not sent away for it
    with pytest.raises(Clash, match="end one first"):
        await place.subscribe(actor=BOUND, organisation_id=ACME)


async def test_what_came_along_is_tried_once(place, monkeypatch):
    """A subscription that loses to something else, as a request that was sent twice does, is told at once."""
    stale = place.store.deployment.accompanied(RequireVersion("organisation", BETA, 7))
    monkeypatch.setattr(place.store, "deployment", stale)
    with pytest.raises(Clash):
        await place.subscribe(organisation_id=ACME)
    assert place.store.outbox.asked == ["subscriptions"]


async def test_ended_ones_count_for_a_month(place, monkeypatch):
    """TN-04: whoever makes and ends subscriptions all day does not make the list long that all share."""
    monkeypatch.setattr(verbs, "MOST_A_MONTH", 3)
    for _ in range(3):
        made, _secret = await place.subscribe(actor=BOUND, organisation_id=ACME)
        common = (BOUND, place.store.deployment, place.store.outbox)
        await verbs.end_subscription(*common, made.id, **place.common)
    with pytest.raises(Clash, match="within a month"):
        await place.subscribe(actor=BOUND, organisation_id=ACME)
    await place.subscribe()


async def test_one_test_is_on_its_way(place):
    """RL-01: one test of a subscription is on its way, however many ask; a later one goes past what stays."""
    made, _ = await place.subscribe(organisation_id=ACME)

    def test():
        common = (BOUND, place.store.deployment, place.store.outbox, made.id)
        return verbs.send_test(*common, now=place.clock.now(), dice=secrets.token_bytes)

    assert len(await at_once(5, test)) == 1
    assert await at_once(1, test) == []
    place.receiver.problem = "status 500"
    await place.run()
    assert await at_once(1, test) == []
    place.clock.advance(ORDER_KEPT.total_seconds())
    assert len(await at_once(3, test)) == 1
    place.receiver.problem = None
    await place.run()
    assert len(place.receiver.got) == 2
    assert len(await at_once(1, test)) == 1


async def test_a_mailbox_is_tested_now_and_then(place):
    """TN-04: whoever asks fast sends a mailbox four tests an hour, though each arrives at once."""
    made, _ = await place.subscribe("mail://ops@example.com", channel=Channel.MAIL, organisation_id=ACME)

    def test():
        common = (BOUND, place.store.deployment, place.store.outbox, made.id)
        return verbs.send_test(*common, now=place.clock.now(), dice=secrets.token_bytes)

    sent = []
    for _minute in range(60):
        sent += await at_once(1, test)
        await place.run()
        place.clock.advance(60)
    assert len(place.receiver.got) == len(sent) == 4


async def test_something_is_subscribed_to(place):
    """A subscription to nothing is refused."""
    with pytest.raises(OperatorError, match="at least one kind"):
        await place.subscribe(kinds=())


async def test_others_fill_no_page(place):
    """TN-02: whoever is confined reads its own of the outbox, however much of others' is newer."""
    for name in (ACME, BETA, None):
        made, _ = await place.subscribe(organisation_id=name)
        await verbs.send_test(ACTOR, place.store.deployment, place.store.outbox, made.id, **place.common)
        place.clock.advance(1)
        place.receiver.problem = "status 500"
        await place.run()
    [own] = await verbs.list_deliveries(BOUND, place.store.outbox, dead=False, limit=1)
    assert own.organisation_id == ACME
    assert await verbs.list_deliveries(BOUND, place.store.outbox, dead=False, limit=9, of=BETA) == []
