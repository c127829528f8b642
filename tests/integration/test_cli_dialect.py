"""``keyturn dialect``: what is spoken, described to programs without a server."""

import json

import pytest

from keyturn.cli.root import run
from keyturn.dialects import load_dialects


@pytest.fixture
def say(monkeypatch, tmp_path, capsys):
    """Run a command on a data folder that is not there; gives its exit code and both outputs."""
    monkeypatch.setenv("KEYTURN_PUBLIC_URL", "https://keys.example")

    def speak(*arguments):
        capsys.readouterr()
        code = run(["dialect", *arguments, "--data", str(tmp_path / "data")])
        said = capsys.readouterr()
        return code, said.out, said.err

    return speak


def test_openapi(say, monkeypatch):
    """The document is of the dialects that are on, at the public URL, and needs no data folder."""
    code, out, _ = say("openapi")
    document = json.loads(out)
    assert (code, document["servers"]) == (0, [{"url": "https://keys.example"}])
    assert [tag["name"] for tag in document["tags"]] == ["oauth2"]
    monkeypatch.setenv("KEYTURN_DIALECTS", ",".join(load_dialects()))
    assert {tag["name"] for tag in json.loads(say("openapi")[1])["tags"]} == set(load_dialects())


def test_postman(say):
    """The collection of a dialect is written, its base URL filled in."""
    code, out, _ = say("postman", "oauth2")
    assert code == 0
    assert {"key": "public_url", "value": "https://keys.example", "type": "string"} in json.loads(out)[
        "variable"
    ]


def test_into_a_file(say, tmp_path):
    """With --output a description goes into a file and nothing is printed."""
    for verb in (["openapi"], ["postman", "oauth2"]):
        code, out, _ = say(*verb, "--output", "here.json")
        assert (code, out) == (0, "")
        assert json.loads((tmp_path / "here.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("postman", "oauth"), 1, "no dialect 'oauth' is served here; did you mean oauth2?"),
        (("postman", "endorsed"), 1, "no dialect 'endorsed' is served here"),
        (("openapi", "--output", "nowhere/here.json"), 1, "nowhere/here.json: No such file or directory"),
    ],
)
def test_no(say, arguments, code, says):
    """A dialect that is not on, and a file that cannot be written, are refused in a sentence."""
    assert say(*arguments) == (code, "", f"keyturn: {says}\n")


def test_no_public_url(say, monkeypatch):
    """Without a public URL there is nothing that a caller could use."""
    monkeypatch.delenv("KEYTURN_PUBLIC_URL")
    code, _, err = say("openapi")
    assert code == 3
    assert "public_url is required" in err
