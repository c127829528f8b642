"""The servers that are measured: how each is started, and the request that it is given."""

import base64
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.load import Answer, Request, ask, ask_until_ready
from bench.processes import resident_megabytes, running
from bench.talks import Repeat, Talk
from e2e.npm import install

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
CLIENT = ("00000000-0000-4000-8000-000000000001", "bench-secret-that-is-as-long-as-one-of-keyturn-is")
FORM = "grant_type=client_credentials&scope=read+write"


class UnfitError(Exception):
    """A server that cannot be measured, or answers something else than was asked; the text says why."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One line of the report: a request to a running server.

    Args:
        key: Its name in the report and among the targets.
        algorithm: What its tokens must be signed with; None for a server that makes none.
        store: Where an answered request must have left a row; None for a server that keeps nothing.
        rows: Which rows of the audit trail those are, in SQL.
    """

    key: str
    request: Request
    pid: int
    algorithm: str | None
    store: Path | None = None
    rows: str = "kind = 'token.issued'"

    def talks(self, connections: int, seconds: float) -> list[Talk]:
        """Say what each connection sends; ``seconds`` of it are wanted."""
        return [Repeat(self.request.raw) for _ in range(connections)]

    def confirm(self) -> None:
        """Confirm that the server does what the report says it does.

        Raises:
            UnfitError: It does not.
        """
        self.check(ask(self.request))

    def check(self, answer: Answer) -> None:
        """Confirm that an answer is what the report says it is.

        Raises:
            UnfitError: It is no token, or one that is signed otherwise.
        """
        if answer.status != 200:
            raise UnfitError(f"{self.key}: status {answer.status}: {answer.body[:200]!r}")
        if self.algorithm is not None and algorithm_of(answer.body) != self.algorithm:
            raise UnfitError(f"{self.key}: the token is not signed with {self.algorithm}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where servers run, and what ends them."""

    folder: Path
    core: int
    stack: ExitStack

    def start(
        self, name: str, command: list[str], environ: Mapping[str, str] = {}
    ) -> subprocess.Popen[bytes]:
        """Start a server that ends with the run; settings of Keyturn that the caller exported are not its."""
        log = self.folder / f"{name}.log"
        inherited = {key: text for key, text in os.environ.items() if not key.startswith("KEYTURN_")}
        return self.stack.enter_context(running(command, self.core, log, {**inherited, **environ}))


def algorithm_of(body: bytes) -> str:
    """Read the signature algorithm from the token in an answer."""
    head = json.loads(body)["access_token"].partition(".")[0]
    return json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["alg"]


def basic(owner: str, secret: str) -> str:
    """Write client authentication as a header."""
    return "Authorization: Basic " + base64.b64encode(f"{owner}:{secret}".encode()).decode()


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def bare(place: Place) -> Subject:
    """Start the application that only reads a form and answers JSON."""
    port = free_port()
    request = Request.form(f"http://127.0.0.1:{port}/o/acme/oauth2/token", FORM, (basic(*CLIENT),))
    server = place.start("bare", [sys.executable, str(HERE / "bare_app.py"), str(port)])
    ask_until_ready(request, lambda: server.poll() is None)
    return Subject("bare", request, server.pid, None)


def oidc_provider(place: Place, modules: Path, algorithm: str) -> Subject:
    """Start the peer from npm."""
    port = free_port()
    script = modules / "oidc_provider.mjs"
    request = Request.form(f"http://127.0.0.1:{port}/token", FORM, (basic(*CLIENT),))
    server = place.start(
        f"oidc-provider-{algorithm}",
        [shutil.which("node") or "node", str(script), str(port), algorithm, *CLIENT],
        {"NODE_ENV": "production"},
    )
    ask_until_ready(request, lambda: server.poll() is None)
    return Subject(f"oidc-provider {algorithm}", request, server.pid, algorithm)


@dataclass(frozen=True, slots=True)
class Keyturn:
    """A running Keyturn, as ``keyturn serve --demo`` starts it, and what its start took."""

    pid: int
    data: Path
    algorithm: str
    ready_seconds: float
    megabytes: float
    members: dict[str, Any]

    def subject(self, dialect: str = "oauth2") -> Subject:
        """Name a dialect's exchange of a client's secret as something to measure."""
        label = "" if dialect == "oauth2" else f" {dialect}"
        return Subject(
            f"keyturn{label} {self.algorithm}",
            request_of(dialect, self.members),
            self.pid,
            self.algorithm,
            self.data / "keyturn.db",
        )


def request_of(dialect: str, members: Mapping[str, Any]) -> Request:
    """Make the request that a dialect's contract has for a client's secret, from its demo entry."""
    owner, secret = members["client_id"], members["client_secret"]
    if dialect == "oauth2":
        return Request.form(members["token_endpoint"], FORM, (basic(owner, secret),))
    body = f"grant_type=client_credentials&client_id={owner}&client_secret={secret}"
    return Request.form(members["token_url"], body)


def keyturn(place: Place, algorithm: str, dialect: str = "oauth2", label: str = "") -> Keyturn:
    """Start Keyturn twice: the first start seeds the demo, the second is the one that is measured."""
    data = place.folder / f"keyturn-{dialect}-{algorithm}{label}"
    command = [
        str(Path(sys.executable).with_name("keyturn")),
        *("serve", "--demo", "--data", str(data)),
        *("--port", str(free_port()), "--management-port", str(free_port())),
    ]
    environ = {
        f"KEYTURN_DIALECT__{dialect.upper()}__ALGORITHM": algorithm,
        "XDG_STATE_HOME": str(place.folder),
    }
    members: dict[str, Any] = {}
    for attempt in ("seed", "serve"):
        with ExitStack() as stack:
            inner = Place(place.folder, place.core, stack)
            began = time.monotonic()
            server = inner.start(f"{data.name}-{attempt}", command, environ)
            if not members:
                members = _members(data, dialect, server)
            request = request_of(dialect, members)
            ask_until_ready(request, lambda server=server: server.poll() is None)
            took = time.monotonic() - began
            if attempt == "serve":
                place.stack.push(stack.pop_all())
    return Keyturn(server.pid, data, algorithm, took, resident_megabytes(server.pid), members)


def _members(data: Path, dialect: str, server: subprocess.Popen[bytes]) -> dict[str, Any]:
    file = data / "demo.json"
    until = time.monotonic() + 15
    while not file.exists():
        if server.poll() is not None or time.monotonic() > until:
            raise UnfitError("keyturn did not start")
        time.sleep(0.01)
    return json.loads(file.read_text())["dialects"][dialect]


def rows_kept(store: Path, rows: str) -> int:
    """Count what an audit trail has, from outside the server."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        return connection.execute(f"SELECT count(*) FROM audit WHERE {rows}").fetchone()[0]  # noqa: S608


def install_peers(folder: Path) -> Path | str:
    """Install the peers from npm into a folder that is no part of the repository.

    Returns:
        The folder, or why there are none.
    """
    return install(PEERS, folder / "peers")
