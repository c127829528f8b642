"""The audit trail as operators see it: its newest rows, and whether every link of its chains holds."""

from collections.abc import Callable, Sequence

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.errors import OperatorError
from keyturn.core.ports import DeploymentStore
from keyturn.core.records import AuditRow

MAX_TAIL = 10_000
_PAGE = 1_000
_FIRST_PREV_HASH = bytes(32)

RowHash = Callable[[AuditRow], bytes]
"""Computes what a row's ``row_hash`` must be; storage says how."""


class ChainVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of following one chain from its start.

    Args:
        rows: How many rows hold, from the first.
        broken_at: The first ``seq`` that is missing, out of place or altered; None if every row holds.
    """

    chain: str
    rows: int
    broken_at: int | None = None


async def tail_audit(actor: Actor, store: DeploymentStore, limit: int) -> Sequence[AuditRow]:
    """Read the newest rows of all chains, oldest first; personal fields stay sealed.

    Raises:
        OperatorError: The actor is confined to one organisation, or ``limit`` is out of range.
    """
    _check_reach(actor)
    if not 1 <= limit <= MAX_TAIL:
        raise OperatorError(f"ask for 1 to {MAX_TAIL} rows")
    return await store.audit_rows(limit=limit)


async def verify_audit(actor: Actor, store: DeploymentStore, row_hash: RowHash) -> Sequence[ChainVerdict]:
    """Follow every chain from its first row and say where one is broken (AD-05).

    Raises:
        OperatorError: The actor is confined to one organisation.
    """
    _check_reach(actor)
    return [await _follow(store, chain, row_hash) for chain in await store.audit_chains()]


async def _follow(store: DeploymentStore, chain: str, row_hash: RowHash) -> ChainVerdict:
    seq, prev_hash = 0, _FIRST_PREV_HASH
    while rows := await store.audit_rows(chain=chain, after=seq, limit=_PAGE):
        for row in rows:
            linked = (row.chain, row.seq, row.prev_hash) == (chain, seq + 1, prev_hash)
            if not linked or row_hash(row) != row.row_hash:
                return ChainVerdict(chain=chain, rows=seq, broken_at=seq + 1)
            seq, prev_hash = row.seq, row.row_hash
    return ChainVerdict(chain=chain, rows=seq)


def _check_reach(actor: Actor) -> None:
    if actor.organisation_id is not None:
        raise OperatorError("only an operator of the deployment reads its audit trail")
