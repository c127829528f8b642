"""Webhooks over real TLS on this machine: what is sent, and what a receiver cannot make us do (HT-10)."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import ssl
from datetime import UTC, datetime
from functools import partial

import pytest

from authority import Authority
from keyturn.core.notices import Channel, Happening, NotDelivered, make_notice
from keyturn.outward import OutwardSender
from keyturn.outward.webhook import parse_url

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOTICE = make_notice("notice-1", Happening.LEAKED, None, NOW, kind="client_secret")
OK = b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A certificate for localhost, and the file by which it is believed."""
    made = Authority(tmp_path_factory.mktemp("ca"))
    made.issue()
    return made


class Receiver:
    """An HTTPS server that keeps each request and answers with fixed bytes."""

    def __init__(self):
        self.requests = []
        self.names = []
        self.answer = OK
        self.hold = asyncio.Event()
        self.held = False
        self.port = 0

    async def serve(self, reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            size = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
            self.requests.append((head, await reader.readexactly(size)))
            writer.write(self.answer)
            await writer.drain()
            if self.held:
                await self.hold.wait()
        writer.transport.abort()


@pytest.fixture
async def receiver(authority):
    """Such a server on 127.0.0.1."""
    made = Receiver()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certificate, authority.key)
    context.sni_callback = lambda _socket, name, _context: made.names.append(name)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    made.hold.set()
    server.close()


def sender(authority, port, *addresses, hosts=("localhost",), loopback=("127.0.0.1",), seconds=5.0):
    """Make a sender to a port of hosts whose resolver gives some addresses, one list after the other."""
    answers = list(addresses or (["127.0.0.1"],))

    async def resolve(_host, _port):
        return answers.pop(0) if len(answers) > 1 else answers[0]

    places = [f"{host}:{port}" for host in hosts]
    return OutwardSender(places, loopback=loopback, ca_file=authority.file, resolver=resolve, seconds=seconds)


async def send(one, port, path="/in?a=1", host="localhost"):
    """Send the notice with two secrets."""
    url = f"https://{host}:{port}{path}"
    await one.send(NOTICE, Channel.WEBHOOK, url, [b"new", b"old"], NOW)


async def test_a_message_arrives_signed(authority, receiver):
    """A receiver gets the notice under its id, with a signature by each living secret over what came."""
    await send(sender(authority, receiver.port), receiver.port)
    [(head, body)] = receiver.requests
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if line)
    assert lines[0] == "POST /in?a=1 HTTP/1.1"
    assert headers["host"] == f"localhost:{receiver.port}"
    assert receiver.names == ["localhost"]
    assert json.loads(body) == {
        "type": "credential.leaked",
        "timestamp": "2026-03-01T12:00:00+00:00",
        "data": {"id": "notice-1", "organisation_id": None, "kind": "client_secret"},
    }
    signed = b".".join((b"notice-1", headers["webhook-timestamp"].encode(), body))
    marks = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in (b"new", b"old")]
    assert headers["webhook-signature"] == f"v1,{marks[0]} v1,{marks[1]}"
    assert headers["webhook-id"] == "notice-1"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"HTTP/1.1 302 Found\r\nlocation: https://127.0.0.1/\r\n\r\n", "redirects are not followed"),
        (b"HTTP/1.1 500 No\r\n\r\n", "status 500"),
        (b"SSH-2.0-x\r\n", "not HTTP"),
        (b"x" * 100_000, "no answer: the connection failed"),
    ],
    ids=["redirect", "failure", "other", "endless"],
)
async def test_what_is_not_taken(authority, receiver, answer, problem):
    """HT-10: a redirect is not followed, and nothing but 2xx counts; of an endless answer little is read."""
    receiver.answer = answer
    with pytest.raises(NotDelivered, match=problem):
        await send(sender(authority, receiver.port), receiver.port)
    assert len(receiver.requests) == 1


async def test_a_big_body_is_not_read(authority, receiver):
    """HT-10: what follows the status line is not read, so a body can be as long or slow as it likes."""
    receiver.answer = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n" + b"x" * 4_000_000
    receiver.held = True
    await send(sender(authority, receiver.port), receiver.port)


async def test_a_slow_receiver_is_left(authority, receiver):
    """HT-10: who does not answer in time is left, however slowly it drips."""
    receiver.answer, receiver.held = b"HTTP/1.1 2", True
    with pytest.raises(NotDelivered, match="no answer: the time is over"):
        await send(sender(authority, receiver.port, seconds=0.3), receiver.port)


async def test_a_name_that_is_bound_anew(authority, receiver):
    """HT-10: a name is resolved once, and what was checked is what is connected to (DNS rebinding)."""
    rebound = sender(authority, receiver.port, ["93.184.215.14", "127.0.0.1"], ["127.0.0.1"], loopback=())
    with pytest.raises(NotDelivered, match=r"^no answer: .* not public$"):
        await send(rebound, receiver.port)
    twice = sender(authority, receiver.port, ["127.0.0.1"], ["10.0.0.1"])
    await send(twice, receiver.port)
    with pytest.raises(NotDelivered, match=r"^no answer: .* not public$"):
        await send(twice, receiver.port)
    assert len(receiver.requests) == 1


async def test_only_listed_hosts_and_trusted_names(authority, receiver, monkeypatch):
    """HT-10: a host that is not listed is not resolved; a certificate for another name is not believed."""
    with pytest.raises(NotDelivered, match="not among"):
        await send(sender(authority, receiver.port, hosts=("hooks.example.com",)), receiver.port)
    with pytest.raises(NotDelivered, match="no answer: TLS failed"):
        await send(
            sender(authority, receiver.port, hosts=("hooks.example.com",)),
            receiver.port,
            host="hooks.example.com",
        )
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    await send(sender(authority, receiver.port), receiver.port)
    assert len(receiver.requests) == 1


async def test_only_listed_ports(authority, receiver):
    """HT-10: of a listed host only the listed port is connected to, by default that of https."""
    port = receiver.port
    for listed in ("localhost", "localhost:443", f"localhost:{port + 1}", f"*.localhost:{port}"):
        one = OutwardSender([listed], loopback=["127.0.0.1"], ca_file=authority.file)
        with pytest.raises(NotDelivered, match=rf"^localhost:{port} is not among notices\.hosts$"):
            await send(one, port)
    several = OutwardSender(["localhost", f"localhost:{port}"])
    asked = partial(several.is_allowed, Channel.WEBHOOK)
    allowed = ("https://localhost/", "https://localhost:443/", f"https://localhost:{port}/")
    assert [asked(url) for url in allowed] == [None] * 3
    assert asked("https://localhost:80/") is not None
    assert receiver.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "https://user@hooks.example.com/",
        "https://hooks.example.com/#x",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/\r\nx: y",
        "https://[::1]/",
        "https:///in",
        "https://hooks.example.com:99999/",
        "https://hooks.example.com\\@evil.example/",
        "https://hooks.example.com/" + "x" * 2_000,
        "https://.hooks.example.com/",
        "https://a..hooks.example.com/",
        f"https://{'a' * 64}.hooks.example.com/",
        f"https://{'a.' * 120}hooks.example.com/",
        "https://a,b.hooks.example.com/",
    ],
)
def test_urls_that_are_none(url):
    """A URL is https, with a name and nothing that could be read in two ways."""
    assert parse_url(url) is None
