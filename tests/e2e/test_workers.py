"""Several workers under one command: they share work and rules, and are replaced and stopped in order."""

import os
import re
import signal
import socket
import ssl
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from authority import Authority
from e2e.load import under_load
from e2e.servers import Caller, Client, ask, run, serving, starting, token_path, told, within
from e2e.workers import chain_of, descriptors, each_worker, figures, lives, pids, replaced, table
from keyturn.web.measures import GAUGES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes under /proc")

TWO = ("--workers", "2")
REQUESTS = 'keyturn_requests_total{dialect="oauth2",outcome="ok",route="token"}'


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A demo of two workers that lives for the whole module; tests may kill workers."""
    folder = tmp_path_factory.mktemp("workers")
    with serving(folder / "data", folder / "home", *TWO) as made:
        yield made


@pytest.fixture
def client(node):
    """A client of the demo."""
    return node.client("oauth2")


# --- sharing the work ---


def test_both_answer(node, client):
    """Each of two workers records its tokens in an audit chain of its own, and the trail holds."""
    with each_worker(node, client) as workers:
        for callers in workers:
            assert client.post(callers[0]).status == 200
    assert told(node.home, "audit", "verify", "--data", str(node.data))["intact"]
    said = [event for event in node.events() if event["event"] == "serving"]
    assert [event["workers"] for event in said] == [2]
    assert node.out.read_text().count("Keyturn demo at") == 1


@pytest.mark.slow
def test_turns_are_fair(node, client):
    """Two workers get turns at the one file alike: neither writes four times what the other does."""
    seconds = 3.0
    with each_worker(node, client, width=3) as workers, ThreadPoolExecutor(6) as pool:
        until = time.monotonic() + seconds

        def ask_on(number, caller):
            done = 0
            while time.monotonic() < until:
                assert client.post(caller).status == 200
                done += 1
            return number, done

        asked = [
            pool.submit(ask_on, number, each) for number, callers in enumerate(workers) for each in callers
        ]
        totals = Counter()
        for each in asked:
            number, done = each.result(30)
            totals[number] += done
    assert max(totals.values()) <= 4 * min(totals.values()), totals


def test_metrics_are_of_all(node, client):
    """Whichever worker is asked, /metrics has the requests of both, and leaves no file anywhere."""
    before, rows_before = settled(node), rows(node)
    files = sorted(path.name for path in node.data.iterdir())
    with each_worker(node, client) as workers:
        for callers in workers:
            assert {client.post(callers[0]).status for _ in range(5)} == {200}
    made = rows(node) - rows_before
    assert made >= 10
    within(10.0, lambda: {figures(node)[REQUESTS] for _ in range(12)} == {before + made})
    assert figures(node)["keyturn_workers"] == 2
    assert sorted(path.name for path in node.data.iterdir()) == files


def rows(node):
    """Count the tokens of the trail."""
    ((count,),) = table(node, "SELECT count(*) FROM audit WHERE kind = 'token.issued'")
    return count


def test_every_gauge_says_how_it_is_merged(node):
    """A gauge has a rule for several workers, or only grows and is summed."""
    text = ask(f"{node.management}/metrics").body.decode()
    gauges = set(re.findall(r"^# TYPE (\S+) gauge$", text, re.MULTILINE)) - {"keyturn_workers"}
    absent = {"keyturn_workers", "keyturn_certificate_expiry_timestamp_seconds"}
    assert set(GAUGES) - absent <= gauges
    assert gauges - set(GAUGES) == {"keyturn_store_batches", "keyturn_store_units"}


# --- sharing the rules ---

LEASED = {"KEYTURN_LIMITS__CLIENT__PER_MINUTE": "600", "KEYTURN_LIMITS__CLIENT__BURST": "40"}


@pytest.mark.slow
def test_a_limit_is_of_all(tmp_path):
    """RE-08 and RL-01: two workers admit a client what one process would, give or take a tenth."""
    per_minute, burst = map(int, LEASED.values())
    with serving(tmp_path / "data", tmp_path / "home", *TWO, environ=LEASED) as node:
        client, other = node.client("oauth2"), node.client("oauth2", "globex")
        with each_worker(node, other) as workers:
            began = time.monotonic()
            answers = [client.post(callers[0]) for _ in range(3 * burst) for callers in workers]
            took = time.monotonic() - began
    statuses = Counter(answer.status for answer in answers)
    assert set(statuses) == {200, 429}
    assert burst <= statuses[200] <= 1.1 * (burst + per_minute * (took + 1) / 60)


def test_what_ends_on_one_ends_on_all(node):
    """RE-08, RV-04: a token revoked through one worker is dead at the other one within a second."""
    at = ("--data", str(node.data))
    may = ("--grant", "client_credentials", "--right", "introspect", "--scope", "read")
    made = told(node.home, "client", "create", "acme", "--name", "asker", *may, *at)
    secret = told(node.home, "secret", "create", made["client_id"], *at)["secret"]
    asker = Client("oauth2", token_path("oauth2"), made["client_id"], secret)
    within(5.0, lambda: node.token("oauth2").status == 200 and post(node, asker) == 200)
    with each_worker(node, asker) as ((one,), (other,)):
        token = asker.post(one).json["access_token"]
        assert about(other, asker, "introspect", token).json["active"]
        assert about(one, asker, "revoke", token).status == 200
        within(1.0, lambda: not about(other, asker, "introspect", token).json["active"])
        told(node.home, "client", "disable", made["client_id"], *at)
        within(1.0, lambda: {asker.post(one).status, asker.post(other).status} == {401})


def post(node, client):
    """Ask for a token on a connection of its own and give the status."""
    with Caller(node.url) as caller:
        return client.post(caller).status


def about(caller, client, verb, token):
    """Ask about a token, or revoke it."""
    path = client.path.replace("token", verb)
    form = client.form(grant_type=None, token=token)
    return caller.ask("POST", path, form, {"Content-Type": "application/x-www-form-urlencoded"})


# --- when one dies ---


@pytest.mark.slow
def test_a_dead_worker_is_replaced(node, client):
    """RE-01: after kill -9 of a worker only what it was serving breaks, and soon another has its place."""
    before, restarts = pids(node), figures(node)["keyturn_worker_restarts_total"]
    with under_load(node.url, client, 8, kept=False) as load:
        within(10.0, lambda: len(load.answers) > 50)
        os.kill(before[0], signal.SIGKILL)
        replaced(node, before)
        answered = len(load.answers)
        within(10.0, lambda: len(load.answers) > answered + 50)
    assert set(load.statuses) == {200}
    assert load.refused == 0
    assert len(load.broken) <= 8, load.broken
    assert before[1] in pids(node)
    assert figures(node)["keyturn_worker_restarts_total"] == restarts + 1
    died = [event for event in node.events() if event["event"] == "worker_died"]
    assert (died[-1]["pid"], died[-1]["code"]) == (before[0], -signal.SIGKILL)
    with each_worker(node, client):
        assert told(node.home, "audit", "verify", "--data", str(node.data))["intact"]


@pytest.mark.slow
def test_counts_survive_a_worker(node, client):
    """What a killed worker had counted a second before is still counted, and no descriptor is left over."""
    with each_worker(node, client, width=2):
        pass
    before, open_files = pids(node), descriptors(node.process.pid)
    counted = settled(node)
    os.kill(before[1], signal.SIGKILL)
    seen = []
    within(20.0, lambda: seen.append(figures(node)[REQUESTS]) or len(pids(node)) == 2 != before)
    replaced(node, before)
    seen.append(figures(node)[REQUESTS])
    assert min(seen) >= counted
    assert post(node, client) == 200
    within(10.0, lambda: figures(node)[REQUESTS] == counted + 1)
    assert descriptors(node.process.pid) == open_files


def settled(node):
    """Wait until nobody counts any more, and give the count."""
    seen = []
    within(
        20.0, lambda: time.sleep(0.5) or seen.append(figures(node)[REQUESTS]) or seen[-6:] == [seen[-1]] * 6
    )
    return seen[-1]


def test_a_start_that_fails_is_told_once(tmp_path):
    """HT-09: workers that cannot start end the command as one process would, and say why once."""
    data, home = tmp_path / "data", tmp_path / "home"
    assert run(home, "init", "--data", str(data)).code == 0
    (data / "keyturn.db").unlink()
    flags = (
        "--data",
        str(data),
        "--port",
        "0",
        "--management-port",
        "0",
        "--public-url",
        "https://x.example",
    )
    one, two = (run(home, "serve", *flags, *more) for more in ((), TWO))
    assert (one.code, one.err) == (two.code, two.err)
    assert two.code == 3
    assert len(two.err.splitlines()) == 1


def test_a_taken_address_is_taken(node, tmp_path):
    """An address that another server's workers share counts as taken, and nothing is made."""
    port = node.url.rpartition(":")[2]
    said = run(tmp_path, "serve", "--demo", "--data", str(tmp_path / "data"), "--port", port, *TWO)
    assert said.code == 3
    assert port in said.err
    assert not (tmp_path / "data").exists()


