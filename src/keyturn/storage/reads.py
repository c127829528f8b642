"""What the stores read: one list of questions, and how SQL answers them.

``stores`` narrows and dresses the answers; the in-memory store answers the same questions from dictionaries.
"""

import asyncio
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Protocol, TypeVar, cast

from sqlalchemy import BigInteger, Connection, Engine, QueuePool, bindparam, or_, select, type_coerce
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from keyturn.core.changes import Imported, Record
from keyturn.core.errors import Unavailable
from keyturn.core.records import (
    AuditRow,
    Client,
    Credential,
    Organisation,
    RefreshFamily,
    Sealed,
    SigningKey,
)
from keyturn.core.store_ports import Leftover
from keyturn.core.views import ClientView
from keyturn.core.vocabulary import (
    CLIENT_KINDS,
    ClientId,
    CredentialId,
    CredentialKind,
    FamilyId,
    OrganisationId,
    Reason,
)
from keyturn.storage import migrate, rows
from keyturn.storage.admin_reads import AdminReads, SqlAdmin
from keyturn.storage.causes import Complaints
from keyturn.storage.families import find_family
from keyturn.storage.ground import Ground, Reading
from keyturn.storage.people_reads import PeopleReads, SqlPeople
from keyturn.storage.schema import (
    AUDIT,
    AUDIT_CHAIN,
    CLIENT,
    CREDENTIAL,
    ORGANISATION,
    REVOCATION,
    SEALED,
    SIGNING_KEY,
)

VIEWED_KINDS = (*CLIENT_KINDS, CredentialKind.API_TOKEN)
"""What a view of a client holds."""

# Built once, for a request waits for them.
_CALLED = select(ORGANISATION).where(ORGANISATION.c.slug == bindparam("slug"))
_SHOWN = select(CREDENTIAL).where(CREDENTIAL.c.lookup_hash.in_(bindparam("hashes", expanding=True))).limit(1)
_RING = (
    select(SIGNING_KEY)
    .where(
        SIGNING_KEY.c.issuer_id == bindparam("issuer_id"),
        or_(SIGNING_KEY.c.retires_at.is_(None), SIGNING_KEY.c.retires_at > bindparam("now")),
    )
    .order_by(SIGNING_KEY.c.published_at, SIGNING_KEY.c.id)
)

T = TypeVar("T")


class Reads(Protocol):
    """Every question the stores ask; all may raise ``Unavailable``."""

    @property
    def people(self) -> PeopleReads:
        """The questions about people and what they are in."""
        ...

    @property
    def admin(self) -> AdminReads:
        """The questions about the admin API."""
        ...

    async def organisation(self, organisation_id: OrganisationId) -> Organisation | None:
        """Read an organisation by its id."""
        ...

    async def organisation_by_slug(self, slug: str) -> Organisation | None:
        """Read an organisation by its slug."""
        ...

    async def organisations(self) -> Sequence[Organisation]:
        """Read all organisations, oldest first."""
        ...

    async def client(self, client_id: ClientId) -> Client | None:
        """Read a client by its id."""
        ...

    async def clients(self, organisation_id: OrganisationId) -> Sequence[Client]:
        """Read an organisation's clients, oldest first."""
        ...

    async def client_view(self, client_id: ClientId) -> ClientView | None:
        """Read a client, its organisation and what it proves itself with, as they were at one moment."""
        ...

    async def credential(self, credential_id: CredentialId) -> Credential | None:
        """Read a credential by its id."""
        ...

    async def credentials_of(
        self, organisation_id: OrganisationId, owner_id: str, kind: CredentialKind
    ) -> Sequence[Credential]:
        """Read an owner's credentials of a kind, oldest first."""
        ...

    async def credential_by_hash(self, lookup_hashes: Sequence[bytes]) -> Credential | None:
        """Find a credential by one of its secret's digests."""
        ...

    async def taken_by(self, records: Sequence[Imported]) -> Record | None:
        """Find who already has the id or another unique name of one of many records."""
        ...

    async def leftovers(self, organisation_id: OrganisationId, limit: int) -> Sequence[Leftover]:
        """Read what is left to erase of an organisation."""
        ...

    async def leftover_counts(self, organisation_id: OrganisationId) -> Mapping[str, int]:
        """Count what is left to erase of an organisation, by ``LEFTOVER_NAMES``."""
        ...

    async def family(self, family_id: FamilyId) -> RefreshFamily | None:
        """Read a refresh family by its id."""
        ...

    async def revocations(self, after: str, limit: int) -> Sequence[tuple[str, int]]:
        """Read what is revoked, in the order of ids: each id, and the microseconds of its expiry.

        A million of them takes longer than anybody waits for one answer, so they come page by page.
        """
        ...

    async def signing_keys(self, issuer_id: str, now: datetime) -> Sequence[SigningKey]:
        """Read an issuer's keys that are not retired at ``now``, oldest first."""
        ...

    async def sealed(self, purpose: str) -> Sequence[Sealed]:
        """Read the sealed values of a purpose, oldest first."""
        ...

    async def sealed_at(self, places: Sequence[tuple[str, str]]) -> Sequence[Sealed]:
        """Read the sealed values at some places: (purpose, name)."""
        ...

    async def audit_rows(self, chain: str | None, after: int, limit: int) -> Sequence[AuditRow]:
        """Read a chain's rows after a ``seq``, or the newest of all, oldest first."""
        ...

    async def audit_chains(self) -> Sequence[str]:
        """Name every chain, oldest first."""
        ...


