"""What every deployment in process begins with: made once, and handed to each test as a copy of its own.

Seeding two organisations with every dialect's fixtures, and finding RSA primes, would otherwise be most of
what the tests do. Records never change in place, so a copy is a dictionary of the same records. Private keys
come from a pool: within a deployment no two are the same, in another test the same ones serve again. They are
made in each session and kept nowhere.
"""

import random
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, ClassVar

import msgspec

from keyturn.app import LocalServices, configured_dialects, profiles
from keyturn.config import load_settings
from keyturn.core.actors import system
from keyturn.core.forms import Forms
from keyturn.core.identifiers import uuid7
from keyturn.core.notices import NO_ANSWER, NotDelivered
from keyturn.core.ports import Digester, Passwords
from keyturn.core.profile import RingPlan
from keyturn.core.records import AuditEvent
from keyturn.core.vocabulary import Algorithm
from keyturn.dialects import load_dialects
from keyturn.keys.audit_key import StoredAuditKeys
from keyturn.keys.certificates import PrivateKey
from keyturn.keys.master_file import MasterKeys
from keyturn.keys.passwords import ArgonPasswords
from keyturn.keys.peppers import load_peppers
from keyturn.keys.ring import Rings
from keyturn.keys.sealing import MasterKey, MasterSealer
from keyturn.keys.signers import make_private_key
from keyturn.outward import MailServer, OutwardSender
from keyturn.seeding import ORGANISATIONS, seed_dialect, seed_organisations
from keyturn.storage.memory import MemoryStore
from keyturn.telling import Telling
from keyturn.upkeep.master_key import Following
from keyturn.wire.compile import CompiledRoute, compile_routes
from keyturn.wire.tables import Dialect

PUBLIC_URL = "https://keys.example"
START = datetime(2026, 11, 1, 12, 0, 0, 250_000, tzinfo=UTC)
ACTOR = system("test")
GROUNDS_KEPT = 8
"""How many seeded deployments stay in memory; most tests begin with the same one."""


class HandClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, at: datetime = START) -> None:
        """Start at an instant."""
        self._now = at
        self._monotonic = 1_000.0

    def now(self) -> datetime:
        """Give the wall time."""
        return self._now

    def monotonic(self) -> float:
        """Give the monotonic seconds."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass, on both clocks."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds


class PooledKeys:
    """Makes one deployment's private keys (``signers.MakeKey``), RSA keys out of a pool of this process."""

    _pool: ClassVar[defaultdict[int, list[PrivateKey]]] = defaultdict(list)
    _lock = threading.Lock()

    def __init__(self) -> None:
        """Begin with the pool's first key."""
        self._numbers: defaultdict[int, count[int]] = defaultdict(count)

    def make(self, algorithm: Algorithm, rsa_bits: int) -> PrivateKey:
        """Give the next key of a kind that this deployment has not had."""
        if algorithm is not Algorithm.RS256:
            return make_private_key(algorithm)
        with self._lock:
            number, pool = next(self._numbers[rsa_bits]), self._pool[rsa_bits]
            if number == len(pool):
                pool.append(make_private_key(algorithm, rsa_bits))
            return pool[number]


MAIL = MailServer(host="127.0.0.1", port=1, security="none", sender="keyturn@example.com")
"""Where nobody listens."""


async def nowhere(_host: str, _port: int) -> Sequence[str]:
    """Find no host, without asking anybody (``outward.addresses.Resolver``)."""
    raise NotDelivered(NO_ANSWER, "the host's name does not resolve")


def cheap_passwords(dice: Callable[[int], bytes]) -> ArgonPasswords:
    """Hash as weakly as Argon2 can: what these tests look at is who asks for a hash, not what it costs."""
    return ArgonPasswords(dice, memory_kib=8, passes=1)


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """A seeded deployment, to be copied; ``random_state`` is what its dice come to after the seeding."""

    dialects: Mapping[str, Dialect]
    known: Mapping[str, Dialect]
    routes: Sequence[CompiledRoute]
    cache_seconds: int
    master_key: MasterKey
    digester: Digester
    store: MemoryStore
    members: Mapping[str, Mapping[str, Any]]
    random_state: Any

    def dice(self) -> Callable[[int], bytes]:
        """Give dice that go on where the seeding left off, the same ones each time."""
        dice = random.Random()  # noqa: S311  # a test repeats itself
        dice.setstate(self.random_state)
        return dice.randbytes

    def copy(self, sealer: MasterSealer, clock: HandClock, dice: Callable[[int], bytes]) -> MemoryStore:
        """Give a store that holds the same and is nobody else's."""
        made = MemoryStore(sealer, clock, dice)
        made._shelf.rows = dict(self.store._shelf.rows)
        made._shelf.audit = list(self.store._shelf.audit)
        made._tail = self.store._tail
        made.feed.at = self.store.feed.at
        return made


