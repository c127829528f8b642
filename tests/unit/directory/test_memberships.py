"""Memberships: what another organisation has of a user, and all that it can take away."""

import pytest

from keyturn.core.actors import Actor, operator
from keyturn.core.errors import OperatorError
from keyturn.core.life import State
from keyturn.directory.api_tokens import ApiTokenWish, create_api_token
from keyturn.directory.entities import create_entity, link_user, show_entity
from keyturn.directory.memberships import (
    change_member,
    disable_member,
    enable_member,
    end_member,
    list_members,
    show_member,
)
from keyturn.directory.teams import create_team
from keyturn.directory.users import disable_user

ALICE = operator("alice")
ROLES = ("toy:admin", "toy:viewer")


@pytest.fixture
async def places(deployment):
    """A home, another organisation, and a user of the first who is a member of the second."""
    _, acme = await deployment.organisation()
    _, globex = await deployment.organisation("globex")
    user = await deployment.user(acme, email="a@x.example", email_verified=True)
    await deployment.member(globex, "A@x.example", role_names=("toy:viewer",))
    return acme, globex, user


async def test_added(deployment, places):
    """A user is found by id or address, and is a member once."""
    _, globex, user = places
    membership = await show_member(ALICE, globex, user.id)
    assert (membership.organisation_id, membership.roles) == (globex.organisation_id, ("toy:viewer",))
    for named in (user.id, "a@x.example"):
        with pytest.raises(OperatorError, match="already"):
            await deployment.member(globex, named)
    for named in ("nobody", "nobody@x.example"):
        with pytest.raises(OperatorError, match="no user"):
            await deployment.member(globex, named)
    with pytest.raises(OperatorError, match="unknown role toy:king; there is toy:admin, toy:viewer"):
        await deployment.member(globex, user.id, role_names=("toy:king",))


async def test_an_unproved_address_is_nobodys(deployment, places):
    """TN-02: an address that somebody else's administrator wrote down lets nobody into an organisation."""
    acme, globex, _ = places
    squatter = await deployment.user(acme, "mallory", email="boss@globex.example")
    with pytest.raises(OperatorError, match="not proved"):
        await deployment.member(globex, "boss@globex.example", role_names=("toy:admin",))
    await deployment.member(globex, squatter.id)


async def test_changed(deployment, places):
    """Roles and teams are replaced, each by what there is; what is not given is kept."""
    _, globex, user = places
    team = await create_team(ALICE, globex, "Root", **deployment.at)
    changed = await change_member(ALICE, globex, user.id, team_names=("/ROOT",), roles=ROLES, **deployment.at)
    assert (changed.roles, changed.teams) == (("toy:viewer",), (team.id,))
    changed = await change_member(ALICE, globex, user.id, role_names=(), roles=ROLES, **deployment.at)
    assert (changed.roles, changed.teams, changed.epoch) == ((), (team.id,), 0)
    with pytest.raises(OperatorError, match="no team"):
        await change_member(ALICE, globex, user.id, team_names=("/x",), roles=ROLES, **deployment.at)


async def test_ended_and_given_back(deployment, places):
    """RV-04: a membership that is given back is the same one at a higher epoch, without what it had."""
    _, globex, user = places
    at = deployment.at
    wish = ApiTokenWish(name="t", owner_id=user.id, dialects=("oauth2",))
    token, _ = await create_api_token(
        ALICE, deployment.store, globex.organisation_id, wish, digester=deployment.digester, **at
    )
    entity = await create_entity(ALICE, globex, "E-1", "e", "FIU", **at)
    await link_user(ALICE, globex, entity.id, user.id, **at)
    before = await show_member(ALICE, globex, user.id)
    for _ in range(2):
        ended = await end_member(ALICE, globex, user.id, **at)
    assert (ended.usable, ended.epoch, ended.roles) == (False, 1, ())
    assert (await globex.credential(token.id)).life.state is State.ENDED
    assert (await show_entity(ALICE, globex, entity.id)).users == ()
    back = await deployment.member(globex, user.id)
    assert (back.id, back.usable, back.epoch, back.roles) == (before.id, True, 2, ())


class Meanwhile:
    """An organisation's store in which a membership ends right after it was read."""

    def __init__(self, inside, at):
        self.inside, self.at = inside, at

    def __getattr__(self, name):
        return getattr(self.inside, name)

    async def membership_of(self, user_id):
        """Read it, and let it end."""
        found = await self.inside.membership_of(user_id)
        await end_member(ALICE, self.inside, user_id, **self.at)
        return found


async def test_no_link_outlives_a_membership(deployment, places):
    """RV-04: a link made while the membership ends does not wait for the user to come back."""
    _, globex, user = places
    entity = await create_entity(ALICE, globex, "E-1", "e", "FIU", **deployment.at)
    with pytest.raises(OperatorError, match="same moment"):
        await link_user(ALICE, Meanwhile(globex, deployment.at), entity.id, user.id, **deployment.at)
    assert (await show_entity(ALICE, globex, entity.id)).users == ()


async def test_disabled(deployment, places):
    """RV-04: a disabled membership ends the tokens for its organisation, and enabling revives none."""
    _, globex, user = places
    disabled = await disable_member(ALICE, globex, user.id, **deployment.at)
    assert (disabled.usable, disabled.epoch) == (False, 1)
    enabled = await enable_member(ALICE, globex, user.id, **deployment.at)
    assert (enabled.usable, enabled.epoch) == (True, 1)


async def test_confined(deployment, places):
    """TN-01, TN-02: who administers one organisation ends a guest's membership and reaches nothing else."""
    acme, globex, user = places
    admin = Actor("user:admin", globex.organisation_id)
    with pytest.raises(OperatorError, match="no user"):
        await disable_user(admin, acme, user.id, **deployment.at)
    with pytest.raises(OperatorError, match="no user"):
        await disable_user(admin, globex, user.id, **deployment.at)
    with pytest.raises(OperatorError, match="no member"):
        await end_member(admin, acme, user.id, **deployment.at)
    with pytest.raises(OperatorError, match="no such organisation"):
        await deployment.member(acme, user.id, actor=admin)
    with pytest.raises(OperatorError, match="no such organisation"):
        await list_members(admin, acme)
    assert not (await end_member(admin, globex, user.id, **deployment.at)).usable
    assert (await acme.user(user.id)).usable
    assert (await acme.membership_of(user.id)).usable


async def test_home_stays(deployment, places):
    """The membership at home goes with the user, and cannot be ended alone."""
    acme, _, user = places
    with pytest.raises(OperatorError, match="at home here"):
        await end_member(ALICE, acme, user.id, **deployment.at)
