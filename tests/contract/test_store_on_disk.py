"""What only a store on disk promises: survival, neighbours in other processes, and failures that pass."""

import asyncio
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from itertools import count
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import event

from contract import store_kit
from contract.limits_kit import tag
from contract.store_kit import (
    ACME,
    ADDRESS,
    BETA,
    NOW,
    client,
    credential,
    family,
    next_version,
    open_file,
    organisation,
    seed,
    unit,
)
from contract.stranger import Stranger
from keyturn.core.changes import Add, Lost, Recorded, RequireVersion
from keyturn.core.errors import ConfigError, Unavailable
from keyturn.core.vocabulary import Reason
from keyturn.storage import verify_chain
from keyturn.storage.feed import STALE_SECONDS
from keyturn.storage.log_keeper import PAGES
from keyturn.storage.turns import FairLock

KIT = Path(store_kit.__file__)


@pytest.fixture
def path(tmp_path):
    """Where a database file lies, in a folder that the store makes."""
    return tmp_path / "data" / "keyturn.db"


@pytest.fixture
async def file_store(path):
    """A seeded store in a file."""
    made = await open_file(path, patience_seconds=1.5)
    await seed(made)
    yield made
    await made.close()


@pytest.fixture
async def store(shared):
    """A seeded store whose callers are impatient."""
    made = await open_file(shared, patience_seconds=1.5)
    await seed(made)
    yield made
    await made.close()


@pytest.fixture
async def second(store, shared):
    """Another store at the same place, as another process would open it."""
    made = await open_file(shared, patience_seconds=1.5)
    yield made
    await made.close()


