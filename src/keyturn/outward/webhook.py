"""One POST over HTTPS to an address that was checked, and the signature that it bears (HT-10).

Written by hand because little is wanted: one connection, one request, the status line of the answer. No
library can follow a redirect, read proxies from the environment or resolve a name again behind our back.
The answer's body is not read, so it can be neither too long nor too slow.
Source: Standard Webhooks 1.0.0 (``webhook-id``, ``webhook-timestamp``, ``webhook-signature``).
"""

import asyncio
import base64
import hashlib
import hmac
import re
import ssl
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

import msgspec

from keyturn.core.notices import ANSWERED, NO_ANSWER, NotDelivered
from keyturn.outward.addresses import HTTPS_PORT, Resolver, checked

SECONDS = 5.0
"""For everything: the name, the connection, TLS, the request and the answer's head."""
MOST_HEAD_BYTES = 16 * 1024
"""Of an answer: all that is read of it, far below the 1 MiB of HT-10."""
MOST_URL_CHARS = 2_000
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r]")
_TARGET = re.compile(r"[!-~]*")
_HOST = re.compile(r"(?!.{254})[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
"""What a resolver takes: it breaks at an empty label or a long one, which a ``*.`` pattern lets through."""
_REDIRECTS = range(300, 400)
_GOOD = range(200, 300)


class Place(msgspec.Struct, frozen=True):
    """Where a webhook is: a URL, taken apart."""

    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Spell the ``Host`` header."""
        return self.host if self.port == HTTPS_PORT else f"{self.host}:{self.port}"


def parse_url(url: str) -> Place | None:
    """Take an ``https`` URL apart; None for anything that two readers could understand differently."""
    if len(url) > MOST_URL_CHARS or not url.isascii() or _TARGET.fullmatch(url) is None or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or HTTPS_PORT
    except ValueError:
        return None
    if parts.scheme != "https" or not host or parts.fragment or "@" in parts.netloc:
        return None
    if _HOST.fullmatch(host) is None or parts.netloc.lower() not in (host, f"{host}:{port}"):
        return None
    return Place(host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))


def sign(message_id: str, at: datetime, body: bytes, secrets: Sequence[bytes]) -> dict[str, str]:
    """Give the headers of a message: one signature for each living secret, the newest first."""
    timestamp = str(int(at.timestamp()))
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    marks = (base64.b64encode(hmac.digest(each, signed, hashlib.sha256)).decode() for each in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{mark}" for mark in marks),
    }


async def post(
    place: Place,
    headers: dict[str, str],
    body: bytes,
    *,
    resolver: Resolver,
    loopback: Sequence[str],
    context: ssl.SSLContext,
    seconds: float = SECONDS,
) -> None:
    """Send a message, and look at nothing of the answer but its status.

    Raises:
        NotDelivered: The receiver did not say 2xx in time, or we may not go there.
    """
    try:
        async with asyncio.timeout(seconds):
            addresses = checked(await resolver(place.host, place.port), loopback)
            reader, writer = await _connect(addresses, place, context)
            try:
                writer.write(_request(place, headers, body))
                await writer.drain()
                head = await reader.readuntil(b"\r\n")
            finally:
                # Not closed politely: a receiver that does not answer could hold us for longer.
                writer.transport.abort()
    except TimeoutError:
        raise NotDelivered(NO_ANSWER, "the time is over") from None
    except ssl.SSLError:
        raise NotDelivered(
            NO_ANSWER, "TLS failed, its certificate is for another host or not trusted"
        ) from None
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        raise NotDelivered(NO_ANSWER, "the connection failed") from None
    _require_good(head)


async def _connect(
    addresses: Sequence[str], place: Place, context: ssl.SSLContext
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the first address that takes us, as the host by name: it is never resolved again."""
    problem = OSError("no address")
    for address in addresses:
        try:
            return await asyncio.open_connection(
                address, place.port, ssl=context, server_hostname=place.host, limit=MOST_HEAD_BYTES
            )
        except ssl.SSLError:
            raise
        except OSError as error:
            problem = error
    raise problem


def _request(place: Place, headers: dict[str, str], body: bytes) -> bytes:
    lines = [
        f"POST {place.target} HTTP/1.1",
        f"host: {place.authority}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "user-agent: keyturn",
        "connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def _require_good(head: bytes) -> None:
    found = _STATUS.match(head)
    if found is None:
        raise NotDelivered("the answer is not HTTP")
    status = int(found[1])
    if status in _REDIRECTS:
        raise NotDelivered(f"{ANSWERED}{status}, redirects are not followed")
    if status not in _GOOD:
        raise NotDelivered(f"{ANSWERED}{status}")
