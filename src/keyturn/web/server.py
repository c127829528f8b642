"""Two listeners of one process: bound before anything is announced, drained in order when told to stop."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import msgspec
import structlog
import uvicorn

from keyturn.core.errors import ConfigError
from keyturn.web.closing import LAST_COMERS_SECONDS, let_in_again, turn_away
from keyturn.web.desk import Desk
from keyturn.web.framing import ProtocolLimits
from keyturn.web.holders import HeldElsewhere
from keyturn.web.listening import Listener
from keyturn.web.management import Management
from keyturn.web.protocol import BoundedProtocol, protocol_class
from keyturn.web.tls import Certificates, TlsListener

log = structlog.get_logger("keyturn")

BACKLOG = 2048
"""Connections that the kernel holds for us while we are busy."""

Application = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]


class Listeners(msgspec.Struct, frozen=True):
    """The bound sockets of a server.

    Args:
        certificates: What the public ones do TLS with; None for plain HTTP.
        others: Public sockets of further workers, on the address of the first.
    """

    public: socket.socket
    management: socket.socket
    certificates: Certificates | None = None
    others: tuple[socket.socket, ...] = ()

    def part(self, number: int) -> "Listeners":
        """Give what worker ``number`` (from 0) serves, and let go of what the others do."""
        everyone = (self.public, *self.others)
        for other in (*everyone[:number], *everyone[number + 1 :]):
            other.close()
        return Listeners(everyone[number], self.management, self.certificates)

    def reopen(self, number: int) -> None:
        """Let newcomers in again at a listener that a worker turned them away from before it died."""
        let_in_again((self.public, *self.others)[number])

    def close(self) -> None:
        """Let go of all of them."""
        for each in (self.public, *self.others, self.management):
            each.close()

    @property
    def public_url(self) -> str:
        """Address of the public listener, as a URL."""
        return _url_of(self.public, "http" if self.certificates is None else "https")

    @property
    def management_url(self) -> str:
        """Address of the management listener, as a URL."""
        return _url_of(self.management, "http")


def bind_sockets(
    public: tuple[str, int],
    management: tuple[str, int],
    certificates: Certificates | None = None,
    *,
    workers: int = 1,
) -> Listeners:
    """Bind both listeners, each to a host and port; port 0 takes any free one.

    Args:
        workers: How many public sockets to bind; the management listener is always one.

    Raises:
        ConfigError: An address is taken or not ours; all problems at once.
    """
    with contextlib.ExitStack() as undo:
        problems: list[str] = []
        bound = []
        for host, port in (public, management):
            try:
                bound.append(undo.enter_context(_bound(host, port)))
            except OSError as error:
                problems.append(f"cannot listen on {host} port {port}: {error.strerror or error}")
        others: list[socket.socket] = []
        try:
            others += (undo.enter_context(_beside(bound[0])) for _ in range(workers - 1) if not problems)
        except OSError as error:
            problems.append(f"no place for {workers} workers on {public[0]}: {error.strerror or error}")
        if problems:
            raise ConfigError(problems)
        undo.pop_all()
    return Listeners(bound[0], bound[1], certificates, tuple(others))


def _bound(host: str, port: int, *, shared: bool = False) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _beside(first: socket.socket) -> socket.socket:
    """Bind one more socket to the address of the first.

    The first was bound as if it were to be alone: an address that another server shares is taken. The kernel
    spreads connections over all of them.
    """
    first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    host, port = first.getsockname()[:2]
    return _bound(host, port, shared=True)


def _url_of(listener: socket.socket, scheme: str) -> str:
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


async def run_servers(
    desk: Desk,
    management: Management,
    listeners: Listeners,
    limits: ProtocolLimits,
    *,
    shutdown_seconds: int,
    on_refused: Callable[[str], None],
    on_started: Callable[[], None],
    leash: int | None = None,
    others: HeldElsewhere | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; then readiness goes, running requests finish, both close (RE-03).

    Args:
        shutdown_seconds: How long running requests may take after the signal.
        on_refused: Told the reason of each refusal that the desk never sees.
        on_started: Called once, when both listeners answer.
        leash: Of a worker, a pipe from its supervisor: its end is the signal, also when the supervisor died.
        others: Of a worker, the connections that the others have.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    _hear(stop, loop, leash)
    certificates = listeners.certificates
    public = _Server(desk, limits, on_refused, shutdown_seconds, certificates)
    public.protocol.shared.others = others
    # All workers listen on one management socket: who stops first must not close it to those who still drain.
    last_comers_seconds = 0 if leash is None else None
    side = _Server(
        management,
        ProtocolLimits(goodbye_seconds=0),
        on_refused,
        1,
        last_comers_seconds=last_comers_seconds,
    )
    watching = _watch(certificates, loop) if certificates is not None else None
    side_task = loop.create_task(side.serve([listeners.management]))
    public_task = loop.create_task(public.serve([listeners.public]))
    stopping = loop.create_task(stop.wait())
    ready = loop.create_task(_all_ready(public, side))
    # One that cannot start ends without ever being ready; its error is raised below.
    await asyncio.wait({ready, stopping, public_task, side_task}, return_when=asyncio.FIRST_COMPLETED)
    if ready.done():
        on_started()
        await asyncio.wait({stopping, public_task, side_task}, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    log.info("draining")
    management.draining = True
    public.should_exit = True
    await public_task
    side.should_exit = True
    await side_task
    stopping.cancel()
    if watching is not None:
        watching.cancel()
    log.info("stopped")


def _hear(stop: asyncio.Event, loop: asyncio.AbstractEventLoop, leash: int | None) -> None:
    if leash is None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        return

    def let_go() -> None:
        loop.remove_reader(leash)
        stop.set()

    loop.add_reader(leash, let_go)


async def _all_ready(*servers: "_Server") -> None:
    for server in servers:
        await server.ready.wait()


def _watch(certificates: Certificates, loop: asyncio.AbstractEventLoop) -> asyncio.Task[None]:
    """Read certificates again when their files change, and at SIGHUP."""
    loop.add_signal_handler(signal.SIGHUP, lambda: loop.run_in_executor(None, certificates.reload))
    return loop.create_task(certificates.watch())


class _Server(uvicorn.Server):
    """A server whose signals are the deployment's, so that one handler stops both listeners in order."""

    def __init__(
        self,
        app: Application,
        limits: ProtocolLimits,
        on_refused: Callable[[str], None],
        shutdown_seconds: int,
        certificates: Certificates | None = None,
        last_comers_seconds: float | None = LAST_COMERS_SECONDS,
    ) -> None:
        self.protocol = protocol_class(limits, on_refused)
        super().__init__(_config(app, self.protocol, shutdown_seconds))
        self.ready = asyncio.Event()
        self._certificates = certificates
        self._last_comers_seconds = last_comers_seconds
        self._listeners: list[Listener | TlsListener] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        for each in sockets or ():
            if self._certificates is None:
                plain = Listener(each, self._make, backlog=BACKLOG)
                await plain.open()
                self._listeners.append(plain)
            else:
                shared = self.protocol.shared
                self._listeners.append(TlsListener(each, self._make, shared, self._certificates))
        self.servers = [*self._listeners]  # type: ignore[list-item]  # closes alike
        self.started = True
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening without breaking those who are at the door already, then drain (RE-03)."""
        seconds = self._last_comers_seconds
        turned_away = [turn_away(each) for each in sockets or () if seconds is not None]
        if seconds and any(turned_away):
            await asyncio.sleep(seconds)
        doors = [each.dup() for each in sockets or ()]
        for server in self.servers:
            server.close()
        for each in sockets or ():
            each.close()
        for door, listener in zip(doors, self._listeners, strict=True):
            await self._let_in(door, listener)
        await super().shutdown()

    async def _let_in(self, door: socket.socket, listener: Listener | TlsListener) -> None:
        """Accept the connections that the kernel has made for us and nobody has taken yet, then close.

        The door is the last handle of its listener and closes as soon as nobody waits.
        """
        door.setblocking(False)
        waiting: list[tuple[socket.socket, Any]] = []
        with door:
            while len(waiting) < 2 * BACKLOG:  # a flood does not keep us
                try:
                    waiting.append(door.accept())
                except OSError:  # nobody waits any more
                    break
        for connection, address in waiting:
            listener.let_in(connection, address)
        await listener.finish()

    def _make(self) -> BoundedProtocol:
        return self.protocol(self.config, self.server_state, self.lifespan.state)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: Application, http: type[BoundedProtocol], shutdown_seconds: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=http,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=shutdown_seconds,
    )
