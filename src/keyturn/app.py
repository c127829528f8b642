"""The one place that assembles everything: settings in, a running deployment out."""

import contextlib
import ipaddress
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from keyturn.core.actors import system
from keyturn.core.checkpoints import ChainEnd
from keyturn.core.clock import Clock, SystemClock
from keyturn.core.clock_watch import ClockWatch
from keyturn.core.errors import Unavailable
from keyturn.core.forms import Forms
from keyturn.core.identifiers import in_bulk, uuid7
from keyturn.core.ports import Digester, Limits, MasterKeyring, Passwords
from keyturn.core.profile import RingPlan
from keyturn.core.records import AuditRow
from keyturn.core.secret import Dice
from keyturn.core.store_ports import DeploymentStore
from keyturn.core.upkeep_ports import AuditKeys
from keyturn.core.vocabulary import Algorithm, OrganisationId
from keyturn.dialects import load_dialects
from keyturn.keys import files as files
from keyturn.keys import moving as moving
from keyturn.keys import peppers as peppers
from keyturn.keys import streams as streams
from keyturn.keys.audit_key import StoredAuditKeys
from keyturn.keys.audit_key import public_check as public_check
from keyturn.keys.custody import Custody
from keyturn.keys.custody_opening import TokenPlace, open_custody
from keyturn.keys.files import make_master_key as make_master_key
from keyturn.keys.files import write_private as write_private
from keyturn.keys.master_file import MasterKeys, parse_keys, sealer_of
from keyturn.keys.passwords import ArgonPasswords
from keyturn.keys.ring import FOUNDED as FOUNDED
from keyturn.keys.ring import Rings
from keyturn.keys.schedule import Rotated
from keyturn.keys.sealing import MasterKey, MasterSealer
from keyturn.learned import open_learned
from keyturn.settings import Settings, plain
from keyturn.storage import Store, Tail, open_store, verify_chain
from keyturn.storage import condition as condition
from keyturn.storage import copies as copies
from keyturn.storage import tables as tables
from keyturn.storage.causes import why
from keyturn.storage.feed import EVERYTHING
from keyturn.storage.writer import PATIENCE_SECONDS
from keyturn.telling import Telling, notice_jobs, open_leak_reports, open_telling
from keyturn.upkeep.master_key import Following, key_in_use
from keyturn.wire.configure import configure, refusal_status, role_permissions
from keyturn.wire.configure import profiles as profiles
from keyturn.wire.tables import Dialect

if TYPE_CHECKING:  # commands open a deployment as well, and do without the web
    from keyturn.exchange.services import Services
    from keyturn.upkeep.scheduler import Scheduler
    from keyturn.web.administration.road import Administration
    from keyturn.web.desk import Desk
    from keyturn.web.metrics import Metrics
    from keyturn.web.refusals import Refusals
    from keyturn.web.tracing import Tracing
    from keyturn.wire.compile import CompiledRoute


def check_chain(rows: Sequence[AuditRow], place: ChainEnd | None) -> int | None:
    """Find the first ``seq`` that does not hold in rows that follow a place (None: the start)."""
    return verify_chain(rows, Tail(place.chain, place.seq, place.row_hash) if place else None)


