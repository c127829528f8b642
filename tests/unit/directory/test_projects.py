"""Projects: roles permit, teams let see, and one is no substitute for the other."""

import asyncio

import pytest

from keyturn.core.actors import Actor, operator
from keyturn.core.actors import client as client_actor
from keyturn.core.errors import Conflict, InsufficientScope, InvalidRequest, NotFound
from keyturn.core.vocabulary import (
    PERMISSIONS,
    PROJECTS_VIEW,
    ClientId,
    OrganisationId,
    ProjectId,
    Reason,
)
from keyturn.directory.projects import (
    change_project,
    create_project,
    delete_project,
    list_projects,
    show_project,
)
from keyturn.directory.teams import create_team

ALICE = operator("alice")


@pytest.fixture
async def inside(deployment):
    """An organisation with three teams, a project for each, one for all and one for nobody."""
    _, inside = await deployment.organisation()
    for name, parent in (("Root", None), ("Left", "/Root"), ("Other", None)):
        await create_team(ALICE, inside, name, parent, **deployment.at)
    for name, teams in (("root", ["/Root"]), ("left", ["/Root/Left"]), ("other", ["/Other"]), ("none", [])):
        await create_project(ALICE, inside, name, teams, **deployment.at)
    await create_project(ALICE, inside, "open", [], open_to_all=True, **deployment.at)
    return inside


async def names(actor, inside, **named):
    return [each.project.name for each in (await list_projects(actor, inside, **named)).projects]


@pytest.mark.parametrize(
    ("teams", "seen"),
    [
        (("/Root",), ["left", "open", "root"]),
        (("/Root/Left",), ["left", "open"]),
        (("/Other", "/Root/Left"), ["left", "open", "other"]),
        ((), ["open"]),
    ],
)
async def test_sight(deployment, inside, teams, seen):
    """A user with every permission sees the projects of their teams, of those below, and open ones only."""
    user = await deployment.user(inside, teams=teams)
    caller = await deployment.caller(inside, user, *PERMISSIONS)
    assert await names(caller, inside) == seen
    for each in (await list_projects(ALICE, inside)).projects:
        if each.project.name in seen:
            assert (await show_project(caller, inside, each.project.id)) == each
            continue
        for attempt in (
            show_project(caller, inside, each.project.id),
            change_project(caller, inside, each.project.id, name="x", **deployment.at),
            delete_project(caller, inside, each.project.id, **deployment.at),
        ):
            with pytest.raises(NotFound) as caught:
                await attempt
            assert caught.value.reason is Reason.NOT_VISIBLE


async def test_permissions(deployment, inside):
    """A viewer reads and writes nothing, who has no role does not even read, and a client has no roles."""
    user = await deployment.user(inside, teams=("/Root",))
    viewer = await deployment.caller(inside, user, PROJECTS_VIEW)
    seen = (await list_projects(viewer, inside)).projects[0].project
    for attempt in (
        create_project(viewer, inside, "mine", **deployment.at),
        change_project(viewer, inside, seen.id, name="x", **deployment.at),
        delete_project(viewer, inside, seen.id, **deployment.at),
        list_projects(await deployment.caller(inside, user), inside),
        list_projects(client_actor(ClientId("c"), inside.organisation_id), inside),
    ):
        with pytest.raises(InsufficientScope) as caught:
            await attempt
        assert caught.value.reason is Reason.PERMISSION_MISSING


async def test_pages(inside):
    """A list is sorted by name, either way, and cut after it was counted."""
    assert await names(ALICE, inside) == ["left", "none", "open", "other", "root"]
    assert await names(ALICE, inside, descending=True, limit=2) == ["root", "other"]
    page = await list_projects(ALICE, inside, offset=1, limit=2)
    assert ([each.project.name for each in page.projects], page.total) == (["none", "open"], 5)
    assert await names(ALICE, inside, name="left") == ["left"]
    assert await names(ALICE, inside, name="Left") == []


async def test_created(deployment, inside):
    """A caller's project is for their teams unless they name some they are in or above."""
    user = await deployment.user(inside, teams=("/Root",))
    caller = await deployment.caller(inside, user, *PERMISSIONS)
    made = await create_project(caller, inside, "mine", **deployment.at)
    assert made.teams == ("/Root",)
    assert (await create_project(caller, inside, "low", ["/ROOT/left"], **deployment.at)).teams == (
        "/Root/Left",
    )
    for teams in (["/Other"], ["/Nowhere"]):
        with pytest.raises(InvalidRequest):
            await create_project(caller, inside, "x", teams, **deployment.at)
    with pytest.raises(InvalidRequest):
        await create_project(caller, inside, "a\nb", **deployment.at)
    row = (await deployment.store.audit_rows())[-1]
    assert (row.kind, row.actor) == ("project.created", f"user:{user.id}")


async def test_name_taken(deployment, inside):
    """A name is taken for all, also for two who want it at once, and free when its project is deleted."""
    left, none = (await list_projects(ALICE, inside)).projects[:2]
    with pytest.raises(Conflict) as caught:
        await change_project(ALICE, inside, left.project.id, name="none", **deployment.at)
    assert caught.value.reason is Reason.NAME_TAKEN
    outcomes = await asyncio.gather(
        *(create_project(ALICE, inside, "new", [], **deployment.at) for _ in range(2)), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in outcomes) == ["Conflict", "ProjectSight"]
    await delete_project(ALICE, inside, none.project.id, **deployment.at)
    changed = await change_project(ALICE, inside, left.project.id, name="none", teams=[], **deployment.at)
    assert (changed.project.name, changed.teams) == ("none", ())
    with pytest.raises(NotFound):
        await show_project(ALICE, inside, none.project.id)


async def test_lost_race(deployment, inside):
    """Of two changes of one project at once, one is told of the conflict."""
    left = (await list_projects(ALICE, inside)).projects[0].project
    outcomes = await asyncio.gather(
        *(change_project(ALICE, inside, left.id, name=name, **deployment.at) for name in ("x", "y")),
        return_exceptions=True,
    )
    [lost] = [each for each in outcomes if isinstance(each, Conflict)]
    assert lost.reason is Reason.LOST_RACE


async def test_another_organisation(deployment, inside):
    """TN-02: a project of another organisation is answered like one that is not there."""
    stranger = Actor("user:x", OrganisationId("elsewhere"), frozenset(PERMISSIONS))
    for attempt in (
        list_projects(stranger, inside),
        show_project(stranger, inside, ProjectId("x")),
        create_project(stranger, inside, "x", **deployment.at),
    ):
        with pytest.raises(NotFound):
            await attempt