# --- how it stops ---


@pytest.mark.slow
@pytest.mark.parametrize("kept", [False, True], ids=["new connections", "kept connections"])
def test_sigterm_drains_all(tmp_path, kept):
    """RE-03: SIGTERM under load breaks no request, exits with 0, and leaves no process, no unsigned row."""
    with serving(tmp_path / "data", tmp_path / "home", *TWO) as node:
        workers = pids(node)
        with under_load(node.url, node.client("oauth2"), 24, kept=kept) as load:
            within(10.0, lambda: len(load.answers) > 100)
            assert node.stop() == 0
            within(5.0, lambda: load.refused)
        assert set(load.statuses) == {200}
        assert load.broken == []
        assert not any(map(lives, workers))
    trail = told(node.home, "audit", "verify", "--data", str(node.data))
    assert (trail["intact"], trail["rows_not_signed_yet"]) == (True, 0)


def test_a_terminal_interrupts_everybody(tmp_path):
    """RE-03: an interrupt of the whole group stops in order; a reload with nothing to read ends nobody."""
    with serving(tmp_path / "data", tmp_path / "home", *TWO, wrapper=("setsid",)) as node:
        workers = pids(node)
        os.killpg(node.process.pid, signal.SIGHUP)
        os.killpg(node.process.pid, signal.SIGINT)
        assert node.process.wait(20) == 0
        assert not any(map(lives, workers))
        assert "Traceback" not in node.log.read_text()
        said = {(event["event"], event.get("worker")) for event in node.events()}
        assert {("serving", None), ("stopped", 1), ("stopped", 2)} <= said
        assert "worker_died" not in dict(said)


