"""Admit takes a request's place in every limit it falls under, or none."""

import pytest

from keyturn.core.errors import SlowDown
from keyturn.core.requests import Located
from keyturn.core.vocabulary import Reason
from keyturn.exchange.admit import admit
from unit.exchange.records import ORIGIN, view


class Limits:
    """Limits that admit, or make wait, and remember what they were asked."""

    def __init__(self, wait=None):
        """Make everybody wait so long, or nobody."""
        self.wait = wait
        self.asked = []

    def take(self, keys, now):
        """Take a place."""
        self.asked.append((tuple(keys), now))
        return self.wait


def test_known():
    """RL-01: a known client takes a place for its address, itself and its organisation, at once."""
    limits = Limits()
    admission = admit(ORIGIN, Located(view()), limits, 7.0)
    keys = ("address:192.0.2.1", "client:client-a", "organisation:org-a")
    assert limits.asked == [(keys, 7.0)]
    assert admission.keys == keys


def test_unknown():
    """TN-04: an unknown client counts for its address only, so it can use up nobody's limit."""
    limits = Limits()
    admit(ORIGIN, Located(None), limits, 7.0)
    assert limits.asked == [(("address:192.0.2.1",), 7.0)]


@pytest.mark.parametrize(("wait", "told"), [(0.001, 1), (1.0, 1), (1.2, 2), (59.5, 60)])
def test_refused(wait, told):
    """RL-01: over a limit the wait is told in whole seconds, rounded up and at least one."""
    with pytest.raises(SlowDown) as caught:
        admit(ORIGIN, Located(view()), Limits(wait), 0)
    assert caught.value.retry_after == told
    assert caught.value.reason is Reason.RATE_LIMIT
    assert (caught.value.about.organisation_id, caught.value.about.subject) == ("org-a", "client-a")


def test_refused_unknown():
    """A refusal of an unknown client concerns nobody."""
    with pytest.raises(SlowDown) as caught:
        admit(ORIGIN, Located(None), Limits(1), 0)
    assert caught.value.about is None
