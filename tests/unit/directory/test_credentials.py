"""Client secrets: shown once, at most two live, ended at any time."""

import asyncio
import hashlib
from datetime import timedelta

import pytest

from keyturn.core.actors import client as client_actor
from keyturn.core.actors import operator
from keyturn.core.errors import OperatorError
from keyturn.core.life import Standing
from keyturn.core.secret import Secret, parse_secret
from keyturn.core.vocabulary import ClientId, CredentialKind
from keyturn.directory.credentials import (
    disable_credential,
    enable_credential,
    end_credential,
    list_client_secrets,
    show_credential,
)

ACTOR = operator("alice")


async def test_made(deployment):
    """A secret is kept as a digest and given once, in a form that a leak scanner finds (AD-04)."""
    _, inside = await deployment.organisation()
    client = await deployment.client(inside)
    credential, secret = await deployment.secret(inside, client)
    assert isinstance(secret, Secret)
    text = secret.reveal()
    assert parse_secret(text) is CredentialKind.CLIENT_SECRET
    assert credential.lookup_hash == b"p1" + hashlib.sha256(text.encode()).digest()
    assert credential.dialects == client.dialects
    kept = await list_client_secrets(ACTOR, inside, client.id)
    assert kept == [credential]
    assert text not in repr(kept)
    assert text not in repr(await deployment.store.audit_rows())


async def test_two_live_secrets(deployment, now):
    """Of two live secrets an ended or expired one makes room for a third, a disabled one does not (TE-05)."""
    _, inside = await deployment.organisation()
    client = await deployment.client(inside)
    first, _ = await deployment.secret(inside, client)
    await deployment.secret(inside, client, expires_at=now + timedelta(hours=1))
    await disable_credential(ACTOR, inside, first.id, **deployment.at)
    with pytest.raises(OperatorError, match="2 live secrets"):
        await deployment.secret(inside, client)
    await end_credential(ACTOR, inside, first.id, "done", **deployment.at)
    await deployment.secret(inside, client)
    await deployment.secret(inside, client, now=now + timedelta(hours=1))


async def test_never_three(deployment, now):
    """Two who make the second secret at once do not leave three (TE-05)."""
    _, inside = await deployment.organisation()
    client = await deployment.client(inside)
    await deployment.secret(inside, client)
    results = await asyncio.gather(
        *(deployment.secret(inside, client) for _ in range(2)), return_exceptions=True
    )
    assert sum(isinstance(result, OperatorError) for result in results) == 1
    kept = await inside.credentials_of(client.id, CredentialKind.CLIENT_SECRET)
    assert sum(each.life.standing(now) is Standing.GOOD for each in kept) == 2


async def test_expiry_to_come(deployment, now):
    """A secret that would be expired at once is not made."""
    _, inside = await deployment.organisation()
    client = await deployment.client(inside)
    with pytest.raises(OperatorError, match="future"):
        await deployment.secret(inside, client, expires_at=now)


async def test_ended(deployment, now):
    """Ending raises the epoch and is for good, and ending twice keeps the first reason."""
    _, inside = await deployment.organisation()
    credential, _ = await deployment.secret(inside, await deployment.client(inside))
    ended = await end_credential(ACTOR, inside, credential.id, "leaked", **deployment.at)
    assert (ended.epoch, ended.version, ended.life.ended_at, ended.life.ended_why) == (1, 1, now, "leaked")
    assert await end_credential(ACTOR, inside, credential.id, "again", **deployment.at) == ended
    for verb in (enable_credential, disable_credential):
        with pytest.raises(OperatorError, match="has ended"):
            await verb(ACTOR, inside, credential.id, **deployment.at)
    row = (await deployment.store.audit_rows())[-1]
    assert (row.kind, row.details) == (
        "credential.ended",
        {"kind": "client_secret", "owner": credential.owner_id},
    )


async def test_disabled_and_enabled(deployment, now):
    """Disabling raises the epoch, so that tokens die, and enabling does not bring them back."""
    _, inside = await deployment.organisation()
    credential, _ = await deployment.secret(inside, await deployment.client(inside))
    for _ in range(2):
        disabled = await disable_credential(ACTOR, inside, credential.id, **deployment.at)
    assert (disabled.life.standing(now), disabled.epoch, disabled.version) == (Standing.DISABLED, 1, 1)
    for _ in range(2):
        enabled = await enable_credential(ACTOR, inside, credential.id, **deployment.at)
    assert (enabled.life.standing(now), enabled.epoch, enabled.version) == (Standing.GOOD, 1, 2)


async def test_another_organisation(deployment):
    """Another organisation's secret answers like one that does not exist (TN-02)."""
    _, inside = await deployment.organisation("acme")
    globex, other = await deployment.organisation("globex")
    credential, _ = await deployment.secret(inside, await deployment.client(inside))
    stranger = client_actor(ClientId("c"), globex.id)
    for actor, store in ((stranger, other), (stranger, inside), (ACTOR, other)):
        with pytest.raises(OperatorError, match=f"no credential '{credential.id}'"):
            await show_credential(actor, store, credential.id)
