"""What the stores read for the admin API: the questions, and how SQL answers them."""

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy import select

from keyturn.core.admin_records import AdminToken, KeptAnswer
from keyturn.core.vocabulary import AdminTokenId
from keyturn.storage import rows
from keyturn.storage.admin_schema import ADMIN_TOKEN
from keyturn.storage.people_reads import Ask


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
