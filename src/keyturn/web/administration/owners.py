"""What owns credentials (clients, users, entities), and what they hold: found and acted on in one way."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.admin_facts import RESOURCES
from keyturn.core.errors import NothingThere
from keyturn.core.records import Client, Credential, Entity, Organisation, User
from keyturn.core.requests import Call
from keyturn.core.secret import Secret
from keyturn.core.store_ports import OrganisationStore
from keyturn.core.vocabulary import CredentialId, CredentialKind
from keyturn.directory import credentials
from keyturn.web.administration.ground import (
    AdminPorts,
    AdminVerb,
    Facts,
    credential_facts,
    made_facts,
    organisation_of,
    path_in,
    record_facts,
    tagged,
)
from keyturn.web.administration.pages import cut_page, page_of, wish_of

ENDED = "ended by an administrator"

Done = Callable[..., Awaitable[Any]]
"""A verb of ``directory``; it takes the actor, the organisation's rows, what it is about, time and dice."""


class Place(msgspec.Struct, frozen=True):
    """The owner that a path names, where it is."""

    organisation: Organisation
    store: OrganisationStore
    owner: Client | User | Entity
    path: str


class Owners(msgspec.Struct, frozen=True):
    """A kind of owner.

    Args:
        resource: What answers show, and the slot of its id in a path.
        folder: Where they lie in their organisation.
        find: Shows one.
    """

    resource: str
    folder: str
    find: Done

    def facts(self, owner: Client | User | Entity) -> Facts:
        """Show one."""
        return tagged(record_facts(owner, RESOURCES[self.resource]))

    def path(self, organisation: Organisation, owner_id: str) -> str:
        """Say where one is."""
        return path_in(organisation, self.folder, owner_id)

    async def place(self, actor: Actor, call: Call, ports: AdminPorts) -> Place:
        """Find the one that a call's path names."""
        organisation = await organisation_of(actor, call, ports)
        store = ports.inside(organisation)
        found = await self.find(actor, store, call.arguments[self.resource])
        return Place(organisation, store, found, self.path(organisation, found.id))

    def listing(self, do: Done, page: Done | None = None) -> AdminVerb:
        """Make the verb that lists them; ``page`` gives those that are wanted, where a store can tell."""

        async def act(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
            store = ports.inside(await organisation_of(actor, call, ports))
            wish = None if page is None else wish_of(actor, call, ports.digester)
            if page is not None and wish is not None:
                wanted = await page(actor, store, wish)
                return cut_page(map(self.facts, wanted), actor, call, ports.digester)
            return page_of(map(self.facts, await do(actor, store)), actor, call, ports.digester)

        return act

    async def show(self, actor: Actor, call: Call, ports: AdminPorts) -> Facts:
        """Show the one that a path names."""
        return self.facts((await self.place(actor, call, ports)).owner)

    def doing(self, do: Done) -> AdminVerb:
        """Make the verb that does something to one: to switch it off or on, to end it."""

        async def act(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
            here = await self.place(actor, call, ports)
            return self.facts(await do(actor, here.store, here.owner.id, **ports.at()))

        return act


class Holding(msgspec.Struct, frozen=True):
    """The credentials of a kind that owners hold.

    Args:
        folder: Where they lie below their owner.
        slot: Of the id of one in a path; also what people call it.
    """

    owners: Owners
    kind: CredentialKind
    folder: str
    slot: str

    def facts(self, here: Place, credential: Credential, ports: AdminPorts) -> Facts:
        """Show one, never its secret."""
        return tagged(credential_facts(credential, here.organisation, ports.clock.now()))

    def told(self, here: Place, made: tuple[Credential, Secret], ports: AdminPorts) -> Facts:
        """Show one together with its secret, for the one answer that tells it."""
        return made_facts(made, here.organisation, f"{here.path}/{self.folder}", ports.clock.now())

    async def find(self, here: Place, call: Call) -> Credential:
        """Find the one that a path names among those of its owner.

        Raises:
            NothingThere: It is none of them.
        """
        named = CredentialId(call.arguments[self.slot])
        held = await here.store.credentials_of(here.owner.id, self.kind)
        found = next((each for each in held if each.id == named), None)
        if found is None:
            raise NothingThere(f"no {self.slot} {named!r}")
        return found

    def listing(self, do: Done) -> AdminVerb:
        """Make the verb that lists an owner's."""

        async def act(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
            here = await self.owners.place(actor, call, ports)
            found: Sequence[Credential] = await do(actor, here.store, here.owner.id)
            return page_of((self.facts(here, each, ports) for each in found), actor, call, ports.digester)

        return act

    async def show(self, actor: Actor, call: Call, ports: AdminPorts) -> Facts:
        """Show the one that a path names."""
        here = await self.owners.place(actor, call, ports)
        return self.facts(here, await self.find(here, call), ports)

    def doing(self, do: Done) -> AdminVerb:
        """Make the verb that does something to one."""

        async def act(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
            here = await self.owners.place(actor, call, ports)
            found = await self.find(here, call)
            return self.facts(here, await do(actor, here.store, found.id, **ports.at()), ports)

        return act

    async def end(self, actor: Actor, call: Call, ports: AdminPorts) -> Facts:
        """End the one that a path names."""
        here = await self.owners.place(actor, call, ports)
        found = await self.find(here, call)
        why: str = call.arguments.get("why", ENDED)
        ended = await credentials.end_credential(actor, here.store, found.id, why, **ports.at())
        return self.facts(here, ended, ports)

    def verbs(self, noun: str) -> dict[str, AdminVerb]:
        """Give the verbs that all kinds have."""
        return {
            f"admin.{noun}.show": self.show,
            f"admin.{noun}.disable": self.doing(credentials.disable_credential),
            f"admin.{noun}.enable": self.doing(credentials.enable_credential),
            f"admin.{noun}.end": self.end,
        }
