"""Why npm's packages cannot be had, said so that a skip explains itself."""

import os

import pytest

from e2e.npm import install


@pytest.fixture
def source(tmp_path):
    """A folder that names packages and holds a script."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "package.json").write_text('{"private": true}')
    (folder / "one.mjs").write_text("// one")
    return folder


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Stand-ins for node and npm on PATH, each a line of shell."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.defpath}")

    def put(node, npm):
        for name, line in (("node", node), ("npm", npm)):
            (folder / name).write_text(f"#!/bin/sh\n{line}\n")
            (folder / name).chmod(0o700)

    return put


def test_no_node(source, tmp_path, monkeypatch):
    """Without node the reason names it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert install(source, tmp_path / "build") == "node or npm is not installed"


def test_an_old_node(source, tmp_path, programs):
    """With a node that the packages do not run on the reason names its version."""
    programs("echo v18.19.0", "exit 0")
    assert install(source, tmp_path / "build") == "node 20 or newer is wanted, not v18.19.0"


def test_no_registry(source, tmp_path, programs):
    """Where packages cannot be fetched the reason is npm's last line, and the next attempt asks again."""
    programs("echo v22.0.0", "echo first >&2; echo 'no such host' >&2; exit 1")
    assert install(source, tmp_path / "build") == "npm install failed: no such host"
    programs("echo v22.0.0", "exit 0")
    assert install(source, tmp_path / "build") == tmp_path / "build"


def test_what_is_there_is_not_asked_for_again(source, tmp_path, programs):
    """Installed packages are used without npm until others are named; scripts are always the newest."""
    programs("echo v22.0.0", "exit 0")
    folder = install(source, tmp_path / "build")
    programs("echo v22.0.0", "echo asked >&2; exit 1")
    (source / "one.mjs").write_text("// two")
    assert install(source, folder) == folder
    assert (folder / "one.mjs").read_text() == "// two"
    (source / "package.json").write_text('{"private": true, "dependencies": {}}')
    assert install(source, folder) == "npm install failed: asked"
