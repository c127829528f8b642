"""Where a token's status will be published: a place in a list, taken before the token is signed.

A process has lists of its own, one at a time for each organisation, so nobody else ever has its places and no
counter is shared. It leases places in blocks, for tokens that rest on the same things. The row of a block is
written in the unit of the first token that has a place in it; until that unit is recorded nobody else uses
the block, and a block whose unit was not is never used (so a token is never without its row, however the
process ends). What is not used when the process ends stays unused.
"""

import asyncio
from asyncio import Future
from datetime import datetime, timedelta

import msgspec

from keyturn.core.changes import Add, Change
from keyturn.core.identifiers import uuid7
from keyturn.core.requests import Decision
from keyturn.core.secret import Dice
from keyturn.core.status_records import StatusBlock, StatusMark
from keyturn.core.vocabulary import OrganisationId
from keyturn.tokens.status_list import CLAIM, place_in
from keyturn.tokens.verify import VerifiedClaims

LIST_SIZE = 1 << 17
"""Places in a list: 16 KiB before compression."""
LIST_BLOCKS = 2048
"""Blocks in a list: each is looked at when the list is published."""
FIRST_BLOCK = 4
LARGEST_BLOCK = 4096
BLOCK_AGE = timedelta(hours=6)
"""How long places of a block are given out: the row is kept as long and a token's life, and a day."""
GROUPS_KEPT = 65_536
"""Groups in memory; one more forgets the oldest, and what was left of its block."""
LISTS_KEPT = 4096
_SHUFFLE_BYTES = 8

_Group = tuple[object, ...]


def status_uri(public_url: str, slug: str, list_id: str) -> str:
    """Name a list, or without an id all lists of an organisation."""
    return f"{public_url}/o/{slug}/status" + (f"/{list_id}" if list_id else "")


def mark_of(verified: VerifiedClaims) -> tuple[Change, ...]:
    """Say what a revoked token's list must show, if it is in one."""
    named = place_in(verified.claims)
    if named is None:
        return ()
    list_id, number = named
    mark = StatusMark(
        id=verified.token_id,
        list_id=list_id,
        organisation_id=verified.own.organisation_id,
        number=number,
        expires_at=verified.expires_at,
    )
    return (Add(mark),)


class _List:
    """A list that this process fills, in one epoch of its organisation.

    A restore raises that and takes lists away: going on with one would bring it back without its dead.
    """

    __slots__ = ("blocks", "epoch", "id", "next", "spelled")

    def __init__(self, list_id: str, uri: str, epoch: int) -> None:
        self.id = list_id
        self.epoch = epoch
        self.next = 0
        self.blocks = 0
        claim = msgspec.json.encode({CLAIM: {"status_list": {"idx": 0, "uri": uri}}})
        self.spelled = claim[1:-1].replace(b"%", b"%%").replace(b'"idx":0', b'"idx":%d') + b","


class _Lease:
    """What is left of a group's block; nothing while the block's row is being written."""

    __slots__ = ("left", "pending", "size", "spelled", "until")

    def __init__(self, now: datetime) -> None:
        self.left: list[int] = []
        self.until = now
        self.size = 0
        self.spelled = b""
        self.pending: Future[bool] | None = None


class Place:
    """A token's place: the claim that names it, and what its unit has to add.

    ``settle`` is called once the unit was recorded, or was not.
    """

    __slots__ = ("_block", "_lease", "_pending", "changes", "claim")

    def __init__(
        self, claim: bytes, lease: _Lease, block: tuple[list[int], StatusBlock, bytes] | None
    ) -> None:
        self.claim = claim
        self._lease = lease
        self._block = block
        self._pending = None if block is None else lease.pending
        self.changes: tuple[Change, ...] = () if block is None else (Add(block[1]),)

    def settle(self, *, kept: bool) -> None:
        """Let others use the block whose row this unit wrote, or nobody where it did not."""
        if self._block is None or self._pending is None:
            return
        lease = self._lease
        if kept:
            lease.left, row, lease.spelled = self._block
            lease.until = row.expires_at
        if lease.pending is self._pending:
            lease.pending = None
        self._pending.set_result(kept)


