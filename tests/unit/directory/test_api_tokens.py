"""API tokens: of users and service accounts, for one organisation, never wider than their owner."""

import asyncio
from datetime import timedelta
from functools import partial

import pytest

from keyturn.core.actors import Actor, operator
from keyturn.core.errors import OperatorError
from keyturn.core.life import State
from keyturn.core.secret import parse_secret
from keyturn.core.vocabulary import CredentialKind, OrganisationId
from keyturn.directory.api_tokens import (
    ApiTokenWish,
    create_api_token,
    list_api_tokens,
    regenerate_api_token,
)
from keyturn.directory.clients import end_client
from keyturn.directory.memberships import end_member

ALICE = operator("alice")


@pytest.fixture
async def place(deployment):
    """A user at home in acme and a member of globex, and a short way to make tokens for globex."""
    _, acme = await deployment.organisation()
    _, globex = await deployment.organisation("globex")
    user = await deployment.user(acme)
    await deployment.member(globex, user.id, role_names=("toy:viewer",))

    async def make(actor=ALICE, **wish):
        complete = ApiTokenWish(**({"name": "t", "owner_id": user.id, "dialects": ("oauth2",)} | wish))
        return await create_api_token(
            actor,
            deployment.store,
            globex.organisation_id,
            complete,
            digester=deployment.digester,
            **deployment.at,
        )

    return acme, globex, user, make


async def test_made(deployment, place, now):
    """A token has exactly 65 characters, belongs to its organisation, and is told once (AD-04)."""
    acme, globex, user, make = place
    made, secret = await make(lifetime=timedelta(days=1), roles=("toy:viewer",), scopes=("openid",), mfa=True)
    assert len(secret.reveal()) == 65
    assert parse_secret(secret.reveal()) is CredentialKind.API_TOKEN
    assert (made.organisation_id, made.owner_id) == (globex.organisation_id, user.id)
    assert (made.roles, made.scopes, made.mfa) == (("toy:viewer",), ("openid",), True)
    assert made.life.expires_at == now + timedelta(days=1)
    assert (await make())[0].life.expires_at is None
    listed = await list_api_tokens(ALICE, deployment.store, globex.organisation_id, user.id)
    assert len(listed) == 2
    assert not await list_api_tokens(ALICE, deployment.store, acme.organisation_id, user.id)


async def test_never_wider(deployment, place):
    """A token's roles and scopes are among its owner's, and a client has no device for a passcode."""
    _, globex, user, make = place
    client = await deployment.client(globex)
    for wish in (
        {"roles": ("toy:admin",)},
        {"owner_id": client.id, "scopes": ("read", "delete")},
        {"owner_id": client.id, "roles": ("toy:viewer",)},
        {"owner_id": client.id, "mfa": True},
        {"owner_id": "nobody"},
        {"lifetime": timedelta()},
    ):
        with pytest.raises(OperatorError):
            await make(**wish)
    made, _ = await make(owner_id=client.id, scopes=("read",))
    await end_client(ALICE, globex, client.id, **deployment.at)
    assert (await globex.credential(made.id)).life.state is State.ENDED
    await end_member(ALICE, globex, user.id, **deployment.at)
    with pytest.raises(OperatorError, match="no user or client"):
        await make()


async def test_regenerated(deployment, place, now):
    """A token is made anew and the old one ends in the same step, for one of two callers."""
    _, globex, _, make = place
    old, secret = await make(lifetime=timedelta(days=3), roles=("toy:viewer",), mfa=True)
    again = partial(
        regenerate_api_token,
        ALICE,
        deployment.store,
        globex.organisation_id,
        digester=deployment.digester,
        **deployment.at,
    )
    outcomes = await asyncio.gather(again(old.id), again(old.id), return_exceptions=True)
    [(new, fresh)] = [each for each in outcomes if isinstance(each, tuple)]
    assert fresh.reveal() != secret.reveal()
    assert (new.roles, new.mfa, new.succeeds) == (old.roles, True, old.id)
    assert new.life.expires_at == now + timedelta(days=3)
    gone = await globex.credential(old.id)
    assert (gone.life.state, gone.epoch) == (State.ENDED, 1)
    with pytest.raises(OperatorError, match="has ended"):
        await again(old.id)


async def test_another_organisation(deployment, place):
    """TN-01, TN-02: the home of a user makes no token for another organisation, and sees none."""
    acme, globex, user, make = place
    admin = Actor("user:admin", acme.organisation_id)
    with pytest.raises(OperatorError, match="no such organisation"):
        await make(actor=admin)
    for stranger in (admin, Actor("user:x", OrganisationId("elsewhere"))):
        with pytest.raises(OperatorError, match="no such organisation"):
            await list_api_tokens(stranger, deployment.store, globex.organisation_id, user.id)
