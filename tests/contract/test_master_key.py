"""One master key takes over from another, in every store: nothing is passed over, whatever interrupts it."""

import asyncio
import contextlib
import os
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import LargeBinary

from contract.store_kit import ACME, BETA, credential, event, organisation, signing_key
from ground import HandClock
from harness import deployment
from keyturn.core.actors import operator
from keyturn.core.admin_records import KeptAnswer
from keyturn.core.changes import Add, Recorded, Replace, Unit
from keyturn.core.errors import Clash, ConfigError, Fault, NotPermitted, OperatorError, Unavailable
from keyturn.core.notices import Channel, Subscription
from keyturn.core.records import Sealed
from keyturn.core.sealed_values import FIELDS, MASTER_KEY, key_of, open_value, place_of
from keyturn.core.upkeep_ports import Node
from keyturn.core.vocabulary import CredentialKind, Reason
from keyturn.directory.master_key import (
    NODE_LIVES,
    SETTLED_AFTER,
    retire_master_key,
    show_master_keys,
    use_master_key,
)
from keyturn.keys.sealing import MasterKey, MasterSealer
from keyturn.storage import open_store
from keyturn.storage.memory import MemoryStore
from keyturn.storage.schema import METADATA
from keyturn.storage.sealed_reads import sealed_columns
from keyturn.upkeep.master_key import PAGE, Following, Resealing, key_in_use

ROOT = operator("root")
NOT_UNDER_THE_MASTER_KEY = {
    "admin_token.lookup_hash": "a digest",
    "audit.prev_hash": "a digest",
    "audit.row_hash": "a digest",
    "audit.sealed_personal": "under the organisation's audit key, which is",
    "audit_checkpoint.signature": "a signature",
    "audit_checkpoint.statement": "what is signed",
    "credential.lookup_hash": "a digest",
    "kept_answer.request_hash": "a digest",
    "limit_cell.name": "a digest",
    "lockout.key": "a digest",
    "lockout.name_key": "a digest",
    "refresh_family.current_hash": "a digest",
    "refresh_family.previous_hash": "a digest",
    "refresh_family.successor_sealed": "a salt, or under a key that only the refresh token before gives",
    "signing_key.certificate": "public",
}


