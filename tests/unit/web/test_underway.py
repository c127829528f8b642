"""How many requests are let in at once, by how fast they are answered (RE-10)."""

from keyturn.web.underway import ROOM, TARGET_SECONDS, Underway


def answer(underway, a_second, seconds, *, since=0.0):
    """Let requests come and go at a steady pace."""
    for number in range(int(a_second * seconds)):
        assert underway.lets_in("POST")
        underway.leave(since + number / a_second)


def let_in(underway):
    """Count how many are let in beside each other."""
    count = 0
    while underway.lets_in("POST"):
        count += 1
    return count


def test_there_is_always_some_room():
    """RE-10: a server that was idle lets its first callers in, however slow it is, and no more."""
    assert let_in(Underway()) == ROOM


def test_who_is_fast_has_more_room():
    """RE-10: as many are let in as are answered within the target, by how fast the last ones were."""
    underway = Underway()
    answer(underway, 5_000, 1)
    assert abs(let_in(underway) - 5_000 * TARGET_SECONDS) < 50


def test_who_gets_slow_has_less_room():
    """RE-10: the room shrinks as answers take longer, down to what there always is."""
    underway = Underway()
    answer(underway, 5_000, 1)
    answer(underway, 100, 2, since=1.0)
    assert let_in(underway) == ROOM


def test_an_answer_makes_room():
    """RE-10: where all room is taken the next is let in when one has left."""
    underway = Underway()
    let_in(underway)
    underway.leave(0.0)
    assert underway.lets_in("POST")


def test_reading_goes_on():
    """HT-09 and RE-10: keys and metadata are had while all room is taken by those who wait for the store."""
    underway = Underway()
    let_in(underway)
    assert not underway.lets_in("POST")
    assert underway.lets_in("GET")
    assert underway.lets_in("HEAD")
