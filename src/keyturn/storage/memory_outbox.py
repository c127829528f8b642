"""Notices in memory (``Outbox``): the same answers as in SQL, for tests."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

import msgspec

from keyturn.core.life import State
from keyturn.core.notices import (
    Channel,
    Delivery,
    MailKind,
    Notice,
    Subscription,
    delivery_id,
    expiry_id,
    id_of_test,
)
from keyturn.core.records import Credential
from keyturn.core.vocabulary import OrganisationId

_ANY = TypeVar("_ANY", Notice, Subscription, Delivery, Credential)


class _Rows(Protocol):
    def find(self, kind: type[_ANY], key: str, /) -> _ANY | None: ...

    def all(self, kind: type[_ANY], /) -> list[_ANY]: ...

    def holder(self, record: Any, /) -> Any: ...

    def insert(self, record: Any, /) -> None: ...

    def update(self, record: Any, /) -> None: ...


class MemoryOutbox:
    """The ``Outbox`` of a store in memory."""

    def __init__(self, shelf: _Rows) -> None:
        self._shelf = shelf

    async def subscriptions(self, of: OrganisationId | None = None) -> Sequence[Subscription]:
        """Read the subscriptions of one organisation, or all there are: oldest first, ended ones included."""
        found = [each for each in self._shelf.all(Subscription) if of in (None, each.organisation_id)]
        return sorted(found, key=_age)

    async def subscription(self, subscription_id: str) -> Subscription | None:
        """Read a subscription by its id."""
        return self._shelf.find(Subscription, subscription_id)

    async def notice(self, notice_id: str) -> Notice | None:
        """Read a notice by its id."""
        return self._shelf.find(Notice, notice_id)

    async def unspread(self, limit: int) -> Sequence[Notice]:
        """Read the oldest notices of which no deliveries were made yet."""
        waiting = [each for each in self._shelf.all(Notice) if each.spread_at is None]
        return sorted(waiting, key=lambda each: each.at)[:limit]

    async def spread(self, notice: Notice, deliveries: Sequence[Delivery], now: datetime) -> None:
        """Keep the deliveries of a notice; those that are there already stay as they are."""
        for each in deliveries:
            if self._shelf.holder(each) is None:
                self._shelf.insert(each)
        self._shelf.update(msgspec.structs.replace(notice, spread_at=now))

    async def due_deliveries(self, now: datetime, limit: int) -> Sequence[Delivery]:
        """Read deliveries whose time has come, so that no subscription's crowd out another's."""
        lines: dict[str, list[Delivery]] = {}
        for each in self._shelf.all(Delivery):
            if each.next_at is not None:
                lines.setdefault(each.subscription_id, []).append(each)
        ranked = sorted((key, each.id, each) for line in lines.values() for key, each in _turns(line, now))
        return [each for *_, each in ranked[:limit]]

    async def settle(self, delivery: Delivery) -> None:
        """Keep what became of a try."""
        if self._shelf.find(Delivery, delivery.id) is not None:
            self._shelf.update(delivery)

    async def deliveries(
        self,
        *,
        dead: bool,
        limit: int,
        of: OrganisationId | None = None,
        before: tuple[datetime, str] | None = None,
    ) -> Sequence[Delivery]:
        """Read those that were given up, or that are still tried, the newest first."""
        wanted = [
            each
            for each in self._shelf.all(Delivery)
            if (each.dead_at if dead else each.next_at) is not None
            and of in (None, each.organisation_id)
            and (before is None or _age(each) < before)
        ]
        return sorted(wanted, key=_age, reverse=True)[:limit]

    async def has_test(self, subscription_id: str, since: datetime, *, settled: bool = False) -> bool:
        """Tell whether a test of a subscription that was made after an instant is still on its way."""
        for each in self._shelf.all(Notice):
            if each.id.startswith(id_of_test(subscription_id)) and each.at > since:
                delivery = self._shelf.find(Delivery, delivery_id(each.id, subscription_id))
                waits = each.spread_at is None or (delivery is not None and delivery.next_at is not None)
                if settled or waits:
                    return True
        return False

    async def mails(self, since: datetime) -> Mapping[MailKind, int]:
        """Count the mails that were taken from an instant on, also those of subscriptions that have ended."""
        counted: Counter[MailKind] = Counter()
        for each in self._shelf.all(Delivery):
            notice = self._shelf.find(Notice, each.notice_id)
            to = self._shelf.find(Subscription, each.subscription_id)
            taken = each.delivered_at is not None and each.delivered_at >= since
            if taken and notice is not None and to is not None and to.channel is Channel.MAIL:
                counted[MailKind(each.organisation_id, notice.organisation_id, notice.kind)] += 1
        return counted

    async def depth(self) -> tuple[int, datetime | None]:
        """Count what is still to be delivered, and tell since when the oldest of it waits."""
        since = [each.created_at for each in self._shelf.all(Delivery) if each.next_at is not None]
        since += [each.at for each in self._shelf.all(Notice) if each.spread_at is None]
        return len(since), min(since, default=None)

    async def expiring(
        self, after: datetime, until: datetime, threshold: str, limit: int
    ) -> Sequence[Credential]:
        """Read living credentials that expire in a time and of which a threshold was not told."""
        found = [
            (each.life.expires_at, each)
            for each in self._shelf.all(Credential)
            if each.life.expires_at is not None and each.life.state is not State.ENDED
        ]
        turns: Counter[str] = Counter()
        untold: list[tuple[int, datetime, Credential]] = []
        for at, each in sorted(found, key=lambda pair: pair[0]):
            if after < at <= until and self._shelf.find(Notice, expiry_id(each.id, threshold)) is None:
                turns[each.organisation_id] += 1
                untold.append((turns[each.organisation_id], at, each))
        return [each for _turn, _at, each in sorted(untold, key=lambda one: one[:2])][:limit]


def _age(record: Subscription | Delivery) -> tuple[datetime, str]:
    return record.created_at, record.id


def _turns(line: list[Delivery], now: datetime) -> Iterator[tuple[tuple[int, bool, datetime], Delivery]]:
    """Give what is due of one subscription, each with what says when it is its turn among all."""
    failing = any(each.tries for each in line)
    due: list[tuple[bool, tuple[datetime, str], datetime, Delivery]] = []
    for each in sorted(line, key=_age):
        keeps_order = each.keeps_order(now)
        if each.next_at is not None and each.next_at <= now:
            due.append((each.tries > 0 and not keeps_order, _age(each), each.next_at, each))
        elif keeps_order:
            break
    for turn, (_behind, _since, next_at, each) in enumerate(sorted(due, key=lambda one: one[:2]), start=1):
        yield (turn, failing, next_at), each
