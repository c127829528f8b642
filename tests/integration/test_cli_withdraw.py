"""``keyturn keys withdraw`` on a real data folder, and what the command line goes by."""

import asyncio
from datetime import datetime, timedelta

import pytest

from integration.test_cli import Terminal
from integration.test_cli_lists import make_ring
from keyturn.app import open_local
from keyturn.config import load_settings


@pytest.fixture
def terminal(capsys, tmp_path):
    """A data folder with an organisation that has signed."""
    made = Terminal(capsys, tmp_path / "data")
    made.begin()
    asyncio.run(make_ring(made, made.json("org", "create", "acme")["id"]))
    return made


def test_withdraw(terminal):
    """TK-14: `keys withdraw` wants --yes, takes the key away, lets the next one sign, and is in the trail."""
    leaked, following = sorted(terminal.json("keys", "list"), key=lambda row: row["state"])
    code, line = terminal.refused("keys", "withdraw", leaked["key_id"])
    assert (code, "say --yes" in line, len(terminal.json("keys", "list"))) == (1, True, 2)
    gone = terminal.json("keys", "withdraw", leaked["key_id"], "--yes")
    assert (gone["was"], gone["withdrawn"], gone["nothing_signs_until"]) == ("current", True, None)
    left = {row["key_id"]: row["state"] for row in terminal.json("keys", "list")}
    assert leaked["key_id"] not in left
    assert left.pop(following["key_id"]) == "current"
    assert [*left.values()] == ["next"]
    [row] = [each for each in terminal.json("audit", "tail") if each["kind"] == "signing_key.withdrawn"]
    assert (row["subject"], row["details"]["was"]) == (leaked["key_id"], "current")
    assert terminal.refused("keys", "withdraw", leaked["key_id"], "--yes")[0] == 1


@pytest.mark.parametrize("key_id", ["-rJx0", "--yX_z", "-"])
def test_withdraw_takes_any_key_id(terminal, key_id):
    """An id may begin with a dash, and is looked for; a word that is no id is still too many."""
    code, line = terminal.refused("keys", "withdraw", key_id, "--yes")
    assert (code, line.startswith(f"no signing key {key_id!r}")) == (1, True)
    assert terminal.code("keys", "withdraw", key_id, "--yes", "--now")[0] == 2


def test_withdraw_the_next_current_key(terminal):
    """TK-14: a second leak in a row says until when nothing signs, and the list shows no current key."""
    for _ in range(2):
        [leaked] = [row for row in terminal.json("keys", "list") if row["state"] == "current"]
        gone = terminal.json("keys", "withdraw", leaked["key_id"], "--yes")
    assert gone["nothing_signs_until"] is not None
    assert sorted(row["state"] for row in terminal.json("keys", "list")) == ["next", "scheduled"]


def test_rotation_goes_by_the_servers(terminal):
    """TK-14: `keys rotate` plans by the cache time and lifetime that a server announced, not by its own."""

    async def serve():
        settings = load_settings(
            flags={"data": terminal.data}, environ={"KEYTURN_JWKS_CACHE_SECONDS": "86400"}
        )
        async with open_local(settings) as local:
            await local.rings.promise(timedelta(days=30), local.clock.now())

    asyncio.run(serve())
    terminal.table("keys", "rotate")  # the first acts at once
    [turned] = terminal.json("keys", "rotate")
    active_at = datetime.fromisoformat(turned["active_at"])
    keys = {row["key_id"]: row for row in terminal.json("keys", "list")}
    published_at = datetime.fromisoformat(keys[turned["key_id"]]["published_at"])
    assert active_at - published_at >= timedelta(days=1)
    assert datetime.fromisoformat(turned["old_key_retires_at"]) - active_at >= timedelta(days=30)
