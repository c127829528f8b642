"""Records to rows and back: a field is the column of the same name, a credential's life is spread out."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Table,
    and_,
    bindparam,
    func,
    or_,
    select,
    true,
)

from keyturn.core.admin_records import AdminToken, KeptAnswer
from keyturn.core.changes import Imported, Record, Removable, Rewind, Touch, Versioned
from keyturn.core.errors import Fault
from keyturn.core.life import Life
from keyturn.core.notices import Delivery, Notice, Subscription
from keyturn.core.records import (
    AuditRow,
    Client,
    Credential,
    Entity,
    Membership,
    Organisation,
    Project,
    RefreshFamily,
    Revocation,
    Sealed,
    SigningKey,
    Spent,
    Team,
    User,
)
from keyturn.core.status_records import StatusBlock, StatusMark
from keyturn.core.store_ports import LEFTOVER_NAMES, Leftover
from keyturn.core.tombstones import ERASED
from keyturn.storage import admin_schema, notice_schema, people_schema, schema, status_schema
from keyturn.storage.audit import Columns
from keyturn.storage.carry import LEFTOVERS, TOMBSTONES, R
from keyturn.storage.ground import Ground
from keyturn.storage.places import Placed, place_of, unique_names
from keyturn.storage.rewinding import rewind_rows

_TABLES: dict[type[Any], Table] = {
    Organisation: schema.ORGANISATION,
    Client: schema.CLIENT,
    User: people_schema.USER,
    Membership: people_schema.MEMBERSHIP,
    Team: people_schema.TEAM,
    Project: people_schema.PROJECT,
    Entity: people_schema.ENTITY,
    Credential: schema.CREDENTIAL,
    SigningKey: schema.SIGNING_KEY,
    Sealed: schema.SEALED,
    RefreshFamily: schema.REFRESH_FAMILY,
    Revocation: schema.REVOCATION,
    Spent: schema.SPENT,
    StatusBlock: status_schema.STATUS_BLOCK,
    StatusMark: status_schema.STATUS_MARK,
    AdminToken: admin_schema.ADMIN_TOKEN,
    KeptAnswer: admin_schema.KEPT_ANSWER,
    Notice: notice_schema.NOTICE,
    Subscription: notice_schema.SUBSCRIPTION,
    Delivery: notice_schema.DELIVERY,
}
# Built once: making a statement costs SQLAlchemy several times what running it costs SQLite.
_FIND = {kind: select(table).where(table.c.id == bindparam("at_id")) for kind, table in _TABLES.items()}
_UPDATE = {kind: table.update().where(table.c.id == bindparam("at_id")) for kind, table in _TABLES.items()}
_INSERT = {kind: table.insert() for kind, table in _TABLES.items()}
_FIND_SEALED = select(schema.SEALED).where(
    schema.SEALED.c.purpose == bindparam("purpose"), schema.SEALED.c.id == bindparam("name")
)
_TOUCH = (
    schema.CREDENTIAL.update()
    .where(
        schema.CREDENTIAL.c.id == bindparam("at_id"),
        schema.CREDENTIAL.c.organisation_id == bindparam("of_id"),
        or_(schema.CREDENTIAL.c.last_used_on.is_(None), schema.CREDENTIAL.c.last_used_on < bindparam("day")),
    )
    .values(last_used_on=bindparam("day"))
)
_HELD = (
    select(schema.CREDENTIAL)
    .where(schema.CREDENTIAL.c.owner_id == bindparam("owner_id"))
    .order_by(schema.CREDENTIAL.c.created_at, schema.CREDENTIAL.c.id)
)
_LIFE_FIELDS = Life.__struct_fields__
_ANY = TypeVar("_ANY", bound=Record)
_ANY_VALUE = TypeVar("_ANY_VALUE")
_TOGETHER = 400
"""Values that one question asks about: SQLite was once built for 999."""


def table_of(kind: type[_ANY]) -> Table:
    """Give the table that keeps a kind of record."""
    return _TABLES[kind]


def row_of(record: Record) -> dict[str, Any]:
    """Spread a record over its table's columns."""
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    life = fields.pop("life", None)
    if life is not None:
        fields |= {name: getattr(life, name) for name in _LIFE_FIELDS}
    elif isinstance(record, Placed):
        fields["place"] = place_of(record)
    return fields


