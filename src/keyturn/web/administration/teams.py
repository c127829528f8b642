"""Administrators' verbs about teams and projects."""

from keyturn.core.actors import Actor
from keyturn.core.admin_facts import RESOURCES
from keyturn.core.errors import InvalidRequest, NothingThere
from keyturn.core.records import Organisation, Team
from keyturn.core.requests import Call
from keyturn.core.vocabulary import ProjectId, Reason, TeamId
from keyturn.directory import projects, teams
from keyturn.directory.projects import ProjectSight
from keyturn.directory.team_tree import TeamTree
from keyturn.web.administration.ground import (
    AdminPorts,
    AdminVerb,
    Facts,
    organisation_of,
    path_in,
    record_facts,
    tagged,
)
from keyturn.web.administration.pages import page_of


def _team(team: Team, tree: TeamTree) -> Facts:
    return {**record_facts(team, RESOURCES["team"]), "path": tree.path(team.id)}


async def _tree(actor: Actor, organisation: Organisation, ports: AdminPorts) -> TeamTree:
    return await teams.read_tree(actor, ports.deployment.organisation_store(organisation.id))


def _find(tree: TeamTree, call: Call) -> Team:
    """Find the team that a path names, by id only: team paths hold slashes."""
    team_id = TeamId(call.arguments["team"])
    found = next((each for each in tree.in_order() if each.id == team_id), None)
    if found is None:
        raise NothingThere(f"no team {team_id!r}")
    return found


async def _list(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    tree = await _tree(actor, await organisation_of(actor, call, ports), ports)
    return page_of((_team(each, tree) for each in tree.in_order()), actor, call, ports.digester)


async def _create(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    organisation, wanted = await organisation_of(actor, call, ports), call.arguments
    made = await teams.create_team(
        actor, ports.inside(organisation), wanted["name"], wanted.get("parent"), **ports.at()
    )
    facts = _team(made, await _tree(actor, organisation, ports))
    return tagged(facts, path_in(organisation, "teams", made.id))


async def _show(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    tree = await _tree(actor, await organisation_of(actor, call, ports), ports)
    return tagged(_team(_find(tree, call), tree))


async def _change(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    organisation, wanted = await organisation_of(actor, call, ports), call.arguments
    found = _find(await _tree(actor, organisation, ports), call)
    if "name" in wanted and "parent" in wanted:
        raise InvalidRequest(Reason.FIELD_INVALID, "rename a team or move it, one after the other")
    store = ports.for_version(call, "team", found).inside(organisation)
    changed = found
    if "name" in wanted:
        changed = await teams.rename_team(actor, store, found.id, wanted["name"], **ports.at())
    elif "parent" in wanted:
        changed = await teams.move_team(actor, store, found.id, wanted["parent"], **ports.at())
    return tagged(_team(changed, await _tree(actor, organisation, ports)))


async def _end(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    organisation = await organisation_of(actor, call, ports)
    tree = await _tree(actor, organisation, ports)
    found = _find(tree, call)
    ended = await teams.end_team(actor, ports.inside(organisation), found.id, **ports.at())
    return tagged({**_team(ended, tree), "path": tree.path(found.id)})


# --- projects ---


def _project(sight: ProjectSight) -> Facts:
    facts = record_facts(sight.project, RESOURCES["project"])
    return tagged({**facts, "team_paths": sight.teams})


async def _list_projects(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    store = ports.inside(await organisation_of(actor, call, ports))
    found = await projects.list_projects(actor, store)
    return page_of(map(_project, found.projects), actor, call, ports.digester)


async def _create_project(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    organisation, wanted = await organisation_of(actor, call, ports), call.arguments
    made = await projects.create_project(
        actor,
        ports.inside(organisation),
        wanted["name"],
        wanted.get("teams", ()),
        open_to_all=wanted.get("open", False),
        **ports.at(),
    )
    return tagged(_project(made), path_in(organisation, "projects", made.project.id))


async def _found(actor: Actor, call: Call, organisation: Organisation, ports: AdminPorts) -> ProjectSight:
    project_id = ProjectId(call.arguments["project"])
    return await projects.show_project(actor, ports.inside(organisation), project_id)


async def _show_project(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    organisation = await organisation_of(actor, call, ports)
    return _project(await _found(actor, call, organisation, ports))


async def _change_project(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    organisation, wanted = await organisation_of(actor, call, ports), call.arguments
    found = (await _found(actor, call, organisation, ports)).project
    changed = await projects.change_project(
        actor,
        ports.for_version(call, "project", found).inside(organisation),
        found.id,
        name=wanted.get("name"),
        teams=wanted.get("teams"),
        open_to_all=wanted.get("open"),
        **ports.at(),
    )
    return _project(changed)


async def _delete_project(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    organisation = await organisation_of(actor, call, ports)
    found = await _found(actor, call, organisation, ports)
    await projects.delete_project(actor, ports.inside(organisation), found.project.id, **ports.at())
    return _project(found)


VERBS: dict[str, AdminVerb] = {
    "admin.teams.list": _list,
    "admin.teams.create": _create,
    "admin.teams.show": _show,
    "admin.teams.change": _change,
    "admin.teams.end": _end,
    "admin.projects.list": _list_projects,
    "admin.projects.create": _create_project,
    "admin.projects.show": _show_project,
    "admin.projects.change": _change_project,
    "admin.projects.delete": _delete_project,
}
