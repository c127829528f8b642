"""The audit trail as a file that somebody else can check: rows, their chains, and signed checkpoints.

An export is a sequence of records: one ``export``, then the checkpoints, then the rows in the order of
writing, then one ``end``, which says where the next export goes on. docs/operations/audit.md has all members;
``audit_file`` reads it back.
"""

import base64
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.checkpoints import Checkpoint
from keyturn.core.errors import Fault, OperatorError
from keyturn.core.secret import Dice
from keyturn.core.store_ports import AuditHit, AuditWish, DeploymentStore
from keyturn.core.upkeep_ports import CheckpointStore
from keyturn.directory.audit import check_reach
from keyturn.directory.events import carry_out, told

FORMAT = 1
"""Raised when the members change so that older readers would misread them."""
_PAGE = 1_000
_CHECKPOINTS = 100

Record = dict[str, Any]


class ExportWish(msgspec.Struct, frozen=True, kw_only=True):
    """What an export has.

    Args:
        after: Rows after this position: where an earlier export ended.
        since: Rows of this time and later, instead.
        personal: Whether personal fields stand beside their sealed form in clear.
    """

    after: int = 0
    since: datetime | None = None
    personal: bool = False


async def export_audit(
    actor: Actor,
    store: DeploymentStore,
    checkpoints: CheckpointStore,
    wish: ExportWish,
    *,
    key: Mapping[str, str] | None,
    now: datetime,
    dice: Dice,
) -> AsyncIterator[Record]:
    """Give the records of an export; that it was made is a row itself, which is in the next one.

    Args:
        key: The public half of the audit key, if one was ever needed.

    Raises:
        OperatorError: The actor is confined to one organisation, or there is no such position yet.
        Fault: A row or a checkpoint cannot be read; ``verify_audit`` says which.
    """
    check_reach(actor)
    last, after = await checkpoints.settled_to(), wish.after
    if wish.since is not None:
        span = await store.audit_span(wish.since, None)
        after = max(after, span.after if span.last else last)
    if not 0 <= after <= last:
        raise OperatorError(f"the trail ends at position {last}")
    details = {"after": str(after), "to": str(last), "personal": "yes" if wish.personal else "no"}
    event = told("audit.exported", actor, None, "deployment", now=now, dice=dice, details=details)
    await carry_out(store, event)

    yield {
        "type": "export",
        "format": FORMAT,
        "made_at": spelled(now),
        "after": after,
        "to": last,
        "key": key,
    }
    signed = rows = 0
    async for checkpoint in _checkpoints(checkpoints, after, last):
        signed += 1
        yield _checkpoint(checkpoint)
    async for hit in _rows(store, after, last, opened=wish.personal):
        rows += 1
        yield _row(hit, personal=wish.personal)
    yield {"type": "end", "position": last, "rows": rows, "checkpoints": signed}


async def _checkpoints(store: CheckpointStore, after: int, last: int) -> AsyncIterator[Checkpoint]:
    """Give the checkpoints that cover rows of the export and none beyond it.

    Those before them that cover the same are given again: one may have been made since an earlier export.
    """
    seq, before, covered_before = 0, list[Checkpoint](), -1
    while page := await store.checkpoints(seq, _CHECKPOINTS):
        for checkpoint in page:
            seq, covered = checkpoint.seq, _covered(checkpoint)
            if covered > last:
                return
            if covered <= after:
                before = [*(before if covered == covered_before else ()), checkpoint]
                covered_before = covered
                continue
            for each in (*before, checkpoint):
                yield each
            before = []
    for each in before:
        yield each


def _covered(checkpoint: Checkpoint) -> int:
    try:
        return checkpoint.read().covered
    except msgspec.DecodeError:
        raise Fault(f"audit checkpoint {checkpoint.seq} cannot be read: it was altered") from None


async def _rows(store: DeploymentStore, after: int, last: int, *, opened: bool) -> AsyncIterator[AuditHit]:
    """Give the rows between two positions in the order of writing."""
    start = await store.audit_span(None, None)
    place = max(after, start.after)  # what retention has removed is not looked through
    while place < last:
        upto = min(place + _PAGE, last)
        wish = AuditWish(after=place, before=upto + 1, limit=_PAGE, opened=opened)
        for hit in reversed(await store.audit_hits(wish)):
            yield hit
        place = upto


def _row(hit: AuditHit, *, personal: bool) -> Record:
    row = hit.row
    record = {
        "type": "row",
        "position": hit.position,
        "chain": row.chain,
        "seq": row.seq,
        "at": spelled(row.at),
        "kind": row.kind,
        "actor": row.actor,
        "request_id": row.request_id,
        "outcome": row.outcome,
        "organisation_id": row.organisation_id,
        "subject": row.subject,
        "reason": row.reason,
        "details": row.details,
        "sealed_personal": None if row.sealed_personal is None else _base64(row.sealed_personal),
        "prev_hash": row.prev_hash.hex(),
        "row_hash": row.row_hash.hex(),
    }
    return {**record, "personal": hit.personal} if personal else record


def _checkpoint(checkpoint: Checkpoint) -> Record:
    return {
        "type": "checkpoint",
        "seq": checkpoint.seq,
        "at": spelled(checkpoint.at),
        "key_id": checkpoint.key_id,
        "statement": _base64(checkpoint.statement),
        "signature": _base64(checkpoint.signature),
    }


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def spelled(at: datetime) -> str:
    """Spell an instant to the microsecond: it is hashed as whole microseconds since 1970."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
