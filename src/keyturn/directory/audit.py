"""The audit trail as operators see it: its newest rows, and whether every row that was signed is there."""

from collections.abc import Callable, Sequence

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.checkpoints import ChainEnd, Checkpoint, Ledger, SignatureCheck
from keyturn.core.errors import OperatorError
from keyturn.core.records import AuditRow
from keyturn.core.store_ports import DeploymentStore
from keyturn.core.upkeep_ports import CheckpointStore

MAX_TAIL = 10_000
_PAGE = 1_000

ChainCheck = Callable[[Sequence[AuditRow], ChainEnd | None], int | None]
"""Finds the first ``seq`` that does not hold among rows that follow a place (None: the chain's start)."""


class ChainVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of following one chain from its start, or from where retention cut it.

    Args:
        rows: How many rows hold, from the first that is kept.
        signed: Up to which ``seq`` checkpoints cover it.
        broken_at: The first ``seq`` that is missing, out of place or altered; None if every row holds.
        written_anew: The chain holds in itself from ``broken_at`` on, but is not the one that was signed;
            the first altered row is this one or one since the checkpoint before.
    """

    chain: str
    rows: int
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
        return self.problem is None and all(each.broken_at is None for each in self.chains)


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
    signature: SignatureCheck,
) -> TrailVerdict:
    """Follow every checkpoint and every chain, and say where one is broken (AD-05).

    Rows cut from the end of a chain, and whole chains that are gone, show by the checkpoints that cover them.

    Raises:
        OperatorError: The actor is confined to one organisation.
    """
    check_reach(actor)
    verdict = await _verify(store, checkpoints, check, signature)
    # Retention may have cut rows between our look at the checkpoints and at the chains: look again.
    return verdict if verdict.intact else await _verify(store, checkpoints, check, signature)


async def _verify(
    store: DeploymentStore, checkpoints: CheckpointStore, check: ChainCheck, signature: SignatureCheck
) -> TrailVerdict:
    ledger, broken, problem = await _follow_checkpoints(checkpoints, signature)
    chains = dict.fromkeys([*await store.audit_chains(), *ledger.ends])
    return TrailVerdict(
        chains=tuple([await _follow(store, chain, ledger, check) for chain in chains]),
        newest=ledger.newest,
        broken_checkpoint=broken,
        problem=problem,
    )


async def _follow_checkpoints(
    store: CheckpointStore, signature: SignatureCheck
) -> tuple[Ledger, int | None, str | None]:
    ledger = Ledger()
    while page := await store.checkpoints(ledger.newest.seq if ledger.newest else 0, _PAGE):
        for checkpoint in page:
            problem = ledger.follow(checkpoint, signature)
            if problem is not None:
                return ledger, ledger.broken_seq(checkpoint, problem), problem
    return ledger, None, None


async def _follow(store: DeploymentStore, chain: str, ledger: Ledger, check: ChainCheck) -> ChainVerdict:
    start = place = ledger.cuts.get(chain)
    first = start.seq if start else 0
    signed = ledger.signed_seq(chain)
    while rows := await store.audit_rows(chain=chain, after=place.seq if place else 0, limit=_PAGE):
        broken_at, unlike = check(rows, place), ledger.first_unlike(rows)
        found = min((seq for seq in (broken_at, unlike) if seq is not None), default=None)
        if found is not None:
            anew = broken_at is None or found < broken_at
            rows_hold = found - 1 - first
            return ChainVerdict(
                chain=chain, rows=rows_hold, signed=signed, broken_at=found, written_anew=anew
            )
        place = ChainEnd(chain, rows[-1].seq, rows[-1].row_hash)
    last = place.seq if place else 0
    cut_off = last + 1 if last < signed else None
    return ChainVerdict(chain=chain, rows=last - first, signed=signed, broken_at=cut_off)


def check_reach(actor: Actor) -> None:
    """Keep the deployment's trail from an actor of one organisation (TN-02).

    Raises:
        OperatorError: The actor is confined.
    """
    if actor.organisation_id is not None:
        raise OperatorError("only an operator of the deployment reads its audit trail")