def test_a_stop_while_starting(tmp_path):
    """A server of several workers that is stopped before it serves exits with 0 and leaves no process."""
    data = tmp_path / "data"
    with starting(data, tmp_path / "home", *TWO) as node:
        within(20.0, lambda: (data / "demo.running").exists() and pids(node))  # who read the settings is gone
        workers = pids(node)
        assert node.stop() == 0
        assert not any(map(lives, workers))


@pytest.mark.slow
def test_workers_end_with_their_supervisor(tmp_path):
    """RE-01: a supervisor that is killed leaves no worker behind, and what was answered is there."""
    data, home = tmp_path / "data", tmp_path / "home"
    with serving(data, home, *TWO) as node:
        workers = pids(node)
        tokens = [node.token("oauth2").json["access_token"] for _ in range(5)]
        node.process.kill()
        within(15.0, lambda: not any(map(lives, workers)))
        assert len({chain_of(node, token) for token in tokens}) <= 2
        assert rows(node) == len(tokens)
    with serving(data, home, *TWO) as again:
        assert again.token("oauth2").status == 200


@pytest.mark.slow
def test_a_worker_that_hangs_is_killed(tmp_path):
    """RE-03: a worker that does not stop in its time is killed, and the exit code tells."""
    environ = {"KEYTURN_SHUTDOWN_SECONDS": "0"}
    with serving(tmp_path / "data", tmp_path / "home", *TWO, environ=environ) as node:
        workers = pids(node)
        os.kill(workers[0], signal.SIGSTOP)
        node.process.terminate()
        assert node.process.wait(30) != 0
        assert not any(map(lives, workers))
        killed = [event["pid"] for event in node.events() if event["event"] == "worker_killed"]
        assert killed == workers[:1]


# --- TLS ---


@pytest.mark.slow
def test_sighup_reaches_every_worker(tmp_path):
    """SIGHUP makes each worker read its certificate again, and each shows the new one."""
    authority = Authority(tmp_path)
    authority.issue()
    environ = {"KEYTURN_TLS__CERTIFICATE": str(authority.certificate), "KEYTURN_TLS__KEY": str(authority.key)}
    trusting = ssl.create_default_context(cafile=str(authority.file))
    with serving(tmp_path / "data", tmp_path / "home", *TWO, environ=environ) as node:
        node.process.send_signal(signal.SIGHUP)
        within(10.0, lambda: reloaded(node) == {1, 2})
        expected = authority.issue()
        node.process.send_signal(signal.SIGHUP)
        within(10.0, lambda: {serial(node, trusting) for _ in range(12)} == {expected})
        assert node.stop() == 0


def reloaded(node):
    """Name the workers that read their certificate again."""
    return {event["worker"] for event in node.events() if event["event"] == "tls_reloaded"}


def serial(node, context):
    """Give the serial number of the certificate that a new connection is shown."""
    port = int(node.url.rpartition(":")[2])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=15) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as secured,
    ):
        return int(secured.getpeercert()["serialNumber"], 16)
