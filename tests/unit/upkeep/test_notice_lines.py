"""Notices to many: a receiver that is slow or away delays itself, and nobody else."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from contract.store_kit import ACME, BETA
from keyturn.core.errors import Unavailable
from keyturn.core.notices import GIVEN_UP_AFTER, NO_ANSWER, ORDER_KEPT, NotDelivered
from keyturn.core.reasons import Reason
from keyturn.upkeep.notices import (
    AT_ONCE,
    AT_ONCE_A_HOST,
    AT_ONCE_AN_ORGANISATION,
    LONGEST_RETRY,
    MOST_REFUSALS,
    RUN_SECONDS,
    wait_after,
)
from unit.upkeep.told import Place

FAST = "https://hooks.fast.example/in"
SLOW = "https://hooks.slow.example/in"
MINUTE = timedelta(minutes=1)
PATIENCE_SECONDS = 30.0
"""For what happens at once, on however busy a machine."""


class Receivers:
    """A ``Sender`` to many hosts: some are silent, away or refuse; it tells how many tries were under way."""

    def __init__(self):
        self.got = []
        self.asked = []
        self.silent = set()
        self.away = set()
        self.refusing = set()
        self.heard = asyncio.Condition()
        self.under_way = []
        self.most = self.most_a_host = 0
        self.on_send = None
        # Without a turn of the loop no deadline can be missed, however busy the machine is.
        self.turns = 0

    def is_allowed(self, channel, target, *, listed=False):
        return None

    def host_of(self, channel, target):
        return target.split("/")[2]

    async def send(self, notice, channel, target, secrets, now):
        host = self.host_of(channel, target)
        self.under_way.append(host)
        self.most = max(self.most, len(self.under_way))
        self.most_a_host = max(self.most_a_host, self.under_way.count(host))
        self.asked.append((notice.id, target))
        try:
            await self._answer(notice, target)
        finally:
            self.under_way.remove(host)

    async def _answer(self, notice, target):
        async with self.heard:
            self.heard.notify_all()
        for _ in range(self.turns):
            await asyncio.sleep(0)
        if self.on_send is not None:
            self.on_send()
        if target in self.silent:
            await asyncio.Event().wait()
        if target in self.away or notice.id in self.away:
            raise NotDelivered(NO_ANSWER, "the connection failed")
        if target in self.refusing or notice.id in self.refusing:
            raise NotDelivered("status 500")
        async with self.heard:
            self.got.append((notice.id, target))
            self.heard.notify_all()

    async def until(self, seen):
        """Wait for something to be seen here."""
        async with asyncio.timeout(PATIENCE_SECONDS), self.heard:
            await self.heard.wait_for(seen)

    def had(self, target):
        return [name for name, where in self.got if where == target]


class Ticking:
    """A place's clock that moves whenever it is read, as clocks do."""

    def __init__(self, clock):
        self.clock = clock

    def now(self):
        self.clock.advance(1e-6)
        return self.clock.now()

    def monotonic(self):
        return self.clock.monotonic()


@pytest.fixture
async def place():
    """Two organisations, and the job with many receivers; a try ends after a fiftieth of a second."""
    made = await Place.opened()
    made.receiver = Receivers()
    made.outgoing = msgspec.structs.replace(made.outgoing, sender=made.receiver, deadline_seconds=0.02)
    return made


async def subscribe_silent(place, targets):
    """Have one organisation subscribe targets that never answer, nor miss a deadline while a test runs."""
    place.outgoing = msgspec.structs.replace(place.outgoing, deadline_seconds=PATIENCE_SECONDS)
    for target in targets:
        place.receiver.silent.add(target)
        await place.subscribe(target, organisation_id=ACME)


async def stop(running):
    """Stop a run as a server that stops does."""
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_silent_host_delays_nobody_else(place):
    """Hosts that never answer hold back no notice of another organisation, nor a stop (RE-03)."""
    await subscribe_silent(place, [f"{SLOW}/{number}" for number in range(AT_ONCE)])
    await place.subscribe(FAST, organisation_id=BETA)
    for number in range(9):
        await place.leak(f"n{number}")
    await place.leak("z-beta", BETA)
    running = asyncio.create_task(place.run())
    await place.receiver.until(lambda: place.receiver.had(FAST) == ["z-beta"])
    assert not running.done()
    assert place.receiver.under_way == ["hooks.slow.example"] * AT_ONCE_A_HOST
    # A server that stops waits for none of them, and loses nothing.
    await stop(running)
    assert place.receiver.under_way == []
    waiting = await place.store.outbox.deliveries(dead=False, limit=999)
    assert len(waiting) == 9 * AT_ONCE


