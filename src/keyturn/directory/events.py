"""The audit events of directory verbs, and what a lost race means to an operator.

Each verb writes one unit: its changes and the event that tells of them (AD-05). A lost race is told too.
"""

from datetime import datetime
from typing import Protocol

from keyturn.core.actors import Actor
from keyturn.core.changes import Add, Change, Lost, Outcome, Replace, Unit
from keyturn.core.errors import Clash
from keyturn.core.identifiers import uuid7
from keyturn.core.records import AuditEvent
from keyturn.core.secret import Dice
from keyturn.core.vocabulary import Code, OrganisationId, Reason


class Writer(Protocol):
    """What carries a unit out: a deployment store, or an organisation's."""

    async def record(self, unit: Unit) -> Outcome:
        """Commit the unit, or say what it lost to."""
        ...


def told(
    kind: str,
    actor: Actor,
    organisation_id: OrganisationId | None,
    subject: str,
    *,
    now: datetime,
    dice: Dice,
    details: dict[str, str] | None = None,
    personal: dict[str, str] | None = None,
) -> AuditEvent:
    """Tell what an actor did to whom; names go to ``personal``, which the store seals."""
    return AuditEvent(
        at=now,
        kind=kind,
        actor=actor.name,
        request_id=actor.request_id or uuid7(now, dice),
        organisation_id=organisation_id,
        subject=subject,
        details=details or {},
        personal=(personal or {}) | ({"address": actor.address} if actor.address else {}),
    )


async def carry_out(store: Writer, event: AuditEvent, *changes: Change, taken: str | None = None) -> None:
    """Record changes with their event; the row of a lost race has the same request id.

    Args:
        taken: What to say where something to add is there already.

    Raises:
        Clash: Another writer was first; nothing was changed.
    """
    lost = AuditEvent(
        at=event.at,
        kind=event.kind,
        actor=event.actor,
        request_id=event.request_id,
        outcome=Code.INVALID_REQUEST,
        organisation_id=event.organisation_id,
        subject=event.subject,
        reason=Reason.LOST_RACE,
    )
    outcome = await store.record(Unit(audit=event, changes=changes, audit_if_lost=lost))
    if isinstance(outcome, Lost):
        raise explained(outcome, taken)


async def attempt(store: Writer, event: AuditEvent, *changes: Change) -> Lost | None:
    """Record changes with their event, or say what they lost to and write nothing.

    For verbs that also serve calls over HTTP: there the front desk audits each refusal, once.
    """
    outcome = await store.record(Unit(audit=event, changes=changes))
    return outcome if isinstance(outcome, Lost) else None


def explained(lost: Lost, taken: str | None = None) -> Clash:
    """Say what an operator is told of a lost race; ``taken`` is as for ``carry_out``."""
    change, winner = lost.change, lost.winner
    # Where a new name is in use by another organisation's record, the store does not show whose it is.
    renamed = isinstance(change, Replace) and (winner is None or winner.id != change.record.id)
    if isinstance(change, Add) or (renamed and taken):
        return Clash(
            taken or "something by that name or id is there already; slugs and ids are never used again"
        )
    return Clash(
        "somebody else changed it in the same moment and nothing was done; look again and repeat",
        lost_race=True,
    )
