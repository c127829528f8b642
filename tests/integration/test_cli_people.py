"""The commands about people on a real data folder: from a user to every kind of credential, and its end."""

import base64
import io
import json
import sys
import time

import pytest

from keyturn.cli.root import run
from keyturn.core.secret import parse_secret
from keyturn.core.totp import passcode
from keyturn.core.vocabulary import CredentialKind
from made import made_once

PASSWORD = "violet anchors drift"


class Terminal:
    """Runs commands on one data folder, and gives what they print."""

    def __init__(self, capsys, monkeypatch, data):
        self.capsys = capsys
        self.monkeypatch = monkeypatch
        self.data = data

    def code(self, *arguments, typed=""):
        """Run a command with something on standard input and give its exit code and both outputs."""
        self.capsys.readouterr()
        self.monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        code = run([*arguments, "--data", str(self.data)])
        printed = self.capsys.readouterr()
        return code, printed.out, printed.err

    def text(self, *arguments, typed=""):
        """Run a command that succeeds and give what it prints."""
        code, out, err = self.code(*arguments, typed=typed)
        assert (code, err) == (0, "")
        return out

    def json(self, *arguments, typed=""):
        """Run a command that succeeds and give its JSON."""
        return json.loads(self.text(*arguments, "--format", "json", typed=typed))

    def refused(self, *arguments, typed=""):
        """Run a command that fails with exit code 1 and one line, and give the line."""
        code, out, err = self.code(*arguments, typed=typed)
        assert (code, out, err.count("\n")) == (1, "", 1)
        return err.strip().removeprefix("keyturn: ")


@pytest.fixture
def terminal(capsys, monkeypatch, tmp_path):
    """A data folder with organisations acme and globex, and user alice at home in acme."""
    made = Terminal(capsys, monkeypatch, tmp_path / "data")
    begin = [
        ("init",),
        *(("org", "create", slug) for slug in ("acme", "globex")),
        ("user", "create", "acme", "Alice", "--email", "Alice@X.example"),
    ]
    made_once("acme and Alice", made.data, lambda: [made.text(*command) for command in begin])
    return made


def test_user(terminal):
    """PW-03: a user is found by id, address or name in any spelling, changed, and switched off and on."""
    shown = terminal.json("user", "show", "acme/ALICE")
    assert (shown["name"], shown["display_name"], shown["email"]) == ("alice", "Alice", "alice@x.example")
    for named in (shown["user_id"], shown["user_id"].upper(), "ALICE@x.example"):
        assert terminal.json("user", "show", named) == shown
    assert terminal.json("user", "list", "acme") == [shown]
    changed = terminal.json("user", "change", "acme/alice", "--given-name", "Al", "--mfa")
    assert (changed["given_name"], changed["mfa_required"]) == ("Al", True)
    assert "say what to change" in terminal.refused("user", "change", "acme/alice")
    assert terminal.json("user", "disable", "acme/alice")["disabled"] is True
    assert terminal.json("user", "enable", "acme/alice")["disabled"] is False
    terminal.text("user", "logout", "acme/alice")
    assert terminal.json("user", "end", "acme/alice", "--yes")["ended_at"].endswith("Z")
    assert "has ended" in terminal.refused("user", "enable", "acme/alice")
    assert "taken" in terminal.refused("user", "create", "acme", "aLICE")
    for nobody in ("globex/alice", "nobody@x.example", "nobody", "nowhere/alice"):
        assert terminal.refused("user", "show", nobody) == f"no user {nobody!r}"


def test_password(terminal):
    """PW-01, PW-02: a password comes by standard input, is checked, and shows nowhere (HT-07)."""
    assert "at least 15" in terminal.refused("user", "password", "acme/alice", typed="short\n")
    assert "everybody tries" in terminal.refused("user", "password", "acme/alice", typed="passwordpassword")
    assert "nothing came" in terminal.refused("user", "password", "acme/alice")
    out = terminal.text("user", "password", "acme/alice", typed=PASSWORD + "\n")
    assert PASSWORD not in out
    assert "argon2" not in out
    assert PASSWORD not in terminal.text("audit", "tail", "--format", "json")
    assert all(
        PASSWORD.encode() not in each.read_bytes() for each in terminal.data.iterdir() if each.is_file()
    )


def test_email(terminal):
    """An address is proved by a code, once; another address must be proved anew."""
    made = terminal.json("user", "email-code", "acme/alice")
    assert made["email"] == "alice@x.example"
    proved = terminal.json("user", "confirm-email", typed=made["code"] + "\n")
    assert proved["email_verified_at"].endswith("Z")
    assert terminal.refused("user", "confirm-email", typed=made["code"])
    changed = terminal.json("user", "change", "acme/alice", "--email", "a@x.example")
    assert changed["email_verified_at"] is None
    assert "no code" in terminal.refused("user", "confirm-email", typed="x")


