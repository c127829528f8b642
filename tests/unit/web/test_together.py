"""The figures of several workers are those of one server, whichever of them is asked."""

import pytest

from keyturn.web.measures import single
from keyturn.web.metrics import Metrics
from keyturn.web.slots import Slots


class Process:
    """A worker's figures, without the worker."""

    def __init__(self, slots, number, **store):
        self.store = {
            "batches": 1.0,
            "queue_length": 2.0,
            "feed_version": 5.0,
            "feed_age_seconds": 0.1,
        } | store
        self.metrics = Metrics()
        self.metrics.watch_store(lambda: self.store)
        self.metrics.watch_upkeep(lambda: {"keys": (7.0 + number, 5.0 + number, number)})
        self.metrics.watch(lambda: [single("keyturn_signing_key_oldest_seconds", 3.0 * number)])
        self.together = self.metrics.share(slots, number)
        slots.set_up(number, up=True)

    def seen(self):
        """Read what it shows, as name with labels and value."""
        lines = self.metrics.shown()[1].decode().splitlines()
        assert len(lines) == len(set(lines))
        return {
            name: float(value)
            for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
        }


@pytest.fixture
def slots():
    """Room for two."""
    return Slots(2)


@pytest.fixture
def two(slots):
    """Two workers."""
    return Process(slots, 0), Process(slots, 1, feed_version=4.0, feed_age_seconds=0.5)


REQUESTS = 'keyturn_requests_total{dialect="oauth2",outcome="ok",route="token"}'


def test_what_is_counted_is_summed(two):
    """Requests, their times and refusals of both are summed, those that only one of them had too."""
    one, other = two
    one.metrics.answered("oauth2", "token", "client_credentials", "ok", 0.002)
    other.metrics.answered("oauth2", "token", "client_credentials", "ok", 0.2)
    other.metrics.answered("oauth2", "token", "client_credentials", "wrong_secret", 0.2)
    other.metrics.framing_refused("host")
    other.together.publish()
    seen = one.seen()
    assert seen[REQUESTS] == 2
    assert seen[REQUESTS.replace('"ok"', '"wrong_secret"')] == 1
    assert seen['keyturn_request_seconds_bucket{dialect="oauth2",le="0.0025"}'] == 1
    assert seen['keyturn_request_seconds_bucket{dialect="oauth2",le="+Inf"}'] == 3
    assert seen['keyturn_request_seconds_count{dialect="oauth2"}'] == 3
    assert seen['keyturn_request_seconds_sum{dialect="oauth2"}'] == pytest.approx(0.402)
    assert seen['keyturn_framing_refused_total{reason="host"}'] == 1
    assert seen["keyturn_store_batches"] == 2
    one.together.publish()
    assert other.seen() == seen


def test_gauges_are_merged_by_their_meaning(two):
    """Queues add up, of ages the greatest is shown and of versions the least."""
    for each in two:
        each.together.publish()
    seen = two[0].seen()
    assert seen["keyturn_store_queue_length"] == 4
    assert seen["keyturn_store_feed_version"] == 4
    assert seen["keyturn_store_feed_age_seconds"] == 0.5
    assert seen['keyturn_upkeep_last_run_timestamp_seconds{task="keys"}'] == 8
    assert seen['keyturn_upkeep_last_success_timestamp_seconds{task="keys"}'] == 6
    assert seen["keyturn_signing_key_oldest_seconds"] == 3
    assert seen["keyturn_workers"] == 2


def test_nothing_counted_goes_down(two, slots):
    """Who takes a dead worker's place goes on from its counts, again and again, and not from its gauges."""
    one, other = two
    other.metrics.answered("oauth2", "token", "client_credentials", "ok", 0.002)
    other.together.publish()
    slots.set_up(1, up=False)
    seen = one.seen()
    assert seen[REQUESTS] == 1
    assert seen["keyturn_store_queue_length"] == 2
    assert seen["keyturn_workers"] == 1
    for generation in (2, 3):
        successor = Process(slots, 1)
        assert one.seen()[REQUESTS] == generation - 1
        successor.metrics.answered("oauth2", "token", "client_credentials", "ok", 0.002)
        assert successor.seen()[REQUESTS] == generation
        successor.together.publish()
        assert one.seen()[REQUESTS] == generation
        assert one.seen()["keyturn_store_batches"] == 1 + generation
        assert one.seen()["keyturn_store_queue_length"] == 4


async def test_published_by_itself(two):
    """Inside the block figures are there at once, and what came last is there after it."""
    one, other = two
    async with other.together.publishing():
        pass
    assert one.seen()["keyturn_store_batches"] == 2
    async with other.together.publishing():
        other.metrics.answered("oauth2", "token", "client_credentials", "ok", 0.002)
    assert one.seen()[REQUESTS] == 1


def test_too_many_figures():
    """Figures without room leave those that were there."""
    small = Slots(2, half_bytes=4096)
    one, other = Process(small, 0), Process(small, 1)
    other.together.publish()
    for number in range(200):
        other.metrics.answered("oauth2", f"route{number}", "", "ok", 0.002)
    other.together.publish()
    other.together.publish()
    assert one.seen()["keyturn_store_batches"] == 2
    assert not any("route" in name for name in one.seen())
