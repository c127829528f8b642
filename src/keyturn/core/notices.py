"""Notices: what happened that somebody outside should hear of, who wants to hear it, and each way there.

A notice is written in the unit that does what it tells of, so neither is there without the other. Upkeep
makes a delivery of it for each subscription and keeps trying: at least once, by one id, never with a secret.
"""

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

import msgspec

from keyturn.core.records import AuditEvent, Credential
from keyturn.core.secret import Dice, Secret
from keyturn.core.vocabulary import OrganisationId

KEPT = timedelta(days=30)
"""How long a notice is kept, delivered or not; the same thing is not told twice within that time."""
GIVEN_UP_AFTER = timedelta(days=3)
"""How long a delivery is tried."""
ORDER_KEPT = timedelta(minutes=15)
"""For how long a delivery that got no answer holds back the later ones of its subscription."""
OLD_SECRET = timedelta(days=1)
"""How long a webhook's replaced secret still signs beside the new one."""
ANSWERED = "status "
"""How the problem begins of a try that the receiver answered, and not with 2xx."""
NO_ANSWER = "no answer"
"""The problem of one that it did not: all that an organisation hears, or we would scan for it (HT-10)."""
MAILS_USED_UP = "the day's mails of this kind are used up"
"""The problem of a mail that waits for the next day (``notices.mails_a_day``)."""
STEPS_ASIDE = (ANSWERED, MAILS_USED_UP)
"""How the problem begins of a delivery that holds back no later one: those may have none."""
WEBHOOK_SECRET_PREFIX = "whsec_"
_SECRET_BYTES = 32
_DETAIL = ": "


class Happening(StrEnum):
    """What can be told."""

    LEAKED = "credential.leaked"
    EXPIRING = "credential.expiring"
    KEY_ROTATED = "signing_key.rotated"
    KEY_WITHDRAWN = "signing_key.withdrawn"
    LOCKED_OUT = "lockout.began"
    TEST = "notice.test"


KINDS = tuple(each.value for each in Happening if each is not Happening.TEST)
"""What may be subscribed to; a test goes to whom it is meant for."""


