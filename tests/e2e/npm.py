"""Packages from npm: installed once into a folder that is no part of the repository, shared by all who ask.

modules = install(HERE / "clients", ROOT / "build" / "e2e" / "clients")
"""

import fcntl
import shutil
import subprocess
from pathlib import Path

from e2e.once import once

OLDEST_NODE = 20
INSTALL_SECONDS = 60
QUIET = (
    "--no-package-lock",
    "--omit=dev",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--fetch-retries=1",
    "--loglevel=error",
)


def install(source: Path, folder: Path) -> Path | str:
    """Install what a folder's ``package.json`` names exactly, and put the folder's scripts beside it.

    Returns:
        The folder, or why there is none.
    """
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        return "node or npm is not installed"
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    if not said.startswith("v") or int(said[1:].partition(".")[0]) < OLDEST_NODE:
        return f"node {OLDEST_NODE} or newer is wanted, not {said}"
    wanted = (source / "package.json").read_text()
    installed = once(folder, wanted, lambda: _npm_install(npm, folder, wanted))
    if isinstance(installed, str):
        return installed
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for script in source.glob("*.mjs"):
            copy = folder / script.name
            if not copy.exists() or copy.read_bytes() != script.read_bytes():
                shutil.copyfile(script, copy)
    return folder


def _npm_install(npm: str, folder: Path, wanted: str) -> str:
    (folder / "package.json").write_text(wanted)
    try:
        done = subprocess.run(
            [npm, "install", *QUIET],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=INSTALL_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"npm install did not end in {INSTALL_SECONDS} s"
    last = done.stderr.strip().splitlines()[-1:]
    return f"npm install failed: {' '.join(last) or done.returncode}" if done.returncode else ""
