"""Notices in SQL (``Outbox``)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Text, and_, case, func, literal, select

from keyturn.core.life import State
from keyturn.core.notices import (
    ORDER_KEPT,
    STEPS_ASIDE,
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
from keyturn.storage import rows
from keyturn.storage.errands import SqlErrands
from keyturn.storage.notice_schema import DELIVERY, NOTICE, SUBSCRIPTION
from keyturn.storage.schema import CREDENTIAL

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""Before any delivery. For "is not null" SQLite would read a month of delivered ones: it takes no index."""


class SqlOutbox(SqlErrands):
    """The ``Outbox`` of a SQL store."""

    async def subscriptions(self, of: OrganisationId | None = None) -> Sequence[Subscription]:
        """Read the subscriptions of one organisation, or all there are: oldest first, ended ones included."""
        columns = SUBSCRIPTION.c
        query = select(SUBSCRIPTION).order_by(columns.created_at, columns.id)
        whose = query if of is None else query.where(columns.organisation_id == of)
        return await self._records(Subscription, whose)

    async def subscription(self, subscription_id: str) -> Subscription | None:
        """Read a subscription by its id."""
        return await self._ask(lambda c: rows.SqlShelf(c).find(Subscription, subscription_id))

    async def notice(self, notice_id: str) -> Notice | None:
        """Read a notice by its id."""
        return await self._ask(lambda c: rows.SqlShelf(c).find(Notice, notice_id))

    async def unspread(self, limit: int) -> Sequence[Notice]:
        """Read the oldest notices of which no deliveries were made yet."""
        query = select(NOTICE).where(NOTICE.c.spread_at.is_(None)).order_by(NOTICE.c.at).limit(limit)
        return await self._records(Notice, query)

    async def spread(self, notice: Notice, deliveries: Sequence[Delivery], now: datetime) -> None:
        """Keep the deliveries of a notice, all or none; those that are there already stay as they are."""
        added = self._ground.insert(DELIVERY).on_conflict_do_nothing()
        done = NOTICE.update().where(NOTICE.c.id == notice.id).values(spread_at=now)

        def spread(connection: Connection) -> None:
            if deliveries:
                connection.execute(added, [rows.row_of(each) for each in deliveries])
            connection.execute(done)

        await self._errand(spread)

    async def due_deliveries(self, now: datetime, limit: int) -> Sequence[Delivery]:
        """Read deliveries whose time has come, so that no subscription's crowd out another's."""
        return await self._records(Delivery, _due(now, limit))

    async def settle(self, delivery: Delivery) -> None:
        """Keep what became of a try."""
        await self._errand(lambda c: rows.SqlShelf(c).update(delivery))

    async def deliveries(
        self,
        *,
        dead: bool,
        limit: int,
        of: OrganisationId | None = None,
        before: tuple[datetime, str] | None = None,
    ) -> Sequence[Delivery]:
        """Read those that were given up, or that are still tried, the newest first."""
        columns = DELIVERY.c
        query = select(DELIVERY).where((columns.dead_at if dead else columns.next_at) > _LONG_AGO)
        if of is not None:
            query = query.where(columns.organisation_id == of)
        if before is not None:
            query = query.where(_is_before(*before))
        newest = query.order_by(columns.created_at.desc(), columns.id.desc())
        return await self._records(Delivery, newest.limit(limit))

    async def has_test(self, subscription_id: str, since: datetime, *, settled: bool = False) -> bool:
        """Tell whether a test of a subscription that was made after an instant is still on its way."""
        first, columns = id_of_test(subscription_id), NOTICE.c
        named = columns.id.concat(delivery_id("", subscription_id))
        query = (
            select(columns.id)
            .outerjoin_from(NOTICE, DELIVERY, DELIVERY.c.id == named)
            .where(columns.id > first, columns.id < f"{first}~", columns.at > since)
        )
        if not settled:
            query = query.where(columns.spread_at.is_(None) | DELIVERY.c.next_at.is_not(None))
        return await self._ask(lambda c: c.execute(query.limit(1)).first() is not None)

    async def mails(self, since: datetime) -> Mapping[MailKind, int]:
        """Count the mails that were taken from an instant on, also those of subscriptions that have ended."""
        groups = (DELIVERY.c.organisation_id, NOTICE.c.organisation_id, NOTICE.c.kind)
        query = (
            select(*groups, func.count())
            .select_from(DELIVERY)
            .join(SUBSCRIPTION, SUBSCRIPTION.c.id == DELIVERY.c.subscription_id)
            .join(NOTICE, NOTICE.c.id == DELIVERY.c.notice_id)
            .where(DELIVERY.c.delivered_at >= since, SUBSCRIPTION.c.channel == Channel.MAIL)
            .group_by(*groups)
        )
        return await self._ask(lambda c: {MailKind(*of): count for *of, count in c.execute(query)})

    async def depth(self) -> tuple[int, datetime | None]:
        """Count what is still to be delivered, and tell since when the oldest of it waits."""
        waiting = select(func.count(), func.min(DELIVERY.c.created_at)).where(DELIVERY.c.next_at > _LONG_AGO)
        told = select(func.count(), func.min(NOTICE.c.at)).where(NOTICE.c.spread_at.is_(None))

        def count(connection: Connection) -> tuple[int, datetime | None]:
            found = [connection.execute(query).one() for query in (waiting, told)]
            return sum(each[0] for each in found), min((each[1] for each in found if each[1]), default=None)

        return await self._ask(count)

    async def expiring(
        self, after: datetime, until: datetime, threshold: str, limit: int
    ) -> Sequence[Credential]:
        """Read living credentials that expire in a time and of which a threshold was not told."""
        columns = CREDENTIAL.c
        named = literal(expiry_id("", threshold), Text).concat(columns.id)
        told = select(NOTICE.c.id).where(NOTICE.c.id == named).exists()
        turn = func.row_number().over(partition_by=columns.organisation_id, order_by=columns.expires_at)
        untold = (
            select(columns.id, turn.label("turn"))
            .where(
                columns.expires_at > after,
                columns.expires_at <= until,
                columns.ended_at.is_(None),
                columns.state != State.ENDED,
                ~told,
            )
            .subquery()
        )
        query = select(CREDENTIAL).join(untold, untold.c.id == columns.id)
        return await self._records(Credential, query.order_by(untold.c.turn, columns.expires_at).limit(limit))

    async def _records(self, kind: type[Any], query: Select[Any]) -> Sequence[Any]:
        return await self._ask(lambda c: rows.records(c, kind, query))


