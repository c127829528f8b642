"""Entities and their readable secrets: read again by whom they are linked to, reset one after the other."""

import asyncio
from datetime import timedelta
from functools import partial

import pytest

from keyturn.core.actors import Actor, operator
from keyturn.core.actors import client as client_actor
from keyturn.core.errors import Conflict, InvalidGrant, InvalidRequest, OperatorError
from keyturn.core.life import Standing, State
from keyturn.core.secret import parse_secret
from keyturn.core.vocabulary import ClientId, CredentialKind, EntityId, Reason
from keyturn.directory.entities import (
    create_entity,
    disable_entity,
    enable_entity,
    end_entity,
    link_user,
    list_entities,
    show_entity,
    unlink_user,
)
from keyturn.directory.organisations import change_organisation_setting
from keyturn.directory.policy_settings import POLICY_SETTINGS
from keyturn.directory.rotation import cancel_rotation
from keyturn.directory.secrets import read_secret, reset_secret

ALICE = operator("alice")
ID = EntityId("FIU-1")


@pytest.fixture
async def inside(deployment):
    """An organisation with an entity."""
    _, inside = await deployment.organisation()
    await create_entity(ALICE, inside, ID, "Fiu", "FIU", **deployment.at)
    return inside


@pytest.fixture
def reset(deployment, inside):
    async def reset_(actor=ALICE, period=None, entity_id=ID, **changes):
        return await reset_secret(
            actor,
            inside,
            entity_id,
            period,
            dialects=("oauth2",),
            sealer=deployment.sealer,
            digester=deployment.digester,
            **{**deployment.at, **changes},
        )

    return reset_


@pytest.fixture
def read(deployment, inside):
    return partial(read_secret, store=inside, entity_id=ID, sealer=deployment.sealer, **deployment.at)


async def test_made(deployment, inside):
    """TK-15: an entity's id is its own in the whole deployment, also after its end."""
    _, globex = await deployment.organisation("globex")
    await end_entity(ALICE, inside, ID, **deployment.at)
    for store in (inside, globex):
        with pytest.raises(OperatorError, match="taken"):
            await create_entity(ALICE, store, ID, "x", "FIU", **deployment.at)
    for bad in ("", "a b", "-a", "x" * 101, "é"):
        with pytest.raises(OperatorError, match="an entity's id"):
            await create_entity(ALICE, inside, bad, "x", "FIU", **deployment.at)
    assert [each.id for each in await list_entities(ALICE, inside)] == [ID]


async def test_life(deployment, inside, reset):
    """RV-04: disabling and ending raise the epoch, enabling revives nothing, and an end takes the secrets."""
    made = await reset()
    assert (await disable_entity(ALICE, inside, ID, **deployment.at)).epoch == 1
    assert (await enable_entity(ALICE, inside, ID, **deployment.at)).epoch == 1
    assert (await end_entity(ALICE, inside, ID, **deployment.at)).epoch == 2
    ended = await inside.credential(made.credential.id)
    assert (ended.life.state, ended.epoch) == (State.ENDED, 1)


async def test_read_again(deployment, reset, read, now):
    """AD-04, AD-05: a secret is sealed, can be read as often as one likes, and each time is in the trail."""
    made = await reset()
    assert parse_secret(made.secret.reveal()) is CredentialKind.ENTITY_SECRET
    assert made.by_default
    assert made.credential.life.expires_at == now + timedelta(days=180)
    assert made.credential.life.grace_until == now + timedelta(days=185)
    assert made.secret.reveal().encode() not in made.credential.sealed
    for _ in range(2):
        assert (await read(ALICE)).secret.reveal() == made.secret.reveal()
    assert [kind for kind, *_ in await deployment.events()].count("credential.read") == 2


@pytest.mark.parametrize(
    ("days", "lives", "by_default"), [(1, 1, False), (180, 180, False), (181, 180, True)]
)
async def test_period(reset, now, days, lives, by_default):
    """A shorter life than the default may be asked for, and a longer one gets the default."""
    made = await reset(period=timedelta(days=days))
    assert (made.credential.life.expires_at - now, made.by_default) == (timedelta(days=lives), by_default)
    with pytest.raises(InvalidRequest):
        await reset(period=timedelta(days=-days))


async def test_end_is_a_whole_second(reset, now):
    """A secret ends at a whole second, so that seconds and milliseconds name the same instant."""
    made = await reset(now=now.replace(microsecond=999_999))
    assert made.credential.life.expires_at == now.replace(microsecond=0) + timedelta(days=180)


