"""The store's contract for a store that was set back: what ends then, in every kind of store (RE-09)."""

from datetime import timedelta

import pytest

from contract.store_kit import (
    ACME,
    BETA,
    NOW,
    client,
    credential,
    next_version,
    open_at,
    organisation,
    pepper,
    seed,
    signing_key,
    unit,
)
from contract.test_admin_store import FULL, kept, token
from contract.test_status_store import block, mark
from keyturn.core.changes import Add, Recorded, Rewind
from keyturn.core.errors import Fault
from keyturn.core.life import Life, State
from keyturn.core.totp import DRIFT_STEPS, step_at
from keyturn.core.vocabulary import CredentialKind
from keyturn.storage.feed import EVERYTHING

LATER = NOW + timedelta(hours=1)
SECONDS = int(LATER.timestamp())
EPOCH = int(LATER.timestamp() * 1000)


@pytest.fixture
async def store(place):
    """A store of each kind with two organisations and a client."""
    made = await open_at(place)
    await seed(made)
    yield made
    await made.close()


async def record(store, *changes):
    """Commit changes of the deployment."""
    assert await store.recorder.record(unit(*changes, organisation_id=None)) == Recorded()


async def epochs(store):
    """Read both organisations' epochs and versions."""
    return [(each.epoch, each.version) for each in await store.deployment.organisations()]


async def test_epochs_rise_to_the_time(store):
    """RE-09: every organisation's epoch is the time, and above any that there was; memory hears of it."""
    heard = []
    store.feed.on_change(lambda topic, key: heard.append((topic, key)))
    assert (await store.registry.find_client("client-1")).organisation.epoch == 0
    await record(store, Rewind(LATER))
    assert heard == [(EVERYTHING, EVERYTHING)]
    assert await epochs(store) == [(EPOCH, 1), (EPOCH, 1)]
    assert (await store.registry.find_client("client-1")).organisation.epoch == EPOCH
    await record(store, Rewind(LATER - timedelta(minutes=1)))
    assert await epochs(store) == [(EPOCH + 1, 2), (EPOCH + 1, 2)]


async def test_tokens_may_be_kept(store):
    """RE-09: where tokens are kept no epoch rises."""
    await record(store, Rewind(LATER, keep_tokens=True))
    assert await epochs(store) == [(0, 0), (0, 0)]


async def test_what_was_used_stays_used(store):
    """RE-02: passcodes up to now, recovery codes and setup tokens are over; a secret and a device are not."""
    made = {
        kind: credential(f"cred-{kind}", kind=kind, lookup_hash=f"hash {kind}".encode())
        for kind in (CredentialKind.TOTP, CredentialKind.RECOVERY_CODE, CredentialKind.PUBLIC_KEY)
    }
    ahead = credential("ahead", kind=CredentialKind.TOTP, accepted_step=10**9, lookup_hash=b"ahead")
    long_ended = Life(created_at=NOW, state=State.ENDED, ended_at=NOW, ended_why="used")
    used = credential("used", kind=CredentialKind.RECOVERY_CODE, life=long_ended, lookup_hash=b"used")
    await record(store, *map(Add, (*made.values(), ahead, used, token(setup=True), FULL, kept())))
    await record(store, Rewind(LATER, keep_tokens=True))
    inside = store.deployment.organisation_store(ACME)
    now = {each: await inside.credential(f"cred-{each}") for each in made}
    device, code, key = now.values()
    assert (device.accepted_step, device.version) == (step_at(LATER) + DRIFT_STEPS, 1)
    assert (key.accepted_step, key.version) == (SECONDS, 1)
    assert (code.life.state, code.life.ended_at, code.life.ended_why) == (State.ENDED, LATER, "restored")
    assert (code.epoch, code.version) == (1, 1)
    assert device.life.state is key.life.state is State.ACTIVE
    assert [await inside.credential(each.id) for each in (ahead, used)] == [ahead, used]
    assert await inside.credential("cred-1") == credential()
    setup, other = await store.deployment.admin_tokens()
    assert (setup.ended_at, setup.ended_why, setup.version) == (LATER, "restored", 1)
    assert other == FULL
    assert await store.deployment.kept_answer("answer-1") is None


async def test_status_lists_go_with_the_tokens(store):
    """RE-09: a list from before would call valid what took its places since; with tokens kept it stays."""
    await record(store, Add(block()), Add(block("list-2", organisation_id=BETA)), Add(mark()))
    await record(store, Rewind(LATER, keep_tokens=True))
    assert await store.status.content(ACME, "list-1") == ([block()], [mark()])
    await record(store, Rewind(LATER))
    assert await store.status.content(ACME, "list-1") == ([], [])
    assert await store.status.lists(ACME) == await store.status.lists(BETA) == []


async def test_rings_end_where_asked(store):
    """RE-09: with a purpose named all keys retire and what founded their rings goes; otherwise none does."""
    await record(store, Add(signing_key()), Add(signing_key("kid-2", BETA)), Add(pepper()))
    await record(store, Rewind(NOW))
    assert len(await store.deployment.signing_keys(ACME)) == 1
    await record(store, Rewind(NOW + timedelta(seconds=1), rings="pepper"))
    for each in (ACME, BETA):
        assert await store.deployment.signing_keys(each) == []
    assert await store.deployment.sealed("pepper") == []


async def test_many(store, monkeypatch):
    """Tables of more rows than one statement takes are walked to their end."""
    monkeypatch.setattr("keyturn.storage.rewinding._AT_ONCE", 2)
    some = [organisation(f"org-{number}") for number in range(3)]
    await record(store, *map(Add, some), Add(client("client-2", "org-1")))
    await record(store, Rewind(LATER))
    assert {each.epoch for each in await store.deployment.organisations()} == {EPOCH}


async def test_not_inside_an_organisation(store):
    """TN-02: no organisation's own store sets the deployment back, and a loser keeps its epoch."""
    inside = store.deployment.organisation_store(ACME)
    with pytest.raises(Fault, match="names another"):
        await inside.record(unit(Rewind(LATER)))
    lost = unit(Rewind(LATER), next_version(organisation(version=7)), organisation_id=None)
    assert await store.recorder.record(lost) != Recorded()
    assert await epochs(store) == [(0, 0), (0, 0)]
