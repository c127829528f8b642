"""Brings notices to those who asked for them, and notices what nobody does: that a secret will expire.

At least once: what was sent and not noted is sent again, under the same id. One job of one process at a time
sends. Each subscription has a line of its own, oldest first and one at a time, that ends for the run with the
first try that got no answer: whoever is slow or away costs a place for one deadline, and nobody else a run. A
receiver that answers, and refuses, hears the next ones too.
"""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta

import msgspec

from keyturn.core.actors import system
from keyturn.core.changes import Add, Unit
from keyturn.core.clock import Clock
from keyturn.core.counting import counted
from keyturn.core.errors import Unavailable
from keyturn.core.identifiers import uuid7
from keyturn.core.notices import (
    ANSWERED,
    GIVEN_UP_AFTER,
    KEPT,
    MAILS_USED_UP,
    NO_ANSWER,
    STEPS_ASIDE,
    Channel,
    Delivery,
    Happening,
    MailKind,
    NotDelivered,
    Notice,
    Noticed,
    Outbox,
    Sender,
    Subscription,
    Tallies,
    delivery_id,
    expiry_id,
    notice_of,
    told_of,
    webhook_secrets,
)
from keyturn.core.ports import Sealer
from keyturn.core.records import AuditEvent, Credential
from keyturn.core.sealed_values import open_value
from keyturn.core.secret import Dice
from keyturn.core.store_ports import DeploymentStore

PAGE = 100
MOST_A_RUN = 1_000
RUN_SECONDS = 25.0
"""No try begins later in a run, so that one is over before the next is due."""
DEADLINE_SECONDS = 30.0
"""Of one try, whatever its channel; webhooks and mail have shorter ones of their own."""
AT_ONCE = 16
AT_ONCE_AN_ORGANISATION = 8
AT_ONCE_A_HOST = 2
"""Tries under way: of all, for one organisation, and to one host, which may be that of many subscriptions."""
MOST_REFUSALS = 20
"""Of one subscription in a run: a receiver that answers and takes nothing is not asked a thousand times."""
FIRST_RETRY = timedelta(minutes=1)
LONGEST_RETRY = timedelta(hours=6)
_MOST_DOUBLINGS = 12

