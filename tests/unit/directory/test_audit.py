"""The audit trail as operators see it."""

import pytest

from keyturn.core.actors import client as client_actor
from keyturn.core.actors import operator
from keyturn.core.errors import OperatorError
from keyturn.core.vocabulary import ClientId, OrganisationId
from keyturn.directory import audit
from keyturn.directory.audit import tail_audit, verify_audit
from keyturn.directory.organisations import rename_organisation

ACTOR = operator("alice")


def unbroken(rows, last):
    """Follow sequence numbers only; what makes a hash right is storage's to test."""
    seq = last.seq if last else 0
    for row in rows:
        seq += 1
        if row.seq != seq:
            return seq
    return None


def verify(deployment, actor=ACTOR):
    """Check a trail that nobody has signed yet."""
    return verify_audit(
        actor,
        deployment.store,
        deployment.memory.upkeep,
        check=unbroken,
        signature=None,
    )


async def test_tail(deployment):
    """The tail is the newest rows, oldest first."""
    await deployment.organisation()
    for name in ("one", "two", "three"):
        await deployment.act(rename_organisation, "acme", name)
    rows = await tail_audit(ACTOR, deployment.store, 2)
    assert [row.seq for row in rows] == [3, 4]


@pytest.mark.parametrize("limit", [0, -1, 10_001])
async def test_limit(deployment, limit):
    """A tail has a length that fits in memory."""
    with pytest.raises(OperatorError, match="rows"):
        await tail_audit(ACTOR, deployment.store, limit)


async def test_verified_page_by_page(deployment, monkeypatch):
    """A chain longer than a page is followed from each page to the next."""
    monkeypatch.setattr(audit, "_PAGE", 2)
    await deployment.organisation()
    for name in ("one", "two", "three", "four"):
        await deployment.act(rename_organisation, "acme", name)
    [verdict] = (await verify(deployment)).chains
    assert (verdict.rows, verdict.broken_at) == (5, None)


async def test_broken(deployment, monkeypatch):
    """A verdict says how many rows hold and where the first does not."""
    monkeypatch.setattr(audit, "_PAGE", 2)
    await deployment.organisation()
    for name in ("one", "two", "three", "four"):
        await deployment.act(rename_organisation, "acme", name)
    del deployment.memory._shelf.audit[3]
    [verdict] = (await verify(deployment)).chains
    assert (verdict.rows, verdict.broken_at) == (3, 4)


async def test_confined_actor(deployment):
    """An actor of one organisation does not read the deployment's trail (TN-02)."""
    actor = client_actor(ClientId("c"), OrganisationId("o"))
    for asked in (tail_audit(actor, deployment.store, 1), verify(deployment, actor)):
        with pytest.raises(OperatorError, match="only an operator"):
            await asked