class Places:
    """Gives out places; used on the event loop.

    Args:
        naming: Dice for identifiers and for the order inside a block; they are no secrets.
    """

    def __init__(self, public_url: str, naming: Dice) -> None:
        """Have no list yet."""
        self._public_url = public_url
        self._naming = naming
        self._lists: dict[OrganisationId, _List] = {}
        self._leases: dict[_Group, _Lease] = {}
        self.list_size = LIST_SIZE

    async def take(self, decision: Decision, now: datetime) -> Place:
        """Take a place for a token of a decision; it has to be settled.

        Waits where the row of the group's next block is just being written. Where that fails everybody takes
        a block of their own: while the store is away each would wait in turn for the same no.
        """
        group = _group(decision)
        expires_at = now + decision.lifetime
        kept = True
        while True:
            lease = self._leases.get(group)
            if lease is None:
                lease = self._lease(group, now)
            if lease.left and expires_at <= lease.until:
                return Place(lease.spelled % lease.left.pop(), lease, None)
            if lease.pending is None or not kept:
                return self._opened(decision, lease, now)
            kept = await asyncio.shield(lease.pending)
            if not kept:
                lease.size = 0

    def _lease(self, group: _Group, now: datetime) -> _Lease:
        if len(self._leases) >= GROUPS_KEPT:
            del self._leases[next(iter(self._leases))]
        self._leases[group] = lease = _Lease(now)
        return lease

    def _opened(self, decision: Decision, lease: _Lease, now: datetime) -> Place:
        """Lease the next block: twice as many as the last where that was used up, else half as many."""
        wanted = lease.size // 2 if lease.left else 2 * lease.size
        wanted = max(FIRST_BLOCK, min(wanted, LARGEST_BLOCK))
        there = self._list_with_room(decision, now)
        lease.size = min(wanted, self.list_size - there.next)
        lease.left = []
        lease.pending = asyncio.get_running_loop().create_future()
        first, there.next, there.blocks = there.next, there.next + lease.size, there.blocks + 1
        # In no order that tells which of them were given out, or when.
        numbers = sorted(range(first, there.next), key=lambda _: self._naming(_SHUFFLE_BYTES))
        number = numbers.pop()
        row = _block(decision, there.id, first, lease.size, now)
        return Place(there.spelled % number, lease, (numbers, row, there.spelled))

    def _list_with_room(self, decision: Decision, now: datetime) -> _List:
        organisation = decision.proof.organisation
        there = self._lists.get(organisation.id)
        full = there is not None and (there.next >= self.list_size or there.blocks >= LIST_BLOCKS)
        if there is None or full or there.epoch != organisation.epoch:
            self._lists.pop(organisation.id, None)
            if len(self._lists) >= LISTS_KEPT:
                del self._lists[next(iter(self._lists))]
            list_id = uuid7(now, self._naming)
            uri = status_uri(self._public_url, organisation.slug, list_id)
            there = _List(list_id, uri, organisation.epoch)
            self._lists[organisation.id] = there
        return there


def _group(decision: Decision) -> _Group:
    """Name all that a token rests on: what ends one token of a group, ends all, but for its revocation."""
    proof, basis = decision.proof, decision.basis
    return (
        proof.organisation.id,
        proof.owner_kind,
        decision.subject,
        basis.credential_id,
        basis.epochs,
        decision.asked_by,
        basis.family_id,
    )


def _block(decision: Decision, list_id: str, first: int, size: int, now: datetime) -> StatusBlock:
    proof, basis = decision.proof, decision.basis
    return StatusBlock(
        id=f"{list_id}.{first}",
        list_id=list_id,
        organisation_id=proof.organisation.id,
        first=first,
        size=size,
        owner_kind=proof.owner_kind,
        subject=decision.subject,
        credential_id=basis.credential_id,
        epochs=basis.epochs,
        client_id=decision.asked_by,
        family_id=basis.family_id,
        expires_at=now + decision.lifetime + BLOCK_AGE,
    )
