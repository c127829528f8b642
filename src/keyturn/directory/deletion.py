"""Deleting an organisation: dead at once, erased in short batches, and said when it is complete (TN-05).

    1  one unit: it has ended, its epoch is raised, its name is gone, its audit key is destroyed
    2  batches: credentials, clients, users and entities become tombstones; projects, teams, memberships,
       refresh families and signing keys are removed
    3  one unit: nothing is left but tombstones, and its row counts what there was; then the store's log
       is wiped

Whatever is interrupted goes on where it was when the verb is called again. Decision 0015.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.changes import Change, Lost, Remove, Replace, Shred, Unit
from keyturn.core.errors import Clash, NothingThere, NotPermitted
from keyturn.core.records import Client, Credential, Entity, Organisation, User
from keyturn.core.secret import Dice
from keyturn.core.store_ports import LEFTOVER_NAMES, AuditWish, DeploymentStore, Leftover
from keyturn.core.tombstones import (
    client_tombstone,
    credential_tombstone,
    ended_organisation,
    entity_tombstone,
    erased_organisation,
    user_tombstone,
)
from keyturn.directory.audit_search import look
from keyturn.directory.events import carry_out, told
from keyturn.directory.organisations import show_organisation

BATCH = 100
"""Records to a transaction: other organisations' requests wait no longer than for an ordinary batch."""
_RACES = 20
_LOOKED_BACK = 5_000_000
"""Positions of the trail that are looked through for what was erased before an interruption."""


_ERASING, _ERASED = "organisation.erasing", "organisation.erased"
_LATE = timedelta(seconds=1)

