"""How long a supervisor waits before a dead worker's place is taken again."""

import os
from contextlib import closing

import pytest

from keyturn.web.server import bind_sockets
from keyturn.web.slots import Slots
from keyturn.web.supervisor import LONGEST_PAUSE_SECONDS, YOUNG_SECONDS, Supervisor


class Clock:
    """A clock that stands still until it is moved."""

    seconds = 100.0

    def now(self):
        raise NotImplementedError

    def monotonic(self):
        return self.seconds


@pytest.fixture
def clock():
    """Start somewhere."""
    return Clock()


@pytest.fixture
def supervisor(clock):
    """A supervisor of two places that serve, with nobody in them."""
    with closing(bind_sockets(("127.0.0.1", 0), ("127.0.0.1", 0), workers=2)) as listeners:
        made = Supervisor(
            listeners, Slots(2), shutdown_seconds=1, reloads=False, on_serving=lambda: None, clock=clock
        )
        made._told(bytes((0, 1, 1, 1)))
        yield made
        for descriptor in (*made._leash, *made._reports, *made._signals):
            os.close(descriptor)


def pause_after(supervisor, clock, age):
    """Let somebody take the first place and die at an age; gives how long the place stays empty."""
    place = supervisor._places[0]
    place.born = clock.seconds
    clock.seconds += age
    supervisor._ended(place, -9)
    return place.due - clock.seconds


def test_the_old_are_replaced_at_once(supervisor, clock):
    """Who dies after a life is replaced without a pause, as often as that happens."""
    assert [pause_after(supervisor, clock, YOUNG_SECONDS) for _ in range(3)] == [0, 0, 0]
    assert supervisor._slots.restarts == 3


def test_pauses_grow_where_one_dies_after_the_other(supervisor, clock):
    """Pauses double while the successors die young, up to a longest one, and begin anew after a life."""
    pauses = [pause_after(supervisor, clock, 1) for _ in range(40)]
    assert pauses[:3] == [0.25, 0.5, 1.0]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_SECONDS
    assert pause_after(supervisor, clock, YOUNG_SECONDS) == 0
    assert pause_after(supervisor, clock, 1) == 0.25


def test_who_serves(supervisor, clock):
    """A place counts as serving from its worker's word until its death."""
    assert [supervisor._slots.is_up(number) for number in (0, 1)] == [True, True]
    pause_after(supervisor, clock, 1)
    assert [supervisor._slots.is_up(number) for number in (0, 1)] == [False, True]
    supervisor._told(bytes((0, 1)))
    assert supervisor._slots.is_up(0)
