"""`keyturn audit` and `keyturn explain` on a real data folder."""

import asyncio
import json
import logging

import pytest
import structlog

from integration.test_cli import Terminal
from keyturn.cli import audit
from keyturn.cli.local import open_verbs
from keyturn.cli.output import Format, show
from keyturn.config import load_settings
from keyturn.web.logs import configure_logging


@pytest.fixture
def terminal(capsys, tmp_path):
    made = Terminal(capsys, tmp_path / "data")
    made.begin()
    return made


def test_explain(terminal):
    """A request is explained by its id in any case of letters; one that nobody knows leaves with 1."""
    terminal.table("org", "create", "acme")
    [row] = terminal.json("audit", "tail", "-n", "1")
    told = terminal.json("explain", row["request_id"].upper())
    assert (told["verdict"], told["kind"], told["organisation"]) == ("done", "organisation.created", "acme")
    assert told["rows"] == [f"{row['chain']}:{row['seq']}"]
    for unknown in (f"{row['request_id'][:-4]}ffff", "nonsense"):
        code, line = terminal.refused("explain", unknown)
        assert code == 1
    assert "no request id" in line


def test_search(terminal):
    """AD-05: rows are found by what they say and by time; personal fields are opened when asked, and told."""
    client_id = terminal.client()
    terminal.table("org", "create", "beta")
    assert [row["kind"] for row in terminal.json("audit", "search", "--client", client_id)] == [
        "client.created"
    ]
    found = terminal.json("audit", "search", "--org", "acme", "--kind", "organisation.created")
    assert len(found) == 1
    assert terminal.json("audit", "search", "--until", "1h") == []
    assert terminal.table("audit", "search", "--reason", "nothing").split()[:2] == ["AT", "CHAIN"]
    assert "personal" not in found[0]
    [opened] = terminal.json("audit", "search", "--kind", "client.created", "--personal")
    assert "personal" in opened
    assert terminal.json("audit", "tail", "--lines", "1")[0]["kind"] == "audit.read"
    assert terminal.code("audit", "search", "--since", "yesterday")[0] == 2


def test_export_and_verify(terminal, tmp_path):
    """AD-05: an export is checked without data folder and key; a forged one leaves with 1 and says where."""
    terminal.client()
    terminal.table("upkeep", "run", "checkpoint")
    path, key = tmp_path / "trail.jsonl", tmp_path / "key.json"
    told = terminal.json("audit", "export", "-o", str(path))
    assert told["next"] == f"--after {told['position']}"
    key.write_text(terminal.table("audit", "key", "--format", "json"))
    nowhere = Terminal(terminal.capsys, tmp_path / "nowhere")
    assert nowhere.json("audit", "verify", "--file", str(path))["key_from"] == "the file"
    checked = nowhere.json("audit", "verify", "--file", str(path), "--key", str(key))
    assert (checked["intact"], checked["whole"], checked["rows"]) == (True, True, told["rows"])
    assert nowhere.json("audit", "verify", "--file", str(path), "--all")[0]["intact"]
    path.write_text(path.read_text().replace("client.created", "client.praised"))
    code, line = nowhere.refused("audit", "verify", "--file", str(path))
    assert (code, line.startswith("the audit trail is broken: chain ")) == (1, True)
    assert nowhere.refused("audit", "verify", "--file", str(tmp_path / "none"))[0] == 1
    assert nowhere.code("audit", "verify", "--key", str(key))[0] == 2
    out = terminal.table("audit", "export", "--after", str(told["position"]), "--as", "csv")
    assert out.startswith("type,")
    assert out.splitlines()[-1].startswith("end,")


