"""The life of a credential: what may be done with it at an instant, and that an end is an end."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from keyturn.core.life import Life, Standing, State

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def life(**changes):
    """Make a life that began now."""
    return Life(created_at=NOW, **changes)


@pytest.mark.parametrize(
    ("lived", "standing"),
    [
        (life(), Standing.GOOD),
        (life(state=State.PENDING), Standing.PENDING),
        (life(state=State.ENDED), Standing.ENDED),
        (life(disabled=True), Standing.DISABLED),
        (life(expires_at=NOW + SECOND), Standing.GOOD),
        (life(expires_at=NOW), Standing.EXPIRED),
        (life(state=State.OVERLAPPING, overlap_until=NOW + SECOND), Standing.GOOD),
        (life(state=State.OVERLAPPING, overlap_until=NOW), Standing.ENDED),
        (life(state=State.ENDED, disabled=True, expires_at=NOW), Standing.ENDED),
        (life(disabled=True, expires_at=NOW, state=State.PENDING), Standing.DISABLED),
        (life(state=State.PENDING, expires_at=NOW), Standing.PENDING),
        (life(state=State.OVERLAPPING, overlap_until=NOW, disabled=True), Standing.ENDED),
    ],
)
def test_standing(lived, standing):
    """TK-09: the strongest objection wins, and a limit counts from its very instant."""
    assert lived.standing(NOW) is standing


def test_ended_twice():
    """Ending twice keeps the first instant and the first reason."""
    first = life().ended(NOW, "leaked")
    assert first.ended(NOW + SECOND, "again") == first
    assert (first.ended_at, first.ended_why) == (NOW, "leaked")


def test_superseded():
    """A superseded credential works until its successor has taken over, and not from then on."""
    lived = life().superseded(NOW, NOW + SECOND)
    assert lived.standing(NOW) is Standing.GOOD
    assert lived.standing(NOW + SECOND) is Standing.ENDED


def test_resumed():
    """A rotation that is cancelled in time leaves the credential as it was before, and later it is over."""
    lived = life().superseded(NOW, NOW + SECOND)
    assert lived.resumed(NOW) == life()
    assert lived.resumed(NOW + SECOND).standing(NOW + SECOND) is Standing.ENDED
    ended = life().ended(NOW, "x")
    assert ended.resumed(NOW) == ended


@pytest.mark.parametrize("until", [NOW, NOW - SECOND])
def test_superseded_at_once(until):
    """A succession whose overlap has passed ends the credential at once."""
    lived = life().superseded(NOW, until)
    assert (lived.state, lived.ended_at, lived.ended_why) == (State.ENDED, NOW, "rotated")


def test_ended_is_not_superseded():
    """An ended credential is not brought back by a succession."""
    ended = life().ended(NOW, "x")
    assert ended.superseded(NOW, NOW + SECOND) == ended


def test_overlap_is_never_prolonged():
    """A credential whose overlap has passed counts as ended, so a second succession does not revive it."""
    lived = life().superseded(NOW, NOW + SECOND)
    late = NOW + 2 * SECOND
    assert lived.standing(late) is Standing.ENDED
    assert lived.superseded(late, late + SECOND).standing(late) is Standing.ENDED


class Lives(RuleBasedStateMachine):
    """One credential through anything that may happen to it, in any order, while time goes on."""

    def __init__(self):
        """Begin with a fresh one, pending or not."""
        super().__init__()
        self.now = NOW
        self.life = life()
        self.over = False

    @rule(seconds=st.integers(0, 100))
    def wait(self, seconds):
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    @rule()
    def end(self):
        """End it."""
        self.life = self.life.ended(self.now, "test")
        assert self.life.standing(self.now) is Standing.ENDED

    @rule()
    def resume(self):
        """Go back to it."""
        self.life = self.life.resumed(self.now)

    @rule(seconds=st.integers(-10, 100))
    def supersede(self, seconds):
        """Put another in its place."""
        self.life = self.life.superseded(self.now, self.now + timedelta(seconds=seconds))

    @rule()
    def disable_and_enable(self):
        """Disable it, which shows unless it is over, and enable it, which changes nothing else."""
        before = self.life
        disabled = msgspec.structs.replace(before, disabled=True)
        assert disabled.standing(self.now) in {Standing.DISABLED, Standing.ENDED}
        assert disabled.ended(self.now, "x").disabled
        enabled = msgspec.structs.replace(disabled, disabled=before.disabled)
        assert enabled == before
        assert enabled.standing(self.now) is before.standing(self.now)

    @rule(disabled=st.booleans())
    def mark(self, disabled):
        """Leave the mark on or off."""
        self.life = msgspec.structs.replace(self.life, disabled=disabled)

    @precondition(lambda self: self.life.expires_at is None)
    @rule(seconds=st.integers(0, 100))
    def expire(self, seconds):
        """Give it an end that comes by itself."""
        self.life = msgspec.structs.replace(self.life, expires_at=self.now + timedelta(seconds=seconds))

    @invariant()
    def once_ended_never_good(self):
        """Nothing makes an ended credential anything else again, at any later instant."""
        standing = self.life.standing(self.now)
        if self.over:
            assert standing is Standing.ENDED
            assert self.life.standing(self.now + timedelta(days=9)) is Standing.ENDED
        self.over = self.over or standing is Standing.ENDED


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=60, stateful_step_count=30)