async def test_how_long_a_try_took_is_not_told(place):
    """HT-10: when a notice is tried again does not tell how long the receiver was waited for."""
    place.receiver.on_send = lambda: place.clock.advance(5)
    for number in range(AT_ONCE_A_HOST + 1):
        await place.subscribe(f"{SLOW}/{number}")
        place.receiver.away.add(f"{SLOW}/{number}")
    began = place.clock.now()
    await place.leak("n")
    await place.run()
    waiting = await place.store.outbox.deliveries(dead=False, limit=9)
    assert [each.next_at for each in waiting] == [began + wait_after(1)] * (AT_ONCE_A_HOST + 1)


async def test_a_silent_host_is_tried_once_a_run(place):
    """A try has a deadline, and who does not keep it is left for the run, however much waits."""
    place.receiver.silent.add(SLOW)
    await place.subscribe(SLOW)
    await place.subscribe(FAST)
    for number in range(9):
        await place.leak(f"n{number}")
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await place.run() == "9 new; 1 delayed, 9 delivered"
    [late] = [each for each in await place.store.outbox.deliveries(dead=False, limit=99) if each.tries]
    assert (late.notice_id, late.problem) == ("n0", "no answer: the time is over")
    assert await place.run() == "0 new; nothing to send"


async def test_no_more_than_so_many_at_once(place):
    """No more tries are under way than there are places, of all and to one host, and all are made."""
    place.outgoing = msgspec.structs.replace(place.outgoing, deadline_seconds=PATIENCE_SECONDS)
    place.receiver.turns = 9
    for number in range(AT_ONCE):
        await place.subscribe(f"https://hooks.h{number}.example/", organisation_id=(ACME, BETA)[number % 2])
    for number in range(9):
        await place.subscribe(f"{FAST}/{number}", organisation_id=BETA)
    for number in range(3):
        await place.leak(f"a{number}")
        await place.leak(f"b{number}", BETA)
    assert await place.run() == f"6 new; {3 * (AT_ONCE + 9)} delivered"
    assert (place.receiver.most, place.receiver.most_a_host) == (AT_ONCE, AT_ONCE_A_HOST)


async def test_order_within_a_subscription(place):
    """A subscription hears in order, across runs too: the later ones wait for one that is tried again."""
    place.outgoing = msgspec.structs.replace(place.outgoing, clock=Ticking(place.clock))
    await place.subscribe(FAST)
    names = []
    for number in (3, 1, 2):
        names.append(f"n{number}")
        await place.leak(names[-1])
        place.clock.advance(1)
    assert await place.run() == "3 new; 3 delivered"
    place.receiver.away.add(FAST)
    for name in ("n9", "n5"):
        await place.leak(name)
        await place.run()
        place.clock.advance(1)
    place.receiver.away.clear()
    assert await place.run() == "0 new; nothing to send"
    place.clock.advance(wait_after(1).total_seconds())
    await place.run()
    assert place.receiver.had(FAST) == [*names, "n9", "n5"]


async def test_a_notice_that_is_refused_steps_aside(place):
    """A notice that a receiver chokes on, and says so, holds back no later one."""
    await place.subscribe(FAST)
    place.receiver.refusing.add("bad")
    await place.leak("bad")
    await place.leak("good")
    assert await place.run() == "2 new; 1 delayed, 1 delivered"
    await place.leak("next")
    assert await place.run() == "1 new; 1 delivered"
    place.receiver.refusing.clear()
    place.clock.advance(wait_after(1).total_seconds())
    await place.run()
    assert place.receiver.had(FAST) == ["good", "next", "bad"]


