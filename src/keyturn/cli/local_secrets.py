"""The verbs about secrets and tokens, carried out on a deployment's own store."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from keyturn.app import LocalServices, profiles
from keyturn.cli.verbs import End
from keyturn.core.actors import Actor
from keyturn.core.errors import OperatorError
from keyturn.core.ports import OrganisationStore
from keyturn.core.records import Credential
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import ClientId, CredentialId
from keyturn.directory import credentials, public_keys, rotation
from keyturn.directory.secret_status import SecretStatus, status_of
from keyturn.exchange.inspect import Inspector, Knowledge, inspect
from keyturn.tokens.inspection import Sight


class LocalSecrets:
    """The part of ``Verbs`` that is about secrets; ``LocalVerbs`` has the rest.

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

    async def create_secret(self, client_id: str, name: str, end: End) -> tuple[SecretStatus, Secret]:
        """Make a client secret; it is told once."""
        store, known = await self._client(client_id)
        now = self._now
        made, secret = await credentials.create_client_secret(
            self._actor,
            store,
            known,
            name,
            digester=self._services.digester,
            expires_at=_instant(end, now),
            now=now,
            dice=self._dice,
        )
        return await self._status(store, made), secret

    async def secrets(self, client_id: str) -> Sequence[SecretStatus]:
        """List a client's secrets."""
        store, known = await self._client(client_id)
        organisation, now = await store.organisation(), self._now
        listed = await credentials.list_client_secrets(self._actor, store, known)
        return [status_of(each, organisation, now) for each in listed]

    async def end_secret(self, credential_id: str, why: str) -> SecretStatus:
        """End a secret for good."""
        store, known = await self._credential(credential_id)
        ended = await credentials.end_credential(
            self._actor, store, known, why, now=self._now, dice=self._dice
        )
        return await self._status(store, ended)

    async def disable_secret(self, credential_id: str) -> SecretStatus:
        """Refuse a secret."""
        store, known = await self._credential(credential_id)
        changed = await credentials.disable_credential(
            self._actor, store, known, now=self._now, dice=self._dice
        )
        return await self._status(store, changed)

    async def enable_secret(self, credential_id: str) -> SecretStatus:
        """Accept a disabled or dormant secret again."""
        store, known = await self._credential(credential_id)
        changed = await credentials.enable_credential(
            self._actor, store, known, now=self._now, dice=self._dice
        )
        return await self._status(store, changed)

    async def rotate_secret(
        self, client_id: str, overlap: timedelta, name: str | None, end: End
    ) -> tuple[SecretStatus, Secret]:
        """Make the successor of a client's secret; it is told once."""
        store, known = await self._client(client_id)
        now = self._now
        made, secret = await rotation.rotate_client_secret(
            self._actor,
            store,
            known,
            overlap,
            digester=self._services.digester,
            name=name,
            expires_at=_instant(end, now),
            now=now,
            dice=self._dice,
        )
        return await self._status(store, made), secret

    async def finish_rotation(self, credential_id: str) -> SecretStatus:
        """End the old secret of a rotation now."""
        store, known = await self._credential(credential_id)
        changed = await rotation.finish_rotation(self._actor, store, known, now=self._now, dice=self._dice)
        return await self._status(store, changed)

    async def cancel_rotation(self, credential_id: str) -> SecretStatus:
        """Go back to the old secret of a rotation."""
        store, known = await self._credential(credential_id)
        changed = await rotation.cancel_rotation(self._actor, store, known, now=self._now, dice=self._dice)
        return await self._status(store, changed)

    async def inspect(self, presented: Secret, sight: Sight) -> Knowledge | None:
        """Say what the store knows of a token or secret."""
        services = self._services
        inspector = Inspector(
            store=self._store,
            registry=services.store.registry,
            revocations=services.store.revocations,
            digester=services.digester,
            profiles=profiles(services.dialects),
            introspectable=frozenset(
                profile.kind
                for dialect in services.dialects.values()
                for route in dialect.routes
                if route.operation is not None and route.operation.name == "introspect"
                for profile in route.operation.accepts
            ),
            public_url=self._public_url,
        )
        return await inspect(presented, sight, inspector, self._now)

    async def add_key(
        self, client_id: str, given: bytes, name: str, expires_at: datetime | None
    ) -> SecretStatus:
        """Register a client's public key, a JWK or PEM."""
        store, known = await self._client(client_id)
        made = await public_keys.add_public_key(
            self._actor,
            store,
            known,
            given,
            name,
            expires_at=expires_at,
            now=self._now,
            dice=self._dice,
        )
        return await self._status(store, made)

    async def keys(self, client_id: str) -> Sequence[SecretStatus]:
        """List a client's public keys."""
        store, known = await self._client(client_id)
        listed = await public_keys.list_public_keys(self._actor, store, known)
        return [await self._status(store, each) for each in listed]

    async def _status(self, store: OrganisationStore, credential: Credential) -> SecretStatus:
        return status_of(credential, await store.organisation(), self._now)

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


def _instant(end: End, now: datetime) -> datetime | None:
    return now + end if isinstance(end, timedelta) else end
