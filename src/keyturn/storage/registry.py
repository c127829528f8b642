"""Who exists, from memory: the reader that every request passes, so a hit costs two dictionary lookups.

What the feed names is forgotten. A read that was on its way when its key was touched is given to those who
asked before, but not kept. Names that do not exist are kept too, in a small table, so that guessing costs the
store little. All of it happens on the event loop; the writer's thread only reads ``versions``.
"""

import asyncio
from asyncio import Task
from collections.abc import Coroutine, Hashable
from datetime import date
from functools import partial
from typing import Any, TypeVar

import msgspec

from keyturn.core.records import ClientView, Organisation, RefreshFamily
from keyturn.core.vocabulary import ClientId, FamilyId, OrganisationId
from keyturn.storage.bounded import Lru
from keyturn.storage.carry import LAST_USE
from keyturn.storage.feed import EVERYTHING, Confirmation
from keyturn.storage.reads import Reads

CLIENT_LIMIT = 50_000
"""Clients (and, apart, organisations by slug) kept in memory."""
ABSENT_LIMIT = 4096
"""Names that do not exist kept in memory."""

T = TypeVar("T")


class _Flight:
    """One read on its way, for everybody who asks meanwhile."""

    __slots__ = ("stale", "task")

    def __init__(self, task: Task[Any]) -> None:
        self.task = task
        self.stale = False


