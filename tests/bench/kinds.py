"""What a deployment grows by: how it is filled, what is asked then, and what upkeep does meanwhile."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from bench.fills import Audit, Families, Organisations, Revocations
from bench.jobs import ISSUED, Golden, Introspection, Job, Renewal, Token, refresh_with
from bench.load import Request, ask
from bench.ours import Fill
from bench.server import FORM, Server, UnfitError, basic
from bench.talks import Follow, TakeTurns, Talk, in_turns

DRAWN = 30_000
"""Requests of a made-up order in which organisations ask: no cache finds it easier or harder than chance."""


@dataclass(frozen=True, slots=True)
class Members:
    """A token for one of many organisations' clients, drawn by lot."""

    rows: str = ISSUED

    def at(self, server: Server) -> Request:
        """Give the request of the first."""
        return self.each(server)[0]

    def each(self, server: Server) -> list[Request]:
        """Give the request of each."""
        return [
            Request.form(server.token.replace("/o/acme/", f"/o/{slug}/"), FORM, (basic(client, secret),))
            for slug, client, secret in server.poured["members"]
        ]

    def talks(self, server: Server, connections: int, seconds: float) -> list[Talk]:
        """Have them ask in a made-up order."""
        raws = [request.raw for request in self.each(server)]
        return in_turns(random.Random(7).choices(raws, k=DRAWN), connections)  # noqa: S311  # the same in each run

    def confirm(self, server: Server) -> None:
        """Confirm that the first and the last get a token."""
        every = self.each(server)
        for request in (every[0], every[-1]):
            server.check(ask(request))


@dataclass(frozen=True, slots=True)
class Renewals:
    """Refreshes, each of another family than the last: memory has none of them."""

    rows: str = ISSUED

    def at(self, server: Server) -> Request:
        """Give a request to whose host and port connections are made."""
        return server.issue

    def talks(self, server: Server, connections: int, seconds: float) -> list[Talk]:
        """Share the families among the connections, which go on where the last round ended."""
        write = refresh_with(server)
        kept = server.poured.setdefault("talks", {})
        if not kept:
            kept[0] = [Follow(token, write) for token in server.poured["refresh"]]
        if connections not in kept:
            kept[connections] = [TakeTurns(kept[0][at::connections]) for at in range(connections)]
        return kept[connections]

    def confirm(self, server: Server) -> None:
        """Confirm that a family that was multiplied is renewed."""
        token = server.poured["refresh"].pop()
        request = server.issue
        server.check(ask(Request(request.host, request.port, refresh_with(server)(token))))


@dataclass(frozen=True, slots=True)
class Births:
    """Tokens that bring a new refresh family each."""

    rows: str = ISSUED

    def at(self, server: Server) -> Request:
        """Give the request."""
        return server.post(server.token, f"{FORM}+offline_access")

    def talks(self, server: Server, connections: int, seconds: float) -> list[Talk]:
        """Ask again and again."""
        return in_turns([self.at(server).raw], connections)

    def confirm(self, server: Server) -> None:
        """Confirm that a token comes."""
        server.check(ask(self.at(server)))


@dataclass(frozen=True, slots=True)
class Living:
    """Introspection of good tokens among many that are dead."""

    rows: str = ""

    def at(self, server: Server) -> Request:
        """Give the request for a token to ask about."""
        return server.issue

    def talks(self, server: Server, connections: int, seconds: float) -> list[Talk]:
        """Ask about tokens again and again."""
        return Introspection().talks(server, connections, seconds)

    def confirm(self, server: Server) -> None:
        """Confirm that what was revoked in the store alone is dead and what was not is alive."""
        for tokens, wanted in ((server.poured["good"], True), (server.poured["dead"], False)):
            for token in tokens:
                if server.ask(server.introspection, f"token={token}")["active"] is not wanted:
                    raise UnfitError(f"{server.introspection}: a token is not as the store says")


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who a bearer is (vmware-csp's userinfo), with the same good token again and again."""

    rows: str = ""

    def at(self, server: Server) -> Request:
        """Give the request."""
        return Golden("vmware-csp", "who the user is").following(server, "API token")

    def talks(self, server: Server, connections: int, seconds: float) -> list[Talk]:
        """Ask again and again."""
        return in_turns([self.at(server).raw], connections)

    def confirm(self, server: Server) -> None:
        """Confirm that it is answered."""
        answer = ask(self.at(server))
        if answer.status != 200:
            raise UnfitError(f"userinfo: status {answer.status}: {answer.body[:200]!r}")


@dataclass(frozen=True, slots=True)
class Chore:
    """A job of upkeep beside which requests are measured.

    Args:
        job: Its name in the lease.
        prepare: SQL that gives it something to do, ``:now`` in microseconds and ``:most`` rows of it.
        counts: SQL that counts what it has deleted or has still to delete.
    """

    job: str
    counts: str
    prepare: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """Something that a deployment has more of as it grows.

    Args:
        name: As ``--only`` has it.
        fill: Makes what a store is filled with, for a size.
        sizes: The first is the one that the others are compared to.
        jobs: What is asked, by name.
        first: Whether the first sight of each is measured, before anything is remembered.
        beside: What goes on at the end, at the largest size.
    """

    name: str
    says: str
    fill: Callable[[int], Fill]
    sizes: tuple[int, ...]
    jobs: tuple[tuple[str, Job], ...]
    first: Members | None = None
    beside: Chore | None = None


KINDS = (
    Kind(
        "organisations",
        "Organisations with a key ring of their own; which one asks is drawn by lot each time.",
        Organisations,
        (1, 1_000, 10_000),
        (("token", Members()),),
        first=Members(),
    ),
    Kind(
        "revocations",
        "Revocations of tokens that would live yet; what is asked about is alive.",
        Revocations,
        (0, 100_000, 1_000_000),
        (("introspection", Living()), ("userinfo", Bearer())),
    ),
    Kind(
        "families",
        "Refresh families; another one is renewed each time, or one of memory's again.",
        Families,
        (0, 1_000_000, 10_000_000),
        (("refresh", Renewals()), ("refresh, remembered", Renewal()), ("birth", Births())),
        beside=Chore(
            "clean",
            "SELECT count(*) FROM refresh_family WHERE ended_at = 1",
            "UPDATE refresh_family SET ended_at = 1 WHERE rowid > 1 AND rowid <= 1 + :most",
        ),
    ),
    Kind(
        "audit",
        "Rows of the audit trail.",
        Audit,
        (0, 1_000_000, 10_000_000),
        (("token", Token()),),
        beside=Chore(
            "retention",
            "SELECT -min(seq) FROM audit WHERE chain_id ="
            " (SELECT id FROM audit_chain WHERE chain LIKE '%0000000000000000')",
        ),
    ),
)