def record_of(kind: type[_ANY], fields: dict[str, Any]) -> _ANY:
    """Make a record of its row, which is used up."""
    if kind is Credential:
        fields["life"] = Life(**{name: fields.pop(name) for name in _LIFE_FIELDS})
    else:
        fields.pop("place", None)
    return kind(**fields)


def records(
    connection: Connection, kind: type[_ANY], query: Select[Any], values: dict[str, Any] | None = None
) -> Sequence[_ANY]:
    """Run a query over one table's columns and make records of what it finds.

    Args:
        values: Of its parameters. What requests wait for has parameters, and is made once.
    """
    found = connection.execute(query, values)
    names = tuple(found.keys())
    return [record_of(kind, dict(zip(names, row, strict=True))) for row in found]


def held_by(connection: Connection, owner_id: str) -> Sequence[Credential]:
    """Read an owner's credentials of every kind and wherever they are good, oldest first.

    The asker chooses among them: SQLite would choose another index, and read all that an organisation has.
    """
    return records(connection, Credential, _HELD, {"owner_id": owner_id})


def leftovers(connection: Connection, organisation_id: str, limit: int) -> Sequence[Leftover]:
    """Read what is left to erase of an organisation, in the order of ``LEFTOVERS``."""
    found: list[Leftover] = []
    for kind in LEFTOVERS:
        query = select(table_of(kind)).where(*_still_there(kind, organisation_id)).limit(limit - len(found))
        found += records(connection, kind, query)
    return found


def leftover_counts(connection: Connection, organisation_id: str) -> dict[str, int]:
    """Count what is left to erase of an organisation, by ``LEFTOVER_NAMES``."""
    counts = {}
    for kind in LEFTOVERS:
        counted = select(func.count()).select_from(table_of(kind)).where(*_still_there(kind, organisation_id))
        counts[LEFTOVER_NAMES[kind]] = connection.execute(counted).scalar() or 0
    return {name: count for name, count in counts.items() if count}


def _still_there(kind: type[Leftover], organisation_id: str) -> tuple[ColumnElement[bool], ...]:
    columns = table_of(kind).c
    owner = columns.issuer_id if kind is SigningKey else columns.organisation_id
    return owner == organisation_id, columns.name != ERASED if kind in TOMBSTONES else true()


class SqlShelf:
    """The rows of a SQL store inside the writer's transaction (``carry.Shelf``)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, kind: type[R], key: str) -> R | None:
        """Read a record by its id."""
        return self._first(kind, _FIND[kind], {"at_id": key})

    def find_sealed(self, purpose: str, name: str) -> Sealed | None:
        """Read a sealed value by its place."""
        return self._first(Sealed, _FIND_SEALED, {"purpose": purpose, "name": name})

    def holder(self, record: Record) -> Record | None:
        """Find who already has a record's id or another name of it that must be unique."""
        if isinstance(record, Sealed):
            return self.find_sealed(record.purpose, record.id)
        return self._first(type(record), _FIND[type(record)], {"at_id": record.id}) or self.rival(record)

    def rival(self, record: Record) -> Record | None:
        """Find another record of the kind that has a name of this one, its id apart."""
        names = unique_names(record)
        if not names:
            return None
        columns = table_of(type(record)).c
        same = or_(*(and_(*(columns[key] == value for key, value in name.items())) for name in names))
        query = select(table_of(type(record))).where(same, columns.id != record.id).limit(1)
        return self._first(type(record), query)

    def insert(self, record: Record) -> None:
        """Write a new record."""
        self._connection.execute(_INSERT[type(record)], row_of(record))

    def holder_among(self, records: Sequence[Imported]) -> Record | None:
        """Find who already has the id or another unique name of one of many records."""
        for kind, some in _by_kind(records):
            for place in _places(kind, some):
                found = self._first(kind, select(table_of(kind)).where(place).limit(1))
                if found is not None:
                    return found
        return None

    def insert_all(self, records: Sequence[Imported]) -> None:
        """Write many new records."""
        for kind, some in _by_kind(records):
            self._connection.execute(_INSERT[kind], [row_of(record) for record in some])

    def update(self, record: Versioned | SigningKey | Sealed) -> None:
        """Write a record in place of the one with its id, or in its place."""
        if isinstance(record, Sealed):  # its id alone is not its key
            table = schema.SEALED
            one = table.update().where(table.c.purpose == record.purpose, table.c.id == record.id)
            self._connection.execute(one, row_of(record))
            return
        self._connection.execute(_UPDATE[type(record)], {**row_of(record), "at_id": record.id})

    def delete(self, record: Removable) -> None:
        """Delete the record with this id, if there is one."""
        table = table_of(type(record))
        self._connection.execute(table.delete().where(table.c.id == record.id))

    def delete_sealed(self, purpose: str, name: str) -> None:
        """Delete a sealed value by its place."""
        table = schema.SEALED
        self._connection.execute(table.delete().where(table.c.purpose == purpose, table.c.id == name))

    def touch(self, change: Touch) -> None:
        """Note the day of a credential's use, unless it is another's or a later day is noted."""
        values = {"at_id": change.credential_id, "of_id": change.organisation_id, "day": change.day}
        self._connection.execute(_TOUCH, values)

    def tombstone_of(self, *lookup_hashes: bytes) -> Credential | None:
        """Find a deleted organisation's credential by one of its secret's digests."""
        table, owner = schema.CREDENTIAL, schema.ORGANISATION
        held = select(table).join(owner, owner.c.id == table.c.organisation_id).limit(1)
        held = held.where(owner.c.ended_at.is_not(None))
        found = (
            self._first(Credential, held.where(table.c.lookup_hash.in_(some)))
            for some in _hundreds(lookup_hashes)
        )
        return next((each for each in found if each is not None), None)

    def rewind(self, change: Rewind) -> None:
        """End what could happen twice (``rewinding``)."""
        rewind_rows(self._connection, change)

    def _first(
        self, kind: type[_ANY], query: Select[Any], values: dict[str, Any] | None = None
    ) -> _ANY | None:
        return next(iter(records(self._connection, kind, query, values)), None)


