"""Ways to install a peer by its name into a folder that is no part of the repository.

Each is given the peer's folder here, the folder to install into and the peer's table, and gives where it is
installed or why it is not. What a peer needs is pinned in its folder; nothing is installed into the system.
"""

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from e2e import npm, vendors
from e2e.once import once

PATIENCE_SECONDS = 480
NO_LOCKS = ("-o", "Debug::NoLocking=1")
"""Reading Debian's lists must not need the rights of the machine's administrator."""


def from_house(here: Path, folder: Path, about: Mapping[str, Any]) -> Path | str:
    """Install nothing: it runs in the bench's own environment."""
    return here


def from_npm(here: Path, folder: Path, about: Mapping[str, Any]) -> Path | str:
    """Install what ``package.json`` names exactly."""
    return npm.install(here, folder)


def from_pip(here: Path, folder: Path, about: Mapping[str, Any]) -> Path | str:
    """Install what ``requirements.txt`` names by version and checksum into an environment of its own."""
    python = vendors.install(folder, here / "requirements.txt")
    return python if isinstance(python, str) else folder


def from_go(here: Path, folder: Path, about: Mapping[str, Any]) -> Path | str:
    """Build the program in the folder, with the modules of its ``go.sum`` and the build tags in ``tags``."""
    sources = sorted(path for path in here.iterdir() if path.name.startswith("go.") or path.suffix == ".go")
    tags = f"-tags={','.join(about.get('tags', []))}"
    wanted = "\n".join([tags, *(path.read_text() for path in sources)])
    build = ["go", "build", "-mod=readonly", "-trimpath", tags, "-o", str(folder / "peer"), "."]
    return once(folder, wanted, lambda: _run(build, here))


def from_debian(here: Path, folder: Path, about: Mapping[str, Any]) -> Path | str:
    """Unpack the packages that ``packages`` names, with what they need and the system lacks."""
    packages, archives = about["packages"], folder / "archives"

    def unpack() -> str:
        shutil.rmtree(archives, ignore_errors=True)
        (archives / "partial").mkdir(parents=True)
        fetch = ["apt-get", *NO_LOCKS, "-o", f"Dir::Cache::archives={archives}", "--yes", "--download-only"]
        refused = _run([*fetch, "--no-install-recommends", "install", *packages], folder)
        for archive in sorted(archives.glob("*.deb")):
            refused = refused or _run(["dpkg-deb", "-x", str(archive), str(folder)], folder)
        return refused

    return once(folder, "\n".join(packages), unpack)


def from_maven(here: Path, folder: Path, about: Mapping[str, Any]) -> Path | str:
    """Unpack the archive that ``artifact`` names: group, name, version and kind."""
    artifact = about["artifact"]

    def unpack() -> str:
        copy = [
            "mvn",
            "--quiet",
            "--batch-mode",
            "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy",
        ]
        target = [f"-Dartifact={artifact}", f"-DoutputDirectory={folder}", "-Dmdep.useBaseVersion=true"]
        refused = _run([*copy, *target], folder)
        for archive in sorted(folder.glob("*.tar.gz")):
            refused = refused or _run(["tar", "--strip-components=1", "-xzf", archive.name], folder)
            archive.unlink()
        return refused

    return once(folder, artifact, unpack)


WAYS: Mapping[str, Callable[[Path, Path, Mapping[str, Any]], Path | str]] = {
    "house": from_house,
    "npm": from_npm,
    "pip": from_pip,
    "go": from_go,
    "debian": from_debian,
    "maven": from_maven,
}


def _run(command: Sequence[str], folder: Path) -> str:
    """Run one step; say why it failed, or nothing."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]}: {error}"
    last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
    return f"{command[0]}: {' '.join(last) or done.returncode}" if done.returncode else ""