class Channel(StrEnum):
    """How a notice travels."""

    WEBHOOK = "webhook"
    MAIL = "mail"


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, as it is told.

    Args:
        id: Names what happened, so that the same is told once; receivers drop what they had already.
        organisation_id: Whose it is; None for the deployment's, such as a ring that all share.
        details: Ids and plain facts; never a secret, a name or an address.
        expires_at: From then on it may be forgotten.
        spread_at: When its deliveries were made; None before.
    """

    id: str
    kind: str
    organisation_id: OrganisationId | None
    at: datetime
    expires_at: datetime
    details: dict[str, str] = {}
    spread_at: datetime | None = None
    version: int = 0


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who wants to hear.

    Args:
        organisation_id: Whose notices; None for those of every organisation and of the deployment.
        target: A URL or a mail address.
        kinds: Of ``KINDS``.
        secret: Of a webhook: what signs, the newest first and the one before it behind, sealed together.
        previous_until: Until when that one signs too; None where there was none.
    """

    id: str
    organisation_id: OrganisationId | None
    channel: Channel
    target: str
    kinds: tuple[str, ...]
    created_at: datetime
    secret: bytes | None = None
    previous_until: datetime | None = None
    ended_at: datetime | None = None
    version: int = 0

    def wants(self, notice: Notice) -> bool:
        """Tell whether a notice is for it."""
        if self.ended_at is not None or self.organisation_id not in (None, notice.organisation_id):
            return False
        if notice.kind == Happening.TEST:
            return notice.details.get("subscription") == self.id
        return notice.kind in self.kinds


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One notice on its way to one subscription.

    Args:
        next_at: When it is tried next; None once it is there or given up.
        tries: How many there were.
        delivered_at: When the receiver took it.
        dead_at: When it was given up.
        problem: What the last try met, in a word or two of ours (``NotDelivered``), or why there is none yet.
        expires_at: From then on it may be forgotten.
    """

    id: str
    notice_id: str
    subscription_id: str
    organisation_id: OrganisationId | None
    created_at: datetime
    expires_at: datetime
    next_at: datetime | None
    tries: int = 0
    delivered_at: datetime | None = None
    dead_at: datetime | None = None
    problem: str = ""
    version: int = 0

    def keeps_order(self, now: datetime) -> bool:
        """Tell whether later ones wait until it is tried again: its receiver was away, not long ago."""
        young = self.created_at > now - ORDER_KEPT
        return self.tries > 0 and young and not self.problem.startswith(STEPS_ASIDE)


class MailKind(msgspec.Struct, frozen=True):
    """What mails of a day are counted together.

    By kind, so that whoever provokes one, as lockouts, does not silence another; and of the operator's own
    subscriptions by the organisation that is told of, so that none silences the others.

    Args:
        owner: Whose subscriptions they go to.
        about: Of which organisation they tell.
    """

    owner: OrganisationId | None
    about: OrganisationId | None
    kind: str


def make_notice(
    notice_id: str,
    happening: Happening,
    organisation_id: OrganisationId | None,
    at: datetime,
    **details: str,
) -> Notice:
    """Make a notice of what happens now."""
    return Notice(
        id=notice_id,
        kind=happening.value,
        organisation_id=organisation_id,
        at=at,
        expires_at=at + KEPT,
        details=details,
    )


def notice_of(event: AuditEvent, notice_id: str | None = None) -> Notice:
    """Make a notice of an audit event of one of ``KINDS``: its plain facts, and nothing personal."""
    return make_notice(
        notice_id or f"{event.kind}:{event.subject}:{event.request_id}",
        Happening(event.kind),
        event.organisation_id,
        event.at,
        **{**event.details, "subject": event.subject or "", "request_id": event.request_id},
    )


class NotDelivered(Exception):
    """A try that did not bring a notice there; its words are ours, never the receiver's.

    Args:
        told: What whoever has the subscription may know.
        detail: What the operator may know beside it.
    """

    def __init__(self, told: str, detail: str = "") -> None:
        """Put both into one line, which ``told_of`` takes apart."""
        super().__init__(f"{told}{_DETAIL}{detail}" if detail else told)


def told_of(problem: str) -> str:
    """Give what an organisation may know of a problem: nothing of names, ports and mailboxes (HT-10)."""
    return problem.partition(_DETAIL)[0]


class Sender(Protocol):
    """The edge over which notices leave."""

    def is_allowed(self, channel: Channel, target: str, *, listed: bool = False) -> str | None:
        """Say why nothing can be sent to a target, whatever its state; None if something can.

        Args:
            listed: Whether only what the settings name will do, also where naming nothing allows all.
        """
        ...

    def host_of(self, channel: Channel, target: str) -> str:
        """Name the host that takes what goes to a target: targets of one host are slow together."""
        ...

    async def send(
        self, notice: Notice, channel: Channel, target: str, secrets: Sequence[bytes], now: datetime
    ) -> None:
        """Bring a notice to a target; may be cancelled at any time.

        Raises:
            NotDelivered: The receiver has not taken it, as far as we know.
        """
        ...


class Outbox(Protocol):
    """The notices, subscriptions and deliveries of a deployment; whatever cannot be reached raises."""

    async def subscriptions(self, of: OrganisationId | None = None) -> Sequence[Subscription]:
        """Read the subscriptions of one organisation, or all there are: oldest first, ended ones included."""
        ...

    async def subscription(self, subscription_id: str) -> Subscription | None:
        """Read a subscription by its id."""
        ...

    async def notice(self, notice_id: str) -> Notice | None:
        """Read a notice by its id."""
        ...

    async def unspread(self, limit: int) -> Sequence[Notice]:
        """Read the oldest notices of which no deliveries were made yet."""
        ...

    async def spread(self, notice: Notice, deliveries: Sequence[Delivery], now: datetime) -> None:
        """Keep the deliveries of a notice, all or none; those that are there already stay as they are."""
        ...

    async def due_deliveries(self, now: datetime, limit: int) -> Sequence[Delivery]:
        """Read deliveries whose time has come, so that no subscription's crowd out another's.

        The first of each subscription come before the second of any, and so on; of those, subscriptions
        without a failed try first, then the longest due. A subscription's own are oldest first, those behind
        that were tried and keep no order; what waits for one that does (``keeps_order``) is not among them.
        """
        ...

    async def settle(self, delivery: Delivery) -> None:
        """Keep what became of a try."""
        ...

    async def deliveries(
        self,
        *,
        dead: bool,
        limit: int,
        of: OrganisationId | None = None,
        before: tuple[datetime, str] | None = None,
    ) -> Sequence[Delivery]:
        """Read those that were given up, or that are still tried, the newest first.

        Args:
            of: Whose subscriptions; None for all there are.
            before: When the last one that was read was made, and its id; None to begin.
        """
        ...

    async def has_test(self, subscription_id: str, since: datetime, *, settled: bool = False) -> bool:
        """Tell whether a test of a subscription that was made after an instant is still on its way.

        Args:
            settled: Whether one counts too that was delivered or given up.
        """
        ...

    async def mails(self, since: datetime) -> Mapping[MailKind, int]:
        """Count the mails that were taken from an instant on, also those of subscriptions that have ended."""
        ...

    async def depth(self) -> tuple[int, datetime | None]:
        """Count what is still to be delivered, and tell since when the oldest of it waits."""
        ...

    async def expiring(
        self, after: datetime, until: datetime, threshold: str, limit: int
    ) -> Sequence[Credential]:
        """Read living credentials that expire in a time and whose ``expiry_id`` was not told.

        The first of each organisation come before the second of any, so that none crowds out another.
        """
        ...


def make_webhook_secret(dice: Dice) -> bytes:
    """Make what signs a webhook's messages: 256 random bits."""
    return dice(_SECRET_BYTES)


