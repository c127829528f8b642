"""Administrators' verbs about users and what they prove themselves with."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.admin_facts import RESOURCES
from keyturn.core.records import Credential, Organisation, User
from keyturn.core.requests import Call
from keyturn.core.secret import Secret
from keyturn.core.store_ports import OrganisationStore
from keyturn.core.vocabulary import CredentialId, CredentialKind, UserId
from keyturn.directory import credentials, email_proof, lockout, passwords, second_factor, user_keys, users
from keyturn.directory.users import UserWish
from keyturn.web.administration.clients import ENDED, overlap_of, owned
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
from keyturn.web.administration.pages import page_of


class Place(msgspec.Struct, frozen=True):
    """The user that a path names, at home."""

    organisation: Organisation
    store: OrganisationStore
    user: User

    @property
    def path(self) -> str:
        """Give the user's own path."""
        return path_in(self.organisation, "users", self.user.id)


async def _place(actor: Actor, call: Call, ports: AdminPorts) -> Place:
    organisation = await organisation_of(actor, call, ports)
    store = ports.inside(organisation)
    return Place(organisation, store, await users.show_user(actor, store, UserId(call.arguments["user"])))


def _user(user: User) -> Facts:
    return record_facts(user, RESOURCES["user"])


async def _list(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    store = ports.inside(await organisation_of(actor, call, ports))
    return page_of(map(_user, await users.list_users(actor, store)), actor, call, ports.digester)


async def _create(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    organisation = await organisation_of(actor, call, ports)
    store = ports.inside(organisation)
    names = [name for name in UserWish.__struct_fields__ if call.arguments.get(name) is not None]
    wish = UserWish(**{name: call.arguments[name] for name in names})
    made, _ = await users.create_user(actor, store, wish, roles=ports.roles(), **ports.at())
    return tagged(_user(made), Place(organisation, store, made).path)


async def _show(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    return tagged(_user((await _place(actor, call, ports)).user))


async def _change(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await _place(actor, call, ports)
    store = ports.for_version(call, "user", here.user).inside(here.organisation)
    wanted = {name: value for name, value in call.arguments.items() if name in _CHANGEABLE}
    changes = {name: "" if value is None and name != "email" else value for name, value in wanted.items()}
    return tagged(_user(await users.change_user(actor, store, here.user.id, changes, **ports.at())))


_CHANGEABLE = frozenset({"display_name", "given_name", "family_name", "email", "mfa_required"})

_Done = Callable[..., Awaitable[User]]


def _doing(do: _Done) -> AdminVerb:
    """Make the verb that does something to a user."""

    async def act(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
        here = await _place(actor, call, ports)
        return tagged(_user(await do(actor, here.store, here.user.id, **ports.at())))

    return act


async def _end(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await _place(actor, call, ports)
    await users.end_user(actor, ports.deployment, here.user.id, **ports.at())
    return {}


async def _email_code(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await _place(actor, call, ports)
    made = await email_proof.make_email_code(
        actor, here.store, here.user.id, digester=ports.digester, **ports.at()
    )
    return tagged({"code": made})


async def _password(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await _place(actor, call, ports)
    await passwords.set_password(
        actor,
        here.store,
        here.user.id,
        call.arguments["password"],
        dialects=ports.takers(CredentialKind.PASSWORD),
        passwords=ports.passwords,
        **ports.at(),
    )
    return {}


async def _list_totp(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await _place(actor, call, ports)
    found = await second_factor.list_totp(actor, here.store, here.user.id)
    return page_of((_shown(here, each, ports) for each in found), actor, call, ports.digester)


async def _reset_totp(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await _place(actor, call, ports)
    await second_factor.remove_totp(actor, here.store, here.user.id, **ports.at())
    return {}


async def _clear_lockout(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    store = ports.inside(await organisation_of(actor, call, ports))
    await lockout.clear_lockout(actor, store, ports.lockout, call.arguments["user_name"], **ports.at())
    return {}


# --- user keys ---


def _shown(here: Place, credential: Credential, ports: AdminPorts) -> Facts:
    return credential_facts(credential, here.organisation, ports.clock.now())


def _told(here: Place, made: tuple[Credential, Secret], ports: AdminPorts) -> Facts:
    return made_facts(made, here.organisation, f"{here.path}/keys", ports.clock.now())


async def _list_keys(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await _place(actor, call, ports)
    found = await user_keys.list_user_keys(actor, here.store, here.user.id)
    return page_of((_shown(here, each, ports) for each in found), actor, call, ports.digester)


async def _create_key(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here, wanted = await _place(actor, call, ports), call.arguments
    made = await user_keys.create_user_key(
        actor,
        here.store,
        here.user.id,
        wanted.get("name", "key"),
        dialects=ports.chosen(CredentialKind.USER_KEY, wanted.get("dialects", ())),
        digester=ports.digester,
        expires_at=wanted.get("expires_at"),
        **ports.at(),
    )
    return _told(here, made, ports)


async def _key(here: Place, call: Call) -> Credential:
    held = await here.store.credentials_of(here.user.id, CredentialKind.USER_KEY)
    return owned(held, CredentialId(call.arguments["key"]), "key")


async def _show_key(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await _place(actor, call, ports)
    return tagged(_shown(here, await _key(here, call), ports))


async def _rotate_key(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await _place(actor, call, ports)
    found = await _key(here, call)
    made = await user_keys.rotate_user_key(
        actor,
        here.store,
        found.id,
        overlap_of(call.arguments),
        expires_at=call.arguments.get("expires_at"),
        digester=ports.digester,
        **ports.at(),
    )
    return _told(here, made, ports)


def _doing_to_key(do: Callable[..., Awaitable[Credential]], **more: Any) -> AdminVerb:
    """Make the verb that does something to a user's key."""

    async def act(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
        here = await _place(actor, call, ports)
        found = await _key(here, call)
        return tagged(_shown(here, await do(actor, here.store, found.id, **more, **ports.at()), ports))

    return act


VERBS: dict[str, AdminVerb] = {
    "admin.users.list": _list,
    "admin.users.create": _create,
    "admin.users.show": _show,
    "admin.users.change": _change,
    "admin.users.disable": _doing(users.disable_user),
    "admin.users.enable": _doing(users.enable_user),
    "admin.users.logout": _doing(users.log_out_everywhere),
    "admin.users.end": _end,
    "admin.users.email_code": _email_code,
    "admin.users.password": _password,
    "admin.totp.list": _list_totp,
    "admin.totp.reset": _reset_totp,
    "admin.lockouts.clear": _clear_lockout,
    "admin.user_keys.list": _list_keys,
    "admin.user_keys.create": _create_key,
    "admin.user_keys.show": _show_key,
    "admin.user_keys.rotate": _rotate_key,
    "admin.user_keys.disable": _doing_to_key(credentials.disable_credential),
    "admin.user_keys.enable": _doing_to_key(credentials.enable_credential),
    "admin.user_keys.end": _doing_to_key(credentials.end_credential, why=ENDED),
}
