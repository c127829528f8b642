"""What status lists are made of: the store's contract, in memory and on disk."""

from datetime import timedelta

import pytest

from contract.store_kit import ACME, BETA, NOW, open_at, seed, unit
from keyturn.core.changes import Add, Lost, Recorded
from keyturn.core.status_records import StatusBlock, StatusMark
from keyturn.core.vocabulary import ClientId, CredentialId, OwnerKind

DAY = timedelta(days=1)


@pytest.fixture
async def store(place):
    """An open store of each kind with two organisations."""
    made = await open_at(place)
    await seed(made)
    yield made
    await made.close()


def block(list_id="list-1", first=0, organisation_id=ACME, **fields):
    """Describe a block."""
    values = {
        "size": 4,
        "owner_kind": OwnerKind.USER,
        "subject": "user-1",
        "credential_id": CredentialId("cred-1"),
        "epochs": (0, 3, 1),
        "client_id": ClientId("client-1"),
        "family_id": None,
        "expires_at": NOW,
    }
    return StatusBlock(
        id=f"{list_id}.{first}",
        list_id=list_id,
        organisation_id=organisation_id,
        first=first,
        **(values | fields),
    )


def mark(token_id="token-1", list_id="list-1", organisation_id=ACME):
    """Describe a mark."""
    return StatusMark(id=token_id, list_id=list_id, organisation_id=organisation_id, number=7, expires_at=NOW)


async def test_what_is_written_is_read(store):
    """Blocks and marks come back as they were, by organisation and list; another's list is empty (TN-02)."""
    kept = [block(), block(first=4, epochs=(0, 0, 0, 0, 9), client_id=None, family_id="family-1")]
    others = [block("list-2"), block("list-3", organisation_id=BETA)]
    changes = (Add(each) for each in (*kept, *others, mark(), mark("token-2", "list-2")))
    assert await store.recorder.record(unit(*changes)) == Recorded()
    blocks, marks = await store.status.content(ACME, "list-1")
    assert (sorted(blocks, key=lambda each: each.first), list(marks)) == (kept, [mark()])
    assert await store.status.content(BETA, "list-1") == ([], [])
    assert await store.status.lists(ACME) == ["list-1", "list-2"]


async def test_a_place_is_leased_once(store):
    """A second lease of the same places loses; revoking a token twice does not."""
    assert await store.recorder.record(unit(Add(block()), Add(mark()))) == Recorded()
    assert isinstance(await store.recorder.record(unit(Add(block(subject="user-2")))), Lost)
    assert await store.recorder.record(unit(Add(mark()))) == Recorded()


async def test_kept_a_day(store):
    """RE-07: rows go a day after the last token that they could be about, and not before."""
    await store.recorder.record(unit(Add(block()), Add(mark())))
    for name in ("status_block", "status_mark"):
        assert await store.upkeep.sweep(name, NOW + DAY, 9) == 0
        assert await store.upkeep.sweep(name, NOW + DAY + timedelta(seconds=1), 9) == 1
    assert await store.status.lists(ACME) == []
