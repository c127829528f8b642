"""An operator's word that the store was set back to an earlier state, and what has to end because of it."""

from datetime import datetime

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.changes import Rewind
from keyturn.core.errors import OperatorError
from keyturn.core.secret import Dice
from keyturn.core.store_ports import AuditWish, DeploymentStore
from keyturn.core.upkeep_ports import CheckpointStore, ClockStore
from keyturn.directory.events import carry_out, told

KIND = "deployment.restored"
"""The event's kind; its ``checkpoint`` is the newest that was left, so that the gap has a name (AD-05)."""


class RestoreWish(msgspec.Struct, frozen=True, kw_only=True):
    """How a store that was set back goes on.

    Args:
        keep_tokens: Whether tokens and refresh families live on, those that were revoked since included.
        rings: The purpose under which rings are founded, to have every signing key withdrawn.
        source: Plain facts for the trail: what was restored, and what it took the place of.
    """

    keep_tokens: bool = False
    rings: str | None = None
    source: dict[str, str] = {}


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it; ``checkpoint`` is the newest that was left, ``NUMBER:HASH``."""

    at: datetime
    checkpoint: str


async def mark_restored(
    actor: Actor,
    store: DeploymentStore,
    upkeep: CheckpointStore,
    clock: ClockStore,
    wish: RestoreWish,
    *,
    now: datetime,
    dice: Dice,
) -> Restored:
    """End what a store that was set back would let happen twice, and tell of it in the trail (RE-09).

    Raises:
        OperatorError: The actor is confined to one organisation, or the clock is behind the store's.
    """
    if actor.organisation_id is not None:
        raise OperatorError("only an operator of the deployment restores it")
    mark = await clock.clock_mark()
    if mark is not None and now < mark.newest_at:
        # What ends goes by the time of the restore, which must be later than all that was lost.
        raise OperatorError(f"the clock says {now:%F %T}, the store has seen {mark.newest_at:%F %T}: set it")
    newest = await upkeep.newest_checkpoint()
    left = f"{newest.seq}:{newest.digest.hex()}" if newest else "none"
    details = wish.source | {
        "checkpoint": left,
        "tokens": "kept" if wish.keep_tokens else "ended",
        "signing_keys": "kept" if wish.rings is None else "withdrawn",
    }
    event = told(KIND, actor, None, "deployment", now=now, dice=dice, details=details)
    await carry_out(store, event, Rewind(now, wish.keep_tokens, wish.rings))
    return Restored(at=now, checkpoint=left)


async def restores(store: DeploymentStore) -> list[Restored]:
    """Read from the trail when the store was set back, the newest first."""
    hits = await store.audit_hits(AuditWish(equal={"kind": KIND}))
    return [Restored(at=hit.row.at, checkpoint=hit.row.details.get("checkpoint", "none")) for hit in hits]
