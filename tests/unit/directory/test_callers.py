"""What a caller with a token sees of organisations: its own, and where its user may act."""

from datetime import UTC, datetime

import msgspec
import pytest

from keyturn.core.actors import Actor
from keyturn.core.errors import Fault, NotFound
from keyturn.core.records import Membership, Organisation, User
from keyturn.core.views import UserView
from keyturn.directory.callers import own_organisation, own_organisations

AT = datetime(2026, 11, 1, tzinfo=UTC)


def organisation(name, **changes):
    """Make an organisation."""
    made = Organisation(
        id=f"id-{name}",
        slug=name.lower(),
        name=name,
        api_key=f"key-{name}",
        created_at=AT,
        epoch=0,
        version=0,
    )
    return msgspec.structs.replace(made, **changes)


PLACES = tuple(map(organisation, ("Globex", "acme", "Initech")))
CALLER = Actor("user:ada", PLACES[1].id, frozenset(), organisation=PLACES[1], places=PLACES)


def names(**asked):
    """List the caller's organisations, by name."""
    page = own_organisations(CALLER, **asked)
    return [each.name for each in page.organisations], page.total, page.last


@pytest.mark.parametrize(
    ("asked", "listed"),
    [
        ({}, (["acme", "Globex", "Initech"], 3, True)),
        ({"descending": True}, (["Initech", "Globex", "acme"], 3, True)),
        ({"limit": 2}, (["acme", "Globex"], 3, False)),
        ({"limit": 2, "offset": 2}, (["Initech"], 3, True)),
        ({"limit": 3}, (["acme", "Globex", "Initech"], 3, True)),
        ({"limit": 1, "offset": 10**15}, ([], 3, True)),
        ({"name": "ACME"}, (["acme"], 1, True)),
        ({"name": "acm"}, ([], 0, True)),
    ],
)
def test_list(asked, listed):
    """A list is sorted by name, filtered by whole names in any letter case, and cut into pages."""
    assert names(**asked) == listed


def test_no_user():
    """A caller that is no user has the organisation of its token, and no other."""
    machine = Actor("client:x", PLACES[0].id, frozenset(), organisation=PLACES[0])
    assert own_organisations(machine).organisations == [PLACES[0]]


def test_own():
    """TN-02: another organisation than the token's is not there, in any spelling."""
    for alias in (None, "id-acme", "key-acme"):
        assert own_organisation(CALLER, alias) is PLACES[1]
    for alias in ("id-Globex", "key-Globex", "acme", ""):
        with pytest.raises(NotFound):
            own_organisation(CALLER, alias)
    with pytest.raises(Fault):
        own_organisation(Actor("operator:me"))


def test_places():
    """A user may act where both the organisation and the membership are in force."""
    user = User(id="ada", organisation_id="id-acme", name="ada", display_name="Ada", created_at=AT)
    there = [
        PLACES[0],
        organisation("Off", disabled=True),
        organisation("Gone", ended_at=AT),
        *PLACES[1:],
    ]
    members = [
        Membership(id=each.id, user_id=user.id, organisation_id=each.id, created_at=AT) for each in there
    ]
    members[-1] = msgspec.structs.replace(members[-1], disabled=True)
    view = UserView(PLACES[1], user, (), tuple(members), tuple(there))
    assert [each.name for each in view.places] == ["Globex", "acme"]
