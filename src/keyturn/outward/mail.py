"""One plain-text mail through the configured server, under TLS unless that is this machine."""

import contextlib
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP

from keyturn.core.canonical import canonical_email
from keyturn.core.notices import NotDelivered, Notice
from keyturn.outward.sender import MailServer

_NOT_TAKEN = "the mail server has not taken it"
"""All that others than the operator hear: what it says of an address may tell who has one."""
SECONDS = 10.0
"""For each step: the connection, each line of an answer."""
ALL_SECONDS = 20.0
"""For all of it, below the deadline of a try: what was left at that must not arrive all the same."""
_ROUTE = frozenset("%!")


def is_address(target: str) -> bool:
    """Tell whether a text is one mail address and nothing else: no list, no header, no control character.

    Nor a route: of ``a%b.example@c.example`` and ``b.example!a@c.example`` the mail server of ``c.example``
    may make ``a@b.example``, for whoever logs in to it, and that is no domain we may have said mail goes to.
    """
    try:
        plain = target.isascii() and _ROUTE.isdisjoint(target)
        return plain and canonical_email(target) == target.lower()
    except ValueError:
        return False


def write(notice: Notice, target: str, server: MailServer) -> EmailMessage:
    """Write the mail about a notice: ids and plain facts, one a line.

    The library refuses a header with a line break in it, and everything that is not ours is in the body.
    """
    mail = EmailMessage(policy=SMTP)
    mail["From"] = server.sender
    mail["To"] = target
    mail["Subject"] = f"Keyturn: {notice.kind}"
    mail["Message-ID"] = f"<{notice.id.replace(':', '.')}@keyturn>"
    mail["Date"] = notice.at
    mail["Auto-Submitted"] = "auto-generated"
    facts = {"kind": notice.kind, "at": notice.at.isoformat(), "organisation": notice.organisation_id or "-"}
    lines = [f"{name}: {' '.join(value.split())}" for name, value in {**facts, **notice.details}.items()]
    mail.set_content("\n".join([*lines, "", f"id: {notice.id}", ""]), cte="quoted-printable")
    return mail


def send(mail: EmailMessage, server: MailServer, context: ssl.SSLContext) -> None:
    """Hand a mail over; blocks, so it belongs on a thread.

    Raises:
        NotDelivered: The server has not taken it.
    """
    until = time.monotonic() + ALL_SECONDS  # a host with a dead address or a late greeting takes its time too
    try:
        with _bounded(_connected(server, context), until) as session:
            if server.security == "starttls":
                session.starttls(context=context)  # raises where the server offers none: never in the clear
            if server.user is not None and server.password is not None:
                session.login(server.user, server.password.reveal())
            session.send_message(mail)
    except smtplib.SMTPResponseException as error:
        raise NotDelivered(_NOT_TAKEN, f"it says {error.smtp_code}") from None
    except smtplib.SMTPException as error:
        raise NotDelivered(_NOT_TAKEN, type(error).__name__) from None
    except (OSError, ValueError):
        raise NotDelivered(_NOT_TAKEN, "it cannot be reached, or TLS failed") from None


@contextlib.contextmanager
def _bounded(session: smtplib.SMTP, until: float) -> Iterator[smtplib.SMTP]:
    """Hold a session, and cut it off when it lasts too long: each byte renews the library's own patience."""
    left = until - time.monotonic()
    if left <= 0:
        session.close()
        raise TimeoutError
    timer = threading.Timer(left, _cut, (session,))
    timer.daemon = True
    timer.start()
    try:
        with session:
            yield session
    finally:
        timer.cancel()


def _cut(session: smtplib.SMTP) -> None:
    used = session.sock
    if used is not None:
        with contextlib.suppress(OSError):
            # Not the TLS socket's own method: that forgets TLS, and what is written next is in the clear.
            socket.socket.shutdown(used, socket.SHUT_RDWR)


def _connected(server: MailServer, context: ssl.SSLContext) -> smtplib.SMTP:
    if server.security == "tls":
        return smtplib.SMTP_SSL(server.host, server.port, timeout=SECONDS, context=context)
    return smtplib.SMTP(server.host, server.port, timeout=SECONDS)
