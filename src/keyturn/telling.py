"""What tells others, put together of the settings: a sender, the jobs of upkeep, the door of leak reports."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from keyturn.core.clock import Clock
from keyturn.core.notices import Noticed, Sender, Tallies
from keyturn.core.ports import Sealer
from keyturn.core.profile import TokenProfile
from keyturn.core.secret import Dice
from keyturn.core.store_ports import DeploymentStore
from keyturn.outward import MailServer, OutwardSender
from keyturn.setting_groups import NoticeSettings
from keyturn.storage import Store

if TYPE_CHECKING:  # commands open a deployment as well, and do without the web
    from keyturn.exchange.leaks import MasterKeyIn
    from keyturn.exchange.services import Services
    from keyturn.web.leaks import LeakReports
    from keyturn.web.refusals import Refusals


class Telling(msgspec.Struct, frozen=True):
    """How a process tells others.

    Args:
        sender: The edge over which notices leave; by default nothing may.
        noticed: What others should hear of that no unit carries.
        tallies: What became of what was sent.
    """

    sender: Sender = msgspec.field(default_factory=OutwardSender)
    noticed: Noticed = msgspec.field(default_factory=Noticed)
    tallies: Tallies = msgspec.field(default_factory=Tallies)


class Local(Protocol):
    """What is needed of an open deployment (``app.LocalServices``)."""

    @property
    def deployment(self) -> DeploymentStore:
        """What looks across organisations."""
        ...

    @property
    def store(self) -> Store:
        """The open store."""
        ...

    @property
    def sealer(self) -> Sealer:
        """Opens what signs a webhook's messages."""
        ...

    @property
    def clock(self) -> Clock:
        """Dates what is sent."""
        ...

    @property
    def dice(self) -> Dice:
        """Makes identifiers."""
        ...

    @property
    def telling(self) -> Telling:
        """How it tells others."""
        ...


def open_telling(notices: NoticeSettings) -> Telling:
    """Make a sender that may send where the settings allow it."""
    mail = None
    if notices.smtp_host is not None and notices.smtp_from is not None:
        mail = MailServer(
            host=notices.smtp_host,
            port=notices.smtp_port,
            security=notices.smtp_security,
            sender=notices.smtp_from,
            user=notices.smtp_user,
            password=notices.smtp_password,
            domains=notices.mail_domains,
        )
    return Telling(
        OutwardSender(notices.hosts, loopback=notices.loopback, ca_file=notices.ca_file, mail=mail)
    )


def notice_jobs(local: Local, notices: NoticeSettings) -> dict[str, Any]:
    """Make the jobs about notices, by the names that ``make_scheduler`` has for them."""
    from keyturn.upkeep.notices import Expiry, Noticing, Outgoing

    outbox, trail, dice = local.store.outbox, local.deployment, local.dice
    return {
        "outgoing": Outgoing(
            outbox=outbox,
            sender=local.telling.sender,
            sealer=local.sealer,
            trail=trail,
            clock=local.clock,
            dice=dice,
            tallies=local.telling.tallies,
            mails_a_day=notices.mails_a_day,
        ),
        "expiry": Expiry(outbox=outbox, trail=trail, dice=dice, days=notices.expiring_days),
        "noticing": Noticing(noticed=local.telling.noticed, trail=trail, dice=dice),
    }


def open_leak_reports(
    store: DeploymentStore,
    services: "Services",
    refusals: "Refusals",
    profiles: Mapping[str, TokenProfile],
    keys: Mapping[str, str] | None,
    master_key_in: "MasterKeyIn",
) -> "LeakReports | None":
    """Put the door of leak reports together; None where nobody's are believed."""
    if not keys:
        return None
    from keyturn.web.leaks import LeakReports, load_keys

    return LeakReports(load_keys(keys), services, store, tuple(profiles.values()), refusals, master_key_in)
