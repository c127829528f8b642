"""Organisations: made once, renamed, switched off and on, set."""

import asyncio
import re

import pytest

from keyturn.core.actors import client as client_actor
from keyturn.core.errors import Clash, OperatorError
from keyturn.core.vocabulary import ClientId
from keyturn.dialects import load_dialects
from keyturn.directory.organisations import (
    change_organisation_setting,
    create_organisation,
    disable_organisation,
    enable_organisation,
    list_organisations,
    rename_organisation,
    show_organisation,
)

TABLES = {name: dialect.settings for name, dialect in load_dialects().items()}


async def test_made(deployment, now):
    """A new organisation has a time-ordered id, an opaque alias and an event that names its slug only."""
    made, _ = await deployment.organisation()
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", made.id)
    assert re.fullmatch(r"[0-9a-f]{64}", made.api_key)
    assert made.created_at == now
    [row] = await deployment.store.audit_rows()
    assert (row.kind, row.actor, row.subject, row.details) == (
        "organisation.created",
        "operator:alice",
        made.id,
        {"slug": "acme"},
    )


async def test_slug_taken(deployment):
    """A slug names one organisation for good (TK-15)."""
    await deployment.organisation()
    with pytest.raises(OperatorError, match="taken"):
        await deployment.organisation()


async def test_slug_raced(deployment):
    """Of two who take one slug at once, one wins, the other is told so, and both are audited (AD-05)."""
    results = await asyncio.gather(*(deployment.organisation() for _ in range(2)), return_exceptions=True)
    assert {type(result) for result in results} == {tuple, Clash}
    assert len(await deployment.store.organisations()) == 1
    assert ("organisation.created", "invalid_request", "lost_race") in await deployment.events()


async def test_renamed(deployment):
    """A new name raises the version, is told without the name, and the same name again does nothing."""
    made, _ = await deployment.organisation()
    renamed = await deployment.act(rename_organisation, "acme", "New")
    assert (renamed.name, renamed.slug, renamed.version, renamed.epoch) == ("New", "acme", 1, 0)
    assert await deployment.act(rename_organisation, "acme", "New") == renamed
    rows = await deployment.store.audit_rows()
    assert [row.kind for row in rows] == ["organisation.created", "organisation.renamed"]
    assert rows[-1].details == {}
    assert made.name == "Acme"


async def test_disabled_and_enabled(deployment):
    """Disabling raises the epoch, so that tokens die, and enabling does not bring them back."""
    await deployment.organisation()
    disabled = await deployment.act(disable_organisation, "acme")
    assert (disabled.usable, disabled.epoch, disabled.version) == (False, 1, 1)
    assert await deployment.act(disable_organisation, "acme") == disabled
    enabled = await deployment.act(enable_organisation, "acme")
    assert (enabled.usable, enabled.epoch, enabled.version) == (True, 1, 2)
    assert await deployment.act(enable_organisation, "acme") == enabled
    assert [kind for kind, *_ in await deployment.events()] == [
        "organisation.created",
        "organisation.disabled",
        "organisation.enabled",
    ]


async def test_set_and_unset(deployment):
    """A setting is kept as its kind, and None goes back to the default."""
    await deployment.organisation()
    set_ = await deployment.act(
        change_organisation_setting, "acme", "oauth2.lifetime_seconds", "900", tables=TABLES
    )
    assert set_.settings == {"oauth2": {"lifetime_seconds": 900}}
    unset = await deployment.act(
        change_organisation_setting, "acme", "oauth2.lifetime_seconds", None, tables=TABLES
    )
    assert (unset.settings, unset.version) == ({}, 2)
    assert [row.details for row in await deployment.store.audit_rows()][1:] == [
        {"setting": "oauth2.lifetime_seconds", "value": "900"},
        {"setting": "oauth2.lifetime_seconds", "value": "default"},
    ]


@pytest.mark.parametrize(
    "setting", ["oauth2.algorithm", "oauth2.nope", "oauth2", "", "nope.lifetime_seconds"]
)
async def test_unknown_setting(deployment, setting):
    """A setting that no table declares for organisations is refused."""
    await deployment.organisation()
    with pytest.raises(OperatorError, match="no organisation setting"):
        await deployment.act(change_organisation_setting, "acme", setting, "1", tables=TABLES)


async def test_confined_actor(deployment):
    """To an actor of one organisation another one answers like one that does not exist (TN-02)."""
    acme, _ = await deployment.organisation("acme")
    await deployment.organisation("globex")
    actor = client_actor(ClientId("c"), acme.id)
    assert [each.slug for each in await list_organisations(actor, deployment.store)] == ["acme"]
    refusals = []
    for slug in ("globex", "nobody"):
        with pytest.raises(OperatorError) as caught:
            await show_organisation(actor, deployment.store, slug)
        refusals.append(str(caught.value).replace(slug, "*"))
    assert refusals[0] == refusals[1]
    with pytest.raises(OperatorError, match="no organisation"):
        await deployment.act(disable_organisation, "globex", actor=actor)
    with pytest.raises(OperatorError, match="only an operator"):
        await deployment.act(create_organisation, "third", "Third", actor=actor)
