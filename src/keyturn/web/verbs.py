"""What a call with a bearer token does: names of operations in tables, bound to verbs of the directory.

A verb takes the Actor, checks and audits; here its arguments are taken out of a call's slots, and what it
returns becomes the facts that an answer may show (``core/shapes.py``, ``OPERATION_FACTS``).
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.clock import Clock
from keyturn.core.errors import Fault, NotFound
from keyturn.core.ports import Digester, Sealer
from keyturn.core.records import Client, Organisation, User
from keyturn.core.requests import Call
from keyturn.core.secret import Dice
from keyturn.core.shapes import CALLER_FACTS
from keyturn.core.store_ports import DeploymentStore, OrganisationStore
from keyturn.core.vocabulary import EntityId, ProjectId, Reason, TeamId
from keyturn.directory import projects, secrets
from keyturn.directory.callers import own_organisation, own_organisations
from keyturn.directory.projects import ProjectSight
from keyturn.directory.secrets import ReadableSecret

Facts = dict[str, Any]


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """What verbs work with."""

    deployment: DeploymentStore
    sealer: Sealer
    digester: Digester
    clock: Clock
    dice: Dice

    def store_of(self, actor: Actor) -> OrganisationStore:
        """Give the rows of the one organisation that a caller's token is for."""
        if actor.organisation_id is None:
            raise Fault("a token of no organisation")
        return self.deployment.organisation_store(actor.organisation_id)

    def common(self) -> dict[str, Any]:
        """Give what every verb takes that writes."""
        return {"now": self.clock.now(), "dice": self.dice}


async def _list_projects(actor: Actor, call: Call, ports: Ports) -> Facts:
    wanted = call.arguments
    page = await projects.list_projects(
        actor,
        ports.store_of(actor),
        name=wanted.get("name"),
        offset=wanted.get("offset", 0),
        limit=wanted.get("limit"),
    )
    if "name" not in wanted:
        listed = [_project(sight) for sight in page.projects]
        return {"projects": listed, "total": page.total}
    if not page.projects:
        raise NotFound(Reason.NOT_VISIBLE, "no such project")
    return _flat(page.projects[0])


async def _show_project(actor: Actor, call: Call, ports: Ports) -> Facts:
    return _flat(await projects.show_project(actor, ports.store_of(actor), _project_id(call)))


async def _create_project(actor: Actor, call: Call, ports: Ports) -> Facts:
    wanted, own = call.arguments, () if actor.membership is None else actor.membership.teams
    return _flat(
        await projects.create_project(
            actor,
            ports.store_of(actor),
            wanted["name"],
            wanted.get("teams"),
            open_to_all=bool(_open_to_all(wanted, own)),
            **ports.common(),
        )
    )


async def _change_project(actor: Actor, call: Call, ports: Ports) -> Facts:
    wanted = call.arguments
    return _flat(
        await projects.change_project(
            actor,
            ports.store_of(actor),
            _project_id(call),
            name=wanted.get("name"),
            teams=wanted.get("teams"),
            open_to_all=_open_to_all(wanted),
            **ports.common(),
        )
    )


async def _delete_project(actor: Actor, call: Call, ports: Ports) -> Facts:
    await projects.delete_project(actor, ports.store_of(actor), _project_id(call), **ports.common())
    return {}


def _open_to_all(wanted: Facts, own: tuple[TeamId, ...] | None = None) -> bool | None:
    """Say whether everybody sees a project: a call that does not say it says it by the teams, by having none.

    Args:
        own: The teams of a project that is made without naming any.
    """
    if "open" in wanted:
        return bool(wanted["open"])
    teams = wanted.get("teams", own)
    return None if teams is None else not teams


def _project_id(call: Call) -> ProjectId:
    return ProjectId(call.arguments["id"])


def _project(sight: ProjectSight) -> Facts:
    project = sight.project
    return {
        "id": project.id,
        "name": project.name,
        "created_at": project.created_at,
        "organisation_id": project.organisation_id,
        "teams": sight.teams,
        "open": project.open,
    }


def _flat(sight: ProjectSight) -> Facts:
    return {f"project.{name}": value for name, value in _project(sight).items()}


DEFAULT_PERIOD = "default_period"
"""The notice that a secret lives as long as is usual, because none or too long a period was asked."""