log = logging.getLogger(__name__)


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """The job ``notices``.

    Args:
        mails_a_day: How many of each ``MailKind`` are sent between two midnights, UTC; the rest waits.
        deadline_seconds: Of one try.
    """

    outbox: Outbox
    sender: Sender
    sealer: Sealer
    trail: DeploymentStore
    clock: Clock
    dice: Dice
    tallies: Tallies
    mails_a_day: int
    deadline_seconds: float = DEADLINE_SECONDS

    async def work(self, _started_at: datetime) -> str:
        """Make deliveries of what is new, then try those that are due."""
        subscriptions = {each.id: each for each in await self.outbox.subscriptions()}
        spread = await self._spread(tuple(subscriptions.values()))
        lines: defaultdict[str, list[Delivery]] = defaultdict(list)
        for each in await self.outbox.due_deliveries(self.clock.now(), MOST_A_RUN):
            lines[each.subscription_id].append(each)
        run = await self._begin(each for each in subscriptions.values() if each.id in lines)
        try:
            async with asyncio.TaskGroup() as group:
                for name, line in lines.items():
                    group.create_task(self._send_line(line, subscriptions.get(name), run))
        except ExceptionGroup as broken:  # only what is ours can break: the store, for all of them alike
            raise broken.exceptions[0] from None
        if put_off := run.tried["postponed"]:
            log.warning("%s put off until tomorrow: notices.mails_a_day", counted(put_off, "mail"))
        self.tallies.outcomes.update(run.tried)
        self.tallies.depth, self.tallies.oldest_at = await self.outbox.depth()
        told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(run.tried.items()))
        return f"{spread} new; {told or 'nothing to send'}"

    async def _begin(self, subscriptions: Iterable[Subscription]) -> "_Run":
        """Begin a run, with the mails of today, which this process or another sent, if there may be more."""
        now = self.clock.now()
        day = datetime.combine(now.astimezone(UTC), time(), UTC)
        mailing = any(each.channel is Channel.MAIL for each in subscriptions)
        mails = await self.outbox.mails(day) if mailing else {}
        return _Run(now, self.clock.monotonic() + RUN_SECONDS, day + timedelta(days=1), Counter(mails))

    async def _spread(self, subscriptions: Sequence[Subscription]) -> int:
        count = 0
        while count < MOST_A_RUN and (page := await self.outbox.unspread(PAGE)):
            for notice in page:
                now = self.clock.now()
                wanted = [each for each in subscriptions if each.wants(notice)]
                await self.outbox.spread(notice, [_delivery(notice, each, now) for each in wanted], now)
                count += 1
        return count

    async def _send_line(
        self, line: Sequence[Delivery], subscription: Subscription | None, run: "_Run"
    ) -> None:
        """Try one subscription's deliveries in turn, until one gets no answer or it is late."""
        refusals = 0
        host = "" if subscription is None else self.sender.host_of(subscription.channel, subscription.target)
        ours = None if subscription is None else subscription.organisation_id
        for at, delivery in enumerate(line):
            # Who waits for its organisation holds nothing of others, nor who waits for a host more than
            # that organisation's own; a place is taken last, when nothing else is waited for.
            async with run.own_hosts[ours, host], run.organisations[ours], run.hosts[host], run.places:
                if self.clock.monotonic() >= run.until:
                    return
                done = await self._try(delivery, subscription, run)
                run.tried[_outcome(done)] += 1
                if subscription is None or subscription.ended_at is not None:
                    continue
                refusals += done.problem.startswith(ANSWERED)
                away = done.problem and not done.problem.startswith(STEPS_ASIDE)
                if away or refusals == MOST_REFUSALS:
                    await self._give_up_old(line[at + 1 :], run)
                    return

    async def _give_up_old(self, line: Sequence[Delivery], run: "_Run") -> None:
        """Give up what is too old of a line that is not taken: one try a run would never get through it."""
        now = self.clock.now()
        for each in line:
            if now >= each.created_at + GIVEN_UP_AFTER:
                await self._give_up(each, "one before it was not taken", now)
                run.tried["dead"] += 1

    async def _try(self, delivery: Delivery, subscription: Subscription | None, run: "_Run") -> Delivery:
        """Try a delivery once, and keep what became of it."""
        now = self.clock.now()
        notice = await self.outbox.notice(delivery.notice_id)
        if subscription is None or subscription.ended_at is not None or notice is None:
            return await self._give_up(delivery, "the subscription has ended", now)
        mail = _mail_kind(notice, subscription)
        if mail is not None and run.mails[mail] >= self.mails_a_day:
            return await self._put_off(delivery, now, until=run.day_ends)
        run.mails[mail] += 1  # before the try: other lines take from the same number meanwhile
        problem = await self._send(notice, subscription, now)
        tries = delivery.tries + 1
        if not problem:
            done = msgspec.structs.replace(delivery, next_at=None, tries=tries, delivered_at=now, problem="")
            await self.outbox.settle(done)
            return done
        run.mails[mail] -= 1
        if now >= delivery.created_at + GIVEN_UP_AFTER:
            return await self._give_up(delivery, problem, now)
        log.warning("a notice was not delivered: %s", problem, extra={"subscription": subscription.id})
        # From when the run began: how long tries took would tell an organisation what its problem does not.
        next_at = run.began + wait_after(tries)
        later = msgspec.structs.replace(delivery, next_at=next_at, tries=tries, problem=problem)
        await self.outbox.settle(later)
        return later

    async def _send(self, notice: Notice, subscription: Subscription, now: datetime) -> str:
        """Send a notice; gives what was in the way, or nothing."""
        try:
            secrets = self._secrets(subscription, now)
            async with asyncio.timeout(self.deadline_seconds):
                await self.sender.send(notice, subscription.channel, subscription.target, secrets, now)
        except NotDelivered as error:
            return str(error)
        except TimeoutError:
            return str(NotDelivered(NO_ANSWER, "the time is over"))
        except Unavailable:
            raise
        except Exception as fault:
            # One target that breaks us must not keep all others from being told.
            log.exception("a notice cannot be sent")
            return str(NotDelivered("a fault of ours", type(fault).__name__))
        return ""

    async def _put_off(self, delivery: Delivery, now: datetime, *, until: datetime) -> Delivery:
        """Leave a mail to the next day, or give it up if it has waited for as long as others are tried."""
        if now >= delivery.created_at + GIVEN_UP_AFTER:
            return await self._give_up(delivery, MAILS_USED_UP, now)
        later = msgspec.structs.replace(delivery, next_at=until, problem=MAILS_USED_UP)
        await self.outbox.settle(later)
        return later

    async def _give_up(self, delivery: Delivery, problem: str, now: datetime) -> Delivery:
        dead = msgspec.structs.replace(
            delivery, next_at=None, tries=delivery.tries + 1, dead_at=now, problem=problem
        )
        await self.outbox.settle(dead)
        event = AuditEvent(
            at=now,
            kind="notice.undelivered",
            actor=system("notices").name,
            request_id=uuid7(now, self.dice),
            organisation_id=delivery.organisation_id,
            subject=delivery.notice_id,
            details={
                "subscription": delivery.subscription_id,
                "problem": told_of(problem),  # the organisation reads this row
                "tries": str(dead.tries),
            },
        )
        await self.trail.record(Unit(audit=event))
        return dead

    def _secrets(self, subscription: Subscription, now: datetime) -> Sequence[bytes]:
        """Open what signs: the newest secret, and the one before it while that still signs."""
        if subscription.secret is None:
            return ()
        both = subscription.previous_until is not None and now < subscription.previous_until
        return webhook_secrets(open_value(subscription, self.sealer))[: 2 if both else 1]