async def test_reset_ends_the_old(deployment, inside, reset, read):
    """A reset ends the old secret but not the tokens made from it, so its epoch stays."""
    old, new = await reset(), await reset()
    kept = await inside.credential(old.credential.id)
    assert (kept.life.state, kept.epoch, kept.sealed) == (State.ENDED, 0, None)
    assert (await read(ALICE)).secret.reveal() == new.secret.reveal()


async def test_overlap(deployment, inside, reset, now):
    """Where the organisation says so, the old secret stays good for some hours."""
    await deployment.act(
        change_organisation_setting,
        "acme",
        "policy.entity_secret_overlap_hours",
        "2",
        tables={"policy": POLICY_SETTINGS},
    )
    old = await reset()
    await reset()
    life = (await inside.credential(old.credential.id)).life
    assert life.standing(now + timedelta(minutes=119)) is Standing.GOOD
    assert life.standing(now + timedelta(hours=2)) is Standing.ENDED


async def test_overlap_cancelled(deployment, inside, reset, read):
    """Going back to a secret that overlaps ends the one that a reset made in its place."""
    await deployment.act(
        change_organisation_setting,
        "acme",
        "policy.entity_secret_overlap_hours",
        "2",
        tables={"policy": POLICY_SETTINGS},
    )
    old, new = await reset(), await reset()
    await cancel_rotation(ALICE, inside, new.credential.id, **deployment.at)
    assert (await inside.credential(new.credential.id)).life.state is State.ENDED
    assert (await read(ALICE)).secret.reveal() == old.secret.reveal()


async def test_resets_at_once(inside, reset, read):
    """Resets at once all succeed in turn, and exactly the last one's secret is live."""
    made = await asyncio.gather(*(reset() for _ in range(8)))
    living = [
        each
        for each in await inside.credentials_of(ID, CredentialKind.ENTITY_SECRET)
        if each.life.state is State.ACTIVE
    ]
    assert len(living) == 1
    told = {each.credential.id: each.secret.reveal() for each in made}
    assert (await read(ALICE)).secret.reveal() == told[living[0].id]


async def test_linked_users_only(deployment, inside, reset, read):
    """TN-02: to whom an entity is not linked it is not there, and the same is said of one that is not."""
    await reset()
    user = await deployment.user(inside)
    caller = await deployment.caller(inside, user)
    stranger = Actor("user:x", (await deployment.organisation("globex"))[0].id, frozenset(), user)
    client = client_actor(ClientId("c"), inside.organisation_id)
    reasons = []
    for actor, entity_id in ((caller, ID), (client, ID), (stranger, ID), (caller, EntityId("nobody"))):
        for attempt in (read(actor, entity_id=entity_id), reset(actor, entity_id=entity_id)):
            with pytest.raises(InvalidGrant) as caught:
                await attempt
            assert caught.value.description is None
            reasons.append(caught.value.reason)
    assert set(reasons) == {Reason.ENTITY_NOT_LINKED, Reason.UNKNOWN_ENTITY}
    await link_user(ALICE, inside, ID, user.id, **deployment.at)
    assert (await reset(caller)).secret.reveal() == (await read(caller)).secret.reveal()
    await disable_entity(ALICE, inside, ID, **deployment.at)
    with pytest.raises(InvalidGrant):
        await read(caller)
    await enable_entity(ALICE, inside, ID, **deployment.at)
    assert (await unlink_user(ALICE, inside, ID, user.id, **deployment.at)).users == ()
    with pytest.raises(InvalidGrant):
        await read(caller)


async def test_links(deployment, inside):
    """Only members of the organisation are linked."""
    _, globex = await deployment.organisation("globex")
    user = await deployment.user(globex)
    with pytest.raises(OperatorError, match="no member"):
        await link_user(ALICE, inside, ID, user.id, **deployment.at)
    with pytest.raises(OperatorError, match="no entity"):
        await show_entity(Actor("user:x", globex.organisation_id), inside, ID)


async def test_no_secret(read):
    """An entity without a secret has none to be read."""
    with pytest.raises(InvalidGrant) as caught:
        await read(ALICE)
    assert caught.value.reason is Reason.NO_CREDENTIAL


def test_conflict_is_a_refusal():
    """Whoever loses against endless resets is told so as a refusal."""
    assert Conflict(Reason.LOST_RACE).code == "conflict"
