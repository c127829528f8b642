"""The way to a server's admin API: requests over HTTP, sent again where that is safe, and refusals in words.

No redirect is followed, no proxy of the environment is asked and no cookie kept: the token goes to the server
that was named and nowhere else.
"""

import asyncio
import contextlib
import http.client
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from keyturn import __version__
from keyturn.admin.requests import Asked
from keyturn.core.errors import Clash, ConfigError, Fault, NothingThere, NotPermitted, OperatorError
from keyturn.core.secret import Secret

TIMEOUT_SECONDS = 30.0
MAX_ANSWER_BYTES = 64 * 1024 * 1024
_WAITS = (0.2, 1.0)
"""Seconds before each further attempt."""
_LONGEST_WAIT = 5.0
_ELSEWHERE = frozenset({301, 302, 303, 307, 308})
_BUSY = frozenset({429, 502, 503, 504})
_LOOPBACK = re.compile(r"localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1")


class Reply(msgspec.Struct, frozen=True):
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire(Protocol):
    """Sends one request.

    Raises:
        OSError: There was no answer.
    """

    async def send(self, asked: Asked, token: Secret) -> Reply:
        """Send it and read the whole answer."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class Server(msgspec.Struct, frozen=True):
    """Where a server is.

    Args:
        prefix: Of every path, where it does not begin at the root.
    """

    secure: bool
    host: str
    port: int | None
    prefix: str


def server_of(url: str) -> Server:
    """Read the address of a server.

    Raises:
        ConfigError: It is none, or anybody on the way could read the token (HT-01).
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, parts, port = "", urlsplit(""), None
    if not host or parts.scheme not in {"http", "https"} or parts.username or parts.query or parts.fragment:
        raise ConfigError([f"{url!r} is no server: write https://HOST, perhaps with a port"])
    if parts.scheme == "http" and not _LOOPBACK.fullmatch(host):
        raise ConfigError([f"{url}: the token would be sent in clear; use https"])
    return Server(parts.scheme == "https", host, port, parts.path.rstrip("/"))


class HttpWire:
    """A kept connection to a server.

    Args:
        ca_file: Certificates to trust instead of those that the machine trusts.
    """

    def __init__(self, server: Server, ca_file: Path | None = None) -> None:
        """Prepare; nothing is sent yet."""
        self._prefix = server.prefix
        if not server.secure:
            self._connection = http.client.HTTPConnection(server.host, server.port, timeout=TIMEOUT_SECONDS)
            return
        try:
            trust = ssl.create_default_context(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError([f"CA file {ca_file}: {error.strerror or error}"]) from None
        self._connection = http.client.HTTPSConnection(
            server.host, server.port, timeout=TIMEOUT_SECONDS, context=trust
        )

    async def send(self, asked: Asked, token: Secret) -> Reply:
        """Send a request; a command does nothing else meanwhile, so that it may block."""
        headers = {
            **asked.headers,
            "Authorization": f"Bearer {token.reveal()}",
            "Accept": "application/json, application/problem+json",
            "User-Agent": f"keyturn/{__version__}",
        }
        try:
            self._connection.request(asked.method, self._prefix + asked.target, asked.body, headers)
            answer = self._connection.getresponse()
            body = answer.read(MAX_ANSWER_BYTES + 1)
        except http.client.HTTPException as error:
            self.close()
            raise OSError(f"no HTTP ({type(error).__name__})") from error
        except OSError:
            self.close()
            raise
        if len(body) > MAX_ANSWER_BYTES:
            self.close()
            raise OSError("the answer has no end")
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body)

    def close(self) -> None:
        """Let go of the connection; the next request makes another."""
        self._connection.close()


class Link:
    """Asks a server in the name of a token.

    Args:
        name: What people call the server.
    """

    def __init__(self, wire: Wire, token: Secret, name: str) -> None:
        """Begin; nothing is sent yet."""
        self._wire = wire
        self._token = token
        self._name = name

    async def ask(self, asked: Asked) -> bytes:
        """Send a request, again where that is safe, and give the body of its answer.

        Raises:
            OperatorError: The answer is no; by its kind.
            ConfigError: The token is not accepted, or this is no admin API.
            Fault: There is no answer, or none that helps.
        """
        waits = iter(_WAITS if asked.repeatable else ())
        while True:
            try:
                reply = await self._wire.send(asked, self._token)
            except ssl.SSLCertVerificationError as error:
                words = f"{self._name}: its certificate is not trusted: {error.verify_message}"
                raise Fault(words) from None
            except OSError as error:
                wait = next(waits, None)
                if wait is None:
                    raise Fault(self._silence(asked, error)) from None
            else:
                wait = next(waits, None) if reply.status in _BUSY else None
                if wait is None:
                    return self._read(reply)
                wait = _asked_to_wait(reply, wait)
            await asyncio.sleep(wait)

    def _silence(self, asked: Asked, error: OSError) -> str:
        words = str(error.strerror or error) or type(error).__name__
        unknown = "" if asked.repeatable else "; whether it was done is not known: look"
        return f"{self._name} does not answer: {words}{unknown}"

    def _read(self, reply: Reply) -> bytes:
        kind = reply.headers.get("content-type", "").partition(";")[0].strip()
        if reply.status in {200, 201} and kind == "application/json":
            return reply.body
        if "location" in reply.headers and reply.status in _ELSEWHERE:
            raise ConfigError([f"{self._name} points elsewhere ({reply.status}), which is not followed"])
        if kind != "application/problem+json":
            raise ConfigError([f"{self._name} answers {reply.status}, and no admin API is there"])
        words = _words(reply)
        match reply.status:
            case 401:
                raise ConfigError([f"{self._name} does not accept the admin token"])
            case 403:
                raise NotPermitted(words)
            case 404:
                raise NothingThere(words)
            case 409 | 412:
                raise Clash(words)
            case status if status < 500 and status not in _BUSY:  # noqa: PLR2004  # the server's fault from here on
                raise OperatorError(words)
            case _:
                raise Fault(f"{self._name} answers {reply.status}: {words}")

    def close(self) -> None:
        """Let go of the connection."""
        self._wire.close()


def _asked_to_wait(reply: Reply, usual: float) -> float:
    told = reply.headers.get("retry-after", "")
    return min(float(told), _LONGEST_WAIT) if told.isdecimal() else usual


def _words(reply: Reply) -> str:
    """Take the words of a problem; a terminal would obey control characters in them."""
    problem: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        problem = msgspec.json.decode(reply.body)
    found = (problem.get("detail") or problem.get("title")) if isinstance(problem, dict) else None
    words = found if isinstance(found, str) else f"refused ({reply.status})"
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in words[:2_000])
