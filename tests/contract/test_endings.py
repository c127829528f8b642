"""The store's contract for a credential's use and an organisation's end, for every store."""

from datetime import date
from pathlib import Path

import msgspec
import pytest

from contract.store_kit import (
    ACME,
    ADDRESS,
    BETA,
    NOW,
    client,
    credential,
    family,
    next_version,
    open_at,
    open_file,
    seed,
    signing_key,
    unit,
)
from contract.test_store_on_disk import eventually
from keyturn.core.changes import Add, Lost, Recorded, Remove, RequireVersion, Shred, Touch
from keyturn.core.errors import Fault
from keyturn.core.records import Revocation
from keyturn.core.vocabulary import CredentialId, CredentialKind

TODAY, YESTERDAY = date(2026, 3, 2), date(2026, 3, 1)


@pytest.fixture
async def store(place):
    """A seeded store of each kind."""
    made = await open_at(place)
    await seed(made)
    yield made
    await made.close()


def touch(day=TODAY, organisation_id=ACME):
    """Note a use of the seeded secret."""
    return Touch(organisation_id, "client-1", CredentialId("cred-1"), day)


async def ended(store, **fields):
    """End the first organisation."""
    organisation = await store.deployment.organisation_store(ACME).organisation()
    change = next_version(organisation, ended_at=NOW, **fields)
    assert await store.recorder.record(unit(change)) == Recorded()


# --- use ---


async def test_a_use_is_noted_without_a_new_version(store):
    """A day of use is kept and seen from memory, and nobody who read the credential before loses to it."""
    assert (await store.registry.find_client("client-1")).credentials[0].last_used_on is None
    unchanged = RequireVersion("credential", "cred-1", 0)
    assert await store.recorder.record(unit(unchanged, touch())) == Recorded()
    view = await store.registry.find_client("client-1")
    assert (view.credentials[0].last_used_on, view.credentials[0].version) == (TODAY, 0)
    assert await store.deployment.organisation_store(ACME).credential("cred-1") == view.credentials[0]
    assert await store.recorder.record(unit(unchanged)) == Recorded()


async def test_the_latest_use_stays(store):
    """An earlier day, and an edit by somebody who had read the record before, do not unwrite a use."""
    before = await store.deployment.organisation_store(ACME).credential("cred-1")
    for day in (TODAY, YESTERDAY):
        assert await store.recorder.record(unit(touch(day))) == Recorded()
    assert await store.recorder.record(unit(next_version(before, name="renamed"))) == Recorded()
    kept = await store.deployment.organisation_store(ACME).credential("cred-1")
    assert (kept.name, kept.last_used_on) == ("renamed", TODAY)


async def test_a_use_of_another_organisations_credential(store):
    """TN-02: an organisation cannot note a use of another's credential, nor of one that is not there."""
    assert await store.recorder.record(unit(touch(organisation_id=BETA))) == Recorded()
    gone = msgspec.structs.replace(touch(), credential_id=CredentialId("nobody"))
    assert await store.recorder.record(unit(gone)) == Recorded()
    assert (await store.deployment.organisation_store(ACME).credential("cred-1")).last_used_on is None
    with pytest.raises(Fault):
        await store.deployment.organisation_store(BETA).record(unit(touch(), organisation_id=BETA))


async def test_found_by_digest(store):
    """A credential is found by any of the digests that its secret may have, and by no other."""
    find = store.deployment.credential_by_hash
    assert (await find([b"another", b"\x00\xffhash"])).id == "cred-1"
    assert await find([b"another"]) is None
    assert await find([]) is None


# --- the end of an organisation ---


async def test_a_living_organisation_is_not_shredded(store):
    """The key of an organisation that has not ended stays, and what it seals too."""
    outcome = await store.recorder.record(unit(Shred(ACME), personal={"address": ADDRESS}))
    assert isinstance(outcome, Lost)
    assert await store.recorder.record(unit(personal={"address": ADDRESS})) == Recorded()
    assert (await store.deployment.audit_page(limit=1)).personal == ({"address": ADDRESS},)


async def test_shredded(store):
    """TN-05: after shredding, earlier personal fields do not open, later ones are dropped, others' open."""
    for organisation_id in (ACME, BETA):
        await store.recorder.record(unit(organisation_id=organisation_id, personal={"address": ADDRESS}))
    await ended(store)
    assert await store.recorder.record(unit(Shred(ACME))) == Recorded()
    assert await store.recorder.record(unit(personal={"address": ADDRESS})) == Recorded()
    page = await store.deployment.audit_page(limit=5)
    opened = [(row.organisation_id, told) for row, told in zip(page.rows, page.personal, strict=True)]
    assert opened == [(ACME, None), (BETA, {"address": ADDRESS}), (ACME, {}), (ACME, {}), (ACME, {})]


async def test_shred_in_one_batch(store):
    """TN-05: an event that follows the shredding in the same batch is sealed under nothing any more."""
    await store.recorder.record(unit(personal={"address": ADDRESS}))
    organisation = await store.deployment.organisation_store(ACME).organisation()
    end = next_version(organisation, ended_at=NOW)
    await store.recorder.record(unit(end, Shred(ACME), personal={"address": ADDRESS}))
    page = await store.deployment.audit_page(limit=1)
    assert page.rows[0].sealed_personal is None


@pytest.mark.parametrize(
    "record",
    [client("client-2"), credential("cred-2"), family(), signing_key()],
    ids=["client", "credential", "family", "key"],
)
async def test_nothing_is_added_to_what_has_ended(store, record):
    """TN-05: what a slower process adds behind the deletion loses, so that deletion has an end."""
    await ended(store)
    outcome = await store.recorder.record(unit(Add(record)))
    assert isinstance(outcome, Lost)
    assert record not in await store.deployment.organisation_store(ACME).leftovers(100)


