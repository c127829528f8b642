"""Administrators' verbs about users and what they prove themselves with."""

from keyturn.core.actors import Actor
from keyturn.core.errors import NothingThere
from keyturn.core.requests import Call
from keyturn.core.vocabulary import CredentialKind, UserId
from keyturn.directory import email_proof, lockout, passwords, second_factor, user_keys, users
from keyturn.directory.users import UserWish
from keyturn.web.administration.clients import overlap_of
from keyturn.web.administration.ground import AdminPorts, AdminVerb, Facts, organisation_of, tagged
from keyturn.web.administration.owners import Holding, Owners

USERS = Owners("user", "users", users.show_user)
KEYS = Holding(USERS, CredentialKind.USER_KEY, "keys", "key")
DEVICES = Holding(USERS, CredentialKind.TOTP, "totp", "device")
PASSWORDS = Holding(USERS, CredentialKind.PASSWORD, "password", "password")


async def _create(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    organisation = await organisation_of(actor, call, ports)
    names = [name for name in UserWish.__struct_fields__ if call.arguments.get(name) is not None]
    wish = UserWish(**{name: call.arguments[name] for name in names})
    made, _ = await users.create_user(
        actor, ports.inside(organisation), wish, roles=ports.roles(), **ports.at()
    )
    return tagged(USERS.facts(made), USERS.path(organisation, made.id))


async def _change(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await USERS.place(actor, call, ports)
    store = ports.for_version(call, "user", here.owner).inside(here.organisation)
    wanted = {name: value for name, value in call.arguments.items() if name in _CHANGEABLE}
    changes = {name: "" if value is None and name != "email" else value for name, value in wanted.items()}
    changed = await users.change_user(actor, store, UserId(here.owner.id), changes, **ports.at())
    return USERS.facts(changed)


_CHANGEABLE = frozenset({"display_name", "given_name", "family_name", "email", "mfa_required"})


async def _end(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await USERS.place(actor, call, ports)
    return USERS.facts(await users.end_user(actor, ports.deployment, UserId(here.owner.id), **ports.at()))


# --- what they prove themselves with ---


async def _email_code(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await USERS.place(actor, call, ports)
    made = await email_proof.make_email_code(
        actor, here.store, UserId(here.owner.id), digester=ports.digester, **ports.at()
    )
    return tagged({"code": made})


async def _confirm_email(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    code = call.arguments["code"]
    named = email_proof.user_of(code)
    view = await ports.deployment.user_view(named)
    if view is None or not actor.may_act_in(view.user.organisation_id):
        raise NothingThere(f"no user {named!r}")
    store = ports.deployment.organisation_store(view.user.organisation_id)
    return USERS.facts(
        await email_proof.confirm_email(actor, store, code, digester=ports.digester, **ports.at())
    )


async def _password(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await USERS.place(actor, call, ports)
    made = await passwords.set_password(
        actor,
        here.store,
        UserId(here.owner.id),
        call.arguments["password"],
        dialects=ports.takers(CredentialKind.PASSWORD),
        passwords=ports.passwords,
        **ports.at(),
    )
    return PASSWORDS.facts(here, made, ports)


async def _enrol_totp(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await USERS.place(actor, call, ports)
    made = await second_factor.enrol_totp(
        actor,
        here.store,
        UserId(here.owner.id),
        call.arguments.get("name", "device"),
        issuer=here.organisation.name,
        sealer=ports.sealer,
        **ports.at(),
    )
    return tagged({"id": made.device.id, "seed": made.seed, "uri": made.uri})


async def _confirm_totp(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await USERS.place(actor, call, ports)
    device, codes = await second_factor.confirm_totp(
        actor,
        here.store,
        UserId(here.owner.id),
        call.arguments["code"],
        sealer=ports.sealer,
        digester=ports.digester,
        **ports.at(),
    )
    return {**DEVICES.facts(here, device, ports), "recovery_codes": codes}


async def _renew_codes(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await USERS.place(actor, call, ports)
    codes = await second_factor.renew_recovery_codes(
        actor, here.store, UserId(here.owner.id), digester=ports.digester, **ports.at()
    )
    return tagged({"recovery_codes": codes})


async def _reset_totp(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await USERS.place(actor, call, ports)
    device = await second_factor.remove_totp(actor, here.store, UserId(here.owner.id), **ports.at())
    return DEVICES.facts(here, device, ports)


async def _clear_lockout(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    store = ports.inside(await organisation_of(actor, call, ports))
    named = call.arguments["user_name"]
    cleared = await lockout.clear_lockout(actor, store, ports.lockout, named, **ports.at())
    return tagged({"user_name": cleared})


# --- user keys ---


async def _create_key(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here, wanted = await USERS.place(actor, call, ports), call.arguments
    made = await user_keys.create_user_key(
        actor,
        here.store,
        UserId(here.owner.id),
        wanted.get("name", "key"),
        dialects=ports.chosen(CredentialKind.USER_KEY, wanted.get("dialects", ())),
        digester=ports.digester,
        expires_at=wanted.get("expires_at"),
        **ports.at(),
    )
    return KEYS.told(here, made, ports)


async def _rotate_key(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await USERS.place(actor, call, ports)
    found = await KEYS.find(here, call)
    made = await user_keys.rotate_user_key(
        actor,
        here.store,
        found.id,
        overlap_of(call.arguments),
        expires_at=call.arguments.get("expires_at"),
        digester=ports.digester,
        **ports.at(),
    )
    return KEYS.told(here, made, ports)


VERBS: dict[str, AdminVerb] = {
    "admin.users.list": USERS.listing(users.list_users, users.page_users),
    "admin.users.create": _create,
    "admin.users.show": USERS.show,
    "admin.users.change": _change,
    "admin.users.disable": USERS.doing(users.disable_user),
    "admin.users.enable": USERS.doing(users.enable_user),
    "admin.users.logout": USERS.doing(users.log_out_everywhere),
    "admin.users.end": _end,
    "admin.users.email_code": _email_code,
    "admin.users.confirm_email": _confirm_email,
    "admin.users.password": _password,
    "admin.totp.list": DEVICES.listing(second_factor.list_totp),
    "admin.totp.enrol": _enrol_totp,
    "admin.totp.confirm": _confirm_totp,
    "admin.totp.renew_codes": _renew_codes,
    "admin.totp.reset": _reset_totp,
    "admin.lockouts.clear": _clear_lockout,
    "admin.user_keys.list": KEYS.listing(user_keys.list_user_keys),
    "admin.user_keys.create": _create_key,
    "admin.user_keys.rotate": _rotate_key,
    **KEYS.verbs("user_keys"),
}
