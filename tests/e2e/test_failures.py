"""What breaks around a running server, and how it goes on: RE-01, RE-06, RE-11 and HT-09."""

import contextlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import jwt
import pytest

from e2e.load import under_load
from e2e.servers import SOON_SECONDS, error_of, serving, starting, told, within

DIALECTS = ("oauth2", "endorsed")
BUSY = {"oauth2": "temporarily_unavailable", "endorsed": "SERVICE_UNAVAILABLE"}
DOCUMENTS = ("/o/acme/.well-known/jwks.json", "/.well-known/oauth-authorization-server/o/acme")

LOCKER = """
import sqlite3, sys, time
store = sqlite3.connect(sys.argv[1], isolation_level=None)
store.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
store.execute("ROLLBACK")
"""


@contextlib.contextmanager
def locked(path):
    """Hold the database's write lock in a process that is not ours, for a block."""
    command = [sys.executable, "-c", LOCKER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stranger:
        try:
            assert stranger.stdout.readline() == b"locked\n"
            yield
        finally:
            stranger.stdin.close()
            stranger.wait(10)


def is_refused_for_now(dialect, answer):
    """Confirm a 503 in the dialect's own format that says when to come back."""
    assert answer.status == 503, answer
    assert error_of(dialect, answer) == BUSY[dialect]
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["cache-control"] == "no-store"


def is_whole(node, data=None):
    """Confirm that the database is sound and the audit trail holds, of the node or in another folder."""
    data = data or node.data
    with closing(sqlite3.connect(data / "keyturn.db")) as store:
        assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert told(node.home, "audit", "verify", "--data", str(data))["intact"]


@pytest.mark.slow
def test_a_database_that_is_locked(tmp_path, new_demo):
    """HT-09: while a stranger holds the database, tokens and refusals are 503 and what is public goes on."""
    with new_demo(tmp_path) as node, ThreadPoolExecutor(8) as pool:
        assert [node.token(dialect).status for dialect in DIALECTS] == [200, 200]
        with locked(node.data / "keyturn.db"):
            waiting = [(each, pool.submit(node.token, each)) for each in DIALECTS for _ in range(2)]
            wrong = [(each, pool.submit(node.token, each, client_secret="wrong")) for each in DIALECTS]
            until = time.monotonic() + 5.5
            while time.monotonic() < until:
                assert [node.ask("GET", path).status for path in DOCUMENTS] == [200, 200]
                assert node.health("live") == 200
                time.sleep(0.1)
            for dialect, answer in (*waiting, *wrong):
                is_refused_for_now(dialect, answer.result(30))
                assert answer.result().seconds < 20
        within(SOON_SECONDS, lambda: [node.token(dialect).status for dialect in DIALECTS] == [200, 200])
        assert node.token("oauth2", client_secret="wrong").status == 401


@pytest.mark.slow
def test_a_short_lock_is_waited_out(tmp_path, new_demo):
    """HT-09: a lock that is held for two seconds delays answers and refuses none."""
    with new_demo(tmp_path) as node, ThreadPoolExecutor(8) as pool:
        with locked(node.data / "keyturn.db"):
            waiting = [pool.submit(node.token, dialect) for dialect in DIALECTS * 3]
            time.sleep(2)
        assert {answer.result(30).status for answer in waiting} == {200}


# --- a full disk ---


def small_disk(folder):
    """Say how to start a server in a namespace of its own, where a folder is a file system of 8 MB."""
    if not shutil.which("unshare"):
        return None
    mount = f'mount -t tmpfs -o size=8m,mode=700 none "{folder}" && exec "$@"'
    wrapper = ["unshare", "--mount", "--map-root-user", "sh", "-c", mount, "sh"]
    done = subprocess.run([*wrapper, "true"], capture_output=True, check=False)
    return wrapper if done.returncode == 0 else None


@pytest.mark.slow
def test_a_full_disk(tmp_path):
    """RE-06: on a full disk tokens are 503, keys and health go on, and within 5 s of space all is well."""
    data, home = tmp_path / "data", tmp_path / "home"
    data.mkdir()
    wrapper = small_disk(data)
    if wrapper is None:
        pytest.skip("cannot mount a file system of its own for a server")
    with serving(data, home, environ={"XDG_STATE_HOME": str(home)}, wrapper=wrapper) as node:
        # The mount is seen from inside the server's namespace only, and gone when the server is.
        node.data = Path(f"/proc/{node.process.pid}/root{data}")
        assert [node.token(dialect).status for dialect in DIALECTS] == [200, 200]
        ballast = node.data / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        issued = []
        until = time.monotonic() + 10
        while (answer := node.token("oauth2")).status == 200:
            issued.append(answer.json["access_token"])
            assert time.monotonic() < until, "the disk does not get full"
        is_refused_for_now("oauth2", answer)
        is_refused_for_now("endorsed", node.token("endorsed"))
        is_refused_for_now("endorsed", node.token("endorsed", client_secret="wrong"))
        assert [node.ask("GET", path).status for path in DOCUMENTS] == [200, 200]
        assert node.health("live") == 200
        ballast.unlink()
        within(SOON_SECONDS, lambda: [node.token(dialect).status for dialect in DIALECTS] == [200, 200])
        # SQLite would resolve the path, and look where only the server's namespace has the disk.
        copy = tmp_path / "copy"
        copy.mkdir(0o700)
        for name in ("keyturn.db", "keyturn.db-wal", "master.key"):
            shutil.copy(node.data / name, copy / name)
        is_whole(node, copy)
        assert answered_but_not_recorded(copy, issued) == set()


def answered_but_not_recorded(data, tokens):
    """Give the ``jti`` of tokens that are not in the audit trail."""
    with closing(sqlite3.connect(data / "keyturn.db")) as store:
        query = "SELECT subject FROM audit WHERE kind = 'token.issued'"
        recorded = {subject for (subject,) in store.execute(query)}
    return {jwt.decode(token, options={"verify_signature": False})["jti"] for token in tokens} - recorded


# --- kill -9 ---


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_nothing_answered_is_lost(tmp_path):
    """RE-01: after each of several kill -9 under load every answered token is in a trail that verifies."""
    dice = random.Random(9)  # noqa: S311  # a test repeats itself
    data, home = tmp_path / "data", tmp_path / "home"
    tokens = []
    for _ in range(3):
        with serving(data, home, warm=True) as node, under_load(node.url, node.client("oauth2"), 6) as load:
            within(SOON_SECONDS, lambda: load.tokens)
            time.sleep(dice.uniform(0.0, 0.6))
            assert node.stop(signal.SIGKILL) == -signal.SIGKILL
        assert load.tokens
        assert set(load.statuses) == {200}
        tokens += load.tokens
    with serving(data, home, warm=True) as node:
        assert node.token("endorsed").status == 200
        assert answered_but_not_recorded(data, tokens) == set()
        is_whole(node)
        assert len(told(home, "org", "list", "--data", str(data))) == 2


@pytest.mark.slow
def test_a_first_start_that_is_killed(tmp_path):
    """RE-01: a demo that is killed while it is made starts again and is whole."""
    data, home = tmp_path / "data", tmp_path / "home"
    for patience in (0.6, 0.8):
        with starting(data, home) as node:
            time.sleep(patience)
            node.process.kill()
    with serving(data, home) as node:
        for dialect in DIALECTS:
            for slug in ("acme", "globex"):
                assert node.token(dialect, slug).status == 200
        is_whole(node)


# --- keys that do not open ---


@pytest.fixture(scope="module")
def damaged(tmp_path_factory, new_demo):
    """A demo whose signing keys were altered in the database."""
    folder = tmp_path_factory.mktemp("damaged")
    with new_demo(folder) as node:
        assert node.token("oauth2").status == 200
    with closing(sqlite3.connect(folder / "data" / "keyturn.db", isolation_level=None)) as store:
        key = store.execute("SELECT sealed_private FROM signing_key LIMIT 1").fetchone()[0]
        assert isinstance(key, bytes)
        store.execute("UPDATE signing_key SET sealed_private = ?", (key[:-1] + bytes([key[-1] ^ 1]),))
    with serving(folder / "data", folder / "home", check="live", warm=True) as node:
        yield node


def test_a_key_that_does_not_open_signs_nothing(damaged):
    """HT-09: with a damaged signing key no token is issued, keys are served and nothing inner is told."""
    for dialect in DIALECTS:
        answer = damaged.token(dialect)
        assert answer.status in {500, 503}
        error_of(dialect, answer)
        assert b"key" not in answer.body
    assert damaged.ask("GET", DOCUMENTS[0]).json["keys"]


def test_a_key_that_does_not_open_is_503(damaged, dialect):
    """HT-09: a key that is not usable is 503 with Retry-After."""
    is_refused_for_now(dialect, damaged.token(dialect))


def test_a_key_that_does_not_open_is_not_ready(damaged):
    """RE-11: without a usable signing key the server is not ready, and lives."""
    assert damaged.health("live") == 200
    assert damaged.health("ready") == 503
