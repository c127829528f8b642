"""The audit trail as administrators search it: newest first, one organisation's or all (AD-05).

No index helps a search, because each would cost every token issued. So a search has a time that it looks at,
which leads to positions, and looks at a slice of them at a time: none takes long, and a search that finds
little ends with where to go on instead of with nothing.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.clock import moved
from keyturn.core.identifiers import time_of
from keyturn.core.secret import Dice
from keyturn.core.store_ports import AuditHit, AuditSpan, AuditWish, DeploymentStore
from keyturn.directory.events import carry_out, told

USUAL_TIME = timedelta(days=7)
"""How far back a search looks that does not say since when."""
SLICE = 20_000
"""Positions that the store looks through in one go: some hundredths of a second."""
MOST_LOOKED_AT = 400_000
"""Positions that one search looks through, before it says where to go on."""
BEFORE, AFTER = timedelta(seconds=10), timedelta(minutes=1)
"""Around a request id's time lie its rows."""


class Found(msgspec.Struct, frozen=True):
    """What a search found, newest first.

    Args:
        next: Go on before this position; None where everything was looked at.
        span: What there is of the time that was looked at.
    """

    hits: Sequence[AuditHit]
    next: int | None
    span: AuditSpan


async def search_audit(
    actor: Actor, store: DeploymentStore, wish: AuditWish, *, now: datetime, dice: Dice
) -> Found:
    """Find rows; that personal fields were opened is a row itself.

    An actor of one organisation finds that organisation's rows, whatever the wish says.
    """
    if actor.organisation_id is not None:
        wish = msgspec.structs.replace(wish, organisation_id=actor.organisation_id)
    found = await look(store, bounded(wish, now), MOST_LOOKED_AT)
    if wish.opened:
        await tell_read(actor, store, wish, {"rows": str(len(found.hits))}, now=now, dice=dice)
    return found


def bounded(wish: AuditWish, now: datetime) -> AuditWish:
    """Give a wish a time: that of the request id that it names, or the usual one."""
    named = time_of(wish.equal.get("request_id", ""))
    if wish.since is None and wish.until is None and named is not None:
        return msgspec.structs.replace(wish, since=moved(named, -BEFORE), until=moved(named, AFTER))
    if wish.since is None:
        return msgspec.structs.replace(wish, since=moved(wish.until or now, -USUAL_TIME))
    return wish


async def look(store: DeploymentStore, wish: AuditWish, most: int | None) -> Found:
    """Look through the positions of a wish's time, slice by slice, the newest first.

    Args:
        most: How many positions; None for all of that time.
    """
    span = await store.audit_span(wish.since, wish.until)
    bottom = max(span.after, wish.after)
    top = span.last if wish.before is None else min(span.last, wish.before - 1)
    floor = bottom if most is None else max(bottom, top - most)
    hits: list[AuditHit] = []
    while top > floor and len(hits) <= wish.limit:
        after = max(floor, top - SLICE)
        # One more than is wanted tells that there is more.
        part = msgspec.structs.replace(wish, after=after, before=top + 1, limit=wish.limit + 1 - len(hits))
        hits += await store.audit_hits(part)
        top = after
    shown = hits[: wish.limit]
    if len(hits) > wish.limit:
        return Found(shown, shown[-1].position, span)
    return Found(shown, top + 1 if top > bottom else None, span)


async def tell_read(
    actor: Actor,
    store: DeploymentStore,
    wish: AuditWish,
    details: dict[str, str],
    *,
    now: datetime,
    dice: Dice,
) -> None:
    """Record that somebody opened personal fields of the trail."""
    subject = wish.organisation_id or "deployment"
    event = told("audit.read", actor, wish.organisation_id, subject, now=now, dice=dice, details=details)
    await carry_out(store, event)
