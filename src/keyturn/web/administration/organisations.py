"""Administrators' verbs about admin tokens, organisations and their settings."""

from collections.abc import Iterator

from keyturn.core.actors import Actor
from keyturn.core.admin_facts import RESOURCES
from keyturn.core.admin_records import BASE, AdminToken
from keyturn.core.errors import NothingThere, NotPermitted, OperatorError
from keyturn.core.profile import TokenProfile
from keyturn.core.records import Organisation
from keyturn.core.requests import Call
from keyturn.core.secret import Secret
from keyturn.core.secret_policy import GROUP
from keyturn.core.vocabulary import AdminTokenId
from keyturn.directory import admin_tokens, deletion, organisations
from keyturn.directory.admin_tokens import AdminTokenWish
from keyturn.directory.dialect_settings import SettingTable, SettingTables, find_setting
from keyturn.directory.lifetimes import require_keys_outlive
from keyturn.directory.policy_settings import POLICY_SETTINGS
from keyturn.web.administration.ground import (
    AdminPorts,
    AdminVerb,
    Facts,
    find_organisation,
    organisation_of,
    path_in,
    record_facts,
    tagged,
)
from keyturn.web.administration.owners import ENDED
from keyturn.web.administration.pages import page_of
from keyturn.wire.configure import profiles


def _token(token: AdminToken) -> Facts:
    return record_facts(token, RESOURCES["admin_token"])


def _told(token: AdminToken, secret: Secret) -> Facts:
    return tagged({**_token(token), "token": secret}, f"{BASE}/admin-tokens/{token.id}")