def _by_kind(records: Sequence[Imported]) -> Iterator[tuple[type[Imported], Sequence[Imported]]]:
    kinds: dict[type[Imported], list[Imported]] = {}
    for record in records:
        kinds.setdefault(type(record), []).append(record)
    yield from kinds.items()


def _places(kind: type[Imported], records: Sequence[Imported]) -> Iterator[ColumnElement[bool]]:
    """Give the places that records of a kind and of one organisation would take, by the hundred."""
    columns = table_of(kind).c
    names: dict[tuple[str, ...], list[str]] = {("id",): [record.id for record in records]}
    for record in records:
        for name in unique_names(record):
            varying = next(key for key in name if key != "organisation_id")
            names.setdefault((varying, *(name.keys() - {varying})), []).append(name[varying])
    for (varying, *shared), values in names.items():
        same = [columns[key] == getattr(records[0], key) for key in shared]
        for some in _hundreds(values):
            yield and_(columns[varying].in_(some), *same)


def _hundreds(values: Sequence[_ANY_VALUE]) -> Iterator[Sequence[_ANY_VALUE]]:
    for start in range(0, len(values), _TOGETHER):
        yield values[start : start + _TOGETHER]


_AUDIT_COLUMNS = (
    "chain_id",
    "seq",
    "at",
    "kind",
    "actor",
    "request_id",
    "outcome",
    "organisation_id",
    "subject",
    "reason",
    "details",
    "sealed_personal",
    "prev_hash",
    "row_hash",
)


def append_audit(ground: Ground, connection: Connection, chain_id: int, rows: Sequence[Columns]) -> None:
    """Insert audit rows, many at once."""
    values = [(chain_id, *row) for row in rows]
    ground.append(connection, schema.AUDIT.name, _AUDIT_COLUMNS, values)


AUDIT_ROWS = select(
    schema.AUDIT_CHAIN.c.chain,
    *(column for column in schema.AUDIT.c if column.name not in {"id", "chain_id"}),
).join_from(schema.AUDIT, schema.AUDIT_CHAIN)
"""Audit rows with the name of their chain in place of its number."""


def audit_rows(connection: Connection, query: Select[Any]) -> Sequence[AuditRow]:
    """Run a query made from ``AUDIT_ROWS``.

    Raises:
        Fault: A row holds what we never wrote: another type, no JSON.
    """
    with readable("an audit row"):
        return [audit_row(row) for row in connection.execute(query).mappings()]


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Tell of a row that was altered so that it is none: SQLite takes any type in any column.

    Raises:
        Fault: It cannot be read.
    """
    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:
        raise Fault(f"{what} cannot be read: it was altered") from error


def audit_row(row: RowMapping | dict[str, Any]) -> AuditRow:
    """Make an audit row of the columns of ``AUDIT_ROWS``."""
    return AuditRow(**cast("Any", row))
