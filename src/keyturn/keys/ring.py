"""Every issuer's key rings: who signs now, what is published, and how a ring turns.

A ring has a current key, a next one, and previous ones until their last token has expired. It is made at
first need, current and next in one unit, so that they are published together and a first rotation may act
at once. ``schedule`` says who signs when; here are the store, the master key and a bounded memory.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from weakref import WeakValueDictionary

import msgspec

from keyturn.core.changes import Add, Change, Lost, Unit
from keyturn.core.errors import Fault, Unavailable
from keyturn.core.identifiers import uuid7
from keyturn.core.notices import KINDS, notice_of
from keyturn.core.ports import Sealer, Signer
from keyturn.core.records import AuditEvent, Sealed, SigningKey
from keyturn.core.sealed_values import open_value, place_of
from keyturn.core.secret import Dice
from keyturn.core.store_ports import DeploymentStore
from keyturn.core.vocabulary import Algorithm, KeyId, OrganisationId, Reason
from keyturn.keys import schedule
from keyturn.keys.certificates import certify
from keyturn.keys.custody import Custody, SoftwareKeys
from keyturn.keys.promises import Promise, Promises
from keyturn.keys.schedule import NotRotated, Rotated, Withdrawn
from keyturn.keys.signers import RSA_BITS, MakeKey, make_private_key

RINGS_KEPT = 20_000
"""How many issuers' rings stay in memory, private keys imported; the coldest makes room."""
JWKS_CACHE = timedelta(minutes=5)
"""How long a key set may be cached; what is served with it must say the same (``max-age``)."""

DUE_AGAIN = timedelta(hours=1)
_TRIES = 5

log = logging.getLogger("keyturn.keys")

FOUNDED = "signing_ring"

AlgorithmsOf = Callable[[str], Sequence[Algorithm]]
"""Tells with which algorithms an issuer signs, by the settings of the deployment."""


class _Seat(msgspec.Struct, frozen=True):
    signer: Signer
    starts_at: datetime
    ends_at: datetime
    due_at: datetime


class _KeySet(msgspec.Struct, frozen=True):
    jwks: tuple[dict[str, str], ...]
    starts_at: datetime
    ends_at: datetime


class _Issuer(msgspec.Struct, frozen=True):
    """What memory holds of one issuer; ``seats`` and ``shown`` fill as they are asked for."""

    keys: tuple[SigningKey, ...]
    seats: dict[Algorithm, _Seat] = {}
    shown: list[_KeySet] = []

    def ring(self, algorithm: Algorithm) -> tuple[SigningKey, ...]:
        return schedule.of_algorithm(self.keys, algorithm)


