"""Where values lie under the master key, table by table: what there is to seal again, and how much.

A value names its key itself, so a rotation needs no list of what it has done: whatever is interrupted, the
next run finds what is left (``core.sealed_values``).
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, Table, func, select, tuple_

from keyturn.core.sealed_values import FIELDS, Keeper
from keyturn.storage.rows import records, table_of

_ID_AT, _ID_BYTES = 2, 8
"""Where a sealed value names its key; SQL counts from 1."""


def sealed_columns() -> Mapping[type[Keeper], tuple[Table, ColumnElement[bytes]]]:
    """Give every column that holds values under the master key."""
    return {kind: (table_of(kind), table_of(kind).c[field]) for kind, field in FIELDS.items()}


def elsewhere(
    connection: Connection, kind: type[Keeper], key_id: str, after: tuple[str, ...], limit: int
) -> Sequence[Keeper]:
    """Read records whose value is under another master key, in the order of their primary keys."""
    table, column = sealed_columns()[kind]
    keys = tuple(table.primary_key.columns)
    query = select(table).where(column.is_not(None), _key_id(column) != bytes.fromhex(key_id))
    if after:
        query = query.where(tuple_(*keys) > tuple_(*after) if len(keys) > 1 else keys[0] > after[0])
    return records(connection, kind, query.order_by(*keys).limit(limit))


def count(connection: Connection) -> dict[str, dict[str, int]]:
    """Count values by table and master key."""
    counted: dict[str, dict[str, int]] = {}
    for table, column in sealed_columns().values():
        key_id = _key_id(column)
        query = select(key_id, func.count()).where(column.is_not(None)).group_by(key_id)
        counted[table.name] = {bytes(found).hex(): number for found, number in connection.execute(query)}
    return counted


def _key_id(column: ColumnElement[bytes]) -> ColumnElement[bytes]:
    return func.substr(column, _ID_AT, _ID_BYTES, type_=column.type)
