"""What one request is: a token, its renewal, a question about it, its end, or a dialect's golden sample.

A job is a value that is given a running server. It says what each connection of the load sends, confirms that
the server does what the report will say of it, and names the rows that each answer must have left.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from bench.load import RAMP_SECONDS, Request, ask, collect, run
from bench.server import FORM, Server, UnfitError, basic
from bench.talks import Follow, Repeat, Talk, each_once, in_turns
from e2e.samples import target
from harness import fill_sample
from keyturn.dialects import load_dialects
from keyturn.wire.golden import basic_members

ASKED_ABOUT = 256
"""How many tokens an introspection asks about in turns: each again and again, as an API gateway does."""
PREPARED_A_SECOND, MOST_PREPARED = 8_000, 12_000
"""How many tokens are made ahead for a second of requests that use one up, and for a go of any length, which
ends with the last. More than any server here uses up: a round of a few milliseconds tells nothing."""
CROWD_AT_ONCE, CROWD_SECONDS = 64, 60.0
"""How a crowd is asked to show up before it is measured, and the longest that may take."""
ISSUED = "kind = 'token.issued'"
REVOKED = "kind = 'token.revoked'"
STANDS_FOR = "a-token-that-is-put-in-later"


class Job(Protocol):
    """What one request is."""

    @property
    def rows(self) -> str:
        """The rows of the audit trail that answers leave, in SQL; empty for a job that changes nothing."""

    def at(self, server: Server) -> Request:
        """Give a request to whose host and port connections are made."""

    def talks(self, server: Server, connections: int, seconds: float) -> list[Talk]:
        """Say what each connection sends; ``seconds`` of it are wanted."""

    def confirm(self, server: Server) -> None:
        """Confirm that the server does what the report says it does.

        Raises:
            UnfitError: It does not.
        """


@dataclass(frozen=True, slots=True)
class Token:
    """A token for a client's secret.

    Args:
        crowd: Whether another client of many asks each time.
    """

    crowd: bool = False
    rows: str = ISSUED

    def at(self, server: Server) -> Request:
        """Give the request for a token."""
        return server.issue

    def talks(self, server: Server, connections: int, seconds: float) -> list[Talk]:
        """Ask for a token again and again."""
        if not self.crowd:
            return [Repeat(server.issue.raw) for _ in range(connections)]
        return in_turns(_crowded(server), connections)

    def confirm(self, server: Server) -> None:
        """Confirm that a token comes, signed as the report says."""
        server.check(ask(server.issue))
        if self.crowd:
            raws = _crowded(server)
            server.check(ask(Request(server.issue.host, server.issue.port, raws[-1])))
            # Else the larger crowd is the colder one: a client's first token costs reading it, and so does
            # the next, for its first use was noted.
            for _ in range(2):
                run(server.issue, each_once(raws, CROWD_AT_ONCE), CROWD_SECONDS, server.pids)


@dataclass(frozen=True, slots=True)
class Golden:
    """A dialect's golden sample, as its demo entry fills it.

    Args:
        dialect: Its name.
        sample: The sample's name.
        again: A sample that presents the refresh token of that one's answer, and then those of its own.
        first: Where the answer to ``sample`` has that refresh token.
        then: Where the answers to ``again`` have it.
    """

    dialect: str
    sample: str
    again: str = ""
    first: str = ""
    then: str = ""
    rows: str = ISSUED

    def at(self, server: Server) -> Request:
        """Give the request of the sample."""
        return self._request(server, self.sample)

    def talks(self, server: Server, connections: int, seconds: float) -> list[Talk]:
        """Send the sample again and again, or what it leads to."""
        if not self.again:
            return [Repeat(self.at(server).raw) for _ in range(connections)]
        write = self._writer(server)
        bodies = collect(self.at(server), connections, min(connections, 8))[:connections]
        return [Follow(found(body, self.first), write, self.then) for body in bodies]

    def confirm(self, server: Server) -> None:
        """Confirm that a token comes, signed as the report says, and that it is followed if it has to be."""
        answer = ask(self.at(server))
        server.check(answer)
        if self.again:
            first = found(answer.body, self.first)
            request = self.at(server)
            answer = ask(Request(request.host, request.port, self._writer(server)(first)))
            server.check(answer)
            if found(answer.body, self.then) == first:
                raise UnfitError(f"{self.dialect}: {self.again} does not rotate")

    def following(self, server: Server, before: str) -> Request:
        """Give the request of the sample, after that of the sample ``before`` was answered."""
        answered = json.loads(ask(self._request(server, before)).body)
        return self._request(server, self.sample, {"answer": answered})

    def _writer(self, server: Server) -> Callable[[str], bytes]:
        answered = nested(self.first, STANDS_FOR)
        pieces = self._request(server, self.again, {"answer": answered}).raw.split(STANDS_FOR.encode())
        # A token is as long as another, but not as what stands for it: only a header may hold it.
        if b"\r\n\r\n" not in pieces[-1]:
            raise UnfitError(f"{self.dialect}: {self.again} has its token in the body")
        return lambda token: token.encode().join(pieces)

    def _request(self, server: Server, name: str, more: Mapping[str, Any] = {}) -> Request:
        dialect = load_dialects()[self.dialect]
        members = {**server.demo[self.dialect], **more}
        sample = next(each for each in dialect.samples if each.name == name)
        pair = basic_members(dialect)
        proof = basic(*(members[each] for each in pair)).partition(": ")[2] if pair else ""
        filled = fill_sample(dialect, sample, members, proof)
        origin = "/".join(server.token.split("/", 3)[:3])
        return Request.of(filled.method, origin + target(filled), filled.body, filled.headers)


@dataclass(frozen=True, slots=True)
class Renewal:
    """Refresh tokens, one a connection, that are followed from successor to successor.

    Args:
        rotates: Whether each refresh must bring a successor; a peer is told by its seed.
    """

    rotates: bool = True
    rows: str = ISSUED

    def at(self, server: Server) -> Request:
        """Give the request that brings a first refresh token."""
        if server.seed:
            return server.post(server.seed + ("/rotate" if self.rotates else ""), "")
        return server.post(server.token, FORM + "+offline_access")

    def talks(self, server: Server, connections: int, seconds: float) -> list[Talk]:
        """Begin with refresh tokens that nobody used."""
        bodies = collect(self.at(server), connections, min(connections, 8))[:connections]
        return [Follow(found(body, "refresh_token"), refresh_with(server)) for body in bodies]

    def confirm(self, server: Server) -> None:
        """Confirm that a refresh gives a signed token, and a successor where the report says so."""
        request = self.at(server)
        first = found(ask(request).body, "refresh_token")
        answer = ask(Request(request.host, request.port, refresh_with(server)(first)))
        server.check(answer)
        if (found(answer.body, "refresh_token") != first) is not self.rotates:
            raise UnfitError(f"{server.token}: rotation is not what the report says")


@dataclass(frozen=True, slots=True)
class Introspection:
    """Questions about access tokens that are good.

    Args:
        again: Whether the same tokens are asked about again and again; otherwise each once.
    """

    again: bool = True
    rows: str = ""

    def at(self, server: Server) -> Request:
        """Give the request for a token to ask about."""
        return server.issue

    def talks(self, server: Server, connections: int, seconds: float) -> list[Talk]:
        """Have the tokens made, and write the questions."""
        count = ASKED_ABOUT if self.again else _to_use_up(seconds)
        raws = _about(server, server.introspection, server.prepare(count, connections))
        return (in_turns if self.again else each_once)(raws, connections)

    def confirm(self, server: Server) -> None:
        """Confirm that a good token is active and a made-up one is not."""
        (good,) = server.prepare(1, 1)
        said = [server.ask(server.introspection, f"token={it}")["active"] for it in (good, "made-up")]
        if said != [True, False]:
            raise UnfitError(f"{server.introspection}: of a good and a made-up token it says {said}")


@dataclass(frozen=True, slots=True)
class Revocation:
    """Access tokens that their owner gives back, each once."""

    rows: str = REVOKED

    def at(self, server: Server) -> Request:
        """Give the request for a token to revoke."""
        return server.issue

    def talks(self, server: Server, connections: int, seconds: float) -> list[Talk]:
        """Have the tokens made, and write the requests."""
        tokens = server.prepare(_to_use_up(seconds), connections)
        return each_once(_about(server, server.revocation, tokens), connections)

    def confirm(self, server: Server) -> None:
        """Confirm that a token that is revoked is active no more."""
        (token,) = server.prepare(1, 1)
        server.ask(server.revocation, f"token={token}")
        if server.ask(server.introspection, f"token={token}")["active"] is not False:
            raise UnfitError(f"{server.revocation}: a revoked token is active")


def _to_use_up(seconds: float) -> int:
    return min(MOST_PREPARED, int(PREPARED_A_SECOND * (RAMP_SECONDS + seconds)))


def _crowded(server: Server) -> list[bytes]:
    return [Request.form(server.token, server.body, (basic(*each),)).raw for each in server.crowd]


def found(body: bytes, path: str) -> str:
    """Read a member of an answer; a point goes a level down."""
    value = json.loads(body)
    for name in path.split("."):
        value = value[name]
    return value


def nested(path: str, value: str) -> Any:
    """Make the object in which ``found`` finds a value."""
    made: Any = value
    for name in reversed(path.split(".")):
        made = {name: made}
    return made


def refresh_with(server: Server) -> Callable[[str], bytes]:
    """Give what writes a refresh."""
    head = "grant_type=refresh_token&refresh_token="
    return lambda token: server.post(server.token, head + token).raw


def _about(server: Server, url: str, tokens: list[str]) -> list[bytes]:
    return [server.post(url, f"token={token}&token_type_hint=access_token").raw for token in tokens]
