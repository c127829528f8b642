"""Commands run by somebody else than the user whose data it is."""

import contextlib
import os

import pytest

from integration.test_cli import Terminal


@contextlib.contextmanager
def somebody_else(folder):
    """Be a user who may not look into a folder: another one where we are root, whom no mode keeps out."""
    root = os.geteuid() == 0
    os.seteuid(65_534) if root else folder.chmod(0)
    try:
        yield
    finally:
        os.seteuid(0) if root else folder.chmod(0o700)


@pytest.mark.parametrize(
    "command",
    [("org", "list"), ("audit", "verify"), ("upkeep", "run"), ("config", "print"), ("demo", "show")],
)
def test_another_users_data(command, capsys, tmp_path):
    """HT-08: data of another user is told in one line, with the exit code of a store that is not there."""
    terminal = Terminal(capsys, tmp_path / "data")
    terminal.begin()
    (terminal.data / "demo.json").touch(0o600)
    with somebody_else(terminal.data):
        code, line = terminal.refused(*command)
    assert code == 4
    assert line.startswith(str(terminal.data))
    assert line.endswith("Permission denied; run this as the user whose data it is")
