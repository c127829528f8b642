"""Projects: what roles permit and teams let see.

Operators and callers with a token come by the same verbs; what a caller is told is a refusal of the core, so
that a dialect can say it in its contract's words. A role permits, a team lets see, and neither replaces the
other: a user sees the projects of their teams and of all below, and those that are open to everybody.
"""

from collections.abc import Callable, Iterable
from datetime import datetime

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.changes import Add, Change, Lost, Replace, RequireVersion
from keyturn.core.errors import Conflict, InsufficientScope, InvalidRequest, NotFound, OperatorError
from keyturn.core.identifiers import uuid7
from keyturn.core.records import AuditEvent, Project
from keyturn.core.secret import Dice
from keyturn.core.store_ports import OrganisationStore
from keyturn.core.vocabulary import (
    PROJECTS_CHANGE,
    PROJECTS_CREATE,
    PROJECTS_DELETE,
    PROJECTS_VIEW,
    ProjectId,
    Reason,
    TeamId,
)
from keyturn.directory.events import attempt, told
from keyturn.directory.names import check_name
from keyturn.directory.team_tree import TeamTree


class ProjectSight(msgspec.Struct, frozen=True):
    """A project as it is shown, with the paths of its teams."""

    project: Project
    teams: tuple[str, ...]


class ProjectPage(msgspec.Struct, frozen=True):
    """Some of the projects that a caller sees, and how many there are in all."""

    projects: tuple[ProjectSight, ...]
    total: int


async def list_projects(
    actor: Actor,
    store: OrganisationStore,
    *,
    name: str | None = None,
    descending: bool = False,
    offset: int = 0,
    limit: int | None = None,
) -> ProjectPage:
    """List the projects that an actor sees, sorted by name.

    Args:
        name: Only the one of exactly that name.

    Raises:
        InsufficientScope: The actor's roles do not permit it.
    """
    tree = await _enter(actor, store, PROJECTS_VIEW)
    sees = _sight(actor, tree)
    found = [each for each in await store.projects() if sees(each) and name in (None, each.name)]
    found.sort(key=lambda each: (each.name.casefold(), each.name), reverse=descending)
    end = None if limit is None else offset + limit
    shown = tuple(ProjectSight(each, tree.paths(each.teams)) for each in found[offset:end])
    return ProjectPage(shown, len(found))


async def show_project(actor: Actor, store: OrganisationStore, project_id: ProjectId) -> ProjectSight:
    """Show one project.

    Raises:
        InsufficientScope: The actor's roles do not permit it.
        NotFound: There is none by that id, or none that the actor sees: the same answer.
    """
    tree = await _enter(actor, store, PROJECTS_VIEW)
    project = await _visible(actor, store, tree, project_id)
    return ProjectSight(project, tree.paths(project.teams))


async def create_project(
    actor: Actor,
    store: OrganisationStore,
    name: str,
    teams: Iterable[str] | None = None,
    *,
    open_to_all: bool = False,
    now: datetime,
    dice: Dice,
) -> ProjectSight:
    """Make a project.

    Args:
        teams: Paths or ids; None for the caller's own teams, so that a caller sees what they have made.

    Raises:
        InsufficientScope: The actor's roles do not permit it.
        InvalidRequest: The name is not acceptable, or the actor sees no such team.
        Conflict: The name is taken.
    """
    tree = await _enter(actor, store, PROJECTS_CREATE)
    own = () if actor.membership is None else actor.membership.teams
    project = Project(
        id=ProjectId(uuid7(now, dice)),
        organisation_id=store.organisation_id,
        name=_accept(name),
        created_at=now,
        teams=own if teams is None else _find_teams(actor, tree, teams),
        open=open_to_all,
    )
    await _require_free(store, project)
    event = _event("created", actor, project, now, dice, {"name": project.name})
    await _carry(store, event, Add(project))
    return ProjectSight(project, tree.paths(project.teams))