class LocalServices(msgspec.Struct, frozen=True, kw_only=True):
    """An open deployment: what the CLI and the demo's seeding work with."""

    deployment: DeploymentStore
    store: Store
    digester: Digester
    forms: Forms
    passwords: Passwords
    sealer: MasterKeyring
    master_keys: MasterKeys
    following: Following
    rings: Rings
    audit_keys: AuditKeys
    clock: Clock
    dice: Dice
    dialects: Mapping[str, Dialect]
    cache_seconds: int
    status_lists: bool = False
    status_list_seconds: int = 60
    clock_watch: ClockWatch = msgspec.field(default_factory=ClockWatch)
    telling: Telling = msgspec.field(default_factory=Telling)

    def every_dialect(self) -> dict[str, Dialect]:
        """Give all dialects that there are: those that are off as they come, the others as configured."""
        return {**load_dialects(), **self.dialects}

    def status_of(self, dialect: str, route: str, code: str) -> int | None:
        """Give the HTTP status that callers of a route, of the admin API too, saw with a public code."""
        from keyturn.admin import ADMIN

        return refusal_status({**self.every_dialect(), ADMIN.name: ADMIN}, dialect, route, code)

    def built_in_clients(self) -> set[str]:
        """Give the ids of contracts' own clients, those of dialects that are off included."""
        return {
            exchange.client.id
            for dialect in self.every_dialect().values()
            for route in dialect.routes
            for exchange in route.exchanges
            if exchange.client is not None
        }

    def ring_plan(self) -> RingPlan:
        """Give the key rings of the dialects that are on."""
        return RingPlan.of(profiles(self.dialects).values())

    def longest_lifetime(self) -> timedelta:
        """Give the most that any access token may live, whatever an organisation sets (TK-14)."""
        return timedelta(seconds=max(each.max_lifetime_seconds for each in profiles(self.dialects).values()))


def configured_dialects(settings: Settings, known: Mapping[str, Dialect] | None = None) -> dict[str, Dialect]:
    """Give the dialects that are on, each with its deployment settings worked in.

    Args:
        known: All there are; the folder's where not given.
    """
    known = load_dialects() if known is None else known
    served = [name for name in known if name == "oauth2" or name in settings.dialects]
    return {name: configure(known[name], settings.dialect.get(name, {})) for name in served}


def master_keys_of(settings: Settings) -> tuple[MasterKey, ...]:
    """Give the master keys that settings lead to; the last is the newest.

    Raises:
        ConfigError: There is none, or one cannot be used.
    """
    return parse_keys(settings.master_key_text())


_PATIENT_SECONDS = 600.0


@contextlib.asynccontextmanager
async def open_local(
    settings: Settings, *, create: bool = False, apart: Path | None = None, patient: bool = False
) -> AsyncIterator[LocalServices]:
    """Open a deployment's store and keys, and close them again.

    Args:
        create: Whether to make a database where there is none.
        apart: A copy of its database to open in place of it; its tables are brought up to date.
        patient: Whether one unit may take minutes, as what touches all organisations may.

    Raises:
        ConfigError: There is no usable master key, or no database.
        Unavailable: The store cannot be opened.
    """
    clock, dice = SystemClock(), os.urandom  # what secrets.token_bytes calls
    sealer = sealer_of(settings.master_key_text(), dice)
    master_keys = MasterKeys(sealer, settings.master_key_place(), dice)
    dialects = configured_dialects(settings)
    store = await open_store(
        apart or settings.store_url(),
        sealer,
        clock,
        dice,
        create=create,
        upgrade=settings.migrate_at_start or apart is not None,
        patience_seconds=_PATIENT_SECONDS if patient else PATIENCE_SECONDS,
    )
    closing = contextlib.AsyncExitStack()
    try:
        node_id = uuid7(clock.now(), dice)
        following = Following(store.deployment, store.upkeep, sealer, master_keys.reload, clock, node_id)
        await _seal_under_the_key_in_use(store, sealer)
        digester, forms = await open_learned(store, sealer, clock, dice, closing)
        custody, let_go = open_custody(_token_of(settings), clock, dice)
        closing.callback(let_go)
        rings = _open_rings(settings, store, sealer, dice, dialects, custody)
        yield LocalServices(
            deployment=store.deployment,
            store=store,
            digester=digester,
            forms=forms,
            passwords=ArgonPasswords(dice, **plain(settings.passwords)),
            sealer=sealer,
            master_keys=master_keys,
            following=following,
            rings=rings,
            audit_keys=StoredAuditKeys(store.deployment, sealer, dice),
            clock=clock,
            dice=dice,
            dialects=dialects,
            cache_seconds=settings.jwks_cache_seconds,
            status_lists=settings.status_lists,
            status_list_seconds=settings.status_list_seconds,
            telling=open_telling(settings.notices),
        )
    finally:
        await closing.aclose()
        await store.close()


