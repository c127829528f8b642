"""Deleting an organisation: dead at once, erased in short batches, and said when it is complete (TN-05).

    1  one unit: it has ended, its epoch is raised, its name is gone, its audit key is destroyed
    2  batches: credentials, clients, users and entities become tombstones; projects, teams, memberships,
       refresh families and signing keys are removed
    3  one unit: nothing is left but tombstones; then the store's log is wiped

Whatever is interrupted goes on where it was when the verb is called again. Decision 0015.
"""

from datetime import datetime

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.changes import Change, Lost, Remove, Replace, Shred, Unit
from keyturn.core.errors import Clash, NotPermitted
from keyturn.core.records import Client, Credential, Entity, Organisation, User
from keyturn.core.secret import Dice
from keyturn.core.store_ports import DeploymentStore, Leftover
from keyturn.core.tombstones import (
    client_tombstone,
    credential_tombstone,
    ended_organisation,
    entity_tombstone,
    erased_organisation,
    user_tombstone,
)
from keyturn.directory.events import carry_out, told
from keyturn.directory.organisations import show_organisation

BATCH = 100
"""Records to a transaction: other organisations' requests wait no longer than for an ordinary batch."""
_RACES = 20


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a deletion.

    Args:
        records: How many were erased by this call; more may have been by an earlier one.
        wiped: Whether the store's log is free of what was erased; if not, delete again a little later.
    """

    organisation: Organisation
    records: int
    wiped: bool


async def delete_organisation(
    actor: Actor, store: DeploymentStore, slug: str, *, batch: int = BATCH, now: datetime, dice: Dice
) -> Deleted:
    """End an organisation and erase all it had; its slug and ids stay taken for good (TK-15).

    Raises:
        OperatorError: There is none by that slug, or the actor is confined to one organisation.
        Unavailable: The store went away; call again to go on.
    """
    if actor.organisation_id is not None:
        raise NotPermitted("only an operator of the deployment deletes organisations")
    organisation = await show_organisation(actor, store, slug)
    if organisation.ended_at is None:
        organisation = await _end(actor, store, organisation, now, dice)
    records = await _erase(actor, store, organisation, batch, now, dice)
    if organisation.erased_at is None:
        organisation = await _close(actor, store, organisation, now, dice)
    return Deleted(organisation=organisation, records=records, wiped=await store.wipe_log())


async def _end(
    actor: Actor, store: DeploymentStore, organisation: Organisation, now: datetime, dice: Dice
) -> Organisation:
    ended = ended_organisation(organisation, now)
    event = told("organisation.ended", actor, organisation.id, organisation.id, now=now, dice=dice)
    await carry_out(store, event, Replace(ended, organisation.version), Shred(organisation.id))
    return ended


async def _erase(
    actor: Actor, store: DeploymentStore, organisation: Organisation, batch: int, now: datetime, dice: Dice
) -> int:
    """Erase batch after batch; nothing can be added to an organisation that has ended, so this ends."""
    inside = store.organisation_store(organisation.id)
    erased = races = 0
    while leftovers := await inside.leftovers(batch):
        event = told(
            "organisation.erasing",
            actor,
            organisation.id,
            organisation.id,
            now=now,
            dice=dice,
            details={"records": str(len(leftovers))},
        )
        changes = tuple(_erasure(each, now) for each in leftovers)
        outcome = await inside.record(Unit(changes=changes, audit=event))
        if not isinstance(outcome, Lost):
            erased += len(leftovers)
            continue
        # Somebody had read a record before the end and changed it since: look again.
        races += 1
        if races > _RACES:
            raise Clash(f"organisation {organisation.slug!r} has ended, but is not erased yet; repeat")
    return erased


def _erasure(record: Leftover, now: datetime) -> Change:
    match record:
        case Credential():
            return Replace(credential_tombstone(record, now), record.version)
        case Client():
            return Replace(client_tombstone(record, now), record.version)
        case User():
            return Replace(user_tombstone(record, now), record.version)
        case Entity():
            return Replace(entity_tombstone(record, now), record.version)
        case _:
            return Remove(record)


async def _close(
    actor: Actor, store: DeploymentStore, organisation: Organisation, now: datetime, dice: Dice
) -> Organisation:
    erased = erased_organisation(organisation, now)
    event = told("organisation.erased", actor, organisation.id, organisation.id, now=now, dice=dice)
    await carry_out(store, event, Replace(erased, organisation.version))
    return erased
