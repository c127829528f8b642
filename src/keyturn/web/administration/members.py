"""Administrators' verbs about memberships, roles and API tokens."""

from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta

from keyturn.core.actors import Actor
from keyturn.core.admin_facts import RESOURCES
from keyturn.core.errors import NothingThere
from keyturn.core.records import Credential, Membership, Organisation, User
from keyturn.core.requests import Call
from keyturn.core.secret import Secret
from keyturn.core.store_ports import OrganisationStore
from keyturn.core.vocabulary import CredentialId, CredentialKind, UserId
from keyturn.directory import api_tokens, credentials, memberships
from keyturn.directory.api_tokens import ApiTokenWish
from keyturn.directory.team_tree import TeamTree
from keyturn.web.administration.ground import (
    AdminPorts,
    AdminVerb,
    Facts,
    credential_facts,
    made_facts,
    organisation_of,
    path_in,
    record_facts,
    require_scope_of,
    tagged,
)
from keyturn.web.administration.owners import ENDED
from keyturn.web.administration.pages import page_of


async def _member(actor: Actor, membership: Membership, ports: AdminPorts) -> Facts:
    tree = TeamTree(await ports.deployment.organisation_store(membership.organisation_id).teams())
    view = await ports.deployment.user_view(membership.user_id)
    return _shown_member(actor, membership, None if view is None else view.user, tree)


def _shown_member(actor: Actor, membership: Membership, user: User | None, tree: TeamTree) -> Facts:
    """Show a membership; who a guest is, only to whom the guest's home is there for too (TN-02)."""
    known = user if user is not None and actor.may_act_in(user.organisation_id) else None
    facts = {
        **record_facts(membership, RESOURCES["membership"]),
        "team_paths": tree.paths(membership.teams),
        "at_home": user is not None and user.organisation_id == membership.organisation_id,
        "user_name": None if known is None else known.name,
        "user_email": None if known is None else known.email,
    }
    return tagged(facts)


def _roles(ports: AdminPorts) -> Iterator[Facts]:
    for name, dialect in ports.dialects.items():
        for role in dialect.roles:
            yield {"name": f"{name}:{role.name}", "title": role.title, "permissions": role.permissions}


