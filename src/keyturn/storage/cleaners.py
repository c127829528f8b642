"""Everything that is deleted some time after it expired: one line for each table.

Whoever adds a table whose rows expire adds a line here, and an index on the column. Nothing is ever good or
bad because a row is still there or gone already: expiry is checked at each use (TK-09).
"""

from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection, Table, or_, select, tuple_

from keyturn.storage import admin_schema, notice_schema, schema, upkeep_schema

_DAY = timedelta(days=1)


class Cleaner(msgspec.Struct, frozen=True):
    """What is deleted, and when.

    Args:
        table: Whose rows.
        columns: A row goes when any of these instants is ``kept`` ago.
        kept: A day at the least, so that a small step of the clock cannot revive what was spent (RE-07).
    """

    table: Table
    columns: tuple[str, ...]
    kept: timedelta = _DAY


CLEANERS = {
    cleaner.table.name: cleaner
    for cleaner in (
        Cleaner(schema.REVOCATION, ("expires_at",)),
        Cleaner(schema.SPENT, ("expires_at",)),
        # A week, so that an operator who asks why a renewal failed still finds the family.
        Cleaner(schema.REFRESH_FAMILY, ("ends_at", "ended_at"), timedelta(days=7)),
        Cleaner(schema.SIGNING_KEY, ("retires_at",)),
        Cleaner(admin_schema.KEPT_ANSWER, ("expires_at",)),
        Cleaner(upkeep_schema.NODE, ("seen_at",)),
        Cleaner(notice_schema.NOTICE, ("expires_at",)),
        Cleaner(notice_schema.DELIVERY, ("expires_at",)),
        # A month, so that an operator who asks where deliveries went still finds it.
        Cleaner(notice_schema.SUBSCRIPTION, ("ended_at",), timedelta(days=30)),
    )
}


def sweep(connection: Connection, cleaner: Cleaner, now: datetime, limit: int) -> int:
    """Delete at most ``limit`` rows and tell how many."""
    table, horizon = cleaner.table, now - cleaner.kept
    gone = or_(*(table.c[name] < horizon for name in cleaner.columns))
    key = tuple(table.primary_key.columns)
    batch = select(*key).where(gone).limit(limit)
    return connection.execute(table.delete().where(tuple_(*key).in_(batch))).rowcount
