"""Mail through a fake server: under TLS or to this machine, in plain text, with nothing smuggled in."""

import asyncio
import contextlib
import ssl
from datetime import UTC, datetime

import pytest

from authority import Authority
from keyturn.core.notices import Channel, Happening, NotDelivered, make_notice
from keyturn.core.secret import Secret
from keyturn.outward import MailServer, OutwardSender, mail
from keyturn.outward.mail import is_address

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOTICE = make_notice("leaked:1", Happening.LEAKED, None, NOW, done="ended\r\nBcc: x@evil.example")


class Server:
    """An SMTP server that speaks as much as is needed, and keeps what it hears."""

    def __init__(self, context=None):
        self.context = context
        self.heard = []
        self.secured = False
        self.mail = b""
        self.port = 0
        self.drips = False
        self.greets_after = 0.0
        self.left = asyncio.Event()

    async def _drip(self, writer):
        with contextlib.suppress(OSError):
            while True:
                writer.write(b"2")
                await writer.drain()
                await asyncio.sleep(0.02)
        writer.transport.abort()
        self.left.set()

    async def serve(self, reader, writer):
        async def say(text):
            writer.write(text.encode() + b"\r\n")
            await writer.drain()

        await asyncio.sleep(self.greets_after)
        await say("220 here")
        while line := (await reader.readline()).decode().strip():
            word = line.split()[0].upper()
            self.heard.append((word, self.secured))
            if word == "EHLO":
                offered = ["250-here"] + ["250-STARTTLS"] * (self.context is not None and not self.secured)
                await say("\r\n".join([*offered, "250 AUTH PLAIN"]))
            elif word == "STARTTLS" and self.context is not None:
                await say("220 go")
                await writer.start_tls(self.context)
                self.secured = True
            elif word == "DATA":
                await say("354 go")
                self.mail = await reader.readuntil(b"\r\n.\r\n")
                if self.drips:
                    await self._drip(writer)
                    return
                await say("250 kept")
            elif word == "QUIT":
                await say("221 bye")
                break
            else:
                await say("235 in" if word == "AUTH" else "250 ok")
        writer.close()


def secured_by(folder):
    """Make a certificate for this machine; gives who is to be believed, and a server's context."""
    authority = Authority(folder)
    authority.issue()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certificate, authority.key)
    return authority, context


async def started(server):
    """Listen on 127.0.0.1."""
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    return listening


def sender(port, **fields):
    """Make a sender by mail."""
    members = {"host": "localhost", "port": port, "security": "starttls", "sender": "keyturn@example.com"}
    ca_file = fields.pop("ca_file", None)
    return OutwardSender(mail=MailServer(**(members | fields)), ca_file=ca_file)


async def test_mail_goes_under_tls(tmp_path):
    """A mail is sent after STARTTLS and login, in plain text, and a line break in a fact adds no line."""
    authority, context = secured_by(tmp_path)
    server = Server(context)
    async with await started(server):
        by = sender(server.port, user="keyturn", password=Secret("x"), ca_file=authority.file)
        await by.send(NOTICE, Channel.MAIL, "ops@example.com", (), NOW)
    assert all(secured for word, secured in server.heard if word in {"AUTH", "MAIL", "RCPT", "DATA"})
    head, _, body = server.mail.partition(b"\r\n\r\n")
    assert b"Subject: Keyturn: credential.leaked\r\n" in head
    assert b"text/plain" in head
    assert not any(line.startswith(b"Bcc") for line in server.mail.split(b"\r\n"))
    assert b"done: ended Bcc: x@evil.example" in body


async def test_never_in_the_clear():
    """A server that offers no TLS gets nothing, not even the user's name."""
    server = Server()
    async with await started(server):
        by = sender(server.port, user="keyturn", password=Secret("x"))
        with pytest.raises(NotDelivered):
            await by.send(NOTICE, Channel.MAIL, "ops@example.com", (), NOW)
    assert {word for word, _ in server.heard} <= {"EHLO", "QUIT"}


@pytest.mark.parametrize("security", ["starttls", "none"])
async def test_a_session_has_an_end(tmp_path, monkeypatch, security):
    """A mail server that drips is left in time and its connection ended, so that no second try overlaps."""
    monkeypatch.setattr(mail, "ALL_SECONDS", 0.3)
    authority, context = secured_by(tmp_path)
    server = Server(context)
    server.drips = True
    async with asyncio.timeout(30), await started(server):
        by = sender(server.port, security=security, ca_file=authority.file)
        with pytest.raises(NotDelivered, match="the mail server"):
            await by.send(NOTICE, Channel.MAIL, "ops@example.com", (), NOW)
        await server.left.wait()


async def test_a_late_greeting_counts(monkeypatch):
    """A server that greets when the time is up gets no mail: the next try would bring it once more."""
    monkeypatch.setattr(mail, "ALL_SECONDS", 0.1)
    server = Server()
    server.greets_after = 2 * mail.ALL_SECONDS
    async with asyncio.timeout(30), await started(server):
        with pytest.raises(NotDelivered, match="cannot be reached"):
            await sender(server.port, security="none").send(NOTICE, Channel.MAIL, "ops@example.com", (), NOW)
    assert server.heard == []


@pytest.mark.parametrize(
    "target", ["a@b.example, c@d.example", "a@b.example\r\nBcc: c@d.example", "<a@b.example>", "nobody", ""]
)
async def test_one_address_and_nothing_else(target):
    """What is not one plain address is refused before anybody is connected to."""
    assert not is_address(target)
    with pytest.raises(NotDelivered, match="not one plain mail address"):
        await sender(1).send(NOTICE, Channel.MAIL, target, (), NOW)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("ops@example.com", None),
        ("OPS@Eu.Example.ORG", None),
        ("ops@evil.example", "evil.example is not among"),
        ("ops@example.com.evil.example", "not among"),
        ("ops@example.org", "not among"),
        ("ops", "not one plain mail address"),
        ("ops%evil.example@example.com", "not one plain mail address"),
        ("evil.example!ops@example.com", "not one plain mail address"),
    ],
)
def test_where_mail_may_go(target, words):
    """HT-10: where domains are listed no mail goes to another, whoever subscribes."""
    server = MailServer(
        host="m", port=25, security="none", sender="a@b.example", domains=("example.com", "*.example.org")
    )
    told = OutwardSender(mail=server).is_allowed(Channel.MAIL, target)
    assert told is None if words is None else words in told


def test_nothing_listed_is_all_or_nothing():
    """HT-10: where no domain is listed mail goes to all, but not for whoever may name listed ones only."""
    server = MailServer(host="m", port=25, security="none", sender="a@b.example")
    asked = OutwardSender(mail=server).is_allowed
    assert asked(Channel.MAIL, "ops@example.com") is None
    assert "not among notices.mail_domains" in asked(Channel.MAIL, "ops@example.com", listed=True)
