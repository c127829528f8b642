"""Whether the clock is to be trusted."""

from datetime import UTC, datetime, timedelta

import pytest

from keyturn.core.clock_watch import UNSETTLED, ClockMark, ClockWatch
from keyturn.core.errors import Unavailable
from keyturn.core.vocabulary import Reason

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_a_clock_that_goes_back_stops_issuing_until_it_has_caught_up():
    """RE-07, HT-09: more than 5 s behind the newest time nothing is issued; within 5 s it is."""
    watch = ClockWatch()
    watch.require_sound(NOW)
    watch.require_sound(NOW - 5 * SECOND)
    with pytest.raises(Unavailable) as refused:
        watch.require_sound(NOW - 6 * SECOND)
    assert refused.value.reason is Reason.CLOCK_UNUSABLE
    assert not watch.is_sound(NOW - 6 * SECOND)
    watch.require_sound(NOW - 4 * SECOND)


def test_expiry_is_checked_against_the_newest_time():
    """RE-07: a clock that was set back revives nothing, and small differences of nodes add nothing up."""
    watch = ClockWatch()
    watch.require_sound(NOW)
    assert watch.latest(NOW - timedelta(days=1)) == NOW
    assert watch.latest(NOW + SECOND) == NOW + SECOND


def test_what_others_saw_counts():
    """RE-07: the newest time of the store counts after a restart, and only an acceptance lowers it."""
    watch = ClockWatch()
    watch.follow(ClockMark(newest_at=NOW))
    watch.follow(ClockMark(newest_at=NOW - timedelta(hours=1)))
    assert not watch.is_sound(NOW - timedelta(hours=1))
    watch.follow(ClockMark(newest_at=NOW - timedelta(hours=1), accepted=1))
    assert watch.is_sound(NOW - timedelta(hours=1))
    watch.require_sound(NOW)
    watch.follow(ClockMark(newest_at=NOW - timedelta(hours=1), accepted=1))
    assert watch.latest(NOW - SECOND) == NOW


@pytest.mark.parametrize(
    ("wall", "passed", "step"),
    [(60, 60, None), (63, 60, None), (55, 60, None), (3660, 60, 3600), (-3540, 60, -3600)],
)
def test_steps_are_wall_time_against_passed_time(wall, passed, step):
    """RE-07: a step of more than 5 s either way is noticed, and time that simply passed is none."""
    watch = ClockWatch()
    assert watch.look(NOW, 100.0) is None
    found = watch.look(NOW + timedelta(seconds=wall), 100.0 + passed)
    assert found == (None if step is None else timedelta(seconds=step))


def test_nothing_settles_within_an_hour_of_a_step():
    """RE-07: an hour after the last step things may be dropped for their age, not on a clock behind it."""
    mark = ClockMark(newest_at=NOW, stepped_at=NOW)
    assert not mark.settled(NOW + UNSETTLED - SECOND)
    assert mark.settled(NOW + UNSETTLED)
    assert not mark.settled(NOW - timedelta(days=2))
    assert ClockMark(newest_at=NOW).settled(NOW)


@pytest.mark.parametrize(("ahead", "step"), [(3600, None), (3601, 3601), (-9999, None)])
def test_a_start_far_from_the_newest_time_is_a_step(ahead, step):
    """RE-07: the first look compares with the newest time found at the start, not since."""
    watch, now = ClockWatch(), NOW + timedelta(seconds=ahead)
    watch.follow(ClockMark(newest_at=NOW))
    watch.follow(ClockMark(newest_at=max(now, NOW)))
    assert watch.look(now, 100.0) == (None if step is None else timedelta(seconds=step))
    assert watch.look(now + SECOND, 101.0) is None