@pytest.mark.parametrize("form", list(Format))
async def test_follow(terminal, form, monkeypatch):
    """`audit tail -f` prints rows as they come, until it is interrupted."""
    monkeypatch.setattr(audit, "POLL_SECONDS", 0.01)
    settings = load_settings(flags={"data": terminal.data}, environ={})
    async with open_verbs(settings) as verbs:
        following = asyncio.create_task(audit.tail(verbs, form, limit=1, follow=True))
        await asyncio.sleep(0)
        await verbs.create_organisation("acme", "Acme")
        printed = ""
        async with asyncio.timeout(30):
            while "organisation.created" not in printed:
                await asyncio.sleep(0.01)
                printed += terminal.capsys.readouterr().out
        following.cancel()
        assert await following is None
    if form is Format.JSON:
        assert [json.loads(line)["kind"] for line in printed.splitlines()][-1] == "organisation.created"
    else:
        assert printed.startswith("AT ")


def test_a_deletion_is_shown(terminal):
    """TN-05: the deletion of an organisation tells what it had, then and whenever it is shown."""
    terminal.client()
    deleted = terminal.json("org", "delete", "acme", "--yes-delete", "acme")
    assert (deleted["complete"], deleted["deleted"]) == (True, {"clients": 1})
    shown = terminal.json("org", "show", "acme")
    assert (shown["deletion"], shown["deleted"], shown["left"]) == ("complete", {"clients": 1}, {})
    [row] = terminal.json("audit", "search", "--kind", "organisation.erased")
    assert row["details"] == {"clients": "1", "records": "1"}


def test_what_cannot_be_undone_is_asked(terminal, monkeypatch):
    """A client, a user or an entity ends only by --yes, or by a yes at a terminal."""
    client_id = terminal.client()
    code, line = terminal.refused("client", "end", client_id)
    assert (code, line.endswith("say --yes")) == (1, True)
    terminal.table("user", "create", "acme", "alice")
    assert terminal.refused("user", "end", "acme/alice")[1].endswith("say --yes")
    terminal.table("entity", "create", "acme", "FIU-1", "--type", "FIU")
    assert terminal.refused("entity", "end", "FIU-1")[1].endswith("say --yes")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for answer, ended in ((False, False), (True, True)):
        monkeypatch.setattr("typer.confirm", lambda *_, answer=answer, **__: answer)
        assert terminal.code("client", "end", client_id)[0] == (0 if ended else 1)
        assert (terminal.json("client", "show", client_id)["ended_at"] is not None) is ended


def test_a_demos_address_is_a_setting(terminal, monkeypatch):
    """`config print` shows the public URL that a demo keeps, unless another is set."""
    (terminal.data / "demo.json").write_text('{"base_url": "http://127.0.0.1:9999"}')
    assert terminal.json("config", "print")["public_url"] == "http://127.0.0.1:9999"
    monkeypatch.setenv("KEYTURN_PUBLIC_URL", "https://keys.example")
    assert terminal.json("config", "print")["public_url"] == "https://keys.example"


@pytest.fixture
def logging_restored():
    """Leave logging as it was."""
    handlers, level, config = logging.root.handlers[:], logging.root.level, structlog.get_config()
    yield
    logging.basicConfig(handlers=handlers, level=level, force=True)
    structlog.configure(**config)


@pytest.mark.usefixtures("logging_restored")
def test_a_checkpoint_in_the_log(terminal):
    """A checkpoint's number and hash are fields of its log line, together as `--noted` takes them."""
    terminal.capsys.readouterr()
    configure_logging("json", "info")
    code = terminal.code("upkeep", "run", "checkpoint")
    [line] = [json.loads(each) for each in code[2].splitlines() if "audit_checkpoint" in each]
    assert line["event"] == "audit_checkpoint"
    assert line["noted"] == f"{line['checkpoint']}:{line['hash']}"
    newest = terminal.json("audit", "verify", "--noted", line["noted"])["newest_checkpoint"]
    assert newest == line["noted"]


def test_a_terminal_obeys_nothing(capsys):
    """HT-07: control characters are told, not obeyed, also in the names of members."""
    show({"details": {"\x1b]0;x\x07": {"\u202e": ["\x9b2J"]}}}, Format.TABLE)
    assert capsys.readouterr().out == "details  \\x1b]0;x\\x07=\\x202e=\\x9b2J\n"
