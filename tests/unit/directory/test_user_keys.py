"""User keys: several at a time, made and shown once, given successors."""

from datetime import timedelta
from functools import partial

import pytest

from keyturn.core.actors import Actor, operator
from keyturn.core.errors import OperatorError
from keyturn.core.life import Standing, State
from keyturn.core.secret import parse_secret
from keyturn.core.vocabulary import CredentialKind, OrganisationId
from keyturn.directory.credentials import disable_credential, end_credential
from keyturn.directory.user_keys import (
    MAX_LIVE_USER_KEYS,
    create_user_key,
    list_user_keys,
    rotate_user_key,
)

ALICE = operator("alice")


@pytest.fixture
async def place(deployment):
    """An organisation, a user of it, and a short way to make a key."""
    _, inside = await deployment.organisation()
    user = await deployment.user(inside)
    common = {"dialects": ("oauth2",), "digester": deployment.digester, **deployment.at}
    return inside, user, partial(create_user_key, ALICE, inside, user.id, "k", **common)


async def test_made(deployment, place, now):
    """AD-04, AD-05: a key is told once, kept as a digest, and its making is in the trail."""
    inside, user, make = place
    made, secret = await make(expires_at=now + timedelta(days=1))
    assert parse_secret(secret.reveal()) is CredentialKind.USER_KEY
    assert await list_user_keys(ALICE, inside, user.id) == [made]
    row = (await deployment.store.audit_rows())[-1]
    assert (row.kind, row.subject, row.details) == (
        "credential.created",
        made.id,
        {"kind": "user_key", "owner": user.id},
    )
    with pytest.raises(OperatorError, match="in the future"):
        await make(expires_at=now)


async def test_bounded(place):
    """A user has so many live keys and no more; an ended one makes room."""
    _, _, make = place
    for _ in range(MAX_LIVE_USER_KEYS):
        await make()
    with pytest.raises(OperatorError, match="end one first"):
        await make()


async def test_rotated(deployment, place, now):
    """A key stays good for the overlap, gets one successor only, and ends at once without overlap."""
    inside, _, make = place
    old, _ = await make()
    rotate = partial(rotate_user_key, ALICE, inside, digester=deployment.digester, **deployment.at)
    new, _ = await rotate(old.id, timedelta(hours=1))
    kept = await inside.credential(old.id)
    assert (new.succeeds, new.dialects, kept.life.state) == (old.id, old.dialects, State.OVERLAPPING)
    assert kept.life.standing(now + timedelta(hours=1)) is Standing.ENDED
    with pytest.raises(OperatorError, match="has a successor"):
        await rotate(old.id, timedelta())
    with pytest.raises(OperatorError, match="at most 90 days"):
        await rotate(new.id, timedelta(days=91))
    await rotate(new.id, timedelta())
    gone = await inside.credential(new.id)
    assert (gone.life.state, gone.epoch) == (State.ENDED, 1)


async def test_disabled_is_not_replaced(deployment, place):
    """RV-04: a disabled key gets no successor, which would be as good as enabling it."""
    inside, _, make = place
    made, _ = await make()
    await disable_credential(ALICE, inside, made.id, **deployment.at)
    with pytest.raises(OperatorError, match="is disabled; enable it first"):
        await rotate_user_key(
            ALICE, inside, made.id, timedelta(), digester=deployment.digester, **deployment.at
        )


async def test_revoked(deployment, place):
    """RV-04: a revoked key raises its epoch, so that its tokens die, and cannot be rotated."""
    inside, _, make = place
    made, _ = await make()
    ended = await end_credential(ALICE, inside, made.id, "leaked", **deployment.at)
    assert ended.epoch == 1
    with pytest.raises(OperatorError, match="has ended"):
        await rotate_user_key(
            ALICE, inside, made.id, timedelta(), digester=deployment.digester, **deployment.at
        )


async def test_another_organisation(deployment, place):
    """TN-02: keys of a user are not there for an actor of another organisation."""
    inside, user, make = place
    made, _ = await make()
    stranger = Actor("user:x", OrganisationId("elsewhere"))
    with pytest.raises(OperatorError, match="no user"):
        await list_user_keys(stranger, inside, user.id)
    with pytest.raises(OperatorError, match="no credential"):
        await end_credential(stranger, inside, made.id, "x", **deployment.at)
