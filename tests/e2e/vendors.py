"""The vendors' own Python clients, unmodified, in an environment of their own.

    python = install(ROOT / "build" / "e2e" / "vendors")
    subprocess.run([python, HERE / "clients" / "some_client.py", ...])

They are no part of what Keyturn needs: what they depend on must not decide what it depends on.
"""

import subprocess
import sys
from pathlib import Path

from e2e.once import once

LOCK = Path(__file__).parents[2] / "requirements" / "clients.txt"
INSTALL_SECONDS = 180
QUIET = ("--quiet", "--disable-pip-version-check", "--retries=1")


def install(folder: Path, lock: Path = LOCK) -> Path | str:
    """Install the clients that the lock names, exactly.

    Returns:
        The Python that has them, or why there is none.
    """
    installed = once(folder, f"{sys.version}\n{folder}\n{lock.read_text()}", lambda: _install(folder, lock))
    return installed if isinstance(installed, str) else folder / "env" / "bin" / "python"


def _install(folder: Path, lock: Path) -> str:
    python = folder / "env" / "bin" / "python"
    steps = (
        [sys.executable, "-m", "venv", "--clear", folder / "env"],
        [python, "-m", "pip", "install", *QUIET, "--require-hashes", "-r", lock],
    )
    for step in steps:
        try:
            done = subprocess.run(
                step, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS, cwd=folder
            )
        except subprocess.TimeoutExpired:
            return f"pip did not end in {INSTALL_SECONDS} s"
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:]
            return f"the vendors' clients cannot be installed: {' '.join(last) or done.returncode}"
    return ""
