"""A crowd that lives through an outage: tokens from issue to revocation on every node, and what was promised.

    with living(here, nodes) as crowd:
        server.stop()
        ...
    crowd.was_served(away)
    crowd.nothing_is_lost(here, asker)

Whoever is refused for now asks the same again, as a caller would.
"""

import contextlib
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from typing import Any
from urllib.parse import urlencode

import jwt

from e2e.nodes import Asker, Deployment
from e2e.servers import FORM, Answer, Caller, Node, ask, within

HANG_SECONDS = 10.0
"""No request may take longer, whatever the store does (RE-05)."""
BACK_SECONDS = 5.0
"""So soon after the store is back everything is served again (RE-05)."""
ENOUGH = 20
SEEN_SECONDS = 1.0
"""So soon every node knows what another was told (RE-08)."""
SCOPE = "read offline_access"
DOCUMENT = "/o/acme/.well-known/jwks.json"


@dataclass(frozen=True)
class Came:
    """An answer: when it was asked and came, on the monotonic clock."""

    what: str
    node: int
    asked: float
    came: float
    status: int


@dataclass
class Promises:
    """What callers were told, and rely on."""

    issued: list[str] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    """Refresh tokens whose successors were used."""
    secrets: list[str] = field(default_factory=list)
    """Of an entity that had one after the other."""


