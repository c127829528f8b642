"""What only a store in PostgreSQL promises: nodes side by side, a server that comes back, and a standby."""

import asyncio
import logging
import shutil
import time

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

import postgres as kit
from contract.store_kit import ACME, BETA, NOW, client, next_version, open_file, organisation, seed, unit
from contract.stranger import Stranger
from contract.test_store_on_disk import eventually
from keyturn.core.changes import Add, Recorded
from keyturn.core.errors import ConfigError, Unavailable
from keyturn.storage import open_store, verify_chain
from keyturn.storage.causes import why
from keyturn.storage.grounds import ground_of
from keyturn.storage.postgres_ground import ANSWER_SECONDS, LOCK_SPACE, _Listener

BACK_SECONDS = 5.0
"""RE-05: so soon after the server is back everything works."""


@pytest.fixture(scope="module")
def make_server():
    """Make servers that a test may stop and kill."""
    with kit.servers() as make:
        yield make


@pytest.fixture(scope="module")
def server(make_server):
    """A server that every test leaves running."""
    return make_server()


@pytest.fixture
def url(server):
    """A database on a server that may be stopped."""
    made = server.make_database()
    yield made
    server.drop_database(made)


@pytest.fixture
async def store(url):
    """A seeded store whose callers are impatient."""
    made = await open_file(url, patience_seconds=1.5)
    await seed(made)
    yield made
    await made.close()


async def recorded(store, request_id="again"):
    """Tell whether a unit is recorded now."""
    try:
        return await store.recorder.record(unit(request_id=request_id)) == Recorded()
    except Unavailable:
        return False


async def request_ids(store):
    """Read all that was recorded, whose chains must be whole."""
    found = set()
    for chain in await store.deployment.audit_chains():
        rows = await store.deployment.audit_rows(chain=chain, limit=100_000)
        assert verify_chain(rows) is None
        found |= {row.request_id for row in rows}
    return found


class Load:
    """Records one unit after another, and remembers which were acknowledged."""

    def __init__(self, store):
        self.acknowledged = set()
        self.slowest = 0.0
        self._store = store
        self._ended = False
        self._tasks = [asyncio.create_task(self._lane(lane)) for lane in range(4)]

    async def _lane(self, lane):
        number = 0
        while not self._ended:
            number += 1
            name, began = f"{lane}-{number}", time.monotonic()
            if await recorded(self._store, name):
                self.acknowledged.add(name)
            else:
                await asyncio.sleep(0.02)
            self.slowest = max(self.slowest, time.monotonic() - began)

    async def more(self, seconds=10.0):
        """Wait until more were acknowledged."""
        before = len(self.acknowledged)

        async def came():
            return len(self.acknowledged) > before + 8

        return await eventually(came, seconds)

    async def end(self):
        """Stop, and see what was there."""
        self._ended = True
        await asyncio.gather(*self._tasks)
        assert self.acknowledged <= await request_ids(self._store)


# --- a server that goes and comes back ---


@pytest.mark.slow
@pytest.mark.parametrize("how", ["fast", "immediate", "kill"])
async def test_a_server_that_was_restarted(server, store, how):
    """RE-01 and RE-05: after a restart all works within 5 s by itself, and nothing acknowledged is lost."""
    load = Load(store)
    assert await load.more()
    await asyncio.to_thread(server.kill if how == "kill" else lambda: server.stop(how))
    assert not await recorded(store)
    await asyncio.to_thread(server.start)
    assert await load.more(BACK_SECONDS)
    assert await eventually(lambda: ready(store), BACK_SECONDS)
    assert await store.deployment.organisation_by_slug(f"slug-{BETA}") == organisation(BETA)
    await load.end()
    assert load.slowest < 10


async def ready(store):
    """Tell whether readiness would say so."""
    try:
        await store.check()
    except Unavailable:
        return False
    return True