def test_second_factor(terminal):
    """PW-06, AD-04: a device is confirmed by its code, and recovery codes are printed once."""
    made = terminal.json("user", "totp", "enrol", "acme/alice")
    seed = made["seed"]
    assert seed in made["uri"]
    assert terminal.refused("user", "totp", "confirm", "acme/alice", typed="000000x")
    now = passcode(base64.b32decode(seed), int(time.time()) // 30)
    confirmed = terminal.json("user", "totp", "confirm", "acme/alice", typed=now)
    assert len(confirmed["recovery_codes"]) == 10
    assert len(terminal.json("user", "totp", "recovery", "acme/alice")["recovery_codes"]) == 10
    listed = terminal.text("user", "totp", "devices", "acme/alice", "--format", "json")
    assert [each["state"] for each in json.loads(listed)] == ["active"]
    assert seed not in listed
    removed = terminal.json("user", "totp", "remove", "acme/alice")
    assert (removed["state"], removed["ended_at"] is None) == ("ended", False)
    assert "no device" in terminal.refused("user", "totp", "recovery", "acme/alice")


def test_user_key(terminal):
    """AD-04: a user key is printed once, rotated with an overlap, and revoked."""
    terminal.text("service-user", "create", "acme", "bot")
    assert [each["email"] for each in terminal.json("service-user", "list", "acme")] == [
        "bot@acme.service.invalid"
    ]
    made = terminal.json("user-key", "create", "acme/bot", "--name", "ci", "--expires", "90d")
    assert parse_secret(made["secret"]) is CredentialKind.USER_KEY
    rotated = terminal.json("user-key", "rotate", made["id"], "--overlap", "24h")
    assert rotated["succeeds"] == made["id"]
    assert terminal.json("user-key", "disable", rotated["id"])["disabled"] is True
    assert terminal.json("user-key", "enable", rotated["id"])["disabled"] is False
    assert terminal.json("user-key", "revoke", rotated["id"])["state"] == "ended"
    listed = terminal.text("user-key", "list", "acme/bot", "--format", "json")
    assert [each["state"] for each in json.loads(listed)] == ["overlapping", "ended"]
    assert "kt_uk_" not in listed + terminal.text("audit", "tail")
    assert "unknown dialect x" in terminal.refused("user-key", "create", "acme/bot", "--dialect", "x")
    useless = terminal.refused("user-key", "create", "acme/bot", "--dialect", "checkmarx")
    assert useless == "no user key works in checkmarx, only in mend"


def test_teams_and_projects(terminal):
    """Teams are moved and ended by path, and projects are theirs by path."""
    terminal.text("team", "create", "acme", "Root")
    assert terminal.json("team", "create", "acme", "Left", "--parent", "/ROOT")["path"] == "/Root/Left"
    terminal.text("team", "create", "acme", "Right")
    made = terminal.json("project", "create", "acme", "P1", "--team", "/Root/Left")
    assert (made["teams"], made["open"]) == (["/Root/Left"], False)
    assert "already" in terminal.refused("project", "create", "acme", "P1")
    assert "no team" in terminal.refused("project", "create", "acme", "P2", "--team", "/Nowhere")
    assert terminal.json("team", "move", "acme", "/Root/Left", "--parent", "/Right")["path"] == "/Right/Left"
    assert "under itself" in terminal.refused("team", "move", "acme", "/Right", "--parent", "/Right/Left")
    assert terminal.json("team", "rename", "acme", "/Right/Left", "L")["path"] == "/Right/L"
    assert "teams below" in terminal.refused("team", "end", "acme", "/Right")
    assert terminal.json("project", "list", "acme")[0]["teams"] == ["/Right/L"]
    assert terminal.json("team", "end", "acme", "/Right/L")["ended_at"].endswith("Z")
    assert [each["path"] for each in terminal.json("team", "list", "acme")] == ["/Right", "/Root"]
    changed = terminal.json("project", "change", "acme", "P1", "--name", "P9", "--open")
    assert (changed["name"], changed["open"], changed["teams"]) == ("P9", True, [])
    terminal.text("project", "delete", "acme", made["project_id"])
    assert terminal.json("project", "list", "acme") == []


def test_membership(terminal):
    """TN-01: a user of one organisation is taken into another, and ending that leaves the user at home."""
    terminal.text("team", "create", "globex", "Root")
    added = terminal.json("membership", "add", "globex", "alice@x.example", "--team", "/Root")
    assert (added["at_home"], added["teams"]) == (False, ["/Root"])
    assert "unknown role" in terminal.refused("membership", "change", "globex", "acme/alice", "--role", "x:y")
    assert terminal.json("membership", "change", "globex", "acme/alice", "--team", "")["teams"] == []
    assert terminal.json("membership", "disable", "globex", "acme/alice")["disabled"] is True
    assert terminal.json("membership", "enable", "globex", "acme/alice")["disabled"] is False
    assert "at home here" in terminal.refused("membership", "end", "acme", "acme/alice")
    assert terminal.json("membership", "end", "globex", "acme/alice")["ended_at"].endswith("Z")
    assert terminal.json("user", "show", "acme/alice")["ended_at"] is None
    assert len(terminal.json("membership", "list", "globex")) == 1
    assert terminal.json("membership", "show", "acme", "acme/alice")["at_home"] is True


def test_api_token(terminal):
    """AD-04: a token of 65 characters is printed once, regenerated, deactivated, activated and revoked."""
    made = terminal.json("api-token", "create", "acme", "acme/alice", "--scope", "openid", "--mfa")
    assert (len(made["secret"]), made["scopes"], made["mfa"]) == (65, ["openid"], True)
    assert made["expires_at"] is not None
    client_id = terminal.json("client", "create", "acme", "--name", "app")["client_id"]
    endless = terminal.json("api-token", "create", "acme", client_id, "--unlimited")
    assert endless["expires_at"] is None
    both = terminal.code("api-token", "create", "acme", client_id, "--unlimited", "--expires", "3d")
    assert (both[0], "not both" in both[2]) == (2, True)
    again = terminal.json("api-token", "regenerate", made["id"])
    assert (again["succeeds"], again["secret"] == made["secret"]) == (made["id"], False)
    assert terminal.json("api-token", "deactivate", again["id"])["disabled"] is True
    assert terminal.json("api-token", "activate", again["id"])["disabled"] is False
    assert terminal.json("api-token", "revoke", again["id"])["state"] == "ended"
    listed = terminal.text("api-token", "list", "acme", "acme/alice", "--format", "json")
    assert [each["state"] for each in json.loads(listed)] == ["ended", "ended"]
    assert "kt_at_" not in listed
    assert "no user or client" in terminal.refused("api-token", "create", "globex", "acme/alice")


def test_entity(terminal):
    """AD-04, AD-05: an entity's secret is printed when it is reset and read, and nowhere else."""
    terminal.text("entity", "create", "acme", "FIU-1", "--type", "FIU")
    assert "no credential" in terminal.refused("entity", "read", "FIU-1")
    linked = terminal.json("entity", "link", "FIU-1", "acme/alice")
    assert linked["users"] == [terminal.json("user", "show", "acme/alice")["user_id"]]
    first = terminal.json("entity", "reset", "FIU-1", "--expires", "90d")
    second = terminal.json("entity", "reset", "FIU-1")
    assert terminal.json("entity", "read", "FIU-1")["secret"] == second["secret"] != first["secret"]
    listed = terminal.text("entity", "secrets", "FIU-1", "--format", "json")
    assert [each["state"] for each in json.loads(listed)] == ["ended", "active"]
    assert "kt_es_" not in listed + terminal.text("audit", "tail")
    assert "credential.read" in terminal.text("audit", "tail")
    assert terminal.json("entity", "unlink", "FIU-1", "acme/alice")["users"] == []
    assert terminal.json("entity", "disable", "FIU-1")["disabled"] is True
    assert terminal.json("entity", "enable", "FIU-1")["disabled"] is False
    assert terminal.json("entity", "end", "FIU-1", "--yes")["ended_at"].endswith("Z")
    assert "taken" in terminal.refused("entity", "create", "globex", "FIU-1", "--type", "FIU")
    assert len(terminal.json("entity", "list", "acme")) == 1
    assert terminal.refused("entity", "show", "fiu-1") == "no entity 'fiu-1'"


def test_service_user_by_address(terminal):
    """A service user is found by the address that was printed when it was made, at home and as a member."""
    made = terminal.json("service-user", "create", "acme", "robot")
    assert terminal.json("user", "show", made["email"].upper())["user_id"] == made["user_id"]
    terminal.json("user-key", "create", made["email"])
    assert terminal.json("membership", "add", "globex", made["email"])["user_id"] == made["user_id"]
    assert "made by Keyturn" in terminal.refused("user", "create", "acme", "x", "--email", made["email"])


def test_a_list_without_rows_has_its_heading(terminal):
    """A list about people that is empty prints the heading it has with rows."""
    client_id = terminal.json("client", "create", "acme", "--name", "app")["client_id"]
    nouns = ("user", "service-user", "membership", "team", "project", "entity")
    lists = [
        *((noun, "list", "globex") for noun in nouns),
        ("user-key", "list", "acme/alice"),
        ("api-token", "list", "acme", client_id),
        ("user", "totp", "devices", "acme/alice"),
    ]
    empty = {command: terminal.text(*command) for command in lists}
    terminal.text("user", "create", "globex", "bob")
    terminal.text("service-user", "create", "globex", "bot")
    terminal.text("team", "create", "globex", "Root")
    terminal.text("project", "create", "globex", "payments")
    terminal.text("entity", "create", "globex", "E-1", "--type", "party")
    empty["entity", "secrets", "E-1"] = terminal.text("entity", "secrets", "E-1")
    terminal.text("entity", "reset", "E-1")
    terminal.text("user-key", "create", "acme/alice")
    terminal.text("api-token", "create", "acme", client_id)
    terminal.text("user", "totp", "enrol", "acme/alice")
    for command, heading in empty.items():
        assert heading.count("\n") == 1
        full = terminal.text(*command)
        assert full.count("\n") > 1
        assert full.splitlines()[0].split() == heading.split()
