"""Teams: a tree in each organisation, which decides with roles what a user sees.

A change below a team raises that team's version, so that of two operators one wins who would make a circle or
leave a team under one that has ended.
"""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.changes import Add, Change, Replace, RequireVersion
from keyturn.core.errors import Clash, OperatorError
from keyturn.core.identifiers import uuid7
from keyturn.core.records import Membership, Project, Team
from keyturn.core.secret import Dice
from keyturn.core.store_ports import OrganisationStore
from keyturn.core.vocabulary import TeamId
from keyturn.directory.events import carry_out, told
from keyturn.directory.owners import change, check_reach, living_organisation, raise_version
from keyturn.directory.people_names import check_team_name
from keyturn.directory.team_tree import TeamTree

MAX_DEPTH = 32


async def create_team(
    actor: Actor, store: OrganisationStore, name: str, parent: str | None = None, *, now: datetime, dice: Dice
) -> Team:
    """Make a team, at the root or under a parent (its path or id).

    Raises:
        OperatorError: The name is not acceptable or taken there, there is no such parent, or it is too deep.
    """
    organisation = await living_organisation(actor, store)
    tree = await read_tree(actor, store)
    above = _find(tree, parent) if parent is not None else None
    team = Team(
        id=TeamId(uuid7(now, dice)),
        organisation_id=organisation.id,
        name=check_team_name(name),
        created_at=now,
        parent_id=above.id if above else None,
    )
    _check_place(tree, team, above)
    event = told(
        "team.created", actor, organisation.id, team.id, now=now, dice=dice, personal={"name": team.name}
    )
    held = [raise_version(above)] if above else []
    await carry_out(store, event, *held, Add(team), taken=_taken(name))
    return team


async def read_tree(actor: Actor, store: OrganisationStore) -> TeamTree:
    """Read an organisation's living teams."""
    check_reach(actor, store)
    return TeamTree(await store.teams())


async def show_team(actor: Actor, store: OrganisationStore, name: str) -> Team:
    """Show a living team, by path or id.

    Raises:
        OperatorError: There is none, or none for this actor.
    """
    return _find(await read_tree(actor, store), name)


async def rename_team(
    actor: Actor, store: OrganisationStore, team: str, name: str, *, now: datetime, dice: Dice
) -> Team:
    """Give a team another name; what it is assigned to stays."""
    tree = await read_tree(actor, store)
    found = _find(tree, team)
    renamed = msgspec.structs.replace(found, name=check_team_name(name))
    above = next((each for each in tree.upwards(found.parent_id)), None)
    _check_place(tree, renamed, above)
    return await change(actor, store, found, {"name": name}, taken=_taken(name), now=now, dice=dice)


async def move_team(
    actor: Actor, store: OrganisationStore, team: str, parent: str | None, *, now: datetime, dice: Dice
) -> Team:
    """Put a team, with all below it, under another parent or at the root (None).

    Raises:
        OperatorError: The parent is the team itself or below it, or has a team of that name.
    """
    tree = await read_tree(actor, store)
    found = _find(tree, team)
    above = _find(tree, parent) if parent is not None else None
    lineage = [*tree.upwards(above.id)] if above else []
    if any(each.id == found.id for each in lineage):
        raise OperatorError("a team cannot be put under itself or a team below it")
    _check_place(tree, msgspec.structs.replace(found, parent_id=above.id if above else None), above)
    # The whole line above stays as it was read: two moves at once could close a circle.
    held: list[Change] = [RequireVersion("team", each.id, each.version) for each in lineage[1:]]
    held += [raise_version(above)] if above else []
    wanted = {"parent_id": above.id if above else None}
    return await change(actor, store, found, wanted, *held, taken=_taken(found.name), now=now, dice=dice)


async def end_team(actor: Actor, store: OrganisationStore, team: str, *, now: datetime, dice: Dice) -> Team:
    """End a team that has none below it; its members and projects lose it.

    Raises:
        OperatorError: There is no such team, or there are teams below it.
    """
    tree = await read_tree(actor, store)
    found = _find(tree, team)
    if tree.children(found.id):
        raise Clash(f"there are teams below {tree.path(found.id)!r}; move or end them first")
    changed = msgspec.structs.replace(found, ended_at=now, version=found.version + 1)
    losers = [*_without(found.id, await store.memberships()), *_without(found.id, await store.projects())]
    event = told(
        "team.ended",
        actor,
        found.organisation_id,
        found.id,
        now=now,
        dice=dice,
        details={"unassigned": str(len(losers))},
    )
    await carry_out(store, event, Replace(changed, found.version), *losers)
    return changed


def _without(team_id: TeamId, holders: Iterable[Membership | Project]) -> list[Replace]:
    return [
        Replace(
            msgspec.structs.replace(
                each, teams=tuple(kept for kept in each.teams if kept != team_id), version=each.version + 1
            ),
            each.version,
        )
        for each in holders
        if team_id in each.teams
    ]


def _find(tree: TeamTree, name: str) -> Team:
    team = tree.find(name)
    if team is None:
        raise OperatorError(f"no team {name!r}")
    return team


def _check_place(tree: TeamTree, team: Team, above: Team | None) -> None:
    siblings = tree.children(above.id if above else None)
    if any(each.id != team.id and each.name.casefold() == team.name.casefold() for each in siblings):
        raise Clash(_taken(team.name))
    if above is not None and len([*tree.upwards(above.id)]) + _height(tree, team.id) > MAX_DEPTH:
        raise OperatorError(f"teams are at most {MAX_DEPTH} deep")


def _height(tree: TeamTree, team_id: TeamId) -> int:
    return 1 + max((_height(tree, each.id) for each in tree.children(team_id)), default=0)


def _taken(name: str) -> str:
    return f"there is a team {name!r} at that place already"