async def _read_secret(actor: Actor, call: Call, ports: Ports) -> Facts:
    wanted, store = EntityId(call.arguments["entity_id"]), ports.store_of(actor)
    return _readable(
        await secrets.read_secret(actor, store, wanted, sealer=ports.sealer, **ports.common()), ()
    )


async def _reset_secret(actor: Actor, call: Call, ports: Ports) -> Facts:
    wanted = call.arguments
    days = wanted.get("period_days")
    made = await secrets.reset_secret(
        actor,
        ports.store_of(actor),
        EntityId(wanted["entity_id"]),
        None if days is None else timedelta(days=min(days, timedelta.max.days)),
        dialects=(call.origin.dialect,),
        sealer=ports.sealer,
        digester=ports.digester,
        **ports.common(),
    )
    return _readable(made, (DEFAULT_PERIOD,) if made.by_default else ())


def _readable(told: ReadableSecret, notices: tuple[str, ...]) -> Facts:
    credential = told.credential
    return {
        "entity.id": credential.owner_id,
        "credential.id": credential.id,
        "secret": told.secret,
        "issued_at": credential.life.created_at,
        "expires_at": credential.life.expires_at,
        "notices": notices,
    }


async def _show_caller(actor: Actor, call: Call, ports: Ports) -> Facts:  # noqa: ARG001 - as any ``Verb``
    organisation = own_organisation(actor, call.arguments.get("id"))
    subject = actor.user or actor.client
    return {
        "subject": None if subject is None else subject.id,
        "roles": actor.roles,
        **_user(actor.user, actor.home),
        **_client(actor.client),
        **_organisation("home", actor.home),
        **_organisation("organisation", organisation),
    }


async def _show_organisation(actor: Actor, call: Call, ports: Ports) -> Facts:  # noqa: ARG001 - as any ``Verb``
    return _organisation("organisation", own_organisation(actor, call.arguments["id"]))


async def _list_organisations(actor: Actor, call: Call, ports: Ports) -> Facts:  # noqa: ARG001 - as any ``Verb``
    wanted = call.arguments
    limit = wanted.get("limit")
    page = own_organisations(
        actor,
        name=wanted.get("name"),
        descending=wanted.get("sort") == "-name",
        offset=wanted.get("page", 0) * (limit or 0),
        limit=limit,
    )
    listed = [{"id": each.id, "name": each.name, "slug": each.slug} for each in page.organisations]
    return {"organisations": listed, "total": page.total, "last_page": page.last}


def _user(user: User | None, home: Organisation | None) -> Facts:
    if user is None or home is None:
        return dict.fromkeys(f for f in CALLER_FACTS if f.startswith("user."))
    return {
        "user.id": user.id,
        "user.name": user.display_name,
        "user.login": user.name,
        "user.account": user.account_at(home.slug),
        "user.email": user.email,
        "user.email_verified": user.email_verified_at is not None,
        "user.given_name": user.given_name,
        "user.family_name": user.family_name,
    }


def _client(client: Client | None) -> Facts:
    return {
        "client.id": None if client is None else client.id,
        "client.name": None if client is None else client.name,
    }


def _organisation(key: str, organisation: Organisation | None) -> Facts:
    return {
        f"{key}.id": None if organisation is None else organisation.id,
        f"{key}.name": None if organisation is None else organisation.name,
        f"{key}.slug": None if organisation is None else organisation.slug,
    }


Verb = Callable[[Actor, Call, Ports], Awaitable[Facts]]

VERBS: dict[str, Verb] = {
    "projects.list": _list_projects,
    "projects.create": _create_project,
    "projects.show": _show_project,
    "projects.change": _change_project,
    "projects.delete": _delete_project,
    "secrets.read": _read_secret,
    "secrets.reset": _reset_secret,
    "caller.show": _show_caller,
    "organisations.show": _show_organisation,
    "organisations.list": _list_organisations,
}
"""Name of an operation of a route with a bearer token -> what does it.

Slots: ``id`` of a project, ``name``, ``teams`` (paths or ids), ``open``, ``offset`` and ``limit``; a table
makes ``id``, and ``name`` of a new project, required. Where a call names teams and says nothing of ``open``,
a project of no team is open to everybody and one of any team is not. Of a readable secret ``entity_id``,
required, and ``period_days``, a whole number from 1 on: how long a new one shall live. In ``caller.show`` and
``organisations.show`` ``id`` is the UUID or API key of an organisation. ``organisations.list`` goes by
``page`` (from 0) and ``limit``, ``name``, and ``sort``: ``name`` or ``-name``.
"""
