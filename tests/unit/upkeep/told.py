"""A store with two organisations and the job that tells others, for tests of notices."""

import secrets

from contract.store_kit import ACME, BETA, PlainSealer, organisation, unit
from harness import HandClock
from keyturn.core.actors import operator
from keyturn.core.changes import Add, Recorded
from keyturn.core.notices import Channel, Happening, NotDelivered, Tallies, make_notice
from keyturn.directory import notices as verbs
from keyturn.directory.notices import SubscriptionWish
from keyturn.storage.memory import MemoryStore
from keyturn.upkeep.notices import Outgoing

URL = "https://hooks.example.com/in"
ACTOR = operator("test")


class Receiver:
    """A ``Sender`` that keeps what it is given, or refuses it."""

    def __init__(self):
        self.got = []
        self.problem = None

    def is_allowed(self, channel, target, *, listed=False):
        return None if target.startswith("https://hooks.") or channel is Channel.MAIL else "not listed"

    def host_of(self, channel, target):
        return target.split("/")[2]

    async def send(self, notice, channel, target, secrets, now):
        if self.problem is not None:
            raise NotDelivered(self.problem)
        if "broken" in target:
            raise RuntimeError
        self.got.append((notice.id, target, tuple(secrets)))


class Place:
    """A store with two organisations, and the jobs about notices."""

    def __init__(self):
        self.clock = HandClock()
        self.store = MemoryStore(PlainSealer(), self.clock, secrets.token_bytes)
        self.receiver = Receiver()
        self.tallies = Tallies()
        self.common = {"now": self.clock.now(), "dice": secrets.token_bytes}
        self.outgoing = Outgoing(
            outbox=self.store.outbox,
            sender=self.receiver,
            sealer=PlainSealer(),
            trail=self.store.deployment,
            clock=self.clock,
            dice=secrets.token_bytes,
            tallies=self.tallies,
            mails_a_day=200,
        )

    async def run(self):
        return await self.outgoing.work(self.clock.now())

    async def record(self, *changes, organisation_id=ACME):
        made = unit(*changes, organisation_id=organisation_id)
        assert await self.store.recorder.record(made) == Recorded()

    async def subscribe(self, target=URL, actor=ACTOR, **fields):
        wish = SubscriptionWish(**({"channel": Channel.WEBHOOK, "target": target} | fields))
        return await verbs.create_subscription(
            actor,
            self.store.deployment,
            self.store.outbox,
            wish,
            sender=self.receiver,
            sealer=PlainSealer(),
            **self.common,
        )

    async def leak(self, name, organisation_id=ACME):
        notice = make_notice(name, Happening.LEAKED, organisation_id, self.clock.now(), kind="x")
        await self.record(Add(notice), organisation_id=organisation_id)

    @classmethod
    async def opened(cls):
        made = cls()
        for each in (organisation(), organisation(BETA)):
            await made.record(Add(each), organisation_id=each.id)
        return made