@pytest.mark.slow
async def test_a_server_that_hangs(server, store):
    """RE-05: while the server is stopped where it stands callers are told in time, then all works again."""
    assert await recorded(store)
    server.pause()
    try:
        began = time.monotonic()
        asked = [store.recorder.record(unit()), store.deployment.organisations(), store.upkeep.leases()]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(each) for each in answers] == [Unavailable] * 3
        assert time.monotonic() - began < 10
    finally:
        server.resume()
    assert await eventually(lambda: recorded(store), BACK_SECONDS)
    assert await eventually(lambda: ready(store), BACK_SECONDS)
    await request_ids(store)


async def test_cut_connections_are_not_noticed(server, store, url):
    """RE-05: connections that were cut while nothing was said on them cost no caller anything."""
    lockout = store.lockout(lambda name: name)
    ticket = await lockout.admit("ann", "device", NOW)
    for number in range(3):
        server.cut(url)
        assert await store.recorder.record(unit(request_id=f"r{number}")) == Recorded()
        assert await store.deployment.organisation_by_slug(f"slug-{ACME}") is not None
        await lockout.succeeded(ticket, NOW)
    assert {"r0", "r1", "r2"} <= await request_ids(store)


async def test_what_was_not_committed_goes_again(store, url):
    """RE-05: a unit whose connection is cut before the commit is sent is recorded once, on another one."""
    with Stranger(url) as stranger:
        stranger.say("BEGIN", "LOCK TABLE audit")
        waiting = asyncio.ensure_future(store.recorder.record(unit(request_id="once")))
        pid = (
            "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )

        async def waits():
            return bool(stranger.say(pid))

        assert await eventually(waits, 5)
        stranger.say(f"SELECT pg_terminate_backend(({pid}))")
        stranger.say("ROLLBACK")
    assert await waiting == Recorded()
    rows = await store.deployment.audit_rows(limit=100)
    assert [row.request_id for row in rows].count("once") == 1
    await request_ids(store)


async def test_a_late_row_of_our_own_is_met_once(store, url):
    """RE-05: a commit that seemed lost and came through after all has its place; we go on behind."""
    await store.recorder.record(unit(request_id="before"))
    with Stranger(url) as stranger:
        columns = "chain_id, at, kind, actor, request_id, outcome, details, prev_hash, row_hash"
        last = f"SELECT {columns}, seq + 1 FROM audit ORDER BY seq DESC LIMIT 1"  # noqa: S608  # our own names
        stranger.say(f"INSERT INTO audit ({columns}, seq) {last}")  # the same
    outcomes = await asyncio.gather(*(store.recorder.record(unit()) for _ in range(5)))
    assert outcomes == [Recorded()] * 5
    [chain] = await store.deployment.audit_chains()
    rows = await store.deployment.audit_rows(chain=chain)
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))


@pytest.mark.slow
async def test_a_standby_takes_over(make_server):
    """RE-01, RE-02 and RE-05: after a failover nothing acknowledged is lost and no change holds twice."""
    primary = make_server()
    standby = make_server(standby_of=primary)
    name = primary.make_database().rpartition("/")[2]
    store = await open_file(primary.url(name, standby, target_session_attrs="read-write"), patience_seconds=2)
    await seed(store)
    change = next_version(client(), name="once")
    assert await store.recorder.record(unit(change)) == Recorded()
    load = Load(store)
    assert await load.more()
    await asyncio.to_thread(primary.kill)
    await asyncio.to_thread(standby.promote)
    assert await load.more(BACK_SECONDS)
    assert await eventually(lambda: ready(store), BACK_SECONDS)
    assert await store.recorder.record(unit(change)) != Recorded()
    await load.end()
    await store.close()


async def knows(store, name):
    """Tell whether memory that may be relied on has a client under a name; it may lag by a second."""
    if not await ready(store):
        return False
    return (await store.registry.find_client("client-1")).client.name == name


