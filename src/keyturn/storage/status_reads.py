"""What the stores read of status lists, in SQL and in memory (``StatusReader``)."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, select

from keyturn.core.changes import Record
from keyturn.core.status_records import StatusBlock, StatusMark
from keyturn.core.vocabulary import OrganisationId
from keyturn.storage import rows
from keyturn.storage.people_reads import Ask
from keyturn.storage.status_schema import STATUS_BLOCK, STATUS_MARK

_ANY = TypeVar("_ANY", bound=Record)
_Content = tuple[Sequence[StatusBlock], Sequence[StatusMark]]


class SqlStatus:
    """Answers from SQL."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def content(self, organisation_id: OrganisationId, list_id: str) -> _Content:
        """Read what is in a list; of another organisation's nothing."""
        block, mark = STATUS_BLOCK.c, STATUS_MARK.c
        blocks = select(STATUS_BLOCK).where(
            block.organisation_id == organisation_id, block.list_id == list_id
        )
        marks = select(STATUS_MARK).where(mark.list_id == list_id, mark.organisation_id == organisation_id)

        def read(connection: Connection) -> _Content:
            leased = rows.records(connection, StatusBlock, blocks)
            return leased, rows.records(connection, StatusMark, marks) if leased else []

        found: _Content = await self._ask(read)
        return found

    async def lists(self, organisation_id: OrganisationId) -> Sequence[str]:
        """Name the lists that a token may still refer to."""
        query = select(STATUS_BLOCK.c.list_id).where(STATUS_BLOCK.c.organisation_id == organisation_id)
        query = query.distinct().order_by(STATUS_BLOCK.c.list_id)
        found: Sequence[str] = await self._ask(lambda c: c.execute(query).scalars().all())
        return found


class Kept(Protocol):
    """The records of a store in memory."""

    rows: dict[tuple[type[Any], str, str], Record]


class MemoryStatus:
    """Answers from the records of a store in memory."""

    def __init__(self, shelf: Kept) -> None:
        self._shelf = shelf

    async def content(self, organisation_id: OrganisationId, list_id: str) -> _Content:
        """Read what is in a list; of another organisation's nothing."""
        blocks = [each for each in self._all(StatusBlock) if each.list_id == list_id]
        marks = [each for each in self._all(StatusMark) if each.list_id == list_id]
        return (
            [each for each in blocks if each.organisation_id == organisation_id],
            [each for each in marks if each.organisation_id == organisation_id],
        )

    async def lists(self, organisation_id: OrganisationId) -> Sequence[str]:
        """Name the lists that a token may still refer to."""
        own = (each for each in self._all(StatusBlock) if each.organisation_id == organisation_id)
        return sorted({each.list_id for each in own})

    def _all(self, kind: type[_ANY]) -> list[_ANY]:
        return [record for record in self._shelf.rows.values() if isinstance(record, kind)]
