"""The verbs about users and what they prove themselves with, carried out on a deployment's own store."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from keyturn.cli.local_ground import LocalGround, instant_of
from keyturn.cli.people_verbs import End
from keyturn.core.records import User
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import CredentialKind
from keyturn.directory import email_proof, passwords, second_factor, user_keys, users
from keyturn.directory.second_factor import Enrolment
from keyturn.directory.secret_status import SecretStatus
from keyturn.directory.users import UserWish


class LocalUsers(LocalGround):
    """The part of ``PeopleVerbs`` that is about users."""

    async def create_user(self, slug: str, wish: UserWish) -> User:
        """Make a user at home in an organisation."""
        store = await self._store_of(slug)
        made, _ = await users.create_user(self._actor, store, wish, roles=self._roles(), **self._at)
        return made

    async def users(self, slug: str) -> Sequence[User]:
        """List the users at home in an organisation."""
        return await users.list_users(self._actor, await self._store_of(slug))

    async def user(self, named: str) -> User:
        """Show one user."""
        return await users.show_user(self._actor, *await self._user(named))

    async def change_user(self, named: str, changes: Mapping[str, Any]) -> User:
        """Change what is said of a user."""
        store, user_id = await self._user(named)
        return await users.change_user(self._actor, store, user_id, dict(changes), **self._at)

    async def disable_user(self, named: str) -> User:
        """Issue nothing more to a user, anywhere."""
        return await users.disable_user(self._actor, *await self._user(named), **self._at)

    async def enable_user(self, named: str) -> User:
        """Issue to a user again."""
        return await users.enable_user(self._actor, *await self._user(named), **self._at)

    async def end_user(self, named: str) -> User:
        """End a user for good."""
        _, user_id = await self._user(named)
        return await users.end_user(self._actor, self._store, user_id, **self._at)

    async def log_out_user(self, named: str) -> User:
        """End every token of a user."""
        return await users.log_out_everywhere(self._actor, *await self._user(named), **self._at)

    async def email_code(self, named: str) -> Secret:
        """Make the code that proves a user's e-mail address."""
        store, user_id = await self._user(named)
        digester = self._services.digester
        return await email_proof.make_email_code(self._actor, store, user_id, digester=digester, **self._at)

    async def confirm_email(self, code: Secret) -> User:
        """Note that an e-mail address is proved."""
        store, _ = await self._user(email_proof.user_of(code))
        digester = self._services.digester
        return await email_proof.confirm_email(self._actor, store, code, digester=digester, **self._at)

    async def set_password(self, named: str, password: Secret) -> SecretStatus:
        """Give a user a password in place of the one before."""
        store, user_id = await self._user(named)
        made = await passwords.set_password(
            self._actor,
            store,
            user_id,
            password,
            dialects=self._dialects(CredentialKind.PASSWORD),
            passwords=self._services.passwords,
            **self._at,
        )
        return await self._status(store, made)

    async def enrol_totp(self, named: str, name: str) -> Enrolment:
        """Make a TOTP device that waits to be confirmed."""
        store, user_id = await self._user(named)
        return await second_factor.enrol_totp(
            self._actor,
            store,
            user_id,
            name,
            issuer=(await store.organisation()).name,
            sealer=self._services.sealer,
            **self._at,
        )

    async def confirm_totp(self, named: str, code: Secret) -> tuple[SecretStatus, Sequence[Secret]]:
        """Take a device into use; gives recovery codes."""
        store, user_id = await self._user(named)
        device, codes = await second_factor.confirm_totp(
            self._actor,
            store,
            user_id,
            code,
            sealer=self._services.sealer,
            digester=self._services.digester,
            **self._at,
        )
        return await self._status(store, device), codes

    async def remove_totp(self, named: str) -> SecretStatus:
        """End a user's device and recovery codes."""
        store, user_id = await self._user(named)
        device = await second_factor.remove_totp(self._actor, store, user_id, **self._at)
        return await self._status(store, device)

    async def totp_devices(self, named: str) -> Sequence[SecretStatus]:
        """List a user's devices."""
        store, user_id = await self._user(named)
        return await self._statuses(store, await second_factor.list_totp(self._actor, store, user_id))

    async def renew_recovery_codes(self, named: str) -> Sequence[Secret]:
        """Make recovery codes in place of those there are."""
        store, user_id = await self._user(named)
        return await second_factor.renew_recovery_codes(
            self._actor, store, user_id, digester=self._services.digester, **self._at
        )

    async def create_user_key(
        self, named: str, name: str, dialects: Sequence[str], end: End
    ) -> tuple[SecretStatus, Secret]:
        """Make a user key; it is told once."""
        store, user_id = await self._user(named)
        made, secret = await user_keys.create_user_key(
            self._actor,
            store,
            user_id,
            name,
            dialects=self._dialects(CredentialKind.USER_KEY, dialects),
            digester=self._services.digester,
            expires_at=instant_of(end, self._now),
            **self._at,
        )
        return await self._status(store, made), secret

    async def user_keys(self, named: str) -> Sequence[SecretStatus]:
        """List a user's keys."""
        store, user_id = await self._user(named)
        return await self._statuses(store, await user_keys.list_user_keys(self._actor, store, user_id))

    async def rotate_user_key(
        self, credential_id: str, overlap: timedelta, end: End
    ) -> tuple[SecretStatus, Secret]:
        """Make the successor of a user key; it is told once."""
        store, known = await self._credential(credential_id)
        made, secret = await user_keys.rotate_user_key(
            self._actor,
            store,
            known,
            overlap,
            expires_at=instant_of(end, self._now),
            digester=self._services.digester,
            **self._at,
        )
        return await self._status(store, made), secret
