"""Hashing passwords on threads of their own."""

import asyncio
import os
import subprocess
import sys
from threading import Event

import pytest

from keyturn.core.errors import Fault, Unavailable
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import Reason
from keyturn.keys.passwords import ArgonPasswords

GOOD = "violet otters hum at dusk"


def _dice(size):
    return bytes(range(size))


@pytest.fixture
def passwords():
    """Hashing that costs next to nothing."""
    quick = ArgonPasswords(_dice, memory_kib=8, passes=1, threads=1)
    yield quick
    quick.close()


async def test_kept_as_argon2id_with_the_settings():
    """PW-02: what is kept is argon2id in PHC form, by default with 19 MiB and two passes."""
    kept = await ArgonPasswords(_dice).hash(Secret(GOOD))
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_right_and_wrong(passwords):
    """The password that was set is right and every other one wrong."""
    kept = await passwords.hash(Secret(GOOD))
    assert await passwords.check(Secret(GOOD), kept) is True
    for wrong in (GOOD.upper(), f"{GOOD} ", f" {GOOD}", "", GOOD[:-1]):
        assert await passwords.check(Secret(wrong), kept) is False


async def test_normal_form(passwords):
    """PW-02: a password is the same however its accents were put together, when set and when checked."""
    kept = await passwords.hash(Secret("nume\u0301ro de\u0301ja\u0300 vu"))
    assert await passwords.check(Secret("num\u00e9ro d\u00e9j\u00e0 vu"), kept) is True
    assert await passwords.check(Secret("numero deja vu"), kept) is False


@pytest.mark.parametrize("start", ["x" * 72, "x" * 255, "secret\x00"])
async def test_never_cut(passwords, start):
    """TE-05: what comes behind 72 bytes or behind a NUL counts."""
    kept = await passwords.hash(Secret(f"{start}a"))
    assert await passwords.check(Secret(f"{start}a"), kept) is True
    assert await passwords.check(Secret(f"{start}b"), kept) is False
    assert await passwords.check(Secret(start), kept) is False


@pytest.mark.parametrize("hostile", ["\ud800", "\ud800" * 20, "x" * 60_000, "\u0301\u0316" * 30_000])
async def test_whatever_is_presented(passwords, hostile):
    """A presented password that never could be set is wrong and no fault."""
    kept = await passwords.hash(Secret(GOOD))
    assert await passwords.check(Secret(hostile), kept) is False
    assert await passwords.check(Secret(hostile), None) is False


async def test_nobody_has_no_password(passwords):
    """PW-04: without a hash the answer is no, after a hash was made with today's settings."""
    assert await passwords.check(Secret(GOOD), None) is False


async def test_damaged_hash(passwords):
    """A hash that cannot be read is a fault of ours and not a wrong password."""
    with pytest.raises(Fault):
        await passwords.check(Secret(GOOD), "$argon2id$v=19$m=8,t=1,p=1$AAAA")


async def test_outdated():
    """A hash under weaker settings than today's is outdated, one under the same or stronger ones is not."""
    usual = ArgonPasswords(_dice, memory_kib=16, passes=2)
    kept = await usual.hash(Secret(GOOD))
    assert usual.is_outdated(kept) is False
    assert ArgonPasswords(_dice, memory_kib=8, passes=1).is_outdated(kept) is False
    assert ArgonPasswords(_dice, memory_kib=32, passes=2).is_outdated(kept) is True
    assert ArgonPasswords(_dice, memory_kib=16, passes=3).is_outdated(kept) is True
    assert usual.is_outdated(kept.replace("argon2id", "argon2i")) is True
    assert usual.is_outdated("$2b$12$abcdefghijklmnopqrstuv") is True


async def test_a_saturated_pool_refuses_at_once_and_recovers():
    """RE-10: who finds no place is refused at once, who found one is served, then there is room again."""
    passwords = ArgonPasswords(_dice, threads=1, max_waiting=3)
    asked = [passwords.check(Secret(GOOD), None) for _ in range(200)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, Unavailable)]
    assert {answer.reason for answer in refused} == {Reason.HASHING_BUSY}
    assert len(refused) >= 100
    assert [answer for answer in answers if answer not in refused] == [False] * (200 - len(refused))
    assert len(refused) <= 196
    assert await passwords.check(Secret(GOOD), None) is False


@pytest.mark.parametrize(("cores", "at_once"), [({0}, 1), ({0, 1}, 2), ({0, 1, 2, 3}, 3)])
async def test_no_more_threads_than_cores(monkeypatch, cores, at_once):
    """RE-10: a second thread on one core checks nothing sooner, and takes that core from the event loop."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: cores, raising=False)
    passwords = ArgonPasswords(_dice, threads=3, max_waiting=0)
    asked = [passwords.check(Secret(GOOD), None) for _ in range(4)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert answers.count(False) == at_once


async def test_the_event_loop_goes_on():
    """PW-02: while passwords are hashed the event loop goes round, many times for each of them."""
    passwords = ArgonPasswords(_dice, threads=1)
    hashing = [asyncio.ensure_future(passwords.hash(Secret(GOOD))) for _ in range(4)]
    rounds = 0
    while not all(each.done() for each in hashing):
        await asyncio.sleep(0)
        rounds += 1
    assert rounds > 100


@pytest.mark.skipif(sys.platform != "linux", reason="no other system has priorities of threads")
async def test_the_event_loop_goes_first(passwords):
    """RE-10: on a core that both want a hash steps back before the event loop, whose own priority stays."""
    own = os.getpriority(os.PRIO_PROCESS, 0)
    theirs = await passwords._on_a_thread(lambda: os.getpriority(os.PRIO_PROCESS, 0))
    assert theirs == min(own + 10, 19)
    assert os.getpriority(os.PRIO_PROCESS, 0) == own


async def test_who_gives_up_keeps_the_place_until_the_thread_is_free():
    """RE-10: callers who hang up do not make room for more hashing than there are threads and places."""
    passwords = ArgonPasswords(_dice, memory_kib=8, passes=1, threads=1, max_waiting=0)
    begun, go_on = Event(), Event()
    running = asyncio.ensure_future(passwords._on_a_thread(lambda: (begun.set(), go_on.wait())))
    await asyncio.to_thread(begun.wait)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    with pytest.raises(Unavailable):
        await passwords.hash(Secret(GOOD))
    go_on.set()
    await asyncio.to_thread(passwords._pool.submit(int).result)
    assert await passwords.hash(Secret(GOOD))


def test_nothing_is_loaded_for_servers_without_passwords():
    """A process that never sees a password neither imports argon2 nor starts a thread for it."""
    code = (
        "import os, sys, threading\n"
        "from keyturn.keys.passwords import ArgonPasswords\n"
        "ArgonPasswords(os.urandom)\n"
        "print('argon2' in sys.modules, threading.active_count())"
    )
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.split() == ["False", "1"]
