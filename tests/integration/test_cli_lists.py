"""Lists: one without rows has the heading that it has with rows."""

import asyncio
import json

import pytest

from integration.test_cli import Terminal
from keyturn.app import open_local
from keyturn.config import load_settings
from keyturn.core.vocabulary import Algorithm
from keyturn.keys.signers import generate_key


@pytest.fixture
def terminal(capsys, tmp_path):
    made = Terminal(capsys, tmp_path / "data")
    made.begin()
    return made


async def make_ring(terminal, organisation_id):
    """Do what a first token does."""
    async with open_local(load_settings(flags={"data": terminal.data}, environ={})) as local:
        await local.rings.signer(organisation_id, Algorithm.ES256, local.clock.now())


def test_a_list_without_rows_has_its_heading(terminal, tmp_path):
    """A list that is empty prints the heading of its table, and [] as JSON."""
    slug = "acme"
    empty = {
        ("org", "list"): terminal.table("org", "list"),
        ("keys", "rotate"): terminal.table("keys", "rotate"),
    }
    assert terminal.json("org", "list") == []
    organisation = terminal.json("org", "create", slug)
    empty["client", "list", slug] = terminal.table("client", "list", slug)
    empty["keys", "list"] = terminal.table("keys", "list")
    client_id = terminal.json("client", "create", slug, "--name", "bot")["client_id"]
    for noun in ("secret", "key"):
        empty[noun, "list", client_id] = terminal.table(noun, "list", client_id)
    assert terminal.json("secret", "list", client_id) == []

    terminal.table("secret", "create", client_id)
    (tmp_path / "key.json").write_text(json.dumps(generate_key(Algorithm.ES256).public_jwk))
    terminal.table("key", "add", client_id, "--jwk", str(tmp_path / "key.json"))
    asyncio.run(make_ring(terminal, organisation["id"]))
    for command, heading in empty.items():
        assert heading.count("\n") == 1
        full = terminal.table(*command)
        assert full.count("\n") > 1
        assert full.splitlines()[0].split() == heading.split()
