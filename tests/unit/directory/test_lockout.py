"""Forgiving a name that was locked."""

import msgspec
import pytest

from keyturn.core.actors import operator
from keyturn.core.addresses import subscriber
from keyturn.core.errors import NothingThere, SlowDown
from keyturn.directory.lockout import clear_lockout
from keyturn.storage.lockout import MemoryLockout

ACTOR = operator("alice")
DEVICE = subscriber("192.0.2.1")


async def locked(lockout, name, now):
    """Tell whether an attempt at a name is refused unchecked."""
    try:
        await lockout.admit(name, DEVICE, now)
    except SlowDown:
        return True
    return False


async def test_a_cleared_name_is_checked_again(deployment, now):
    """PW-05: after an operator cleared it a locked name is checked again, and no other name or home's is."""
    made, inside = await deployment.organisation()
    lockout = MemoryLockout(lambda name: name)
    names = [f"{made.id}/alice", f"passcode/{made.id}/alice", f"{made.id}/bob", "another/alice"]
    for name in names:
        while not await locked(lockout, name, now):
            pass
    assert await clear_lockout(ACTOR, inside, lockout, " \uff21lice", **deployment.at) == "alice"
    assert [await locked(lockout, name, now) for name in names] == [False, False, True, True]


async def test_who_cleared_it_is_told(deployment):
    """AD-05: the trail tells who cleared a lock; the user's name is sealed there, and in no plain field."""
    made, inside = await deployment.organisation()
    await clear_lockout(ACTOR, inside, MemoryLockout(lambda name: name), "alice", **deployment.at)
    page = await deployment.store.audit_page(limit=1)
    assert (page.rows[0].kind, page.rows[0].organisation_id) == ("lockout.cleared", made.id)
    assert page.rows[0].actor == "operator:alice"
    assert "alice" not in repr((page.rows[0].subject, page.rows[0].details))
    assert page.personal[0] == {"user_name": "alice"}


async def test_another_organisations_names_are_not_there(deployment):
    """TN-02: an administrator of another organisation forgives nothing, and no row says so."""
    _, inside = await deployment.organisation()
    stranger = msgspec.structs.replace(ACTOR, organisation_id="another")
    before = await deployment.store.audit_page(limit=1)
    with pytest.raises(NothingThere):
        await clear_lockout(stranger, inside, MemoryLockout(lambda name: name), "alice", **deployment.at)
    assert await deployment.store.audit_page(limit=1) == before
