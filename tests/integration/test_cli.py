"""The command line on a real data folder: from nothing to a secret, and what each refusal looks like."""

import errno
import json
import os
import sqlite3
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from keyturn.cli.root import NOUNS, run
from keyturn.core.secret import parse_secret
from keyturn.core.vocabulary import CredentialKind
from made import made_once


class Terminal:
    """Runs commands on one data folder and gives what they print."""

    def __init__(self, capsys, data):
        self.capsys = capsys
        self.data = data

    def code(self, *arguments):
        """Run a command and give its exit code and both outputs."""
        self.capsys.readouterr()
        code = run([*arguments, "--data", str(self.data)])
        printed = self.capsys.readouterr()
        return code, printed.out, printed.err

    def table(self, *arguments):
        """Run a command that succeeds and give its table."""
        code, out, err = self.code(*arguments)
        assert (code, err) == (0, "")
        return out

    def json(self, *arguments):
        """Run a command that succeeds and give its JSON."""
        return json.loads(self.table(*arguments, "--format", "json"))

    def refused(self, *arguments):
        """Run a command that fails with one line and give its code and the line."""
        code, out, err = self.code(*arguments)
        assert out == ""
        assert err.startswith("keyturn: ")
        assert err.count("\n") == 1
        return code, err.strip().removeprefix("keyturn: ")

    def begin(self, *words):
        """Have what ``init`` and another command make; another test may have had it made before."""
        commands = [("init",), *([words] if words else [])]
        made_once(str(commands), self.data, lambda: [self.table(*command) for command in commands])

    def client(self):
        """Make an organisation and a client and give the client's id."""
        self.table("org", "create", "acme", "--name", "Acme")
        return self.json("client", "create", "acme", "--name", "bot", "--scope", "read write")["client_id"]


@pytest.fixture
def empty(capsys, tmp_path):
    return Terminal(capsys, tmp_path / "data")


@pytest.fixture
def terminal(empty):
    empty.begin()
    return empty


def test_init(empty):
    """The first init makes folder, key and database for their owner only; the second changes nothing."""
    first = empty.json("init")
    assert (first["folder"], first["master_key"]) == ("made", "made")
    assert stat.S_IMODE(empty.data.stat().st_mode) == 0o700
    key = empty.data / "master.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    kept = key.read_bytes()
    again = empty.json("init")
    assert (again["folder"], again["master_key"]) == ("kept", "kept")
    assert key.read_bytes() == kept
    assert "keyturn serve" in empty.table("init")
    assert kept.decode().strip() not in empty.table("init")


def test_init_does_not_replace_a_lost_key(terminal):
    """Where the database was sealed under a key that is gone, init makes no other one."""
    key = terminal.data / "master.key"
    key.unlink()
    code, line = terminal.refused("init")
    assert (code, key.exists()) == (3, False)
    assert "under another master key" in line


def test_init_where_no_key_can_be_written(empty, monkeypatch):
    """Where the disk has no room for a master key, init says of which folder, and leaves no part of one."""

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert empty.refused("init") == (3, f"data folder {empty.data}: No space left on device")
    assert list(empty.data.iterdir()) == []


def test_init_with_a_given_key(empty, monkeypatch, tmp_path):
    """A master key that is mounted from elsewhere is not written into the data folder."""
    run(["init", "--data", str(tmp_path / "other")])
    monkeypatch.setenv("KEYTURN_MASTER_KEY_FILE", str(tmp_path / "other" / "master.key"))
    assert empty.json("init")["master_key"] == "given"
    assert not (empty.data / "master.key").exists()