@pytest.mark.slow
async def test_versions_that_are_counted_again_are_told_apart(make_server):
    """RV-02, RE-02: where a server lost the newest changes, memory does not take others for them."""
    server = make_server()
    url = server.make_database()
    store = await open_file(url, patience_seconds=2)
    await seed(store)
    await asyncio.to_thread(server.stop)
    server.keep_copy()
    await asyncio.to_thread(server.start)
    assert await eventually(lambda: recorded(store), BACK_SECONDS)
    assert await store.recorder.record(unit(Add(client("lost")))) == Recorded()
    found = await store.registry.find_client("client-1")
    assert found.client.name != "ended meanwhile"
    await asyncio.to_thread(server.stop)
    server.go_back()
    port = server.move()  # our node does not reach it until others have changed something
    await asyncio.to_thread(server.start)
    other = await open_file(server.url(url.rpartition("/")[2]))
    change = next_version(client(), name="ended meanwhile")
    assert await other.recorder.record(unit(change)) == Recorded()
    assert other.feed.at.version == store.feed.at.version
    await other.close()
    await asyncio.to_thread(server.stop)
    server.move(port)
    await asyncio.to_thread(server.start)
    assert await eventually(lambda: knows(store, "ended meanwhile"), BACK_SECONDS)
    assert await recorded(store)
    assert "again" in await request_ids(store)  # its chain goes on where it ends now
    await store.close()


@pytest.mark.slow
async def test_a_standby_is_not_believed(make_server):
    """RV-02 and RE-08: a standby may lag behind for ever, so nothing is read from one, asked for or not."""
    primary = make_server()
    standby = make_server(standby_of=primary)
    name = primary.make_database().rpartition("/")[2]
    store = await open_file(primary.url(name))
    await seed(store)
    await store.close()
    for url in (standby.url(name), standby.url(name, target_session_attrs="any")):
        with pytest.raises(Unavailable):
            await open_file(url)
    both = await open_file(standby.url(name, primary))
    assert await recorded(both)
    await both.close()


@pytest.mark.slow
async def test_a_commit_the_standby_does_not_have_is_not_acknowledged(make_server):
    """RE-01: without the synchronous standby nothing is acknowledged, also when the wait is cancelled."""
    primary = make_server()
    standby = make_server(standby_of=primary)
    store = await open_file(primary.make_database(), patience_seconds=1)
    assert await recorded(store)
    standby.pause()
    waiting = asyncio.create_task(recorded(store, "cancelled"))
    waits = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"

    async def waits_for_standby():
        return bool(primary.ask(waits))

    assert await eventually(waits_for_standby, 5)
    primary.ask(f"SELECT pg_cancel_backend(({waits} LIMIT 1))")
    assert not await waiting
    standby.resume()
    assert await eventually(lambda: recorded(store), 10)
    await request_ids(store)
    await store.close()


def test_a_migration_may_take_longer_than_an_answer(url, monkeypatch):
    """RE-04: one statement may fill a large table, or wait for another node; then all is as ever."""
    monkeypatch.setattr(_Listener, "patience", 0.2)
    ground = ground_of(url)
    engine = ground.writing_engine()
    with engine.connect() as connection, pytest.raises(DBAPIError):
        connection.exec_driver_sql("SELECT pg_sleep(1)")
    with engine.connect() as connection:
        ground.begin_migrating(connection)
        connection.exec_driver_sql("SELECT pg_sleep(1)")
        ground.commit(connection)
        assert connection.connection.driver_connection.patience == ANSWER_SECONDS
    engine.dispose()


# --- nodes side by side ---


@pytest.mark.slow
async def test_a_node_that_falls_silent_does_not_keep_the_lock(store, url):
    """RE-05: no limit of the server ends a COPY whose rows do not come; other nodes do."""
    silent = psycopg.connect(url, autocommit=True)
    silent.execute(f"BEGIN; SELECT pg_advisory_xact_lock_shared({LOCK_SPACE}, 1)")
    silent.pgconn.send_query(b"COPY change_log FROM STDIN")
    silent.pgconn.flush()

    async def changed():
        try:
            return await store.recorder.record(unit(Add(client("late")))) == Recorded()
        except Unavailable:
            return False

    assert not await changed()
    assert await eventually(changed, 20)
    silent.close()


