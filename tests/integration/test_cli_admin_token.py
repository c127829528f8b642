"""``keyturn admin-token`` and the setup token on a real data folder."""

import asyncio
import re

import pytest

from integration.test_cli import Terminal
from keyturn.app import open_local
from keyturn.config import load_settings

TOKEN = re.compile(r"kt_(?:admin|setup)_[0-9A-Za-z]{49}")


@pytest.fixture
def terminal(capsys, tmp_path):
    """A command line on an empty place."""
    return Terminal(capsys, tmp_path / "data")


async def kept(data):
    """Read all that is kept of admin tokens."""
    async with open_local(load_settings(flags={"data": data}, environ={})) as local:
        return repr(await local.deployment.admin_tokens())


def test_init_prints_a_setup_token_once(terminal):
    """AD-06: init prints a setup token on a new deployment, none on one in use, and keeps a digest."""
    first = terminal.json("init")["setup_token"]
    assert first.startswith("kt_setup_")
    assert TOKEN.fullmatch(first)
    assert terminal.json("init")["setup_token"] is None
    assert first not in asyncio.run(kept(terminal.data))
    second = terminal.json("admin-token", "setup")["setup_token"]
    ended, alive = terminal.json("admin-token", "list")
    assert (second != first, ended["ended_why"], alive["ended_at"]) == (True, "replaced", None)
    assert {each["kind"] for each in (ended, alive)} == {"setup"}


def test_no_setup_where_somebody_administers(terminal):
    """AD-06: with an admin token alive nobody gets a setup token; once it has ended, somebody may."""
    terminal.json("init")
    made = terminal.json("admin-token", "create", "--name", "first")
    assert TOKEN.fullmatch(made["token"])
    assert made["scopes"] == ["all"]
    code, said = terminal.refused("admin-token", "setup")[:2]
    assert code == 1
    assert "alive" in str(said)
    assert terminal.json("admin-token", "end", made["id"], "--why", "gone")["ended_why"] == "gone"
    assert terminal.json("admin-token", "setup")["setup_token"]


def test_tokens_of_one_organisation(terminal):
    """A token is made for one organisation and some scopes; what is no scope is refused with a list."""
    terminal.json("init")
    acme = terminal.json("org", "create", "acme")["id"]
    made = terminal.json(
        "admin-token", "create", "--organisation", "acme", "--scope", "clients:read", "--expires", "7d"
    )
    assert (made["organisation_id"], made["scopes"]) == (acme, ["clients:read"])
    assert made["expires_at"]
    refused = terminal.refused("admin-token", "create", "--scope", "everything")
    assert refused[0] == 1
    assert "users:write" in str(refused[1])
    assert made["token"] not in str(terminal.json("admin-token", "list"))
    assert made["token"] not in str(terminal.json("audit", "tail"))
    assert terminal.json("org", "create", "globex")