def _is_before(at: datetime | ColumnElement[datetime], name: str | ColumnElement[str]) -> ColumnElement[bool]:
    """Ask whether a delivery is older than a place, which is an instant and among equals an id."""
    columns = DELIVERY.c
    return (columns.created_at < at) | ((columns.created_at == at) & (columns.id < name))


def _due(now: datetime, limit: int) -> Select[Any]:
    """Ask for what is due as ``Outbox.due_deliveries`` says.

    All that waits is ranked, three days' worth where a receiver is gone. So short rows are sorted, and once:
    sorting whole ones, half a million would take longer than anybody waits for an answer.
    """
    columns = DELIVERY.c
    line, waits, age = columns.subscription_id, columns.next_at > _LONG_AGO, (columns.created_at, columns.id)
    keeps_order = and_(  # as ``Delivery.keeps_order``
        columns.tries > 0,
        columns.created_at > now - ORDER_KEPT,
        *(~columns.problem.startswith(each) for each in STEPS_ASIDE),
    )
    eldest = func.row_number().over(partition_by=line, order_by=age).label("turn")
    holding = select(line, *age, eldest).where(columns.next_at > now, keeps_order).subquery()
    held = select(holding).where(holding.c.turn == 1).subquery()
    behind = case((columns.tries == 0, 0), (keeps_order, 0), else_=1)
    turn = func.row_number().over(partition_by=line, order_by=(behind, *age)).label("turn")
    failed = select(line).where(waits, columns.tries > 0).distinct().subquery()
    due = (
        select(columns.id, columns.next_at, turn, failed.c.subscription_id.is_not(None).label("failing"))
        .outerjoin_from(DELIVERY, held, held.c.subscription_id == line)
        .outerjoin(failed, failed.c.subscription_id == line)
        .where(
            waits,
            columns.next_at <= now,
            held.c.id.is_(None) | _is_before(held.c.created_at, held.c.id),
        )
        .subquery()
    )
    order = (due.c.turn, due.c.failing, due.c.next_at, due.c.id)
    first = select(due).order_by(*order).limit(limit).subquery()
    order = (first.c.turn, first.c.failing, first.c.next_at, first.c.id)
    return select(DELIVERY).join(first, first.c.id == columns.id).order_by(*order)