def webhook_secrets(opened: bytes) -> tuple[bytes, ...]:
    """Take apart what a subscription keeps: the secret that signs, and the one before it."""
    return tuple(opened[at : at + _SECRET_BYTES] for at in range(0, len(opened), _SECRET_BYTES))


def spell_webhook_secret(secret: bytes) -> Secret:
    """Write a webhook's secret as receivers' libraries read it (Standard Webhooks)."""
    return Secret(WEBHOOK_SECRET_PREFIX + base64.b64encode(secret).decode())


def delivery_id(notice_id: str, subscription_id: str) -> str:
    """Name a delivery by both, so that a spread that was cut off and is done again adds nothing twice."""
    return f"{notice_id}>{subscription_id}"


def id_of_test(subscription_id: str, name: str = "") -> str:
    """Name a test of a subscription; without a name of its own it is how all of them begin."""
    return f"test:{subscription_id}:{name}"


def expiry_id(credential_id: str, threshold: str) -> str:
    """Name the notice that a credential expires in as many days as ``threshold`` says."""
    return f"expiring:{threshold}:{credential_id}"


class Noticed:
    """What a process noticed outside any unit, until a chore of upkeep writes it down; bounded."""

    MOST = 1_000

    def __init__(self) -> None:
        """Have noticed nothing."""
        self._waiting: dict[str, Notice] = {}
        self._told: dict[str, None] = {}

    def note(self, notice: Notice) -> None:
        """Keep a notice to be written; one that this process wrote lately is dropped."""
        if notice.id not in self._told and len(self._waiting) < self.MOST:
            self._waiting.setdefault(notice.id, notice)

    def take(self) -> Mapping[str, Notice]:
        """Give what waits; it is taken as written unless it is given back."""
        taken, self._waiting = self._waiting, {}
        for name in taken:
            if len(self._told) >= self.MOST:
                del self._told[next(iter(self._told))]
            self._told[name] = None
        return taken

    def give_back(self, notices: Mapping[str, Notice]) -> None:
        """Keep what could not be written for the next time."""
        for name, notice in notices.items():
            self._told.pop(name, None)
            self.note(notice)


class Tallies:
    """What this process has sent, and how deep the outbox was when it last looked: for metrics."""

    def __init__(self) -> None:
        """Have sent nothing."""
        self.outcomes: Counter[str] = Counter()
        self.depth = 0
        self.oldest_at: datetime | None = None
