"""Admit takes a request's place in every limit it falls under, or none."""

import msgspec
import pytest

from keyturn.core.errors import SlowDown, Unavailable
from keyturn.core.limits import Taken
from keyturn.core.vocabulary import Reason
from keyturn.exchange.admit import TAKEN, admit, admit_client
from unit.exchange.records import ORIGIN, proof

ADMITTED = Taken("client", admitted=True, remaining=3, seconds=0.5)


class Limits:
    """Limits that say what they are told to, and remember what they were asked."""

    def __init__(self, taken=ADMITTED, *, later=False):
        """Say the same to everybody, at once or later."""
        self.taken = taken
        self.later = later
        self.asked = []

    def take(self, keys, now):
        """Take a place."""
        self.asked.append((tuple(keys), now))
        return self._wait() if self.later else self.taken

    async def _wait(self):
        if isinstance(self.taken, Exception):
            raise self.taken
        return self.taken


async def test_a_proven_client():
    """RL-01: a proven client takes a place for itself and its organisation, at once."""
    limits = Limits()
    await admit_client(proof(), limits, 7.0)
    assert limits.asked == [(("client:client-a", "organisation:org-a"), 7.0)]


async def test_before_proof():
    """TN-04: before proof a request counts for its address only, so strangers use up nobody's limit."""
    limits = Limits()
    await admit(ORIGIN, limits, 7.0)
    assert limits.asked == [(("address:192.0.2.1",), 7.0)]


async def test_a_subscriber_is_counted():
    """RL-01: all addresses of an IPv6 /64 are one counter."""
    limits = Limits()
    for address in ("2001:db8::1", "2001:db8::2:1"):
        await admit(msgspec.structs.replace(ORIGIN, address=address), limits, 7.0)
    assert limits.asked == [(("address:2001:db8::/64",), 7.0)] * 2


async def test_limits_may_answer_later():
    """What the limits say after a trip to the store counts like what they say at once."""
    await admit(ORIGIN, Limits(later=True), 0)
    assert TAKEN.get() == ADMITTED
    refused = Taken("address", admitted=False, remaining=0, seconds=1.5)
    with pytest.raises(SlowDown):
        await admit(ORIGIN, Limits(refused, later=True), 0)
    assert TAKEN.get() == refused


async def test_the_tightest_is_told():
    """Of the limits that a request passed, the one that leaves the least room is told."""
    roomy = Taken("address", admitted=True, remaining=9, seconds=0.1)
    await admit(ORIGIN, Limits(roomy), 0)
    await admit_client(proof(), Limits(), 0)
    assert TAKEN.get() == ADMITTED
    await admit_client(proof(), Limits(roomy), 0)
    assert TAKEN.get() == ADMITTED


async def test_limits_away():
    """HT-09: where only the store can say and it is away, nothing is admitted."""
    limits = Limits(Unavailable(Reason.STORE_UNAVAILABLE), later=True)
    with pytest.raises(Unavailable):
        await admit(ORIGIN, limits, 0)


@pytest.mark.parametrize(("wait", "told"), [(0.001, 1), (1.0, 1), (1.2, 2), (59.5, 60)])
async def test_refused(wait, told):
    """RL-01: over a limit the wait is told in whole seconds, rounded up and at least one."""
    limits = Limits(Taken("client", admitted=False, remaining=0, seconds=wait))
    with pytest.raises(SlowDown) as caught:
        await admit_client(proof(), limits, 0)
    assert caught.value.retry_after == told
    assert caught.value.reason is Reason.RATE_LIMIT
    assert (caught.value.about.organisation_id, caught.value.about.subject) == ("org-a", "client-a")


async def test_refused_before_proof():
    """A refusal before proof concerns nobody."""
    limits = Limits(Taken("address", admitted=False, remaining=0, seconds=1))
    with pytest.raises(SlowDown) as caught:
        await admit(ORIGIN, limits, 0)
    assert caught.value.about is None