async def test_rows_are_appended_side_by_side(store, url):
    """A node in the middle of appending to its trail keeps nobody from appending, only from changing."""
    lock = f"SELECT pg_advisory_xact_lock_shared({LOCK_SPACE}, 1)"
    with Stranger(url) as stranger:
        stranger.say("BEGIN", lock)
        assert await store.recorder.record(unit()) == Recorded()
        with pytest.raises(Unavailable):
            await store.recorder.record(unit(Add(client("late"))))
        stranger.say("ROLLBACK")
    assert await eventually(lambda: recorded(store), 5)
    assert await store.deployment.client_view("late") is None


async def test_tails_wait_for_rows_on_their_way(store, url):
    """AD-05: a checkpoint's tails leave out no row with a lower number that is committed later."""
    with Stranger(url) as stranger:
        stranger.say("BEGIN", f"SELECT pg_advisory_xact_lock_shared({LOCK_SPACE}, 1)")
        asked = asyncio.create_task(store.upkeep.audit_tails(0))
        await asyncio.sleep(0.3)
        assert not asked.done()
        stranger.say("ROLLBACK")
    assert len(await asked) == 1


# --- what is hostile ---


async def test_one_hostile_unit_is_alone(store):
    """HT-02: a NUL, or a name too long for an index, fails its own unit only; the neighbours are recorded."""
    units = [unit(request_id=f"r{number}") for number in range(5)]
    units[2:2] = [
        unit(subject="a\0b", personal={"name": "a\0b"}, details={"name": "a\0b"}),
        unit(Add(organisation("org-nul", name="a\0b"))),
        unit(Add(organisation("org-long", slug="".join(map(chr, range(0x4E00, 0x5E00)))))),
    ]
    outcomes = await asyncio.gather(*map(store.recorder.record, units), return_exceptions=True)
    kinds = [type(each).__name__ for each in outcomes]
    assert kinds == ["Recorded"] * 3 + ["Fault"] * 2 + ["Recorded"] * 3
    rows = await store.deployment.audit_rows(limit=100)
    assert "a\ufffdb" in {row.subject for row in rows}
    await request_ids(store)


async def test_a_name_with_a_nul_is_nobodys(store):
    """HT-02: asking for what cannot be there is answered like asking for anything else that is not."""
    assert await store.deployment.organisation_by_slug("a\0b") is None
    assert await store.registry.find_client("a\0b") is None


# --- opening ---


async def test_processes_may_start_at_once(postgres_url):
    """RE-04: stores opened at the same moment on an empty database make one set of tables."""
    stores = await asyncio.gather(*(open_file(postgres_url) for _ in range(4)))
    outcomes = [await each.recorder.record(unit(organisation_id=None)) for each in stores]
    assert outcomes == [Recorded()] * 4
    await asyncio.gather(*(each.close() for each in stores))


async def test_text_is_compared_byte_by_byte(postgres, keyturn_url):
    """No index depends on the system's rules of language."""
    columns = postgres.ask(
        "SELECT table_name, column_name, collation_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND data_type = 'text'",
        keyturn_url.rpartition("/")[2],
    )
    assert len(columns) > 50
    assert {collation for _, _, collation in columns} == {"C"}


async def open_existing(url):
    """Open a store that has to be there."""
    return await open_store(url, None, None, None)


async def test_an_empty_database_is_no_deployment(postgres_url):
    """A database without our tables is a wrong URL, unless a deployment is to be made."""
    with pytest.raises(ConfigError, match="keyturn init") as caught:
        await open_existing(postgres_url)
    assert kit.PASSWORD not in str(caught.value)
    assert kit.QUOTED not in str(caught.value)


