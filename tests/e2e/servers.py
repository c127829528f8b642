"""Keyturn as processes: a server that always ends, the CLI beside it, and requests to both.

    with serving(folder, home) as node:
        answer = node.token("oauth2")

Ports are the kernel's choice; a node tells in its log where it listens.
"""

import base64
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

from warm import Forked, start

KEYTURN = str(Path(sys.executable).with_name("keyturn"))
FORM = "application/x-www-form-urlencoded"
START_SECONDS = 40.0
"""How long a start may take on a machine that does other things too; no promise of ours."""
STOP_SECONDS = 15.0
SOON_SECONDS = 15.0
"""How long what happens within a second may take on such a machine."""


def environment(home: Path, extra: Mapping[str, str] = {}) -> dict[str, str]:
    """Give an environment without settings, whose latest demo is not that of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KEYTURN_")}
    return {**kept, "HOME": str(home), "XDG_STATE_HOME": str(home / "state"), **extra}


@dataclass(frozen=True)
class Answer:
    """What came back for one request; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    @property
    def json(self) -> Any:
        """The body, which must be JSON."""
        return json.loads(self.body)

    def seen(self) -> tuple[int, dict[str, str], bytes]:
        """Everything but what is different each time, to compare two answers byte for byte."""
        request_id = self.headers.get("x-request-id", "none")
        headers = {name: value for name, value in self.headers.items() if name != "x-request-id"}
        return self.status, headers, self.body.replace(request_id.encode(), b"<request>")


class Caller:
    """One connection that is kept; after a lost one the next request makes another."""

    def __init__(self, url: str, timeout: float = 30.0) -> None:
        parts = urlsplit(url)
        self._connection = HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)

    def ask(
        self, method: str, target: str, body: bytes | str | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        """Send a request and read its whole answer."""
        began = time.monotonic()
        kept = self._connection.sock
        if kept is not None and select.select([kept], [], [], 0)[0]:
            self._connection.close()  # the server has closed it; every pool looks before it sends
        try:
            self._connection.request(method, target, body, dict(headers))
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, HTTPException):
            self._connection.close()
            raise
        pairs = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, pairs, content, time.monotonic() - began)

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def ask(
    url: str,
    method: str = "GET",
    body: bytes | str | None = None,
    headers: Mapping[str, str] = {},
    timeout: float = 30.0,
) -> Answer:
    """Send one request on a connection of its own."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with Caller(url, timeout) as caller:
        return caller.ask(method, target, body, headers)


def basic(owner: str, secret: str) -> str:
    """Write client authentication as a header's value, both parts form-encoded (RFC 6749 section 2.3.1)."""
    clear = f"{quote(owner, safe='')}:{quote(secret, safe='')}"
    return "Basic " + base64.b64encode(clear.encode()).decode()


@dataclass(frozen=True)
class Client:
    """A client of a dialect, as somebody who was given its credentials sees it."""

    dialect: str
    path: str
    client_id: str
    client_secret: str

    def form(self, **changes: Any) -> str:
        """Write the plain request of the dialect as a form; a change of None leaves a field out."""
        fields = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
        } | changes
        return urlencode({name: value for name, value in fields.items() if value is not None}, doseq=True)

    def post(self, caller: Caller, **changes: Any) -> Answer:
        """Ask for a token over a connection that is kept."""
        return caller.ask("POST", self.path, self.form(**changes), {"Content-Type": FORM})


def token_path(dialect: str, slug: str = "acme") -> str:
    """Name the path of a dialect's token endpoint."""
    return {"oauth2": f"/o/{slug}/oauth2/token", "endorsed": "/api/v1/auth/tokens"}[dialect]


def error_of(dialect: str, answer: Answer) -> str:
    """Read the error code where the dialect has it, and confirm that nothing else stands in its place."""
    content = answer.json
    assert "access_token" not in content
    if dialect == "oauth2":
        assert set(content) <= {"error", "error_description"}, content
        return content["error"]
    assert set(content) == {"is_error", "error"}, content
    assert content["is_error"] is True
    assert set(content["error"]) == {"code", "issues"}, content
    assert all(set(issue) == {"message"} for issue in content["error"]["issues"]), content
    return content["error"]["code"]


@dataclass
class Node:
    """A running server process, where it listens, and the files it writes."""

    process: "subprocess.Popen[bytes] | Forked"
    data: Path | None
    home: Path
    out: Path
    log: Path
    url: str = ""
    management: str = ""
    kept: dict[str, Any] = field(default_factory=dict)

    def ask(self, method: str, target: str, body: bytes | str | None = None, **headers: str) -> Answer:
        """Send one request; keyword ``Content_Type`` is header ``Content-Type``."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return ask(self.url + target, method, body, named)

    def demo(self) -> dict[str, Any]:
        """Read ``demo.json``."""
        assert self.data is not None
        return json.loads((self.data / "demo.json").read_bytes())

    def client(self, dialect: str, slug: str = "acme") -> Client:
        """Give a demo client."""
        if not self.kept:
            self.kept = self.demo()
        members = self.kept["dialects" if slug == "acme" else "other"][dialect]
        return Client(dialect, token_path(dialect, slug), members["client_id"], members["client_secret"])

    def token(self, dialect: str, slug: str = "acme", **changes: Any) -> Answer:
        """Ask for a token on a connection of its own."""
        with Caller(self.url) as caller:
            return self.client(dialect, slug).post(caller, **changes)

    def health(self, name: str = "ready") -> int:
        """Ask the management listener; gives the status."""
        return ask(f"{self.management}/health/{name}").status

    def events(self) -> list[dict[str, Any]]:
        """Read the log lines, which must all be JSON objects."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def command_line(self) -> bytes:
        """Read what every user of the machine may see of the process."""
        return Path(f"/proc/{self.process.pid}/cmdline").read_bytes() if sys.platform == "linux" else b""

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and give the exit code; a server that does not end is killed."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()


