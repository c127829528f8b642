"""What upkeep asks of the edges: leases, a queue of rings, cleaners, the clock's mark, checkpoints, keys.

Each job asks for the smallest of these. A store answers all of them by its ``upkeep``; whatever cannot be
reached raises ``Unavailable``.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from keyturn.core.checkpoints import Checkpoint
from keyturn.core.clock_watch import ClockMark
from keyturn.core.records import AuditRow, Sealed
from keyturn.core.sealed_values import Keeper
from keyturn.core.vocabulary import Algorithm

LONGEST_LEASE = timedelta(minutes=10)
"""One that seems to last longer was taken by a clock that has been set back since, and is nobody's."""


class JobRun(msgspec.Struct, frozen=True, kw_only=True):
    """How a job's last run ended.

    Args:
        failures: How many runs have failed in a row; 0 after one that did not.
        outcome: What it did, or the kind of error; no names and no secrets.
    """

    ran_at: datetime
    failures: int
    outcome: str


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """Who may do a job until when, and how it went last.

    Args:
        holder: A name that a process made for itself.
        until: From then on anybody may take it.
        last: None before the first run.
    """

    name: str
    holder: str
    until: datetime
    last: JobRun | None = None

    def held(self, now: datetime) -> bool:
        """Tell whether somebody has it at ``now``."""
        return now < self.until <= now + LONGEST_LEASE


class Leases(Protocol):
    """One node does each job (design.md section 4)."""

    async def lease(self, name: str, holder: str, now: datetime, until: datetime) -> Lease | None:
        """Take a lease that is not held or one's own, in one statement; None where another has it.

        Args:
            until: At most ``LONGEST_LEASE`` after ``now``.
        """
        ...

    async def release(self, name: str, holder: str, now: datetime, run: JobRun | None = None) -> None:
        """Give a lease back and note how the job went; nothing where another has it by now."""
        ...

    async def leases(self) -> Sequence[Lease]:
        """Read every lease there ever was, by name."""
        ...


class DueRings(Protocol):
    """The rings that were asked to sign although their key is old: idle ones are never in it."""

    async def note_due_rings(self, rings: Sequence[tuple[str, Algorithm]], now: datetime) -> None:
        """Add rings; those that are there already stay as they are."""
        ...

    async def due_rings(self, limit: int) -> Sequence[tuple[str, Algorithm]]:
        """Read the rings that have waited longest."""
        ...

    async def forget_due_ring(self, issuer_id: str, algorithm: Algorithm) -> None:
        """Take one out."""
        ...

    async def turning_issuers(self, now: datetime) -> Sequence[str]:
        """Name the issuers with a rotation that is recorded and has not happened by ``now``."""
        ...


class Cleaners(Protocol):
    """Deletes what has expired, one short batch at a time."""

    @property
    def cleaners(self) -> Sequence[str]:
        """Name everything that can be cleaned."""
        ...

    async def sweep(self, cleaner: str, now: datetime, limit: int) -> int:
        """Delete at most ``limit`` things that expired long enough before ``now``; tell how many."""
        ...


class ClockStore(Protocol):
    """The clock as all processes of a deployment have seen it."""

    async def clock_mark(self) -> ClockMark | None:
        """Read the mark, recent audit rows taken into account; None where nothing was ever seen."""
        ...

    async def note_clock(self, newest_at: datetime, stepped_at: datetime | None = None) -> None:
        """Raise the newest time, never lower it, and note a step."""
        ...

    async def accept_clock(self, now: datetime) -> None:
        """Make ``now`` the newest time, whatever was seen before: an operator says so."""
        ...


class AuditTail(msgspec.Struct, frozen=True):
    """Where a chain ends in the store: its last row, and the store's number of that row."""

    row: AuditRow
    number: int


class CheckpointStore(Protocol):
    """Checkpoints, and what has to be known of the trail to make one."""

    async def audit_tails(self, after: int) -> Sequence[AuditTail]:
        """Read the last row of each chain that has a row with a number greater than ``after``."""
        ...

    async def settled_to(self) -> int:
        """Tell the position up to which every row of the trail is there: none comes in before it any more."""
        ...

    async def checkpoints(self, after: int, limit: int) -> Sequence[Checkpoint]:
        """Read checkpoints with ``seq > after``, oldest first."""
        ...

    async def newest_checkpoint(self) -> Checkpoint | None:
        """Read the newest checkpoint."""
        ...

    async def add_checkpoint(self, checkpoint: Checkpoint) -> bool:
        """Add one; False where its seq is taken."""
        ...

    async def prune_audit(self, chain: str, seq: int, limit: int) -> int:
        """Delete at most ``limit`` of a chain's oldest rows up to ``seq``, never its last; tell how many."""
        ...

    async def prune_checkpoints(self, before: int, limit: int) -> int:
        """Delete at most ``limit`` checkpoints with ``seq < before``; tell how many."""
        ...


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A server process, as it last told of itself.

    Args:
        id: A name that the process made for itself.
        held: The ids of the master keys that it opens with.
        sealing_under: The one that it seals under.
    """

    id: str
    seen_at: datetime
    held: tuple[str, ...]
    sealing_under: str


class NodeStore(Protocol):
    """The server processes of a deployment, as far as they have to agree."""

    async def report_node(self, node: Node) -> None:
        """Note that a process is alive, and what it says of itself."""
        ...

    async def forget_node(self, node_id: str) -> None:
        """Take out a process that stops."""
        ...

    async def nodes(self, since: datetime) -> Sequence[Node]:
        """Read the processes that were seen at or after an instant."""
        ...


class SealedStore(Protocol):
    """What lies under the master key, across all tables."""

    async def sealed_elsewhere(
        self, kind: type[Keeper], key_id: str, after: tuple[str, ...], limit: int
    ) -> Sequence[Keeper]:
        """Read records whose value is under another master key than this one, in the order of their keys.

        Args:
            after: The key (``key_in_order``) of the last record of the page before; empty for the first.
        """
        ...

    async def count_sealed(self) -> Mapping[str, Mapping[str, int]]:
        """Count values by table and by the id of the master key that they are under."""
        ...


def key_in_order(record: Keeper) -> tuple[str, ...]:
    """Give the key by which a page of sealed records goes on."""
    return (record.purpose, record.id) if isinstance(record, Sealed) else (record.id,)


class UpkeepStore(Leases, DueRings, Cleaners, ClockStore, CheckpointStore, NodeStore, SealedStore, Protocol):
    """All of it, as a store answers it."""


class AuditKey(Protocol):
    """The deployment's key for audit checkpoints."""

    key_id: str
    public_jwk: dict[str, str]

    def sign(self, message: bytes) -> bytes:
        """Sign with Ed25519 (RFC 8032)."""
        ...

    def verify(self, key_id: str, message: bytes, signature: bytes) -> bool:
        """Tell whether a signature is by this key."""
        ...


class AuditKeys(Protocol):
    """Where that key is."""

    async def find(self) -> AuditKey | None:
        """Give the key, if one was ever made.

        Raises:
            Fault: It does not open under this master key.
        """
        ...

    async def find_or_make(self, now: datetime) -> AuditKey:
        """Give the key, making it at first need."""
        ...
