"""The verbs about clients, their secrets and keys, and admin tokens, asked of a server's admin API."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from keyturn.admin.requests import Facts
from keyturn.cli.people_verbs import End
from keyturn.cli.remote_ground import RemoteGround, given, instant_of, record_of, status_of
from keyturn.core.admin_records import AdminToken
from keyturn.core.records import Client
from keyturn.core.secret import Secret
from keyturn.directory.clients import ClientWish
from keyturn.directory.secret_status import SecretStatus


class RemoteSecrets(RemoteGround):
    """The part of ``Verbs`` that is about clients, what they prove themselves with, and admin tokens."""

    async def create_client(self, slug: str, wish: ClientWish) -> Client:
        """Make a client in an organisation."""
        wanted = {name: value for name, value in msgspec.structs.asdict(wish).items() if value}
        return record_of(Client, await self._ask("clients.create", organisation=slug, **wanted))

    async def clients(self, slug: str) -> Sequence[Client]:
        """List an organisation's clients."""
        return [record_of(Client, each) for each in await self._all("clients.list", organisation=slug)]

    async def client(self, client_id: str) -> Client:
        """Show one client."""
        return record_of(Client, await self._ask("clients.find", client=client_id))

    async def change_client(self, client_id: str, changes: Mapping[str, Any]) -> Client:
        """Change what some members of a ``ClientWish`` say, and keep the others."""
        found = await self.client(client_id)
        path = {"organisation": found.organisation_id, "client": found.id}
        return record_of(Client, await self._ask("clients.change", **path, version=found.version, **changes))

    async def disable_client(self, client_id: str) -> Client:
        """Issue nothing more to it."""
        return record_of(Client, await self._ask("clients.disable", **await self._client(client_id)))

    async def enable_client(self, client_id: str) -> Client:
        """Issue to it again."""
        return record_of(Client, await self._ask("clients.enable", **await self._client(client_id)))

    async def end_client(self, client_id: str) -> Client:
        """End it for good."""
        return record_of(Client, await self._ask("clients.end", **await self._client(client_id)))

    async def create_secret(self, client_id: str, name: str, end: End) -> tuple[SecretStatus, Secret]:
        """Make a client secret; it is told once."""
        path = await self._client(client_id)
        made = await self._ask("secrets.create", **path, name=name, **given(expires_at=instant_of(end)))
        return status_of(made), made["secret"]

    async def secrets(self, client_id: str) -> Sequence[SecretStatus]:
        """List a client's secrets."""
        path = await self._client(client_id)
        return [status_of(each) for each in await self._all("secrets.list", **path)]

    async def rotate_secret(
        self, client_id: str, overlap: timedelta, name: str | None, end: End
    ) -> tuple[SecretStatus, Secret]:
        """Make the successor of a client's secret; it is told once."""
        path, seconds = await self._client(client_id), int(overlap.total_seconds())
        more = given(name=name, expires_at=instant_of(end))
        made = await self._ask("secrets.rotate", **path, overlap_seconds=seconds, **more)
        return status_of(made), made["secret"]

    async def finish_rotation(self, credential_id: str) -> SecretStatus:
        """End the old secret of a rotation now."""
        return status_of(await self._do(credential_id, "finish"))

    async def cancel_rotation(self, credential_id: str) -> SecretStatus:
        """Go back to the old secret of a rotation."""
        return status_of(await self._do(credential_id, "cancel"))

    async def end_secret(self, credential_id: str, why: str) -> SecretStatus:
        """End a secret for good."""
        return status_of(await self._do(credential_id, "end", why=why))

    async def disable_secret(self, credential_id: str) -> SecretStatus:
        """Refuse a secret."""
        return status_of(await self._do(credential_id, "disable"))

    async def enable_secret(self, credential_id: str) -> SecretStatus:
        """Accept a disabled or dormant secret again."""
        return status_of(await self._do(credential_id, "enable"))

    async def add_key(
        self, client_id: str, given: bytes, name: str, expires_at: datetime | None
    ) -> SecretStatus:
        """Register a client's public key, a JWK or PEM."""
        path = await self._client(client_id)
        more: Facts = {} if expires_at is None else {"expires_at": expires_at}
        return status_of(await self._ask("public_keys.create", **path, name=name, **_key(given), **more))

    async def keys(self, client_id: str) -> Sequence[SecretStatus]:
        """List a client's public keys."""
        path = await self._client(client_id)
        return [status_of(each) for each in await self._all("public_keys.list", **path)]

    async def create_admin_token(
        self, slug: str | None, name: str, scopes: Sequence[str], end: End
    ) -> tuple[AdminToken, Secret]:
        """Make an admin token, of one organisation or of the whole deployment; it is told once."""
        more = given(organisation=slug, expires_at=instant_of(end))
        made = await self._ask("admin_tokens.create", name=name, scopes=tuple(scopes), **more)
        return _admin_token(made), made["token"]

    async def admin_tokens(self) -> Sequence[AdminToken]:
        """List all admin tokens and setup tokens."""
        return [_admin_token(each) for each in await self._all("admin_tokens.list")]

    async def end_admin_token(self, token_id: str, why: str) -> AdminToken:
        """End an admin token for good."""
        return _admin_token(await self._ask("admin_tokens.end", admin_token=token_id.lower(), why=why))


def _key(read: bytes) -> dict[str, Any]:
    """Say whether a key is a JWK or PEM; what is neither is for the server to refuse."""
    try:
        told = msgspec.json.decode(read)
    except msgspec.DecodeError:
        return {"pem": read.decode(errors="replace")}
    return {"jwk": told} if isinstance(told, dict) else {"pem": read.decode(errors="replace")}


def _admin_token(facts: dict[str, Any]) -> AdminToken:
    return record_of(AdminToken, facts, lookup_hash=b"", pepper_id="")
