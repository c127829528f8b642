"""Other people's servers: each is a folder in ``peers`` that says how it is installed and started.

``peer.toml`` has ``install`` and what that way of installing needs (``install.py``), ``start`` with a command
for each role, the ``paths`` of its endpoints, and ``environ``. In a command ``{port}``, ``{algorithm}``,
``{id}`` and ``{secret}`` are those of the run, ``{installed}`` is where it was installed, ``{work}`` an empty
folder that is gone with the run, ``{here}`` its folder here, ``{python}`` the bench's own interpreter.
"""

import shutil
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

from bench import install
from bench.load import Request, ask_until_ready
from bench.processes import resident_megabytes
from bench.server import CLIENT, FORM, AbsentError, Place, Server, basic, free_port

PEERS = Path(__file__).resolve().parent / "peers"
START_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer in one of its roles.

    Args:
        name: Its folder.
        algorithm: What it shall sign with; None if it makes no signed tokens.
        role: Which of its commands starts it.
    """

    name: str
    algorithm: str | None = "ES256"
    role: str = "token"

    def start(self, place: Place) -> Server:
        """Install it, if it is not there yet, and start it."""
        here = PEERS / self.name
        about = tomllib.loads((here / "peer.toml").read_text())
        lacking = [program for program in about.get("needs", []) if shutil.which(program) is None]
        if lacking:
            raise AbsentError(f"{', '.join(lacking)}: not installed")
        installed = install.WAYS[about["install"]](here, place.scratch / "peers" / self.name, about)
        if isinstance(installed, str):
            raise AbsentError(installed)
        label = f"{self.name}-{self.algorithm}-{self.role}"
        work = place.folder / label
        work.mkdir()
        fill = {
            "port": free_port(),
            "algorithm": self.algorithm,
            "id": CLIENT[0],
            "secret": CLIENT[1],
            "installed": installed,
            "work": work,
            "here": here,
            "python": sys.executable,
        }
        began = time.monotonic()
        process = place.start(
            label,
            [part.format_map(fill) for part in about["start"][self.role]],
            {key: text.format_map(fill) for key, text in about.get("environ", {}).items()},
        )
        base, proof, body = f"http://127.0.0.1:{fill['port']}", basic(*CLIENT), about.get("body", FORM)
        paths = {name: base + path for name, path in about["paths"].items()}
        ready = about.get("ready_seconds", START_SECONDS)
        request = Request.form(paths["token"], body, (proof,))
        try:
            ask_until_ready(
                request, lambda: process.poll() is None, ready, settled=about.get("settles", False)
            )
        except RuntimeError as error:
            raise AbsentError(f"{error}; its log ends: {place.last_words(label)}") from error
        took = time.monotonic() - began
        return Server(
            pids=(process.pid,),
            **paths,
            proof=proof,
            body=body,
            algorithm=self.algorithm,
            started={"ready_seconds": took, "megabytes": resident_megabytes(process.pid)},
        )