async def _setup(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    name = call.arguments.get("name", "first administrator")
    token, secret = await admin_tokens.exchange_setup_token(
        actor, ports.wide(), name, digester=ports.digester, **ports.at()
    )
    return _told(token, secret)


async def _list_tokens(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    found = await admin_tokens.list_admin_tokens(actor, ports.deployment)
    return page_of(map(_token, found), actor, call, ports.digester)


async def _create_token(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    wanted = call.arguments
    organisation_id = actor.organisation_id
    if "organisation" in wanted:
        organisation_id = (await find_organisation(actor, wanted["organisation"], ports)).id
    wish = AdminTokenWish(
        name=wanted["name"],
        scopes=wanted["scopes"],
        organisation_id=organisation_id,
        expires_at=wanted.get("expires_at"),
    )
    token, secret = await admin_tokens.create_admin_token(
        actor, ports.wide(organisation_id), wish, digester=ports.digester, **ports.at()
    )
    return _told(token, secret)


async def _show_token(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    token_id = AdminTokenId(call.arguments["admin_token"])
    return tagged(_token(await admin_tokens.show_admin_token(actor, ports.deployment, token_id)))


async def _end_token(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    token_id = AdminTokenId(call.arguments["admin_token"])
    why = call.arguments.get("why", ENDED)
    ended = await admin_tokens.end_admin_token(actor, ports.deployment, token_id, why, **ports.at())
    return tagged(_token(ended))


# --- organisations ---


def _organisation(organisation: Organisation) -> Facts:
    return record_facts(organisation, RESOURCES["organisation"])


async def _list_organisations(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    found = await organisations.list_organisations(actor, ports.deployment)
    return page_of(map(_organisation, found), actor, call, ports.digester)


async def _create_organisation(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    wanted = call.arguments
    made = await organisations.create_organisation(
        actor, ports.wide(), wanted["slug"], wanted["name"], **ports.at()
    )
    return tagged(_organisation(made), path_in(made))


async def _show_organisation(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    return tagged(_organisation(await organisation_of(actor, call, ports)))


async def _change_organisation(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    found = await organisation_of(actor, call, ports)
    ports = ports.for_version(call, "organisation", found)
    name = call.arguments.get("name", found.name)
    changed = await organisations.rename_organisation(
        actor, ports.wide(found.id), found.slug, name, **ports.at()
    )
    return tagged(_organisation(changed))


async def _disable_organisation(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    found = await _as_deployment(actor, call, ports)
    changed = await organisations.disable_organisation(actor, ports.deployment, found.slug, **ports.at())
    return tagged(_organisation(changed))


async def _enable_organisation(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    found = await _as_deployment(actor, call, ports)
    changed = await organisations.enable_organisation(actor, ports.deployment, found.slug, **ports.at())
    return tagged(_organisation(changed))


async def _delete_organisation(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    found = await organisation_of(actor, call, ports)
    done = await deletion.delete_organisation(actor, ports.deployment, found.slug, **ports.at())
    facts = {"records_erased": done.records, "complete": done.wiped}
    return tagged({**_organisation(done.organisation), **facts})


async def _show_deletion(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    found = await organisation_of(actor, call, ports)
    deletion_ = await deletion.show_deletion(actor, ports.deployment, found.slug)
    return {**record_facts(deletion_, RESOURCES["deletion"]), "id": found.id, "slug": found.slug}


async def _as_deployment(actor: Actor, call: Call, ports: AdminPorts) -> Organisation:
    """Find an organisation for an operator of the deployment: its own tokens would be dead at once."""
    found = await organisation_of(actor, call, ports)
    if actor.organisation_id is not None:
        raise NotPermitted("only an operator of the deployment disables and enables organisations")
    return found


# --- settings ---


def _tables(ports: AdminPorts) -> SettingTables:
    return {GROUP: POLICY_SETTINGS, **{name: each.settings for name, each in ports.dialects.items()}}


def _settings(organisation: Organisation, ports: AdminPorts) -> Iterator[Facts]:
    for owner, tables in _tables(ports).items():
        for table in tables:
            if table.scope == "organisation":
                yield _setting(organisation, owner, table)


def _setting(organisation: Organisation, owner: str, table: SettingTable) -> Facts:
    own = organisation.settings.get(owner, {})
    return {
        "name": f"{owner}.{table.name}",
        "kind": table.kind,
        "help": table.help,
        "value": own.get(table.name, table.default),
        "default": table.default,
        "own": table.name in own,
        "minimum": table.minimum,
        "maximum": table.maximum,
        "choices": table.choices,
    }


def _setting_of(organisation: Organisation, call: Call, ports: AdminPorts) -> Facts:
    name = call.arguments["setting"]
    for facts in _settings(organisation, ports):
        if facts["name"] == name:
            return facts
    owner, _, last = name.partition(".")
    try:
        find_setting(_tables(ports), owner, last, "organisation")
    except OperatorError as error:
        raise NothingThere(str(error)) from None
    raise NothingThere(f"no setting {name!r}")


async def _list_settings(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    found = await organisation_of(actor, call, ports)
    return page_of(_settings(found, ports), actor, call, ports.digester, key="name")


async def _show_setting(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    return tagged(_setting_of(await organisation_of(actor, call, ports), call, ports))


async def _change_setting(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    found = await organisation_of(actor, call, ports)
    setting, value = _setting_of(found, call, ports)["name"], call.arguments.get("value")
    every: list[TokenProfile] = [*profiles(ports.dialects).values()]
    told = None if value is None else str(value)
    await require_keys_outlive(ports.rings, found.id, every, setting, told, ports.clock.now())
    changed = await organisations.change_organisation_setting(
        actor, ports.deployment, found.slug, setting, value, tables=_tables(ports), **ports.at()
    )
    return tagged(_setting_of(changed, call, ports))


VERBS: dict[str, AdminVerb] = {
    "admin.setup": _setup,
    "admin.admin_tokens.list": _list_tokens,
    "admin.admin_tokens.create": _create_token,
    "admin.admin_tokens.show": _show_token,
    "admin.admin_tokens.end": _end_token,
    "admin.organisations.list": _list_organisations,
    "admin.organisations.create": _create_organisation,
    "admin.organisations.show": _show_organisation,
    "admin.organisations.change": _change_organisation,
    "admin.organisations.disable": _disable_organisation,
    "admin.organisations.enable": _enable_organisation,
    "admin.organisations.delete": _delete_organisation,
    "admin.organisations.deletion": _show_deletion,
    "admin.settings.list": _list_settings,
    "admin.settings.show": _show_setting,
    "admin.settings.change": _change_setting,
    "admin.settings.reset": _change_setting,
}
