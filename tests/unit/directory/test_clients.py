"""Clients: made with what they may do, changed, switched off and on, ended for good."""

import asyncio
import uuid

import pytest

from keyturn.core.actors import client as client_actor
from keyturn.core.errors import OperatorError
from keyturn.core.life import Standing
from keyturn.core.vocabulary import ClientId, CredentialKind
from keyturn.directory.clients import (
    ClientWish,
    change_client,
    disable_client,
    enable_client,
    end_client,
    list_clients,
    show_client,
)

DIALECTS = ("oauth2", "endorsed")


async def test_made(deployment):
    """A new client has a random UUID and its organisation's audience, and the trail only seals its name."""
    organisation, inside = await deployment.organisation()
    made = await deployment.client(inside)
    assert uuid.UUID(made.id).version == 4
    assert made.audiences == ("urn:keyturn:acme:api",)
    assert (made.dialects, made.grants) == (("oauth2",), ("client_credentials",))
    row = (await deployment.store.audit_rows())[-1]
    assert (row.kind, row.subject, row.organisation_id, row.details) == (
        "client.created",
        made.id,
        organisation.id,
        {},
    )
    assert await inside.clients() == [made]


@pytest.mark.parametrize(
    "wish",
    [
        {"name": "a\nb"},
        {"dialects": ("nope",)},
        {"dialects": ()},
        {"grants": ("implicit",)},
        {"grants": ()},
        {"scopes": ("a b",)},
        {"audiences": ("api",)},
        {"max_lifetime_seconds": 0},
        {"max_lifetime_seconds": 10**9},
    ],
)
async def test_bad_wish(deployment, wish):
    """A wish that is not acceptable makes nothing and writes nothing."""
    _, inside = await deployment.organisation()
    with pytest.raises(OperatorError):
        await deployment.client(inside, **wish)
    assert not await inside.clients()
    assert len(await deployment.events()) == 1


async def test_changed(deployment):
    """A change raises the version and names what was changed, and the same wish again does nothing."""
    _, inside = await deployment.organisation()
    made = await deployment.client(inside)
    wish = ClientWish(name="bot", scopes=("read",), max_lifetime_seconds=60)
    actor = client_actor(made.id, made.organisation_id)
    for _ in range(2):
        changed = await change_client(actor, inside, made.id, wish, dialects=DIALECTS, **deployment.at)
    assert (changed.scopes, changed.max_lifetime_seconds, changed.version) == (("read",), 60, 1)
    rows = [row for row in await deployment.store.audit_rows() if row.kind == "client.changed"]
    assert [row.details for row in rows] == [{"changed": "max_lifetime_seconds scopes"}]
    assert rows[0].actor == f"client:{made.id}"


async def test_disabled_and_enabled(deployment):
    """Disabling raises the epoch, so that tokens die, and enabling does not bring them back."""
    _, inside = await deployment.organisation()
    made = await deployment.client(inside)
    actor = client_actor(made.id, made.organisation_id)
    for _ in range(2):
        disabled = await disable_client(actor, inside, made.id, **deployment.at)
    assert (disabled.usable, disabled.epoch, disabled.version) == (False, 1, 1)
    for _ in range(2):
        enabled = await enable_client(actor, inside, made.id, **deployment.at)
    assert (enabled.usable, enabled.epoch, enabled.version) == (True, 1, 2)


async def test_ended(deployment, now):
    """An ended client ends its secrets and stays as a tombstone that cannot be brought back (TK-15)."""
    _, inside = await deployment.organisation()
    made = await deployment.client(inside)
    await deployment.secret(inside, made)
    actor = client_actor(made.id, made.organisation_id)
    for _ in range(2):
        ended = await end_client(actor, inside, made.id, **deployment.at)
    assert (ended.usable, ended.ended_at, ended.epoch) == (False, now, 1)
    [secret] = await inside.credentials_of(made.id, CredentialKind.CLIENT_SECRET)
    assert (secret.life.standing(now), secret.life.ended_why, secret.epoch) == (
        Standing.ENDED,
        "client ended",
        1,
    )
    assert await show_client(actor, inside, made.id) == ended
    for verb in (enable_client, disable_client):
        with pytest.raises(OperatorError, match="has ended"):
            await verb(actor, inside, made.id, **deployment.at)
    with pytest.raises(OperatorError, match="has ended"):
        await deployment.secret(inside, made)
    assert [kind for kind, *_ in await deployment.events()].count("client.ended") == 1


async def test_race(deployment):
    """Of two changes at once one wins, and the loser is told to look again."""
    _, inside = await deployment.organisation()
    made = await deployment.client(inside)
    actor = client_actor(made.id, made.organisation_id)
    results = await asyncio.gather(
        disable_client(actor, inside, made.id, **deployment.at),
        end_client(actor, inside, made.id, **deployment.at),
        return_exceptions=True,
    )
    [lost] = [result for result in results if isinstance(result, OperatorError)]
    assert "look again" in str(lost)
    assert [event[1:] for event in await deployment.events()][-2:] == [
        ("ok", None),
        ("invalid_request", "lost_race"),
    ]


async def test_another_organisation(deployment):
    """Another organisation's client answers like one that does not exist (TN-02)."""
    acme, inside = await deployment.organisation("acme")
    globex, other = await deployment.organisation("globex")
    made = await deployment.client(inside)
    stranger = client_actor(ClientId("c"), globex.id)
    for actor, store in ((stranger, other), (stranger, inside)):
        with pytest.raises(OperatorError, match=f"no client '{made.id}'"):
            await show_client(actor, store, made.id)
    with pytest.raises(OperatorError, match="no such organisation"):
        await list_clients(stranger, inside)
    assert await list_clients(client_actor(made.id, acme.id), inside) == [made]