class CachedRegistry:
    """A bounded memory of clients and organisations that follows the change feed (``Registry``).

    Args:
        reads: Answers what memory does not know.
        feed: Names what to forget.
        limit: How many clients to keep, and how many organisations.
    """

    def __init__(self, reads: Reads, feed: Confirmation, limit: int = CLIENT_LIMIT) -> None:
        self._reads = reads
        self._feed = feed
        self._views: Lru[ClientId, ClientView] = Lru(limit, self._forgotten)
        self._by_slug: Lru[str, Organisation] = Lru(limit, self._unslugged)
        self._slugs: dict[str, str] = {}
        self._clients_of: dict[OrganisationId, set[ClientId]] = {}
        self._absent: Lru[Hashable, bool] = Lru(ABSENT_LIMIT)
        self._flights: dict[Hashable, _Flight] = {}
        self.versions: dict[tuple[str, str], int] = {}
        feed.on_change(self._touched)

    def require_fresh(self) -> None:
        """Confirm that what memory holds was current within the last second.

        Raises:
            Unavailable: It was not (Reason.CACHE_STALE).
        """
        self._feed.require_fresh()

    async def find_client(self, client_id: ClientId) -> ClientView | None:
        """Find a client by its id anywhere in the deployment, ended ones included.

        Raises:
            Unavailable: Memory does not know it and the store cannot be read.
        """
        view = self._views.get(client_id)
        if view is not None:
            return view
        return await self._share(
            ("client", client_id), self._reads.client_view(client_id), partial(self._keep_view, client_id)
        )

    def remembers(self, client_id: ClientId) -> bool:
        """Tell whether finding a client would cost no read; an unknown one always costs one (TE-09)."""
        return client_id in self._views

    async def find_organisation(self, slug: str) -> Organisation | None:
        """Find an organisation by its slug, ended ones included.

        Raises:
            Unavailable: Memory does not know it and the store cannot be read.
        """
        organisation = self._by_slug.get(slug)
        if organisation is not None or self._absent.get(("slug", slug)):
            return organisation
        return await self._share(
            ("slug", slug), self._reads.organisation_by_slug(slug), partial(self._keep_organisation, slug)
        )

    async def find_family(self, family_id: FamilyId) -> RefreshFamily | None:
        """Find a refresh family by its id, ended ones included; never from memory, since each use changes it.

        Raises:
            Unavailable: The store cannot be read.
        """
        return await self._reads.family(family_id)

    # --- misses ---

    async def _share(self, key: Hashable, read: Coroutine[Any, Any, T], keep: Any) -> T:
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

    def _landed(self, key: Hashable, flight: _Flight, keep: Any, task: Task[Any]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if not task.cancelled() and task.exception() is None and not flight.stale:
            keep(task.result())

    def _keep_view(self, client_id: ClientId, view: ClientView | None) -> None:
        if view is None:
            return  # never remembered: an unknown client costs a read each time, like a wrong secret (TE-09)
        self.versions[("organisation", view.organisation.id)] = view.organisation.version
        self.versions[("client", client_id)] = view.client.version
        for credential in view.credentials:
            self.versions[("credential", credential.id)] = credential.version
        self._clients_of.setdefault(view.organisation.id, set()).add(client_id)
        self._views.put(client_id, view)

    def _keep_organisation(self, slug: str, organisation: Organisation | None) -> None:
        if organisation is None:
            self._absent.put(("slug", slug), True)
            return
        self.versions[("organisation", organisation.id)] = organisation.version
        self._slugs[organisation.id] = slug
        self._by_slug.put(slug, organisation)

    # --- forgetting ---

    def _touched(self, topic: str, key: str) -> None:
        """Forget what a change touched; ``carry.topics_of`` says what the keys are."""
        if topic == EVERYTHING:
            self._forget_all()
        elif topic == "organisation":
            self._forget_organisation(OrganisationId(key))
        elif topic in {"client", "credential"}:
            self._forget_client(ClientId(key))
        elif topic == LAST_USE:
            self._note_use(*key.split("|"))

    def _note_use(self, owner_id: str, credential_id: str, day: str) -> None:
        """Take over a day of use without a read: at midnight every client would have to be read again."""
        client_id = ClientId(owner_id)
        flight = self._flights.pop(("client", client_id), None)
        if flight is not None:
            flight.stale = True
        view = self._views.get(client_id)
        if view is None:
            return
        used = date.fromisoformat(day)
        credentials = tuple(
            msgspec.structs.replace(each, last_used_on=used)
            if each.id == credential_id and (each.last_used_on is None or each.last_used_on < used)
            else each
            for each in view.credentials
        )
        self._views.put(client_id, ClientView(view.organisation, view.client, credentials))

    def _forget_all(self) -> None:
        self._views.clear()
        self._by_slug.clear()
        self._absent.clear()
        self._slugs.clear()
        self._clients_of.clear()
        self.versions.clear()
        self._ground_flights()

    def _forget_organisation(self, organisation_id: OrganisationId) -> None:
        for client_id in self._clients_of.pop(organisation_id, set()).copy():
            self._forget_client(client_id)
        slug = self._slugs.pop(organisation_id, None)
        if slug is not None:
            self._by_slug.pop(slug)
        self.versions.pop(("organisation", organisation_id), None)
        # What does not exist, or is on its way, may be of this organisation; it changes seldom.
        self._absent.clear()
        self._ground_flights()

    def _forget_client(self, client_id: ClientId) -> None:
        view = self._views.pop(client_id)
        if view is not None:
            self._forgotten(view)
        flight = self._flights.pop(("client", client_id), None)
        if flight is not None:
            flight.stale = True

    def _ground_flights(self) -> None:
        for flight in self._flights.values():
            flight.stale = True
        self._flights.clear()

    def _forgotten(self, view: ClientView) -> None:
        """Let go of what hung on a client that has left memory."""
        self.versions.pop(("client", view.client.id), None)
        for credential in view.credentials:
            self.versions.pop(("credential", credential.id), None)
        organisation_id = view.organisation.id
        siblings = self._clients_of.get(organisation_id)
        if siblings is not None:
            siblings.discard(view.client.id)
            if not siblings:
                del self._clients_of[organisation_id]
                if organisation_id not in self._slugs:
                    self.versions.pop(("organisation", organisation_id), None)

    def _unslugged(self, organisation: Organisation) -> None:
        """Let go of what hung on an organisation that has left memory."""
        self._slugs.pop(organisation.id, None)
        if organisation.id not in self._clients_of:
            self.versions.pop(("organisation", organisation.id), None)
