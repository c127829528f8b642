"""The audit trail as administrators search it: newest first, one organisation's or all (AD-05)."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.secret import Dice
from keyturn.core.store_ports import AuditHit, AuditWish, DeploymentStore
from keyturn.directory.events import carry_out, told


async def search_audit(
    actor: Actor, store: DeploymentStore, wish: AuditWish, *, now: datetime, dice: Dice
) -> Sequence[AuditHit]:
    """Find rows with their personal fields opened; that they were read is a row itself.

    An actor of one organisation finds that organisation's rows, whatever the wish says.
    """
    if actor.organisation_id is not None:
        wish = msgspec.structs.replace(wish, organisation_id=actor.organisation_id)
    hits = await store.audit_hits(wish)
    event = told(
        "audit.read",
        actor,
        wish.organisation_id,
        wish.organisation_id or "deployment",
        now=now,
        dice=dice,
        details={"rows": str(len(hits))},
    )
    await carry_out(store, event)
    return hits
