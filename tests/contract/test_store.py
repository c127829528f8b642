"""The store's contract: one suite for every store, and what only a store on disk can promise."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from contract.store_kit import (
    ACME,
    ADDRESS,
    BETA,
    NOW,
    client,
    credential,
    event,
    next_version,
    open_at,
    organisation,
    pepper,
    seed,
    signing_key,
    unit,
)
from keyturn.core.changes import Add, Lost, Recorded, Replace, ReplaceKey, RequireVersion, Unit
from keyturn.core.errors import Fault, Unavailable
from keyturn.core.life import Life, State
from keyturn.core.records import Revocation
from keyturn.core.views import ClientView
from keyturn.core.vocabulary import CredentialKind
from keyturn.storage import Tail, revocations, verify_chain
from keyturn.storage.schema import micros


@pytest.fixture
async def store(place):
    """An open, empty store of each kind."""
    made = await open_at(place)
    yield made
    await made.close()


@pytest.fixture
async def seeded(store):
    """A store with two organisations, a client and its secret."""
    await seed(store)
    return store


# --- what is written is read ---


async def test_records_come_back_as_they_were(seeded):
    """Every kind of record is read back equal to what was added."""
    own = seeded.deployment.organisation_store(ACME)
    life = Life(
        created_at=NOW,
        state=State.OVERLAPPING,
        disabled=True,
        expires_at=NOW + timedelta(days=90, microseconds=1),
        overlap_until=NOW + timedelta(hours=1),
    )
    second = credential("cred-2", life=life, scopes=("read",), last_used_on=NOW.date(), epoch=7)
    key = signing_key()
    changes = (Add(second), Add(key), Add(pepper()))
    assert await seeded.deployment.record(unit(*changes)) == Recorded()
    assert await own.organisation() == organisation()
    assert await own.client("client-1") == client()
    assert await own.clients() == [client()]
    assert await own.credential("cred-2") == second
    assert await own.credentials_of("client-1", CredentialKind.CLIENT_SECRET) == [credential(), second]
    assert await seeded.deployment.signing_keys(ACME) == [key]
    assert await seeded.deployment.sealed("pepper") == [pepper()]


async def test_views_across_organisations(seeded):
    """The deployment's store finds organisations by slug, clients with secrets, and whose a credential is."""
    deployment = seeded.deployment
    assert await deployment.organisations() == [organisation(ACME), organisation(BETA)]
    assert await deployment.organisation_by_slug("slug-org-beta") == organisation(BETA)
    assert await deployment.organisation_by_slug("nobody") is None
    view = ClientView(organisation(), client(), (credential(),))
    assert await deployment.client_view("client-1") == view
    assert await deployment.client_view("nobody") is None
    assert await deployment.organisation_of_credential("cred-1") == ACME
    assert await deployment.organisation_of_credential("nobody") is None


async def test_retired_keys_are_left_out(store):
    """A key whose last token has expired is no longer read."""
    await store.recorder.record(unit(Add(signing_key(retires_at=NOW - timedelta(days=9000)))))
    late = signing_key("kid-2", retires_at=NOW + timedelta(days=9000))
    await store.recorder.record(unit(Add(late)))
    assert await store.deployment.signing_keys(ACME) == [late]


# --- units: all or none, and a loss is a value ---


async def test_lost_replace_returns_the_winner(seeded):
    """Of two replacements of one version the second loses, changes nothing and learns what won (RE-02)."""
    first, second = next_version(client(), name="first"), next_version(client(), name="second")
    assert await seeded.recorder.record(unit(first)) == Recorded()
    assert await seeded.recorder.record(unit(second)) == Lost(second, first.record)
    assert await seeded.deployment.organisation_store(ACME).client("client-1") == first.record


