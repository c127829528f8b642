"""What upkeep keeps in SQL (``UpkeepStore``)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, and_, case, func, or_, select

from keyturn.core.checkpoints import Checkpoint
from keyturn.core.clock_watch import ClockMark
from keyturn.core.sealed_values import Keeper
from keyturn.core.upkeep_ports import LONGEST_LEASE, AuditTail, JobRun, Lease, Node
from keyturn.core.vocabulary import Algorithm
from keyturn.storage import rows, sealed_reads
from keyturn.storage.cleaners import CLEANERS, sweep
from keyturn.storage.errands import SqlErrands
from keyturn.storage.schema import AUDIT, AUDIT_CHAIN, SIGNING_KEY
from keyturn.storage.upkeep_schema import AUDIT_CHECKPOINT, CLOCK_MARK, DUE_RING, LEASE, NODE

RECENT_ROWS = 1000
"""Audit rows among which the newest time is looked for: nodes differ by seconds, and commit side by side."""
_NUMBERS_AT_ONCE = 500
"""Bound values in one statement."""


class SqlUpkeep(SqlErrands):
    """The ``UpkeepStore`` of a SQL store."""

    # --- leases ---

    async def lease(self, name: str, holder: str, now: datetime, until: datetime) -> Lease | None:
        """Take a lease that is not held or one's own; None where another has it."""
        columns = LEASE.c
        taken = self._ground.insert(LEASE).values(name=name, holder=holder, until=until)
        taken = taken.on_conflict_do_update(
            index_elements=[columns.name],
            set_={"holder": taken.excluded.holder, "until": taken.excluded.until},
            where=or_(columns.holder == holder, columns.until <= now, columns.until > now + LONGEST_LEASE),
        )
        row = await self._errand(lambda c: c.execute(taken.returning(*columns)).mappings().first())
        return None if row is None else _lease(row)

    async def release(self, name: str, holder: str, now: datetime, run: JobRun | None = None) -> None:
        """Give a lease back and note how the job went; nothing where another has it by now."""
        values: dict[str, Any] = {"until": now}
        if run is not None:
            values |= {"ran_at": run.ran_at, "failures": run.failures, "outcome": run.outcome}
        mine = and_(LEASE.c.name == name, LEASE.c.holder == holder)
        await self._errand(lambda c: c.execute(LEASE.update().where(mine).values(values)))

    async def leases(self) -> Sequence[Lease]:
        """Read every lease there ever was, by name."""
        query = select(LEASE).order_by(LEASE.c.name)
        return await self._ask(lambda c: [_lease(row) for row in c.execute(query).mappings()])

    # --- rings ---

    async def note_due_rings(self, rings: Sequence[tuple[str, Algorithm]], now: datetime) -> None:
        """Add rings; those that are there already stay as they are."""
        values = [{"issuer_id": issuer, "algorithm": each, "noted_at": now} for issuer, each in rings]
        noted = self._ground.insert(DUE_RING).on_conflict_do_nothing()
        await self._errand(lambda c: c.execute(noted, values))

    async def due_rings(self, limit: int) -> Sequence[tuple[str, Algorithm]]:
        """Read the rings that have waited longest."""
        columns = DUE_RING.c
        query = select(columns.issuer_id, columns.algorithm).order_by(columns.noted_at, columns.issuer_id)
        found = await self._ask(lambda c: c.execute(query.limit(limit)).all())
        return [(row.issuer_id, row.algorithm) for row in found]

    async def forget_due_ring(self, issuer_id: str, algorithm: Algorithm) -> None:
        """Take one out."""
        columns = DUE_RING.c
        one = DUE_RING.delete().where(columns.issuer_id == issuer_id, columns.algorithm == algorithm)
        await self._errand(lambda c: c.execute(one))

    async def turning_issuers(self, now: datetime) -> Sequence[str]:
        """Name the issuers with a rotation that is recorded and has not happened by ``now``."""
        query = select(SIGNING_KEY.c.issuer_id).where(SIGNING_KEY.c.active_at > now).distinct()
        return await self._ask(lambda c: c.execute(query).scalars().all())

    # --- cleaning ---

    @property
    def cleaners(self) -> Sequence[str]:
        """Name everything that can be cleaned."""
        return tuple(CLEANERS)

    async def sweep(self, cleaner: str, now: datetime, limit: int) -> int:
        """Delete at most ``limit`` things that expired long enough before ``now``; tell how many."""
        return await self._errand(lambda c: sweep(c, CLEANERS[cleaner], now, limit))

    # --- the clock ---

    async def clock_mark(self) -> ClockMark | None:
        """Read the mark, recent audit rows taken into account; None where nothing was ever seen."""
        return await self._ask(_clock_mark)

    async def note_clock(self, newest_at: datetime, stepped_at: datetime | None = None) -> None:
        """Raise the newest time, never lower it, and note a step."""
        newest = CLOCK_MARK.c.newest_at
        noted = self._ground.insert(CLOCK_MARK).values(
            id=1, newest_at=newest_at, accepted=0, accepted_after=0, stepped_at=stepped_at
        )
        noted = noted.on_conflict_do_update(
            index_elements=[CLOCK_MARK.c.id],
            set_={
                "newest_at": case(
                    (newest > noted.excluded.newest_at, newest), else_=noted.excluded.newest_at
                ),
                "stepped_at": func.coalesce(noted.excluded.stepped_at, CLOCK_MARK.c.stepped_at),
            },
        )
        await self._errand(lambda c: c.execute(noted))

    async def accept_clock(self, now: datetime) -> None:
        """Make ``now`` the newest time, whatever was seen before: an operator says so."""

        def accept(connection: Connection) -> None:
            newest = connection.execute(select(func.max(AUDIT.c.id))).scalar() or 0
            accepted = self._ground.insert(CLOCK_MARK).values(
                id=1, newest_at=now, accepted=1, accepted_after=newest, stepped_at=now
            )
            values = {
                "newest_at": accepted.excluded.newest_at,
                "accepted": CLOCK_MARK.c.accepted + 1,
                "accepted_after": accepted.excluded.accepted_after,
                "stepped_at": accepted.excluded.stepped_at,
            }
            connection.execute(accepted.on_conflict_do_update(index_elements=[CLOCK_MARK.c.id], set_=values))

        await self._errand(accept)

    # --- nodes, and what lies under the master key ---

    async def report_node(self, node: Node) -> None:
        """Note that a process is alive, and what it says of itself."""
        values = {name: getattr(node, name) for name in node.__struct_fields__}
        told = self._ground.insert(NODE).values(values)
        told = told.on_conflict_do_update(index_elements=[NODE.c.id], set_=values)
        await self._errand(lambda c: c.execute(told))

    async def forget_node(self, node_id: str) -> None:
        """Take out a process that stops."""
        await self._errand(lambda c: c.execute(NODE.delete().where(NODE.c.id == node_id)))

    async def nodes(self, since: datetime) -> Sequence[Node]:
        """Read the processes that were seen at or after an instant."""
        query = select(NODE).where(NODE.c.seen_at >= since).order_by(NODE.c.id)
        return await self._ask(lambda c: [Node(**dict(row)) for row in c.execute(query).mappings()])

    async def sealed_elsewhere(
        self, kind: type[Keeper], key_id: str, after: tuple[str, ...], limit: int
    ) -> Sequence[Keeper]:
        """Read records whose value is under another master key than this one, in the order of their keys."""
        return await self._ask(lambda c: sealed_reads.elsewhere(c, kind, key_id, after, limit))

    async def count_sealed(self) -> Mapping[str, Mapping[str, int]]:
        """Count values by table and by the id of the master key that they are under."""
        return await self._ask(sealed_reads.count)

    # --- the audit trail ---

    async def audit_tails(self, after: int) -> Sequence[AuditTail]:
        """Read the last row of each chain that has a row with a number greater than ``after``."""
        ends = select(AUDIT.c.id).where(AUDIT.c.chain_id == AUDIT_CHAIN.c.id)
        last = ends.order_by(AUDIT.c.seq.desc()).limit(1).scalar_subquery()
        query = rows.AUDIT_ROWS.add_columns(AUDIT.c.id)

        def tails(connection: Connection) -> Sequence[AuditTail]:
            # Two steps, one index step for each chain: in one statement SQLite would walk every new row.
            numbers = connection.execute(select(last).select_from(AUDIT_CHAIN)).scalars()
            grown = [number for number in numbers if number is not None and number > after]
            found: list[AuditTail] = []
            for start in range(0, len(grown), _NUMBERS_AT_ONCE):
                some = query.where(AUDIT.c.id.in_(grown[start : start + _NUMBERS_AT_ONCE]))
                kept = [dict(row) for row in connection.execute(some).mappings()]
                found += [AuditTail(number=row.pop("id"), row=rows.audit_row(row)) for row in kept]
            return found

        # Where rows are not committed in the order of their numbers, one with a lower number may be on its
        # way: then only whoever keeps every writer out sees all there are up to the highest.
        return await (self._errand if self._ground.side_by_side else self._ask)(tails)

    async def settled_to(self) -> int:
        """Tell the position up to which every row is there; as for ``audit_tails``."""
        newest = select(func.max(AUDIT.c.id))
        ask = self._errand if self._ground.side_by_side else self._ask
        return await ask(lambda c: c.execute(newest).scalar() or 0)

    async def checkpoints(self, after: int, limit: int) -> Sequence[Checkpoint]:
        """Read checkpoints with ``seq > after``, oldest first."""
        query = select(AUDIT_CHECKPOINT).where(AUDIT_CHECKPOINT.c.seq > after)
        query = query.order_by(AUDIT_CHECKPOINT.c.seq).limit(limit)
        return await self._ask(lambda c: _checkpoints(c, query))

    async def newest_checkpoint(self) -> Checkpoint | None:
        """Read the newest checkpoint."""
        query = select(AUDIT_CHECKPOINT).order_by(AUDIT_CHECKPOINT.c.seq.desc()).limit(1)
        return next(iter(await self._ask(lambda c: _checkpoints(c, query))), None)

    async def add_checkpoint(self, checkpoint: Checkpoint) -> bool:
        """Add one; False where its seq is taken."""
        values = {name: getattr(checkpoint, name) for name in checkpoint.__struct_fields__}
        added = self._ground.insert(AUDIT_CHECKPOINT).values(values).on_conflict_do_nothing()
        added = added.returning(AUDIT_CHECKPOINT.c.seq)
        return await self._errand(lambda c: c.execute(added).first() is not None)

    async def prune_audit(self, chain: str, seq: int, limit: int) -> int:
        """Delete at most ``limit`` of a chain's oldest rows up to ``seq``, never its last; tell how many."""

        def prune(connection: Connection) -> int:
            chain_id = select(AUDIT_CHAIN.c.id).where(AUDIT_CHAIN.c.chain == chain).scalar_subquery()
            # The chain's writer finds its end there, and numbers of rows are not given out twice.
            last = select(func.max(AUDIT.c.seq)).where(AUDIT.c.chain_id == chain_id).scalar_subquery()
            old = select(AUDIT.c.id).where(AUDIT.c.chain_id == chain_id, AUDIT.c.seq <= seq)
            batch = old.where(AUDIT.c.seq < last).order_by(AUDIT.c.seq).limit(limit)
            return connection.execute(AUDIT.delete().where(AUDIT.c.id.in_(batch))).rowcount

        return await self._errand(prune)

    async def prune_checkpoints(self, before: int, limit: int) -> int:
        """Delete at most ``limit`` checkpoints with ``seq < before``; tell how many."""
        columns = AUDIT_CHECKPOINT.c
        batch = select(columns.seq).where(columns.seq < before).order_by(columns.seq).limit(limit)
        gone = AUDIT_CHECKPOINT.delete().where(columns.seq.in_(batch))
        return await self._errand(lambda c: c.execute(gone).rowcount)


