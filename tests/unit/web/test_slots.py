"""The memory that workers share: what is written whole is read whole, whoever dies meanwhile."""

import os

from keyturn.web.slots import Slots


def test_each_slot_is_its_own():
    """A slot gives what was written to it last, and nothing before that."""
    slots = Slots(2)
    assert slots.read(0) is None
    assert slots.write(0, b"first")
    assert slots.write(0, b"second, and longer")
    assert slots.write(0, b"third")
    assert slots.read(0) == b"third"
    assert slots.read(1) is None


def test_a_write_that_was_cut_short():
    """A write that ends in the middle leaves what was there before, and the next one counts again."""
    slots = Slots(2, half_bytes=64)
    slots.write(1, b"before")
    slots.write(1, b"after")
    for start in range(len(slots._memory) - 5):
        if slots._memory[start : start + 5] == b"after":
            slots._memory[start : start + 5] = b"aft\0\0"
    assert slots.read(1) == b"before"
    assert slots.write(1, b"again")
    assert slots.read(1) == b"again"


def test_too_much_changes_nothing():
    """A content without room is refused and leaves what was there, in this slot and in the next."""
    slots = Slots(2, half_bytes=64)
    slots.write(0, b"kept")
    slots.write(1, b"next")
    assert not slots.write(0, b"x" * 64)
    assert (slots.read(0), slots.read(1)) == (b"kept", b"next")


def test_processes_share_it():
    """What a forked process writes is read by the one that made the memory."""
    slots = Slots(1)
    child = os.fork()
    if not child:
        slots.write(0, b"from another process")
        slots.set_up(0, up=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert slots.read(0) == b"from another process"
    assert slots.is_up(0)


def test_what_the_supervisor_notes():
    """Who serves and how often somebody took a dead one's place can be read back."""
    slots = Slots(64)
    slots.set_up(63, up=True)
    slots.set_up(0, up=True)
    slots.set_up(0, up=False)
    assert [number for number in range(64) if slots.is_up(number)] == [63]
    slots.restarted()
    slots.restarted()
    assert slots.restarts == 2