class Rings:
    """The ``KeyRings`` of ``core.ports`` over a deployment's store.

    Args:
        algorithms_of: The rings that an issuer's first key set must show already, so that no cached key set
            is without the key of the first token (TK-14).
        jwks_cache: The longest time for which a served key set may be cached.
        rotate_after: For how long a key signs before its ring is due; None for ever.
        certified: The issuers whose keys get certificates, which then name them.
        make_key: Makes private keys.
        custody: Makes and uses private keys, where that is not this process.
        limit: How many issuers stay in memory.
    """

    def __init__(
        self,
        store: DeploymentStore,
        sealer: Sealer,
        dice: Dice,
        algorithms_of: AlgorithmsOf,
        *,
        jwks_cache: timedelta = JWKS_CACHE,
        rotate_after: timedelta | None = None,
        certified: Collection[str] = (),
        rsa_bits: int = RSA_BITS,
        make_key: MakeKey = make_private_key,
        custody: Custody | None = None,
        limit: int = RINGS_KEPT,
    ) -> None:
        """Start with nothing in memory."""
        self._store = store
        self._sealer = sealer
        self._dice = dice
        self._algorithms_of = algorithms_of
        self._jwks_cache = jwks_cache
        self._rotate_after = rotate_after
        self._certified = frozenset(certified)
        self._due: dict[tuple[str, Algorithm], datetime | None] = {}
        self._promises = Promises(store, sealer, dice)
        self._custody = custody or SoftwareKeys(rsa_bits, make_key)
        self._limit = limit
        self._issuers: OrderedDict[str, _Issuer] = OrderedDict()
        self._invalidations = 0
        self._told: set[KeyId] = set()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def signer(self, issuer_id: str, algorithm: Algorithm, now: datetime) -> Signer:
        """Give the key that signs at ``now``, making the ring at first need.

        Raises:
            Unavailable: No published key may sign or the one that may does not open
                (Reason.KEY_UNAVAILABLE), or the store is away.
        """
        issuer = self._issuers.get(issuer_id)
        seat = issuer.seats.get(algorithm) if issuer is not None else None
        if seat is not None and seat.starts_at <= now < seat.ends_at:
            self._issuers.move_to_end(issuer_id)
            if now >= seat.due_at:
                self._due.setdefault((issuer_id, algorithm), None)
            return seat.signer
        return self._seat(await self._with_ring(issuer_id, algorithm, now), algorithm, now)

    async def published(self, issuer_id: str, now: datetime) -> Sequence[dict[str, str]]:
        """Give every public JWK of a ring that a token may still need, next keys included.

        Raises:
            Unavailable: The store is away.
        """
        known = self._issuers.get(issuer_id)
        if known is not None and known.shown and known.shown[0].starts_at <= now < known.shown[0].ends_at:
            return known.shown[0].jwks
        for algorithm in self._algorithms_of(issuer_id):
            await self._with_ring(issuer_id, algorithm, now)
        issuer = await self._read_cached(issuer_id)
        shown = schedule.shown_at(issuer.keys, now)
        jwks = tuple(dict(key.public_jwk) for key in shown.keys)
        issuer.shown[:] = [_KeySet(jwks, shown.starts_at, shown.ends_at)]
        return jwks

    def invalidate(self, issuer_id: str) -> None:
        """Forget an issuer's rings: the change feed says that another process turned one."""
        self._invalidations += 1
        self._issuers.pop(issuer_id, None)
        for algorithm in Algorithm:
            self._due.pop((issuer_id, algorithm), None)

    def invalidate_all(self) -> None:
        """Forget every ring: the change feed cannot say which one turned."""
        self._invalidations += 1
        self._issuers.clear()
        self._due.clear()

    def take_due(self, now: datetime) -> Sequence[tuple[str, Algorithm]]:
        """Give the rings that signed although they are due, each now and then until it has turned.

        Again, because whoever turns it may have thought otherwise: a command line with other settings.
        """
        fresh = [
            ring for ring, told in self._due.items() if told is None or not told <= now < told + DUE_AGAIN
        ]
        self._due.update(dict.fromkeys(fresh, now))
        return fresh

    def oldest_start(self) -> datetime | None:
        """Tell since when the key signs that has signed longest, of those in memory."""
        seats = (seat.starts_at for issuer in self._issuers.values() for seat in issuer.seats.values())
        return min(seats, default=None)

    async def unsafe_until(self, issuer_id: str, now: datetime, lifetime: timedelta) -> datetime | None:
        """Tell until when a token of some lifetime could outlive an issuer's key; None if none could.

        Raises:
            Unavailable: The store is away.
        """
        keys = await self._store.signing_keys(issuer_id)
        found = (
            schedule.unsafe_until(schedule.of_algorithm(keys, each), now, lifetime) for each in Algorithm
        )
        return max((until for until in found if until is not None), default=None)

    async def promise(self, longest_lifetime: timedelta, now: datetime) -> None:
        """Note what this server tells verifiers, so that every process turns rings by it (TK-14).

        Args:
            longest_lifetime: Of any token that it issues.
            now: An aware instant.

        Raises:
            Unavailable: The store is away.
        """
        await self._promises.note(Promise(self._jwks_cache, longest_lifetime), now)

    async def rotate(
        self,
        issuer_id: str,
        algorithm: Algorithm,
        now: datetime,
        *,
        longest_lifetime: timedelta,
        actor: str,
        request_id: str,
        organisation_id: OrganisationId | None = None,
        only_if_due: bool = False,
    ) -> Rotated | NotRotated:
        """Turn a ring: the next key becomes the signer as soon as it may, and a new next key is published.

        Args:
            issuer_id: Whose ring.
            algorithm: Which of its rings.
            now: An aware instant.
            longest_lifetime: The ceiling of every token that the current key signs; a longer one that a
                server promised counts.
            actor: For the audit trail.
            request_id: For the audit trail.
            organisation_id: The organisation whose issuer it is, for the audit trail.
            only_if_due: Whether to leave a ring alone whose key has not signed for ``rotate_after`` yet.

        Raises:
            Unavailable: The store is away; nothing was changed.
            Fault: The ring is damaged.
        """
        await self._with_ring(issuer_id, algorithm, now)
        async with self._lock(issuer_id):
            ring = (await self._read(issuer_id)).ring(algorithm)  # from the store: memory may be a second old
            pending = schedule.pending_at(ring, now)
            if pending is not None:
                return NotRotated(active_at=pending)
            if only_if_due and not (self._rotate_after and schedule.is_due(ring, now, self._rotate_after)):
                return NotRotated(active_at=now)
            promised = await self._promises.longest(Promise(self._jwks_cache, longest_lifetime))
            fresh = await self._make_next(issuer_id, algorithm, now, promised)
            changes, rotated = schedule.plan_rotation(ring, fresh, now, promised.longest_lifetime)
            audit = AuditEvent(
                at=now,
                kind="signing_key.rotated",
                actor=actor,
                request_id=request_id,
                organisation_id=organisation_id,
                subject=rotated.signing_key_id,
                details={
                    "issuer": issuer_id,
                    "algorithm": algorithm.value,
                    "active_at": rotated.active_at.isoformat(),
                    "retiring": rotated.retiring_key_id,
                    "retires_at": rotated.retires_at.isoformat(),
                    "next": rotated.next_key_id,
                },
            )
            if not await self._turned(issuer_id, changes, audit):
                won = (await self._read(issuer_id)).ring(algorithm)
                newest = max(key.active_at for key in won if key.active_at is not None)
                return NotRotated(active_at=newest, lost_race=True)
            return rotated

    async def withdraw(
        self,
        issuer_id: str,
        key_id: KeyId,
        now: datetime,
        *,
        longest_lifetime: timedelta,
        actor: str,
        request_id: str,
        organisation_id: OrganisationId | None = None,
    ) -> Withdrawn | None:
        """Take a key that leaked out of the published set at once; it never signs again.

        Returns:
            What it was; None where the issuer has no such key, or not any more.

        Raises:
            Unavailable: The store is away; nothing was changed.
            Fault: The ring is damaged, or turned again and again meanwhile.
        """
        for _ in range(_TRIES):
            async with self._lock(issuer_id):
                issuer = await self._read(issuer_id)
                key = next((each for each in issuer.keys if each.id == key_id), None)
                if key is None or not schedule.is_published(key, now):
                    return None
                promised = await self._promises.longest(Promise(self._jwks_cache, longest_lifetime))
                fresh = await self._make_next(issuer_id, key.algorithm, now, promised)
                changes, withdrawn = schedule.plan_withdrawal(
                    issuer.ring(key.algorithm), key, fresh, now, promised.longest_lifetime
                )
                audit = AuditEvent(
                    at=now,
                    kind="signing_key.withdrawn",
                    actor=actor,
                    request_id=request_id,
                    organisation_id=organisation_id,
                    subject=key_id,
                    details={"issuer": issuer_id, "algorithm": key.algorithm.value, "was": withdrawn.was},
                )
                if await self._turned(issuer_id, changes, audit):
                    return withdrawn
        raise Fault("the ring was turned by others again and again; nothing was withdrawn")

    async def _with_ring(self, issuer_id: str, algorithm: Algorithm, now: datetime) -> _Issuer:
        issuer = await self._read_cached(issuer_id)
        if issuer.ring(algorithm):
            return issuer
        async with self._lock(issuer_id):
            issuer = self._issuers.get(issuer_id) or await self._read(issuer_id)
            if not issuer.ring(algorithm):
                await self._found(issuer_id, algorithm, now)
                issuer = await self._read(issuer_id)
        if not issuer.ring(algorithm):
            raise Unavailable(Reason.KEY_UNAVAILABLE)
        return issuer

    async def _found(self, issuer_id: str, algorithm: Algorithm, now: datetime) -> None:
        """Make the first ring, or lose to the node that was faster; the store then holds exactly one."""
        current, following = await asyncio.gather(
            self._make(issuer_id, algorithm, now, signs_from=now, active_at=now),
            self._make(issuer_id, algorithm, now, signs_from=now),
        )
        # Key ids are random, so two nodes' first keys would both be inserted. The ring's own name is what
        # only one of them can take.
        name = f"{issuer_id}/{algorithm}"
        founded = Sealed(
            id=name,
            purpose=FOUNDED,
            value=self._sealer.seal(FOUNDED, name, current.id.encode()),
            created_at=now,
        )
        audit = AuditEvent(
            at=now,
            kind="signing_ring.created",
            actor="system:keys",
            request_id=uuid7(now, self._dice),
            subject=current.id,
            details={"issuer": issuer_id, "algorithm": algorithm.value, "next": following.id},
        )
        await self._turned(issuer_id, (Add(founded), Add(current), Add(following)), audit)

    async def _turned(self, issuer_id: str, changes: tuple[Change, ...], audit: AuditEvent) -> bool:
        """Record a change of a ring and forget what memory held of it; False where another was faster."""
        if audit.kind in KINDS:
            changes = (*changes, Add(notice_of(audit)))
        try:
            outcome = await self._store.record(Unit(changes=changes, audit=audit))
        finally:
            self.invalidate(issuer_id)
        return not isinstance(outcome, Lost)

    async def _make_next(
        self, issuer_id: str, algorithm: Algorithm, now: datetime, promised: Promise
    ) -> SigningKey:
        signs_from = schedule.next_key_signs_from(now, promised.jwks_cache)
        return await self._make(issuer_id, algorithm, now, signs_from=signs_from)

    async def _make(
        self,
        issuer_id: str,
        algorithm: Algorithm,
        now: datetime,
        *,
        signs_from: datetime,
        active_at: datetime | None = None,
    ) -> SigningKey:
        certificate = partial(certify, name=issuer_id, now=now, dice=self._dice)
        made = await asyncio.to_thread(
            self._custody.make, algorithm, issuer_id, certificate if issuer_id in self._certified else None
        )
        key = SigningKey(
            id=KeyId(made.public_jwk["kid"]),
            issuer_id=issuer_id,
            algorithm=algorithm,
            public_jwk=made.public_jwk,
            sealed_private=b"",
            published_at=now,
            signs_from=signs_from,
            active_at=active_at,
            certificate=made.certificate,
        )
        sealed = self._sealer.seal(*place_of(key), made.private)
        return msgspec.structs.replace(key, sealed_private=sealed)

    def _seat(self, issuer: _Issuer, algorithm: Algorithm, now: datetime) -> Signer:
        turn = schedule.turn_at(issuer.ring(algorithm), now)
        if turn is None:
            raise Unavailable(Reason.KEY_UNAVAILABLE)
        key = turn.key
        try:
            private = open_value(key, self._sealer)
            signer = self._custody.load(key.id, algorithm, private, key.public_jwk.get("x5t"))
        except (Fault, ValueError) as error:
            # Another master key, or an altered row: nobody can sign until an operator has mended it (HT-09).
            if key.id not in self._told:  # once: callers must not be able to fill the log
                self._told.add(key.id)
                log.error("the signing key %s of %s does not open: %s", key.id, key.issuer_id, error)  # noqa: TRY400
            raise Unavailable(Reason.KEY_UNAVAILABLE) from error
        issuer.seats[algorithm] = _Seat(signer, turn.starts_at, turn.ends_at, self._due_at(turn))
        return signer

    def _due_at(self, turn: schedule.Turn) -> datetime:
        """Tell from when on a use of the ring calls for its turning.

        A little late, so that the node that turns it agrees although its clock is behind ours.
        """
        if self._rotate_after is None:
            return schedule.FOREVER
        return turn.starts_at + self._rotate_after + schedule.CLOCK_SKEW

    async def _read_cached(self, issuer_id: str) -> _Issuer:
        issuer = self._issuers.get(issuer_id)
        if issuer is not None:
            return issuer
        async with self._lock(issuer_id):  # one read for all who wait, however many
            return self._issuers.get(issuer_id) or await self._read(issuer_id)

    async def _read(self, issuer_id: str) -> _Issuer:
        before = self._invalidations
        issuer = _Issuer(tuple(await self._store.signing_keys(issuer_id)))
        if before == self._invalidations:  # otherwise the rows may be older than what made us forget them
            self._issuers[issuer_id] = issuer
            self._issuers.move_to_end(issuer_id)
            if len(self._issuers) > self._limit:
                self._issuers.popitem(last=False)
        return issuer

    def _lock(self, issuer_id: str) -> asyncio.Lock:
        lock = self._locks.get(issuer_id)
        if lock is None:
            lock = self._locks[issuer_id] = asyncio.Lock()
        return lock
