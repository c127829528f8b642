"""What every journey starts with: no settings, demos or folders of whoever runs the tests."""

import os

import pytest


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """Keep the tester's own settings, demos and folders out of it."""
    for name in list(os.environ):
        if name.startswith("KEYTURN_") and not name.startswith("KEYTURN_TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
