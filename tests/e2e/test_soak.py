"""Hours of traffic, and more traffic than there is room for (RE-10); ``make soak`` on a quiet machine.

``SOAK_SECONDS`` says how long the long one takes: an hour if it is not set.
"""

import json
import os
import threading
from collections import Counter
from statistics import median
from urllib.parse import urlencode

import pytest

from bench.load import Request
from bench.load import run as loaded
from bench.talks import Repeat
from e2e.nodes import deploy
from e2e.servers import basic
from e2e.traffic import send, usage

SECONDS = float(os.environ.get("SOAK_SECONDS", "3600"))
MEASURED_SECONDS = 5.0
CONNECTIONS = 64
SHARE_OF_PEAK = 0.6
SAMPLE_SECONDS = 2.0
MEGABYTES_KEPT = 16.0
"""Memory may grow by that and a tenth: caches fill, and every revocation is remembered for a day."""
DESCRIPTORS_KEPT = 8
LOG_MEGABYTES = 64
TURNS = 20
"""Requests of one life: a tenth are new grants, a third renewals, the rest questions."""
LIVES_A_REVOCATION = 20

OVERLOAD = 3.0
CROWD = 2000
ADDRESSES = [f"127.0.0.{number}" for number in range(1, 10)]
ACCEPTED_SECONDS = 1.0
SERVED_SHARE = 0.5
"""Of what can be done without overload."""
OVERLOAD_MEGABYTES = 128.0

pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]


class Writer:
    """Writes the requests of an organisation's client."""

    def __init__(self, here, node):
        members = here.members["acme"]["oauth2"]
        self._proof = "Authorization: " + basic(members["client_id"], members["client_secret"])
        self._base = node.url + "/o/acme/oauth2/"

    def request(self, route, **fields):
        """Write one."""
        return Request.form(self._base + route, urlencode(fields), (self._proof,))

    def token(self):
        """Write the plainest one."""
        return self.request("token", grant_type="client_credentials")


class Life:
    """One connection that gets tokens, renews them, asks about them and sometimes gives one back."""

    def __init__(self, writer):
        self._writer = writer
        self._turn = self._lives = 0
        self._token = {}

    def next(self, last):
        """Write the next request; after a refusal a new life begins."""
        write, number = self._writer.request, self._turn
        if last is None:
            number = 0
        elif last:
            self._token |= {key: text for key, text in json.loads(last).items() if key.endswith("_token")}
        self._turn = (number + 1) % TURNS
        if number == 0:
            self._lives += 1
            fields = {"grant_type": "client_credentials", "scope": "read offline_access"}
            return write("token", **fields).raw
        if number == TURNS - 1 and self._lives % LIVES_A_REVOCATION == 0:
            return write("revoke", token=self._token["access_token"]).raw
        if number % 3 == 0:
            fields = {"grant_type": "refresh_token", "refresh_token": self._token["refresh_token"]}
            return write("token", **fields).raw
        return write("introspect", token=self._token["access_token"]).raw


class Watch:
    """What a process has of the machine, looked at for the length of a block."""

    def __init__(self, pid):
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.seen = []

    def _look(self):
        while not self._over.wait(SAMPLE_SECONDS):
            self.seen.append(usage(self._pid))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def quarter(self, number, name):
        """Give one figure of all looks in a quarter of the time."""
        size = len(self.seen) // 4
        return [getattr(each, name) for each in self.seen[number * size : (number + 1) * size]]


def test_an_hour(store, tmp_path, record_property):
    """RE-10: for an hour at 60 % of the peak nothing is refused; memory, descriptors and files stay flat."""
    here = deploy(tmp_path, store())
    with here.node() as node:
        writer, pid = Writer(here, node), node.process.pid
        peak, _ = loaded(writer.token(), [Life(writer) for _ in range(CONNECTIONS)], MEASURED_SECONDS, [pid])
        files = {path.name for path in here.data.iterdir()}
        with Watch(pid) as watch:
            seen = send(node.url, lambda: Life(writer).next, SHARE_OF_PEAK * peak.rate, SECONDS)
        memory = [median(watch.quarter(number, "resident_megabytes")) for number in range(4)]
        descriptors = [max(watch.quarter(number, "descriptors")) for number in range(4)]
        figures = {
            "peak a second": round(peak.rate),
            "answered": seen.statuses.total(),
            "p50, p99, most": [round(seen.quantile(share), 4) for share in (0.5, 0.99, 1.0)],
            "megabytes": memory,
            "descriptors": descriptors,
        }
        for name, figure in figures.items():
            record_property(name, figure)
        print(figures)  # noqa: T201  # pytest shows it with -s, or when something is wrong
        assert seen.statuses == Counter({200: seen.statuses.total()})
        assert (seen.cut, seen.unsent) == (0, 0)
        assert memory[3] - memory[1] < MEGABYTES_KEPT + 0.1 * memory[1]
        assert descriptors[3] <= descriptors[1] + DESCRIPTORS_KEPT
        assert {path.name for path in here.data.iterdir()} == files
        log = here.data / "keyturn.db-wal"
        assert not log.exists() or log.stat().st_size < LOG_MEGABYTES * 1024 * 1024
    assert here.is_intact()


def test_overload(store, tmp_path, record_property):
    """RE-10: of three times what can be done much is served within a second, the rest refused at once."""
    here = deploy(tmp_path, store())
    with here.node() as node:
        request, pid = Writer(here, node).token(), node.process.pid
        talks = [Repeat(request.raw) for _ in range(CONNECTIONS)]
        peak, _ = loaded(request, talks, MEASURED_SECONDS, [pid])
        before = usage(pid)
        with Watch(pid) as watch:
            # The crowd does not mind Retry-After: whoever was refused asks again as soon as it is wanted.
            seen = send(
                node.url,
                lambda: Repeat(request.raw).next,
                OVERLOAD * peak.rate,
                4 * MEASURED_SECONDS,
                connections=CROWD,
                addresses=ADDRESSES,
                waits=False,
            )
        after = send(node.url, lambda: Repeat(request.raw).next, 0.3 * peak.rate, MEASURED_SECONDS)
        figures = {
            "peak a second": round(peak.rate),
            "answered": dict(seen.statuses),
            "found nobody free": seen.unsent,
            "served a second": round(seen.rate),
            "accepted p50, p99": [round(seen.quantile(share), 3) for share in (0.5, 0.99)],
            "slowest refusal": round(seen.slowest_refusal, 3),
            "most megabytes": max(each.resident_megabytes for each in watch.seen),
            "p99 after": round(after.quantile(0.99), 3),
        }
        for name, figure in figures.items():
            record_property(name, figure)
        print(figures)  # noqa: T201  # the same
        assert set(seen.statuses) == {200, 503}
        assert seen.cut == 0
        assert seen.rate > SERVED_SHARE * peak.rate
        assert seen.quantile(0.99) < ACCEPTED_SECONDS
        assert seen.slowest_refusal < ACCEPTED_SECONDS
        assert figures["most megabytes"] - before.resident_megabytes < OVERLOAD_MEGABYTES
        assert set(after.statuses) == {200}
        assert after.quantile(0.99) < ACCEPTED_SECONDS
