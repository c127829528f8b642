"""Writes signed audit checkpoints when rows were added, and lets old rows go that a checkpoint covers.

Retention first signs up to where rows are removed, then removes them in short batches: whatever happens in
between, the rest of each chain goes on from a place that is signed, and stays checkable (AD-05).
"""

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
    sign_statement,
)
from keyturn.core.errors import Fault
from keyturn.core.identifiers import uuid7
from keyturn.core.records import AuditEvent, AuditRow
from keyturn.core.secret import Dice
from keyturn.core.store_ports import DeploymentStore
from keyturn.core.upkeep_ports import AuditKey, AuditKeys, AuditTail, CheckpointStore, ClockStore
from keyturn.upkeep.batches import PAUSE_SECONDS, delete_in_batches

PAGE = 1_000
MOST_ROWS = 200_000
"""Rows that one run of retention lets go; what is more waits for the next."""

ChainCheck = Callable[[Sequence[AuditRow], ChainEnd | None], int | None]
"""Finds the first ``seq`` that does not hold among rows that follow a place (None: the chain's start)."""

log = logging.getLogger(__name__)


class Checkpoints(msgspec.Struct, frozen=True):
    """The job ``checkpoint``."""

    store: CheckpointStore
    keys: AuditKeys

    async def work(self, now: datetime) -> str:
        """Sign where every chain that grew ends now."""
        newest = await self.store.newest_checkpoint()
        covered = newest.read().covered if newest else 0
        tails = await self.store.audit_tails(covered)
        if not tails:
            return "no new rows"
        statement = Statement(
            seq=newest.seq + 1 if newest else 1,
            at=now,
            previous=newest.digest if newest else FIRST_PREVIOUS,
            covered=max(tail.number for tail in tails),
            chains=tuple(map(_end_of, tails)),
        )
        made = await _add(self.store, await self.keys.find_or_make(now), statement)
        return f"checkpoint {made.seq}" if made else "another process was faster"


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
    pause_seconds: float = PAUSE_SECONDS

    async def work(self, now: datetime) -> str:
        """Sign up to where the chains are cut, cut them, and let go of checkpoints nobody needs then.

        Raises:
            Fault: A chain or a checkpoint does not hold; nothing more is removed.
        """
        mark = await self.clock.clock_mark()
        if mark is not None and not mark.settled(now):
            return "waits: the clock was set less than an hour ago"  # the whole trail may look old (RE-07)
        key = await self.keys.find_or_make(now)
        ledger = await self._ledger(key)
        for cut in ledger.cuts.values():
            await self._remove(cut)  # what a run that was killed after signing has left
        tails = await self.store.audit_tails(0)
        cuts = await self._cuts(ledger, tails, now - self.kept)
        if not cuts:
            return "nothing is old enough"
        made = await self._sign(key, ledger, tails, cuts, now)
        if made is None:
            return "another process was faster"
        for cut in cuts:
            await self._remove(cut)
        needless = ledger.needless_before(now - self.kept)
        await delete_in_batches(partial(self.store.prune_checkpoints, needless), self.pause_seconds)
        removed = sum(
            cut.seq - (ledger.cuts[cut.chain].seq if cut.chain in ledger.cuts else 0) for cut in cuts
        )
        await self.trail.record(self._told(made, removed, now))
        return f"removed {removed} rows of {len(cuts)} chains"

    async def _ledger(self, key: AuditKey) -> Ledger:
        ledger = Ledger()
        while page := await self.store.checkpoints(ledger.newest.seq if ledger.newest else 0, PAGE):
            for checkpoint in page:
                problem = ledger.follow(checkpoint, key.verify)
                if problem is not None:
                    raise Fault(f"audit checkpoint {ledger.broken_seq(checkpoint, problem)} {problem}")
        return ledger

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
        return place

    async def _sign(
        self,
        key: AuditKey,
        ledger: Ledger,
        tails: Sequence[AuditTail],
        cuts: Sequence[ChainEnd],
        now: datetime,
    ) -> Checkpoint | None:
        newest = ledger.newest
        statement = Statement(
            seq=newest.seq + 1 if newest else 1,
            at=now,
            previous=newest.digest if newest else FIRST_PREVIOUS,
            covered=max(tail.number for tail in tails),
            chains=tuple(map(_end_of, tails)),
            cuts=tuple({**ledger.cuts, **{cut.chain: cut for cut in cuts}}.values()),
            full=True,
        )
        return await _add(self.store, key, statement)

    async def _remove(self, cut: ChainEnd) -> None:
        await delete_in_batches(partial(self.store.prune_audit, cut.chain, cut.seq), self.pause_seconds)

    def _told(self, made: Checkpoint, removed: int, now: datetime) -> Unit:
        event = AuditEvent(
            at=now,
            kind="audit.pruned",
            actor=system("retention").name,
            request_id=uuid7(now, self.dice),
            details={"checkpoint": str(made.seq), "rows": str(removed)},
        )
        return Unit(audit=event)


async def _add(store: CheckpointStore, key: AuditKey, statement: Statement) -> Checkpoint | None:
    made = sign_statement(statement, key.key_id, key.sign)
    if not await store.add_checkpoint(made):
        return None
    # For whoever ships logs elsewhere: that nothing newer was cut off is what a store cannot prove of itself.
    log.info("audit checkpoint %d is %s", made.seq, made.digest.hex())
    return made


def _end_of(tail: AuditTail) -> ChainEnd:
    return ChainEnd(tail.row.chain, tail.row.seq, tail.row.row_hash)
