"""Releases as they were: wheels kept in ``tests/releases``, unpacked, and run on the packages found here."""

import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from e2e.servers import environment

FOLDER = Path(__file__).resolve().parents[1] / "releases"
STORES = {"0.1.0": ("sqlite",)}
"""On which kinds of database each release can run."""


@dataclass(frozen=True)
class Release:
    """A kept wheel, and a kind of database that it can use."""

    version: str
    store: str

    def __str__(self) -> str:
        return f"{self.version}-{self.store}"

    def unpack(self, folder: Path) -> dict[str, str]:
        """Unpack it, and give the environment in which ``keyturn`` is this release."""
        with zipfile.ZipFile(FOLDER / f"keyturn-{self.version}-py3-none-any.whl") as wheel:
            wheel.extractall(folder)  # our own file
        environ = {"PYTHONPATH": str(folder)}
        code = "import keyturn; print(keyturn.__file__)"
        out = subprocess.check_output(
            [sys.executable, "-c", code], env=environment(folder, environ), cwd=folder, text=True
        )
        assert Path(out.strip()).is_relative_to(folder), out
        return environ


RELEASES = [Release(version, store) for version, stores in STORES.items() for store in stores]