def local_services(
    store: Any,
    digester: Digester,
    passwords: Passwords,
    sealer: MasterSealer,
    clock: HandClock,
    dice: Callable[[int], bytes],
    dialects: Mapping[str, Dialect],
    cache_seconds: int,
) -> LocalServices:
    """Put an open deployment together over a store in memory."""
    plan = RingPlan.of(profiles(dialects).values())
    return LocalServices(
        deployment=store.deployment,
        store=store,
        digester=digester,
        forms=Forms(),
        passwords=passwords,
        sealer=sealer,
        master_keys=MasterKeys(sealer, None, dice),
        following=Following(store.deployment, store.upkeep, sealer, lambda: False, clock, "here"),
        rings=Rings(
            store.deployment,
            sealer,
            dice,
            plan.algorithms_of,
            certified=plan.certified,
            make_key=PooledKeys().make,
        ),
        audit_keys=StoredAuditKeys(store.deployment, sealer, dice),
        clock=clock,
        dice=dice,
        dialects=dialects,
        cache_seconds=cache_seconds,
        telling=Telling(OutwardSender(["hooks.example.com"], mail=MAIL, resolver=nowhere)),
    )


_grounds: OrderedDict[Any, Ground] = OrderedDict()


async def ground_of(extra: Iterable[Dialect], environ: Mapping[str, str]) -> Ground:
    """Give the ground for some dialects beside the house's and some settings, seeding it at first need."""
    known = load_dialects() | {dialect.name: dialect for dialect in extra}
    key = tuple(id(dialect) for dialect in known.values()), tuple(sorted(environ.items()))
    ground = _grounds.get(key) or await _seed(known, environ)
    _grounds[key] = ground  # it holds the dialects, so that nobody else gets their ids
    _grounds.move_to_end(key)
    if len(_grounds) > GROUNDS_KEPT:
        _grounds.popitem(last=False)
    return ground


async def _seed(known: Mapping[str, Dialect], environ: Mapping[str, str]) -> Ground:
    settings = load_settings(
        flags={"public_url": PUBLIC_URL, "dialects": tuple(known)},
        environ=dict(environ),
        tables={name: dialect.settings for name, dialect in known.items()},
    )
    dialects = configured_dialects(settings, known)
    clock, rng = HandClock(), random.Random(7)  # noqa: S311  # a test repeats itself
    dice = rng.randbytes
    master_key = MasterKey.parse(MasterKey.generate(dice).reveal())
    sealer = MasterSealer(master_key, dice)
    store = MemoryStore(sealer, clock, dice)
    born = AuditEvent(
        at=clock.now(), kind="pepper.created", actor=ACTOR.name, request_id=uuid7(clock.now(), dice)
    )
    digester = await load_peppers(store.deployment, sealer, dice, born)
    passwords = cheap_passwords(dice)
    local = local_services(
        store, digester, passwords, sealer, clock, dice, dialects, settings.jwks_cache_seconds
    )
    organisations = await seed_organisations(local)
    members: dict[str, dict[str, Any]] = {slug: {} for slug in ORGANISATIONS}
    for name, dialect in dialects.items():
        for slug, shown in (await seed_dialect(local, dialect, organisations, PUBLIC_URL)).items():
            members[slug][name] = shown
    passwords.close()
    return Ground(
        dialects=dialects,
        known=known,
        routes=compile_routes(dialects, settings.jwks_cache_seconds),
        cache_seconds=settings.jwks_cache_seconds,
        master_key=master_key,
        digester=digester,
        store=store,
        members=members,
        random_state=rng.getstate(),
    )
