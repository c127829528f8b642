"""The doors to the edges: what exchange, directory and upkeep ask of storage, keys and limits.

Swapping an edge is one module that satisfies a Protocol here, one test file that inherits that port's
contract, one name in ``app.py``. Reads return facts or None and never refuse; a business outcome of a write
is a returned value. Whatever cannot be reached raises ``Unavailable``.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from keyturn.core.admin_records import AdminToken
from keyturn.core.changes import Outcome, Unit
from keyturn.core.limits import Rate, Taken
from keyturn.core.lockout import LockoutTicket
from keyturn.core.records import (
    Organisation,
    RefreshFamily,
)
from keyturn.core.secret import Secret
from keyturn.core.views import ClientView, EntityView, Held, UserView
from keyturn.core.vocabulary import (
    Algorithm,
    ClientId,
    EntityId,
    FamilyId,
    OrganisationId,
    UserId,
)


class Registry(Protocol):
    """Who exists, from memory where that is fresh: the reader that crosses organisations, for locate."""

    async def find_client(self, client_id: ClientId) -> ClientView | None:
        """Find a client by its id anywhere in the deployment, ended ones included."""
        ...

    def remembered_client(self, client_id: ClientId) -> ClientView | None:
        """Give a client that is found now for less than none is: memory has it; None for any other."""
        ...

    async def find_organisation(self, slug: str) -> Organisation | None:
        """Find an organisation by its slug, ended ones included."""
        ...

    async def find_organisation_alias(self, alias: str) -> Organisation | None:
        """Find an organisation by its id or its API key, ended ones included."""
        ...

    async def find_user(self, user_id: UserId) -> UserView | None:
        """Find a user by id anywhere in the deployment, ended ones included."""
        ...

    async def find_user_at_home(self, organisation_id: OrganisationId, name: str) -> UserView | None:
        """Find a user among those at home in an organisation, by canonical name, ended ones included."""
        ...

    async def find_user_by_email(self, email: str) -> UserView | None:
        """Find a user by canonical e-mail address anywhere in the deployment, ended ones included."""
        ...

    async def find_entity(self, entity_id: EntityId) -> EntityView | None:
        """Find an entity by its id anywhere in the deployment, ended ones included."""
        ...

    async def find_entity_by_subject(self, subject: str) -> EntityView | None:
        """Find an entity by the ``sub`` of its tokens, ended ones included."""
        ...

    async def find_held(self, lookup_hashes: Sequence[bytes]) -> Held | None:
        """Find the credential that a secret is, by its digest under each pepper, with its owner's view."""
        ...

    async def find_admin_token(self, lookup_hashes: Sequence[bytes]) -> AdminToken | None:
        """Find the admin token that a secret is, by its digest under each pepper, ended ones included."""
        ...

    async def find_family(self, family_id: FamilyId) -> RefreshFamily | None:
        """Find a refresh family by its id anywhere in the deployment, ended ones included; never cached."""
        ...

    def recall_family(self, current_hash: bytes) -> RefreshFamily | None:
        """Give the family whose current token had this digest when this process last wrote it, if it knows.

        Another process may have changed it since: only for what is recorded with a change that loses then.
        """
        ...

    def require_fresh(self) -> None:
        """Confirm that what memory holds was current within the last second.

        Raises:
            Unavailable: The store's version could not be confirmed (Reason.CACHE_STALE).
        """
        ...


class Revocations(Protocol):
    """What was revoked before its time, in memory in every process behind the change feed."""

    def covers(self, token_id: str, family_id: str | None) -> bool:
        """Tell whether a token, or the refresh family it came from, was revoked.

        Raises:
            Unavailable: Memory is being read again (Reason.CACHE_STALE).
        """
        ...

    def forget_expired(self, now: datetime) -> None:
        """Drop what no living token can need any more, a day after that."""
        ...


class Recorder(Protocol):
    """The last step of every road: save and audit in one transaction, answer after the fsync."""

    def record(self, unit: Unit) -> Awaitable[Outcome]:
        """Commit a unit's changes and its audit event together, or report what it lost to.

        Raises:
            Unavailable: It could not be committed; nothing of it was.
        """
        ...


Elsewhere = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs work that may wait away from the event loop, and gives what comes of it."""


class Signer(Protocol):
    """One key that signs now; ``x5t`` names its certificate, where it has one (RFC 7515 section 4.1.7).

    ``elsewhere`` is None where a signature takes microseconds and is made at once. Otherwise it runs what
    signs on a thread where that may wait, and raises Unavailable where it waits too long.
    """

    key_id: str
    x5t: str | None
    algorithm: Algorithm

    @property
    def elsewhere(self) -> Elsewhere | None:
        """Give what runs a signature where it may wait."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Sign the JWS signing input (RFC 7515 section 5.1); raw R||S for ECDSA."""
        ...


class KeyRings(Protocol):
    """Every issuer's keys: who signs now, and what is published."""

    async def signer(self, issuer_id: str, algorithm: Algorithm, now: datetime) -> Signer:
        """Give the key that signs at ``now``, making the ring at first need.

        Raises:
            Unavailable: No published key may sign (Reason.KEY_UNAVAILABLE).
        """
        ...

    async def published(self, issuer_id: str, now: datetime) -> Sequence[dict[str, str]]:
        """Give every public JWK of a ring that a token may still need, next keys included."""
        ...


