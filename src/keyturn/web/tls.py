"""TLS on the public listener: modern settings only, a handshake that is bounded, certificates that change.

A connection's place in the limits is taken when it is accepted, before any cryptography, and the context is
chosen then: a new certificate is for new connections, and those that are open go on with theirs.

    accept ──► a place ──► handshake, bounded ──► the bounded HTTP protocol (``web/protocol.py``)

Spec: RFC 8446, RFC 9325 sections 3 and 4 (recommendations), RFC 7301 (ALPN).
"""

import asyncio
import os
import socket
import ssl
import stat
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from keyturn.core.addresses import subscriber
from keyturn.core.clock import Clock
from keyturn.core.errors import ConfigError
from keyturn.web.framing import Shared
from keyturn.web.protocol import BoundedProtocol

log = structlog.get_logger("keyturn.tls")

HANDSHAKE_SECONDS = 10.0
"""From accept to the end of the handshake; a slow one holds a place, no longer."""
CLOSE_SECONDS = 2.0
"""How long the other side may take to say goodbye."""
LAST_HANDSHAKES_SECONDS = 2.0
"""How long a server that stops waits for handshakes that have begun."""
WATCH_SECONDS = 1.0
_ACCEPT_AT_ONCE = 64
_MOST_BYTES = 1024 * 1024
_PAUSE_SECONDS = 1.0

# Of TLS 1.2 those with forward secrecy and authenticated encryption (RFC 9325 section 4.2).
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"

_Fingerprint = tuple[tuple[int, int, int, int], ...]


class Certificates:
    """The certificate that is served now, read again when its files change.

    Args:
        certificate: The chain, PEM, the server's own certificate first.
        key: Its private key, PEM, without a passphrase.
        clock: Says at a reload whether it is good.

    The one that is served is good from ``begins_at`` to ``expires_at``.

    Raises:
        ConfigError: The pair cannot be used.
    """

    begins_at: datetime
    expires_at: datetime

    def __init__(self, certificate: Path, key: Path, clock: Clock) -> None:
        self._certificate = certificate
        self._key = key
        self._clock = clock
        self._reading = threading.Lock()
        self._seen = self._fingerprint()
        try:
            self.context = self._load()
        except ConfigError:
            raise
        except (OSError, ValueError) as error:
            raise ConfigError([f"tls.certificate and tls.key: {_why(error)}"]) from None

    def reload(self) -> bool:
        """Read the pair again, for new connections; one that cannot be used leaves the old one in place."""
        with self._reading:
            return self._reload()

    def _reload(self) -> bool:
        self._seen = self._fingerprint()
        try:
            self.context = self._load()
        except (OSError, ValueError, ConfigError) as error:
            log.warning("tls_not_reloaded", certificate=str(self._certificate), why=_why(error))
            return False
        log.info("tls_reloaded", certificate=str(self._certificate))
        self.warn_unless_good()
        return True

    def warn_unless_good(self) -> None:
        """Tell the log of a certificate that has expired or is not good yet.

        It is served all the same: without one there would be no answer at all, and the clock may be wrong.
        """
        if not self.begins_at <= self._clock.now() <= self.expires_at:
            log.warning(
                "tls_certificate_not_good",
                certificate=str(self._certificate),
                begins_at=self.begins_at.isoformat(),
                expires_at=self.expires_at.isoformat(),
            )

    def reload_if_changed(self) -> bool:
        """Read the pair again if either file is another than when it was last read."""
        with self._reading:
            return self._fingerprint() != self._seen and self._reload()

    async def watch(self) -> None:
        """Look at the files each second, on a thread: a volume that hangs must not hang us."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            await asyncio.to_thread(self.reload_if_changed)

    def _load(self) -> ssl.SSLContext:
        _require_usable(self._certificate, self._key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION  # a client could make us repeat the costly half
        context.set_ciphers(_CIPHERS)
        context.set_alpn_protocols(["http/1.1"])
        # An empty passphrase instead of a prompt on the terminal of whoever started us.
        context.load_cert_chain(self._certificate, self._key, password="")
        from cryptography.x509 import load_pem_x509_certificates  # megabytes that plain HTTP does without

        served = load_pem_x509_certificates(self._certificate.read_bytes())[0]
        self.begins_at, self.expires_at = served.not_valid_before_utc, served.not_valid_after_utc
        return context

    def _fingerprint(self) -> _Fingerprint:
        # Symbolic links are followed: certificate managers swap the link, not the file.
        return tuple(_stamp(path) for path in (self._certificate, self._key))


def _stamp(path: Path) -> tuple[int, int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0, 0)
    return (found.st_mtime_ns, found.st_ino, found.st_size, found.st_mode)


def _require_usable(certificate: Path, key: Path) -> None:
    """Tell which file is at fault, which OpenSSL does not.

    Raises:
        ConfigError: One cannot be read or is too long, or others may read the key, or it has a passphrase.
    """
    content, mode = b"", 0
    for name, path in (("tls.certificate", certificate), ("tls.key", key)):
        try:
            with path.open("rb") as file:
                content, mode = file.read(_MOST_BYTES + 1), stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        except OSError as error:
            raise ConfigError([f"{name}: {path}: {error.strerror}"]) from None
        if len(content) > _MOST_BYTES:  # or OpenSSL would read to the end of what may have none
            raise ConfigError([f"{name}: {path} has more than {_MOST_BYTES} bytes"])
    if mode & 0o007:  # a group may: Debian's ssl-cert, a volume that a cluster mounts for one
        raise ConfigError([f"tls.key: {key} may be read by others: chmod o-rwx {key}"])
    if b"ENCRYPTED PRIVATE KEY" in content or b"4,ENCRYPTED" in content:
        raise ConfigError([f"tls.key: {key} has a passphrase; give a key without one"])


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        if error.reason == "KEY_VALUES_MISMATCH":
            return "the key is not that of the certificate"
        return f"not a PEM certificate chain and its key without a passphrase ({error.reason or 'no PEM'})"
    return str(error)


class _Place:
    """A connection's place in the limits while it has no protocol that holds one; given back once."""

    def __init__(self, shared: Shared, holder: str) -> None:
        self._shared = shared
        self._holder: str | None = holder

    def leave(self) -> None:
        if self._holder is not None:
            self._shared.leave(self._holder)
            self._holder = None


