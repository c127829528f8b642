"""What the stores read for the admin API: the questions, and how SQL answers them."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, or_, select

from keyturn.core.admin_records import AdminToken, KeptAnswer
from keyturn.core.store_ports import AuditHit, AuditSpan, AuditWish
from keyturn.core.vocabulary import AdminTokenId
from keyturn.storage import rows
from keyturn.storage.admin_schema import ADMIN_TOKEN
from keyturn.storage.people_reads import Ask
from keyturn.storage.schema import AUDIT
from keyturn.storage.trail import span


class AdminReads(Protocol):
    """Every question about the admin API that the stores ask; all may raise ``Unavailable``."""

    async def tokens(self) -> Sequence[AdminToken]:
        """Read all admin tokens, oldest first, ended ones included."""
        ...

    async def token(self, token_id: AdminTokenId) -> AdminToken | None:
        """Read an admin token by its id."""
        ...

    async def token_by_hash(self, lookup_hashes: Sequence[bytes]) -> AdminToken | None:
        """Find an admin token by one of its secret's digests."""
        ...

    async def kept_answer(self, answer_id: str) -> KeptAnswer | None:
        """Read a kept answer by its id."""
        ...

    async def audit_hits(self, wish: AuditWish) -> Sequence[AuditHit]:
        """Read the rows of the audit trail that are wanted, newest first; nothing is opened."""
        ...

    async def audit_span(self, since: datetime | None, until: datetime | None) -> AuditSpan:
        """Tell where the rows of a time lie; some rows inside are of another time."""
        ...


class SqlAdmin:
    """Answers from SQL (``AdminReads``)."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def tokens(self) -> Sequence[AdminToken]:
        """Read all admin tokens, oldest first, ended ones included."""
        query = select(ADMIN_TOKEN).order_by(ADMIN_TOKEN.c.created_at, ADMIN_TOKEN.c.id)
        found: Sequence[AdminToken] = await self._ask(lambda c: rows.records(c, AdminToken, query))
        return found

    async def token(self, token_id: AdminTokenId) -> AdminToken | None:
        """Read an admin token by its id."""
        found: AdminToken | None = await self._ask(lambda c: rows.SqlShelf(c).find(AdminToken, token_id))
        return found

    async def token_by_hash(self, lookup_hashes: Sequence[bytes]) -> AdminToken | None:
        """Find an admin token by one of its secret's digests."""
        query = select(ADMIN_TOKEN).where(ADMIN_TOKEN.c.lookup_hash.in_(lookup_hashes)).limit(1)
        found: AdminToken | None = await self._ask(
            lambda c: next(iter(rows.records(c, AdminToken, query)), None)
        )
        return found

    async def kept_answer(self, answer_id: str) -> KeptAnswer | None:
        """Read a kept answer by its id."""
        found: KeptAnswer | None = await self._ask(lambda c: rows.SqlShelf(c).find(KeptAnswer, answer_id))
        return found

    async def audit_hits(self, wish: AuditWish) -> Sequence[AuditHit]:
        """Read the rows of the audit trail that are wanted, newest first; nothing is opened."""
        query = rows.AUDIT_ROWS.add_columns(AUDIT.c.id.label("position"))
        query = query.where(*_conditions(wish)).order_by(AUDIT.c.id.desc()).limit(wish.limit)

        def find(connection: Connection) -> Sequence[AuditHit]:
            with rows.readable("an audit row"):
                return [_hit(dict(row)) for row in connection.execute(query).mappings()]

        found: Sequence[AuditHit] = await self._ask(find)
        return found

    async def audit_span(self, since: datetime | None, until: datetime | None) -> AuditSpan:
        """Tell where the rows of a time lie; some rows inside are of another time."""
        found: AuditSpan = await self._ask(lambda c: span(c, since, until))
        return found


def _conditions(wish: AuditWish) -> Iterator[ColumnElement[bool]]:
    for name, value in wish.equal.items():
        yield AUDIT.c[name] == value
    if wish.organisation_id is not None:
        yield AUDIT.c.organisation_id == wish.organisation_id
    if wish.client is not None:
        yield or_(AUDIT.c.actor == f"client:{wish.client}", AUDIT.c.subject == wish.client)
    if wish.since is not None:
        yield AUDIT.c.at >= wish.since
    if wish.until is not None:
        yield AUDIT.c.at < wish.until
    if wish.before is not None:
        yield AUDIT.c.id < wish.before
    if wish.after:
        yield AUDIT.c.id > wish.after


def _hit(columns: dict[str, Any]) -> AuditHit:
    position = columns.pop("position")
    return AuditHit(position, rows.audit_row(columns))
