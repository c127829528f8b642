"""The verbs about users and what they prove themselves with, asked of a server's admin API."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from keyturn.admin.requests import Facts
from keyturn.cli.people_verbs import End
from keyturn.cli.remote_ground import RemoteGround, given, instant_of, record_of, status_of
from keyturn.core.life import Life, State
from keyturn.core.records import Credential, User
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import CredentialId, CredentialKind, OrganisationId
from keyturn.directory.second_factor import Enrolment
from keyturn.directory.secret_status import SecretStatus
from keyturn.directory.users import UserWish


class RemoteUsers(RemoteGround):
    """The part of ``PeopleVerbs`` that is about users."""

    async def create_user(self, slug: str, wish: UserWish) -> User:
        """Make a user at home in an organisation."""
        wanted = {name: value for name, value in msgspec.structs.asdict(wish).items() if value}
        return record_of(User, await self._ask("users.create", organisation=slug, **wanted))

    async def users(self, slug: str) -> Sequence[User]:
        """List the users at home in an organisation."""
        return [record_of(User, each) for each in await self._all("users.list", organisation=slug)]

    async def user(self, named: str) -> User:
        """Show one user."""
        return await self._user(named)

    async def change_user(self, named: str, changes: Mapping[str, Any]) -> User:
        """Change what is said of a user."""
        user = await self._user(named)
        wanted = {name: value if value != "" else None for name, value in changes.items()}
        return record_of(
            User,
            await self._ask(
                "users.change",
                organisation=user.organisation_id,
                user=user.id,
                version=user.version,
                **wanted,
            ),
        )

    async def disable_user(self, named: str) -> User:
        """Issue nothing more to a user, anywhere."""
        return record_of(User, await self._ask("users.disable", **await self._user_path(named)))

    async def enable_user(self, named: str) -> User:
        """Issue to a user again."""
        return record_of(User, await self._ask("users.enable", **await self._user_path(named)))

    async def end_user(self, named: str) -> User:
        """End a user for good."""
        return record_of(User, await self._ask("users.end", **await self._user_path(named)))

    async def log_out_user(self, named: str) -> User:
        """End every token of a user."""
        return record_of(User, await self._ask("users.logout", **await self._user_path(named)))

    async def email_code(self, named: str) -> Secret:
        """Make the code that proves a user's e-mail address."""
        code: Secret = (await self._ask("users.email_code", **await self._user_path(named)))["code"]
        return code

    async def confirm_email(self, code: Secret) -> User:
        """Note that an e-mail address is proved."""
        return record_of(User, await self._ask("users.confirm_email", code=code))

    async def set_password(self, named: str, password: Secret) -> SecretStatus:
        """Give a user a password in place of the one before."""
        path = await self._user_path(named)
        return status_of(await self._ask("users.password", **path, password=password))

    async def enrol_totp(self, named: str, name: str) -> Enrolment:
        """Make a TOTP device that waits to be confirmed."""
        user = await self._user(named)
        path: Facts = {"organisation": user.organisation_id, "user": user.id}
        made = await self._ask("totp.enrol", **path, name=name)
        device = _device(user.organisation_id, user, made["id"], name)
        return Enrolment(device, made["seed"], made["uri"])

    async def confirm_totp(self, named: str, code: Secret) -> tuple[SecretStatus, Sequence[Secret]]:
        """Take a device into use; gives recovery codes."""
        told = await self._ask("totp.confirm", **await self._user_path(named), code=code)
        return status_of(told), told["recovery_codes"]

    async def remove_totp(self, named: str) -> SecretStatus:
        """End a user's device and recovery codes."""
        return status_of(await self._ask("totp.reset", **await self._user_path(named)))

    async def totp_devices(self, named: str) -> Sequence[SecretStatus]:
        """List a user's devices."""
        return [status_of(each) for each in await self._all("totp.list", **await self._user_path(named))]

    async def renew_recovery_codes(self, named: str) -> Sequence[Secret]:
        """Make recovery codes in place of those there are."""
        told = await self._ask("totp.renew_codes", **await self._user_path(named))
        codes: Sequence[Secret] = told["recovery_codes"]
        return codes

    async def create_user_key(
        self, named: str, name: str, dialects: Sequence[str], end: End
    ) -> tuple[SecretStatus, Secret]:
        """Make a user key; it is told once."""
        path = await self._user_path(named)
        more = given(dialects=tuple(dialects) or None, expires_at=instant_of(end))
        made = await self._ask("user_keys.create", **path, name=name, **more)
        return status_of(made), made["secret"]

    async def user_keys(self, named: str) -> Sequence[SecretStatus]:
        """List a user's keys."""
        path = await self._user_path(named)
        return [status_of(each) for each in await self._all("user_keys.list", **path)]

    async def rotate_user_key(
        self, credential_id: str, overlap: timedelta, end: End
    ) -> tuple[SecretStatus, Secret]:
        """Make the successor of a user key; it is told once."""
        more = given(expires_at=instant_of(end))
        made = await self._do(credential_id, "rotate", overlap_seconds=int(overlap.total_seconds()), **more)
        return status_of(made), made["secret"]


def _device(organisation_id: OrganisationId, user: User, device_id: str, name: str) -> Credential:
    """Make the record of a device of which only its id was told."""
    return Credential(
        id=CredentialId(device_id),
        kind=CredentialKind.TOTP,
        owner_id=user.id,
        organisation_id=organisation_id,
        name=name,
        life=Life(created_at=user.created_at, state=State.PENDING),
        dialects=(),
        lookup_hash=b"",
        pepper_id="",
    )
