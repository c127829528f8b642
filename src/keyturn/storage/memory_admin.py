"""What a store in memory answers about the admin API."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from keyturn.core.admin_records import AdminToken, KeptAnswer
from keyturn.core.records import AuditRow
from keyturn.core.store_ports import AuditHit, AuditSpan, AuditWish
from keyturn.core.vocabulary import AdminTokenId

_ANY = TypeVar("_ANY", AdminToken, KeptAnswer)


class _Rows(Protocol):
    audit: list[AuditRow]

    def find(self, kind: type[_ANY], key: str, /) -> _ANY | None: ...

    def all(self, kind: type[_ANY], /) -> list[_ANY]: ...


class MemoryAdmin:
    """Answers from dictionaries (``AdminReads``)."""

    def __init__(self, shelf: _Rows) -> None:
        self._shelf = shelf

    async def tokens(self) -> Sequence[AdminToken]:
        """Read all admin tokens, oldest first, ended ones included."""
        return sorted(self._shelf.all(AdminToken), key=lambda each: (each.created_at, each.id))

    async def token(self, token_id: AdminTokenId) -> AdminToken | None:
        """Read an admin token by its id."""
        return self._shelf.find(AdminToken, token_id)

    async def token_by_hash(self, lookup_hashes: Sequence[bytes]) -> AdminToken | None:
        """Find an admin token by one of its secret's digests."""
        return next((each for each in self._shelf.all(AdminToken) if each.lookup_hash in lookup_hashes), None)

    async def kept_answer(self, answer_id: str) -> KeptAnswer | None:
        """Read a kept answer by its id."""
        return self._shelf.find(KeptAnswer, answer_id)

    async def audit_hits(self, wish: AuditWish) -> Sequence[AuditHit]:
        """Read the rows of the audit trail that are wanted, newest first; nothing is opened."""
        written = enumerate(self._shelf.audit, start=1)
        hits = [AuditHit(position, row) for position, row in written if _fits(row, position, wish)]
        return hits[::-1][: wish.limit]

    async def audit_span(self, since: datetime | None, until: datetime | None) -> AuditSpan:
        """Tell where the rows of a time lie: here exactly."""
        rows = self._shelf.audit
        inside = [
            position
            for position, row in enumerate(rows, start=1)
            if (since is None or row.at >= since) and (until is None or row.at < until)
        ]
        oldest = rows[0].at if rows else None
        return AuditSpan(inside[0] - 1, inside[-1], oldest) if inside else AuditSpan(0, 0, oldest)


def _fits(row: AuditRow, position: int, wish: AuditWish) -> bool:
    return (
        all(getattr(row, name) == value for name, value in wish.equal.items())
        and wish.organisation_id in (None, row.organisation_id)
        and (wish.client is None or row.actor == f"client:{wish.client}" or row.subject == wish.client)
        and (wish.since is None or row.at >= wish.since)
        and (wish.until is None or row.at < wish.until)
        and (wish.before is None or position < wish.before)
        and position > wish.after
    )