class SqlReads:
    """Answers from SQL on a few threads of its own, each answer from one snapshot (``Reads``).

    Args:
        ground: Tells how to read, and with how many threads.
        engine: Whose connections cannot write.
        loop: Where the asker waits.
        patience_seconds: How long it waits.
    """

    def __init__(
        self, ground: Ground, engine: Engine, loop: AbstractEventLoop, patience_seconds: float
    ) -> None:
        self._ground = ground
        self._engine = engine
        self._loop = loop
        self._patience = patience_seconds
        self._complaints = Complaints(ground.name)
        self._pool = ThreadPoolExecutor(ground.readers, thread_name_prefix="keyturn-reader")
        self.people = SqlPeople(self._ask)
        self.admin = SqlAdmin(self._ask)

    def close(self) -> None:
        """Stop the threads after what they are reading; not to be called on the event loop."""
        self._pool.shutdown(cancel_futures=True)
        self._engine.dispose()

    def stats(self) -> dict[str, float]:
        """Tell how many connections there are, how many are busy, and how many questions wait for one."""
        pool = cast("QueuePool", self._engine.pool)
        busy = pool.checkedout()
        return {
            "reader_connections": busy + pool.checkedin(),
            "reader_connections_busy": busy,
            "reads_waiting": self._pool._work_queue.qsize(),  # noqa: SLF001  # told nowhere else
        }

    async def organisation(self, organisation_id: OrganisationId) -> Organisation | None:
        """Read an organisation by its id."""
        return await self._ask(lambda c: rows.SqlShelf(c).find(Organisation, organisation_id))

    async def organisation_by_slug(self, slug: str) -> Organisation | None:
        """Read an organisation by its slug."""
        named = {"slug": slug}
        return await self._ask(lambda c: next(iter(rows.records(c, Organisation, _CALLED, named)), None))

    async def organisations(self) -> Sequence[Organisation]:
        """Read all organisations, oldest first."""
        query = select(ORGANISATION).order_by(ORGANISATION.c.created_at, ORGANISATION.c.id)
        return await self._ask(lambda c: rows.records(c, Organisation, query))

    async def client(self, client_id: ClientId) -> Client | None:
        """Read a client by its id."""
        return await self._ask(lambda c: rows.SqlShelf(c).find(Client, client_id))

    async def clients(self, organisation_id: OrganisationId) -> Sequence[Client]:
        """Read an organisation's clients, oldest first."""
        query = select(CLIENT).where(CLIENT.c.organisation_id == organisation_id)
        query = query.order_by(CLIENT.c.created_at, CLIENT.c.id)
        return await self._ask(lambda c: rows.records(c, Client, query))

    async def client_view(self, client_id: ClientId) -> ClientView | None:
        """Read a client, its organisation and what it proves itself with, as they were at one moment."""

        def view(connection: Connection) -> ClientView | None:
            shelf = rows.SqlShelf(connection)
            client = shelf.find(Client, client_id)
            organisation = None if client is None else shelf.find(Organisation, client.organisation_id)
            if client is None or organisation is None:
                return None
            held = _credentials(connection, client.organisation_id, client.id, *VIEWED_KINDS)
            return ClientView(organisation, client, tuple(held))

        return await self._ask(view)

    async def credential(self, credential_id: CredentialId) -> Credential | None:
        """Read a credential by its id."""
        return await self._ask(lambda c: rows.SqlShelf(c).find(Credential, credential_id))

    async def credentials_of(
        self, organisation_id: OrganisationId, owner_id: str, kind: CredentialKind
    ) -> Sequence[Credential]:
        """Read an owner's credentials of a kind, oldest first."""
        return await self._ask(lambda c: _credentials(c, organisation_id, owner_id, kind))

    async def credential_by_hash(self, lookup_hashes: Sequence[bytes]) -> Credential | None:
        """Find a credential by one of its secret's digests."""
        shown = {"hashes": list(lookup_hashes)}
        return await self._ask(lambda c: next(iter(rows.records(c, Credential, _SHOWN, shown)), None))

    async def taken_by(self, records: Sequence[Imported]) -> Record | None:
        """Find who already has the id or another unique name of one of many records."""
        return await self._ask(lambda c: rows.SqlShelf(c).holder_among(records))

    async def leftovers(self, organisation_id: OrganisationId, limit: int) -> Sequence[Leftover]:
        """Read what is left to erase of an organisation."""
        return await self._ask(lambda c: rows.leftovers(c, organisation_id, limit))

    async def leftover_counts(self, organisation_id: OrganisationId) -> Mapping[str, int]:
        """Count what is left to erase of an organisation, by ``LEFTOVER_NAMES``."""
        return await self._ask(lambda c: rows.leftover_counts(c, organisation_id))

    async def family(self, family_id: FamilyId) -> RefreshFamily | None:
        """Read a refresh family by its id."""
        return await self._ask(lambda c: find_family(self._ground, c, family_id), bare=True)

    async def revocations(self, after: str, limit: int) -> Sequence[tuple[str, int]]:
        """Read what is revoked, in the order of ids: each id, and the microseconds of its expiry."""
        columns = REVOCATION.c
        query = select(columns.id, type_coerce(columns.expires_at, BigInteger))
        query = query.where(columns.id > after).order_by(columns.id).limit(limit)
        return await self._ask(lambda c: [(name, until) for name, until in c.execute(query)])

    async def signing_keys(self, issuer_id: str, now: datetime) -> Sequence[SigningKey]:
        """Read an issuer's keys that are not retired at ``now``, oldest first."""
        asked = {"issuer_id": issuer_id, "now": now}
        return await self._ask(lambda c: rows.records(c, SigningKey, _RING, asked))

    async def sealed(self, purpose: str) -> Sequence[Sealed]:
        """Read the sealed values of a purpose, oldest first."""
        query = select(SEALED).where(SEALED.c.purpose == purpose).order_by(SEALED.c.created_at, SEALED.c.id)
        return await self._ask(lambda c: rows.records(c, Sealed, query))

    async def sealed_at(self, places: Sequence[tuple[str, str]]) -> Sequence[Sealed]:
        """Read the sealed values at some places: (purpose, name)."""

        def find(connection: Connection) -> Sequence[Sealed]:
            shelf = rows.SqlShelf(connection)
            found = (shelf.find_sealed(purpose, name) for purpose, name in places)
            return [sealed for sealed in found if sealed is not None]

        return await self._ask(find)

    async def audit_rows(self, chain: str | None, after: int, limit: int) -> Sequence[AuditRow]:
        """Read a chain's rows after a ``seq``, or the newest of all, oldest first."""
        if chain is None:
            newest = rows.AUDIT_ROWS.order_by(AUDIT.c.id.desc()).limit(limit)
            return await self._ask(lambda c: rows.audit_rows(c, newest)[::-1])
        query = rows.AUDIT_ROWS.where(AUDIT_CHAIN.c.chain == chain, AUDIT.c.seq > after)
        query = query.order_by(AUDIT.c.seq).limit(limit)
        return await self._ask(lambda c: rows.audit_rows(c, query))

    async def audit_chains(self) -> Sequence[str]:
        """Name every chain, oldest first."""
        query = select(AUDIT_CHAIN.c.chain).order_by(AUDIT_CHAIN.c.id)
        return await self._ask(lambda c: c.execute(query).scalars().all())

    async def tables_are_current(self) -> bool:
        """Tell whether the tables are at least as new as this program."""
        return await self._ask(migrate.is_current)

    async def ask(self, question: Callable[[Connection], T]) -> T:
        """Answer a question of another file of this room; raises like every read."""
        return await self._ask(question)

    async def _ask(self, question: Callable[[Connection], T], *, bare: bool = False) -> T:
        """Answer on a reader's thread.

        Args:
            bare: Without a transaction: the question is one statement, or brings its own.

        Raises:
            Unavailable: The store cannot be read, or not in time (Reason.STORE_UNAVAILABLE).
        """
        try:
            answer = self._loop.run_in_executor(self._pool, self._answer, question, bare)
            return await self._in_time(answer)
        except (SQLAlchemyError, TimeoutError, RuntimeError) as error:  # RuntimeError: the pool is shut down
            self._complaints.about(error)
            raise Unavailable(Reason.STORE_UNAVAILABLE) from error

    async def _in_time(self, answer: Future[T]) -> T:
        """Wait for an answer; raises ``TimeoutError`` where it does not come."""
        try:
            # Not ``asyncio.timeout``: a question that is begun at once is in no task yet (``web/cycle.py``).
            done, _ = await asyncio.wait({answer}, timeout=self._patience)
            if not done:
                raise TimeoutError
            return answer.result()
        finally:
            answer.cancel()  # who does not wait any more need not be answered

    def _answer(self, question: Callable[[Connection], T], bare: bool) -> T:  # noqa: FBT001  # the executor's
        try:
            return self._answer_once(question, bare=bare)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            # The store was restarted since the connection was used: reading again, on a new one, is harmless.
            return self._answer_once(question, bare=bare)

    def _answer_once(self, question: Callable[[Connection], T], *, bare: bool) -> T:
        with self._engine.connect() as connection:
            if bare:
                return question(connection)
            with Reading(self._ground, connection):
                return question(connection)


def _credentials(
    connection: Connection, organisation_id: OrganisationId, owner_id: str, *kinds: CredentialKind
) -> Sequence[Credential]:
    held = rows.held_by(connection, owner_id)
    return [each for each in held if each.kind in kinds and each.organisation_id == organisation_id]
