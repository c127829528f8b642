"""PostgreSQL that stops, dies, hangs, cuts connections or moves, under two nodes (RE-01, RE-02, RE-05)."""

import contextlib
import subprocess
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from e2e.lives import BACK_SECONDS, living
from e2e.nodes import Signer, deploy
from e2e.servers import Caller, within
from postgres import PostgresServer

AWAY_SECONDS = 2.0
HUNG_SECONDS = 8.0
BEGIN_SECONDS = 30.0
SEEN_SECONDS = 5.0
ASSERTIONS = 10
DISK_MEGABYTES = 400
FILL_SECONDS = 60.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def new_server(stack):
    """Start a server that a test may break, and end it with the stack."""
    folder = Path(tempfile.mkdtemp(prefix="keyturn-outages-"))  # pytest's is closed to the server's account
    return stack.enter_context(PostgresServer(folder))


@pytest.fixture(scope="module")
def server():
    """The server of this file."""
    with ExitStack() as stack:
        yield new_server(stack)


@pytest.fixture(scope="module")
def here(server, tmp_path_factory):
    """A deployment on it."""
    return deploy(tmp_path_factory.mktemp("outages"), {"KEYTURN_DATABASE_URL": server.make_database()})


@pytest.fixture(scope="module")
def nodes(here):
    """Two nodes that go through one outage after the other; nobody starts them again."""
    with here.two_nodes() as both:
        yield both


def stop_fast(server):
    """Restart it as an administrator does."""
    server.stop("fast")
    time.sleep(AWAY_SECONDS)
    server.start()


def stop_at_once(server):
    """Restart it without letting it tidy up."""
    server.stop("immediate")
    time.sleep(AWAY_SECONDS)
    server.start()


def kill(server):
    """Kill -9 all of it and start it again."""
    server.kill()
    time.sleep(AWAY_SECONDS)
    server.start()


def hang(server):
    """Let every process of it stand still for a while; connections stay open."""
    server.pause()
    time.sleep(HUNG_SECONDS)
    server.resume()


def cut(server):
    """End every connection again and again."""
    others = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
    until = time.monotonic() + AWAY_SECONDS
    while time.monotonic() < until:
        server.ask("SELECT pg_terminate_backend(pid) " + others)
        time.sleep(0.05)


def serves(here, nodes):
    """Tell whether every node is ready and issues."""
    for node in nodes:
        with Caller(node.url) as caller:
            if here.asker(caller).post("token", grant_type="client_credentials").status != 200:
                return False
    return all(node.health("ready") == 200 for node in nodes)


@pytest.mark.parametrize("outage", [stop_fast, stop_at_once, kill, hang, cut])
def test_while_it_is_away(here, server, nodes, outage):
    """RE-05, RE-01: 503 only while PostgreSQL is away, all served 5 s after, nothing hangs or is lost."""
    with living(here, nodes) as crowd:
        within(BEGIN_SECONDS, lambda: crowd.has_begun)
        away = time.monotonic()
        outage(server)
        back = time.monotonic()
        within(BACK_SECONDS, partial(serves, here, nodes))
        time.sleep(1.0)
    crowd.was_served(away, back)
    assert crowd.statuses(since=away, until=back)[503] or outage is cut
    with Caller(nodes[0].url) as caller:
        crowd.nothing_is_lost(here.asker(caller))
    assert here.is_intact()


@pytest.fixture
def small_server():
    """A server whose folder is a file system of its own, which is soon full."""
    folder = Path(tempfile.mkdtemp(prefix="keyturn-outages-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m,mode=700", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        folder.rmdir()
        pytest.skip("cannot mount a file system of its own for PostgreSQL")
    try:
        with PostgresServer(folder) as server:
            yield server
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def test_a_full_disk(small_server, tmp_path):
    """RE-06: while PostgreSQL's disk is full tokens are 503; 5 s after there is room all is served, whole."""
    here = deploy(tmp_path, {"KEYTURN_DATABASE_URL": small_server.make_database()})
    with here.two_nodes() as nodes:
        with living(here, nodes) as crowd:
            within(BEGIN_SECONDS, lambda: crowd.has_begun)
            away = time.monotonic()
            ballast = small_server.folder / "ballast"
            with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(bytes(4096))
            within(FILL_SECONDS, lambda: crowd.statuses(since=away)[503] > 20)
            ballast.unlink()
            if (
                not small_server.alive()
            ):  # where its log does not fit PostgreSQL gives up, and has to be started
                small_server.start()
            small_server.wait_until_ready()
            back = time.monotonic()
            within(BACK_SECONDS, partial(serves, here, nodes))
            time.sleep(1.0)
        crowd.was_served(away, back)
        with Caller(nodes[0].url) as caller:
            crowd.nothing_is_lost(here.asker(caller))
        assert here.is_intact()


def test_failover(tmp_path):
    """RE-01, RE-02, RE-05: a standby that takes over has all that was told; what was spent stays spent."""
    with ExitStack() as stack:
        primary = new_server(stack)
        database = primary.make_database("keyturn").rpartition("/")[2]
        standby = PostgresServer.standby_of(primary, Path(tempfile.mkdtemp(prefix="keyturn-outages-")))
        stack.callback(standby.close)
        url = primary.url(database, standby, target_session_attrs="read-write")
        here = deploy(tmp_path, {"KEYTURN_DATABASE_URL": url})
        nodes = stack.enter_context(here.two_nodes())
        signer = Signer(here)
        with Caller(nodes[0].url) as caller:
            within(SEEN_SECONDS, lambda: signer.present(caller, signer.form()) == 200)
            spent = [signer.form() for _ in range(ASSERTIONS)]
            assert {signer.present(caller, form) for form in spent} == {200}
        with living(here, nodes) as crowd:
            within(BEGIN_SECONDS, lambda: crowd.has_begun)
            away = time.monotonic()
            primary.kill()
            standby.promote()
            back = time.monotonic()
            within(BACK_SECONDS, partial(serves, here, nodes))
            time.sleep(1.0)
        crowd.was_served(away, back)
        with Caller(nodes[1].url) as caller:
            crowd.nothing_is_lost(here.asker(caller))
            assert {signer.present(caller, form) for form in spent} == {401}
            assert signer.present(caller, signer.form()) == 200
        assert here.is_intact()