def _checkpoints(connection: Connection, query: Select[Any]) -> Sequence[Checkpoint]:
    with rows.readable("an audit checkpoint"):
        found = [Checkpoint(**dict(row)) for row in connection.execute(query).mappings()]
        if not all(type(part) is bytes for each in found for part in (each.statement, each.signature)):
            raise TypeError
    return found


def _lease(row: RowMapping) -> Lease:
    last = None
    if row["ran_at"] is not None:
        last = JobRun(ran_at=row["ran_at"], failures=row["failures"], outcome=row["outcome"])
    return Lease(name=row["name"], holder=row["holder"], until=row["until"], last=last)


def _clock_mark(connection: Connection) -> ClockMark | None:
    row = connection.execute(select(CLOCK_MARK)).first()
    after = 0 if row is None else row.accepted_after
    recent = select(AUDIT.c.at).where(AUDIT.c.id > after).order_by(AUDIT.c.id.desc()).limit(RECENT_ROWS)
    newest = connection.execute(select(func.max(recent.subquery().c.at))).scalar()
    seen = [at for at in (newest, None if row is None else row.newest_at) if at is not None]
    if not seen:
        return None
    return ClockMark(
        newest_at=max(seen),
        accepted=0 if row is None else row.accepted,
        stepped_at=None if row is None else row.stepped_at,
    )