def test_organisation(terminal):
    """An organisation is made, renamed, set, switched off and on, and shown the same way each time."""
    made = terminal.json("org", "create", "acme")
    dates = {"created_at", "ended_at", "erased_at"}
    assert set(made) == {"slug", "id", "name", "api_key", "disabled", "settings"} | dates
    assert made["created_at"].endswith("Z")
    assert terminal.json("org", "rename", "acme", "Acme Inc")["name"] == "Acme Inc"
    set_ = terminal.json("org", "set", "acme", "oauth2.lifetime_seconds", "900")
    assert set_["settings"] == {"oauth2.lifetime_seconds": 900}
    assert terminal.json("org", "set", "acme", "oauth2.lifetime_seconds")["settings"] == {}
    assert terminal.json("org", "disable", "acme")["disabled"] is True
    assert terminal.json("org", "enable", "acme")["disabled"] is False
    assert terminal.json("org", "list") == [terminal.json("org", "show", "acme")]
    assert terminal.table("org", "list").splitlines()[0].split()[:3] == ["SLUG", "ID", "NAME"]


def test_client_and_secret(terminal):
    """A client gets two secrets and no third, and each is printed once (AD-04, TE-05)."""
    client_id = terminal.client()
    assert terminal.json("client", "show", client_id.upper())["scopes"] == ["read", "write"]
    first = terminal.json("secret", "create", client_id, "--expires-at", "2999-01-01T00:00:00+01:00")
    assert parse_secret(first["secret"]) is CredentialKind.CLIENT_SECRET
    assert first["expires_at"] == "2998-12-31T23:00:00.000Z"
    second = terminal.table("secret", "create", client_id)
    [shown_once] = [line.split()[1] for line in second.splitlines() if line.startswith("secret ")]
    assert parse_secret(shown_once) is CredentialKind.CLIENT_SECRET
    assert terminal.refused("secret", "create", client_id)[0] == 1
    listed = terminal.table("secret", "list", client_id, "--format", "json")
    assert "kt_cs_" not in listed
    assert "kt_cs_" not in terminal.table("audit", "tail")
    assert json.loads(listed)[0]["id"] == first["id"]
    assert terminal.json("secret", "disable", first["id"])["disabled"] is True
    assert terminal.json("secret", "enable", first["id"])["disabled"] is False
    ended = terminal.json("secret", "end", first["id"], "--why", "leaked")
    assert (ended["state"], ended["ended_why"]) == ("ended", "leaked")
    assert "secret" not in ended


def test_client_life(terminal):
    """A client is switched off and on and ended for good."""
    client_id = terminal.client()
    assert terminal.json("client", "disable", client_id)["disabled"] is True
    assert terminal.json("client", "enable", client_id)["disabled"] is False
    assert terminal.json("client", "end", client_id, "--yes")["ended_at"].endswith("Z")
    assert terminal.refused("client", "enable", client_id) == (1, f"client '{client_id}' has ended")
    assert [each["client_id"] for each in terminal.json("client", "list", "acme")] == [client_id]


def test_keys(terminal):
    """A first rotation acts at once, the next says when it will, and a third waits for it (TK-14)."""
    terminal.client()
    assert terminal.json("keys", "list") == []
    now = datetime.now(UTC)
    [first] = terminal.json("keys", "rotate")
    assert (first["issuer"], first["algorithm"], first["rotated"]) == ("acme", "ES256", True)
    assert abs(datetime.fromisoformat(first["active_at"]) - now) < timedelta(seconds=30)
    [second] = terminal.json("keys", "rotate", "--org", "acme", "--algorithm", "ES256")
    wait = datetime.fromisoformat(second["active_at"]) - datetime.now(UTC)
    assert timedelta(minutes=4) < wait < timedelta(minutes=6)
    [third] = terminal.json("keys", "rotate")
    assert (third["rotated"], third["active_at"]) == (False, second["active_at"])
    states = {each["key_id"]: each["state"] for each in terminal.json("keys", "list", "--org", "acme")}
    assert sorted(states.values()) == ["current", "next", "previous", "scheduled"]
    assert (states[first["key_id"]], states[second["key_id"]]) == ("current", "scheduled")


