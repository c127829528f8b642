"""The wheel: what is in it, what it needs, and that it works where there is nothing else."""

import os
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from importlib.util import find_spec
from pathlib import Path

import pytest

import keyturn
from e2e import servers
from packages.conftest import ROOT

LIGHT = ("cryptography", "cffi", "_cffi_backend", "msgspec")
"""What the base package may stand on, with what that stands on."""


@pytest.fixture(scope="session")
def content(wheel):
    """The names in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="session")
def light(wheel, tmp_path_factory):
    """A Python that has the wheel, what its base needs, and nothing else."""
    place = tmp_path_factory.mktemp("light")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)  # noqa: S202  # the wheel just built
    for name in LIGHT:
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        origin = Path(spec.origin)
        part = origin.parent if spec.submodule_search_locations else origin
        (place / part.name).symlink_to(part)

    def run(*words):
        environment = {**os.environ, "PYTHONPATH": str(place)}
        command = [sys.executable, "-S", *words]  # -S: nothing of this environment's own packages
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    return run


def test_the_wheel_holds_the_package_and_nothing_else(content):
    """Every module, migration, list and the mark of being typed is in the wheel; no test is."""
    source = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "keyturn").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    info = {name for name in content if name.startswith(f"keyturn-{keyturn.__version__}.dist-info/")}
    assert set(content) - info == source
    assert "keyturn/py.typed" in content
    assert any(name.endswith("licenses/LICENSE") for name in info)


def test_the_base_is_light(wheel, content):
    """Without an extra two packages are needed; what the server needs is behind the extra."""
    (name,) = (each for each in content if each.endswith(".dist-info/METADATA"))
    with zipfile.ZipFile(wheel) as archive:
        needs = message_from_bytes(archive.read(name)).get_all("Requires-Dist") or []
    base = {need.split(">")[0].strip() for need in needs if "extra ==" not in need}
    assert base == {"cryptography", "msgspec"}
    assert any("uvicorn" in need and "extra == 'server'" in need for need in needs)


def test_the_source_archive_can_build_and_test(built):
    """Whoever packages the source finds the build's and the tests' files in it."""
    (found,) = built.glob("*.tar.gz")
    with tarfile.open(found) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {"pyproject.toml", "README.md", "LICENSE", "Makefile", "requirements/server.txt"} <= names
    assert {"src/keyturn/py.typed", "tests/conftest.py", "docs/quickstart.md", "CHANGELOG.md"} <= names
    assert {"deploy/docker/Dockerfile", "deploy/systemd/keyturn.service"} <= names


def test_a_light_install_names_what_is_missing(light):
    """In a light install the package imports, and the command says which extra it comes with."""
    assert light("-c", "import keyturn; print(keyturn.__version__)").stdout.strip() == keyturn.__version__
    said = light("-c", "from keyturn.cli import main; main()", "--help")
    assert (said.returncode, said.stdout) == (3, "")
    assert said.stderr == "keyturn: the command line comes with the server: pip install 'keyturn[server]'\n"


@pytest.mark.packages
@pytest.mark.timeout(600)
def test_a_clean_machine_gets_tokens(wheel, tmp_path, monkeypatch):
    """In an environment of the lock and the wheel alone a deployment is made, serves, and gives a token."""
    python = tmp_path / "env" / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for step in (
        [sys.executable, "-m", "venv", tmp_path / "env"],
        [*pip, "--require-hashes", "--requirement", ROOT / "requirements" / "server.txt"],
        [*pip, "--no-index", "--no-deps", wheel],
    ):
        subprocess.run(step, check=True, cwd=tmp_path)
    monkeypatch.setattr(servers, "KEYTURN", str(python.with_name("keyturn")))
    with servers.serving(tmp_path / "data", tmp_path / "home") as node:
        assert node.token("oauth2").status == 200
        assert node.stop() == 0