async def _seal_under_the_key_in_use(store: Store, sealer: MasterSealer) -> None:
    """Go by what the deployment says, before anything is sealed.

    Raises:
        ConfigError: The key in use was not given.
    """
    key_id = await key_in_use(store.deployment, sealer)
    if key_id is not None:
        sealer.use(key_id)


def _token_of(settings: Settings) -> TokenPlace | None:
    token = settings.pkcs11
    if token.module is None or token.token is None:
        return None
    # Most commands need no key, and so no PIN.
    return TokenPlace(token.module, token.token, token.pin, token.sessions, settings.keys.signer == "pkcs11")


def _open_rings(
    settings: Settings,
    store: Store,
    sealer: MasterSealer,
    dice: Dice,
    dialects: Mapping[str, Dialect],
    custody: Custody,
) -> Rings:
    plan = RingPlan.of(profiles(dialects).values())
    rings = Rings(
        store.deployment,
        sealer,
        dice,
        plan.algorithms_of,
        certified=plan.certified,
        jwks_cache=timedelta(seconds=settings.jwks_cache_seconds),
        rotate_after=timedelta(days=settings.keys.rotate_days) if settings.keys.rotate_days else None,
        custody=custody,
    )

    def follow(topic: str, key: str) -> None:
        if topic == "signing_key":
            rings.invalidate(key)
        elif topic == EVERYTHING:
            rings.invalidate_all()

    store.feed.on_change(follow)
    return rings


def assemble(
    local: LocalServices,
    limits: Limits,
    public_url: str,
    trusted_proxies: Sequence[str] = (),
    *,
    refusals: "Refusals | None" = None,
    routes: "Sequence[CompiledRoute] | None" = None,
    admin_api: bool = True,
    tracing: "Tracing | None" = None,
    leak_keys: Mapping[str, str] | None = None,
) -> "tuple[Desk, Metrics]":
    """Put the front desk together over an open deployment.

    Args:
        refusals: Brings refusals into the audit trail; who gives it sees to its summaries.
        routes: The dialects', where they are compiled already.
        admin_api: Whether it is served.
        tracing: Makes spans, where somebody wants them.
        leak_keys: Whose leak reports are believed: PEM by key id.

    Raises:
        ValueError: A dialect's table names something that does not exist, or two routes collide.
    """
    from keyturn.admin import ADMIN, admin_routes
    from keyturn.exchange.minting import compile_claims
    from keyturn.exchange.services import Services
    from keyturn.exchange.status import Places
    from keyturn.exchange.timed import TimedPasswords
    from keyturn.exchange.verify import OwnTokens
    from keyturn.web.descriptions import Descriptions
    from keyturn.web.desk import Desk, check_roads
    from keyturn.web.metrics import Metrics
    from keyturn.web.refusals import Refusals
    from keyturn.web.status_lists import StatusLists
    from keyturn.web.verbs import Ports
    from keyturn.wire.compile import Router, compile_routes

    urls = {name: {each.name: each.path for each in one.routes} for name, one in local.dialects.items()}
    services = Services(
        places=Places(public_url, in_bulk(local.dice)) if local.status_lists else None,
        token_paths={name: paths["token"] for name, paths in urls.items() if "token" in paths},
        own_tokens=OwnTokens(local.rings, public_url),
        revocations=local.store.revocations,
        clock=local.clock,
        dice=local.dice,
        naming=in_bulk(local.dice),
        registry=local.store.registry,
        recorder=local.store.recorder,
        digester=local.digester,
        rings=local.rings,
        limits=limits,
        lockout=local.store.lockout(local.digester.tag),
        passwords=local.passwords,
        sealer=local.sealer,
        roles=role_permissions(local.dialects),
        claims={kind: compile_claims(profile) for kind, profile in profiles(local.dialects).items()},
        public_url=public_url,
        forms=local.forms,
        clock_watch=local.clock_watch,
        noticed=local.telling.noticed,
    )
    if tracing is not None:
        services = tracing.around(services)
    timed = TimedPasswords(services.passwords, services.check_times, local.clock)
    services = msgspec.structs.replace(services, passwords=timed)
    metrics = Metrics()
    metrics.watch_store(local.store.stats)
    metrics.watch_checks(services.check_times)
    if routes is None:
        routes = compile_routes(local.dialects, local.cache_seconds)
    admin = _open_administration(local, services) if admin_api else None
    routes = (*routes, *(admin_routes() if admin_api else ()))
    check_roads(routes)
    trusted = [ipaddress.ip_network(network) for network in trusted_proxies]
    refusals = refusals or Refusals(local.store.recorder, local.clock)
    ports = Ports(
        deployment=local.deployment,
        sealer=local.sealer,
        digester=local.digester,
        clock=local.clock,
        dice=local.dice,
    )
    described = {**local.dialects, **({ADMIN.name: ADMIN} if admin_api else {})}
    descriptions = Descriptions(described, public_url, local.cache_seconds)
    leaks = open_leak_reports(
        local.deployment, services, refusals, profiles(local.dialects), leak_keys, local.sealer.key_in
    )
    lists = StatusLists(local.store.status, services, profiles(local.dialects), local.status_list_seconds)
    desk = (Desk if tracing is None else tracing.desk)(
        Router(routes), urls, services, ports, metrics, refusals, descriptions, lists, trusted, admin, leaks
    )
    return desk, metrics


