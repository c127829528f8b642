"""The verbs, carried out on a deployment's own store: access to it is the operator's authority."""

import contextlib
import os
import pwd
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime, timedelta

from keyturn.app import LocalServices, open_local, profiles
from keyturn.cli.verbs import Ring, Turned
from keyturn.config import Settings
from keyturn.core.actors import Actor, operator
from keyturn.core.errors import OperatorError
from keyturn.core.identifiers import uuid7
from keyturn.core.ports import OrganisationStore
from keyturn.core.records import AuditRow, Client, Credential, Organisation
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import Algorithm, ClientId, CredentialId, OrganisationId
from keyturn.directory import audit, clients, credentials, organisations, public_keys
from keyturn.directory.audit import ChainVerdict
from keyturn.directory.clients import ClientWish


@contextlib.asynccontextmanager
async def open_verbs(settings: Settings) -> AsyncIterator["LocalVerbs"]:
    """Open the store for the time of one command."""
    async with open_local(settings) as services:
        yield LocalVerbs(services, operator(_os_user()))


def _os_user() -> str:
    # From the kernel, not from LOGNAME: the audit trail names whoever really ran the command.
    uid = os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


class LocalVerbs:
    """The ``Verbs`` of one open deployment."""

    def __init__(self, services: LocalServices, actor: Actor) -> None:
        """Act as ``actor``."""
        self._services = services
        self._store = services.deployment
        self._actor = actor
        self._dice = services.dice

    @property
    def _now(self) -> datetime:
        return self._services.clock.now()

    async def create_organisation(self, slug: str, name: str) -> Organisation:
        """Make an organisation."""
        return await organisations.create_organisation(
            self._actor, self._store, slug, name, now=self._now, dice=self._dice
        )

    async def organisations(self) -> Sequence[Organisation]:
        """List all organisations."""
        return await organisations.list_organisations(self._actor, self._store)

    async def organisation(self, slug: str) -> Organisation:
        """Show one organisation."""
        return await organisations.show_organisation(self._actor, self._store, slug)

    async def rename_organisation(self, slug: str, name: str) -> Organisation:
        """Give it another display name."""
        return await organisations.rename_organisation(
            self._actor, self._store, slug, name, now=self._now, dice=self._dice
        )

    async def disable_organisation(self, slug: str) -> Organisation:
        """Stop issuing under it."""
        return await organisations.disable_organisation(
            self._actor, self._store, slug, now=self._now, dice=self._dice
        )

    async def enable_organisation(self, slug: str) -> Organisation:
        """Issue under it again."""
        return await organisations.enable_organisation(
            self._actor, self._store, slug, now=self._now, dice=self._dice
        )

    async def set_organisation(self, slug: str, setting: str, value: str | None) -> Organisation:
        """Set a dialect's setting, or go back to its default."""
        return await organisations.change_organisation_setting(
            self._actor,
            self._store,
            slug,
            setting,
            value,
            tables={name: dialect.settings for name, dialect in self._services.dialects.items()},
            now=self._now,
            dice=self._dice,
        )

    async def create_client(self, slug: str, wish: ClientWish) -> Client:
        """Make a client in an organisation."""
        return await clients.create_client(
            self._actor,
            await self._store_of(slug),
            wish,
            dialects=tuple(self._services.dialects),
            now=self._now,
            dice=self._dice,
        )

    async def clients(self, slug: str) -> Sequence[Client]:
        """List an organisation's clients."""
        return await clients.list_clients(self._actor, await self._store_of(slug))

    async def client(self, client_id: str) -> Client:
        """Show one client."""
        store, known = await self._client(client_id)
        return await clients.show_client(self._actor, store, known)

    async def disable_client(self, client_id: str) -> Client:
        """Issue nothing more to it."""
        store, known = await self._client(client_id)
        return await clients.disable_client(self._actor, store, known, now=self._now, dice=self._dice)

    async def enable_client(self, client_id: str) -> Client:
        """Issue to it again."""
        store, known = await self._client(client_id)
        return await clients.enable_client(self._actor, store, known, now=self._now, dice=self._dice)

    async def end_client(self, client_id: str) -> Client:
        """End it for good."""
        store, known = await self._client(client_id)
        return await clients.end_client(self._actor, store, known, now=self._now, dice=self._dice)

    async def create_secret(
        self, client_id: str, name: str, expires_at: datetime | None
    ) -> tuple[Credential, Secret]:
        """Make a client secret; it is told once."""
        store, known = await self._client(client_id)
        return await credentials.create_client_secret(
            self._actor,
            store,
            known,
            name,
            digester=self._services.digester,
            expires_at=expires_at,
            now=self._now,
            dice=self._dice,
        )

    async def secrets(self, client_id: str) -> Sequence[Credential]:
        """List a client's secrets."""
        store, known = await self._client(client_id)
        return await credentials.list_client_secrets(self._actor, store, known)

    async def end_secret(self, credential_id: str, why: str) -> Credential:
        """End a secret or key for good."""
        store, known = await self._credential(credential_id)
        return await credentials.end_credential(
            self._actor, store, known, why, now=self._now, dice=self._dice
        )

    async def disable_secret(self, credential_id: str) -> Credential:
        """Refuse a secret or key."""
        store, known = await self._credential(credential_id)
        return await credentials.disable_credential(self._actor, store, known, now=self._now, dice=self._dice)

    async def enable_secret(self, credential_id: str) -> Credential:
        """Accept a secret or key again."""
        store, known = await self._credential(credential_id)
        return await credentials.enable_credential(self._actor, store, known, now=self._now, dice=self._dice)

    async def add_key(
        self, client_id: str, given: bytes, name: str, expires_at: datetime | None
    ) -> Credential:
        """Register a client's public key, a JWK or PEM."""
        store, known = await self._client(client_id)
        return await public_keys.add_public_key(
            self._actor,
            store,
            known,
            given,
            name,
            expires_at=expires_at,
            now=self._now,
            dice=self._dice,
        )

    async def keys(self, client_id: str) -> Sequence[Credential]:
        """List a client's public keys."""
        store, known = await self._client(client_id)
        return await public_keys.list_public_keys(self._actor, store, known)

    async def rings(self, slug: str | None) -> Sequence[Ring]:
        """List an organisation's signing keys, or those of every issuer."""
        return [
            Ring(issuer, await self._store.signing_keys(issuer_id))
            for issuer, issuer_id, _ in await self._issuers(slug)
        ]

    async def rotate(self, slug: str | None, algorithm: Algorithm | None) -> Sequence[Turned]:
        """Turn an organisation's rings, or every ring; one algorithm's, or of all that are in use."""
        return [
            await self._rotate(issuer, issuer_id, organisation_id, each)
            for issuer, issuer_id, organisation_id in await self._issuers(slug)
            for each in ([algorithm] if algorithm else self._algorithms(organisation_id, issuer_id))
        ]

    async def tail_audit(self, limit: int) -> Sequence[AuditRow]:
        """Read the newest audit rows."""
        return await audit.tail_audit(self._actor, self._store, limit)

    async def verify_audit(self) -> Sequence[ChainVerdict]:
        """Follow every audit chain."""
        return await audit.verify_audit(self._actor, self._store, self._services.check_chain)

    async def _rotate(
        self, issuer: str, issuer_id: str, organisation_id: OrganisationId | None, algorithm: Algorithm
    ) -> Turned:
        now = self._now
        result = await self._services.rings.rotate(
            issuer_id,
            algorithm,
            now,
            longest_lifetime=self._longest_lifetime(),
            actor=self._actor.name,
            request_id=uuid7(now, self._dice),
            organisation_id=organisation_id,
        )
        # Of the two results only one names keys: cli does not import keys, so it cannot ask for the class.
        key_id: str | None = getattr(result, "signing_key_id", None)
        return Turned(
            issuer=issuer,
            algorithm=algorithm,
            rotated=key_id is not None,
            active_at=result.active_at,
            key_id=key_id,
            retires_at=getattr(result, "retires_at", None),
        )

    async def _issuers(self, slug: str | None) -> Sequence[tuple[str, str, OrganisationId | None]]:
        """Name issuers: for people, in the store, and the organisation where it is one's own."""
        if slug is not None:
            organisation = await self.organisation(slug)
            return [(organisation.slug, organisation.id, organisation.id)]
        shared = sorted(
            {each.shared_ring for each in profiles(self._services.dialects).values() if each.shared_ring}
        )
        return [
            *((each.slug, each.id, each.id) for each in await self.organisations() if each.ended_at is None),
            *((name, name, None) for name in shared),
        ]

    def _algorithms(self, organisation_id: OrganisationId | None, issuer_id: str) -> Iterator[Algorithm]:
        shared = None if organisation_id else issuer_id
        used = {
            each.algorithm
            for each in profiles(self._services.dialects).values()
            if each.shared_ring == shared
        }
        yield from sorted(used)

    def _longest_lifetime(self) -> timedelta:
        # The most that a setting may say, not what it says: tokens from before it was lowered are still out.
        seconds = [each.lifetime_seconds for each in profiles(self._services.dialects).values()]
        seconds += [
            setting.maximum
            for dialect in self._services.dialects.values()
            for setting in dialect.settings
            if setting.name == "lifetime_seconds" and setting.maximum is not None
        ]
        return timedelta(seconds=max(seconds))

    async def _store_of(self, slug: str) -> OrganisationStore:
        return self._store.organisation_store((await self.organisation(slug)).id)

    async def _client(self, client_id: str) -> tuple[OrganisationStore, ClientId]:
        known = ClientId(client_id.lower())
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
