"""The store's contract for admin tokens and kept answers: one suite for every store."""

import asyncio
import itertools
import operator
from datetime import timedelta

import msgspec
import pytest

from contract.store_kit import ACME, BETA, NOW, client, next_version, open_at, open_file, organisation, unit
from contract.test_store_on_disk import eventually
from keyturn.core.admin_records import AdminToken, KeptAnswer
from keyturn.core.changes import Add, Lost, Recorded, Remove, RequireVersion
from keyturn.core.records import Client, User
from keyturn.core.store_ports import AuditWish, PageWish
from keyturn.storage import trail
from keyturn.storage.feed import STALE_SECONDS

DIGEST = b"hash of admin-1"


def token(token_id="admin-1", **fields):
    """Make an admin token."""
    members = {
        "id": token_id,
        "name": "operations",
        "organisation_id": None,
        "scopes": ("clients:read", "users:write"),
        "created_at": NOW,
        "lookup_hash": f"hash of {token_id}".encode(),
        "pepper_id": "pepper-1",
    }
    return AdminToken(**(members | fields))


FULL = token(
    "admin-2",
    organisation_id=ACME,
    setup=True,
    expires_at=NOW + timedelta(days=1),
    last_used_on=NOW.date(),
    ended_at=NOW,
    ended_why="test",
)


def kept(answer_id="answer-1", **fields):
    """Make a kept answer."""
    members = {
        "id": answer_id,
        "organisation_id": ACME,
        "request_hash": b"request",
        "created_at": NOW,
        "expires_at": NOW + timedelta(days=1),
    }
    return KeptAnswer(**(members | fields))


@pytest.fixture
async def store(place):
    """A store of each kind with two organisations."""
    made = await open_at(place)
    for each in (organisation(), organisation(BETA)):
        assert await made.recorder.record(unit(Add(each), organisation_id=each.id)) == Recorded()
    yield made
    await made.close()


async def record(store, *changes):
    """Commit changes of the deployment."""
    return await store.recorder.record(unit(*changes, organisation_id=None))


async def test_tokens_come_back(store):
    """What is written of an admin token is read again, by id, by digest and in the list, oldest first."""
    assert await record(store, Add(token()), Add(FULL)) == Recorded()
    assert list(await store.deployment.admin_tokens()) == [token(), FULL]
    assert await store.deployment.admin_token("admin-2") == FULL
    assert await store.deployment.admin_token("nobody") is None
    assert await store.registry.find_admin_token([b"other", DIGEST]) == token()
    assert await store.registry.find_admin_token([b"other"]) is None


async def test_a_token_is_claimed_once(store):
    """AD-06: of several who end a token at once, one does."""
    await record(store, Add(token()))
    outcomes = await asyncio.gather(
        *(record(store, next_version(token(), ended_at=NOW), Add(token(f"new-{n}"))) for n in range(4))
    )
    assert sum(outcome == Recorded() for outcome in outcomes) == 1
    assert len(await store.deployment.admin_tokens()) == 2


async def test_memory_follows_a_token(store):
    """A token that was ended is found as ended at once."""
    await record(store, Add(token()))
    assert (await store.registry.find_admin_token([DIGEST])).ended_at is None
    await record(store, next_version(token(), ended_at=NOW))
    assert (await store.registry.find_admin_token([DIGEST])).ended_at == NOW


async def test_answers_come_back(store):
    """A kept answer is written once by its id, and filled in."""
    assert await record(store, Add(kept(organisation_id=None))) == Recorded()
    assert isinstance(await record(store, Add(kept())), Lost)
    filled = next_version(kept(organisation_id=None), answer=b"sealed")
    assert await record(store, filled) == Recorded()
    assert await store.deployment.kept_answer("answer-1") == filled.record
    assert await store.deployment.kept_answer("other") is None


async def test_company_goes_along(store):
    """What accompanies a store is in each unit, before its changes: all of it holds, or nothing."""
    with_answer = store.deployment.accompanied(Add(kept()))
    inside = with_answer.organisation_store(ACME)
    assert await inside.record(unit()) == Recorded()
    assert await store.deployment.kept_answer("answer-1") == kept()
    lost = await inside.record(unit(next_version(organisation(), name="Other")))
    assert isinstance(lost, Lost)
    assert (await inside.organisation()).name == organisation().name
    stale = store.deployment.accompanied(RequireVersion("organisation", ACME, 7))
    lost = await stale.organisation_store(ACME).record(unit(next_version(organisation(), name="Other")))
    assert isinstance(lost.change, RequireVersion)


async def test_an_organisation_leaves_none(store):
    """TN-05: admin tokens and kept answers of an organisation are among what its deletion removes."""
    await record(store, Add(FULL), Add(token()), Add(kept()))
    left = await store.deployment.organisation_store(ACME).leftovers(10)
    assert {each.id for each in left} == {"admin-2", "answer-1"}
    assert await record(store, *(Remove(each) for each in left)) == Recorded()
    assert [each.id for each in await store.deployment.admin_tokens()] == ["admin-1"]
    assert await store.registry.find_admin_token([FULL.lookup_hash]) is None