class _Run:
    """What the lines of one run share.

    Args:
        began: When it began.
        until: When to leave the rest to the next run, by the monotonic clock.
        day_ends: When there may be more mails.
        mails: How many of the day were taken, or are under way; those of None are none, and nobody asks.
    """

    def __init__(
        self, began: datetime, until: float, day_ends: datetime, mails: Counter[MailKind | None]
    ) -> None:
        self.began = began
        self.until = until
        self.day_ends = day_ends
        self.mails = mails
        self.tried: Counter[str] = Counter()
        self.places = asyncio.Semaphore(AT_ONCE)
        self.organisations: defaultdict[str | None, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(AT_ONCE_AN_ORGANISATION)
        )
        self.hosts: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(AT_ONCE_A_HOST)
        )
        self.own_hosts: defaultdict[tuple[str | None, str], asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(AT_ONCE_A_HOST)
        )


def _outcome(done: Delivery) -> str:
    """Name what became of a try, as metrics do."""
    if done.delivered_at is not None:
        return "delivered"
    if done.dead_at is not None:
        return "dead"
    return "postponed" if done.problem == MAILS_USED_UP else "delayed"


def _mail_kind(notice: Notice, subscription: Subscription) -> MailKind | None:
    if subscription.channel is not Channel.MAIL:
        return None
    return MailKind(subscription.organisation_id, notice.organisation_id, notice.kind)


def _delivery(notice: Notice, subscription: Subscription, now: datetime) -> Delivery:
    return Delivery(
        id=delivery_id(notice.id, subscription.id),
        notice_id=notice.id,
        subscription_id=subscription.id,
        organisation_id=subscription.organisation_id,
        created_at=now,
        expires_at=now + KEPT,
        next_at=now,
    )


def wait_after(tries: int) -> timedelta:
    """Say how long after so many tries the next one is: doubled each time, up to a quarter of a day."""
    return min(LONGEST_RETRY, FIRST_RETRY * (1 << min(tries - 1, _MOST_DOUBLINGS)))


class Expiry(msgspec.Struct, frozen=True, kw_only=True):
    """The job ``expiry``: tells once, for each threshold, that a credential will expire.

    Args:
        days: The thresholds.
    """

    outbox: Outbox
    trail: DeploymentStore
    dice: Dice
    days: tuple[int, ...]

    async def work(self, now: datetime) -> str:
        """Tell of each credential the one threshold that it has passed last."""
        told, after = 0, now
        for days in sorted(set(self.days)):
            until, most = now + timedelta(days=days), told + MOST_A_RUN
            while told < most:
                page = await self.outbox.expiring(after, until, str(days), PAGE)
                for credential in page:
                    await self.trail.record(self._unit(credential, days, now))
                told += len(page)
                if len(page) < PAGE:
                    break
            after = until
        return f"told of {counted(told, 'credential')}"

    def _unit(self, credential: Credential, days: int, now: datetime) -> Unit:
        expires_at = credential.life.expires_at
        facts = {
            "kind": credential.kind.value,
            "owner": credential.owner_id,
            "expires_at": "" if expires_at is None else expires_at.isoformat(),
            "days": str(days),
        }
        event = AuditEvent(
            at=now,
            kind=Happening.EXPIRING.value,
            actor=system("expiry").name,
            request_id=uuid7(now, self.dice),
            organisation_id=credential.organisation_id,
            subject=credential.id,
            details=facts,
        )
        notice = notice_of(event, expiry_id(credential.id, str(days)))
        # Kept until long after the end, so that it is told once however far off the threshold is.
        notice = msgspec.structs.replace(notice, expires_at=now + timedelta(days=days) + KEPT)
        return Unit(audit=event, changes=(Add(notice),))


class Noticing(msgspec.Struct, frozen=True, kw_only=True):
    """The chore that writes down what a process noticed outside any unit: lockouts."""

    noticed: Noticed
    trail: DeploymentStore
    dice: Dice

    async def work(self) -> None:
        """Write down what waits; what cannot be written now waits for the next time.

        Raises:
            Unavailable: The store is away.
        """
        taken = dict(self.noticed.take())
        while taken:
            name, notice = next(iter(taken.items()))
            event = AuditEvent(
                at=notice.at,
                kind=notice.kind,
                actor=system("lockout").name,
                request_id=uuid7(notice.at, self.dice),
                organisation_id=notice.organisation_id,
                subject=notice.details.get("user"),
            )
            try:
                await self.trail.record(Unit(audit=event, changes=(Add(notice),)))
            except Unavailable:
                self.noticed.give_back(taken)
                raise
            del taken[name]