def test_every_column_of_bytes_is_thought_of():
    """TK-12: a column of bytes is sealed again by a rotation, or stands above with the reason why not."""
    bytes_kept = {
        f"{table.name}.{column.name}"
        for table in METADATA.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    covered = {f"{table.name}.{column.name}" for table, column in sealed_columns().values()}
    assert covered | set(NOT_UNDER_THE_MASTER_KEY) == bytes_kept
    assert covered.isdisjoint(NOT_UNDER_THE_MASTER_KEY)


async def test_nothing_of_a_deployment_is_passed_over():
    """TK-12: in a deployment with every dialect's things no field of any record is left under the old key."""
    async with deployment() as here:
        local = here.local
        local.sealer.hold((*_keys_of(local.sealer), MasterKey.generate(os.urandom)))
        old, new = local.sealer.held
        now, upkeep = here.clock.now(), local.store.upkeep
        await use_master_key(ROOT, local.deployment, upkeep, local.sealer, new, now=now, dice=local.dice)
        job = Resealing(local.deployment, upkeep, local.sealer, here.clock, local.dice)
        assert (await job.work(now)).endswith(", 0 left")
        rows = local.store._shelf.rows.values()
        heads = {
            (type(row).__name__, name)
            for row in rows
            for name in row.__struct_fields__
            if isinstance(value := getattr(row, name), bytes) and value[1:9].hex() == old
        }
        assert heads == set()
        assert {type(row).__name__ for row in rows} >= {"Credential", "Sealed"}


def _keys_of(sealer):
    """Take a sealer's keys out, which only a test does."""
    return tuple(Held(head, cipher) for head, cipher in sealer._ciphers.items())


class Held:
    """A master key of which only the cipher is known."""

    def __init__(self, head, cipher):
        self.id = head[1:]
        self.cipher = lambda: cipher


class Place:
    """An open store with everything sealed in it, and a keyring that holds the old key and a new one."""

    def __init__(self, store, sealer, clock, keys):
        self.store = store
        self.sealer = sealer
        self.clock = clock
        self.keys = keys
        self.old, self.new = (key.id.hex() for key in keys)

    @property
    def now(self):
        return self.clock.now()

    async def use(self, key_id=None):
        await use_master_key(
            ROOT,
            self.store.deployment,
            self.store.upkeep,
            self.sealer,
            key_id or self.new,
            now=self.now,
            dice=os.urandom,
        )

    def job(self, deployment=None, sealer=None):
        return Resealing(
            deployment or self.store.deployment,
            self.store.upkeep,
            sealer or self.sealer,
            self.clock,
            os.urandom,
        )

    async def standing(self):
        return await show_master_keys(
            ROOT, self.store.deployment, self.store.upkeep, self.sealer, now=self.now
        )

    async def records(self):
        """Every record with a sealed value: none is under a key by this name."""
        found = [await self.store.upkeep.sealed_elsewhere(kind, "00" * 8, (), 10_000) for kind in FIELDS]
        return [record for page in found for record in page]

    async def retire(self, key_id):
        await retire_master_key(
            ROOT,
            self.store.deployment,
            self.store.upkeep,
            self.sealer,
            key_id,
            now=self.now,
            dice=os.urandom,
        )

    async def seed(self):
        """Seal something in each kind of record, more than a page of one kind."""
        made = [
            *(
                credential(
                    f"cred-{number:03}", kind=CredentialKind.TOTP, lookup_hash=b"h%d" % number, sealed=b""
                )
                for number in range(PAGE + 10)
            ),
            credential("secret", kind=CredentialKind.ENTITY_SECRET, lookup_hash=b"s", sealed=b""),
            signing_key("kid-1"),
            signing_key("kid-2", issuer_id=BETA),
            Sealed(id="pepper-1", purpose="pepper", value=b"", created_at=self.now),
            Sealed(id="pepper-1", purpose="another", value=b"", created_at=self.now),
            KeptAnswer(
                id="answer",
                organisation_id=None,
                request_hash=b"r",
                created_at=self.now,
                expires_at=self.now,
                answer=b"",
            ),
            Subscription(
                id="subscription",
                organisation_id=None,
                channel=Channel.WEBHOOK,
                target="https://hooks.example.com/",
                kinds=(),
                created_at=self.now,
                secret=b"",
            ),
        ]
        changes = [Add(organisation(ACME)), Add(organisation(BETA))]
        for record in made:
            value = self.sealer.seal(*place_of(record), repr(place_of(record)).encode())
            changes.append(Add(msgspec.structs.replace(record, **{FIELDS[type(record)]: value})))
        plain = credential("plain", lookup_hash=b"p")
        unit = Unit(audit=event("seeded"), changes=(*changes, Add(plain)))
        assert await self.store.deployment.record(unit) == Recorded()


@pytest.fixture
async def here(place):
    """A seeded store of each kind."""
    clock = HandClock()
    keys = (MasterKey.generate(os.urandom), MasterKey.generate(os.urandom))
    sealer = MasterSealer(keys[0], os.urandom)
    if place is None:
        store = MemoryStore(sealer, clock, os.urandom)
    else:
        store = await open_store(place, sealer, clock, os.urandom, create=True)
    made = Place(store, sealer, clock, keys)
    await made.seed()
    sealer.hold(keys)
    yield made
    await store.close()


def opened(record, sealer):
    """Open a value; the organisations' audit keys are random, all others say their place."""
    clear = open_value(record, sealer)
    return clear == repr(place_of(record)).encode() or len(clear) == 32 or place_of(record)[0] == MASTER_KEY


async def test_everything_comes_under_the_new_key(here):
    """TK-12: after a rotation every value opens under the new key alone, in its place."""
    before = await here.standing()
    assert (before.in_use, before.since, before.under(here.new)) == (here.old, None, 0)
    await here.use()
    assert here.sealer.current == here.new
    total = before.under(here.old)
    assert await here.job().work(here.now) == f"sealed {total} again, 0 left"
    after = await here.standing()
    assert (after.in_use, after.since, after.elsewhere()) == (here.new, here.now, 0)
    assert after.under(here.new) == total + 1  # and the value that says so
    alone = MasterSealer(here.keys[1], os.urandom)
    assert all(opened(record, alone) for record in await here.records())
    assert await here.job().work(here.now) == "sealed 0 again, 0 left"
    plain = await here.store.deployment.organisation_of_credential("plain")
    assert plain == ACME
    kept = await here.store.deployment.organisation_store(ACME).credential("cred-000")
    assert kept.version == 1  # who read it before loses


@pytest.mark.parametrize("place", [None])
async def test_an_interruption_at_any_commit(here, place):
    """RE-01: wherever a rotation breaks off, all opens, and the next run does what is left and no more."""

    class Breaking:
        """A store that breaks after some commits."""

        def __init__(self, commits):
            self.commits = commits

        def __getattr__(self, name):
            return getattr(here.store.deployment, name)

        async def record(self, unit):
            if not self.commits:
                raise Unavailable(Reason.STORE_UNAVAILABLE)
            self.commits -= 1
            return await here.store.deployment.record(unit)

    await here.use()
    runs = 0
    while (left := (await here.standing()).elsewhere()) and runs < 20:
        runs += 1
        with contextlib.suppress(Unavailable):  # the last run may have one commit to make
            await here.job(Breaking(1)).work(here.now)
        assert all(opened(record, here.sealer) for record in await here.records())
        assert (await here.standing()).elsewhere() < left
    assert runs > len(FIELDS)


async def test_a_change_in_the_same_moment_is_not_lost(here):
    """A value that somebody replaces while it is sealed again keeps what they wrote."""
    await here.use()
    store = here.store.deployment.organisation_store(ACME)

    class Racing:
        """A store in which somebody else is first, once."""

        raced = False

        def __getattr__(self, name):
            return getattr(here.store.deployment, name)

        async def record(self, unit):
            if not self.raced and any(getattr(each.record, "id", "") == "cred-007" for each in unit.changes):
                self.raced = True
                was = await store.credential("cred-007")
                theirs = msgspec.structs.replace(
                    was,
                    sealed=here.sealer.seal_under(here.old, *place_of(was), b"theirs"),
                    version=was.version + 1,
                )
                changed = Unit(audit=event("theirs"), changes=(Replace(theirs, was.version),))
                assert await here.store.deployment.record(changed) == Recorded()
            return await here.store.deployment.record(unit)

    assert (await here.job(Racing()).work(here.now)).endswith(", 1 left")
    assert await here.job().work(here.now) == "sealed 1 again, 0 left"
    assert open_value(await store.credential("cred-007"), here.sealer) == b"theirs"


@pytest.mark.parametrize("place", [None])
async def test_a_damaged_value_holds_up_no_other(here, place, caplog):
    """A value that does not open is named in the log and left; all others are sealed again."""
    await here.use()
    rows = here.store._shelf.rows
    [(at, was)] = [(at, row) for at, row in rows.items() if getattr(row, "id", "") == "kid-1"]
    rows[at] = msgspec.structs.replace(was, sealed_private=was.sealed_private[:-1] + b"?")
    assert (await here.job().work(here.now)).endswith(", 1 left")
    assert "kid-1" in caplog.text
    with pytest.raises(Clash, match="1 value still needs"):
        await here.retire(here.old)


async def test_a_node_that_lacks_the_key(here):
    """RE-01: a key comes into use only when every server that lives holds it."""
    told = Node(id="one", seen_at=here.now, held=(here.old,), sealing_under=here.old)
    await here.store.upkeep.report_node(told)
    with pytest.raises(Clash, match=r"does not hold the master key .* yet: one"):
        await here.use()
    await here.store.upkeep.report_node(msgspec.structs.replace(told, held=(here.old, here.new)))
    await here.use()
    assert [node.sealing_under for node in (await here.standing()).nodes] == [here.old]
    here.clock.advance((NODE_LIVES + timedelta(seconds=1)).total_seconds())
    assert (await here.standing()).nodes == []


@pytest.mark.parametrize("place", [None])
async def test_retiring_waits_for_everything(here, place):
    """TK-12: a key goes only when it is not in use, nothing needs it, and a while has passed."""
    with pytest.raises(Clash, match="is in use"):
        await here.retire(here.old)
    await here.use()
    with pytest.raises(Clash, match="values still need"):
        await here.retire(here.old)
    await here.job().work(here.now)
    told = Node(id="one", seen_at=here.now, held=here.sealer.held, sealing_under=here.old)
    await here.store.upkeep.report_node(told)
    with pytest.raises(Clash, match=r"seals under the master key .*: one"):
        await here.retire(here.old)
    await here.store.upkeep.forget_node("one")
    with pytest.raises(Clash, match="a moment ago"):
        await here.retire(here.old)
    here.clock.advance(SETTLED_AFTER.total_seconds())
    await here.retire(here.old)
    kinds = {row.kind for row in await here.store.deployment.audit_rows(limit=100)}
    assert {"master_key.used", "master_key.resealed", "master_key.retired"} <= kinds


@pytest.mark.parametrize("place", [None])
async def test_who_may_choose(here, place):
    """TN-02: an actor of one organisation learns nothing of master keys; and what is not held is not used."""
    confined = msgspec.structs.replace(ROOT, organisation_id=ACME)
    store, upkeep = here.store.deployment, here.store.upkeep
    with pytest.raises(NotPermitted):
        await show_master_keys(confined, store, upkeep, here.sealer, now=here.now)
    with pytest.raises(NotPermitted):
        await use_master_key(confined, store, upkeep, here.sealer, here.new, now=here.now, dice=os.urandom)
    with pytest.raises(OperatorError, match="no master key with id"):
        await here.use("00" * 8)


@pytest.mark.parametrize("place", [None])
async def test_processes_follow(here, place, caplog):
    """A server tells what it holds, and seals under the key in use from its next look on."""
    other = MasterSealer(here.keys[0], os.urandom)
    given = [here.keys]

    def reload():
        if not given:
            return False
        other.hold(given.pop())
        return True

    following = Following(here.store.deployment, here.store.upkeep, other, reload, here.clock, "one")
    await following.work()
    assert (await here.standing()).nodes == []  # a command is no server
    await following.enlist()
    [node] = (await here.standing()).nodes
    assert (node.held, node.sealing_under) == ((here.old, here.new), here.old)
    await here.use()
    await following.work()
    [node] = (await here.standing()).nodes
    assert (other.current, node.sealing_under) == (here.new, here.new)
    here.clock.advance(10)
    await following.work()
    assert (await here.standing()).nodes == [node]  # nothing new to say
    here.clock.advance(25)
    await following.work()
    assert (await here.standing()).nodes[0].seen_at == here.now
    await following.leave()
    assert (await here.standing()).nodes == []
    assert not other.hold(here.keys[:1])  # the wrong one was taken away
    await following.work()
    assert other.current == here.new
    lacking = MasterSealer(here.keys[0], os.urandom)
    late = Following(here.store.deployment, here.store.upkeep, lacking, reload, here.clock, "two")
    for _ in range(2):
        await late.work()
    assert caplog.text.count("given is only") == 1


@pytest.mark.parametrize("place", [None])
async def test_the_key_in_use_cannot_be_chosen_without_it(here, place):
    """TK-12: who can write the store and has no master key cannot say which one is in use."""
    await here.use()
    assert await key_in_use(here.store.deployment, here.sealer) == here.new
    with pytest.raises(ConfigError, match="given is only"):
        await key_in_use(here.store.deployment, MasterSealer(here.keys[0], os.urandom))
    [kept] = await here.store.deployment.sealed(MASTER_KEY)
    rows = here.store._shelf.rows
    forged = b"\1" + bytes.fromhex(here.old) + kept.value[9:]
    rows[(Sealed, kept.id, kept.purpose)] = msgspec.structs.replace(kept, value=forged)
    with pytest.raises(Fault):
        await key_in_use(here.store.deployment, here.sealer)


@pytest.mark.parametrize("place", [None])
async def test_of_two_who_choose_one_wins(here, place):
    """Two operators who bring in a key in the same moment leave one choice."""
    outcomes = await asyncio.gather(here.use(), here.use(), return_exceptions=True)
    assert sorted(type(each).__name__ for each in outcomes) == ["Clash", "NoneType"]
    assert len(await here.store.deployment.sealed(MASTER_KEY)) == 1
    assert {key_of(each.value) for each in await here.store.deployment.sealed(MASTER_KEY)} == {here.new}
