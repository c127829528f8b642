"""A running server as the load sees it: where it does what, and whose processor time that costs."""

import base64
import json
import os
import socket
import subprocess
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from bench.load import Answer, Request, ask, collect
from bench.processes import running

CLIENT = ("00000000-0000-4000-8000-000000000001", "bench-secret-that-is-as-long-as-one-of-keyturn-is")
FORM = "grant_type=client_credentials&scope=read+write"
OURS = "KEYTURN_"


class UnfitError(Exception):
    """A server that answers something else than was asked: then its figures would be worth nothing."""


class AbsentError(Exception):
    """A server that cannot be had on this machine; the text says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where servers run, and what ends them.

    Args:
        folder: Gone with the run.
        scratch: Kept between runs: what was installed.
        cores: Which they are pinned to.
    """

    folder: Path
    scratch: Path
    cores: AbstractSet[int]
    stack: ExitStack

    def start(
        self, name: str, command: list[str], environ: Mapping[str, str] = {}
    ) -> subprocess.Popen[bytes]:
        """Start a server that ends with the run; settings of Keyturn that the caller exported are not its."""
        log = self.folder / f"{name}.log"
        inherited = {key: text for key, text in os.environ.items() if not key.startswith(OURS)}
        return self.stack.enter_context(running(command, self.cores, log, {**inherited, **environ}))

    def last_words(self, name: str) -> str:
        """Give the end of what a server said."""
        lines = (self.folder / f"{name}.log").read_text(errors="replace").splitlines()
        return " / ".join(lines[-2:])

    def inside(
        self, stack: ExitStack, folder: Path | None = None, also: AbstractSet[int] = frozenset()
    ) -> "Place":
        """Give a place where something else ends what is started, and which has more cores."""
        return Place(folder or self.folder, self.scratch, self.cores | also, stack)


class Trail(Protocol):
    """The audit trail of a server that keeps one, read from outside of it."""

    def count(self, rows: str) -> int:
        """Count the rows that match a condition in SQL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server.

    Args:
        pids: The roots of the process trees whose processor time its answers cost.
        token: The URL of its token endpoint; the next two are those of its other endpoints, if it has them.
        seed: Where a peer gives out refresh tokens that the bench could not get otherwise.
        proof: The header by which the client proves itself.
        algorithm: What its tokens must be signed with; None for a server that makes none.
        trail: Where a change that was answered must be found; None for a server that keeps nothing.
        demo: The dialects' objects of ``demo.json``.
        admin: Its object about the admin API.
        crowd: Further clients, as pairs of name and secret.
        poured: What the load has to know of what the store was filled with.
        started: Figures of its start, by name.
    """

    pids: tuple[int, ...]
    token: str
    introspection: str = ""
    revocation: str = ""
    seed: str = ""
    proof: str
    algorithm: str | None
    body: str = FORM
    trail: Trail | None = None
    demo: Mapping[str, Any] = field(default_factory=dict)
    admin: Mapping[str, str] = field(default_factory=dict)
    crowd: tuple[tuple[str, str], ...] = ()
    poured: dict[str, Any] = field(default_factory=dict)
    started: Mapping[str, float] = field(default_factory=dict)

    @property
    def issue(self) -> Request:
        """The request for a token with the client's own secret."""
        return self.post(self.token, self.body)

    def post(self, url: str, body: str) -> Request:
        """Make a request that the client proves."""
        return Request.form(url, body, (self.proof,))

    def ask(self, url: str, body: str) -> dict[str, Any]:
        """Send one request; an empty body counts as an empty object.

        Raises:
            UnfitError: It is refused.
        """
        answer = ask(self.post(url, body))
        if answer.status != 200:
            raise UnfitError(f"{url}: status {answer.status}: {answer.body[:200]!r}")
        return json.loads(answer.body or b"{}")

    def prepare(self, count: int, connections: int) -> list[str]:
        """Have access tokens made."""
        return [json.loads(body)["access_token"] for body in collect(self.issue, count, connections)]

    def check(self, answer: Answer) -> None:
        """Confirm that an answer is what the report says it is.

        Raises:
            UnfitError: It is no token, or one that is signed otherwise.
        """
        if answer.status != 200:
            raise UnfitError(f"{self.token}: status {answer.status}: {answer.body[:200]!r}")
        if self.algorithm is not None and algorithm_of(answer.body) != self.algorithm:
            raise UnfitError(f"{self.token}: the token is not signed with {self.algorithm}")


class Setup(Protocol):
    """How a server is set up; two lines whose set-ups are equal share one server."""

    def start(self, place: Place) -> Server:
        """Start it, and wait until it answers.

        Raises:
            AbsentError: It cannot be had here.
            UnfitError: It does not start.
        """


def algorithm_of(body: bytes) -> str:
    """Read the signature algorithm from the first signed token in an answer, whatever member holds it."""
    at = body.index(b'"eyJ')
    head = body[at + 1 :].partition(b".")[0]
    return json.loads(base64.urlsafe_b64decode(head + b"=" * (-len(head) % 4)))["alg"]


def claims_of(token: str) -> dict[str, Any]:
    """Read the claims of a signed token, unproved."""
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def basic(owner: str, secret: str) -> str:
    """Write client authentication as a header."""
    return "Authorization: Basic " + base64.b64encode(f"{owner}:{secret}".encode()).decode()


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