async def test_racers_never_both_win(seeded):
    """Of many replacements at once exactly one wins and every other one is told of it."""
    racers = [next_version(client(), name=f"racer-{n}") for n in range(20)]
    outcomes = await asyncio.gather(*(seeded.recorder.record(unit(racer)) for racer in racers))
    winners = [racer for racer, outcome in zip(racers, outcomes, strict=True) if outcome == Recorded()]
    assert len(winners) == 1
    losers = [outcome for outcome in outcomes if outcome != Recorded()]
    assert all(outcome.winner == winners[0].record for outcome in losers)


async def test_a_unit_is_all_or_none(seeded):
    """A unit whose last change loses leaves nothing of its first ones."""
    changes = (Add(client("client-2")), next_version(client(), name="new"), Add(client("client-1")))
    outcome = await seeded.recorder.record(unit(*changes))
    assert outcome == Lost(changes[2], msgspec.structs.replace(client(), name="new", version=1))
    own = seeded.deployment.organisation_store(ACME)
    assert await own.clients() == [client()]


async def test_neighbours_are_unaffected(seeded):
    """Units that win, lose or cannot be written at all do not disturb those beside them."""
    bad = unit(Add(client("client-x")), details={"text": "\ud800"})
    units = [unit(Add(client(f"new-{n}")), request_id=f"r{n}") for n in range(10)]
    units[5:5] = [unit(Add(client())), bad, unit(next_version(client(version=9)), lost=True)]
    outcomes = await asyncio.gather(*map(seeded.recorder.record, units), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Recorded] * 5 + [Lost, Fault, Lost] + [Recorded] * 5
    assert "\ud800" not in str(outcomes[6])
    assert len(await seeded.deployment.organisation_store(ACME).clients()) == 11
    await assert_chain_holds(seeded)


@pytest.mark.parametrize(
    "again",
    [
        organisation("org-new", slug="slug-org-acme"),
        organisation("org-new", api_key="key-org-acme"),
        organisation(ACME, slug="other", api_key="other"),
    ],
)
async def test_names_of_ended_organisations_are_never_reused(seeded, again):
    """An organisation's id, slug and alias stay taken after it has ended (TK-15)."""
    ended = next_version(organisation(), ended_at=NOW, disabled=True)
    assert await seeded.recorder.record(unit(ended)) == Recorded()
    assert await seeded.recorder.record(unit(Add(again))) == Lost(Add(again), ended.record)


async def test_ids_of_ended_clients_are_never_reused(seeded):
    """A client's id stays taken after it has ended, also for another organisation (TK-15)."""
    ended = next_version(client(), ended_at=NOW)
    assert await seeded.recorder.record(unit(ended)) == Recorded()
    again = Add(client(organisation_id=BETA))
    assert await seeded.recorder.record(unit(again)) == Lost(again, ended.record)


@pytest.mark.parametrize("record", [credential(), signing_key(), pepper()])
async def test_other_ids_are_taken_once(seeded, record):
    """A second record by the same id loses to the first."""
    await seeded.recorder.record(unit(Add(record)))
    assert await seeded.recorder.record(unit(Add(record))) == Lost(Add(record), record)


async def test_slugs_are_immutable(seeded):
    """A replacement that would give up an organisation's slug or a credential's owner loses (TK-15)."""
    renamed = next_version(organisation(), slug="other")
    assert await seeded.recorder.record(unit(renamed)) == Lost(renamed, organisation())
    moved = next_version(credential(), owner_id="client-2")
    assert await seeded.recorder.record(unit(moved)) == Lost(moved, credential())


async def test_nothing_belongs_to_nobody(store):
    """A client or a credential of no known organisation loses to nothing."""
    for record in (client(), credential()):
        assert await store.recorder.record(unit(Add(record))) == Lost(Add(record), None)


async def test_replacing_what_is_not_there_loses(seeded):
    """A replacement of a record that does not exist loses to nothing."""
    missing = next_version(client("nobody"))
    assert await seeded.recorder.record(unit(missing)) == Lost(missing, None)