async def _list_roles(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    await organisation_of(actor, call, ports)
    return page_of(_roles(ports), actor, call, ports.digester, key="name")


async def _list(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    store = ports.inside(await organisation_of(actor, call, ports))
    tree, found = TeamTree(await store.teams()), await memberships.list_members(actor, store)
    users = {each.id: each for each in await store.users()}
    for guest in (each.user_id for each in found if each.user_id not in users):
        if (view := await ports.deployment.user_view(guest)) is not None:
            users[guest] = view.user
    shown = (_shown_member(actor, each, users.get(each.user_id), tree) for each in found)
    return page_of(shown, actor, call, ports.digester)


async def _create(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    organisation, wanted = await organisation_of(actor, call, ports), call.arguments
    made = await memberships.add_member(
        actor,
        ports.wide(organisation.id),
        organisation.id,
        wanted["user"],
        role_names=wanted.get("roles", ()),
        team_names=wanted.get("teams", ()),
        roles=ports.roles(),
        **ports.at(),
    )
    facts = await _member(actor, made, ports)
    return tagged(facts, path_in(organisation, "members", made.user_id))


async def _show(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    store = ports.inside(await organisation_of(actor, call, ports))
    found = await memberships.show_member(actor, store, UserId(call.arguments["user"]))
    return await _member(actor, found, ports)


async def _change(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    organisation, wanted = await organisation_of(actor, call, ports), call.arguments
    user_id = UserId(wanted["user"])
    found = await memberships.show_member(actor, ports.inside(organisation), user_id)
    changed = await memberships.change_member(
        actor,
        ports.for_version(call, "membership", found).inside(organisation),
        user_id,
        role_names=wanted.get("roles"),
        team_names=wanted.get("teams"),
        roles=ports.roles(),
        **ports.at(),
    )
    return await _member(actor, changed, ports)


def _doing(do: Callable[..., Awaitable[Membership]]) -> AdminVerb:
    """Make the verb that does something to a membership."""

    async def act(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
        store = ports.inside(await organisation_of(actor, call, ports))
        changed = await do(actor, store, UserId(call.arguments["user"]), **ports.at())
        return await _member(actor, changed, ports)

    return act


# --- API tokens ---


def _shown(organisation: Organisation, credential: Credential, ports: AdminPorts) -> Facts:
    return credential_facts(credential, organisation, ports.clock.now())


def _told(organisation: Organisation, made: tuple[Credential, Secret], ports: AdminPorts) -> Facts:
    return made_facts(made, organisation, path_in(organisation, "api-tokens"), ports.clock.now())


async def _list_tokens(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    organisation = await organisation_of(actor, call, ports)
    owner: str = call.arguments["owner"]
    await require_scope_of(owner, "read", actor, ports.inside(organisation))
    found = await api_tokens.list_api_tokens(actor, ports.deployment, organisation.id, owner)
    return page_of((_shown(organisation, each, ports) for each in found), actor, call, ports.digester)


async def _create_token(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    organisation, wanted = await organisation_of(actor, call, ports), call.arguments
    lifetime = wanted.get("lifetime_seconds")
    await require_scope_of(wanted["owner"], "write", actor, ports.inside(organisation))
    wish = ApiTokenWish(
        name=wanted["name"],
        owner_id=wanted["owner"],
        dialects=ports.chosen(CredentialKind.API_TOKEN, wanted.get("dialects", ())),
        roles=wanted.get("roles"),
        scopes=wanted.get("scopes"),
        mfa=wanted.get("mfa", False),
        lifetime=None if lifetime is None else timedelta(seconds=lifetime),
    )
    made = await api_tokens.create_api_token(
        actor, ports.wide(organisation.id), organisation.id, wish, digester=ports.digester, **ports.at()
    )
    return _told(organisation, made, ports)


async def _token(actor: Actor, store: OrganisationStore, call: Call, what: str) -> Credential:
    token_id = CredentialId(call.arguments["api_token"])
    found = await store.credential(token_id)
    if found is None or found.kind is not CredentialKind.API_TOKEN:
        raise NothingThere(f"no API token {token_id!r}")
    await require_scope_of(found.owner_id, what, actor, store)
    return found


async def _show_token(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    organisation = await organisation_of(actor, call, ports)
    found = await _token(actor, ports.inside(organisation), call, "read")
    return tagged(_shown(organisation, found, ports))


async def _regenerate_token(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    organisation = await organisation_of(actor, call, ports)
    found = await _token(actor, ports.inside(organisation), call, "write")
    made = await api_tokens.regenerate_api_token(
        actor,
        ports.wide(organisation.id),
        organisation.id,
        found.id,
        digester=ports.digester,
        **ports.at(),
    )
    return _told(organisation, made, ports)


def _doing_to_token(do: Callable[..., Awaitable[Credential]]) -> AdminVerb:
    """Make the verb that does something to an API token."""

    async def act(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
        organisation = await organisation_of(actor, call, ports)
        store = ports.inside(organisation)
        found = await _token(actor, store, call, "write")
        return tagged(_shown(organisation, await do(actor, store, found.id, **ports.at()), ports))

    return act


async def _end_token(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    organisation = await organisation_of(actor, call, ports)
    store, why = ports.inside(organisation), call.arguments.get("why", ENDED)
    found = await _token(actor, store, call, "write")
    ended = await credentials.end_credential(actor, store, found.id, why, **ports.at())
    return tagged(_shown(organisation, ended, ports))


VERBS: dict[str, AdminVerb] = {
    "admin.roles.list": _list_roles,
    "admin.members.list": _list,
    "admin.members.create": _create,
    "admin.members.show": _show,
    "admin.members.change": _change,
    "admin.members.disable": _doing(memberships.disable_member),
    "admin.members.enable": _doing(memberships.enable_member),
    "admin.members.end": _doing(memberships.end_member),
    "admin.api_tokens.list": _list_tokens,
    "admin.api_tokens.create": _create_token,
    "admin.api_tokens.show": _show_token,
    "admin.api_tokens.regenerate": _regenerate_token,
    "admin.api_tokens.disable": _doing_to_token(credentials.disable_credential),
    "admin.api_tokens.enable": _doing_to_token(credentials.enable_credential),
    "admin.api_tokens.end": _end_token,
}
