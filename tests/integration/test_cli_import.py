"""``keyturn import``: what becomes of each row is told, and no secret ever is."""

import json

import bcrypt
import pytest

from integration.test_cli import Terminal

SECRET = "kxPz1vG7b0mQ9sWc4eLr8tYu2iOa6dHf"
HASH = bcrypt.hashpw(SECRET.encode(), bcrypt.gensalt(4)).decode()


@pytest.fixture
def terminal(capsys, tmp_path):
    """A deployment with one organisation."""
    opened = Terminal(capsys, tmp_path / "data")
    opened.begin("org", "create", "acme", "--name", "Acme")
    return opened


def test_import(terminal, tmp_path):
    """HT-07: a refused file says which rows and why, changes nothing and quotes no secret."""
    rows = [
        {"type": "client", "client_id": "Billing.EU", "secret": SECRET},
        {"type": "secret", "client_id": "Billing.EU", "secret_hash": HASH},
        {"type": "client", "client_id": "bad id", "secret": SECRET},
        {"type": "entity", "entity_id": "FIU-1", "entity_type": "FIU", "secret": "short-secret"},
    ]
    file, report = tmp_path / "rows.json", tmp_path / "report.json"
    file.write_text(json.dumps(rows), encoding="utf-8")
    command = ("import", str(file), "--organisation", "acme")
    code, out, err = terminal.code(*command, "--report", str(report))
    assert (code, out) == (1, "")
    assert [line.partition(":")[2] for line in err.splitlines()] == [
        " line 3 (bad id): a client id has 1 to 200 ASCII letters, digits and inner . _ ~ @ -",
        " 1 of 4 rows cannot be imported, and nothing was changed",
    ]
    assert terminal.json("client", "list", "acme") == []
    told = report.read_text(encoding="utf-8") + err
    assert [each["outcome"] for each in json.loads(report.read_text())][:3] == [
        "created",
        "created",
        "refused",
    ]
    file.write_text(json.dumps([rows[0], rows[1], rows[3]]), encoding="utf-8")
    done = terminal.json(*command)
    told += json.dumps(done) + json.dumps(terminal.json("audit", "tail"))
    assert (done["created"], done["imported"]) == (3, True)
    assert done["remarks"][0].startswith("line 3: easily guessed")
    assert terminal.json("client", "show", "Billing.EU")["client_id"] == "Billing.EU"
    assert len(terminal.json("secret", "list", "Billing.EU")) == 2
    assert terminal.json("entity", "read", "FIU-1")["secret"] == "short-secret"
    assert not any(text in told for text in (SECRET, HASH, "short-secret"))
    assert terminal.json("audit", "verify")["intact"] is True


@pytest.mark.parametrize(
    ("name", "options", "line"),
    [
        ("rows.txt", (), "say --as csv or --as json: the file's name does not"),
        ("missing.csv", (), "missing.csv: No such file or directory"),
        ("rows.csv", ("--as", "json"), "the file is not JSON that is read here: syntax"),
        ("rows.csv", (), "the file has no rows"),
    ],
)
def test_files_that_are_none(terminal, tmp_path, name, options, line):
    """What cannot be read is told in one line with exit code 1."""
    for made in ("rows.txt", "rows.csv"):
        (tmp_path / made).write_text("type,client_id\n", encoding="utf-8")
    code, said = terminal.refused("import", str(tmp_path / name), "--organisation", "acme", *options)
    assert code == 1
    assert said.endswith(line)
