"""The lockout's contract: one suite for every store, and what only a shared one promises."""

import asyncio
import hashlib
from datetime import timedelta

import pytest

from contract.limits_kit import HandClock, tag
from contract.store_kit import open_at, open_file
from contract.stranger import Stranger
from contract.test_store_on_disk import eventually
from keyturn.core.errors import SlowDown, Unavailable
from keyturn.core.lockout import DEVICE_KNOWN, DEVICES_KEPT, KEPT_AFTER_FAILURE, KNOWN_DEVICE, STRANGERS
from keyturn.core.vocabulary import Reason
from keyturn.storage.lockout import Count, MemoryShelf, Strikes
from keyturn.storage.lockout_rows import SqlShelf, clean

HOME, STRANGER, OTHER = "192.0.2.1", "198.51.100.7", "2001:db8::/64"
ANN, BOB = "org-a/ann", "org-a/bob"


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
async def lockout(place, clock):
    """A lockout over each kind of store."""
    store = await open_at(place, clock)
    yield store.lockout(tag)
    await store.close()


async def fails(lockout, clock, name=ANN, device=STRANGER):
    """Try once and fail; gives the seconds to wait where nothing was checked."""
    try:
        await lockout.admit(name, device, clock.now())
    except SlowDown as refusal:
        return refusal.retry_after if refusal.reason is Reason.LOCKED_OUT else 0
    return None


async def succeeds(lockout, clock, name=ANN, device=HOME):
    """Try once and be right."""
    await lockout.succeeded(await lockout.admit(name, device, clock.now()), clock.now())


async def checked(lockout, clock, times, **who):
    """Fail some times, each as soon as it is allowed; gives how long that took."""
    began, count = clock.seconds, 0
    while count < times:
        wait = await fails(lockout, clock, **who)
        if wait is None:
            count += 1
        else:
            clock.seconds += wait
    return clock.seconds - began


async def test_delay_grows_then_locks(lockout, clock):
    """PW-05: five failures are free, then the delay doubles from a second to a quarter of an hour."""
    waits = []
    for _ in range(STRANGERS.free):
        assert await fails(lockout, clock) is None
    for _ in range(12):
        waits.append(await fails(lockout, clock))
        clock.seconds += waits[-1]
        assert await fails(lockout, clock) is None
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


async def test_a_refused_attempt_is_not_counted(lockout, clock):
    """PW-05: who keeps asking while it is locked does not lock it for longer."""
    for _ in range(STRANGERS.free):
        await fails(lockout, clock)
    assert [await fails(lockout, clock) for _ in range(30)] == [1] * 30
    clock.seconds += 1
    assert await fails(lockout, clock) is None


async def test_at_most_a_hundred_in_a_row(lockout, clock):
    """PW-05: strangers and known devices together fail at most a hundred times in a row."""
    devices = [f"192.0.2.{number}" for number in range(DEVICES_KEPT)]
    for device in devices:
        await succeeds(lockout, clock, device=device)
    total = 0
    for device in [*devices, STRANGER]:
        for _ in range(200):
            wait = await fails(lockout, clock, device=device)
            if wait is not None and wait > 900:
                break
            total += wait is None
            clock.seconds += wait or 0
    assert total <= 100
    assert STRANGERS.limit + DEVICES_KEPT * KNOWN_DEVICE.limit <= 100


async def test_success_clears(lockout, clock):
    """PW-05: a success gives everything back."""
    await checked(lockout, clock, 4)
    await succeeds(lockout, clock, device=STRANGER)
    assert [await fails(lockout, clock, device=OTHER) for _ in range(6)] == [None] * 5 + [1]


async def test_strangers_do_not_shut_out_a_known_device(lockout, clock):
    """PW-05: while strangers have locked a name, the device from which it succeeded lately may go on."""
    await succeeds(lockout, clock)
    await checked(lockout, clock, STRANGERS.limit)
    assert await fails(lockout, clock, device=OTHER) > 900
    await succeeds(lockout, clock)
    assert await fails(lockout, clock, device=OTHER) is None


async def test_a_device_is_known_for_a_month_and_one_name(lockout, clock):
    """PW-05: a device is known for thirty days after a success, and only to the name that succeeded."""
    await succeeds(lockout, clock)
    for _ in range(6):
        await fails(lockout, clock, name=BOB)
        await fails(lockout, clock)
    assert await fails(lockout, clock, name=BOB, device=HOME) is not None
    clock.seconds += (DEVICE_KNOWN - timedelta(seconds=1)).total_seconds()
    await fails(lockout, clock)
    clock.seconds += 2
    for _ in range(6):
        await fails(lockout, clock)
    assert await fails(lockout, clock, device=HOME) is not None


async def test_only_so_many_devices_are_known(lockout, clock):
    """PW-05: one more device takes the place of the one not seen for longest."""
    for number in range(DEVICES_KEPT + 1):
        clock.seconds += 1
        await succeeds(lockout, clock, device=f"192.0.2.{number}")
    for _ in range(6):
        await fails(lockout, clock)
    assert await fails(lockout, clock, device="192.0.2.0") is not None
    assert await fails(lockout, clock, device="192.0.2.1") is None