class Crowd:
    """Callers of some nodes, each in a thread, and one that asks each for what needs no store."""

    def __init__(self, here: Deployment, nodes: Sequence[Node], callers: int) -> None:
        """Gather; ``start`` lets them go."""
        self._here = here
        self._stopping = threading.Event()
        self._entity = here.members["acme"]["sahamati"]["entity_id"]
        self.promises = Promises()
        self.came: list[Came] = []
        self.public: list[Came] = []
        self.broken: list[str] = []
        self._threads = [
            threading.Thread(target=self._live, args=(number, node), daemon=True)
            for number, node in enumerate(nodes)
            for _ in range(callers)
        ] + [
            threading.Thread(target=self._watch, args=(number, node), daemon=True)
            for number, node in enumerate(nodes)
        ]
        self._threads.append(threading.Thread(target=self._change_secrets, args=(nodes[0],), daemon=True))

    def start(self) -> None:
        """Let everybody begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let everybody finish the request it has."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(3 * HANG_SECONDS)
            assert not thread.is_alive(), "a caller waits for an answer that does not come"

    def statuses(self, since: float = 0.0, until: float = float("inf")) -> Counter[int]:
        """Count the answers to what was asked in a time."""
        return Counter(each.status for each in self.came if since <= each.asked <= until)

    @property
    def has_begun(self) -> bool:
        """Tell whether there is something of each kind to lose."""
        promises = self.promises
        return len(promises.issued) > ENOUGH and all((promises.revoked, promises.used, promises.secrets))

    # --- what must hold ---

    def was_served(self, away: float, back: float) -> None:
        """Confirm that only while the store was away, and for a while after, anything was refused.

        Args:
            away: When the store went.
            back: When it was there again.
        """
        assert self.broken == []
        assert max(each.came - each.asked for each in self.came) < HANG_SECONDS
        assert set(self.statuses()) <= {200, 503}, self.statuses()
        early = [each for each in self.came if each.status == 503 and each.came < away]
        late = [each for each in self.came if each.status == 503 and each.asked > back + BACK_SECONDS]
        assert (early, late) == ([], [])
        assert {each.status for each in self.public} == {200}

    def nothing_is_lost(self, asker: Asker) -> None:
        """Confirm that whatever was answered is so: what is recorded, ended, spent or new (RE-01, RE-02)."""
        recorded = {
            subject for (subject,) in self._here.rows("SELECT subject FROM audit WHERE kind = 'token.issued'")
        }
        told = {
            jwt.decode(token, options={"verify_signature": False})["jti"] for token in self.promises.issued
        }
        assert told
        assert told <= recorded
        alive = [token for token in self.promises.revoked if asker.active(token)]
        within(SEEN_SECONDS, lambda: not any(asker.active(token) for token in alive))
        assert {asker.renew(token).status for token in self.promises.used} <= {400}
        form = urlencode({"id": self._entity, "secret": self.promises.secrets[-1]})
        path = "/entity/token/generate"
        within(SEEN_SECONDS, lambda: self._post(asker.caller, path, form).status == 200)

    # --- callers ---

    def _live(self, number: int, node: Node) -> None:
        with Caller(node.url, 2 * HANG_SECONDS) as caller:
            asker = self._here.asker(caller)
            for turn in itertools.count():
                if self._stopping.is_set():
                    return
                with contextlib.suppress(_StoppedError):
                    self._one_life(number, asker, ends=turn % 3 == 0)

    def _one_life(self, number: int, asker: Asker, *, ends: bool) -> None:
        tell = partial(self._until_told, number)
        begun = tell("token", partial(asker.post, "token", grant_type="client_credentials", scope=SCOPE)).json
        self.promises.issued.append(begun["access_token"])
        second = tell("refresh", partial(asker.renew, begun["refresh_token"])).json
        self.promises.issued.append(second["access_token"])
        third = tell("refresh", partial(asker.renew, second["refresh_token"])).json
        self.promises.issued.append(third["access_token"])
        assert tell("introspect", partial(asker.post, "introspect", token=third["access_token"])).json[
            "active"
        ]
        if ends:
            tell("revoke", partial(asker.post, "revoke", token=third["access_token"]))
            self.promises.revoked.append(third["access_token"])
        else:
            self.promises.used.append(begun["refresh_token"])

    def _change_secrets(self, node: Node) -> None:
        members = self._here.members["acme"]["sahamati"]
        login = urlencode({"username": members["username"], "password": members["password"]})
        envelope = {"ver": "1.0.0", "timestamp": "2026-11-01T12:00:00Z", "txnId": "one"}
        body = json.dumps(envelope | {"entityId": self._entity})
        with Caller(node.url, 2 * HANG_SECONDS) as caller, contextlib.suppress(_StoppedError):
            tell = partial(self._until_told, 0)
            proved = tell("login", partial(self._post, caller, "/user/token/generate", login)).json
            proof = {"Authorization": "Bearer " + proved["accessToken"], "Content-Type": "application/json"}
            while not self._stopping.wait(0.2):
                made = tell("reset", partial(self._post, caller, "/entity/secret/reset", body, **proof)).json
                self.promises.secrets.append(made["secret"])

    def _post(self, caller: Caller, path: str, body: str, **headers: str) -> Answer:
        return caller.ask("POST", "/iam/v1" + path, body, {"Content-Type": FORM, **headers})

    def _until_told(self, number: int, what: str, request: Any) -> Answer:
        """Ask until the answer is more than "not now"."""
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                answer: Answer = request()
            except (OSError, HTTPException) as error:
                self.broken.append(f"{what}: {type(error).__name__}: {error}")
                self._stopping.wait(0.05)
                continue
            self.came.append(Came(what, number, began, time.monotonic(), answer.status))
            if answer.status == 200:
                return answer
            if answer.status != 503 or int(answer.headers["retry-after"]) < 1:
                self.broken.append(f"{what}: {answer.status}: {answer.body.decode()}")
                raise _StoppedError
            self._stopping.wait(0.1)
        raise _StoppedError

    def _watch(self, number: int, node: Node) -> None:
        while not self._stopping.is_set():
            for what, url in (("keys", node.url + DOCUMENT), ("live", node.management + "/health/live")):
                began = time.monotonic()
                try:
                    status = ask(url, timeout=HANG_SECONDS).status
                except (OSError, HTTPException) as error:
                    self.broken.append(f"{what}: {type(error).__name__}: {error}")
                else:
                    self.public.append(Came(what, number, began, time.monotonic(), status))
            self._stopping.wait(0.05)


class _StoppedError(Exception):
    """The block is over, or what came makes no sense to go on with."""


@contextlib.contextmanager
def living(here: Deployment, nodes: Sequence[Node], callers: int = 3) -> Iterator[Crowd]:
    """Keep some callers at each node for a block."""
    crowd = Crowd(here, nodes, callers)
    crowd.start()
    try:
        yield crowd
    finally:
        crowd.stop()
