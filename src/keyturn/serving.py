"""A deployment that serves: one process, or several workers that share the work."""

import asyncio
import contextlib
import dataclasses
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import uvloop

from keyturn import __version__
from keyturn.app import LocalServices, assemble, open_local, profiles, upkeep_of
from keyturn.core.clock import SystemClock
from keyturn.core.errors import ConfigError, Unavailable
from keyturn.core.limits import Rate
from keyturn.core.ports import Signer
from keyturn.settings import Settings
from keyturn.web.framing import ProtocolLimits
from keyturn.web.holders import HeldElsewhere, Holders
from keyturn.web.logs import configure_logging
from keyturn.web.management import Check, Management
from keyturn.web.measures import Family, family, single
from keyturn.web.readiness import tell_ready
from keyturn.web.refusals import Refusals, summarising
from keyturn.web.server import Listeners, bind_sockets, log, run_servers
from keyturn.web.slots import Slots
from keyturn.web.supervisor import Supervisor, Worker
from keyturn.web.tls import Certificates
from keyturn.web.traces import start_tracing

if TYPE_CHECKING:  # of an extra
    from keyturn.web.tracing import Tracing

GC_THRESHOLDS = (50_000, 20, 100)
"""Measured in docs/performance.md: with Python's own, every twentieth part of a request was spent looking."""

_PROBE = b"is anybody there?"
"""Signed to see that a key can be used; no signing input of a token, which has a dot."""

Prepare = Callable[[LocalServices], Awaitable[None]]
Announce = Callable[[], None]


class _Role(msgspec.Struct, frozen=True, kw_only=True):
    """What a process has to do beside answering requests.

    Args:
        prepare: Runs on the open deployment before the first request.
        create: Whether to make a database where there is none.
        on_prepared: Called when the deployment is sound and can be opened by others.
        on_started: Called when requests are answered.
        leash: Of a worker: the pipe that tells it to stop.
        slots: Of a worker: where its figures and those of the others are, and which slot is its own.
        others: Of a worker: the connections that the others have.
    """

    prepare: Prepare | None
    create: bool
    on_prepared: Callable[[], None]
    on_started: Callable[[], None]
    leash: int | None = None
    slots: tuple[Slots, int] | None = None
    others: HeldElsewhere | None = None


def bind(settings: Settings) -> Listeners:
    """Bind what the settings name, before anything else is done.

    Raises:
        ConfigError: An address is taken or not ours, or the certificate and its key cannot be used.
    """
    pair = settings.tls.pair()
    return bind_sockets(
        (settings.host, settings.port),
        (settings.management_host, settings.management_port),
        None if pair is None else Certificates(*pair, SystemClock()),
        workers=settings.workers,
    )


