"""Public keys of clients: few, different, audited, and ended with their client."""

import asyncio
import datetime as dt
import json

import pytest

from keyturn.core.errors import OperatorError
from keyturn.core.life import State
from keyturn.core.vocabulary import Algorithm
from keyturn.directory.clients import end_client
from keyturn.directory.credentials import end_credential
from keyturn.directory.public_keys import MAX_LIVE_KEYS, add_public_key, list_public_keys
from keyturn.keys.signers import generate_key
from unit.directory.conftest import NOW, OPERATOR


def jwk(**changes):
    """Write a fresh key as a JWK."""
    return json.dumps(generate_key(Algorithm.EDDSA).public_jwk | changes).encode()


@pytest.fixture
async def inside(deployment):
    """The store of the client's organisation."""
    return (await deployment.organisation())[1]


@pytest.fixture
async def machine(deployment, inside):
    """A client without secrets."""
    return await deployment.client(inside)


@pytest.fixture
async def add(deployment, inside, machine):
    """Register a key of the client."""

    async def register(given=None, client_id=machine.id, **named):
        given = jwk() if given is None else given
        return await add_public_key(
            OPERATOR, inside, client_id, given, "laptop", **{**deployment.at, **named}
        )

    return register


async def test_kept(add, inside, machine):
    """A key is kept as its public JWK under its thumbprint, and no pepper is involved."""
    key = await add(jwk(kid="one"))
    assert (key.public_jwk["kid"], key.owner_id, key.name, key.pepper_id) == ("one", machine.id, "laptop", "")
    assert len(key.lookup_hash) == 32
    assert await list_public_keys(OPERATOR, inside, machine.id) == [key]


async def test_few_live_ones(deployment, add, inside):
    """A client has a few live keys; an ended one makes room, and its kid may be used again."""
    keys = [await add(jwk(kid=f"k{number}")) for number in range(MAX_LIVE_KEYS)]
    with pytest.raises(OperatorError, match="end one first"):
        await add()
    await end_credential(OPERATOR, inside, keys[0].id, "old", **deployment.at)
    await add(jwk(kid="k0"))


async def test_twice(add):
    """Neither the same key nor the same kid is registered twice while it lives."""
    given = jwk(kid="one")
    await add(given)
    with pytest.raises(OperatorError, match="this key already"):
        await add(given)
    with pytest.raises(OperatorError, match="this kid already"):
        await add(jwk(kid="one"))


async def test_two_operators_at_once(deployment, add, inside, machine):
    """Of operators who each see room for one more key at the same time, one wins."""
    for number in range(MAX_LIVE_KEYS - 1):
        await add(jwk(kid=f"k{number}"))
    done = await asyncio.gather(add(), add(), return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == ["Clash", "Credential"]
    assert len(await list_public_keys(OPERATOR, inside, machine.id)) == MAX_LIVE_KEYS
    assert ("credential.created", "invalid_request", "lost_race") in await deployment.events()


async def test_refused(deployment, add, inside):
    """No private key, no past expiry, no public client and no stranger gets one."""
    with pytest.raises(OperatorError, match="private"):
        await add(jwk(d="AA"))
    with pytest.raises(OperatorError, match="future"):
        await add(expires_at=NOW - dt.timedelta(seconds=1))
    with pytest.raises(OperatorError, match="no client"):
        await add(client_id="nobody")
    public = await deployment.client(inside, public=True)
    with pytest.raises(OperatorError, match="public client"):
        await add(client_id=public.id)


async def test_ended_with_client(deployment, add, inside, machine):
    """RV-04: ending a client ends its keys."""
    await add()
    await end_client(OPERATOR, inside, machine.id, **deployment.at)
    (key,) = await list_public_keys(OPERATOR, inside, machine.id)
    assert key.life.state is State.ENDED
    with pytest.raises(OperatorError, match="has ended"):
        await add()
