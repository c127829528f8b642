"""``keyturn doctor`` on a deployment: in order, ailing in many ways at once, and with its store away."""

import json
import shutil
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import pytest

from authority import Authority
from integration.test_cli import Terminal
from keyturn.cli.diagnosis import LONG_LOG_BYTES, MIB
from postgres import PASSWORD


@pytest.fixture
def terminal(capsys, tmp_path, monkeypatch):
    """A deployment with an organisation whose ring has signed."""
    made = Terminal(capsys, tmp_path / "data")
    monkeypatch.setenv("KEYTURN_PUBLIC_URL", "https://localhost")
    made.begin("org", "create", "acme", "--name", "Acme")
    made.json("keys", "rotate", "--org", "acme")
    return made


def examined(terminal):
    """Run the doctor: the exit code, and each check's verdicts."""
    code, out, _ = terminal.code("doctor", "--format", "json")
    found = {}
    for each in json.loads(out):
        found.setdefault(each["check"], []).append(each)
    return code, found


def test_in_order(terminal):
    """RE-11: a sound deployment has no check that fails, each kind is there, and the exit code is 0."""
    code, found = examined(terminal)
    assert code == 0, found
    kinds = {"configuration", "clock", "clock.ntp", "store", "store.tables", "store.durability", "store.disk"}
    kinds |= {"store.library", "store.log"}
    kinds |= {"files.data", "files.database", "files.master-key", "master-key", "keys", "upkeep.checkpoint"}
    assert kinds <= found.keys()
    assert len(found["store.disk"]) == 1
    (keys,) = found["keys"]
    assert keys["found"] == "can sign and go on: 1 ring"


def test_ailing(terminal, tmp_path, monkeypatch):
    """HT-07: what is wrong is told all at once, each with its remedy, and without a secret."""
    authority = Authority(tmp_path / "ca")
    authority.issue()
    key = terminal.data / "master.key"
    secret = key.read_text().strip()
    monkeypatch.setenv("KEYTURN_TLS__CERTIFICATE", str(authority.certificate))
    monkeypatch.setenv("KEYTURN_TLS__KEY", str(authority.key))
    monkeypatch.setenv("KEYTURN_PUBLIC_URL", "https://tokens.example")
    terminal.data.chmod(0o755)
    authority.key.chmod(0o644)
    code, found = examined(terminal)
    failed = {check for check, each in found.items() if any(one["verdict"] == "fail" for one in each)}
    assert (code, failed) == (1, {"files.data", "files.tls-key", "certificate"})
    authority.key.chmod(0o600)
    _, found = examined(terminal)
    failed = {check for check, each in found.items() if any(one["verdict"] == "fail" for one in each)}
    assert failed == {"files.data", "certificate.expiry", "certificate.name"}
    assert all(each["to_do"] for each in found["certificate.expiry"])
    assert secret not in str(found)


def test_a_link_to_the_database(terminal, monkeypatch):
    """RE-01: the log is looked for beside the file, where SQLite has it, and not beside a link to it."""
    path, link = terminal.data / "keyturn.db", terminal.data.parent / "store"
    link.symlink_to(path)
    monkeypatch.setenv("KEYTURN_DATABASE_URL", f"sqlite:///{link}")
    with closing(sqlite3.connect(path)) as open_beside:
        open_beside.execute("SELECT count(*) FROM client").fetchone()
        with path.with_name("keyturn.db-wal").open("ab") as log:
            log.truncate(LONG_LOG_BYTES + MIB)
        _, found = examined(terminal)
    assert found["store.log"][0]["verdict"] == "warn"


def test_a_master_key_that_opens_nothing(terminal):
    """TK-12: with another master key the doctor says so, and which key is needed."""
    key = terminal.data / "master.key"
    before = key.read_bytes()
    key.unlink()
    other = Terminal(terminal.capsys, terminal.data.parent / "other")
    other.json("init")
    key.write_bytes((other.data / "master.key").read_bytes())
    key.chmod(0o600)
    code, found = examined(terminal)
    (keys,) = found["keys"]
    assert (code, keys["verdict"]) == (1, "fail")
    assert before.decode().strip() not in str(found)


def test_the_store_away(terminal):
    """While the store is away the doctor says that, and everything else that it can."""
    (terminal.data / "keyturn.db").rename(terminal.data / "elsewhere.db")
    code, found = examined(terminal)
    assert code == 1
    assert found["store"][0]["verdict"] == "fail"
    assert found["keys"][0]["verdict"] == "warn"
    assert {"configuration", "clock.ntp", "files.master-key"} <= found.keys()


def test_settings_that_cannot_be_read(terminal, monkeypatch):
    """A setting that is wrong is a finding, and the exit code is 1 like for any other."""
    monkeypatch.setenv("KEYTURN_PORT", "many")
    code, found = examined(terminal)
    assert (code, list(found)) == (1, ["configuration"])


def test_on_postgresql(capsys, tmp_path, monkeypatch, postgres_url):
    """RE-01: of a PostgreSQL server the doctor tells whether it keeps commits, and where else they are."""
    there = Terminal(capsys, tmp_path / "data")
    monkeypatch.setenv("KEYTURN_PUBLIC_URL", "https://localhost")
    monkeypatch.setenv("KEYTURN_DATABASE_URL", postgres_url)
    there.json("init")
    code, found = examined(there)
    assert code == 0, found
    verdicts = {check: each[0]["verdict"] for check, each in found.items()}
    assert verdicts["store.durability"] == verdicts["store.connections"] == verdicts["store.tables"] == "ok"
    assert verdicts["store.standby"] == "warn"
    assert "store.disk" not in found
    assert PASSWORD not in str(found)


def test_a_disk_that_is_full(terminal, monkeypatch):
    """RE-06: where the store cannot be read for want of room, the doctor says how much there is."""
    (terminal.data / "keyturn.db").write_bytes(b"no database")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    code, found = examined(terminal)
    assert code == 1
    assert found["store"][0]["verdict"] == "fail"
    (disk,) = found["store.disk"]
    assert (disk["verdict"], disk["found"]) == ("fail", "0 MiB free")
