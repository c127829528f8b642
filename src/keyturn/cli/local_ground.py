"""What every part of the local verbs stands on: the open deployment, the actor, and how things are found."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict

from keyturn.app import LocalServices
from keyturn.cli.people_verbs import End
from keyturn.core.actors import Actor
from keyturn.core.errors import OperatorError
from keyturn.core.records import Credential
from keyturn.core.secret import Dice
from keyturn.core.store_ports import OrganisationStore
from keyturn.core.vocabulary import ClientId, CredentialId, CredentialKind, EntityId, UserId
from keyturn.dialects import load_dialects
from keyturn.directory.names import check_takers
from keyturn.directory.organisations import show_organisation
from keyturn.directory.people_names import canonical_address, check_user_name
from keyturn.directory.secret_status import SecretStatus, status_of

_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


class At(TypedDict):
    """What every verb that writes is given."""

    now: datetime
    dice: Dice


class LocalGround:
    """The ground of ``LocalVerbs``.

    Args:
        public_url: Where issuers begin, if that is configured.
    """

    def __init__(self, services: LocalServices, actor: Actor, public_url: str | None = None) -> None:
        """Act as ``actor``."""
        self._services = services
        self._store = services.deployment
        self._actor = actor
        self._dice = services.dice
        self._public_url = public_url

    @property
    def _now(self) -> datetime:
        return self._services.clock.now()

    @property
    def _at(self) -> At:
        return {"now": self._now, "dice": self._dice}

    async def _store_of(self, slug: str) -> OrganisationStore:
        organisation = await show_organisation(self._actor, self._store, slug)
        return self._store.organisation_store(organisation.id)

    async def _client(self, client_id: str) -> tuple[OrganisationStore, ClientId]:
        known = named_client(client_id)
        view = await self._store.client_view(known)
        if view is None:
            raise OperatorError(f"no client {client_id!r}")
        return self._store.organisation_store(view.organisation.id), known

    async def _credential(self, credential_id: str) -> tuple[OrganisationStore, CredentialId]:
        known = CredentialId(credential_id.lower())
        organisation_id = await self._store.organisation_of_credential(known)
        if organisation_id is None:
            raise OperatorError(f"no credential {credential_id!r}")
        return self._store.organisation_store(organisation_id), known

    async def _user(self, named: str) -> tuple[OrganisationStore, UserId]:
        """Find a user by ``slug/user name``, e-mail address or id, and narrow to the home."""
        slug, slash, name = named.partition("/")
        home = await self._store.organisation_by_slug(slug) if slash else None
        if home is not None:
            found = await self._store.organisation_store(home.id).user_by_name(check_user_name(name))
        elif "@" in named:
            found = await self._store.user_by_email(canonical_address(named))
        else:
            view = await self._store.user_view(UserId(named.lower()))
            found = view.user if view is not None else None
        if found is None:
            raise OperatorError(f"no user {named!r}")
        return self._store.organisation_store(found.organisation_id), found.id

    async def _entity(self, entity_id: str) -> tuple[OrganisationStore, EntityId]:
        found = await self._store.entity_by_id(EntityId(entity_id))
        if found is None:
            raise OperatorError(f"no entity {entity_id!r}")
        return self._store.organisation_store(found.organisation_id), found.id

    async def _status(self, store: OrganisationStore, credential: Credential) -> SecretStatus:
        return status_of(credential, await store.organisation(), self._now)

    async def _statuses(
        self, store: OrganisationStore, credentials: Iterable[Credential]
    ) -> Sequence[SecretStatus]:
        organisation, now = await store.organisation(), self._now
        return [status_of(each, organisation, now) for each in credentials]

    def _dialects(self, kind: CredentialKind, asked: Sequence[str] = ()) -> tuple[str, ...]:
        """Choose the wire formats a new credential works in: those asked for, else all that take its kind.

        Dialects that are off are chosen too, so that a password works in one that is switched on later.
        """
        known: dict[str, Any] = self._services.every_dialect()
        takers = [
            name
            for name, dialect in known.items()
            if any(exchange.kind is kind for route in dialect.routes for exchange in route.exchanges)
        ]
        if not asked:
            return tuple(takers) or tuple(known)
        return check_takers(kind, asked, known, takers)

    def _dialects_on(self, asked: Iterable[str], had: Iterable[str] = ()) -> tuple[str, ...]:
        """Give the wire formats that a client may have: those that are on, and what it had when they were.

        Raises:
            OperatorError: One that is asked for is off.
        """
        choice = (*self._services.dialects, *had)
        if off := [name for name in asked if name not in choice and name in load_dialects()]:
            raise OperatorError(f"off here: {', '.join(off)}; `dialects` in the configuration switches it on")
        return choice

    def _roles(self) -> frozenset[str]:
        return frozenset(
            f"{name}:{role.name}"
            for name, dialect in self._services.dialects.items()
            for role in dialect.roles
        )


def named_client(text: str) -> ClientId:
    """Read a client id: of a UUID case is nothing, any other was imported and is what it is."""
    return ClientId(text.lower() if _UUID.fullmatch(text) else text)


def instant_of(end: End, now: datetime) -> datetime | None:
    """Say when something expires that shall live until an instant or for a while."""
    return now + end if isinstance(end, timedelta) else end
