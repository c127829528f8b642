"""``keyturn master-key`` on a real data folder."""

import asyncio
import os
import stat
from datetime import timedelta

import pytest

from integration.test_cli import Terminal
from integration.test_cli_lists import make_ring
from keyturn.app import open_local
from keyturn.cli.root import run
from keyturn.config import load_settings
from keyturn.directory import master_key


@pytest.fixture
def terminal(capsys, tmp_path):
    """A data folder with an organisation that has signed."""
    made = Terminal(capsys, tmp_path / "data")
    made.begin()
    asyncio.run(make_ring(made, made.json("org", "create", "acme")["id"]))
    return made


def code(terminal, *arguments):
    """Run a command and give its exit code and what it said last."""
    number, _, err = terminal.code(*arguments)
    return number, err.strip().splitlines()[-1].removeprefix("keyturn: ") if err else ""


def test_rotate_and_retire(terminal, monkeypatch):
    """TK-12: `rotate` makes a key and seals all again under it, `retire` takes the old one away."""
    file = terminal.data / "master.key"
    [before] = terminal.json("master-key", "status")
    assert (before["in_use"], before["held_here"], before["values"] > 3) == (True, True, True)
    number, out, err = terminal.code("master-key", "rotate")
    assert (number, "made: " in err, "sealed " in err) == (0, True, True)
    old, new = terminal.json("master-key", "status")
    assert (old["key_id"], old["values"], new["in_use"]) == (before["key_id"], 0, True)
    assert new["key_id"] in out
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_text().split()) == 2
    assert "kt_master" not in out + err
    assert code(terminal, "master-key", "rotate")[0] == 1  # nothing to do: the old one has to go first
    assert code(terminal, "master-key", "retire", old["key_id"])[1].endswith("then say --yes")
    assert "a moment ago" in code(terminal, "master-key", "retire", old["key_id"], "--yes")[1]
    assert "is in use" in code(terminal, "master-key", "retire", new["key_id"], "--yes")[1]
    monkeypatch.setattr(master_key, "SETTLED_AFTER", timedelta())
    gone = terminal.json("master-key", "retire", old["key_id"], "--yes")
    assert gone == {"key_id": old["key_id"], "retired": True, "taken_out_of": str(file)}
    assert len(file.read_text().split()) == 1
    assert [row["key_id"] for row in terminal.json("master-key", "status")] == [new["key_id"]]
    assert len(terminal.json("keys", "rotate")) == 1
    assert terminal.json("audit", "verify")["intact"] is True


def test_a_key_from_elsewhere(terminal, monkeypatch, tmp_path):
    """A key that comes by a variable is rotated without any file: both are given, the newer one last."""
    first = (terminal.data / "master.key").read_text().strip()
    (terminal.data / "master.key").unlink()
    monkeypatch.setenv("KEYTURN_MASTER_KEY", first)
    assert "do not come from a file" in code(terminal, "master-key", "rotate")[1]
    terminal.capsys.readouterr()
    assert run(["master-key", "make"]) == 0
    second = terminal.capsys.readouterr().out.strip()
    monkeypatch.setenv("KEYTURN_MASTER_KEY", f"{first} # old\n{second}")
    assert code(terminal, "master-key", "rotate")[0] == 0
    monkeypatch.setenv("KEYTURN_MASTER_KEY", second)
    [row] = terminal.json("master-key", "status")
    assert row["in_use"]
    monkeypatch.setenv("KEYTURN_MASTER_KEY", first)
    number, line = terminal.refused("org", "list")
    assert (number, "add it" in line, row["key_id"] in line) == (3, True, True)


@pytest.mark.parametrize("newest_first", [True, False])
def test_restored_to_before_the_rotation(terminal, tmp_path, newest_first):
    """RE-09, TK-12: a backup of before a rotation comes back, and is rotated again; whatever the order."""
    file, backup = terminal.data / "master.key", tmp_path / "backup"
    terminal.table("backup", str(backup))
    assert code(terminal, "master-key", "rotate")[0] == 0
    old, new = file.read_text().split()
    file.write_text(new)
    assert "needs the master key" in terminal.refused("restore", str(backup), "--replace")[1]
    file.write_text(f"{new}\n{old}\n" if newest_first else f"{old}\n{new}\n")
    terminal.table("restore", str(backup), "--replace")
    assert code(terminal, "master-key", "rotate")[0] == 0
    [out] = [row for row in terminal.json("master-key", "status") if not row["in_use"]]
    assert out["values"] == 0
    made = terminal.json("backup", str(tmp_path / "again"))
    assert made["master_key_id"] not in {out["key_id"], ""}  # it may be going because it leaked


def test_a_file_that_was_written_over(terminal, monkeypatch):
    """TK-12: a key that left the file again before it came into use does not come into use."""
    file, whole = terminal.data / "master.key", (terminal.data / "master.key").read_text()

    async def meanwhile(*_):
        file.write_text(whole)

    monkeypatch.setattr("keyturn.cli.local_master.LocalMaster._until", meanwhile)
    assert "was given" in code(terminal, "master-key", "rotate")[1]
    assert len(terminal.json("master-key", "status")) == 1


def test_a_server_that_lacks_the_key(terminal):
    """A running server that does not take the new key up is waited for, and named; nothing is changed."""

    async def beside():
        settings = load_settings(flags={"data": terminal.data}, environ={})
        async with open_local(settings) as local:
            await local.following.enlist()

    asyncio.run(beside())
    number, line = code(terminal, "master-key", "rotate", "--wait", "0")
    assert (number, line.startswith("these servers do not hold the master key")) == (1, True)
    rows = terminal.json("master-key", "status")
    assert [(row["in_use"], row["servers_without_it"]) for row in rows] == [(True, 0), (False, 1)]


def test_where_the_file_is(terminal, monkeypatch, tmp_path):
    """A link to the key file stays one; one that cannot be written is left alone, and what to do is told."""
    kept = terminal.data / "master.key"
    link = tmp_path / "link"
    link.symlink_to(kept)
    monkeypatch.setenv("KEYTURN_MASTER_KEY_FILE", str(link))
    assert code(terminal, "master-key", "add")[0] == 0
    assert (link.is_symlink(), len(kept.read_text().split())) == (True, 2)
    kept.with_name(f"master.key.{os.getpid()}.part").mkdir()  # in the way of any new file
    number, line = code(terminal, "master-key", "add")
    assert (number, "cannot be written" in line, "master-key make" in line) == (1, True, True)
    assert len(kept.read_text().split()) == 2
