"""Keyturn as a server to measure: the demo, started again on data that is already there."""

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from bench import crowd
from bench.database import Cluster, PostgresTrail
from bench.load import Request, ask_until_ready
from bench.processes import resident_megabytes, tree
from bench.server import FORM, AbsentError, Place, Server, UnfitError, basic, free_port
from keyturn.dialects import load_dialects

START_SECONDS = 30.0
READY, MEGABYTES = "ready_seconds", "megabytes"


@dataclass(frozen=True, slots=True)
class Keyturn:
    """``keyturn serve --demo``, with what differs from its defaults.

    Args:
        algorithm: What every dialect signs with that can choose.
        apart: Tells two servers apart that are set up alike, where one line must not disturb another's data.
        clients: How many further clients its database has.
        workers: How many processes serve; 0 leaves the setting alone.
        postgres: Whether it keeps its data in PostgreSQL; otherwise in SQLite.
    """

    algorithm: str = "ES256"
    apart: str = ""
    clients: int = 0
    workers: int = 0
    postgres: bool = False

    def start(self, place: Place) -> Server:
        """Start twice: the first start seeds the demo, the second is the one that is measured."""
        name = f"keyturn-{self.algorithm}{self.apart}-{self.clients}-{self.workers}-{self.postgres:d}"
        data = place.folder / name
        command = [
            str(Path(sys.executable).with_name("keyturn")),
            *("serve", "--demo", "--data", str(data)),
            *("--port", str(free_port()), "--management-port", str(free_port())),
        ]
        cluster = Cluster.start(place, name) if self.postgres else None
        environ = self._environ(place) | (cluster.environ if cluster else {})
        members = _seeded(place, f"{name}-seed", command, environ, data)
        crowded = crowd.invite(data, self.clients) if self.clients else ()
        oauth2 = members["oauth2"]
        base = oauth2["token_endpoint"].removesuffix("/token")
        proof = basic(oauth2["client_id"], oauth2["client_secret"])
        began = time.monotonic()
        process = place.start(f"{name}-serve", command, environ)
        _answering(Request.form(f"{base}/token", FORM, (proof,)), process)
        took = time.monotonic() - began
        if self.workers > 1 and len(list(tree(process.pid))) <= self.workers:
            raise AbsentError(f"this Keyturn does not serve with {self.workers} workers")
        return Server(
            pids=(process.pid, cluster.pid) if cluster else (process.pid,),
            token=f"{base}/token",
            introspection=f"{base}/introspect",
            revocation=f"{base}/revoke",
            proof=proof,
            algorithm=self.algorithm,
            trail=PostgresTrail(cluster) if cluster else SqliteTrail(data / "keyturn.db"),
            demo=members,
            crowd=crowded,
            started={READY: took, MEGABYTES: resident_megabytes(process.pid)},
        )

    def _environ(self, place: Place) -> dict[str, str]:
        chosen = {
            f"KEYTURN_DIALECT__{name.upper().replace('-', '_')}__ALGORITHM": self.algorithm
            for name, dialect in load_dialects().items()
            if any(setting.name == "algorithm" for setting in dialect.settings)
        }
        workers = {"KEYTURN_WORKERS": str(self.workers)} if self.workers else {}
        return {"XDG_STATE_HOME": str(place.folder), **chosen, **workers}


@dataclass(frozen=True, slots=True)
class SqliteTrail:
    """The audit trail in a file."""

    file: Path

    def count(self, rows: str) -> int:
        """Count the rows that match."""
        with closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as connection:
            return connection.execute(f"SELECT count(*) FROM audit WHERE {rows}").fetchone()[0]  # noqa: S608


def _seeded(
    place: Place, name: str, command: list[str], environ: dict[str, str], data: Path
) -> dict[str, dict[str, object]]:
    """Start once, and end it when the demo is made."""
    with ExitStack() as stack:
        process = place.inside(stack).start(name, command, environ)
        _wait_for(data / "demo.json", process)
        members = json.loads((data / "demo.json").read_text())["dialects"]
        _answering(Request.form(members["oauth2"]["token_endpoint"], ""), process)
    return members


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
