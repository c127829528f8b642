"""An operator's word that the clock is right although it was later once (design.md section 4, RE-07)."""

from datetime import datetime

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.changes import Unit
from keyturn.core.clock_watch import ClockWatch
from keyturn.core.errors import OperatorError
from keyturn.core.identifiers import uuid7
from keyturn.core.records import AuditEvent
from keyturn.core.secret import Dice
from keyturn.core.store_ports import DeploymentStore
from keyturn.core.upkeep_ports import ClockStore


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """What is the newest time now, and what it was before; None where none was known."""

    now: datetime
    before: datetime | None


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """The clock beside the newest time that any process has seen; whether servers issue on it."""

    now: datetime
    newest_at: datetime | None
    sound: bool


async def show_clock(clock: ClockStore, *, now: datetime) -> Looked:
    """Compare the clock with the newest time in the store."""
    watch, mark = ClockWatch(), await clock.clock_mark()
    if mark is not None:
        watch.follow(mark)
    return Looked(now=now, newest_at=mark.newest_at if mark else None, sound=watch.is_sound(now))


async def accept_clock(
    actor: Actor, store: DeploymentStore, clock: ClockStore, *, now: datetime, dice: Dice
) -> Accepted:
    """Take the clock as it is: every process issues again within seconds.

    Raises:
        OperatorError: The actor is confined to one organisation.
    """
    if actor.organisation_id is not None:
        raise OperatorError("only an operator of the deployment accepts its clock")
    mark = await clock.clock_mark()
    before = mark.newest_at if mark is not None else None
    event = AuditEvent(
        at=now,
        kind="clock.accepted",
        actor=actor.name,
        request_id=uuid7(now, dice),
        details={"before": before.isoformat() if before else "none"},
    )
    await store.record(Unit(audit=event))
    await clock.accept_clock(now)
    return Accepted(now=now, before=before)
