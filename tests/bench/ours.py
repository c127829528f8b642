"""Keyturn as a server to measure: the demo, started again on data that is already there."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from bench import crowd
from bench.database import Cluster, PostgresTrail
from bench.load import Request, ask_until_ready
from bench.processes import resident_megabytes, tree
from bench.server import AbsentError, Place, Server, UnfitError, basic, free_port
from keyturn.dialects import load_dialects

START_SECONDS = 30.0
READY, MEGABYTES = "ready_seconds", "megabytes"


class Fill(Protocol):
    """What a store is filled with between the start that seeds the demo and the one that is measured."""

    @property
    def name(self) -> str:
        """Its name, for a folder."""

    @property
    def environ(self) -> dict[str, str]:
        """Further settings of the server."""

    def begin(self, server: Server) -> Any:
        """Have the product make one of what is multiplied then."""

    def pour(self, data: Path, made: Any) -> dict[str, Any]:
        """Fill the store of a demo that does not run; gives what the load has to know of it."""


@dataclass(frozen=True, slots=True)
class Keyturn:
    """``keyturn serve --demo``, with what differs from its defaults.

    Args:
        algorithm: What every dialect signs with that can choose.
        apart: Tells two servers apart that are set up alike, where one line must not disturb another's data.
        clients: How many further clients its database has.
        workers: How many processes serve; 0 leaves the setting alone.
        postgres: Whether it keeps its data in PostgreSQL; otherwise in SQLite.
        stored: Whether there is a store on a disk; otherwise in memory (``unstored.py``), and it starts once.
        fill: What its store is filled with.
    """

    algorithm: str = "ES256"
    apart: str = ""
    clients: int = 0
    workers: int = 0
    postgres: bool = False
    stored: bool = True
    fill: Fill | None = None

    def start(self, place: Place) -> Server:
        """Start twice: the first start seeds the demo, the second is the one that is measured."""
        name = f"keyturn-{self.algorithm}{self.apart}-{self.clients}-{self.workers}-{self.postgres:d}"
        name += f"-{self.fill.name}" if self.fill else "" if self.stored else "-unstored"
        data = place.folder / name
        program = [str(Path(sys.executable).with_name("keyturn"))]
        command = [
            *(program if self.stored else [sys.executable, "-m", "bench.unstored"]),
            *("serve", "--demo", "--data", str(data)),
            *("--port", str(free_port()), "--management-port", str(free_port())),
        ]
        cluster = Cluster.start(place, name) if self.postgres else None
        environ = self._environ(place) | (cluster.environ if cluster else {})
        if not self.stored:
            process = place.start(name, command, {**environ, "PYTHONPATH": os.pathsep.join(sys.path)})
            return replace(self._seeded(data, process), trail=None)
        with ExitStack() as stack:
            process = place.inside(stack).start(f"{name}-seed", command, environ)
            server, made = self._seeded(data, process), None
            if self.fill:
                made = self.fill.begin(server)
        crowded = crowd.invite(data, self.clients) if self.clients else ()
        poured = self.fill.pour(data, made) if self.fill else {}
        began = time.monotonic()
        process = place.start(f"{name}-serve", command, environ)
        _answering(server.issue, process)
        took = time.monotonic() - began
        if self.workers > 1 and len(list(tree(process.pid))) <= self.workers:
            raise AbsentError(f"this Keyturn does not serve with {self.workers} workers")
        return replace(
            server,
            pids=(process.pid, cluster.pid) if cluster else (process.pid,),
            trail=PostgresTrail(cluster) if cluster else server.trail,
            crowd=crowded,
            poured=poured,
            started={READY: took, MEGABYTES: resident_megabytes(process.pid)},
        )

    def _seeded(self, data: Path, process: subprocess.Popen[bytes]) -> Server:
        """Wait until the demo is made, and say how it is asked."""
        _wait_for(data / "demo.json", process)
        told = json.loads((data / "demo.json").read_text())
        oauth2 = told["dialects"]["oauth2"]
        _answering(Request.form(oauth2["token_endpoint"], ""), process)
        base = oauth2["token_endpoint"].removesuffix("/token")
        return Server(
            pids=(process.pid,),
            token=f"{base}/token",
            introspection=f"{base}/introspect",
            revocation=f"{base}/revoke",
            proof=basic(oauth2["client_id"], oauth2["client_secret"]),
            algorithm=self.algorithm,
            trail=SqliteTrail(data / "keyturn.db"),
            demo=told["dialects"],
            admin=told["admin"],
        )

    def _environ(self, place: Place) -> dict[str, str]:
        chosen = {
            f"KEYTURN_DIALECT__{name.upper().replace('-', '_')}__ALGORITHM": self.algorithm
            for name, dialect in load_dialects().items()
            if any(setting.name == "algorithm" for setting in dialect.settings)
        }
        workers = {"KEYTURN_WORKERS": str(self.workers)} if self.workers else {}
        further = self.fill.environ if self.fill else {}
        return {"XDG_STATE_HOME": str(place.folder), **chosen, **workers, **further}


@dataclass(frozen=True, slots=True)
class SqliteTrail:
    """The audit trail in a file."""

    file: Path

    def count(self, rows: str) -> int:
        """Count the rows that match."""
        with closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as connection:
            return connection.execute(f"SELECT count(*) FROM audit WHERE {rows}").fetchone()[0]  # noqa: S608


def _answering(request: Request, process: subprocess.Popen[bytes]) -> None:
    try:
        ask_until_ready(request, lambda: process.poll() is None, START_SECONDS)
    except RuntimeError as error:
        raise UnfitError(f"keyturn: {error}") from error


def _wait_for(file: Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while not file.exists():
        if process.poll() is not None or time.monotonic() > until:
            raise UnfitError("keyturn did not start")
        time.sleep(0.01)