def test_audit(terminal):
    """Every change is in a trail that says who, and a row that was altered is found (AD-05)."""
    terminal.client()
    rows = terminal.json("audit", "tail", "-n", "2")
    assert [row["kind"] for row in rows] == ["organisation.created", "client.created"]
    assert all(row["actor"].startswith("operator:") for row in rows)
    assert terminal.json("audit", "verify")["intact"]
    database = sqlite3.connect(terminal.data / "keyturn.db")
    with database:
        database.execute("UPDATE audit SET actor = 'operator:nobody' WHERE kind = 'client.created'")
    database.close()
    code, line = terminal.refused("audit", "verify")
    assert code == 1
    assert line.startswith("the audit trail is broken: chain ")
    assert line.endswith(" at row 1")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["org", "show", "nobody"], 1),
        (["org", "create", "Not A Slug"], 1),
        (["client", "list", "nobody"], 1),
        (["client", "show", "00000000-0000-4000-8000-000000000000"], 1),
        (["secret", "list", "nobody"], 1),
        (["secret", "end", "nobody"], 1),
        (["keys", "rotate", "--org", "nobody"], 1),
        (["audit", "tail", "-n", "0"], 1),
    ],
)
def test_no(terminal, arguments, code):
    """A no is one line on standard error and exit code 1."""
    assert terminal.refused(*arguments)[0] == code


@pytest.mark.parametrize(
    "arguments",
    [
        ["orgs", "list"],
        ["org", "display", "acme"],
        ["org", "show"],
        ["org", "list", "--format", "xml"],
        ["keys", "rotate", "--algorithm", "HS256"],
        ["secret", "create", "x", "--secret", "hunter2"],
        ["secret", "create", "x", "--expires-at", "tomorrow"],
        ["secret", "create", "x", "--expires", "soon"],
        ["secret", "create", "x", "--expires", "1d", "--expires-at", "2999-01-01T00:00:00Z"],
        ["secret", "rotate", "x"],
        ["secret", "rotate", "x", "--overlap", "24"],
        ["secret", "create", "x", "--expires-at", "2999-01-01T00:00:00"],
    ],
)
def test_usage(terminal, arguments):
    """What cannot be read is exit code 2, and a secret is no argument."""
    code, out, err = terminal.code(*arguments)
    assert (code, out) == (2, "")
    assert "Error" in err


def test_configuration(empty, monkeypatch):
    """A configuration that is not usable is exit code 3, with every problem on a line of its own."""
    assert empty.refused("org", "list")[0] == 3
    monkeypatch.setenv("KEYTURN_HOTS", "x")
    code, out, err = empty.code("serve", "--port", "99999")
    assert (code, out) == (3, "")
    assert len(err.splitlines()) == 4
    assert all(line.startswith("keyturn: ") for line in err.splitlines())


def test_wrong_master_key(terminal, tmp_path):
    """A store under another master key is exit code 4."""
    run(["init", "--data", str(tmp_path / "other")])
    (tmp_path / "other" / "master.key").replace(terminal.data / "master.key")
    assert terminal.refused("org", "list")[0] == 4


def test_store_unavailable(terminal):
    """A store that cannot be opened is exit code 4."""
    for path in terminal.data.glob("keyturn.db*"):
        path.unlink()
    (terminal.data / "keyturn.db").mkdir()
    code, told = terminal.refused("org", "list")
    assert code == 4
    assert told.endswith("is a directory")


def test_no_database_inside(terminal):
    """Why the store is not available ends the line, without SQL (HT-07)."""
    (terminal.data / "keyturn.db").write_bytes(b"no database" * 1000)
    code, told = terminal.refused("org", "list")
    assert code == 4
    assert told.endswith("nothing was changed: not a database")


def test_config_print(terminal, monkeypatch):
    """What applies is printed, without the secrets (AD-04)."""
    monkeypatch.setenv("KEYTURN_MASTER_KEY", "hunter2")
    printed = terminal.table("config", "print")
    assert "hunter2" not in printed
    assert "limits.client.per_minute" in printed
    assert "leaks.public_keys" in printed, "nothing in it is an answer, too"
    values = terminal.json("config", "print")
    assert (values["master_key"], values["data"]) == ("***", str(terminal.data))


def test_dialect_list(terminal):
    """Every dialect is listed, with whether it is served here."""
    listed = {each["name"]: each["served"] for each in terminal.json("dialect", "list")}
    assert listed["oauth2"] is True
    assert listed["endorsed"] is False


