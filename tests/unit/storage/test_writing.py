"""The bell of a writing thread: no ring is lost, whenever it comes."""

import threading

from keyturn.storage.writing import Bell

SOON = 0.01
LONG = 30.0


def _hears(bell, seconds):
    """Tell whether a wait ends before its time."""
    ended = threading.Event()
    waiting = threading.Thread(target=lambda: (bell.wait(2 * LONG), ended.set()), daemon=True)
    waiting.start()
    heard = ended.wait(seconds)
    bell.ring()
    assert ended.wait(LONG)
    return heard


def test_a_ring_before_the_wait_is_kept():
    """Who is rung for before it waits does not wait."""
    bell = Bell()
    bell.ring()
    assert _hears(bell, LONG)


def test_many_rings_are_one():
    """Rings that nobody waited for end one wait and no other."""
    bell = Bell()
    for _ in range(3):
        bell.ring()
    assert _hears(bell, LONG)
    bell.hush()  # of ``_hears`` itself
    assert not _hears(bell, SOON)


def test_a_ring_ends_a_wait():
    """A thread that waits hears the ring, and no later wait does."""
    bell = Bell()
    assert not _hears(bell, SOON)  # it waited, and was rung for then
    assert not _hears(bell, SOON)


def test_a_ring_that_is_hushed_is_gone():
    """After ``hush`` only a new ring is heard."""
    bell = Bell()
    bell.ring()
    bell.hush()
    assert not _hears(bell, SOON)


def test_a_wait_may_have_a_limit():
    """A wait with a limit ends without a ring."""
    Bell().wait(SOON)
