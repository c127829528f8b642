"""Two nodes on one store: real processes of a production deployment, and requests let go at one moment.

with deployment(folder, store) as here, here.two_nodes() as nodes, Starter(2) as starter:
    answers = starter.together(lambda: nodes[0].ask(...), lambda: nodes[1].ask(...))
"""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from e2e.hand import Hand, hand
from e2e.servers import FORM, Answer, Caller, Node, Said, basic, run, serving, told

PUBLIC = "https://tokens.example"
DIALECTS = "oauth2,sahamati,vmware-csp"
PLENTY = "1000000"
SPARED = {
    f"KEYTURN_LIMITS__{kind}__{name}": PLENTY
    for kind in ("CLIENT", "USER", "ADDRESS", "ORGANISATION")
    for name in ("PER_MINUTE", "BURST")
}
"""Limits that no race meets."""
START_SECONDS = 60.0
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS = 240


@dataclass(frozen=True)
class Asker:
    """The oauth2 client of an organisation on a connection that is kept."""

    caller: Caller
    slug: str
    client_id: str
    client_secret: str

    def post(self, route: str, **fields: str) -> Answer:
        """Post a form as the client."""
        headers = {"Content-Type": FORM, "Authorization": basic(self.client_id, self.client_secret)}
        return self.caller.ask("POST", f"/o/{self.slug}/oauth2/{route}", urlencode(fields), headers)

    def begin(self) -> dict[str, Any]:
        """Get an access and a refresh token."""
        answer = self.post("token", grant_type="client_credentials", scope="read offline_access")
        assert answer.status == 200, answer
        return answer.json

    def renew(self, refresh_token: str) -> Answer:
        """Present a refresh token."""
        return self.post("token", grant_type="refresh_token", refresh_token=refresh_token)

    def active(self, token: str) -> bool:
        """Ask whether a token is good."""
        answer = self.post("introspect", token=token)
        assert answer.status == 200, answer
        return answer.json["active"]


class Signer:
    """An oauth2 client that proves itself by a key, each time with a ``jti`` of its own."""

    def __init__(self, here: "Deployment", slug: str = "acme") -> None:
        """Make a key and have its public half added."""
        self._private = generate_private_key(SECP256R1())
        public = self._private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        file = here.home / f"{uuid4()}.pem"
        file.write_bytes(public)
        self._client_id = here.members[slug]["oauth2"]["client_id"]
        self._issuer, self.path = f"{PUBLIC}/o/{slug}", f"/o/{slug}/oauth2/token"
        self._kid = here.told("key", "add", self._client_id, "--jwk", str(file))["kid"]

    def form(self) -> str:
        """Write a request for a token with a fresh assertion."""
        claims = {"iss": self._client_id, "sub": self._client_id, "aud": self._issuer, "jti": str(uuid4())}
        claims["exp"] = int(time.time()) + ASSERTION_SECONDS
        assertion = jwt.encode(claims, self._private, algorithm="ES256", headers={"kid": self._kid})
        fields = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION}
        return urlencode(fields | {"client_assertion": assertion})

    def present(self, caller: Caller, form: str) -> int:
        """Send a request that was written, for the first time or not; gives the status."""
        return caller.ask("POST", self.path, form, {"Content-Type": FORM}).status


@dataclass
class Deployment:
    """A deployment that was made for production, and what its organisations were given.

    Args:
        environ: Where its store is, and other settings.
        members: By organisation and dialect, what a demo would show.
    """

    data: Path
    home: Path
    environ: dict[str, str]
    members: dict[str, dict[str, Any]] = field(default_factory=dict)

    @contextlib.contextmanager
    def node(self, *flags: str, wrapper: Sequence[str] = (), **environ: str) -> Iterator[Node]:
        """Serve for a block."""
        with serving(
            self.data,
            self.home,
            "--public-url",
            PUBLIC,
            *flags,
            demo=False,
            environ=self.environ | environ,
            wrapper=wrapper,
            warm=not wrapper and "--workers" not in flags,
        ) as node:
            yield node

    @contextlib.contextmanager
    def two_nodes(self, **environ: str) -> Iterator[tuple[Node, Node]]:
        """Serve twice for a block."""
        with self.node(**environ) as first, self.node(**environ) as second:
            yield first, second

    @contextlib.contextmanager
    def hand(self) -> Iterator[Hand]:
        """Have an operator for a block."""
        with hand(self.data, self.home, self.environ) as one:
            yield one

    def run(self, *arguments: str, wrapper: Sequence[str] = ()) -> Said:
        """Run a command."""
        at = ("--data", str(self.data))
        return run(self.home, *arguments, *at, environ=self.environ, wrapper=wrapper)

    def told(self, *arguments: str) -> Any:
        """Run a command that must succeed."""
        return told(self.home, *arguments, "--data", str(self.data), environ=self.environ)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database from outside."""
        url = self.environ.get("KEYTURN_DATABASE_URL")
        if url is None:
            with closing(sqlite3.connect(self.data / "keyturn.db")) as store:
                return store.execute(query).fetchall()
        import psycopg

        with psycopg.connect(url) as store:
            return store.execute(query).fetchall()

    def is_intact(self) -> bool:
        """Follow the audit trail."""
        return self.told("audit", "verify")["intact"]

    def asker(self, caller: Caller, slug: str = "acme") -> Asker:
        """Be an organisation's oauth2 client, on somebody's connection to a node."""
        members = self.members[slug]["oauth2"]
        return Asker(caller, slug, members["client_id"], members["client_secret"])


def deploy(folder: Path, store: Mapping[str, str]) -> Deployment:
    """Make a deployment with two organisations and each dialect's demo in them.

    Args:
        store: The settings that say where its database is; none for a file in its folder.
    """
    environ = {"KEYTURN_DIALECTS": DIALECTS, **SPARED, **store}
    made = Deployment(folder / "data", folder / "home", environ)
    said = made.run("init")
    assert said.code == 0, said.err
    with made.hand() as operator:
        made.members = operator.done("plant", PUBLIC)
    return made


class Starter:
    """Threads that each make a request when all are there."""

    def __init__(self, runners: int) -> None:
        """Have that many."""
        self._pool = ThreadPoolExecutor(runners)
        self._gate = threading.Barrier(runners)

    def together(self, *requests: Callable[[], Any]) -> list[Any]:
        """Make as many requests as there are runners at one moment, and give their answers in order."""
        return list(self._pool.map(self._run, requests))

    def _run(self, request: Callable[[], Any]) -> Any:
        self._gate.wait(START_SECONDS)
        return request()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
