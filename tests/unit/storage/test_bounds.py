"""The tables that strangers can fill stay near their bounds, however fast they are filled."""

import pytest
from sqlalchemy import create_engine, func, select

from contract.limits_kit import HandClock, tag
from keyturn.core.limits import Rate
from keyturn.storage import lockout_rows
from keyturn.storage.cells import Cells, Wish, Wishes
from keyturn.storage.lockout import Attempt, make_ticket
from keyturn.storage.lockout_rows import Lockouts
from keyturn.storage.schema import LIMIT_CELL, LOCKOUT

BOUND = 3000
BATCH = 500


@pytest.fixture
def connection():
    """Open a store in memory that has the two tables."""
    engine = create_engine("sqlite://")
    LOCKOUT.metadata.create_all(engine, tables=[LOCKOUT, LIMIT_CELL])
    with engine.begin() as opened:
        yield opened
    engine.dispose()


def rows(connection, table):
    """Count a table."""
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_failures_of_made_up_names_stay_within_their_bound(connection, monkeypatch):
    """PW-05: five hundred made-up names a second never take the table a thousand rows past its bound."""
    monkeypatch.setattr(lockout_rows.clean, "__defaults__", (BOUND, lockout_rows.CLEAN_ROWS))
    clock, most = HandClock(), 0
    lockouts = Lockouts(clock)
    for second in range(20):
        clock.seconds = float(second)
        tickets = [make_ticket(f"name {second} {number}", "", tag) for number in range(BATCH)]
        lockouts.write(connection, [Attempt(ticket, clock.now()) for ticket in tickets])
        most = max(most, rows(connection, LOCKOUT))
    assert BOUND < most < BOUND + 1000
    assert rows(connection, LOCKOUT) <= BOUND + BATCH


def test_counters_that_are_over_do_not_pile_up(connection):
    """PW-05: counters of ever new callers are gone soon after they are over, however many came."""
    clock, rate, most = HandClock(), Rate(per_minute=60, burst=5), 0
    cells = Cells(clock)
    for second in range(28):
        clock.seconds = float(second)
        names = [tag(b"%d %d" % (second, number)) for number in range(BATCH)]
        cells.write(connection, [Wishes((Wish(name, rate),)) for name in names])
        most = max(most, rows(connection, LIMIT_CELL))
    assert most <= 2 * BATCH + 1000