Progress = Callable[[int, int], None]
"""Told after each batch: how many records were erased by this call, and how many are left."""


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a deletion.

    Args:
        records: How many were erased by this call; more may have been by an earlier one.
        wiped: Whether the store's log is free of what was erased; if not, delete again a little later.
    """

    organisation: Organisation
    records: int
    wiped: bool


class Deletion(msgspec.Struct, frozen=True, kw_only=True):
    """How far a deletion is, or was when it was complete.

    Args:
        state: ``erasing`` or ``complete``.
        deleted: What there was, counted by kind; None until it is complete, and when the trail has let
            its row go.
        left: What is still to be erased.
    """

    organisation: Organisation
    state: str
    begun_at: datetime
    completed_at: datetime | None
    deleted: Mapping[str, int] | None
    left: Mapping[str, int]


async def delete_organisation(
    actor: Actor,
    store: DeploymentStore,
    slug: str,
    *,
    batch: int = BATCH,
    progress: Progress | None = None,
    now: datetime,
    dice: Dice,
) -> Deleted:
    """End an organisation and erase all it had; its slug and ids stay taken for good (TK-15).

    Raises:
        OperatorError: There is none by that slug, or the actor is confined to one organisation.
        Unavailable: The store went away; call again to go on.
    """
    if actor.organisation_id is not None:
        raise NotPermitted("only an operator of the deployment deletes organisations")
    organisation = await show_organisation(actor, store, slug)
    erased: Counter[str] = Counter()
    if organisation.ended_at is None:
        organisation = await _end(actor, store, organisation, now, dice)
    elif organisation.erased_at is None:
        erased += await _erased_before(store, organisation)
    before = erased.total()
    await _erase(actor, store, organisation, erased, progress, batch, now, dice)
    if organisation.erased_at is None:
        organisation = await _close(actor, store, organisation, erased, now, dice)
    records = erased.total() - before
    return Deleted(organisation=organisation, records=records, wiped=await store.wipe_log())


async def show_deletion(actor: Actor, store: DeploymentStore, slug: str) -> Deletion:
    """Tell how far the deletion of an organisation is (TN-05).

    Raises:
        NothingThere: There is no such organisation for this actor, or it was never deleted.
    """
    organisation = await show_organisation(actor, store, slug)
    if organisation.ended_at is None:
        raise NothingThere(f"organisation {slug!r} was not deleted")
    complete = organisation.erased_at is not None
    left = {} if complete else await store.organisation_store(organisation.id).leftover_counts()
    return Deletion(
        organisation=organisation,
        state="complete" if complete else "erasing",
        begun_at=organisation.ended_at,
        completed_at=organisation.erased_at,
        deleted=await _counted(store, organisation),
        left=dict(left),
    )


async def _counted(store: DeploymentStore, organisation: Organisation) -> dict[str, int] | None:
    """Read what was deleted from the row that said that it was complete."""
    at = organisation.erased_at
    if at is None:
        return None
    wish = AuditWish(
        organisation_id=organisation.id,
        equal={"kind": _ERASED},
        since=at - _LATE,
        until=at + _LATE,
        limit=1,
        opened=False,
    )
    found = await look(store, wish, most=None)
    return _counts(found.hits[0].row.details) if found.hits else None


async def _erased_before(store: DeploymentStore, organisation: Organisation) -> Counter[str]:
    """Count what was erased before a deletion was interrupted, by the rows that tell of it."""
    wish = AuditWish(
        organisation_id=organisation.id,
        equal={"kind": _ERASING},
        since=organisation.ended_at,
        limit=1_000_000,
        opened=False,
    )
    erased: Counter[str] = Counter()
    for hit in (await look(store, wish, most=_LOOKED_BACK)).hits:
        erased.update(_counts(hit.row.details))
    return erased


def _counts(details: Mapping[str, str]) -> dict[str, int]:
    names = LEFTOVER_NAMES.values()
    return {name: int(count) for name, count in details.items() if name in names and count.isdecimal()}


async def _end(
    actor: Actor, store: DeploymentStore, organisation: Organisation, now: datetime, dice: Dice
) -> Organisation:
    ended = ended_organisation(organisation, now)
    event = told("organisation.ended", actor, organisation.id, organisation.id, now=now, dice=dice)
    await carry_out(store, event, Replace(ended, organisation.version), Shred(organisation.id))
    return ended


async def _erase(
    actor: Actor,
    store: DeploymentStore,
    organisation: Organisation,
    erased: Counter[str],
    progress: Progress | None,
    batch: int,
    now: datetime,
    dice: Dice,
) -> None:
    """Erase batch after batch; nothing can be added to an organisation that has ended, so this ends."""
    inside = store.organisation_store(organisation.id)
    records = races = 0
    while leftovers := await inside.leftovers(batch):
        counts = Counter(LEFTOVER_NAMES[type(each)] for each in leftovers)
        event = told(
            _ERASING,
            actor,
            organisation.id,
            organisation.id,
            now=now,
            dice=dice,
            details={"records": str(len(leftovers)), **_spelled(counts)},
        )
        changes = tuple(_erasure(each, now) for each in leftovers)
        outcome = await inside.record(Unit(changes=changes, audit=event))
        if not isinstance(outcome, Lost):
            erased.update(counts)
            records += len(leftovers)
            if progress is not None:
                progress(records, sum((await inside.leftover_counts()).values()))
            continue
        # Somebody had read a record before the end and changed it since: look again.
        races += 1
        if races > _RACES:
            raise Clash(f"organisation {organisation.slug!r} has ended, but is not erased yet; repeat")


def _spelled(counts: Counter[str]) -> dict[str, str]:
    return {name: str(count) for name, count in sorted(counts.items())}


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
    actor: Actor,
    store: DeploymentStore,
    organisation: Organisation,
    erased: Counter[str],
    now: datetime,
    dice: Dice,
) -> Organisation:
    """Say that nothing is left, and what there was: the record of the deletion."""
    closed = erased_organisation(organisation, now)
    details = {"records": str(erased.total()), **_spelled(erased)}
    event = told(_ERASED, actor, organisation.id, organisation.id, now=now, dice=dice, details=details)
    await carry_out(store, event, Replace(closed, organisation.version))
    return closed
