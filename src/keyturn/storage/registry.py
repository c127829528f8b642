"""Who exists, from memory: the reader that every request passes, so a hit costs two dictionary lookups.

What the feed names is forgotten. A read that was on its way when its key was touched is given to those who
asked before, but not kept. Organisations that do not exist are kept too, in a small table, so that guessing
costs the store little; owners that do not are never (TE-09). Whatever else an owner is found by leads to the
id only: whether it still is theirs, the view of that id says. All of it happens on the event loop; the
writer's thread only reads ``versions``.
"""

import asyncio
from asyncio import Task
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Sequence
from datetime import date
from functools import partial
from typing import Any, TypeVar

import msgspec

from keyturn.core.admin_records import AdminToken
from keyturn.core.records import Credential, Entity, Organisation, RefreshFamily, User
from keyturn.core.views import ClientView, EntityView, Held, UserView
from keyturn.core.vocabulary import ClientId, CredentialId, EntityId, FamilyId, OrganisationId, UserId
from keyturn.storage.bounded import Lru
from keyturn.storage.families import Families
from keyturn.storage.feed import EVERYTHING, Confirmation
from keyturn.storage.reads import Reads
from keyturn.storage.topics import ADMIN_TOKEN, LAST_USE
from keyturn.storage.views import OWNERS, View, Views

CLIENT_LIMIT = 50_000
"""Clients kept in memory, and as many users, entities and organisations."""
ALIASES_EACH = 4
"""Further names kept for each of those."""
ADMIN_TOKENS_LIMIT = 1024
"""Admin tokens kept in memory."""
ABSENT_LIMIT = 4096
"""Names of organisations that do not exist kept in memory."""
ABSENT_LENGTH = 100
"""Characters of such a name; no organisation has a longer one, and kilobytes of them would add up."""

T = TypeVar("T")
V = TypeVar("V", UserView, EntityView)
_Key = tuple[Hashable, ...]


class _Flight:
    """One read on its way, for everybody who asks meanwhile."""

    __slots__ = ("stale", "task")

    def __init__(self, task: Task[Any]) -> None:
        self.task = task
        self.stale = False


