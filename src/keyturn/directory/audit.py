"""The audit trail as operators see it: its newest rows, and whether every link of its chains holds."""

from collections.abc import Callable, Sequence

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.errors import OperatorError
from keyturn.core.ports import DeploymentStore
from keyturn.core.records import AuditRow

MAX_TAIL = 10_000
_PAGE = 1_000

ChainCheck = Callable[[Sequence[AuditRow], AuditRow | None], int | None]
"""Finds the first ``seq`` that does not hold among rows that follow a row (None: from the chain's start)."""


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


async def verify_audit(actor: Actor, store: DeploymentStore, check: ChainCheck) -> Sequence[ChainVerdict]:
    """Follow every chain from its first row and say where one is broken (AD-05).

    Raises:
        OperatorError: The actor is confined to one organisation.
    """
    _check_reach(actor)
    return [await _follow(store, chain, check) for chain in await store.audit_chains()]


async def _follow(store: DeploymentStore, chain: str, check: ChainCheck) -> ChainVerdict:
    last: AuditRow | None = None
    while rows := await store.audit_rows(chain=chain, after=last.seq if last else 0, limit=_PAGE):
        broken_at = check(rows, last)
        if broken_at is not None:
            return ChainVerdict(chain=chain, rows=broken_at - 1, broken_at=broken_at)
        last = rows[-1]
    return ChainVerdict(chain=chain, rows=last.seq if last else 0)


def _check_reach(actor: Actor) -> None:
    if actor.organisation_id is not None:
        raise OperatorError("only an operator of the deployment reads its audit trail")