async def test_key_rings_turn_once(store):
    """A signing key is replaced only from the state that was read (TK-14)."""
    was = signing_key()
    await store.recorder.record(unit(Add(was)))
    now = msgspec.structs.replace(was, active_at=NOW)
    assert await store.recorder.record(unit(ReplaceKey(now, was))) == Recorded()
    again = ReplaceKey(msgspec.structs.replace(was, retires_at=NOW), was)
    assert await store.recorder.record(unit(again)) == Lost(again, now)


async def test_contradictions_are_faults(seeded):
    """A replacement that skips a version and a requirement of an unknown table are faults."""
    with pytest.raises(Fault):
        await seeded.recorder.record(unit(Replace(client(version=5), 0)))
    with pytest.raises(Fault):
        await seeded.recorder.record(unit(RequireVersion("feed", "1", 0)))


@pytest.mark.parametrize("warm", [True, False])
async def test_required_versions_hold_or_lose(seeded, warm):
    """A unit that rests on a version holds, and loses to what came after, cached or not."""
    needs = tuple(RequireVersion(*each) for each in [
        ("organisation", ACME, 0), ("client", "client-1", 0), ("credential", "cred-1", 0)
    ])  # fmt: skip
    if warm:
        await seeded.registry.find_client("client-1")
    assert await seeded.recorder.record(unit(*needs)) == Recorded()
    ended = next_version(credential(), life=credential().life.ended(NOW, "test"))
    assert await seeded.recorder.record(unit(ended)) == Recorded()
    assert await seeded.recorder.record(unit(*needs)) == Lost(needs[2], ended.record)
    gone = RequireVersion("client", "nobody", 0)
    assert await seeded.recorder.record(unit(gone)) == Lost(gone, None)


async def test_requirement_beside_the_change_it_misses(seeded):
    """A requirement sees what an earlier unit of the same moment has changed."""
    await seeded.registry.find_client("client-1")
    needs = RequireVersion("client", "client-1", 0)
    change = next_version(client(), disabled=True)
    outcomes = await asyncio.gather(
        seeded.recorder.record(unit(needs)),
        seeded.recorder.record(unit(change)),
        seeded.recorder.record(unit(needs)),
    )
    assert list(outcomes) == [Recorded(), Recorded(), Lost(needs, change.record)]


async def test_requirement_beside_a_revocation(seeded):
    """A revocation of the same moment neither ends what a requirement names nor hides what did."""
    dead = Revocation(id="token-1", organisation_id=ACME, revoked_at=NOW, expires_at=NOW)
    await seeded.registry.find_client("client-1")
    needs = RequireVersion("client", "client-1", 0)
    change = next_version(client(), disabled=True)
    outcomes = await asyncio.gather(
        seeded.recorder.record(unit(Add(dead))),
        seeded.recorder.record(unit(needs)),
        seeded.recorder.record(unit(change)),
        seeded.recorder.record(unit(Add(msgspec.structs.replace(dead, id="token-2")))),
        seeded.recorder.record(unit(needs)),
    )
    assert list(outcomes) == [*[Recorded()] * 4, Lost(needs, change.record)]


@pytest.mark.parametrize("page", [2, 4])
async def test_revocations_are_found_again_page_by_page(shared, monkeypatch, page):
    """RV-02: a store that is opened anew knows each revocation, whatever a database takes for their order."""
    monkeypatch.setattr(revocations, "PAGE", page)
    names = ["a", "B", "_", "Z-1"]  # an order by language is another one
    store = await open_at(shared)
    for name in names:
        dead = Revocation(id=name, organisation_id=ACME, revoked_at=NOW, expires_at=NOW)
        assert await store.recorder.record(unit(Add(dead))) == Recorded()
    await store.close()
    store = await open_at(shared)
    try:
        assert [name for name in names if not store.revocations.covers(name, None)] == []
        assert not store.revocations.covers("b", None)
        found = await store._reads.revocations("B", 2)
        assert found == [("Z-1", micros(NOW)), ("_", micros(NOW))]
    finally:
        await store.close()


