"""The one place that assembles everything: settings in, a running deployment out."""

import asyncio
import contextlib
import ipaddress
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import structlog
import uvicorn
import uvloop

from keyturn.config import Settings
from keyturn.core.actors import system
from keyturn.core.clock import Clock, SystemClock
from keyturn.core.errors import ConfigError, Unavailable
from keyturn.core.identifiers import uuid7
from keyturn.core.ports import DeploymentStore, Digester, Limits
from keyturn.core.profile import TokenProfile
from keyturn.core.records import AuditEvent
from keyturn.core.secret import Dice
from keyturn.core.vocabulary import Algorithm
from keyturn.dialects import load_dialects
from keyturn.exchange.minting import compile_claims
from keyturn.exchange.services import Services
from keyturn.keys.peppers import load_peppers
from keyturn.keys.ring import Rings
from keyturn.keys.sealing import MasterKey, MasterSealer
from keyturn.storage import Store, open_store
from keyturn.storage.feed import EVERYTHING
from keyturn.storage.limits import MemoryLimits, Rate
from keyturn.web.desk import Desk
from keyturn.web.logs import configure_logging
from keyturn.web.management import Check, Management
from keyturn.web.metrics import Metrics
from keyturn.web.protocol import ProtocolLimits, protocol_class
from keyturn.wire.compile import Router, compile_dialect
from keyturn.wire.tables import Dialect, Route

log = structlog.get_logger("keyturn")


class LocalServices(msgspec.Struct, frozen=True, kw_only=True):
    """An open deployment: what the CLI and the demo's seeding work with."""

    deployment: DeploymentStore
    store: Store
    digester: Digester
    rings: Rings
    clock: Clock
    dice: Dice
    dialects: Mapping[str, Dialect]


class Listeners(msgspec.Struct, frozen=True):
    """The two bound sockets of a server, and where they are reached."""

    public: socket.socket
    management: socket.socket

    @property
    def public_url(self) -> str:
        """Address of the public listener, as a URL."""
        return _url_of(self.public)

    @property
    def management_url(self) -> str:
        """Address of the management listener, as a URL."""
        return _url_of(self.management)


def configured_dialects(settings: Settings, known: Mapping[str, Dialect] | None = None) -> dict[str, Dialect]:
    """Give the dialects that are on, each with its deployment settings worked in.

    Args:
        known: All there are; the folder's where not given.
    """
    known = load_dialects() if known is None else known
    served = [name for name in known if name == "oauth2" or name in settings.dialects]
    return {name: _configure(known[name], settings.dialect.get(name, {})) for name in served}


def _configure(dialect: Dialect, chosen: Mapping[str, Any]) -> Dialect:
    algorithm = chosen.get("algorithm")
    if algorithm is None:
        return dialect
    replace = msgspec.structs.replace

    def with_algorithm(route: Route) -> Route:
        exchanges = tuple(
            replace(exchange, profile=replace(exchange.profile, algorithm=Algorithm(algorithm)))
            for exchange in route.exchanges
        )
        return replace(route, exchanges=exchanges)

    return replace(dialect, routes=tuple(map(with_algorithm, dialect.routes)))


def profiles(dialects: Mapping[str, Dialect]) -> dict[str, TokenProfile]:
    """Give every token profile of some dialects, by its kind."""
    return {
        exchange.profile.kind: exchange.profile
        for dialect in dialects.values()
        for route in dialect.routes
        for exchange in route.exchanges
    }


@contextlib.asynccontextmanager
async def open_local(settings: Settings) -> AsyncIterator[LocalServices]:
    """Open a deployment's store and keys, and close them again.

    Raises:
        ConfigError: There is no usable master key.
        Unavailable: The store cannot be opened.
    """
    clock, dice = SystemClock(), secrets.token_bytes
    sealer = MasterSealer(MasterKey.parse(settings.master_key_text()), dice)
    dialects = configured_dialects(settings)
    store = await open_store(settings.store_url(), sealer, clock, dice)
    try:
        born = AuditEvent(
            at=clock.now(),
            kind="pepper.created",
            actor=system("start").name,
            request_id=uuid7(clock.now(), dice),
        )
        digester = await load_peppers(store.deployment, sealer, dice, born)
        rings = _open_rings(settings, store, sealer, dice, dialects)
        yield LocalServices(
            deployment=store.deployment,
            store=store,
            digester=digester,
            rings=rings,
            clock=clock,
            dice=dice,
            dialects=dialects,
        )
    finally:
        await store.close()


def _open_rings(
    settings: Settings, store: Store, sealer: MasterSealer, dice: Dice, dialects: Mapping[str, Dialect]
) -> Rings:
    used: dict[str | None, set[Algorithm]] = {}
    for profile in profiles(dialects).values():
        used.setdefault(profile.shared_ring, set()).add(profile.algorithm)

    def algorithms_of(issuer_id: str) -> Sequence[Algorithm]:
        return sorted(used.get(issuer_id) or used.get(None, set()))

    rings = Rings(
        store.deployment,
        sealer,
        dice,
        algorithms_of,
        jwks_cache=timedelta(seconds=settings.jwks_cache_seconds),
    )

    def follow(topic: str, key: str) -> None:
        if topic == "signing_key":
            rings.invalidate(key)
        elif topic == EVERYTHING:
            rings.invalidate_all()

    store.feed.on_change(follow)
    return rings


