"""Machines' secrets under a slow hash: imported ones till their first good use, and those easily guessed.

A client id is public and a slow check costs a thread for a while, so what strangers may have checked is
bounded: by owner, and by owner and address, before the pool that passwords share (PW-02, TN-04). The same
secret shown by many at once is checked once, and one that was right is known from then on by a digest under a
key of this process only: so a fleet that comes back after the switch waits for one check, not for hundreds.
"""

import asyncio
from asyncio import Task
from collections import Counter, OrderedDict
from datetime import datetime

import msgspec

from keyturn.core.addresses import subscriber
from keyturn.core.changes import Change, Replace
from keyturn.core.errors import Concern, SlowDown, Unavailable
from keyturn.core.life import Standing
from keyturn.core.limits import NANOSECONDS, Grant, Rate, grant
from keyturn.core.ports import Digester, Passwords
from keyturn.core.records import Credential
from keyturn.core.requests import Origin, PresentedCredential
from keyturn.core.secret import Secret
from keyturn.core.strength import is_strong
from keyturn.core.vocabulary import OwnerKind, Reason

RATE_OF_OWNER = Rate(per_minute=60, burst=30)
RATE_OF_PLACE = Rate(per_minute=20, burst=10)
"""Of one owner's secrets from one address, so that strangers elsewhere leave the owner's place some."""
UNDER_WAY_OF_OWNER = 4
KNOWN_KEPT = 10_000
COUNTERS_KEPT = 10_000

_NO_PEPPER = ""
"""An id that no pepper has: what is digested under it, another process digests otherwise."""
_Shown = tuple[str, str, bytes]


class Recognised(msgspec.Struct, frozen=True):
    """A genuine credential, and what keeps it under a better hash from now on."""

    credential: Credential
    spends: tuple[Change, ...]


class SlowChecks:
    """What one process knows of slow checks; used on the event loop only."""

    def __init__(self) -> None:
        """Know nothing."""
        self._under_way: dict[_Shown, Task[bool]] = {}
        self._of_owner: Counter[str] = Counter()
        self._known: OrderedDict[_Shown, None] = OrderedDict()
        self._arrivals: dict[str, int] = {}

    async def recognise(
        self,
        shown: PresentedCredential,
        held: tuple[Credential, ...],
        origin: Origin,
        passwords: Passwords,
        digester: Digester,
        now: datetime,
        monotonic: float,
    ) -> Recognised | None:
        """Find the credential under a slow hash that was presented, if it is one of an owner's.

        Args:
            held: The owner's credentials, of any kind.

        Raises:
            SlowDown: Too many were checked for this owner lately.
            Unavailable: Too many are checked now.
        """
        for each in held:
            if each.kind is not shown.kind or each.verifier is None:
                continue
            if each.life.standing(now) is Standing.ENDED:
                continue
            if await self._is_right(shown.secret, each, origin, passwords, digester, monotonic):
                return Recognised(each, await _kept_better(shown.secret, each, passwords, digester))
        return None

    async def _is_right(
        self,
        presented: Secret,
        held: Credential,
        origin: Origin,
        passwords: Passwords,
        digester: Digester,
        monotonic: float,
    ) -> bool:
        verifier = held.verifier or ""
        key = (held.id, verifier, digester.lookup_hash(presented.sha256(), _NO_PEPPER))
        if key in self._known:
            self._known.move_to_end(key)
            return True
        task = self._under_way.get(key)
        if task is None:
            self._admit(held, origin, monotonic)
            check = passwords.check_exactly(presented, verifier)
            task = self._under_way[key] = asyncio.get_running_loop().create_task(check)
            self._of_owner[held.owner_id] += 1
            task.add_done_callback(lambda done: self._done(key, held.owner_id, done))
        # Whoever leaves must not take the answer away from the others who wait for it.
        return await asyncio.shield(task)

    def _done(self, key: _Shown, owner_id: str, done: Task[bool]) -> None:
        del self._under_way[key]
        self._of_owner[owner_id] -= 1
        if not self._of_owner[owner_id]:
            del self._of_owner[owner_id]
        if not done.cancelled() and done.exception() is None and done.result():
            self._known[key] = None
            if len(self._known) > KNOWN_KEPT:
                self._known.popitem(last=False)

    def _admit(self, held: Credential, origin: Origin, monotonic: float) -> None:
        """Take a place for one check, of the owner and of the owner from there, or none of either."""
        if self._of_owner[held.owner_id] >= UNDER_WAY_OF_OWNER:
            raise Unavailable(Reason.HASHING_BUSY)
        now, owner = int(monotonic * NANOSECONDS), held.owner_id
        place = f"{owner}|{subscriber(origin.address)}"
        wanted = {owner: RATE_OF_OWNER, place: RATE_OF_PLACE}
        granted = {key: grant(self._arrivals.get(key, 0), now, rate) for key, rate in wanted.items()}
        refused = [each for each in granted.values() if not each.places]
        if refused:
            raise SlowDown(Reason.RATE_LIMIT, retry_after=_wait(refused), about=_about(held))
        self._arrivals.update((key, each.arrival) for key, each in granted.items())
        if len(self._arrivals) > COUNTERS_KEPT:
            self._arrivals = {key: at for key, at in self._arrivals.items() if at > now}


def _wait(refused: list[Grant]) -> int:
    return max(1, -(-max(each.wait for each in refused) // NANOSECONDS))


def _about(held: Credential) -> Concern:
    kinds = {"client_secret": OwnerKind.CLIENT, "entity_secret": OwnerKind.ENTITY}
    return Concern(held.organisation_id, held.owner_id, kinds.get(held.kind, OwnerKind.USER))


async def _kept_better(
    presented: Secret, found: Credential, passwords: Passwords, digester: Digester
) -> tuple[Change, ...]:
    """Keep a right secret as one of ours is kept, now that it is known; a busy pool can wait."""
    verifier = None
    kept: dict[str, object] = {}
    if is_strong(presented.reveal()):
        pepper_id = digester.current_pepper_id
        lookup_hash = digester.lookup_hash(presented.sha256(), pepper_id)
        kept = {"lookup_hash": lookup_hash, "pepper_id": pepper_id}
    elif passwords.is_outdated(found.verifier or ""):
        try:
            verifier = await passwords.hash_exactly(presented)
        except Unavailable:
            return ()
    else:
        return ()
    again = msgspec.structs.replace(found, **kept, verifier=verifier, version=found.version + 1)
    return (Replace(again, found.version),)
