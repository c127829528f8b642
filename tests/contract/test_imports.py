"""Imports in every store: many records in one change, all or none, with an event for each row."""

import pytest

from contract.people_kit import entity, membership, user
from contract.store_kit import ACME, BETA, client, credential, event, open_at, organisation, seed, unit
from keyturn.core.changes import Add, AddMany, Lost, Recorded, Replace, Unit
from keyturn.core.errors import Fault
from keyturn.core.tombstones import ended_organisation
from keyturn.storage import verify_chain

ROWS = 450
"""More than the SQL stores ask about at a time."""


@pytest.fixture
async def seeded(place):
    """A store of each kind with two organisations, a client and its secret."""
    made = await open_at(place)
    await seed(made)
    yield made
    await made.close()


def secret_of(owner, number=0):
    """Make a secret of an owner that no other has."""
    return credential(f"cred-of-{owner}-{number}", owner, lookup_hash=f"hash {owner} {number}".encode())


def many(rows=3):
    """Make clients with secrets, users with memberships, and an entity."""
    for number in range(rows):
        yield client(f"bot-{number}")
        yield secret_of(f"bot-{number}")
    for number in range(3):
        yield user(f"u-{number}")
        yield membership(f"m-{number}", f"u-{number}")
    yield entity()


def imported(*records, also=()):
    """Make the unit of an import into acme."""
    return Unit(
        changes=(AddMany(ACME, records),),
        audit=event("import.done"),
        audit_if_lost=event("test.lost", outcome="conflict"),
        also=also,
    )


async def test_all_of_it_is_there(seeded):
    """What an import brings is read like what was added one by one, and each event has its row (AD-05)."""
    own = seeded.deployment.organisation_store(ACME)
    also = tuple(event("row", request_id=f"r-{n}", personal={"name": "x"}) for n in range(5))
    assert await seeded.deployment.client_view("bot-7") is None
    assert await own.record(imported(*many(ROWS), also=also)) == Recorded()
    assert len(await own.clients()) == ROWS + 1
    view = await seeded.registry.find_client("bot-7")
    assert view.credentials == (secret_of("bot-7"),)
    assert (await seeded.registry.find_user("u-1")).memberships == (membership("m-1", "u-1"),)
    assert (await own.entities()) == [entity()]
    rows = await seeded.deployment.audit_rows(limit=100)
    assert [row.kind for row in rows][-6:] == ["import.done", *["row"] * 5]
    assert [row.request_id for row in rows][-5:] == [each.request_id for each in also]
    assert verify_chain(rows) is None


@pytest.mark.parametrize(
    "taken",
    [
        client("client-1"),
        credential("cred-1", lookup_hash=b"other"),
        user("elsewhere", name="new", email="other@example.org"),
        entity("ELSEWHERE"),
    ],
)
async def test_nothing_of_it_is_there(seeded, taken):
    """TK-15: one id or address that somebody has, elsewhere too, and nothing of an import is there."""
    abroad = (user("far", BETA, email="other@example.org"), entity("ELSEWHERE", BETA, subject="other"))
    assert await seeded.recorder.record(unit(*map(Add, abroad), organisation_id=BETA)) == Recorded()
    own = seeded.deployment.organisation_store(ACME)
    members = (membership("m-x", "elsewhere"),) if isinstance(taken, type(abroad[0])) else ()
    holder = await seeded.deployment.taken_by((*many(), taken))
    assert holder is not None
    lost = await own.record(imported(*many(), taken, *members, also=(event("row"),)))
    assert isinstance(lost, Lost)
    assert lost.winner == (holder if holder.organisation_id == ACME else None)
    assert [each.id for each in await own.clients()] == ["client-1"]
    assert await own.users() == []
    assert (await seeded.deployment.audit_rows(limit=1))[0].kind == "test.lost"


async def test_a_deleted_organisations_secret_stays_dead(seeded):
    """TK-15: a secret of a deleted organisation is not imported again, nor anything into one."""
    gone = ended_organisation(organisation(ACME), client().created_at)
    other = AddMany(BETA, (client("new", BETA), credential("c-new", "new", BETA)))
    assert await seeded.recorder.record(unit(Replace(gone, 0))) == Recorded()
    assert await seeded.recorder.record(unit(other, organisation_id=BETA)) == Lost(other, None)
    assert isinstance(await seeded.recorder.record(imported(client("late"))), Lost)


async def test_contradictions_are_faults(seeded):
    """TN-02: an import names no other organisation and brings no membership without its user."""
    for records in ((client("new", BETA),), (membership("m-9", "u-9"),)):
        with pytest.raises(Fault):
            await seeded.recorder.record(imported(*records))
    with pytest.raises(Fault):
        await seeded.deployment.organisation_store(BETA).record(imported(client("new")))
    with pytest.raises(Fault):
        await seeded.recorder.record(imported(client("twice"), client("twice")))
    assert await seeded.deployment.client_view("twice") is None
