"""Keys that rotate by themselves: whatever happens when, no verifier ever meets a key it was not shown."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from harness import HandClock
from keyturn.core.vocabulary import Algorithm
from keyturn.keys.ring import Rings
from keyturn.keys.schedule import Rotated
from keyturn.keys.sealing import MasterKey, MasterSealer
from keyturn.storage.memory import MemoryStore
from keyturn.upkeep.rotation import Rotation

ES256 = Algorithm.ES256
CACHE = timedelta(minutes=5)
LIFETIME = timedelta(days=14)
ROTATE = timedelta(days=3)
ISSUERS = ("acme", "zeta")
START = datetime(2026, 3, 1, tzinfo=UTC)

STEPS = st.lists(
    st.tuples(
        st.sampled_from([1, 30, 3600, 40_000, 86_400, 3 * 86_400, 20 * 86_400]),
        st.sampled_from(["sign", "sign", "note and turn", "operator turns"]),
        st.integers(0, 1),  # which node
        st.sampled_from(ISSUERS),
    ),
    min_size=1,
    max_size=30,
)


class World:
    """Two nodes on one store; a note of every key set served and of every signature."""

    def __init__(self):
        self.clock = HandClock(START)
        dice = random.Random(1).randbytes  # noqa: S311  # a test repeats itself
        sealer = MasterSealer(MasterKey.generate(dice), dice)
        self.store = MemoryStore(sealer, self.clock, dice)
        self.nodes = [self.node(sealer, dice) for _ in range(2)]
        self.served = []
        self.signed = []

    def node(self, sealer, dice):
        rings = Rings(
            self.store.deployment,
            sealer,
            dice,
            lambda _: (ES256,),
            jwks_cache=CACHE,
            rotate_after=ROTATE,
        )
        self.store.feed.on_change(
            lambda topic, key: rings.invalidate(key) if topic == "signing_key" else None
        )

        async def turn(issuer_id, algorithm, now, *, only_if_due=True):
            turned = await rings.rotate(
                issuer_id,
                algorithm,
                now,
                longest_lifetime=LIFETIME,
                actor="system:keys",
                request_id="r",
                only_if_due=only_if_due,
            )
            return isinstance(turned, Rotated)

        return rings, Rotation(rings, self.store.upkeep, turn, self.clock), turn

    async def step(self, what, number, issuer):
        rings, rotation, turn = self.nodes[number]
        now = self.clock.now()
        for each in ISSUERS:
            kids = frozenset(jwk["kid"] for jwk in await rings.published(each, now))
            self.served.append((now, each, kids))
        if what == "sign":
            self.signed.append((now, issuer, (await rings.signer(issuer, ES256, now)).key_id))
        elif what == "operator turns":
            await turn(issuer, ES256, now, only_if_due=False)
        else:
            await rotation.note()
            await rotation.work(now)

    def check(self):
        """Every cached or later fetched key set has the key of every token that is still good."""
        for at, issuer, kid in self.signed:
            for when, whose, kids in self.served:
                if whose == issuer and at - CACHE <= when < at + LIFETIME:
                    assert kid in kids


@given(STEPS)
@settings(max_examples=60)
def test_no_token_is_signed_by_a_key_that_a_verifier_lacks(steps):
    """TK-14: across automatic and asked rotations on two nodes the signer is in every key set that counts."""

    async def walk():
        world = World()
        for seconds, what, number, issuer in steps:
            world.clock.advance(seconds)
            await world.step(what, number, issuer)
        world.check()

    asyncio.run(walk())


async def test_a_ring_in_use_turns_and_an_idle_one_waits():
    """TK-14: an old key's ring turns once it is used, once; a ring that nobody uses is not even looked at."""
    world = World()
    rings, rotation, _ = world.nodes[0]
    for issuer in ISSUERS:
        await rings.signer(issuer, ES256, world.clock.now())
    first = (await rings.signer("acme", ES256, world.clock.now())).key_id
    world.clock.advance(ROTATE.total_seconds() + 60)
    await rings.signer("acme", ES256, world.clock.now())
    await rotation.note()
    assert await world.store.upkeep.due_rings(10) == [("acme", ES256)]
    assert await rotation.work(world.clock.now()) == "turned 1 of 1 ring"
    assert (await rings.signer("acme", ES256, world.clock.now())).key_id != first
    assert len(await world.store.deployment.signing_keys("acme")) == 3
    assert len(await world.store.deployment.signing_keys("zeta")) == 2
    [turned] = [row for row in await world.store.deployment.audit_rows() if row.kind == "signing_key.rotated"]
    assert turned.actor == "system:keys"


async def test_two_nodes_that_notice_turn_a_ring_once():
    """TK-14: a ring that two nodes noted turns once: the job looks again before it turns one."""
    world = World()
    for rings, _, _ in world.nodes:
        await rings.signer("acme", ES256, world.clock.now())
    world.clock.advance(ROTATE.total_seconds() + 60)
    for rings, _, _ in world.nodes:
        await rings.signer("acme", ES256, world.clock.now())
    for _, rotation, _ in world.nodes:
        await world.store.upkeep.note_due_rings(rotation.rings.take_due(world.clock.now()), world.clock.now())
        await rotation.work(world.clock.now())
    assert len(await world.store.deployment.signing_keys("acme")) == 3


async def test_a_damaged_ring_does_not_stop_the_others():
    """HT-09: a ring that cannot be turned is told in the log and left; the next in line turns."""
    world = World()
    rings, rotation, _ = world.nodes[0]
    for issuer in ISSUERS:
        await rings.signer(issuer, ES256, world.clock.now())
    spare = next(key for key in await world.store.deployment.signing_keys("acme") if key.active_at is None)
    del world.store._shelf.rows[type(spare), spare.id, ""]
    rings.invalidate("acme")
    world.clock.advance(ROTATE.total_seconds() + 60)
    for issuer in ISSUERS:
        await rings.signer(issuer, ES256, world.clock.now())
    await world.step("sign", 0, "zeta")
    for issuer in ISSUERS:
        await rings.signer(issuer, ES256, world.clock.now())
    await rotation.note()
    assert await rotation.work(world.clock.now()) == "turned 1 of 2 rings"


async def test_a_longer_lifetime_waits_for_the_key_that_gives_way():
    """TK-14: while a key gives way that was told of shorter lifetimes, a longer one waits for its end."""
    world = World()
    rings, _, turn = world.nodes[0]
    await rings.signer("acme", ES256, world.clock.now())
    assert await turn("acme", ES256, world.clock.now(), only_if_due=False)
    assert await rings.unsafe_until("acme", world.clock.now(), 2 * LIFETIME) is None
    world.clock.advance(1)
    assert await turn("acme", ES256, world.clock.now(), only_if_due=False)
    now = world.clock.now()
    assert await rings.unsafe_until("acme", now, LIFETIME) is None
    until = await rings.unsafe_until("acme", now, 2 * LIFETIME)
    assert now < until < now + timedelta(minutes=6)
    assert await rings.unsafe_until("acme", until, 2 * LIFETIME) is None