def _open_administration(local: LocalServices, services: "Services") -> "Administration":
    """Put the road of administrators together."""
    from keyturn.web.administration.ground import AdminPorts
    from keyturn.web.administration.road import Administration
    from keyturn.web.administration.verbs import ADMIN_VERBS

    ports = AdminPorts(
        deployment=local.deployment,
        digester=local.digester,
        sealer=local.sealer,
        passwords=local.passwords,
        lockout=services.lockout,
        rings=local.rings,
        plan=local.ring_plan(),
        longest_lifetime=local.longest_lifetime(),
        dialects=local.dialects,
        rates=services.limits.rates,
        every_dialect=local.every_dialect(),
        outbox=local.store.outbox,
        sender=local.telling.sender,
        clock=local.clock,
        dice=local.dice,
    )
    return Administration(services, ports, ADMIN_VERBS)


def cause_of(unavailable: Unavailable) -> str | None:
    """Say in a word or two why the store is not available, where that is known."""
    return why(unavailable.__cause__)


def upkeep_of(local: LocalServices, settings: Settings) -> "Scheduler":
    """Put together what happens without a request; nothing happens before it is run."""
    from keyturn.upkeep.jobs import make_scheduler

    days = settings.audit.retention_days
    return make_scheduler(
        local.store.upkeep,
        local.deployment,
        local.audit_keys,
        local.rings,
        partial(_turn_ring, local),
        local.sealer,
        local.following,
        check=check_chain,
        forget_expired=local.store.revocations.forget_expired,
        clock=local.clock,
        clock_watch=local.clock_watch,
        dice=local.dice,
        checkpoint_every=timedelta(minutes=settings.audit.checkpoint_minutes),
        kept=timedelta(days=days) if days else None,
        **notice_jobs(local, settings.notices),
    )


async def _turn_ring(local: LocalServices, issuer_id: str, algorithm: Algorithm, now: datetime) -> bool:
    turned = await local.rings.rotate(
        issuer_id,
        algorithm,
        now,
        longest_lifetime=local.longest_lifetime(),
        actor=system("keys").name,
        request_id=uuid7(now, local.dice),
        organisation_id=None if issuer_id in local.ring_plan().shared else OrganisationId(issuer_id),
        only_if_due=True,
    )
    return isinstance(turned, Rotated)


def make_master_key_text() -> str:
    """Make a master key that is kept nowhere."""
    return MasterKey.generate(os.urandom).reveal()