# --- one organisation's store cannot name another (TN-02) ---


async def test_another_organisation_sees_nothing(seeded):
    """Another organisation's ids answer exactly like those that do not exist (TN-02)."""
    other = seeded.deployment.organisation_store(BETA)
    assert await other.client("client-1") is None
    assert await other.credential("cred-1") is None
    assert await other.clients() == []
    assert await other.credentials_of("client-1", CredentialKind.CLIENT_SECRET) == []


@pytest.mark.parametrize(
    "foreign",
    [
        unit(Add(client("new"))),
        unit(Add(client("new")), organisation_id=BETA),
        unit(next_version(organisation()), organisation_id=BETA),
        unit(Add(signing_key()), organisation_id=BETA),
        unit(Add(pepper()), organisation_id=BETA),
        unit(RequireVersion("organisation", ACME, 0), organisation_id=BETA),
        unit(ReplaceKey(signing_key(issuer_id=BETA), signing_key()), organisation_id=BETA),
        unit(organisation_id=None),
        Unit(audit=event(organisation_id=BETA), audit_if_lost=event(organisation_id=ACME)),
    ],
)
async def test_naming_another_organisation_is_a_fault(seeded, foreign):
    """A unit that names another organisation, or none, does not pass an organisation's store (TN-02)."""
    with pytest.raises(Fault):
        await seeded.deployment.organisation_store(BETA).record(foreign)


async def test_another_organisations_winner_is_not_shown(seeded):
    """What an organisation's unit lost to is not shown where it is another organisation's (TN-02)."""
    other = seeded.deployment.organisation_store(BETA)
    mine = client(organisation_id=BETA)
    for change in (Add(mine), next_version(mine), RequireVersion("client", "client-1", 0)):
        assert await other.record(unit(change, organisation_id=BETA)) == Lost(change, None)


async def test_an_organisation_writes_its_own(seeded):
    """An organisation's store records units of its own and makes none of an unknown organisation."""
    own = seeded.deployment.organisation_store(ACME)
    assert own.organisation_id == ACME
    assert await own.record(unit(next_version(client(), name="new"))) == Recorded()
    with pytest.raises(Fault):
        await seeded.deployment.organisation_store("nobody").organisation()


# --- the audit trail (AD-05) ---


async def whole_chain(store):
    (chain,) = await store.deployment.audit_chains()
    return list(await store.deployment.audit_rows(chain=chain, limit=10_000))


async def assert_chain_holds(store):
    rows = await whole_chain(store)
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert verify_chain(rows) is None


async def test_every_unit_leaves_its_row(seeded):
    """Wins leave their event, losses the event of the loss, and each row keeps every field (AD-05)."""
    kept = event("token.issued", request_id="r9", subject="client-1", outcome="denied", reason="wrong_secret")
    await seeded.recorder.record(Unit(audit=kept))
    await seeded.recorder.record(unit(Add(client()), lost=True))
    await seeded.recorder.record(unit(Add(client())))
    rows = await whole_chain(seeded)
    assert [row.kind for row in rows] == ["test.done"] * 3 + ["token.issued", "test.lost"]
    fields = (
        "at",
        "kind",
        "actor",
        "request_id",
        "outcome",
        "organisation_id",
        "subject",
        "reason",
        "details",
    )
    assert [getattr(rows[3], name) for name in fields] == [getattr(kept, name) for name in fields]


async def test_chain_is_complete_under_load(seeded):
    """Hundreds of units at once make one chain without gaps."""
    await asyncio.gather(*(seeded.recorder.record(unit(request_id=f"r{n}")) for n in range(300)))
    await assert_chain_holds(seeded)
    rows = await whole_chain(seeded)
    assert {row.request_id for row in rows} >= {f"r{n}" for n in range(300)}
    newest = await seeded.deployment.audit_rows(limit=5)
    assert list(newest) == rows[-5:]
    assert verify_chain(rows[200:], Tail(rows[199].chain, 200, rows[199].row_hash)) is None