async def test_a_revocation_is_always_kept(store):
    """RV-03: a token of an ended organisation may be revoked all the same."""
    await ended(store)
    revocation = Revocation(id="t", organisation_id=ACME, revoked_at=NOW, expires_at=NOW)
    assert await store.recorder.record(unit(Add(revocation))) == Recorded()


async def test_a_deleted_organisations_secret_is_never_used_again(store):
    """TK-15: a secret whose digest a tombstone keeps is taken, in every other organisation too."""
    await ended(store)
    other = client("client-2", BETA)
    again = credential("cred-2", "client-2", BETA)
    fresh = credential("cred-3", "client-2", BETA, lookup_hash=b"fresh")
    assert await store.recorder.record(unit(Add(other), organisation_id=BETA)) == Recorded()
    assert isinstance(await store.recorder.record(unit(Add(again), organisation_id=BETA)), Lost)
    assert await store.recorder.record(unit(Add(fresh), organisation_id=BETA)) == Recorded()


async def test_leftovers(store):
    """TN-05: what is left comes in the order of erasing, as much as is asked for, and only one's own."""
    retired = signing_key("kid-2", retires_at=NOW)
    await store.recorder.record(unit(Add(family()), Add(signing_key()), Add(retired)))
    await store.recorder.record(unit(Add(client("c", BETA)), organisation_id=BETA))
    inside = store.deployment.organisation_store(ACME)
    assert [each.id for each in await inside.leftovers(2)] == ["cred-1", "client-1"]
    found = await inside.leftovers(100)
    assert [each.id for each in found] == ["cred-1", "client-1", "family-1", "kid-1", "kid-2"]
    changes = [next_version(each, name="") for each in found[:2]] + [Remove(each) for each in found[2:]]
    for _ in range(2):  # what is gone already may be removed again
        outcome = await inside.record(unit(*changes))
        changes = changes[2:]
        assert outcome == Recorded()
    assert await inside.leftovers(100) == []
    assert await store.deployment.signing_keys(ACME) == []
    assert len(await inside.credentials_of("client-1", CredentialKind.CLIENT_SECRET)) == 1


async def test_remove_stays_inside(store):
    """TN-02: another organisation's record is not removed under a false name."""
    await store.recorder.record(unit(Add(family())))
    with pytest.raises(Fault):
        await store.deployment.organisation_store(BETA).record(unit(Remove(family()), organisation_id=BETA))
    disguised = family(organisation_id=BETA)
    inside = store.deployment.organisation_store(BETA)
    assert isinstance(await inside.record(unit(Remove(disguised), organisation_id=BETA)), Lost)
    assert await store.registry.find_family("family-1") == family()


# --- on disk ---


async def test_another_process_hears_of_a_use(shared):
    """A use through one process is known in the memory of the other, so that none thinks a secret dormant."""
    here, there = await open_file(shared), await open_file(shared)
    await seed(here)

    async def used_on():
        view = await there.registry.find_client("client-1")
        return view and view.credentials[0].last_used_on

    assert await eventually(used_on_known(used_on, None), 5)
    await here.recorder.record(unit(touch()))
    assert await eventually(used_on_known(used_on, TODAY), 5)
    await here.close()
    await there.close()


def used_on_known(used_on, day):
    """Make the question whether memory says a day."""

    async def known():
        return await used_on() == day

    return known


async def test_another_process_seals_nothing_under_a_destroyed_key(shared):
    """TN-05: a writer that keeps an organisation's key open drops it with its very next transaction."""
    here, there = await open_file(shared), await open_file(shared)
    await seed(here)
    await there.recorder.record(unit(personal={"address": ADDRESS}))
    await ended(here)
    await here.recorder.record(unit(Shred(ACME)))
    await there.recorder.record(unit(personal={"address": ADDRESS}))
    [row] = (await there.deployment.audit_page(limit=1)).rows
    assert row.sealed_personal is None
    await here.close()
    await there.close()


async def test_what_is_overwritten_leaves_the_file(tmp_path):
    """TN-05: a name that was replaced is in no file of the store once its log was wiped."""
    path = tmp_path / "keyturn.db"
    store = await open_file(path)
    await seed(store)
    inside = store.deployment.organisation_store(ACME)
    name = b"Ada Augusta Lovelace"
    for number in range(40):
        added = msgspec.structs.replace(client(f"c{number}"), name=name.decode() * 9)
        assert await store.recorder.record(unit(Add(added))) == Recorded()
    assert any(name in each.read_bytes() for each in files(path))
    for each in await inside.clients():
        assert await store.recorder.record(unit(next_version(each, name=""))) == Recorded()
    assert await store.deployment.wipe_log()
    assert not any(name in each.read_bytes() for each in files(path))
    await store.close()


async def test_a_log_that_is_read_is_not_wiped(tmp_path):
    """TN-05: while somebody reads an older state the log stays, and that is told."""
    path = tmp_path / "keyturn.db"
    store, reader = await open_file(path), await open_file(path)
    await seed(store)
    with reader._reads._engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql("SELECT count(*) FROM client").all()
        await store.recorder.record(unit(Add(client("c2"))))
        assert not await store.deployment.wipe_log()
        connection.exec_driver_sql("ROLLBACK")
    assert await store.deployment.wipe_log()
    await store.close()
    await reader.close()


def files(path: Path) -> list[Path]:
    """List the store's files."""
    return list(path.parent.glob(path.name + "*"))
