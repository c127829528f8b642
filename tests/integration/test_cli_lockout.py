"""``keyturn lockout`` on a real data folder."""

import asyncio
from datetime import UTC, datetime

import pytest

from integration.test_cli import Terminal
from keyturn.app import open_local
from keyturn.config import load_settings
from keyturn.core.errors import SlowDown


async def attempts(data, name):
    """Fail at a name until it is locked; tell how many attempts were checked."""
    async with open_local(load_settings(flags={"data": data}, environ={})) as local:
        lockout, now = local.store.lockout(local.digester.tag), datetime.now(UTC)
        for count in range(100):
            try:
                await lockout.admit(name, "192.0.2.1", now)
            except SlowDown:
                return count
    return None


def test_clear(capsys, tmp_path):
    """PW-05: `lockout clear` frees a name that another process locked, and the trail tells of it."""
    terminal = Terminal(capsys, tmp_path / "data")
    terminal.begin()
    name = terminal.json("org", "create", "acme")["id"] + "/alice"
    first = asyncio.run(attempts(terminal.data, name))
    assert first > 0
    assert asyncio.run(attempts(terminal.data, name)) == 0
    assert terminal.json("lockout", "clear", "acme", "Alice")["user_name"] == "alice"
    assert asyncio.run(attempts(terminal.data, name)) == first
    [row] = [each for each in terminal.json("audit", "tail") if each["kind"] == "lockout.cleared"]
    assert row["actor"].startswith("operator:")
    assert terminal.refused("lockout", "clear", "nowhere", "alice")[0] == 1


@pytest.mark.parametrize("name", ["", "a\u200bb"])
def test_nobodys_name(name, capsys, tmp_path):
    """PW-03: a name that no user can have is refused."""
    terminal = Terminal(capsys, tmp_path / "data")
    terminal.begin()
    terminal.table("org", "create", "acme")
    assert terminal.refused("lockout", "clear", "acme", name)[0] == 1
