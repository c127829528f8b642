"""Teams: a tree without circles, with paths, and what is below a team."""

import asyncio

import pytest

from keyturn.core.actors import Actor, operator
from keyturn.core.errors import OperatorError
from keyturn.core.vocabulary import OrganisationId, TeamId
from keyturn.directory.projects import create_project
from keyturn.directory.team_tree import TeamTree
from keyturn.directory.teams import create_team, end_team, move_team, read_tree, rename_team

ALICE = operator("alice")


@pytest.fixture
async def inside(deployment):
    """An organisation with the teams /Root, /Root/A, /Root/A/B and /Other."""
    _, inside = await deployment.organisation()
    for name, parent in (("Root", None), ("A", "/Root"), ("B", "/ROOT/a"), ("Other", None)):
        await create_team(ALICE, inside, name, parent, **deployment.at)
    return inside


async def paths(inside):
    tree = await read_tree(ALICE, inside)
    return [tree.path(each.id) for each in tree.in_order()]


async def test_tree(inside):
    """A team is found by path in any letter case or by id, and below it are itself and all its own."""
    tree = await read_tree(ALICE, inside)
    assert await paths(inside) == ["/Other", "/Root", "/Root/A", "/Root/A/B"]
    a = tree.find("/ROOT/a/")
    assert tree.find(a.id) == a == tree.find("root/A")
    assert tree.paths(tree.below([a.id])) == ("/Root/A", "/Root/A/B")
    assert len(tree.below([tree.find("/Root").id])) == 3
    assert tree.below([TeamId("gone")]) == frozenset()
    assert tree.paths([TeamId("gone"), a.id]) == ("/Root/A",)
    assert tree.find("/A") is None
    assert TeamTree(()).find("/") is None


async def test_names(deployment, inside):
    """Two teams at one place never have one name, whatever its letter case; elsewhere they may."""
    for name, parent in (("a", "/Root"), ("OTHER", None)):
        with pytest.raises(OperatorError, match="already"):
            await create_team(ALICE, inside, name, parent, **deployment.at)
    await create_team(ALICE, inside, "A", "/Other", **deployment.at)
    with pytest.raises(OperatorError, match="already"):
        await move_team(ALICE, inside, "/Other/A", "/Root", **deployment.at)
    with pytest.raises(OperatorError, match="slash"):
        await create_team(ALICE, inside, "x/y", **deployment.at)
    assert (await rename_team(ALICE, inside, "/Root/A", "a", **deployment.at)).name == "a"


async def test_no_circle(deployment, inside):
    """A team cannot be moved below itself, nor can two moves at once make a circle."""
    for parent in ("/Root", "/Root/A", "/Root/A/B"):
        with pytest.raises(OperatorError, match="under itself"):
            await move_team(ALICE, inside, "/Root", parent, **deployment.at)
    moves = (("/Root/A", "/Other"), ("/Other", "/Root/A/B"))
    outcomes = await asyncio.gather(
        *(move_team(ALICE, inside, team, parent, **deployment.at) for team, parent in moves),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in outcomes) == ["Clash", "Team"]
    assert len(await paths(inside)) == 4


async def test_moved_to_the_root(deployment, inside):
    """A team takes all below it along."""
    await move_team(ALICE, inside, "/Root/A", None, **deployment.at)
    assert await paths(inside) == ["/A", "/A/B", "/Other", "/Root"]


async def test_ended(deployment, inside):
    """A team ends when there is none below it, its projects and members lose it, and its name is free."""
    with pytest.raises(OperatorError, match="teams below"):
        await end_team(ALICE, inside, "/Root/A", **deployment.at)
    user = await deployment.user(inside, teams=("/Root/A/B", "/Other"))
    made = await create_project(ALICE, inside, "P", ["/Root/A/B"], **deployment.at)
    await end_team(ALICE, inside, "/Root/A/B", **deployment.at)
    assert (await inside.project(made.project.id)).teams == ()
    assert len((await inside.membership_of(user.id)).teams) == 1
    await create_team(ALICE, inside, "B", "/Root/A", **deployment.at)


async def test_orphan_race(deployment, inside):
    """Of ending a team and making one under it at once, one loses."""
    outcomes = await asyncio.gather(
        create_team(ALICE, inside, "New", "/Other", **deployment.at),
        end_team(ALICE, inside, "/Other", **deployment.at),
        return_exceptions=True,
    )
    assert sum(isinstance(each, OperatorError) for each in outcomes) == 1


async def test_another_organisation(deployment, inside):
    """TN-02: teams are not there for an actor of another organisation."""
    stranger = Actor("user:x", OrganisationId("elsewhere"))
    for attempt in (
        create_team(stranger, inside, "X", **deployment.at),
        rename_team(stranger, inside, "/Root", "X", **deployment.at),
        move_team(stranger, inside, "/Other", "/Root", **deployment.at),
        end_team(stranger, inside, "/Other", **deployment.at),
    ):
        with pytest.raises(OperatorError, match="no such organisation"):
            await attempt