async def test_a_database_that_would_lose_something(postgres):
    """RE-01: a database that does not wait for its disk, or cannot hold all text, is refused and told why."""
    name = postgres.make_database().rpartition("/")[2]
    postgres.ask(f"ALTER DATABASE {name} SET synchronous_commit = off")
    latin = "t_latin"
    postgres.ask(f"CREATE DATABASE {latin} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    for each, words in ((name, "synchronous_commit is off"), (latin, "has to be UTF8")):
        with pytest.raises(ConfigError, match=words):
            await open_file(postgres.url(each))
        postgres.drop_database(postgres.url(each))


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:hunter2@h:port/x", "postgresql://u:hunter2@h?nonsense=1", "postgresql://u:hunter2@h"],
)
def test_a_bad_url_is_not_quoted(url):
    """HT-07: what is wrong with a URL is said without its password."""
    with pytest.raises(ConfigError) as caught:
        ground_of(url)
    assert "hunter2" not in str(caught.value)
    assert "store:" in str(caught.value)


async def test_complaints_know_no_password(server, caplog):
    """HT-07 and HT-09: the log says which database is away and why, on every host, and no password."""
    caplog.set_level(logging.DEBUG)
    url = server.make_database()
    store = await open_file(url, patience_seconds=1)
    server.stop()
    try:
        with pytest.raises(Unavailable) as caught:
            await store.recorder.record(unit(organisation_id=None))
        with pytest.raises(Unavailable):
            await store.deployment.organisations()
    finally:
        server.start()
        await store.close()
    assert why(caught.value.__cause__) in {"cannot be reached", "starting or stopping", "connection lost"}
    assert f"the store at postgresql://127.0.0.1:{server.port}/" in caplog.text
    assert kit.PASSWORD not in caplog.text
    assert kit.QUOTED not in caplog.text


# --- what stands between, and what is older ---


async def use(store):
    """Go once through everything that the store does."""
    await seed(store)
    assert await store.recorder.record(unit(next_version(client(), name="new"))) == Recorded()
    outcomes = await asyncio.gather(*(store.recorder.record(unit()) for _ in range(50)))
    assert outcomes == [Recorded()] * 50
    assert (await store.registry.find_client("client-1")).client.name == "new"
    assert await store.upkeep.lease("job", "one", NOW, NOW.replace(hour=13)) is not None
    assert len(await store.upkeep.audit_tails(0)) == 1
    lockout = store.lockout(lambda name: name)
    await lockout.succeeded(await lockout.admit("ann", "device", NOW), NOW)
    assert "req-1" in await request_ids(store)
    await store.check()


@pytest.mark.slow
@pytest.mark.skipif(not kit.DEBIAN_15.is_dir(), reason="PostgreSQL 15 of Debian is not installed")
async def test_the_oldest_server_that_is_supported(make_server):
    """PostgreSQL 15 does all that the newest does."""
    store = await open_file(make_server(programs=kit.DEBIAN_15).make_database())
    await use(store)
    await store.close()


@pytest.fixture
def pooled_url(postgres, postgres_url, tmp_path):
    """The same database behind pgbouncer in transaction mode, with fewer connections than we ask for."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    with kit.pooler(program, postgres, size=3) as port:
        yield postgres_url.replace(f":{postgres.port}/", f":{port}/")


@pytest.mark.slow
async def test_behind_a_pooler_in_transaction_mode(pooled_url):
    """Two nodes that share three connections of pgbouncer in transaction mode do all that the store does."""
    stores = [await open_file(pooled_url) for _ in range(2)]
    await use(stores[0])
    outcomes = await asyncio.gather(*(each.recorder.record(unit()) for each in stores * 50))
    assert outcomes == [Recorded()] * 100

    async def heard():
        return (await stores[1].registry.find_client("client-1")).client.name == "newer"

    changed = next_version(next_version(client(), name="new").record, name="newer")
    assert await stores[0].recorder.record(unit(changed)) == Recorded()
    assert await eventually(heard, 5)
    for each in stores:
        await each.close()