async def test_the_trail_is_searched(store):
    """AD-05: rows are found newest first by what they say, by organisation and time, and after a place."""
    for number in range(3):
        happened = unit(kind="client.created", subject=f"client-{number}", personal={"name": "Ada"})
        await store.recorder.record(happened)
    await store.recorder.record(unit(kind="client.created", organisation_id=BETA))
    search = store.deployment.audit_hits
    found = await search(AuditWish(organisation_id=ACME, equal={"kind": "client.created"}))
    assert [hit.row.subject for hit in found] == ["client-2", "client-1", "client-0"]
    assert found[0].personal == {"name": "Ada"}
    first = await search(AuditWish(equal={"kind": "client.created"}, limit=2))
    rest = await search(AuditWish(equal={"kind": "client.created"}, before=first[-1].position))
    assert [hit.row.organisation_id for hit in (*first, *rest)] == [BETA, ACME, ACME, ACME]
    assert await search(AuditWish(until=found[0].row.at, equal={"subject": "client-2"})) == []
    assert len(await search(AuditWish(since=found[0].row.at, equal={"subject": "client-2"}))) == 1


async def test_a_time_leads_to_places(store, monkeypatch):
    """AD-05: every row of a time lies between the two places that it leads to, and few others do."""
    monkeypatch.setattr(trail, "FEW", 0)
    for minute in range(40):
        await store.recorder.record(unit(at=NOW + timedelta(minutes=minute), subject=f"of {minute}"))
    search, span = store.deployment.audit_hits, store.deployment.audit_span
    since, until = NOW + timedelta(minutes=10), NOW + timedelta(minutes=20)
    found = await span(since, until)
    inside = await search(AuditWish(after=found.after, before=found.last + 1, opened=False))
    assert {f"of {minute}" for minute in range(10, 20)} <= {hit.row.subject for hit in inside}
    assert len(inside) <= 13
    assert [hit.personal for hit in inside] == [None] * len(inside)
    everything = await span(None, None)
    assert len(await search(AuditWish(after=everything.after, before=everything.last + 1))) == 42
    before = await span(None, NOW - timedelta(days=1))
    assert (before.after, before.last, before.oldest_at) == (0, 0, everything.oldest_at)
    assert await store.upkeep.settled_to() == everything.last


async def test_a_time_where_the_clock_was_accepted(store):
    """AD-05: where a clock went wrong by a year and was set back, rows of both times are still found."""
    wrong = NOW + timedelta(days=365)
    for at, subject in ((NOW, "before"), (wrong, "wrong"), (wrong, "wrong too")):
        await store.recorder.record(unit(at=at, subject=subject))
    await store.upkeep.accept_clock(NOW)
    for minute in range(1, 9):
        await store.recorder.record(unit(at=NOW + timedelta(minutes=minute), subject=f"of {minute}"))
    for since, subject in ((NOW + timedelta(minutes=5), "of 5"), (wrong, "wrong"), (NOW, "before")):
        found = await store.deployment.audit_span(since, since + timedelta(seconds=1))
        wish = AuditWish(after=found.after, before=found.last + 1, equal={"subject": subject})
        assert len(await store.deployment.audit_hits(wish)) == 1


async def test_what_is_left_is_counted(store):
    """TN-05: what is left to erase of an organisation is counted by its kind."""
    await record(store, Add(FULL), Add(token()), Add(kept()))
    inside = store.deployment.organisation_store(ACME)
    assert dict(await inside.leftover_counts()) == {"admin_tokens": 1, "kept_answers": 1}
    await record(store, *(Remove(each) for each in await inside.leftovers(10)))
    assert dict(await inside.leftover_counts()) == {}


async def test_another_process_follows(shared):
    """AD-01: a token that one process ended is ended in every other within a second."""
    here, there = [await open_file(shared) for _ in range(2)]
    try:
        await record(here, Add(token()))
        assert (await there.registry.find_admin_token([DIGEST])).ended_at is None
        await record(here, next_version(token(), ended_at=NOW))
        assert await eventually(lambda: _ended(there), STALE_SECONDS)
    finally:
        await here.close()
        await there.close()


async def _ended(store):
    return (await store.registry.find_admin_token([DIGEST])).ended_at is not None


async def test_pages(store):
    """TN-02: a page has what is wanted of one organisation, in order, once, also of one moment and a tie."""
    inside = store.deployment.organisation_store(ACME)
    for number, (name, late) in enumerate([("b", 0), ("a", 0), ("B", 1), ("é", 1), ("a", 2), ("Z", 3)]):
        fields = {"name": name, "created_at": NOW + timedelta(microseconds=late), "public": number % 2 == 0}
        ended = NOW if number == 3 else None
        made = msgspec.structs.replace(client(f"client-{number}"), ended_at=ended, **fields)
        assert await store.recorder.record(unit(Add(made))) == Recorded()
    foreign = client("client-9", organisation_id=BETA)
    await store.recorder.record(unit(Add(foreign), organisation_id=BETA))
    whole = await inside.clients()
    for sort, descending in itertools.product(("created_at", "name"), (False, True)):
        key = operator.attrgetter(sort, "id")
        expected = sorted(whole, key=key, reverse=descending)
        found, after = [], None
        while page := await inside.page(
            Client, PageWish(sort=sort, descending=descending, after=after, limit=2)
        ):
            found += page
            after = key(page[-1])
        assert found == expected
    living = await inside.page(Client, PageWish(equal={"public": False}, ended=False))
    assert [each.id for each in living] == ["client-1", "client-5"]
    assert [each.id for each in await inside.page(Client, PageWish(ended=True))] == ["client-3"]
    assert await inside.page(Client, PageWish(equal={"name": "A"})) == []
    assert await inside.page(User, PageWish()) == []
