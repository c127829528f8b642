"""The audit trail as operators see it: its newest rows, and whether every row that was signed is there."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.checkpoints import ChainEnd, Checkpoint, Ledger, SignatureCheck
from keyturn.core.errors import Fault, OperatorError
from keyturn.core.records import AuditRow
from keyturn.core.store_ports import DeploymentStore
from keyturn.core.upkeep_ports import CheckpointStore
from keyturn.directory.restoring import restores

MAX_TAIL = 10_000
_PAGE = 1_000

ChainCheck = Callable[[Sequence[AuditRow], ChainEnd | None], int | None]
"""Finds the first ``seq`` that does not hold among rows that follow a place (None: the chain's start)."""


class ChainVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of following one chain from its start, or from where retention cut it.

    Args:
        rows: How many rows hold, from the first that is kept.
        last: The ``seq`` of the last of them.
        signed: Up to which ``seq`` checkpoints cover it.
        broken_at: The first ``seq`` that is missing, out of place or altered; None if every row holds.
        written_anew: The chain holds in itself from ``broken_at`` on, but is not the one that was signed;
            the first altered row is this one or one since the checkpoint before.
    """

    chain: str
    rows: int
    last: int
    signed: int = 0
    broken_at: int | None = None
    written_anew: bool = False


class TrailVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of checking the whole trail.

    Args:
        newest: The newest checkpoint that holds; None where there is none.
        broken_checkpoint: The first that is missing or altered; those after it prove nothing.
        problem: What is wrong with that one.
    """

    chains: tuple[ChainVerdict, ...]
    newest: Checkpoint | None = None
    broken_checkpoint: int | None = None
    problem: str | None = None

    @property
    def intact(self) -> bool:
        """Whether every chain and every checkpoint holds."""
        return not self.problems

    @property
    def problems(self) -> Sequence[str]:
        """Say in words what is broken."""
        found = [] if self.problem is None else [f"checkpoint {self.broken_checkpoint} {self.problem}"]
        for each in self.chains:
            if each.broken_at is not None:
                anew = " or before it: written anew after it was signed" if each.written_anew else ""
                found.append(f"chain {each.chain} at row {each.broken_at}{anew}")
        return found


async def tail_audit(actor: Actor, store: DeploymentStore, limit: int) -> Sequence[AuditRow]:
    """Read the newest rows of all chains, oldest first; personal fields stay sealed.

    Raises:
        OperatorError: The actor is confined to one organisation, or ``limit`` is out of range.
    """
    check_reach(actor)
    if not 1 <= limit <= MAX_TAIL:
        raise OperatorError(f"ask for 1 to {MAX_TAIL} rows")
    return await store.audit_rows(limit=limit)


async def verify_audit(
    actor: Actor,
    store: DeploymentStore,
    checkpoints: CheckpointStore,
    *,
    check: ChainCheck,
    signature: SignatureCheck | None,
    noted: Mapping[int, bytes] | None = None,
) -> TrailVerdict:
    """Follow every checkpoint and every chain, and say where one is broken (AD-05).

    Rows cut from the end of a chain, and whole chains that are gone, show by the checkpoints that cover them.

    Args:
        signature: None where no audit key was ever made: the first checkpoint makes it.
        noted: Hashes of checkpoints, by ``seq``, that somebody noted elsewhere. Only they show that the
            newest checkpoints were removed, or all of them made anew, with all that came after.

    Raises:
        OperatorError: The actor is confined to one organisation, or retention has let a noted one go.
    """
    check_reach(actor)
    round_ = _Round(store, checkpoints, check, signature, noted or {})
    verdict = await round_.verify()
    # Retention may have cut rows between our look at the checkpoints and at the chains: look again.
    verdict = verdict if verdict.intact else await round_.verify()
    return await _explained(verdict, store) if verdict.broken_checkpoint in (noted or {}) else verdict


async def _explained(verdict: TrailVerdict, store: DeploymentStore) -> TrailVerdict:
    """Say beside a noted checkpoint that is gone that the deployment was set back, if it was (RE-09).

    It stays a failure: what was set back is not what was noted. But the trail itself tells of it.
    """
    told = [
        f"{restored.at:%F %T} UTC, back to checkpoint {restored.checkpoint.partition(':')[0]}"
        for restored in await restores(store)
    ]
    if not told:
        return verdict
    problem = f"{verdict.problem} (the deployment was restored at {', at '.join(told)})"
    return msgspec.structs.replace(verdict, problem=problem)


class _Round(msgspec.Struct, frozen=True):
    """What is followed, and by which keys and hashes."""

    store: DeploymentStore
    checkpoints: CheckpointStore
    check: ChainCheck
    signature: SignatureCheck | None
    noted: Mapping[int, bytes]

    async def verify(self) -> TrailVerdict:
        ledger = Ledger()
        broken, problem = await self._follow_checkpoints(ledger)
        chains = dict.fromkeys([*await self.store.audit_chains(), *ledger.ends])
        return TrailVerdict(
            chains=tuple([await self._follow(chain, ledger) for chain in chains]),
            newest=ledger.newest,
            broken_checkpoint=broken,
            problem=problem,
        )

    async def _follow_checkpoints(self, ledger: Ledger) -> tuple[int | None, str | None]:
        oldest = 0
        while True:
            last = ledger.newest.seq if ledger.newest else 0
            page, unreadable = await _until_unreadable(self.checkpoints.checkpoints, last)
            oldest = oldest or next((each.seq for each in page), 0)
            for checkpoint in page:
                problem = ledger.follow(checkpoint, self.signature or _never_signed)
                if problem is not None:
                    return ledger.broken_seq(checkpoint, problem), problem
                if self.noted.get(checkpoint.seq, checkpoint.digest) != checkpoint.digest:
                    return checkpoint.seq, "altered: it is not the one that was noted"
            if unreadable:
                return (ledger.newest.seq if ledger.newest else 0) + 1, "altered: it cannot be read"
            if not page:
                return self._missing(oldest, last)

    def _missing(self, oldest: int, newest: int) -> tuple[int | None, str | None]:
        """Tell of checkpoints that must have been there after the newest one that is."""
        if gone := [seq for seq in self.noted if seq > newest]:
            return min(gone), "removed"
        if not newest and self.signature is not None:
            return 1, "removed: there is a key that signed it"
        if cut := [seq for seq in self.noted if seq < oldest]:
            raise OperatorError(f"retention has let checkpoint {max(cut)} go: give one from {oldest} on")
        return None, None

    async def _follow(self, chain: str, ledger: Ledger) -> ChainVerdict:
        start = place = ledger.cuts.get(chain)
        first = start.seq if start else 0
        signed = ledger.signed_seq(chain)

        def read(after: int, limit: int) -> Awaitable[Sequence[AuditRow]]:
            return self.store.audit_rows(chain=chain, after=after, limit=limit)

        def verdict(last: int, broken_at: int | None, *, anew: bool = False) -> ChainVerdict:
            return ChainVerdict(
                chain=chain,
                rows=last - first,
                last=last,
                signed=signed,
                broken_at=broken_at,
                written_anew=anew,
            )

        while True:
            rows, unreadable = await _until_unreadable(read, place.seq if place else 0)
            broken_at, unlike = self.check(rows, place), ledger.first_unlike(rows)
            found = min((seq for seq in (broken_at, unlike) if seq is not None), default=None)
            if found is not None:
                return verdict(found - 1, found, anew=broken_at is None or found < broken_at)
            if rows:
                place = ChainEnd(chain, rows[-1].seq, rows[-1].row_hash)
            last = place.seq if place else 0
            if unreadable:
                return verdict(last, last + 1)
            if not rows:
                return verdict(last, last + 1 if last < signed else None)


Kept = TypeVar("Kept", AuditRow, Checkpoint)


async def _until_unreadable(
    read: Callable[[int, int], Awaitable[Sequence[Kept]]], after: int
) -> tuple[Sequence[Kept], bool]:
    """Read a page; where something in it was altered so that it cannot be read, what comes before that."""
    try:
        return await read(after, _PAGE), False
    except Fault:
        kept: list[Kept] = []
    try:
        while one := await read(after, 1):
            kept += one
            after = one[-1].seq
    except Fault:
        return kept, True
    return kept, False


def _never_signed(_key_id: str, _message: bytes, _signature: bytes) -> bool:
    """Hold no signature for good: there is no audit key by which one could have been made."""
    return False


def check_reach(actor: Actor) -> None:
    """Keep the deployment's trail from an actor of one organisation (TN-02).

    Raises:
        OperatorError: The actor is confined.
    """
    if actor.organisation_id is not None:
        raise OperatorError("only an operator of the deployment reads its audit trail")