def serve(
    settings: Settings,
    listeners: Listeners,
    *,
    prepare: Prepare | None = None,
    announce: Announce | None = None,
    create: bool = False,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain (RE-03).

    Args:
        prepare: Runs on the open deployment before the first request, in one process.
        announce: Runs once, when requests are answered.
        create: Whether to make a database where there is none: for a demo.

    Raises:
        SystemExit: Several workers served, and all of them have ended.
    """
    gc.freeze()  # what was imported is no garbage, and looking through it takes a tenth of the start
    configure_logging(settings.log_format, settings.log_level)
    if listeners.certificates is not None:
        listeners.certificates.warn_unless_good()
    if sys.stdin is None or not sys.stdin.isatty():
        # A service manager's reload. Without certificates there is nothing to read again, and by default it
        # kills, which systemd takes for a stop that was wanted. A terminal that closes does end us.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    started = partial(_announce, settings, listeners, announce)
    if settings.workers == 1:
        role = _Role(prepare=prepare, create=create, on_prepared=_nobody_waits, on_started=started)
    else:
        slots, holders = Slots(settings.workers), Holders(settings.workers)
        worker = _become_worker(settings, listeners, slots, started)
        role = _Role(
            prepare=prepare if worker.prepares else None,
            create=create and worker.prepares,
            on_prepared=worker.prepared,
            on_started=worker.serving,
            leash=worker.leash,
            slots=(slots, worker.number),
            others=holders.row(worker.number),
        )
        listeners = worker.listeners
        settings = dataclasses.replace(
            settings,
            limits=settings.limits.share(settings.workers),
            passwords=settings.passwords.share(settings.workers),
        )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, listeners, role))


def _announce(settings: Settings, listeners: Listeners, announce: Announce | None) -> None:
    several = {"workers": settings.workers} if settings.workers > 1 else {}
    log.info("serving", address=listeners.public_url, management=listeners.management_url, **several)
    tell_ready(os.environ)
    if announce is not None:
        announce()


def _nobody_waits() -> None:
    """Stand where a worker would tell its supervisor that it has prepared the deployment."""


def _become_worker(
    settings: Settings, listeners: Listeners, slots: Slots, on_serving: Callable[[], None]
) -> Worker:
    """Fork the workers; the supervisor stays inside until all of them have ended."""
    supervisor = Supervisor(
        listeners,
        slots,
        shutdown_seconds=settings.shutdown_seconds,
        reloads=listeners.certificates is not None,
        on_serving=on_serving,
        clock=SystemClock(),
    )
    worker = supervisor.run()
    configure_logging(settings.log_format, settings.log_level, worker.number + 1)
    return worker


async def _serve(settings: Settings, listeners: Listeners, role: _Role) -> None:
    async with open_local(settings, create=role.create) as local:
        if role.prepare is not None:
            await role.prepare(local)
        rates = {kind: Rate(rate.per_minute, rate.burst) for kind, rate in settings.limits.rates().items()}
        limits = local.store.limits(rates, local.digester.tag)
        tracing = start_tracing(os.environ, local.clock)
        recorder = local.store.recorder if tracing is None else tracing.recorder(local.store.recorder)
        refusals = Refusals(recorder, local.clock)
        desk, metrics = assemble(
            local,
            limits,
            settings.public_url_text(),
            settings.trusted_proxies,
            refusals=refusals,
            admin_api=settings.admin_api,
            tracing=tracing,
            leak_keys=settings.leaks.public_keys,
        )
        upkeep = upkeep_of(local, settings)
        metrics.watch_upkeep(upkeep.figures)
        metrics.watch(partial(_standing_figures, local, listeners.certificates))
        metrics.watch_notices(local.telling.tallies, local.clock)
        await require_sound_start(local)
        await local.rings.promise(local.longest_lifetime(), local.clock.now())
        await local.following.enlist()
        role.on_prepared()
        management = Management(metrics, {"store": _store_check(local), "keys": _key_check(local)})
        protocol = ProtocolLimits(
            body_bytes=settings.limits.body_bytes,
            connections=settings.limits.connections,
            connections_per_address=settings.limits.connections_per_address,
        )
        sharing = metrics.share(*role.slots).publishing() if role.slots else contextlib.nullcontext()
        async with _traced(tracing), sharing, summarising(refusals), _listed(local), upkeep.running():
            await run_servers(
                desk,
                management,
                listeners,
                protocol,
                shutdown_seconds=settings.shutdown_seconds,
                on_refused=metrics.framing_refused,
                on_started=partial(_started, role.on_started),
                leash=role.leash,
                others=role.others,
            )


@contextlib.asynccontextmanager
async def _traced(tracing: "Tracing | None") -> AsyncIterator[None]:
    """Send the last spans at the end."""
    try:
        yield
    finally:
        if tracing is not None:
            await tracing.stop()


@contextlib.asynccontextmanager
async def _listed(local: LocalServices) -> AsyncIterator[None]:
    """Count among the servers of the deployment until the end."""
    try:
        yield
    finally:
        with contextlib.suppress(Unavailable):  # then it is forgotten for not being seen
            await local.following.leave()


async def require_sound_start(local: LocalServices) -> None:
    """Take in the newest time there was, and refuse settings under which a token could outlive its key.

    Raises:
        ConfigError: A dialect that is on allows longer lifetimes than a key that signs was told (TK-14).
        Unavailable: The store cannot be read.
    """
    now, longest = local.clock.now(), local.longest_lifetime()
    mark = await local.store.upkeep.clock_mark()
    if mark is not None:
        local.clock_watch.follow(mark)
    for issuer_id in await local.store.upkeep.turning_issuers(now):
        until = await local.rings.unsafe_until(issuer_id, now, longest)
        if until is not None:
            problem = (
                f"dialects: tokens could outlive the key of {issuer_id} that signs them until"
                f" {until.isoformat()}; start without the new dialect, or after that"
            )
            raise ConfigError([problem])


def _standing_figures(local: LocalServices, certificates: Certificates | None) -> Iterator[Family]:
    """Give what does not count: keys, the certificate, the version."""
    start = local.rings.oldest_start()
    age_seconds = 0.0 if start is None else (local.clock.now() - start).total_seconds()
    yield single("keyturn_signing_key_oldest_seconds", age_seconds)
    yield family("keyturn_master_key_info", [((local.sealer.current,), 1)])
    yield family("keyturn_build_info", [((__version__,), 1)])
    if certificates is not None:
        yield single("keyturn_certificate_expiry_timestamp_seconds", certificates.expires_at.timestamp())


def _started(tell: Callable[[], None]) -> None:
    """Calm the garbage collector, then tell whoever wants to know.

    What start-up made lives as long as the process and need not be looked through again and again; a
    request leaves nothing in cycles, so looking seldom costs no memory.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    tell()


def _key_check(local: LocalServices) -> Check:
    """Ask one issuer of each kind that has keys to sign: with a wrong master key nobody's open (RE-11)."""
    plan = {(each.shared_ring, each.algorithm) for each in profiles(local.dialects).values()}
    own: str | None = None

    async def check() -> str | None:
        nonlocal own
        try:
            if own is None:  # found once: a balancer asks each second, and there may be thousands
                own = await first_issuer()
            for shared, algorithm in plan:
                issuer_id = shared or own
                if issuer_id is not None and await local.deployment.signing_keys(issuer_id):
                    await _require_signing(await local.rings.signer(issuer_id, algorithm, local.clock.now()))
        except Unavailable as unavailable:
            return unavailable.reason.value
        return None

    async def first_issuer() -> str | None:
        living = (each for each in await local.deployment.organisations() if each.ended_at is None)
        return next((each.id for each in living), None)

    return check


async def _require_signing(signer: Signer) -> None:
    """Try a key that is elsewhere; one in memory signs.

    Raises:
        Unavailable: It cannot be used now.
    """
    if signer.elsewhere is not None:
        await signer.elsewhere(partial(signer.sign, _PROBE))


def _store_check(local: LocalServices) -> Check:
    async def check() -> str | None:
        try:
            await local.store.check()
        except Unavailable as unavailable:
            return unavailable.reason.value
        return None

    return check