Make = Callable[[], BoundedProtocol]
"""Makes the protocol of one connection."""


class TlsListener:
    """Accepts connections, bounds their handshakes, and hands those that succeed to the bounded protocol.

    In place of asyncio's server, which knows no address before the handshake and keeps one context for ever;
    uvicorn closes it like one.

    Args:
        listener: Bound and listening.
        make: Makes the protocol behind TLS.
        shared: Where places are taken; the protocol's own.
        certificates: Asked for the context at each connection.
    """

    def __init__(
        self, listener: socket.socket, make: Make, shared: Shared, certificates: Certificates
    ) -> None:
        self._listener = listener
        self._make = make
        self._shared = shared
        self._certificates = certificates
        self._loop = asyncio.get_running_loop()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._closed = False
        listener.setblocking(False)
        self._listen()

    def close(self) -> None:
        """Take no more connections; called twice, by our own shutdown and by uvicorn's."""
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._listener)

    def let_in(self, connection: socket.socket, address: Any) -> None:
        """Take a place for a connection and begin its handshake, or close it before it costs anything."""
        holder = subscriber(address[0])
        if full := self._shared.take(holder):
            self._shared.on_refused(full)
            connection.close()
            return
        task = self._loop.create_task(self._shake_hands(connection, _Place(self._shared, holder)))
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    async def finish(self) -> None:
        """Let handshakes end that have begun: the client sends its request with the last of them (RE-03)."""
        if self._handshakes:
            await asyncio.wait(self._handshakes, timeout=LAST_HANDSHAKES_SECONDS)
        for task in self._handshakes:
            task.cancel()

    async def wait_closed(self) -> None:
        """Wait for the handshakes that were ended."""
        await asyncio.gather(*self._handshakes, return_exceptions=True)

    def _listen(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(_ACCEPT_AT_ONCE):
            try:
                connection, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                # Out of file descriptors: without a pause this would spin until some are free.
                log.exception("tls_not_accepting", why=str(error))
                self._loop.remove_reader(self._listener)
                self._loop.call_later(_PAUSE_SECONDS, self._listen)
                return
            self.let_in(connection, address)

    async def _shake_hands(self, connection: socket.socket, place: _Place) -> None:
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(
                lambda: _Behind(self._make(), place),
                connection,
                ssl=self._certificates.context,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=CLOSE_SECONDS,
            )
        except OSError:  # too slow, too old a client, no TLS at all, or gone
            self._shared.on_refused("tls_handshake")
        finally:
            place.leave()


class _Behind(asyncio.Protocol):
    """Gives the handshake's place over to the protocol behind it, then steps aside."""

    def __init__(self, protocol: BoundedProtocol, place: _Place) -> None:
        self._protocol = protocol
        self._place = place

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._place.leave()
        transport.set_protocol(self._protocol)
        self._protocol.connection_made(transport)
