"""``keyturn key`` on a real data folder: public keys in, private ones refused."""

import io
import json
import os
import sys

import pytest

from keyturn.cli.root import run
from keyturn.core.vocabulary import Algorithm
from keyturn.keys.signers import generate_key
from made import made_once


@pytest.fixture
def say(monkeypatch, tmp_path, capsys):
    """Run a command on a data folder of its own; gives its exit code and both outputs."""
    for name in [name for name in os.environ if name.startswith("KEYTURN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)

    def speak(*arguments):
        capsys.readouterr()
        code = run([*arguments, "--data", str(tmp_path / "data")])
        said = capsys.readouterr()
        return code, said.out, said.err

    begin = (("init",), ("org", "create", "acme", "--name", "Acme"))
    made_once("acme", tmp_path / "data", lambda: [speak(*command) for command in begin])
    return speak


@pytest.fixture
def client_id(say):
    """A client without secrets."""
    return json.loads(say("client", "create", "acme", "--name", "bot", "--format", "json")[1])["client_id"]


def test_life(say, client_id, tmp_path):
    """TE-06: a key is added from a file, listed with what assertions name, disabled, enabled and ended."""
    made = generate_key(Algorithm.ES256).public_jwk
    (tmp_path / "key.json").write_text(json.dumps(made))
    code, out, _ = say("key", "add", client_id, "--jwk", "key.json", "--name", "laptop", "--format", "json")
    added = json.loads(out)
    assert code == 0
    assert (added["kid"], added["algorithm"], added["state"]) == (made["kid"], "ES256", "active")
    for verb, disabled, state in (
        ("disable", True, "active"),
        ("enable", False, "active"),
        ("end", False, "ended"),
    ):
        shown = json.loads(say("key", verb, added["id"], "--format", "json")[1])
        assert (shown["disabled"], shown["state"]) == (disabled, state)
    assert [row["id"] for row in json.loads(say("key", "list", client_id, "--format", "json")[1])] == [
        added["id"]
    ]
    assert "credential.ended" in say("audit", "tail", "--limit", "5")[1]


def test_standard_input(say, client_id, monkeypatch):
    """A key may come by standard input."""
    given = json.dumps(generate_key(Algorithm.EDDSA).public_jwk).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    assert say("key", "add", client_id, "--jwk", "-")[0] == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"NEEDLE"}', "private members"),
        (b"-----BEGIN PRIVATE KEY-----\nNEEDLE\n", "private key"),
        (b"NEEDLE", "neither a JWK"),
        (None, "No such file"),
    ],
)
def test_refused(say, client_id, tmp_path, content, words):
    """HT-07: what is no public key is refused with 1 and one line that repeats nothing of it."""
    if content is not None:
        (tmp_path / "given").write_bytes(content)
    code, out, err = say("key", "add", client_id, "--jwk", "given")
    assert (code, out) == (1, "")
    assert words in err
    assert "NEEDLE" not in err
    assert err.count("\n") == 1