def test_no_demo(empty):
    """Where no demo is, showing one is a no."""
    assert empty.refused("demo", "show")[0] == 1


def test_latest_demo(terminal, tmp_path, capsys):
    """Where nothing names a deployment, a command is about the demo started last, and says so."""
    terminal.client()
    (terminal.data / "demo.json").write_text("{}", encoding="utf-8")
    pointer = tmp_path / "state" / "keyturn" / "latest-demo"
    pointer.parent.mkdir(parents=True)
    pointer.write_text(str(terminal.data), encoding="utf-8")
    capsys.readouterr()
    assert run(["org", "list", "--format", "json"]) == 0
    printed = capsys.readouterr()
    assert [each["slug"] for each in json.loads(printed.out)] == ["acme"]
    assert str(terminal.data) in printed.err
    (tmp_path / "keyturn-data").mkdir()
    assert run(["org", "list"]) == 3


def test_help_is_quick_and_complete():
    """Help lists every noun and the exit codes, without importing the store or the server."""
    code = (
        "import sys\n"
        "from keyturn.cli.root import run\n"
        "assert run(['--help']) == 0\n"
        "print(sorted({'sqlalchemy', 'uvicorn', 'cryptography', 'pydantic'} & set(sys.modules)))\n"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert all(f"  {noun} " in printed for noun in NOUNS)
    assert "Exit codes:" in printed
    assert printed.endswith("[]\n")


@pytest.mark.parametrize("noun", NOUNS)
def test_every_noun_has_help(noun, capsys):
    """Each noun's own help can be asked for."""
    assert run([noun, "--help"]) == 0
    assert "--help" in capsys.readouterr().out


def test_entry_point():
    """The installed command answers, and without arguments it shows its help."""
    command = [sys.executable, "-c", "from keyturn.cli import main; main()"]
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("keyturn ")
    assert subprocess.run(command, capture_output=True, check=False).returncode == 2


def test_rotation(terminal):
    """TE-05: a rotation shows the successor once and its overlap, and is cancelled and finished."""
    client_id = terminal.client()
    old = terminal.json("secret", "create", client_id, "--expires", "180d")
    lived = datetime.fromisoformat(old["expires_at"]) - datetime.fromisoformat(old["created_at"])
    assert lived == timedelta(days=180)
    new = terminal.json("secret", "rotate", client_id, "--overlap", "24h")
    assert parse_secret(new["secret"]) is CredentialKind.CLIENT_SECRET
    assert (new["succeeds"], new["name"]) == (old["id"], old["name"])
    listed = {each["id"]: each for each in terminal.json("secret", "list", client_id)}
    assert (listed[old["id"]]["state"], listed[old["id"]]["standing"]) == ("overlapping", "good")
    assert listed[old["id"]]["overlap_until"] is not None
    assert terminal.refused("secret", "rotate", client_id, "--overlap", "1h")[0] == 1
    assert terminal.json("secret", "cancel", new["id"])["state"] == "active"
    again = terminal.json("secret", "rotate", client_id, "--overlap", "1h")
    assert terminal.json("secret", "finish", again["id"])["ended_why"] == "rotated"
    assert terminal.refused("secret", "finish", again["id"])[0] == 1
    kinds = [row["kind"] for row in terminal.json("audit", "tail")]
    assert [kind for kind in kinds if kind.startswith("credential.rot")] == [
        "credential.rotated",
        "credential.rotation_cancelled",
        "credential.rotated",
        "credential.rotation_finished",
    ]


def test_policy(terminal):
    """A policy is set like any setting of an organisation, and shows in the list of secrets."""
    client_id = terminal.client()
    secret = terminal.json("secret", "create", client_id)
    assert terminal.refused("org", "set", "acme", "policy.nothing", "1")[0] == 1
    terminal.table("org", "set", "acme", "policy.secrets_made_before", "2999-01-01")
    [listed] = terminal.json("secret", "list", client_id)
    assert (listed["id"], listed["standing"], listed["state"]) == (secret["id"], "expired", "active")


def test_client_change(terminal):
    """What is given is changed, an empty word empties a list, and the rest is kept."""
    client_id = terminal.client()
    changed = terminal.json("client", "change", client_id, "--name", "robot", "--right", "introspect")
    assert (changed["name"], changed["rights"]) == ("robot", ["introspect"])
    assert changed["scopes"] == ["read", "write"]
    limited = terminal.json("client", "change", client_id, "--max-lifetime", "60", "--right", "")
    assert (limited["max_lifetime_seconds"], limited["rights"]) == (60, [])
    assert terminal.json("client", "change", client_id, "--max-lifetime", "0")["max_lifetime_seconds"] is None
    assert terminal.refused("client", "change", client_id)[0] == 1
    assert terminal.refused("client", "change", client_id, "--dialect", "klingon")[0] == 1


def test_client_of_a_dialect_that_is_off(terminal, monkeypatch):
    """A dialect that is off is called so, and a client that has it can still be changed."""
    terminal.table("org", "create", "acme")
    create = ("client", "create", "acme", "--name", "app", "--dialect", "endorsed")
    assert "off here: endorsed" in terminal.refused(*create)[1]
    monkeypatch.setenv("KEYTURN_DIALECTS", "endorsed")
    client_id = terminal.json(*create)["client_id"]
    monkeypatch.delenv("KEYTURN_DIALECTS")
    changed = terminal.json("client", "change", client_id, "--name", "robot")
    assert (changed["name"], changed["dialects"]) == ("robot", ["endorsed"])
    assert "off here: mend" in terminal.refused("client", "change", client_id, "--dialect", "mend")[1]


def test_organisation_delete(terminal):
    """TN-05, TK-15: an organisation is deleted once its slug was typed, says so, and is never made again."""
    terminal.client()
    assert terminal.refused("org", "delete", "acme", "--yes-delete", "acme2")[0] == 1
    assert terminal.refused("org", "delete", "nobody", "--yes-delete", "nobody")[0] == 1
    assert terminal.json("org", "show", "acme")["name"] == "Acme"
    deleted = terminal.json("org", "delete", "acme", "--yes-delete", "acme")
    assert (deleted["complete"], deleted["records_erased"], deleted["name"]) == (True, 1, "")
    assert deleted["erased_at"] is not None
    assert terminal.json("org", "delete", "acme", "--yes-delete", "acme")["records_erased"] == 0
    assert terminal.refused("org", "create", "acme")[0] == 1
    assert terminal.refused("org", "enable", "acme")[0] == 1
    assert terminal.refused("client", "create", "acme", "--name", "x")[0] == 1
    assert terminal.refused("keys", "rotate", "--org", "acme")[0] == 1
    assert terminal.json("audit", "verify")["intact"]


@pytest.mark.parametrize("made", [False, True], ids=["no folder", "an empty folder"])
def test_only_init_makes_a_database(capsys, tmp_path, monkeypatch, made):
    """A mistyped or unmounted data folder is refused and left alone by every verb and by serve (HT-09)."""
    Terminal(capsys, tmp_path / "data").table("init")
    monkeypatch.setenv("KEYTURN_MASTER_KEY_FILE", str(tmp_path / "data" / "master.key"))
    typo = Terminal(capsys, tmp_path / "typo")
    if made:
        typo.data.mkdir()
    for verb in (("org", "list"), ("org", "create", "acme", "--name", "Acme")):
        code, told = typo.refused(*verb)
        assert code == 3
        assert str(typo.data) in told
        assert "keyturn init" in told
    serve = "import sys; from keyturn.cli.root import run; sys.exit(run(sys.argv[1:]))"
    flags = ("--port", "0", "--management-port", "0", "--public-url", "http://localhost")
    command = [sys.executable, "-c", serve, "serve", "--data", str(typo.data), *flags]
    served = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (served.returncode, served.stdout) == (3, "")
    assert str(typo.data) in served.stderr.splitlines()[-1]
    assert list(tmp_path.glob("typo/*")) == []
    assert typo.data.exists() is made
    typo.table("init")
    typo.table("org", "list")
