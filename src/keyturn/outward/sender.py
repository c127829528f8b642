"""The ``Sender`` of ``core.notices``: a webhook where the host is listed, a mail where a server is set."""

import ssl
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path

import msgspec

from keyturn.core.notices import Channel, NotDelivered, Notice
from keyturn.core.secret import Secret
from keyturn.outward import addresses, webhook
from keyturn.outward.aside import aside


class MailServer(msgspec.Struct, frozen=True, kw_only=True):
    """Through whom mail goes.

    Args:
        security: ``starttls``, ``tls`` from the first byte, or ``none``, to this machine only.
        user: None where the server asks for none.
        sender: The address that mail comes from.
        domains: Names and ``*.`` patterns of the domains that mail may go to; without any, to all.
    """

    host: str
    port: int
    security: str
    sender: str
    user: str | None = None
    password: Secret | None = None
    domains: tuple[str, ...] = ()


class OutwardSender:
    """Sends notices.

    Args:
        hosts: Names and ``*.`` patterns of the hosts that webhooks may go to, with a port unless it is 443.
        loopback: Addresses of this machine that they may go to all the same: for tests and sidecars.
        ca_file: Certificates that are believed beside the system's.
        mail: Through whom mail goes; None for no mail.
        resolver: Gives the addresses of a host.
    """

    def __init__(
        self,
        hosts: Sequence[str] = (),
        *,
        loopback: Sequence[str] = (),
        ca_file: Path | None = None,
        mail: MailServer | None = None,
        resolver: addresses.Resolver = addresses.resolve,
        seconds: float = webhook.SECONDS,
    ) -> None:
        """Note what is allowed; nothing is loaded or opened yet."""
        self._hosts = tuple(hosts)
        self._loopback = tuple(loopback)
        self._ca_file = ca_file
        self._mail = mail
        self._resolver = resolver
        self._seconds = seconds

    def is_allowed(self, channel: Channel, target: str, *, listed: bool = False) -> str | None:
        """Say why nothing can be sent to a target; None if something can."""
        if channel is Channel.MAIL:
            return self._mail_refused(target, listed=listed)
        place = webhook.parse_url(target)
        if place is None:
            return "a webhook is an https:// URL with a host name, without user, password or fragment"
        if not addresses.is_place_listed(place.host, place.port, self._hosts):
            return f"{place.authority} is not among notices.hosts"
        return None

    def _mail_refused(self, address: str, *, listed: bool) -> str | None:
        from keyturn.outward.mail import is_address

        if self._mail is None:
            return "no mail server is set: notices.smtp_host"
        if not is_address(address):
            return "that is not one plain mail address"
        domain = address.rpartition("@")[2].lower()
        if (listed or self._mail.domains) and not addresses.is_listed(domain, self._mail.domains):
            return f"{domain} is not among notices.mail_domains"
        return None

    def host_of(self, channel: Channel, target: str) -> str:
        """Name the host that takes what goes to a target; all mail goes through one."""
        if channel is Channel.MAIL:
            return "" if self._mail is None else self._mail.host
        place = webhook.parse_url(target)
        return target if place is None else place.host

    async def send(
        self, notice: Notice, channel: Channel, target: str, secrets: Sequence[bytes], now: datetime
    ) -> None:
        """Bring a notice to a target; may be cancelled at any time.

        Raises:
            NotDelivered: The receiver has not taken it, as far as we know.
        """
        refused = self.is_allowed(channel, target)
        if refused is not None:
            raise NotDelivered(refused)
        if channel is Channel.MAIL:
            await self._send_mail(notice, target)
            return
        place = webhook.parse_url(target)
        if place is not None:
            body = body_of(notice)
            headers = webhook.sign(notice.id, now, body, secrets)
            await webhook.post(
                place,
                headers,
                body,
                resolver=self._resolver,
                loopback=self._loopback,
                context=self._context,
                seconds=self._seconds,
            )

    async def _send_mail(self, notice: Notice, target: str) -> None:
        from keyturn.outward import mail  # with smtplib, for whoever sends some

        if self._mail is None:
            raise NotDelivered("no mail server is set")
        written = mail.write(notice, target, self._mail)
        await aside(partial(mail.send, written, self._mail, self._context))

    @cached_property
    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self._ca_file is not None:
            context.load_verify_locations(self._ca_file)
        return context


def body_of(notice: Notice) -> bytes:
    """Write a notice as Standard Webhooks has it: ``type``, ``timestamp``, ``data``."""
    data = {"id": notice.id, "organisation_id": notice.organisation_id, **notice.details}
    return msgspec.json.encode({"type": notice.kind, "timestamp": notice.at.isoformat(), "data": data})