class Digester(Protocol):
    """Turns a presented secret into what the store holds, under each pepper there is."""

    def lookup_hash(self, secret_sha256: bytes, pepper_id: str) -> bytes:
        """Give HMAC-SHA256 under a pepper; under a decoy pepper where the id is unknown."""
        ...

    def lookup_hashes(self, secret_sha256: bytes) -> Sequence[bytes]:
        """Give the digest under every pepper there is, to find a secret that does not say whose it is."""
        ...

    def tag(self, message: bytes, pepper_id: str | None = None) -> bytes:
        """Digest a message under a pepper, the current one by default, apart from every look-up hash."""
        ...

    def tags(self, message: bytes) -> Mapping[str, bytes]:
        """Give the digest under every pepper there is, by the pepper's id.

        Whoever has a pepper makes such tags: one under a pepper from elsewhere proves nothing by itself.
        """
        ...

    @property
    def current_pepper_id(self) -> str:
        """Name the pepper under which new secrets are kept."""
        ...


class Sealer(Protocol):
    """Seals small values under the master key, bound to their place by ``purpose`` and ``name``."""

    def seal(self, purpose: str, name: str, clear: bytes) -> bytes:
        """Encrypt and authenticate a value for one place."""
        ...

    def open(self, purpose: str, name: str, sealed: bytes) -> bytes:
        """Decrypt a value.

        Raises:
            Fault: It was sealed for another place, under another key, or altered.
        """
        ...


class MasterKeyring(Sealer, Protocol):
    """A sealer that knows several master keys by their ids: while one takes over from another."""

    @property
    def held(self) -> tuple[str, ...]:
        """Name the keys that it opens with, in the order in which they were given."""
        ...

    @property
    def current(self) -> str:
        """Name the key that it seals under."""
        ...

    def key_in(self, text: str) -> str | None:
        """Give the id of the key that a text is, where it is one that this opens with."""
        ...

    def use(self, key_id: str) -> bool:
        """Seal under another of the keys that are held; False where it is not held."""
        ...

    def seal_under(self, key_id: str, purpose: str, name: str, clear: bytes) -> bytes:
        """Seal under one of the keys that are held, whichever is used now.

        Raises:
            Fault: It is not held.
        """
        ...


class Limits(Protocol):
    """Counters of requests; issue and question roads take a place before anything is checked."""

    @property
    def rates(self) -> Mapping[str, Rate]:
        """The rate of each kind of counter, the part of its name before the colon."""
        ...

    def take(self, keys: Sequence[str], now: float) -> Taken | Awaitable[Taken]:
        """Take one place in every counter, or none; answers at once where this process can.

        Args:
            keys: Names of counters: ``client:<id>``, ``user:<id>``, ``organisation:<id>``,
                ``address:<subscriber>``.
            now: Monotonic seconds.

        Raises:
            Unavailable: Only the store could say, and it cannot be reached (from the awaitable).
        """
        ...


class Lockout(Protocol):
    """Counts failures of passwords and passcodes in a row, over all routes and processes (PW-05).

    The one order in which it is used, for known and unknown names alike: ``admit``, then the check, then
    ``succeeded`` if it was right. A ticket that is dropped stays counted as a failure.
    """

    async def admit(self, name: str, device: str, now: datetime) -> LockoutTicket:
        """Count an attempt as failed, before it is checked.

        Args:
            name: The canonical name within its home, for example ``<organisation id>/<name>`` (PW-03).
            device: Whence: an address by ``addresses.subscriber``, or what marks a device.

        Raises:
            SlowDown: Nothing may be checked now (Reason.LOCKED_OUT).
            Unavailable: It could not be counted, so nothing may be checked.
        """
        ...

    async def succeeded(self, ticket: LockoutTicket, now: datetime) -> None:
        """Clear the count, and know the device from now on.

        Raises:
            Unavailable: It could not be recorded; the attempt stays counted.
        """
        ...

    async def clear(self, name: str) -> None:
        """Forget every failure of a name and its devices, for an operator.

        Raises:
            Unavailable: It could not be recorded.
        """
        ...


class Passwords(Protocol):
    """Slow hashing of what is guessed easily, on threads of its own: logins cannot starve tokens (PW-02)."""

    async def hash(self, password: Secret) -> str:
        """Hash a password as it shall be kept: argon2id in PHC form, over its NFC normalisation.

        Raises:
            Unavailable: Too many wait already (Reason.HASHING_BUSY).
        """
        ...

    async def check(self, password: Secret, verifier: str | None) -> bool:
        """Compare a password with a hash; with none, spend the same time and say no (PW-04).

        Raises:
            Unavailable: Too many wait already (Reason.HASHING_BUSY).
        """
        ...

    async def hash_exactly(self, secret: Secret) -> str:
        """Hash a machine's secret as it shall be kept that is too easily guessed for a fast hash.

        Raises:
            Unavailable: Too many wait already (Reason.HASHING_BUSY).
        """
        ...

    async def check_exactly(self, secret: Secret, verifier: str) -> bool:
        """Compare a machine's secret with a slow hash, ours or an imported one, octet for octet (TE-05).

        Raises:
            Unavailable: Too many wait already (Reason.HASHING_BUSY).
        """
        ...

    def is_outdated(self, verifier: str) -> bool:
        """Tell whether a hash was made under weaker settings than today's, or by another system."""
        ...