@pytest.mark.parametrize("how", ["refusing", "away"])
async def test_many_that_are_never_taken_silence_no_other(place, how):
    """What a receiver chokes on, however much, comes behind what it was not asked to take yet (TN-04)."""
    await place.subscribe(FAST)
    for number in range(2 * MOST_REFUSALS):
        getattr(place.receiver, how).add(f"bad{number}")
        await place.leak(f"bad{number}")
    for _ in range(2 * MOST_REFUSALS):
        await place.run()
        place.clock.advance(ORDER_KEPT.total_seconds())
    assert len({name for name, _ in place.receiver.asked}) == 2 * MOST_REFUSALS
    place.clock.advance(LONGEST_RETRY.total_seconds())
    await place.leak("good")
    await place.run()
    assert place.receiver.had(FAST) == ["good"]


async def test_a_receiver_that_takes_nothing_is_asked_so_often(place):
    """A receiver that refuses all is asked a few times a run, however much waits (HT-10)."""
    await place.subscribe(FAST)
    place.receiver.refusing.add(FAST)
    for number in range(2 * MOST_REFUSALS + 1):
        await place.leak(f"n{number}")
    for asked in (MOST_REFUSALS, 2 * MOST_REFUSALS, 2 * MOST_REFUSALS + 1):
        await place.run()
        assert len(place.receiver.asked) == asked


async def test_a_notice_that_gets_no_answer_steps_aside(place):
    """A notice that is never answered holds back the later ones for a while, not until it is given up."""
    await place.subscribe(FAST)
    place.receiver.away.add("bad")
    await place.leak("bad")
    await place.run()
    await place.leak("good")
    waited = timedelta()
    while place.receiver.had(FAST) == [] and waited < GIVEN_UP_AFTER:
        waited += MINUTE
        place.clock.advance(MINUTE.total_seconds())
        await place.run()
    assert ORDER_KEPT <= waited <= ORDER_KEPT + MINUTE


async def test_what_was_sent_and_not_noted_is_sent_again(place):
    """A crash between sending and noting loses nothing: the notice is sent again, under the same id."""
    await place.subscribe(FAST)
    place.receiver.silent.add(SLOW)
    await place.subscribe(SLOW)
    await place.leak("n1")
    settle = place.store.outbox.settle

    async def break_down(delivery):
        raise Unavailable(Reason.STORE_UNAVAILABLE)

    place.store.outbox.settle = break_down
    with pytest.raises(Unavailable):
        await place.run()
    assert place.receiver.under_way == []
    place.store.outbox.settle = settle
    assert await place.run() == "0 new; 1 delayed, 1 delivered"
    assert place.receiver.had(FAST) == ["n1", "n1"]
    assert await place.run() == "0 new; nothing to send"


async def test_a_run_is_over_in_time(place):
    """A receiver that is slow and answers is left to the next run when this one has lasted long enough."""
    await place.subscribe(SLOW)
    for number in range(9):
        await place.leak(f"n{number}")
    place.receiver.on_send = lambda: place.clock.advance(RUN_SECONDS * 0.6)
    assert await place.run() == "9 new; 2 delivered"
    assert await place.run() == "0 new; 2 delivered"


async def test_a_line_that_is_too_old_is_given_up_together(place):
    """What was not taken for three days is given up, with all that is as old behind it, after one try."""
    place.receiver.away.add(SLOW)
    await place.subscribe(SLOW)
    for number in range(5):
        await place.leak(f"n{number}")
    await place.run()
    place.clock.advance((GIVEN_UP_AFTER + timedelta(minutes=1)).total_seconds())
    await place.leak("young")
    asked = len(place.receiver.asked)
    assert await place.run() == "1 new; 5 dead"
    assert len(place.receiver.asked) == asked + 1
    [young] = await place.store.outbox.deliveries(dead=False, limit=9)
    assert young.notice_id == "young"


async def test_one_organisation_leaves_places_to_others(place):
    """An organisation whose hosts are all slow, however many, has not every place (RE-03)."""
    await subscribe_silent(place, [f"https://hooks.h{number}.example/" for number in range(AT_ONCE)])
    await place.leak("a")
    await place.subscribe(FAST, organisation_id=BETA)
    for number in range(3):
        await place.leak(f"b{number}", BETA)
    running = asyncio.create_task(place.run())
    await place.receiver.until(lambda: len(place.receiver.had(FAST)) == 3)
    assert len(place.receiver.under_way) == AT_ONCE_AN_ORGANISATION
    await stop(running)
