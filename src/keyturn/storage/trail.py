"""Where in the audit trail a time is: found by halving, because an index on time would cost every token.

Rows are numbered in the order of commits, so their times rise with their numbers, but for what clocks of
nodes differ by and what a unit waits before it is written (``SLACK``), and but for the one place where an
operator accepted a clock that was set back: before and after it are looked through apart.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from keyturn.core.clock import moved
from keyturn.core.store_ports import AuditSpan
from keyturn.storage.rows import readable
from keyturn.storage.schema import AUDIT
from keyturn.storage.upkeep_schema import CLOCK_MARK

SLACK = timedelta(seconds=30)
"""Nodes differ by 5 s, units wait 5 s at most, and a request is under way for some seconds before."""

FEW = 10_000
"""So many rows are looked through whole: a demo's first ones tell of a past that it made up, out of order."""


def span(connection: Connection, since: datetime | None, until: datetime | None) -> AuditSpan:
    """Find the numbers between which all rows of a time lie; rows of other times may lie there too."""
    # One question each: for both at once SQLite would walk the whole table.
    first, last = (connection.execute(select(end(AUDIT.c.id))).scalar() for end in (func.min, func.max))
    if first is None or last is None:
        return AuditSpan(0, 0, None)
    oldest = _first_after(connection, first - 1)
    if last - first < FEW:
        return AuditSpan(first - 1, last, oldest[1])
    accepted = connection.execute(select(CLOCK_MARK.c.accepted_after)).scalar() or 0
    cut = accepted if first <= accepted < last else last
    stretches = [(first - 1, cut), (cut, last)]
    found = [
        (after, upto)
        for low, high in stretches
        if (after := low if since is None else _last_before(connection, moved(since, -SLACK), low, high))
        < (upto := high if until is None else _last_before(connection, moved(until, SLACK), low, high))
    ]
    if not found:
        return AuditSpan(0, 0, oldest[1])
    return AuditSpan(found[0][0], found[-1][1], oldest[1])


def _last_before(connection: Connection, at: datetime, low: int, high: int) -> int:
    """Find the greatest number of ``low`` to ``high`` up to which everything is before an instant."""
    while low < high:
        middle = (low + high) // 2
        number, written_at = _first_after(connection, middle)
        if written_at < at:
            low = min(number, high)
        else:
            high = middle
    return low


def _first_after(connection: Connection, number: int) -> tuple[int, datetime]:
    query = select(AUDIT.c.id, AUDIT.c.at).where(AUDIT.c.id > number).order_by(AUDIT.c.id).limit(1)
    with readable("an audit row"):
        found = connection.execute(query).one()
        return found.id, found.at