def assemble(
    local: LocalServices, limits: Limits, public_url: str, trusted_proxies: Sequence[str] = ()
) -> tuple[Desk, Metrics]:
    """Put the front desk together over an open deployment.

    Raises:
        ValueError: A dialect's table names something that does not exist, or two routes collide.
    """
    services = Services(
        clock=local.clock,
        dice=local.dice,
        registry=local.store.registry,
        recorder=local.store.recorder,
        digester=local.digester,
        rings=local.rings,
        limits=limits,
        claims={kind: compile_claims(profile) for kind, profile in profiles(local.dialects).items()},
        public_url=public_url,
    )
    metrics = Metrics()
    metrics.watch(local.store.stats)
    router = Router(route for dialect in local.dialects.values() for route in compile_dialect(dialect))
    urls = {
        name: {route.name: route.path for route in dialect.routes} for name, dialect in local.dialects.items()
    }
    trusted = [ipaddress.ip_network(network) for network in trusted_proxies]
    return Desk(router, urls, services, metrics, trusted), metrics


def bind(settings: Settings) -> Listeners:
    """Bind both listeners.

    Raises:
        ConfigError: An address is taken or not ours; all problems at once.
    """
    problems: list[str] = []
    bound = [
        _bound(host, port, problems)
        for host, port in (
            (settings.host, settings.port),
            (settings.management_host, settings.management_port),
        )
    ]
    public, management = bound
    if public is None or management is None:
        for listener in bound:
            if listener is not None:
                listener.close()
        raise ConfigError(problems)
    return Listeners(public, management)


def _bound(host: str, port: int, problems: list[str]) -> socket.socket | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        problems.append(f"cannot listen on {host} port {port}: {error.strerror or error}")
        return None
    return listener


def _url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


Prepare = Callable[[LocalServices], Awaitable[None]]
Announce = Callable[[LocalServices], None]


def serve(
    settings: Settings,
    listeners: Listeners,
    *,
    prepare: Prepare | None = None,
    announce: Announce | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain (RE-03).

    Args:
        prepare: Runs on the open deployment before the first request.
        announce: Runs once requests are answered.
    """
    configure_logging(settings.log_format, settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, listeners, prepare, announce))


async def _serve(
    settings: Settings, listeners: Listeners, prepare: Prepare | None, announce: Announce | None
) -> None:
    async with open_local(settings) as local:
        if prepare is not None:
            await prepare(local)
        rates = {kind: Rate(rate.per_minute, rate.burst) for kind, rate in settings.limits.rates().items()}
        desk, metrics = assemble(
            local, MemoryLimits(rates), settings.public_url_text(), settings.trusted_proxies
        )
        management = Management(metrics, {"store": _store_check(local.store)})
        protocol = ProtocolLimits(
            body_bytes=settings.limits.body_bytes,
            connections=settings.limits.connections,
            connections_per_address=settings.limits.connections_per_address,
        )
        public_server = _server(desk, protocol, metrics, settings.shutdown_seconds)
        management_server = _server(management, ProtocolLimits(), metrics, 1)
        await _run(public_server, management_server, listeners, management, local, announce)


def _store_check(store: Store) -> Check:
    async def check() -> str | None:
        try:
            await store.check()
        except Unavailable as unavailable:
            return unavailable.reason.value
        return None

    return check


async def _run(  # noqa: PLR0913 - the last step takes all that was assembled
    public: uvicorn.Server,
    side: uvicorn.Server,
    listeners: Listeners,
    management: Management,
    local: LocalServices,
    announce: Announce | None,
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    side_task = loop.create_task(side.serve([listeners.management]))
    public_task = loop.create_task(public.serve([listeners.public]))
    stopping = loop.create_task(stop.wait())
    while not (public.started and side.started) and not stop.is_set():
        await asyncio.sleep(0.005)  # noqa: ASYNC110 - uvicorn offers a flag, no event
    if announce is not None and not stop.is_set():
        announce(local)
    log.info("serving", address=listeners.public_url, management=listeners.management_url)
    await asyncio.wait({stopping, public_task, side_task}, return_when=asyncio.FIRST_COMPLETED)
    log.info("draining")
    management.draining = True
    public.should_exit = True
    await public_task
    side.should_exit = True
    await side_task
    stopping.cancel()
    log.info("stopped")


class _Server(uvicorn.Server):
    """A server whose signals are the deployment's: one handler stops both listeners in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signal handlers alone."""
        yield


def _server(
    app: Desk | Management, limits: ProtocolLimits, metrics: Metrics, shutdown_seconds: int
) -> _Server:
    config = uvicorn.Config(
        app,
        http=protocol_class(limits, metrics.framing_refused),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=shutdown_seconds,
    )
    return _Server(config)