class CachedRegistry:
    """A bounded memory of who exists that follows the change feed (``Registry``).

    Every ``find`` raises ``Unavailable`` when memory does not know and the store cannot be read.

    Args:
        reads: Answers what memory does not know.
        feed: Names what to forget.
        limit: How many clients, users, entities and organisations to keep, each.
    """

    def __init__(self, reads: Reads, feed: Confirmation, limit: int = CLIENT_LIMIT) -> None:
        self._reads = reads
        self._views = Views(limit)
        self.remembered_client = self._views.clients.get
        """Gives a client that costs no read; an unknown one always costs one (TE-09)."""
        self._aliases: Lru[_Key, Any] = Lru(ALIASES_EACH * limit)
        self._admin_tokens: Lru[bytes, AdminToken] = Lru(ADMIN_TOKENS_LIMIT)
        self._absent: Lru[_Key, bool] = Lru(ABSENT_LIMIT)
        self._flights: dict[_Key, _Flight] = {}
        self.families = Families()
        self.versions = self._views.versions
        self.require_fresh = feed.require_fresh
        """Confirms that what memory holds was current within the last second; raises ``Unavailable``."""
        feed.on_change(self._touched)

    # --- by id ---

    async def find_client(self, client_id: ClientId) -> ClientView | None:
        """Find a client by its id anywhere in the deployment, ended ones included."""
        view = self.remembered_client(client_id)
        if view is not None:
            return view
        return await self._share(("client", client_id), self._reads.client_view(client_id), self._keep)

    async def find_user(self, user_id: UserId) -> UserView | None:
        """Find a user by id anywhere in the deployment, ended ones included."""
        view = self._views.users.get(user_id)
        if view is not None:
            return view
        return await self._share(("user", user_id), self._reads.people.user_view(user_id), self._keep)

    async def find_entity(self, entity_id: EntityId) -> EntityView | None:
        """Find an entity by its id anywhere in the deployment, ended ones included."""
        view = self._views.entities.get(entity_id)
        if view is not None:
            return view
        return await self._share(("entity", entity_id), self._reads.people.entity_view(entity_id), self._keep)

    async def find_family(self, family_id: FamilyId) -> RefreshFamily | None:
        """Find a refresh family by its id, ended or not; never from memory, since each use changes it."""
        return await self._reads.family(family_id)

    def recall_family(self, current_hash: bytes) -> RefreshFamily | None:
        """Give the family that had this current token when this process last wrote it.

        That is enough to rotate it: the rotation loses if another process was first, and then memory has
        forgotten it.
        """
        return self.families.current(current_hash)

    # --- by another name ---

    async def find_organisation(self, slug: str) -> Organisation | None:
        """Find an organisation by its slug, ended ones included."""
        return await self._organisation_called(("slug", slug), self._reads.organisation_by_slug)

    async def find_organisation_alias(self, alias: str) -> Organisation | None:
        """Find an organisation by its id or its API key, ended ones included."""
        return await self._organisation_called(("alias", alias), self._reads.people.organisation_by_alias)

    async def find_user_at_home(self, organisation_id: OrganisationId, name: str) -> UserView | None:
        """Find a user among those at home in an organisation, by canonical name, ended ones included."""

        def named(view: UserView) -> bool:
            return (view.user.organisation_id, view.user.name) == (organisation_id, name)

        read = partial(self._reads.people.user_by_name, organisation_id, name)
        return await self._called(("name", organisation_id, name), read, self.find_user, named)

    async def find_user_by_email(self, email: str) -> UserView | None:
        """Find a user by canonical e-mail address anywhere in the deployment, ended ones included."""

        def addressed(view: UserView) -> bool:
            return view.user.email == email

        read = partial(self._reads.people.user_by_email, email)
        return await self._called(("email", email), read, self.find_user, addressed)

    async def find_entity_by_subject(self, subject: str) -> EntityView | None:
        """Find an entity by the ``sub`` of its tokens, ended ones included."""

        def named(view: EntityView) -> bool:
            return view.entity.subject == subject

        read = partial(self._reads.people.entity_by_subject, subject)
        return await self._called(("subject", subject), read, self.find_entity, named)

    async def find_held(self, lookup_hashes: Sequence[bytes]) -> Held | None:
        """Find the credential that a secret is, by its digest under each pepper, with its owner's view."""
        for digest in lookup_hashes:
            known = self._aliases.get(("held", digest))
            held = None if known is None else await self._held(digest, *known)
            if held is not None:
                return held
        read = self._reads.credential_by_hash(lookup_hashes)
        found: Credential | None = await self._share(("held", *lookup_hashes), read, _drop)
        if found is None:
            return None
        digest = found.lookup_hash
        for table in ("user", "client"):
            held = await self._held(digest, table, found.owner_id, found.id)
            if held is not None:
                self._aliases.put(("held", digest), (table, found.owner_id, found.id))
                return held
        return None

    async def find_admin_token(self, lookup_hashes: Sequence[bytes]) -> AdminToken | None:
        """Find the admin token that a secret is, by its digest under each pepper, ended ones included."""
        for digest in lookup_hashes:
            known = self._admin_tokens.get(digest)
            if known is not None:
                return known
        read = self._reads.admin.token_by_hash(lookup_hashes)
        return await self._share((ADMIN_TOKEN, *lookup_hashes), read, self._keep_admin_token)

    async def _held(self, digest: bytes, table: str, owner_id: str, held_id: CredentialId) -> Held | None:
        """Find a credential in its owner's view, if it still is there and still has this digest."""
        if table == "user":
            owner: UserView | ClientView | None = await self.find_user(UserId(owner_id))
        else:
            owner = await self.find_client(ClientId(owner_id))
        if owner is None:
            return None
        fitting = (each for each in owner.credentials if (each.id, each.lookup_hash) == (held_id, digest))
        return next((Held(each, owner) for each in fitting), None)

    async def _called(
        self,
        alias: _Key,
        read: Callable[[], Coroutine[Any, Any, User | Entity | None]],
        find: Callable[[Any], Awaitable[V | None]],
        fits: Callable[[V], bool],
    ) -> V | None:
        """Find an owner by another name: what the name led to last, or else what the store says."""
        known = self._aliases.get(alias)
        view = None if known is None else await find(known)
        if view is not None and fits(view):
            return view
        named = await self._share(alias, read(), _drop)
        if named is None:
            return None
        self._aliases.put(alias, named.id)
        view = await find(named.id)
        return view if view is not None and fits(view) else None

    async def _organisation_called(
        self, alias: tuple[str, str], read: Callable[[str], Coroutine[Any, Any, Organisation | None]]
    ) -> Organisation | None:
        """Find an organisation by a name; an organisation never changes its names."""
        known = self._aliases.get(alias)
        organisation = None if known is None else self._views.organisations.get(known)
        if organisation is not None or self._absent.get(alias):
            return organisation
        return await self._share(alias, read(alias[1]), partial(self._keep_organisation, alias))

    # --- misses ---

    async def _share(self, key: _Key, read: Coroutine[Any, Any, T], keep: Callable[[Any], None]) -> T:
        """Join the read of a key that is on its way, or start it."""
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.create_task(read))
            flight.task.add_done_callback(partial(self._landed, key, flight, keep))
        else:
            read.close()
        # Shielded: one caller that leaves must not take the answer from the others.
        result: T = await asyncio.shield(flight.task)
        return result

    def _landed(self, key: _Key, flight: _Flight, keep: Callable[[Any], None], task: Task[Any]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if not task.cancelled() and task.exception() is None and not flight.stale:
            keep(task.result())

    def _keep(self, view: View | None) -> None:
        """Keep a view; an unknown owner costs a read each time, like a wrong secret (TE-09)."""
        if view is not None:
            self._views.keep(view)

    def _keep_admin_token(self, token: AdminToken | None) -> None:
        if token is not None:
            self._admin_tokens.put(token.lookup_hash, token)

    def _keep_organisation(self, alias: tuple[str, str], organisation: Organisation | None) -> None:
        if organisation is None:
            if len(alias[1]) <= ABSENT_LENGTH:
                self._absent.put(alias, True)
            return
        self._aliases.put(alias, organisation.id)
        self._views.keep(organisation)

    # --- forgetting ---

    def _touched(self, topic: str, key: str) -> None:
        """Forget what a change touched; ``topics.topics_of`` says what the keys are."""
        if topic == EVERYTHING:
            self._views.clear()
            self._aliases.clear()
            self._absent.clear()
            self._admin_tokens.clear()
            self.families.clear()
            self._ground_flights()
        elif topic == ADMIN_TOKEN:
            # They are few and change seldom: all are forgotten, and all that is on its way.
            self._admin_tokens.clear()
            self._ground_flights()
        elif topic == "organisation":
            self._views.forget_organisation(key)
            # What does not exist, or is on its way, may be of this organisation; it changes seldom.
            self._absent.clear()
            self._ground_flights()
        elif topic in OWNERS:
            self._forget(topic, key)
        elif topic == "membership":
            self._forget("user", key)
        elif topic == "credential":
            for table in OWNERS:
                self._forget(table, key)
        elif topic == LAST_USE:
            self._note_use(*key.split("|"))

    def _forget(self, table: str, key: str) -> None:
        self._views.forget(table, key)
        # A name that is on its way may be the one that this change gave or took.
        for flying in [each for each in self._flights if each == (table, key) or each[0] not in OWNERS]:
            self._flights.pop(flying).stale = True

    def _note_use(self, owner_id: str, credential_id: str, day: str) -> None:
        """Take over a day of use without a read: at midnight every client would have to be read again."""
        for table in OWNERS:
            flight = self._flights.pop((table, owner_id), None)
            if flight is not None:
                flight.stale = True
        used = date.fromisoformat(day)
        for view in self._views.owned(owner_id):
            credentials = tuple(
                msgspec.structs.replace(each, last_used_on=used)
                if each.id == credential_id and (each.last_used_on is None or each.last_used_on < used)
                else each
                for each in view.credentials
            )
            self._views.retouch(msgspec.structs.replace(view, credentials=credentials))

    def _ground_flights(self) -> None:
        for flight in self._flights.values():
            flight.stale = True
        self._flights.clear()


def _drop(_: object) -> None:
    """Keep nothing of a read that only leads to an owner."""
