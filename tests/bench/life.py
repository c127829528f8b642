"""What comes after a token was issued: its renewal, questions about it, and its end."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.load import Request, ask, ask_until_ready, collect
from bench.servers import CLIENT, FORM, Keyturn, Place, Subject, UnfitError, basic, free_port
from bench.talks import Follow, Talk, each_once, in_turns

ASKED_ABOUT = 256
"""How many tokens an introspection asks about in turns: each again and again, as an API gateway does."""
PREPARED_A_SECOND = 2000
"""How many tokens are made ahead for a second of requests that use one up; the round ends with the last."""
OFFLINE = FORM + "+offline_access"
RENEWED = "kind = 'token.issued' AND json_extract(details, '$.grant') = 'refresh_token'"
REVOKED = "kind = 'token.revoked'"


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server renews, introspects and revokes; ``issue`` gives a token to do that to."""

    pid: int
    token: str
    introspection: str
    revocation: str
    issue: Request
    proof: str
    store: Path | None = None

    def post(self, url: str, body: str) -> Request:
        """Make a request that the client proves."""
        return Request.form(url, body, (self.proof,))

    def about(self, url: str, token: str) -> bytes:
        """Write a request about an access token."""
        return self.post(url, f"token={token}&token_type_hint=access_token").raw

    def ask(self, url: str, body: str) -> dict[str, object]:
        """Send one request; an empty body counts as an empty object."""
        answer = ask(self.post(url, body))
        if answer.status != 200:
            raise UnfitError(f"{url}: status {answer.status}: {answer.body[:200]!r}")
        return json.loads(answer.body or b"{}")

    def prepare(self, count: int, connections: int) -> list[str]:
        """Have access tokens made."""
        return [json.loads(body)["access_token"] for body in collect(self.issue, count, connections)]


@dataclass(frozen=True, slots=True)
class Renewal(Subject):
    """Refresh tokens, one a connection, that are followed from successor to successor."""

    server: Server | None = None
    rotates: bool = True

    def talks(self, connections: int, seconds: float) -> list[Talk]:
        """Begin with a refresh token that nobody used."""
        bodies = collect(self.request, connections, min(connections, 8))
        return [Follow(json.loads(body)["refresh_token"], self._write) for body in bodies[:connections]]

    def _write(self, token: str) -> bytes:
        assert self.server is not None
        return self.server.post(self.server.token, f"grant_type=refresh_token&refresh_token={token}").raw

    def confirm(self) -> None:
        """Confirm that a refresh gives a signed token, and a successor where the report says so.

        Raises:
            UnfitError: It does not.
        """
        assert self.server is not None
        first = json.loads(ask(self.request).body)["refresh_token"]
        answer = ask(Request(self.request.host, self.request.port, self._write(first)))
        self.check(answer)
        if (json.loads(answer.body)["refresh_token"] != first) is not self.rotates:
            raise UnfitError(f"{self.key}: rotation is not what the report says")


@dataclass(frozen=True, slots=True)
class Introspection(Subject):
    """Questions about access tokens that are good.

    Args:
        again: Whether the same tokens are asked about again and again; otherwise each once.
    """

    server: Server | None = None
    again: bool = True

    def talks(self, connections: int, seconds: float) -> list[Talk]:
        """Have the tokens made, and write the questions."""
        assert self.server is not None
        count = ASKED_ABOUT if self.again else int(PREPARED_A_SECOND * seconds)
        tokens = self.server.prepare(count, connections)
        raws = [self.server.about(self.server.introspection, token) for token in tokens]
        return (in_turns if self.again else each_once)(raws, connections)

    def confirm(self) -> None:
        """Confirm that a good token is active and a made-up one is not.

        Raises:
            UnfitError: It is otherwise.
        """
        assert self.server is not None
        (good,) = self.server.prepare(1, 1)
        said = [
            self.server.ask(self.server.introspection, f"token={it}")["active"] for it in (good, "made-up")
        ]
        if said != [True, False]:
            raise UnfitError(f"{self.key}: of a good and a made-up token it says {said}")


@dataclass(frozen=True, slots=True)
class Revoking(Subject):
    """Access tokens that their owner gives back, each once."""

    server: Server | None = None

    def talks(self, connections: int, seconds: float) -> list[Talk]:
        """Have the tokens made, and write the requests."""
        assert self.server is not None
        tokens = self.server.prepare(int(PREPARED_A_SECOND * seconds), connections)
        raws = [self.server.about(self.server.revocation, token) for token in tokens]
        return each_once(raws, connections)

    def confirm(self) -> None:
        """Confirm that a token that is revoked is active no more.

        Raises:
            UnfitError: It still is.
        """
        assert self.server is not None
        (token,) = self.server.prepare(1, 1)
        self.server.ask(self.server.revocation, f"token={token}")
        if self.server.ask(self.server.introspection, f"token={token}")["active"] is not False:
            raise UnfitError(f"{self.key}: a revoked token is active")


def ours(keyturn: Keyturn) -> Server:
    """Say where a running Keyturn does all that, by its demo entry."""
    token = keyturn.members["token_endpoint"]
    proof = basic(keyturn.members["client_id"], keyturn.members["client_secret"])
    base = token.removesuffix("/token")
    return Server(
        *(keyturn.pid, token, base + "/introspect", base + "/revoke"),
        *(Request.form(token, FORM, (proof,)), proof, keyturn.data / "keyturn.db"),
    )


def theirs(place: Place, modules: Path) -> Server:
    """Start the peer from npm."""
    port = free_port()
    url, proof = f"http://127.0.0.1:{port}", basic(*CLIENT)
    script = modules / "oidc_provider_life.mjs"
    issue = Request.form(url + "/token", FORM, (proof,))
    process = place.start(
        "oidc-provider-life",
        [shutil.which("node") or "node", str(script), str(port), *CLIENT],
        {"NODE_ENV": "production"},
    )
    ask_until_ready(issue, lambda: process.poll() is None)
    return Server(
        *(process.pid, url + "/token", url + "/token/introspection", url + "/token/revocation"),
        *(issue, proof),
    )


def renewals(server: Server, peer: Server | None) -> Iterator[Subject]:
    """Measure refresh: ours rotates durably; theirs, in memory, does if it is told to."""
    seed = server.post(server.token, OFFLINE)
    yield Renewal("keyturn refresh", seed, server.pid, "ES256", server.store, RENEWED, server)
    if peer is not None:
        base = peer.token.removesuffix("/token")
        for label, path, rotates in (
            ("oidc-provider refresh", "/seed", False),
            ("oidc-provider refresh, rotating", "/seed/rotate", True),
        ):
            yield Renewal(
                *(label, peer.post(base + path, ""), peer.pid, "ES256"), server=peer, rotates=rotates
            )


def introspections(server: Server, peer: Server | None) -> Iterator[Subject]:
    """Measure introspection: ours of JWTs, theirs of opaque tokens in memory."""
    yield Introspection("keyturn introspection", server.issue, server.pid, None, server=server)
    yield Introspection(
        "keyturn introspection, each once", server.issue, server.pid, None, server=server, again=False
    )
    if peer is not None:
        yield Introspection("oidc-provider introspection", peer.issue, peer.pid, None, server=peer)


def revocations(server: Server, peer: Server | None) -> Iterator[Subject]:
    """Measure revocation of access tokens: ours durably, theirs of opaque tokens in memory."""
    yield Revoking("keyturn revocation", server.issue, server.pid, None, server.store, REVOKED, server)
    if peer is not None:
        yield Revoking("oidc-provider revocation", peer.issue, peer.pid, None, server=peer)
