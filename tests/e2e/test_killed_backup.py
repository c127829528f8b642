"""Backups and restores that are killed at any moment leave the old or the new, whole, and nothing half."""

import random
import sqlite3
import subprocess
import time
from contextlib import closing

import pytest

from e2e.servers import KEYTURN, environment, serving, told

ROUNDS = 12


def filled(data):
    """Make the database of some size, so that there is something to be killed in."""
    with closing(sqlite3.connect(data / "keyturn.db")) as store, store:
        rows = ((f"spent:{number}", "x" * 400, 2**52) for number in range(60_000))
        store.executemany("INSERT INTO spent VALUES (?, ?, ?)", rows)


def killed(home, seconds, *arguments):
    """Start a command and kill it; tell whether it had ended by itself."""
    command = subprocess.Popen([KEYTURN, *arguments], env=environment(home), stdout=subprocess.DEVNULL)
    try:
        return command.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        command.kill()
        command.wait()
        return False


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_killed_at_any_moment(tmp_path):
    """RE-09, RE-01: a killed backup leaves no file of its name, a killed restore the old store or the new."""
    home, data, elsewhere = tmp_path / "home", tmp_path / "data", tmp_path / "copies"
    elsewhere.mkdir()
    at = ("--data", str(data))
    told(home, "init", *at)
    told(home, "org", "create", "acme", *at)
    filled(data)
    good = elsewhere / "good"
    began = time.monotonic()
    told(home, "backup", str(good), *at)
    takes = time.monotonic() - began
    told(home, "org", "create", "later", *at)
    dice = random.Random(1)  # noqa: S311  # a test repeats itself
    for number in range(ROUNDS):
        file = elsewhere / f"backup-{number}"
        if killed(home, takes * dice.uniform(0.3, 1.3), "backup", str(file), *at) or file.exists():
            assert told(home, "backup", "verify", str(file), *at)["good"] is True
        killed(home, 3 * takes * dice.uniform(0.2, 1.2), "restore", str(good), "--replace", *at)
        slugs = tuple(each["slug"] for each in told(home, "org", "list", *at))
        assert slugs in {("acme", "later"), ("acme",)}
        kinds = [each["kind"] for each in told(home, "audit", "tail", *at)]
        assert slugs != ("acme",) or "deployment.restored" in kinds
        if slugs == ("acme",):
            told(home, "org", "create", "later", *at)
    told(home, "backup", str(good), "--force", *at)
    assert list(data.glob("keyturn-copy-*")) == []
    assert told(home, "audit", "verify", *at)["intact"] is True


@pytest.mark.soak
@pytest.mark.timeout(180)
def test_beside_a_server(tmp_path):
    """RE-09: a backup is made beside a server that goes on, and a restore waits until it has stopped."""
    home, data, file = tmp_path / "home", tmp_path / "data", tmp_path / "backup"
    at = ("--data", str(data))
    with serving(data, home) as node:
        before = node.token("oauth2")
        assert before.status == 200
        told(home, "backup", str(file), *at)
        assert node.token("oauth2").status == 200
        restore = [KEYTURN, "restore", str(file), "--replace", *at]
        refused = subprocess.run(restore, env=environment(home), capture_output=True, text=True, check=False)
        assert (refused.returncode, "open in another process" in refused.stderr) == (1, True)
    told(home, "restore", str(file), "--replace", *at)
    with serving(data, home) as node:
        assert node.token("oauth2").status == 200
