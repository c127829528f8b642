"""Bytes over a socket, as no client library would send them."""

import contextlib
import json
import re
import socket
import time
from typing import Any
from urllib.parse import urlsplit

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


class Heard:
    """Everything a server sent on one connection.

    Args:
        content: The bytes, of any number of answers.
        closed: Whether the server closed the connection, as opposed to our patience ending.
    """

    def __init__(self, content: bytes, *, closed: bool) -> None:
        self.content = content
        self.closed = closed

    @property
    def statuses(self) -> list[int]:
        """The status of each answer."""
        return [int(status) for status in _STATUS.findall(self.content)]

    @property
    def status(self) -> int:
        """The status of the only answer."""
        assert len(self.statuses) == 1, self.content
        return self.statuses[0]

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the first answer."""
        head = self.content.partition(b"\r\n\r\n")[0].decode("latin-1")
        return {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])
        }

    @property
    def json(self) -> Any:
        """The body of the only answer, which must be JSON."""
        return json.loads(self.content.partition(b"\r\n\r\n")[2])


def connect(url: str, timeout: float = 10.0) -> socket.socket:
    """Open a connection."""
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=timeout)


def hear(connection: socket.socket, seconds: float) -> Heard:
    """Read until the server closes, or until it was silent for some seconds."""
    content = b""
    connection.settimeout(seconds)
    closed = True
    try:
        while piece := connection.recv(65536):
            content += piece
    except TimeoutError:
        closed = False
    except ConnectionResetError:
        pass
    return Heard(content, closed=closed)


def say(url: str, *pieces: bytes, pause: float = 0.0, seconds: float = 5.0) -> Heard:
    """Send bytes on a connection of their own, and hear all that comes back."""
    with connect(url) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for number, piece in enumerate(pieces):
                if number:
                    time.sleep(pause)
                connection.sendall(piece)
        return hear(connection, seconds)


def post(path: str, body: bytes, *lines: bytes, host: bytes = b"Host: keyturn") -> bytes:
    """Write a form post byte by byte; ``lines`` come after the host."""
    head = [
        b"POST %s HTTP/1.1" % path.encode(),
        host,
        b"Content-Type: application/x-www-form-urlencoded",
        b"Connection: close",
        *lines,
    ]
    if not any(line.lower().startswith((b"content-length", b"transfer-encoding")) for line in lines):
        head.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([line for line in head if line]) + b"\r\n\r\n" + body
