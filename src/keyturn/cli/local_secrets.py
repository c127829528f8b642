"""The verbs about secrets and tokens, carried out on a deployment's own store."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from keyturn.app import profiles
from keyturn.cli.local_ground import LocalGround, instant_of
from keyturn.cli.people_verbs import End
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import CredentialKind
from keyturn.directory import credentials, imports, public_keys, rotation
from keyturn.directory.import_rows import FileForm
from keyturn.directory.import_secrets import ImportPorts
from keyturn.directory.imports import ImportReport
from keyturn.directory.secret_status import SecretStatus
from keyturn.exchange.inspect import Inspector, Knowledge, inspect
from keyturn.tokens.inspection import Sight


class LocalSecrets(LocalGround):
    """The part of ``Verbs`` that is about secrets of clients, and about tokens."""

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
            expires_at=instant_of(end, now),
            now=now,
            dice=self._dice,
        )
        return await self._status(store, made), secret

    async def secrets(self, client_id: str) -> Sequence[SecretStatus]:
        """List a client's secrets."""
        store, known = await self._client(client_id)
        return await self._statuses(store, await credentials.list_client_secrets(self._actor, store, known))

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
            expires_at=instant_of(end, now),
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

    async def import_rows(self, slug: str, body: bytes, form: FileForm, *, dry_run: bool) -> ImportReport:
        """Import owners and secrets from a file, all or nothing."""
        services = self._services
        kinds = (CredentialKind.PASSWORD, CredentialKind.USER_KEY)
        others = (CredentialKind.API_TOKEN, CredentialKind.ENTITY_SECRET)
        return await imports.import_file(
            self._actor,
            self._store,
            (await self._store_of(slug)).organisation_id,
            body,
            form,
            ports=ImportPorts(
                digester=services.digester,
                passwords=services.passwords,
                sealer=services.sealer,
                dialects={kind: self._dialects(kind) for kind in (*kinds, *others)},
            ),
            reserved=services.built_in_clients(),
            roles=self._roles(),
            client_dialects=tuple(services.dialects),
            dry_run=dry_run,
            **self._at,
        )

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
        return await self._statuses(store, await public_keys.list_public_keys(self._actor, store, known))