@contextlib.contextmanager
def starting(
    data: Path | None,
    home: Path,
    *flags: str,
    demo: bool = True,
    environ: Mapping[str, str] = {},
    wrapper: Sequence[str] = (),
    warm: bool = False,
) -> Iterator[Node]:
    """Start a server and do not wait for it; it is ended at the end of the block, whatever happens there.

    Args:
        data: Its folder; None where it shall find one by itself.
        home: Of the user that it runs as; keeps what it writes.
        wrapper: What stands before the command.
        warm: Whether what it loads is loaded already: for tests that are not about a start.
    """
    home.mkdir(parents=True, exist_ok=True)
    number = len(list(home.glob("*.log")))
    out, log = home / f"{number}.out", home / f"{number}.log"
    folder = ["--data", str(data)] if data else []
    ports = [] if "--port" in flags else ["--port", "0"]
    ports += [] if "--management-port" in flags else ["--management-port", "0"]
    words = ["serve", *(["--demo"] if demo else []), *folder, *ports, *flags]
    environ = environment(home, environ)
    process: subprocess.Popen[bytes] | Forked
    with Path(os.devnull).open() as nothing, out.open("wb") as stdout, log.open("wb") as stderr:
        if warm:
            files = (nothing.fileno(), stdout.fileno(), stderr.fileno())
            process = start("keyturn", words, environ, Path.cwd(), files)
        else:
            command = [*wrapper, KEYTURN, *words]
            process = subprocess.Popen(command, stdin=nothing, stdout=stdout, stderr=stderr, env=environ)
    node = Node(process, data, home, out, log)
    try:
        yield node
    finally:
        node.stop()


@contextlib.contextmanager
def serving(
    data: Path | None,
    home: Path,
    *flags: str,
    demo: bool = True,
    environ: Mapping[str, str] = {},
    wrapper: Sequence[str] = (),
    warm: bool = False,
    check: str = "ready",
) -> Iterator[Node]:
    """Start a server, wait until it is ready (or what ``check`` says), and end it at the end of the block."""
    with starting(data, home, *flags, demo=demo, environ=environ, wrapper=wrapper, warm=warm) as node:
        wait_ready(node, check)
        yield node


def wait_ready(node: Node, check: str = "ready") -> None:
    """Wait for the log to say where the server listens, then for ``/health/ready`` or another check."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and node.process.poll() is None:
        lines = [line for line in node.log.read_text().splitlines() if '"serving"' in line]
        if lines:
            said = json.loads(lines[0])
            node.url, node.management = said["address"], said["management"]
            with contextlib.suppress(OSError, HTTPException):
                if node.health(check) == 200:
                    return
        time.sleep(0.02)
    message = f"not ready (exit code {node.process.poll()}): {node.log.read_text()[-2000:]}"
    raise AssertionError(message)


@dataclass(frozen=True)
class Said:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The output, which must be JSON."""
        return json.loads(self.out)


def run(
    home: Path,
    *arguments: str,
    environ: Mapping[str, str] = {},
    cwd: Path | None = None,
    typed: str = "",
    wrapper: Sequence[str] = (),
) -> Said:
    """Run a ``keyturn`` command to its end, with something on its standard input."""
    home.mkdir(parents=True, exist_ok=True)
    if not wrapper and not {"serve", "PYTHONPATH"} & {*arguments[:1], *environ}:
        return _run_warm(arguments, environment(home, environ), cwd or home, typed)
    done = subprocess.run(
        [*wrapper, KEYTURN, *arguments],
        input=typed,
        capture_output=True,
        text=True,
        env=environment(home, environ),
        cwd=cwd or home,
        timeout=START_SECONDS,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def _run_warm(arguments: Sequence[str], environ: Mapping[str, str], folder: Path, typed: str) -> Said:
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8")) for _ in range(3)]
        files[0].write(typed)
        files[0].seek(0)
        process = start("keyturn", arguments, environ, folder, [file.fileno() for file in files])
        try:
            code = process.wait(START_SECONDS)
        finally:
            process.kill()
        for file in files[1:]:
            file.seek(0)
        return Said(code, files[1].read(), files[2].read())


def told(home: Path, *arguments: str, environ: Mapping[str, str] = {}) -> Any:
    """Run a command that must succeed, and give its answer as JSON."""
    said = run(home, *arguments, "--format", "json", environ=environ)
    assert said.code == 0, said.err
    return said.json


def within(seconds: float, holds: Any) -> float:
    """Wait until something holds, and give how long that took; fail after ``seconds``."""
    began = time.monotonic()
    while True:
        if holds():
            return time.monotonic() - began
        assert time.monotonic() - began < seconds, f"not within {seconds} s"
        time.sleep(0.02)
