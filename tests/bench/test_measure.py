"""Load and measurement against a small server in a thread: what is counted, skipped and refused."""

import asyncio
import contextlib
import os
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench import load
from bench.jobs import ISSUED
from bench.load import Request
from bench.measure import Pace, carry_out
from bench.processes import on_cores, running, tree
from bench.scenarios import Line, Scenario
from bench.server import AbsentError, Place, Server, UnfitError, algorithm_of
from bench.talks import Repeat, each_once

SHORT = Pace(rounds=1, seconds=0.1, warm=0.05, most_connections=4)


@contextlib.contextmanager
def listening(status="200 OK", pause=0.0):
    """Answer every request on loopback, after a pause; gives the URL."""
    ready, stopping = threading.Event(), []

    async def answer(reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await asyncio.sleep(pause)
                writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok".encode())
        writer.close()

    async def serve():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        stop = asyncio.Event()
        stopping.extend((server.sockets[0].getsockname()[1], asyncio.get_running_loop(), stop))
        ready.set()
        await stop.wait()
        server.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    port, loop, stop = stopping
    try:
        yield f"http://127.0.0.1:{port}/token"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


def request(url):
    """Make a request without a body."""
    return Request.of("GET", url, "", ())


def test_a_pace_is_never_outrun():
    """However fast the server is, no more is sent than was due."""
    with listening() as url:
        began = time.monotonic()
        talks = [Repeat(request(url).raw) for _ in range(4)]
        found, _ = load.run(request(url), talks, 0.3, [os.getpid()], a_second=100)
        assert 0 < found.answered <= 100 * (time.monotonic() - began) + 1


def test_a_stalling_server_is_told_by_latency():
    """A request that was due while its only connection waited is late from then on."""
    with listening(pause=0.05) as url:
        found, _ = load.run(request(url), [Repeat(request(url).raw)], 0.5, [os.getpid()], a_second=100)
        assert max(found.latencies) > 0.15


def test_a_round_ends_with_what_is_used_up():
    """When nothing is left to say the window closes, and its length is what it was."""
    with listening() as url:
        talks = each_once([request(url).raw] * 3, 2)
        found, _ = load.run(request(url), talks, 60, [os.getpid()])
        assert found.seconds < 60


def test_refusals_are_not_answers():
    """What is not answered with 200 is counted apart."""
    with listening("503 No") as url:
        found, _ = load.run(request(url), [Repeat(request(url).raw)], 0.1, [os.getpid()])
        assert found.answered == 0
        assert found.refused > 0


def test_what_goes_on_beside_is_not_counted():
    """Further connections load the server and are in no figure."""
    with listening() as url, listening("503 No") as other:
        beside = [Repeat(request(other).raw)]
        found, _ = load.run(request(url), [Repeat(request(url).raw)], 0.1, [os.getpid()], beside=beside)
        assert found.answered > 0


@dataclass(frozen=True)
class Fake:
    """A set-up of a server that runs already, or cannot be had."""

    url: str = ""
    rows: int | None = None

    def start(self, place):
        if not self.url:
            raise AbsentError("no toolchain")
        trail = None if self.rows is None else self
        return Server(
            pids=(os.getpid(),), token=self.url, proof="Authorization: x", algorithm=None, trail=trail
        )

    def count(self, rows):
        return self.rows


@dataclass(frozen=True)
class Get:
    """A job without a body."""

    rows: str = ISSUED

    def at(self, server):
        return request(server.token)

    def talks(self, server, connections, seconds):
        return [Repeat(self.at(server).raw) for _ in range(connections)]

    def confirm(self, server):
        server.check(load.ask(self.at(server)))


def carried_out(tmp_path, *servers):
    """Measure each server as one line."""
    lines = tuple(Line(f"line {number}", server, Get()) for number, server in enumerate(servers))
    with ExitStack() as stack:
        return carry_out(Scenario("test", "A test.", lines), Place(tmp_path, tmp_path, {0}, stack), SHORT)


def test_a_peer_that_cannot_be_had_is_skipped(tmp_path):
    """It is named with the reason, and so is one that answers something else; the others are measured."""
    with listening() as good, listening("403 No") as bad:
        found = carried_out(tmp_path, Fake(good), Fake(), Fake(bad))
    assert set(found.rounds) == {"line 0"}
    assert found.skipped["line 1"] == "no toolchain"
    assert "403" in found.skipped["line 2"]


@pytest.mark.parametrize("shares", [False, True])
def test_who_runs_where(tmp_path, shares):
    """Servers have a core of their own; where cores are shared, each side may use what either has."""
    mine, seen = os.sched_getaffinity(0), []

    class Looking(Fake):
        def start(self, place):
            seen.append((set(place.cores), os.sched_getaffinity(0)))
            raise AbsentError("seen")

    scenario = Scenario("test", "A test.", (Line("line", Looking(), Get()),), shares_cores=shares)
    with ExitStack() as stack, on_cores({min(mine)}):
        carry_out(scenario, Place(tmp_path, tmp_path, {max(mine)}, stack), SHORT)
    both = {min(mine), max(mine)}
    assert seen == [(both, both) if shares else ({max(mine)}, {min(mine)})]
    assert os.sched_getaffinity(0) == mine


def test_a_missing_row_makes_a_run_worthless(tmp_path):
    """Answers that left no row fail the run instead of looking fast."""
    with listening() as url:
        assert carried_out(tmp_path, Fake(url, rows=10**9)).kept
        with pytest.raises(UnfitError, match="but 0 rows"):
            carried_out(tmp_path, Fake(url, rows=0))


def test_ours_must_answer_as_the_report_says(tmp_path):
    """A Keyturn that refuses fails the run; only peers are skipped."""
    with listening("401 No") as url, pytest.raises(UnfitError, match="401"):
        carried_out(tmp_path, Fake(url, rows=1))


def test_algorithm_is_read_from_any_answer():
    """The first signed token counts, whatever the member is called and however deep it is."""
    token = "eyJhbGciOiJFUzI1NiJ9.e30.c2ln"
    assert algorithm_of(b'{"retVal": {"jwtToken":"%s"}}' % token.encode()) == "ES256"


def test_a_server_ends_with_its_block(tmp_path):
    """Its whole process group is gone afterwards, what it started itself included."""
    script = "sleep 60 & echo $! > child; wait"
    core = min(os.sched_getaffinity(0))
    with running(["sh", "-c", f"cd {tmp_path}; {script}"], {core}, tmp_path / "log", os.environ) as process:
        child = tmp_path / "child"
        while not (child.exists() and child.read_text().strip()):
            assert process.poll() is None
            time.sleep(0.01)
        pids = [process.pid, int(child.read_text())]
        assert set(pids) <= set(tree(process.pid))
    assert process.poll() is not None
    until = time.monotonic() + 10
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < until
        time.sleep(0.01)


def alive(pid):
    """Tell whether a process runs; one that ended and was not waited for does not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    return False