async def change_project(
    actor: Actor,
    store: OrganisationStore,
    project_id: ProjectId,
    *,
    name: str | None = None,
    teams: Iterable[str] | None = None,
    open_to_all: bool | None = None,
    now: datetime,
    dice: Dice,
) -> ProjectSight:
    """Give a project another name or other teams, open or close it; None keeps what is.

    Raises:
        InsufficientScope: The actor's roles do not permit it.
        NotFound: There is none by that id, or none that the actor sees.
        InvalidRequest: The name is not acceptable, or the actor sees no such team.
        Conflict: The name is taken, or somebody else changed the project in the same moment.
    """
    tree = await _enter(actor, store, PROJECTS_CHANGE)
    project = await _visible(actor, store, tree, project_id)
    changed = msgspec.structs.replace(
        project,
        name=project.name if name is None else _accept(name),
        teams=project.teams if teams is None else _find_teams(actor, tree, teams),
        open=project.open if open_to_all is None else open_to_all,
    )
    if changed != project:
        await _require_free(store, changed)
        changed = msgspec.structs.replace(changed, version=project.version + 1)
        event = _event("changed", actor, project, now, dice, {"name": changed.name})
        await _carry(store, event, Replace(changed, project.version))
    return ProjectSight(changed, tree.paths(changed.teams))


async def delete_project(
    actor: Actor, store: OrganisationStore, project_id: ProjectId, *, now: datetime, dice: Dice
) -> None:
    """Delete a project; its name is free again, its id is not.

    Raises:
        InsufficientScope: The actor's roles do not permit it.
        NotFound: There is none by that id, or none that the actor sees.
        Conflict: Somebody else changed it in the same moment.
    """
    tree = await _enter(actor, store, PROJECTS_DELETE)
    project = await _visible(actor, store, tree, project_id)
    ended = msgspec.structs.replace(project, ended_at=now, version=project.version + 1)
    await _carry(store, _event("deleted", actor, project, now, dice, {}), Replace(ended, project.version))


async def _enter(actor: Actor, store: OrganisationStore, permission: str) -> TeamTree:
    """Let an actor in whose roles permit something, and read the teams by which the rest is judged."""
    if not actor.may_act_in(store.organisation_id):
        raise NotFound(Reason.OTHER_ORGANISATION, "no such organisation")
    if not actor.may(permission):
        raise InsufficientScope(Reason.PERMISSION_MISSING, "your roles do not permit this")
    return TeamTree(await store.teams())


def _sight(actor: Actor, tree: TeamTree) -> Callable[[Project], bool]:
    """Say which projects an actor sees; no role plays a part in it."""
    if actor.permissions is None:
        return lambda _project: True
    reach = _reach(actor, tree)
    return lambda project: project.open or not reach.isdisjoint(project.teams)


def _reach(actor: Actor, tree: TeamTree) -> frozenset[TeamId]:
    return frozenset() if actor.membership is None else tree.below(actor.membership.teams)


async def _visible(actor: Actor, store: OrganisationStore, tree: TeamTree, project_id: ProjectId) -> Project:
    project = await store.project(project_id)
    if project is None or project.ended_at is not None or not _sight(actor, tree)(project):
        raise NotFound(Reason.NOT_VISIBLE, "no such project")
    return project


def _find_teams(actor: Actor, tree: TeamTree, names: Iterable[str]) -> tuple[TeamId, ...]:
    """Find teams by path or id; one that the actor is neither in nor above is not there for them."""
    found = [(name, tree.find(name)) for name in names]
    reach = None if actor.permissions is None else _reach(actor, tree)
    kept: dict[TeamId, None] = {}
    for name, team in found:
        if team is None or (reach is not None and team.id not in reach):
            raise InvalidRequest(Reason.FIELD_INVALID, f"no team {name[:100]!r}")
        kept[team.id] = None
    return tuple(kept)


def _accept(name: str) -> str:
    try:
        return check_name(name)
    except OperatorError as error:
        raise InvalidRequest(Reason.FIELD_INVALID, str(error)) from None


async def _require_free(store: OrganisationStore, project: Project) -> None:
    if any(each.name == project.name and each.id != project.id for each in await store.projects()):
        raise _taken()


def _taken() -> Conflict:
    return Conflict(Reason.NAME_TAKEN, "there is a project of that name already")


def _event(
    what: str, actor: Actor, project: Project, now: datetime, dice: Dice, personal: dict[str, str]
) -> AuditEvent:
    return told(
        f"project.{what}",
        actor,
        project.organisation_id,
        project.id,
        now=now,
        dice=dice,
        personal=personal,
    )


async def _carry(store: OrganisationStore, event: AuditEvent, change: Change) -> None:
    match await attempt(store, event, change):
        case None:
            return
        case Lost(change=Replace(), winner=Project() as winner) if winner.id != event.subject:
            raise _taken()
        case Lost(change=Replace() | RequireVersion()):
            raise Conflict(Reason.LOST_RACE, "the project was changed in the same moment")
        case _:
            raise _taken()
