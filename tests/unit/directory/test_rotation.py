"""Rotation: a successor and an overlap in one unit, its end, its undoing."""

import asyncio
from datetime import timedelta
from functools import partial

import pytest

from keyturn.core.actors import operator
from keyturn.core.errors import OperatorError
from keyturn.core.life import Standing, State
from keyturn.core.vocabulary import CredentialKind
from keyturn.directory.credentials import disable_credential, end_credential
from keyturn.directory.organisations import change_organisation_setting
from keyturn.directory.policy_settings import POLICY_SETTINGS
from keyturn.directory.rotation import cancel_rotation, finish_rotation, rotate_client_secret

ACTOR = operator("alice")
HOUR = timedelta(hours=1)


@pytest.fixture
async def one(deployment):
    """A client with one secret: its organisation's store, itself, and the secret's record."""
    _, inside = await deployment.organisation()
    client = await deployment.client(inside)
    credential, _ = await deployment.secret(inside, client)
    return inside, client, credential


def rotate(deployment, inside, client, overlap=HOUR, **named):
    """Rotate a client's secret."""
    make = partial(rotate_client_secret, ACTOR, inside, client.id, overlap, digester=deployment.digester)
    return make(**{**deployment.at, **named})


async def kept(inside, client):
    """Read a client's secrets by id."""
    found = await inside.credentials_of(client.id, CredentialKind.CLIENT_SECRET)
    return {each.id: each for each in found}


async def test_rotated(deployment, one, now):
    """TE-05: the old secret is good for the overlap and no longer, and its successor is like it."""
    inside, client, old = one
    successor, secret = await rotate(deployment, inside, client, name="next", expires_at=now + 9 * HOUR)
    found = await kept(inside, client)
    assert (found[old.id].life.state, found[old.id].epoch) == (State.OVERLAPPING, 0)
    assert found[old.id].life.standing(now + HOUR - timedelta(microseconds=1)) is Standing.GOOD
    assert found[old.id].life.standing(now + HOUR) is Standing.ENDED
    assert found[successor.id] == successor
    assert (successor.succeeds, successor.name, successor.dialects) == (old.id, "next", old.dialects)
    assert successor.life.expires_at == now + 9 * HOUR
    row = (await deployment.store.audit_rows())[-1]
    assert (row.kind, row.subject, row.details["succeeds"]) == ("credential.rotated", successor.id, old.id)
    assert secret.reveal() not in repr(row)


async def test_without_an_overlap(deployment, one):
    """RV-04: a rotation after a leak ends the old secret, and its tokens by its epoch, at once."""
    inside, client, old = one
    await rotate(deployment, inside, client, timedelta())
    ended = (await kept(inside, client))[old.id]
    assert (ended.life.state, ended.life.ended_why, ended.epoch) == (State.ENDED, "rotated", 1)


@pytest.mark.parametrize("by", ["old", "successor"])
async def test_finished(deployment, one, by):
    """RV-04: finishing ends the old secret with its tokens, by either secret's id."""
    inside, client, old = one
    successor, _ = await rotate(deployment, inside, client)
    named = old if by == "old" else successor
    done = await finish_rotation(ACTOR, inside, named.id, **deployment.at)
    assert (done.id, done.life.state, done.epoch) == (old.id, State.ENDED, 1)
    assert (await kept(inside, client))[successor.id] == successor


@pytest.mark.parametrize("by", ["old", "successor"])
async def test_cancelled(deployment, one, by):
    """Cancelling leaves the old secret as it was, tokens included, and ends the successor with its tokens."""
    inside, client, old = one
    successor, _ = await rotate(deployment, inside, client)
    named = old if by == "old" else successor
    back = await cancel_rotation(ACTOR, inside, named.id, **deployment.at)
    assert (back.id, back.life, back.epoch) == (old.id, old.life, 0)
    ended = (await kept(inside, client))[successor.id]
    assert (ended.life.ended_why, ended.epoch) == ("rotation cancelled", 1)


async def test_cancelled_after_the_successor_ended(deployment, one):
    """A leaked successor that was ended does not keep the old secret from being taken back."""
    inside, client, old = one
    successor, _ = await rotate(deployment, inside, client)
    await end_credential(ACTOR, inside, successor.id, "leaked", **deployment.at)
    back = await cancel_rotation(ACTOR, inside, old.id, **deployment.at)
    assert back.life.state is State.ACTIVE
    assert (await kept(inside, client))[successor.id].life.ended_why == "leaked"


async def test_cancelled_twice(deployment, one):
    """RV-04: a second rotation that is cancelled ends its own successor, not the first one's again."""
    inside, client, old = one
    for _ in range(2):
        successor, _ = await rotate(deployment, inside, client)
        await cancel_rotation(ACTOR, inside, old.id, **deployment.at)
        assert (await kept(inside, client))[successor.id].life.state is State.ENDED


async def test_too_late(deployment, one, now):
    """An overlap that has passed is neither finished nor cancelled: what has ended stays so."""
    inside, client, old = one
    successor, _ = await rotate(deployment, inside, client)
    late = {**deployment.at, "now": now + HOUR}
    for verb in (finish_rotation, cancel_rotation):
        for named in (old, successor):
            with pytest.raises(OperatorError, match="is under way"):
                await verb(ACTOR, inside, named.id, **late)


async def test_needs_one_live_secret(deployment, one):
    """TE-05: with two live secrets, a disabled one included, or none there is nothing to rotate."""
    inside, client, old = one
    successor, _ = await rotate(deployment, inside, client)
    await disable_credential(ACTOR, inside, successor.id, **deployment.at)
    with pytest.raises(OperatorError, match="two live secrets"):
        await rotate(deployment, inside, client)
    for each in (old, successor):
        await end_credential(ACTOR, inside, each.id, "done", **deployment.at)
    with pytest.raises(OperatorError, match="no live secret"):
        await rotate(deployment, inside, client)


async def test_never_three(deployment, one, now):
    """TE-05: of two who rotate at once one wins, and two secrets are live."""
    inside, client, _ = one
    results = await asyncio.gather(
        *(rotate(deployment, inside, client) for _ in range(2)), return_exceptions=True
    )
    assert sum(isinstance(result, OperatorError) for result in results) == 1
    live = [
        each for each in (await kept(inside, client)).values() if each.life.standing(now) is Standing.GOOD
    ]
    assert len(live) == 2


@pytest.mark.parametrize("overlap", [timedelta(days=91), -HOUR])
async def test_overlap_is_bounded(deployment, one, overlap):
    """An overlap is neither negative nor endless."""
    inside, client, _ = one
    with pytest.raises(OperatorError, match="at most 90 days"):
        await rotate(deployment, inside, client, overlap)


async def test_policy_on_lifetime(deployment, one, now):
    """A new secret expires as late as the policy allows, and one that asks for longer is refused."""
    inside, client, _ = one
    change = partial(deployment.act, change_organisation_setting, tables={"policy": POLICY_SETTINGS})
    await change("acme", "policy.max_secret_days", "10")
    with pytest.raises(OperatorError, match="allows a secret 10 days"):
        await rotate(deployment, inside, client, expires_at=now + timedelta(days=11))
    successor, _ = await rotate(deployment, inside, client)
    assert successor.life.expires_at == now + timedelta(days=10)
    for value in ("0", "never", "36501"):
        with pytest.raises(OperatorError, match="max_secret_days"):
            await change("acme", "policy.max_secret_days", value)
    with pytest.raises(OperatorError, match="is a day such as"):
        await change("acme", "policy.secrets_made_before", "yesterday")
