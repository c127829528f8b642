"""How much work it is for SQLite to find what is due."""

from datetime import timedelta

from sqlalchemy import create_engine

from contract.store_kit import NOW
from keyturn.core.notices import Delivery
from keyturn.storage import rows
from keyturn.storage.notice_schema import DELIVERY
from keyturn.storage.outbox import _due

WAITING = 2_000
_STEPS_A_TICK = 100
MOST_STEPS_A_ROW = 160
"""Of SQLite's machine; 117 when this was written, and 270 where whole rows are sorted three times."""


def _delivery(number):
    return Delivery(
        id=f"{number:064}",
        notice_id=f"{number:064}",
        subscription_id=f"s{number % 20}",
        organisation_id="acme",
        created_at=NOW - timedelta(seconds=number),
        expires_at=NOW,
        next_at=NOW,
    )


def test_a_backlog_is_ranked_cheaply():
    """What waits for receivers that are gone does not make the question too long for anybody's patience."""
    ticks = []
    with create_engine("sqlite://").connect() as connection:
        DELIVERY.create(connection)
        connection.execute(DELIVERY.insert(), [rows.row_of(_delivery(each)) for each in range(WAITING)])
        connection.connection.dbapi_connection.set_progress_handler(lambda: ticks.append(0), _STEPS_A_TICK)
        found = rows.records(connection, Delivery, _due(NOW, 100))
    assert len(found) == 100
    assert len({each.subscription_id for each in found[:20]}) == 20
    assert len(ticks) * _STEPS_A_TICK < MOST_STEPS_A_ROW * WAITING