def start(*arguments, **options):
    """Start the kit as a process of its own, with this process's import paths."""
    paths = os.pathsep.join(filter(None, [str(KIT.parents[1]), *sys.path]))
    return subprocess.Popen(
        [sys.executable, str(KIT), *map(str, arguments)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
        text=True,
        **options,
    )


async def eventually(condition, seconds):
    """Tell whether a condition comes true within some seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if await condition():
            return True
        await asyncio.sleep(0.02)
    return False


# --- the file ---


async def test_files_are_for_this_account_only(file_store, path):
    """The folder is 0700 and every file in it 0600 (TK-12)."""
    assert path.parent.stat().st_mode & 0o777 == 0o700
    modes = {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}
    assert {"keyturn.db", "keyturn.db-wal"} <= set(modes)


async def test_it_is_a_durable_log(file_store):
    """The writer's connection uses the write-ahead log and waits for the disk (RE-01)."""
    with file_store.recorder._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


async def test_the_log_is_copied_home(file_store, path):
    """RE-01: a store copies its log home beside its writer, and leaves none behind when it is closed."""
    filling = unit(organisation_id=None, details={"x": "y" * 5000})

    async def copied():
        await asyncio.gather(*(file_store.recorder.record(filling) for _ in range(64)))
        return file_store.stats()["log_pages"] >= PAGES

    assert await eventually(copied, 10)
    await file_store.close()
    assert not path.with_name("keyturn.db-wal").exists()


async def test_the_log_of_counters_is_copied_home(file_store):
    """RE-10: who is counted and refused, so that nothing is audited, does not make the log long either."""
    file_store._keeper._due = 40
    lockout, numbers = file_store.lockout(tag), count()

    async def copied():
        await lockout.admit(f"org-a/{next(numbers)}", ADDRESS, NOW)
        return file_store.stats()["log_pages"] >= 40

    assert await eventually(copied, 10)


async def test_closing_waits_for_no_turn_twice(path):
    """RE-03: where a neighbour is stopped in its turn, closing takes twice the patience and no longer."""
    store = await open_file(path, patience_seconds=0.25)
    store._keeper._due = 1
    turns = FairLock(path)
    with turns.held():
        for _ in range(8):
            store._keeper.committed()

        async def waits():
            return store._keeper._turns is not None

        assert await eventually(waits, 10)
        left = store.recorder.record(unit(organisation_id=None))
        began = time.monotonic()
        await store.close()
        assert time.monotonic() - began < 4
        with pytest.raises(Unavailable):
            await left
    turns.close()
    store._keeper.close(10)


async def test_the_log_is_wiped_in_turn(file_store, path):
    """RE-01: the log is emptied while no neighbour may write: SQLite before 3.51.3 may destroy the file."""
    log, turns = path.with_name("keyturn.db-wal"), FairLock(path)
    with turns.held():
        wiping = asyncio.ensure_future(file_store.deployment.wipe_log())
        await asyncio.wait({wiping}, timeout=0.2)
        assert (wiping.done(), log.stat().st_size > 0) == (False, True)
    turns.close()
    assert await wiping
    assert log.stat().st_size == 0


async def test_a_link_to_the_file(file_store, path, tmp_path):
    """RE-01: who opens a store by a link to its file queues with the others, and copies the same log home."""
    link = tmp_path / "store"
    link.symlink_to(path)
    linked, turns = await open_file(link), FairLock(path)
    with turns.held():
        recording = linked.recorder.record(unit(organisation_id=None))
        await asyncio.wait({recording}, timeout=0.2)
        assert not recording.done()
    turns.close()
    assert await recording == Recorded()
    assert linked._keeper._log.path == file_store._keeper._log.path
    await linked.close()
    assert [each.name for each in tmp_path.glob("store*")] == ["store"]


async def test_wiping_the_log_waits_for_no_turn_for_ever(path):
    """TN-05: where a neighbour is stopped in its turn, who wipes is told so after twice the patience."""
    store, turns = await open_file(path, patience_seconds=0.1), FairLock(path)
    with turns.held(), pytest.raises(Unavailable):
        await store.deployment.wipe_log()
    turns.close()
    await store.close()


async def test_it_is_all_there_after_reopening(shared):
    """What was recorded is read by the next process, whose chain is one of its own."""
    url = shared if isinstance(shared, str) else f"sqlite:///{shared}"
    for _ in range(2):
        store = await open_file(url)
        await store.recorder.record(unit(organisation_id=None))
        await store.close()
    store = await open_file(shared)
    chains = await store.deployment.audit_chains()
    assert len(chains) == 2
    for chain in chains:
        rows = await store.deployment.audit_rows(chain=chain)
        assert len(rows) == 1
        assert verify_chain(rows) is None
    await store.close()


@pytest.mark.parametrize("setting", ["mysql://somewhere/db", ":memory:", "sqlite:///"])
async def test_other_stores_are_not_known(setting):
    """A setting that names no file is a mistake in the configuration."""
    with pytest.raises(ConfigError):
        await open_file(setting)


async def test_a_folder_is_not_a_store(tmp_path):
    """A path that cannot be opened makes the store unavailable, not the process crash."""
    with pytest.raises(Unavailable):
        await open_file(tmp_path)


# --- personal fields ---


async def test_personal_fields_are_nowhere_in_the_files(file_store, path):
    """No file holds a personal field in clear."""
    await file_store.recorder.record(unit(personal={"address": ADDRESS}))
    for each in path.parent.iterdir():
        assert ADDRESS.encode() not in each.read_bytes()


async def test_an_organisation_can_be_shredded(store, shared):
    """Without the organisation's key its personal fields are gone, everything else and the chain stay."""
    await store.recorder.record(unit(personal={"address": ADDRESS}))
    await store.recorder.record(unit(organisation_id=BETA, personal={"address": ADDRESS}))
    with Stranger(shared) as connection:
        connection.say("DELETE FROM sealed WHERE purpose = 'organisation-audit-key' AND id = 'org-acme'")
    page = await store.deployment.audit_page(limit=2)
    assert page.personal == (None, {"address": ADDRESS})
    store.recorder._scribe.forget()  # as a process that starts later
    await store.recorder.record(unit(personal={"address": ADDRESS}))
    assert (await store.deployment.audit_rows(limit=1))[0].sealed_personal is None
    (chain,) = await store.deployment.audit_chains()
    assert verify_chain(await store.deployment.audit_rows(chain=chain)) is None


async def test_tampering_with_the_file_is_seen(store, shared):
    """A row changed behind the store's back breaks the chain (AD-05)."""
    for number in range(5):
        await store.recorder.record(unit(request_id=f"r{number}"))
    with Stranger(shared) as connection:
        connection.say("UPDATE audit SET actor = 'client:other' WHERE seq = 4")
    (chain,) = await store.deployment.audit_chains()
    assert verify_chain(await store.deployment.audit_rows(chain=chain)) == 4


# --- neighbours on the same file ---


async def test_two_stores_see_each_others_changes_within_a_second(store, second):
    """A change is known to the other process's registry and subscribers within a second (RE-08)."""
    heard = []
    second.feed.on_change(lambda topic, key: heard.append((topic, key)))
    assert (await second.registry.find_client("client-1")).client == client()
    assert await second.registry.find_client("client-2") is None
    change = next_version(client(), disabled=True)
    await store.recorder.record(unit(change, Add(client("client-2"))))

    async def seen():
        first = await second.registry.find_client("client-1")
        return first.client == change.record and await second.registry.find_client("client-2") is not None

    assert await eventually(seen, 1)
    assert set(heard) == {("client", "client-1"), ("client", "client-2")}


async def test_requirements_lose_to_another_process_at_once(store, second):
    """A version that another process has just passed does not hold, even before the feed says so."""
    await second.registry.find_client("client-1")
    change = next_version(credential(), life=credential().life.ended(store_kit.NOW, "test"))
    await store.recorder.record(unit(change))
    needs = RequireVersion("credential", "cred-1", 0)
    assert await second.recorder.record(unit(needs)) == Lost(needs, change.record)
    # That commit brought the news along.
    assert (await second.registry.find_client("client-1")).credentials == (change.record,)


async def test_what_units_share_is_required_of_each(store, second):
    """RE-02: what the units of one decision rest on holds for each, also beside a unit that changes it."""
    await second.registry.find_client("client-1")
    needs = RequireVersion("credential", "cred-1", 0)
    resting, record = unit(needs), second.recorder.record
    change = next_version(credential(), life=credential().life.ended(store_kit.NOW, "test"))
    assert await asyncio.gather(record(resting), record(resting)) == [Recorded(), Recorded()]
    outcomes = await asyncio.gather(record(resting), record(unit(change)), record(resting))
    assert outcomes == [Recorded(), Recorded(), Lost(needs, change.record)]
    assert await record(resting) == Lost(needs, change.record)


async def test_a_log_that_was_trimmed_forgets_everything(store, second, shared):
    """Who lags behind the change log's beginning forgets all it knows instead of missing something."""
    await second.registry.find_client("client-1")
    heard = []
    second.feed.on_change(lambda topic, key: heard.append((topic, key)))
    change = next_version(client(), name="new")
    with Stranger(shared) as connection:
        connection.begin()
        connection.say("UPDATE client SET name = 'new', version = 1 WHERE id = 'client-1'")
        connection.say("UPDATE feed SET version = version + 5")
        connection.say("DELETE FROM change_log")
        connection.say("COMMIT")

    async def seen():
        return (await second.registry.find_client("client-1")).client == change.record

    assert await eventually(seen, 1)
    assert ("*", "*") in heard


async def test_a_feed_that_cannot_be_read_goes_stale_and_recovers(store, shared):
    """Memory that was not confirmed for a second is refused, and good again once the feed is back (RE-08)."""
    store.registry.require_fresh()
    with Stranger(shared) as connection:
        connection.say("ALTER TABLE feed RENAME TO gone")
        await asyncio.sleep(STALE_SECONDS + 0.4)
        with pytest.raises(Unavailable) as caught:
            store.registry.require_fresh()
        assert caught.value.reason is Reason.CACHE_STALE
        with pytest.raises(Unavailable):
            await store.check()
        with pytest.raises(Unavailable):
            await store.recorder.record(unit())
        connection.say("ALTER TABLE gone RENAME TO feed")
    await asyncio.sleep(0.5)
    store.registry.require_fresh()
    await store.check()
    assert await store.recorder.record(unit()) == Recorded()


async def test_a_batch_goes_past_sqlalchemy(file_store):
    """A commit of rows of the trail costs no statement of SQLAlchemy's, whose work would be most of it."""
    await file_store.recorder.record(
        unit(organisation_id=None)
    )  # begins the chain and reads what is remembered
    ran = []
    event.listen(
        file_store.recorder._engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_: ran.append(statement),
    )
    assert await file_store.recorder.record(unit(organisation_id=None)) == Recorded()
    assert ran == []
    assert await file_store.recorder.record(unit(Add(organisation("org-later")))) == Recorded()
    assert ran != []


async def test_a_family_that_cannot_be_read(store, shared):
    """A refresh family that the store cannot give is no family that is missing; later it is found (HT-09)."""
    await store.recorder.record(unit(Add(family())))
    with Stranger(shared) as connection:
        connection.say("ALTER TABLE refresh_family RENAME TO gone")
        with pytest.raises(Unavailable):
            await store.registry.find_family(family().id)
        connection.say("ALTER TABLE gone RENAME TO refresh_family")
    assert await store.registry.find_family(family().id) == family()
    assert await store.registry.find_family("nobody") is None


@pytest.mark.slow
async def test_two_processes_take_turns_fairly(shared):
    """Of two processes that write as fast as they can neither gets less than 30 % of the rows."""
    await (await open_file(shared)).close()
    writers = [start("count", shared, 2, stdin=subprocess.PIPE) for _ in range(2)]
    for writer in writers:
        await asyncio.to_thread(writer.stdout.readline)
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    texts = [await asyncio.to_thread(writer.communicate) for writer in writers]
    counts = [int(out) for out, _ in texts]
    assert min(counts) > 0.3 * sum(counts)
    with Stranger(shared) as connection:
        assert connection.say("SELECT count(*) FROM audit") == [(sum(counts),)]


async def test_two_processes_may_start_at_once(shared):
    """Stores opened at the same moment on no file at all make one set of tables (RE-04)."""
    stores = await asyncio.gather(*(open_file(shared) for _ in range(4)))
    outcomes = [await each.recorder.record(unit(organisation_id=None)) for each in stores]
    assert outcomes == [Recorded()] * 4
    await asyncio.gather(*(each.close() for each in stores))


# --- failures that pass ---


async def test_a_locked_store_is_unavailable_and_then_works(store, shared):
    """While a stranger holds the lock callers get Unavailable in time, later it works by itself (HT-09)."""
    with Stranger(shared) as connection:
        connection.begin()
        began = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            await store.recorder.record(unit(Add(organisation("org-lost"))))
        assert time.monotonic() - began < 3
        assert caught.value.reason is Reason.STORE_UNAVAILABLE
        store.registry.require_fresh()
        assert await store.registry.find_client("client-1") is not None
        connection.say("ROLLBACK")
    assert await store.recorder.record(unit(request_id="after")) == Recorded()
    assert await store.deployment.organisation_by_slug("slug-org-lost") is None
    (chain,) = await store.deployment.audit_chains()
    rows = await store.deployment.audit_rows(chain=chain)
    assert rows[-1].request_id == "after"
    assert verify_chain(rows) is None


async def test_a_short_lock_is_waited_for(store, shared):
    """A lock that a stranger holds for less than the callers' patience costs them only time."""
    with Stranger(shared) as connection:
        connection.begin()
        waiting = asyncio.ensure_future(store.recorder.record(unit()))
        await asyncio.sleep(0.3)
        connection.say("ROLLBACK")
        assert await waiting == Recorded()


async def test_nobody_is_as_patient_as_the_import_before(path):
    """HT-09: who waits behind an import, which waits longer, is told in time that the store is away."""
    store = await open_file(path, patience_seconds=0.2)
    plain = unit()
    long = msgspec.structs.replace(plain, also=(plain.audit,) * 2_000)
    with Stranger(path) as connection:
        connection.begin()
        importing = asyncio.ensure_future(store.recorder.record(long))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await asyncio.wait_for(store.recorder.record(plain), 3)
        assert not importing.done()
        connection.say("ROLLBACK")
    assert await importing == Recorded()
    await store.close()


async def test_a_failed_transaction_leaves_the_chain_whole(store, shared):
    """A transaction that fails in the middle is refused whole, and the next goes on where the chain ends."""
    await store.recorder.record(unit(request_id="before"))
    with Stranger(shared) as connection:
        connection.say("ALTER TABLE audit RENAME TO gone")
        units = [store.recorder.record(unit(Add(client(f"new-{n}")))) for n in range(5)]
        outcomes = await asyncio.gather(*units, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [Unavailable] * 5
        connection.say("ALTER TABLE gone RENAME TO audit")
    await store.recorder.record(unit(request_id="after"))
    assert await store.deployment.organisation_store(ACME).clients() == [client()]
    (chain,) = await store.deployment.audit_chains()
    rows = await store.deployment.audit_rows(chain=chain)
    assert [row.request_id for row in rows[-2:]] == ["before", "after"]
    assert verify_chain(rows) is None


async def test_whoever_leaves_before_the_turn_leaves_nothing(store, shared):
    """A caller that is cancelled while its unit waits has written nothing."""
    with Stranger(shared) as connection:
        connection.begin()
        leaving = asyncio.ensure_future(store.recorder.record(unit(Add(organisation("org-left")))))
        await asyncio.sleep(0.1)
        leaving.cancel()
        connection.say("ROLLBACK")
    await store.recorder.record(unit())
    assert await store.deployment.organisation_by_slug("slug-org-left") is None


async def test_a_full_queue_sheds_at_once(store, shared, monkeypatch):
    """More units than may wait are refused without waiting (RE-10)."""
    monkeypatch.setattr("keyturn.storage.writer.QUEUE_LIMIT", 3)
    with Stranger(shared) as connection:
        connection.begin()
        waiting = [asyncio.ensure_future(store.recorder.record(unit())) for _ in range(3)]
        await asyncio.sleep(0)
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await store.recorder.record(unit())
        assert time.monotonic() - began < 0.5
        connection.say("ROLLBACK")
    assert await asyncio.gather(*waiting) == [Recorded()] * 3


async def test_closing_commits_what_waits(shared):
    """Units that wait when the store is closed are committed and answered (RE-03)."""
    store = await open_file(shared)
    waiting = [asyncio.ensure_future(store.recorder.record(unit(organisation_id=None))) for _ in range(50)]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*waiting) == [Recorded()] * 50


@pytest.mark.slow
async def test_a_full_disk_is_unavailable_and_then_works(path):
    """Without room units are refused and reads go on, with room it works by itself and whole (RE-06)."""
    process = start("fill", path, stderr=subprocess.DEVNULL)
    out, _ = await asyncio.to_thread(process.communicate)
    kept, refused = map(int, out.split())
    assert kept > 100
    assert refused == 3
    store = await open_file(path)
    (chain,) = await store.deployment.audit_chains()
    rows = await store.deployment.audit_rows(chain=chain, limit=10_000)
    assert len(rows) == kept
    assert verify_chain(rows) is None
    await store.close()


@pytest.mark.slow
async def test_nothing_acknowledged_is_lost_by_kill(shared):
    """After kill -9, again and again, every acknowledged unit is there and every chain holds (RE-01)."""
    acknowledged = set()
    for _ in range(5):
        process = start("acknowledge", shared)
        first = await asyncio.to_thread(process.stdout.readline)
        await asyncio.sleep(0.15)
        process.send_signal(signal.SIGKILL)
        rest, _ = await asyncio.to_thread(process.communicate)
        acknowledged |= set(re.findall(r"^(\S+)\n", first + rest, re.MULTILINE))
    assert len(acknowledged) > 50
    store = await open_file(shared)
    chains = await store.deployment.audit_chains()
    found = set()
    for chain in chains:
        rows = await store.deployment.audit_rows(chain=chain, limit=1_000_000)
        assert verify_chain(rows) is None
        found |= {row.request_id for row in rows}
    assert len(chains) == 5
    assert acknowledged <= found
    await store.close()


async def test_one_client_of_many_is_found_by_its_own_index(file_store, path):
    """A client's secrets are looked up by their owner, however many its organisation has."""
    asked = listened(file_store)
    assert (await file_store.deployment.client_view("client-1")).credentials
    plans = plans_of([each for each in asked if "FROM credential" in each[0]], path)
    assert plans
    assert all("ix_credential_owner_id_kind" in steps[0] for steps in plans), plans


async def test_what_waits_is_counted_without_what_was_delivered(file_store, path):
    """What waits, and what was given up, is found by its index: not beside a month of deliveries."""
    asked = listened(file_store)
    await file_store.outbox.depth()
    for dead in (False, True):
        await file_store.outbox.deliveries(dead=dead, limit=10)
    plans = plans_of([each for each in asked if "FROM notice" in each[0]], path)
    found = [re.search(r"USING (?:COVERING )?INDEX (\w+)", steps[0]) for steps in plans]
    names = [None if each is None else each[1] for each in found]
    waiting, given_up = "ix_notice_delivery_next_at", "ix_notice_delivery_dead_at"
    assert names == [waiting, "ix_notice_spread_at", waiting, given_up], plans


def listened(store):
    """Give the list of what a store asks from now on."""
    asked = []

    def listen(connection, cursor, statement, parameters, context, executemany):
        asked.append((statement, parameters))

    event.listen(store._reads._engine, "before_cursor_execute", listen)
    return asked


def plans_of(asked, path):
    """Give the steps by which SQLite would answer each question."""
    with closing(sqlite3.connect(path)) as other:
        return [
            [step[-1] for step in other.execute("EXPLAIN QUERY PLAN " + text, sent)] for text, sent in asked
        ]
