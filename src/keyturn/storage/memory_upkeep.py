"""What upkeep keeps, in memory (``UpkeepStore``): the same answers as on disk, for tests."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from keyturn.core.changes import Record
from keyturn.core.checkpoints import Checkpoint
from keyturn.core.clock_watch import ClockMark
from keyturn.core.records import AuditRow, SigningKey
from keyturn.core.sealed_values import FIELDS, Keeper, key_of
from keyturn.core.upkeep_ports import AuditTail, JobRun, Lease, Node, key_in_order
from keyturn.core.vocabulary import Algorithm
from keyturn.storage.cleaners import CLEANERS
from keyturn.storage.rows import table_of
from keyturn.storage.upkeep_schema import NODE


class Rows(Protocol):
    """The records and audit rows of a store in memory."""

    rows: dict[tuple[type[Any], str, str], Record]
    audit: list[AuditRow]


class MemoryUpkeep:
    """The ``UpkeepStore`` of a store in memory."""

    def __init__(self, shelf: Rows) -> None:
        self._shelf = shelf
        self._leases: dict[str, Lease] = {}
        self._due: dict[tuple[str, Algorithm], datetime] = {}
        self._mark: ClockMark | None = None
        self._accepted_after = 0
        self._checkpoints: dict[int, Checkpoint] = {}
        self._numbers: dict[tuple[str, int], int] = {}
        self._nodes: dict[str, Node] = {}

    async def lease(self, name: str, holder: str, now: datetime, until: datetime) -> Lease | None:
        """Take a lease that is not held or one's own; None where another has it."""
        there = self._leases.get(name)
        if there is not None and there.holder != holder and there.held(now):
            return None
        last = None if there is None else there.last
        self._leases[name] = Lease(name=name, holder=holder, until=until, last=last)
        return self._leases[name]

    async def release(self, name: str, holder: str, now: datetime, run: JobRun | None = None) -> None:
        """Give a lease back and note how the job went; nothing where another has it by now."""
        there = self._leases.get(name)
        if there is not None and there.holder == holder:
            self._leases[name] = msgspec.structs.replace(there, until=now, last=run or there.last)

    async def leases(self) -> Sequence[Lease]:
        """Read every lease there ever was, by name."""
        return [self._leases[name] for name in sorted(self._leases)]

    async def note_due_rings(self, rings: Sequence[tuple[str, Algorithm]], now: datetime) -> None:
        """Add rings; those that are there already stay as they are."""
        for ring in rings:
            self._due.setdefault(ring, now)

    async def due_rings(self, limit: int) -> Sequence[tuple[str, Algorithm]]:
        """Read the rings that have waited longest."""
        return sorted(self._due, key=lambda ring: (self._due[ring], ring))[:limit]

    async def forget_due_ring(self, issuer_id: str, algorithm: Algorithm) -> None:
        """Take one out."""
        self._due.pop((issuer_id, algorithm), None)

    async def turning_issuers(self, now: datetime) -> Sequence[str]:
        """Name the issuers with a rotation that is recorded and has not happened by ``now``."""
        keys = (each for each in self._shelf.rows.values() if isinstance(each, SigningKey))
        return sorted({key.issuer_id for key in keys if key.active_at is not None and key.active_at > now})

    @property
    def cleaners(self) -> Sequence[str]:
        """Name everything that can be cleaned."""
        return tuple(CLEANERS)

    async def sweep(self, cleaner: str, now: datetime, limit: int) -> int:
        """Delete at most ``limit`` things that expired long enough before ``now``; tell how many."""
        what = CLEANERS[cleaner]
        instants = (
            (place, [getattr(record, name) for name in what.columns])
            for place, record in self._shelf.rows.items()
            if table_of(type(record)) is what.table
        )
        horizon = now - what.kept
        if what.table is NODE:
            old = [node.id for node in self._nodes.values() if node.seen_at < horizon][:limit]
            for node_id in old:
                del self._nodes[node_id]
            return len(old)
        gone = [place for place, ats in instants if any(at is not None and at < horizon for at in ats)][
            :limit
        ]
        for place in gone:
            del self._shelf.rows[place]
        return len(gone)

    async def clock_mark(self) -> ClockMark | None:
        """Read the mark, audit rows taken into account; None where nothing was ever seen."""
        seen = [row.at for row in self._shelf.audit[self._accepted_after :]]
        if self._mark is None:
            return ClockMark(newest_at=max(seen)) if seen else None
        return msgspec.structs.replace(self._mark, newest_at=max([self._mark.newest_at, *seen]))

    async def note_clock(self, newest_at: datetime, stepped_at: datetime | None = None) -> None:
        """Raise the newest time, never lower it, and note a step."""
        there = self._mark or ClockMark(newest_at=newest_at)
        self._mark = msgspec.structs.replace(
            there,
            newest_at=max(there.newest_at, newest_at),
            stepped_at=stepped_at or there.stepped_at,
        )

    async def accept_clock(self, now: datetime) -> None:
        """Make ``now`` the newest time, whatever was seen before: an operator says so."""
        accepted = self._mark.accepted if self._mark else 0
        self._mark = ClockMark(newest_at=now, accepted=accepted + 1, stepped_at=now)
        self._accepted_after = len(self._shelf.audit)

    async def report_node(self, node: Node) -> None:
        """Note that a process is alive, and what it says of itself."""
        self._nodes[node.id] = node

    async def forget_node(self, node_id: str) -> None:
        """Take out a process that stops."""
        self._nodes.pop(node_id, None)

    async def nodes(self, since: datetime) -> Sequence[Node]:
        """Read the processes that were seen at or after an instant."""
        return [self._nodes[key] for key in sorted(self._nodes) if self._nodes[key].seen_at >= since]

    async def sealed_elsewhere(
        self, kind: type[Keeper], key_id: str, after: tuple[str, ...], limit: int
    ) -> Sequence[Keeper]:
        """Read records whose value is under another master key than this one, in the order of their keys."""
        others = [each for each, value in self._sealed(kind) if key_of(value) != key_id]
        ordered = sorted(others, key=key_in_order)
        return [each for each in ordered if not after or key_in_order(each) > after][:limit]

    async def count_sealed(self) -> Mapping[str, Mapping[str, int]]:
        """Count values by table and by the id of the master key that they are under."""
        return {
            table_of(kind).name: dict(Counter(key_of(value) for _, value in self._sealed(kind)))
            for kind in FIELDS
        }

    def _sealed(self, kind: type[Keeper]) -> Sequence[tuple[Keeper, bytes]]:
        here = (each for each in self._shelf.rows.values() if isinstance(each, kind))
        values = ((each, getattr(each, FIELDS[kind])) for each in here)
        return [(each, value) for each, value in values if value is not None]

    async def audit_tails(self, after: int) -> Sequence[AuditTail]:
        """Read the last row of each chain that has a row with a number greater than ``after``."""
        for row in self._shelf.audit:
            self._numbers.setdefault((row.chain, row.seq), len(self._numbers) + 1)
        last = {row.chain: row for row in self._shelf.audit}
        tails = (AuditTail(row, self._numbers[row.chain, row.seq]) for row in last.values())
        return [tail for tail in tails if tail.number > after]

    async def settled_to(self) -> int:
        """Tell the position up to which every row is there."""
        return len(self._shelf.audit)

    async def checkpoints(self, after: int, limit: int) -> Sequence[Checkpoint]:
        """Read checkpoints with ``seq > after``, oldest first."""
        return [self._checkpoints[seq] for seq in sorted(self._checkpoints) if seq > after][:limit]

    async def newest_checkpoint(self) -> Checkpoint | None:
        """Read the newest checkpoint."""
        return self._checkpoints[max(self._checkpoints)] if self._checkpoints else None

    async def add_checkpoint(self, checkpoint: Checkpoint) -> bool:
        """Add one; False where its seq is taken."""
        return self._checkpoints.setdefault(checkpoint.seq, checkpoint) is checkpoint

    async def prune_audit(self, chain: str, seq: int, limit: int) -> int:
        """Delete at most ``limit`` of a chain's oldest rows up to ``seq``, never its last; tell how many."""
        own = [row for row in self._shelf.audit if row.chain == chain]
        gone = [row for row in own[:-1] if row.seq <= seq][:limit]
        old = {id(row) for row in gone}
        self._shelf.audit[:] = [row for row in self._shelf.audit if id(row) not in old]
        self._accepted_after = max(0, self._accepted_after - len(gone))
        return len(gone)

    async def prune_checkpoints(self, before: int, limit: int) -> int:
        """Delete at most ``limit`` checkpoints with ``seq < before``; tell how many."""
        gone = [seq for seq in sorted(self._checkpoints) if seq < before][:limit]
        for seq in gone:
            del self._checkpoints[seq]
        return len(gone)
