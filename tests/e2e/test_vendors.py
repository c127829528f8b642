"""Why the vendors' clients cannot be had, said so that a skip explains itself."""

import pytest

from e2e.vendors import install


@pytest.mark.packages  # two environments, for a kit of the tests
def test_no_registry(tmp_path, monkeypatch):
    """Where packages cannot be fetched the reason is pip's last line, and the next attempt asks again."""
    lock = tmp_path / "lock.txt"
    lock.write_text("no-such-package==1 --hash=sha256:" + "0" * 64)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    refused = install(tmp_path / "build", lock)
    assert isinstance(refused, str)
    assert refused.startswith("the vendors' clients cannot be installed: ERROR: No matching distribution")
    lock.write_text("")
    assert install(tmp_path / "build", lock) == tmp_path / "build" / "env" / "bin" / "python"