async def test_tampering_is_seen(seeded):
    """An altered, removed, moved or foreign row breaks the chain where it is (AD-05)."""
    for number in range(7):
        await seeded.recorder.record(unit(request_id=f"r{number}", personal={"address": ADDRESS}))
    rows = await whole_chain(seeded)
    altered = msgspec.structs.replace
    assert verify_chain(rows) is None
    assert verify_chain([*rows[:4], altered(rows[4], outcome="other"), *rows[5:]]) == 5
    assert verify_chain([*rows[:4], altered(rows[4], sealed_personal=b"x"), *rows[5:]]) == 5
    assert verify_chain([*rows[:4], *rows[5:]]) == 5
    assert verify_chain([*rows[:4], rows[5], rows[4], *rows[6:]]) == 5
    assert verify_chain(rows[1:]) == 1
    assert verify_chain([*rows[:4], altered(rows[4], chain="other"), *rows[5:]]) == 5


async def test_personal_fields_open_for_an_operator(seeded):
    """Personal fields are sealed in the row and opened for an operator, whoever's event it was."""
    for organisation_id in (ACME, None, "org-unknown"):
        personal = {"address": ADDRESS, "of": str(organisation_id)}
        await seeded.recorder.record(unit(organisation_id=organisation_id, personal=personal))
    await seeded.recorder.record(unit())
    page = await seeded.deployment.audit_page(limit=4)
    assert [p and p.get("of") for p in page.personal] == [ACME, "None", "org-unknown", {}]
    assert all(ADDRESS.encode() not in (row.sealed_personal or b"") for row in page.rows)


# --- the registry and the feed ---


async def test_registry_sees_own_commits_at_once(seeded):
    """What was just recorded is what the registry finds, also where it had found nothing before."""
    registry = seeded.registry
    assert await registry.find_client("client-2") is None
    assert await registry.find_organisation("slug-new") is None
    view = await registry.find_client("client-1")
    assert (
        await registry.find_client("client-1")
        == view
        == ClientView(organisation(), client(), (credential(),))
    )
    await seeded.recorder.record(unit(Add(client("client-2"))))
    assert (await registry.find_client("client-2")).client == client("client-2")
    new = organisation("org-new", slug="slug-new")
    await seeded.recorder.record(unit(Add(new)))
    assert await registry.find_organisation("slug-new") == new
    second = credential("cred-2")
    await seeded.recorder.record(unit(Add(second)))
    assert (await registry.find_client("client-1")).credentials == (credential(), second)
    disabled = next_version(organisation(), disabled=True)
    await seeded.recorder.record(unit(disabled))
    assert (await registry.find_client("client-1")).organisation == disabled.record
    assert await registry.find_organisation("slug-org-acme") == disabled.record
    registry.require_fresh()


async def test_subscribers_hear_before_the_answer(store):
    """Whoever follows the feed has heard of a change before its author has the answer."""
    heard = []
    store.feed.on_change(lambda topic, key: heard.append((topic, key)))
    await seed(store)
    await store.recorder.record(unit(Add(signing_key()), Add(pepper())))
    assert heard[:2] == [("organisation", ACME), ("organisation", BETA)]
    assert set(heard[2:4]) == {("client", "client-1"), ("credential", "client-1")}
    assert set(heard[4:]) == {("signing_key", ACME), ("sealed", "pepper")}


async def test_a_closed_store_is_unavailable(store):
    """After closing, a store that is asked to record says so."""
    await store.check()
    await store.close()
    with pytest.raises(Unavailable):
        await store.recorder.record(unit())
    assert "feed_version" in store.stats()