async def test_names_are_apart(lockout, clock):
    """TN-04: failures at one name, or at the same name of another organisation, delay no other."""
    await checked(lockout, clock, 8)
    assert await fails(lockout, clock) is not None
    assert await fails(lockout, clock, name=BOB) is None
    assert await fails(lockout, clock, name="org-b/ann") is None


async def test_failures_are_forgotten(lockout, clock):
    """PW-05: after a month without a failure it begins anew."""
    await checked(lockout, clock, STRANGERS.limit)
    assert await fails(lockout, clock) == KEPT_AFTER_FAILURE.total_seconds()
    clock.seconds += KEPT_AFTER_FAILURE.total_seconds()
    assert [await fails(lockout, clock) for _ in range(6)] == [None] * 5 + [1]


async def test_an_operator_clears(lockout, clock):
    """An operator unlocks a name, and its devices are strangers then."""
    await succeeds(lockout, clock)
    await checked(lockout, clock, STRANGERS.limit)
    await lockout.clear(ANN)
    assert [await fails(lockout, clock, device=HOME) for _ in range(6)] == [None] * 5 + [1]
    assert await fails(lockout, clock) is not None


async def test_a_clock_that_jumps_back_locks_no_longer(lockout, clock):
    """RE-07: after a jump back nobody waits longer than the rule says."""
    await checked(lockout, clock, 7)
    clock.seconds -= 3600
    assert await fails(lockout, clock) == 4


async def test_fifty_at_once(lockout, clock):
    """PW-05: of fifty attempts at once no more are checked than are free."""
    waits = await asyncio.gather(*(fails(lockout, clock) for _ in range(50)))
    assert waits.count(None) == STRANGERS.free


# --- shared ones ---


async def test_fifty_at_once_on_two_processes(shared, clock):
    """PW-05: of fifty attempts at once, on two processes, no more are checked than are free."""
    stores = [await open_file(shared, clock) for _ in range(2)]
    both = [store.lockout(tag) for store in stores]
    waits = await asyncio.gather(*(fails(both[number % 2], clock) for number in range(50)))
    assert waits.count(None) == STRANGERS.free
    for store in stores:
        await store.close()


async def test_failures_survive_a_restart(shared, clock):
    """PW-05: a restart gives nobody another attempt."""
    for _ in range(2):
        store = await open_file(shared, clock)
        lockout = store.lockout(tag)
        await checked(lockout, clock, 5)
        await store.close()
    store = await open_file(shared, clock)
    assert await fails(store.lockout(tag), clock) == 32
    await store.close()


async def test_while_the_store_is_away(shared, clock):
    """HT-09: what cannot be counted is not checked."""
    store = await open_file(shared, clock, patience_seconds=0.5)
    lockout = store.lockout(tag)
    with Stranger(shared) as stranger:
        stranger.begin()
        with pytest.raises(Unavailable):
            await lockout.admit(ANN, HOME, clock.now())
        stranger.say("ROLLBACK")

    async def works():
        try:
            await succeeds(lockout, clock)
        except Unavailable:
            return False
        return True

    assert await eventually(works, 10)
    await store.close()


async def test_nothing_readable_is_at_rest(tmp_path, clock):
    """No file of the store holds a name or an address, and a digest is not the plain one."""
    store = await open_file(tmp_path / "keyturn.db", clock)
    await succeeds(store.lockout(lambda message: tag(b"key" + message)), clock)
    for each in tmp_path.iterdir():
        content = each.read_bytes()
        assert ANN.encode() not in content
        assert HOME.encode() not in content
        assert hashlib.sha256(b"lockout name:" + ANN.encode()).digest() not in content
    await store.close()


# --- the bound ---


def counts(shelf_put):
    """Fill a table: names under attack, and more made-up ones than fit."""
    now = HandClock().now()
    for number in range(10):
        shelf_put(Count(b"attacked-%d" % number, b"attacked-%d" % number, Strikes(7, now)))
    for number in range(100):
        made_up = b"made-up-%d" % number
        shelf_put(Count(made_up, made_up, Strikes(1, now + timedelta(seconds=number))))


def test_a_full_table_in_memory(monkeypatch):
    """PW-05: made-up names fill the table without freeing a name under attack."""
    monkeypatch.setattr("keyturn.storage.lockout.ROWS_LIMIT", 20)
    shelf = MemoryShelf()
    counts(shelf.put)
    assert len(shelf.rows) == 20
    assert sum(key.startswith(b"attacked") for key in shelf.rows) == 10


async def test_a_full_table_on_disk(shared, clock):
    """PW-05: cleaning drops what is too old, then what says least, and spares a name under attack."""
    store = await open_file(shared, clock)
    with store.recorder._engine.connect() as connection:
        shelf = SqlShelf(connection)
        counts(shelf.put)
        clean(connection, clock.now(), limit=20)
        keys = [row[0] for row in connection.exec_driver_sql("SELECT key FROM lockout")]
        assert len(keys) == 20
        assert sum(key.startswith(b"attacked") for key in keys) == 10
        clean(connection, clock.now() + KEPT_AFTER_FAILURE + timedelta(hours=1), limit=20)
        assert connection.exec_driver_sql("SELECT count(*) FROM lockout").scalar() == 0
    await store.close()
