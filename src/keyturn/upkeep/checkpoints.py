"""Writes signed audit checkpoints when rows were added, and lets old rows go that a checkpoint covers.

Retention first signs up to where rows are removed, then removes them in short batches: whatever happens in
between, the rest of each chain goes on from a place that is signed, and stays checkable (AD-05).
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

import msgspec

from keyturn.core.actors import system
from keyturn.core.changes import Unit
from keyturn.core.checkpoints import (
    FIRST_PREVIOUS,
    ChainEnd,
    Checkpoint,
    Ledger,
    Statement,
    message_of,
    sign_statement,
)
from keyturn.core.counting import counted
from keyturn.core.errors import Fault
from keyturn.core.identifiers import uuid7
from keyturn.core.records import AuditEvent, AuditRow
from keyturn.core.secret import Dice
from keyturn.core.store_ports import DeploymentStore
from keyturn.core.upkeep_ports import AuditKey, AuditKeys, AuditTail, CheckpointStore, ClockStore
from keyturn.upkeep.batches import Pace, delete_in_batches

PAGE = 250
"""Rows whose links are followed in one go, a millisecond or two, before requests have their turn."""
BREATH = 0.1
"""Of the pause between two batches: so long requests have to themselves after each page."""
FOLLOWED_AT_ONCE = 50
"""Checkpoints between two breaths of the event loop: each costs a signature, and requests wait meanwhile."""
MOST_ROWS = 6_000_000
"""Rows that one run of retention lets go, minutes of short batches; what is more waits for the next."""
LONGEST_SECONDS = 1_200.0
"""How long one run deletes where the disk is slow: no checkpoint is signed meanwhile, and operators are told
of one that is an hour late. The next run goes on."""
FULL_EVERY = timedelta(days=1)
"""How often retention names every chain there ever was, so that earlier checkpoints may go."""
_TRIES = 5

ChainCheck = Callable[[Sequence[AuditRow], ChainEnd | None], int | None]
"""Finds the first ``seq`` that does not hold among rows that follow a place (None: the chain's start)."""

log = logging.getLogger(__name__)


class Checkpoints:
    """The job ``checkpoint``; it remembers what it saw last, so that a store that was set back is noticed."""

    def __init__(self, store: CheckpointStore, keys: AuditKeys) -> None:
        """Have seen nothing yet."""
        self._store = store
        self._keys = keys
        self._seen: Checkpoint | None = None

    async def work(self, now: datetime) -> str:
        """Sign where every chain that grew ends now.

        Raises:
            Fault: The newest checkpoint is not ours, or not what it was: signing after it would hide that.
        """
        newest = await self._store.newest_checkpoint()
        await self._require_ours(newest)
        covered = newest.read().covered if newest else 0
        tails = await self._store.audit_tails(covered)
        if not tails:
            return "no new rows"
        statement = _following(newest, tails, now)
        made = await _add(self._store, await self._keys.find_or_make(now), statement)
        self._seen = made or newest
        return f"checkpoint {made.seq}" if made else "another process was faster"

    async def _require_ours(self, newest: Checkpoint | None) -> None:
        if newest is not None:
            key = await self._keys.find()
            if key is None or not key.verify(newest.key_id, message_of(newest.statement), newest.signature):
                raise Fault(f"audit checkpoint {newest.seq} is not by this deployment's audit key")
        seen = self._seen
        if seen is None or (newest is not None and newest.seq > seen.seq):
            return
        if newest is None or newest.digest != seen.digest:
            raise Fault(f"audit checkpoint {seen.seq}, which was the newest, has been removed or altered")


class Retention(msgspec.Struct, frozen=True):
    """The job ``retention``.

    Args:
        kept: The age beyond which rows go.
        check: Follows a chain's links; nothing goes that does not hold, since it would be evidence.
    """

    store: CheckpointStore
    clock: ClockStore
    trail: DeploymentStore
    keys: AuditKeys
    check: ChainCheck
    kept: timedelta
    dice: Dice
    pace: Pace = Pace()

    async def work(self, now: datetime) -> str:
        """Sign up to where the chains are cut, cut them, and let go of checkpoints nobody needs then.

        Raises:
            Fault: A chain or a checkpoint does not hold; nothing more is removed.
        """
        mark = await self.clock.clock_mark()
        if mark is not None and not mark.settled(now):
            return "waits: the clock was set less than an hour ago"  # the whole trail may look old (RE-07)
        key = await self.keys.find_or_make(now)
        ledger = Ledger()
        await self._follow(ledger, key)
        tails = await self.store.audit_tails(0)
        _require_all(ledger, tails)
        until = self.pace.monotonic() + LONGEST_SECONDS
        # What a run has left that was killed after signing, or had no more time.
        if not await self._remove(tuple(ledger.cuts.values()), until):
            return "removed a part of what was cut before"
        cuts = await self._cuts(ledger, tails, now - self.kept)
        if not cuts:
            return "nothing is old enough"
        before = dict(ledger.cuts)
        made = await self._sign(key, ledger, cuts, now)
        if made is None:
            return "other processes were faster"
        removed = sum(cut.seq - (before[cut.chain].seq if cut.chain in before else 0) for cut in cuts)
        told = f"{counted(removed, 'row')} of {counted(len(cuts), 'chain')}"
        # Told first: if we are killed now, the rows go in the next run, which would not know of it.
        await self.trail.record(self._told(made, removed, now))
        if not await self._remove(cuts, until):
            return f"cut {told}, and removed a part of them"
        needless = ledger.needless_before(now - self.kept)
        await delete_in_batches(partial(self.store.prune_checkpoints, needless), self.pace)
        return f"removed {told}"

    async def _follow(self, ledger: Ledger, key: AuditKey) -> None:
        """Take in the checkpoints that are new to a ledger."""
        while page := await self.store.checkpoints(
            ledger.newest.seq if ledger.newest else 0, FOLLOWED_AT_ONCE
        ):
            for checkpoint in page:
                problem = ledger.follow(checkpoint, key.verify)
                if problem is not None:
                    raise Fault(f"audit checkpoint {ledger.broken_seq(checkpoint, problem)} {problem}")

    async def _cuts(self, ledger: Ledger, tails: Sequence[AuditTail], horizon: datetime) -> list[ChainEnd]:
        """Find for each chain the last row that is old, follows its links, and is not the chain's last."""
        cuts: list[ChainEnd] = []
        left = MOST_ROWS
        for tail in tails:
            start = ledger.cuts.get(tail.row.chain)
            cut = await self._cut(ledger, tail, horizon, left)
            if cut is not None and cut != start:
                cuts.append(cut)
                left -= cut.seq - (start.seq if start else 0)
            if left <= 0:
                break
        return cuts

    async def _cut(self, ledger: Ledger, tail: AuditTail, horizon: datetime, most: int) -> ChainEnd | None:
        chain, seen = tail.row.chain, 0
        place = ledger.cuts.get(chain)
        while seen < most:
            after = place.seq if place else 0
            page = await self.trail.audit_rows(chain=chain, after=after, limit=PAGE)
            broken_at = self.check(page, place) or ledger.first_unlike(page)
            if broken_at is not None:
                raise Fault(f"audit chain {chain} does not hold at row {broken_at}; nothing was removed")
            old = []
            for row in page:
                if row.at >= horizon or row.seq >= tail.row.seq:
                    break
                old.append(row)
            if old:
                place = ChainEnd(chain, old[-1].seq, old[-1].row_hash)
                seen += len(old)
            if len(old) < PAGE:
                break
            await asyncio.sleep(BREATH * self.pace.pause_seconds)
        return place

    async def _sign(
        self, key: AuditKey, ledger: Ledger, cuts: Sequence[ChainEnd], now: datetime
    ) -> Checkpoint | None:
        """Sign the cuts after whatever the newest checkpoint is; None where others were faster each time."""
        for _ in range(_TRIES):
            full = not any(at <= now < at + FULL_EVERY for at, _ in ledger.fulls)
            tails = await self.store.audit_tails(0 if full else ledger.covered)
            known = ledger.cuts if full else {}
            statement = msgspec.structs.replace(
                _following(ledger.newest, tails, now),
                covered=max([ledger.covered, *(tail.number for tail in tails)]),
                cuts=tuple({**known, **{cut.chain: cut for cut in cuts}}.values()),
                full=full,
            )
            made = await _add(self.store, key, statement)
            await self._follow(ledger, key)  # ours, or that of who was faster
            if made is not None:
                return made
            if any(ledger.cuts.get(cut.chain, cut).seq > cut.seq for cut in cuts):
                return None  # it was another run of retention
        return None

    async def _remove(self, cuts: Sequence[ChainEnd], until: float) -> bool:
        """Remove what lies before cuts, and tell whether there was time for all of it."""
        for cut in cuts:
            prune = partial(self.store.prune_audit, cut.chain, cut.seq)
            await delete_in_batches(prune, self.pace, until=until)
        return self.pace.monotonic() < until

    def _told(self, made: Checkpoint, removed: int, now: datetime) -> Unit:
        event = AuditEvent(
            at=now,
            kind="audit.pruned",
            actor=system("retention").name,
            request_id=uuid7(now, self.dice),
            details={"checkpoint": str(made.seq), "rows": str(removed)},
        )
        return Unit(audit=event)


def _require_all(ledger: Ledger, tails: Sequence[AuditTail]) -> None:
    """Confirm that every row that was signed and not cut has a successor or is a chain's last.

    Otherwise the next full checkpoint would say that all is well, and let those go that know better.

    Raises:
        Fault: The end of a chain is not there, or not the one that was signed.
    """
    last = {tail.row.chain: tail.row for tail in tails}
    for chain in ledger.ends:
        row = last.get(chain)
        if row is None or row.seq < ledger.signed_seq(chain) or ledger.first_unlike([row]) is not None:
            raise Fault(f"audit chain {chain} does not end as it was signed; nothing was removed")


def _following(newest: Checkpoint | None, tails: Sequence[AuditTail], now: datetime) -> Statement:
    return Statement(
        seq=newest.seq + 1 if newest else 1,
        at=now,
        previous=newest.digest if newest else FIRST_PREVIOUS,
        covered=max((tail.number for tail in tails), default=0),
        chains=tuple(ChainEnd(tail.row.chain, tail.row.seq, tail.row.row_hash) for tail in tails),
    )


async def _add(store: CheckpointStore, key: AuditKey, statement: Statement) -> Checkpoint | None:
    made = sign_statement(statement, key.key_id, key.sign)
    if not await store.add_checkpoint(made):
        return None
    # For whoever ships logs elsewhere: that nothing newer was cut off is what a store cannot prove of itself.
    fields = {"checkpoint": made.seq, "hash": made.digest.hex(), "noted": f"{made.seq}:{made.digest.hex()}"}
    log.info("audit_checkpoint", extra=fields)
    return made
