"""A release beside the present code, on one store and under load, as in a rolling upgrade (RE-04).

The first release knows SQLite only, so there is no run of it on PostgreSQL; ``releases.STORES`` says which
release runs on what.
"""

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest

from e2e.load import Load, under_load
from e2e.releases import RELEASES
from e2e.servers import (
    FORM,
    Answer,
    Client,
    Node,
    basic,
    run,
    serving,
    starting,
    token_path,
    told,
    wait_ready,
    within,
)
from earlier import make_earlier
from keyturn.app import make_master_key
from keyturn.storage.migrate import HEAD

EARLIER = "0006"
PUBLIC = "https://tokens.example"
AUDIENCE = "https://api.example"
PLENTY = {"KEYTURN_LIMITS__ADDRESS__PER_MINUTE": "1000000", "KEYTURN_LIMITS__ADDRESS__BURST": "1000000"}
SECOND = 1.0
"""What one node changes holds on every other within a second (RV-02)."""
SOME = 20
"""Tokens of a load that a step of the upgrade must see through."""


@dataclass(frozen=True)
class Machine:
    """A client of the deployment, which asks any node."""

    client_id: str
    secret: str

    def post(self, node: Node, route: str, **fields: str) -> Answer:
        """Post a form as this client."""
        proof = {"Authorization": basic(self.client_id, self.secret)}
        return node.ask("POST", f"/o/acme/oauth2/{route}", urlencode(fields), Content_Type=FORM, **proof)

    def begin(self, node: Node) -> Any:
        """Get an access and a refresh token."""
        answer = self.post(node, "token", grant_type="client_credentials", scope="read offline_access")
        assert answer.status == 200, answer.body
        return answer.json

    def renew(self, node: Node, refresh_token: str) -> Any:
        """Use a refresh token."""
        answer = self.post(node, "token", grant_type="refresh_token", refresh_token=refresh_token)
        assert answer.status == 200, answer.body
        return answer.json

    def active(self, node: Node, token: str) -> bool:
        """Ask whether a token is good."""
        answer = self.post(node, "introspect", token=token)
        assert answer.status == 200, answer.body
        return answer.json["active"]

    def load(self) -> Client:
        """Give the same client as a crowd of callers uses it."""
        return Client("oauth2", token_path("oauth2"), self.client_id, self.secret)


@dataclass(frozen=True)
class Deployment:
    """A data folder that an older release made, and the way to run either on it."""

    data: Path
    home: Path
    older: dict[str, str]

    def told(self, *arguments: str, older: bool = False) -> Any:
        """Run a command of the older release or of the present one."""
        environ = self.older if older else {}
        return told(self.home, *arguments, "--data", str(self.data), environ=environ)

    def serving(self, *, older: bool = False) -> Any:
        """Start a server of the older release or of the present one."""
        environ = PLENTY | (self.older if older else {})
        return serving(self.data, self.home, "--public-url", PUBLIC, demo=False, environ=environ)

    def machine(self, *, older: bool = False) -> Machine:
        """Make a client on the command line of either."""
        scopes = ("--scope", "read offline_access", "--audience", AUDIENCE)
        grants = ("--grant", "client_credentials", "--grant", "refresh_token", "--right", "introspect")
        made = self.told("client", "create", "acme", "--name", "machine", *scopes, *grants, older=older)
        secret = self.told("secret", "create", made["client_id"], older=older)
        return Machine(made["client_id"], secret["secret"])

    def version(self) -> str:
        """Read which revision the tables have."""
        with closing(sqlite3.connect(self.data / "keyturn.db")) as store:
            return store.execute("SELECT version_num FROM alembic_version").fetchone()[0]


@pytest.fixture(params=RELEASES, ids=str)
def deployment(request, tmp_path) -> Deployment:
    """A deployment that an older release made."""
    made = Deployment(tmp_path / "data", tmp_path / "home", request.param.unpack(tmp_path / "older"))
    made.told("init", older=True)
    made.told("org", "create", "acme", "--name", "Acme", older=True)
    return made


@contextmanager
def busy(node: Node, machine: Machine) -> Iterator[Load]:
    """Keep a node busy; nobody may be refused or lose a connection."""
    with under_load(node.url, machine.load(), 2, pause=0.05) as load:
        yield load
    assert set(load.statuses) == {200}
    assert (load.broken, load.refused) == ([], 0)


def go_on(*loads: Load) -> None:
    """Wait until each load has got some more tokens."""
    wanted = [len(load.answers) + SOME for load in loads]
    within(30, lambda: all(len(load.answers) >= goal for load, goal in zip(loads, wanted, strict=True)))


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_an_upgrade_under_load(deployment):
    """RE-04: the new release migrates below the old, both serve, either goes on alone: no error."""
    machine = deployment.machine(older=True)
    with deployment.serving(older=True) as old:
        before = machine.begin(old)
        with busy(old, machine) as old_load:
            go_on(old_load)
            with deployment.serving() as new, busy(new, machine) as new_load:
                assert deployment.version() == HEAD
                go_on(old_load, new_load)
                assert machine.active(new, before["access_token"])
                before = machine.renew(new, before["refresh_token"])
                for here, there in itertools.permutations((old, new)):
                    tokens_of_one_are_good_at_the_other(machine, here, there)
                    what_one_revokes_is_dead_at_the_other(machine, here, there)
                what_one_command_line_makes_counts_at_the_other(deployment, old, new)
                go_on(old_load, new_load)
                old_load.stop()
                assert old.stop() == 0
                go_on(new_load)
                assert machine.active(new, before["access_token"])
                assert older_form(before)
                assert deployment.told("upgraded", "--yes") == {"form": 2, "before": 1}
                within(SECOND, lambda: not older_form(machine.begin(new)))
                after = machine.renew(new, before["refresh_token"])
                assert not older_form(after)
                assert machine.renew(new, before["refresh_token"])["refresh_token"] == after["refresh_token"]
                assert machine.renew(new, after["refresh_token"])
                go_on(new_load)
    with deployment.serving(older=True) as back:
        machine.begin(back)
    for node in (old, new, back):
        assert [event for event in node.events() if event["level"] not in {"debug", "info"}] == []
    assert deployment.told("audit", "verify")["intact"]


@pytest.mark.slow
def test_two_start_at_once(tmp_path):
    """RE-04: two servers that start at once on the tables of an earlier release are both soon ready."""
    data, home = tmp_path / "data", tmp_path / "home"
    make_earlier(data / "keyturn.db", EARLIER)
    make_master_key(data / "master.key")
    with ExitStack() as both:
        nodes = [
            both.enter_context(starting(data, home, "--public-url", PUBLIC, demo=False)) for _ in range(2)
        ]
        for node in nodes:
            wait_ready(node)
    assert [node.stop() for node in nodes] == [0, 0]
    assert [event for node in nodes for event in node.events() if event["level"] == "error"] == []


def test_a_start_that_may_not_migrate(tmp_path):
    """With migrate_at_start off `serve` exits with 3 on older tables, says what to run, and leaves them."""
    data, home = tmp_path / "data", tmp_path / "home"
    make_earlier(data / "keyturn.db", EARLIER)
    make_master_key(data / "master.key")
    by_hand = {"KEYTURN_MIGRATE_AT_START": "false"}
    said = run(home, "serve", "--data", str(data), "--public-url", PUBLIC, "--port", "0", environ=by_hand)
    assert (said.code, said.out) == (3, "")
    assert "keyturn migrate apply" in said.err
    told(home, "migrate", "apply", "--data", str(data))
    with serving(data, home, "--public-url", PUBLIC, demo=False, environ=by_hand) as node:
        assert node.health() == 200


def older_form(answer):
    """Tell whether a refresh token has the form that the first release reads."""
    return answer["refresh_token"].startswith("kt_rt_0")


def tokens_of_one_are_good_at_the_other(machine, here, there):
    """Both publish one key set; a refresh token goes both ways, and either gives a lost answer again."""
    first = machine.begin(here)
    keys = [node.ask("GET", "/o/acme/.well-known/jwks.json").json for node in (here, there)]
    assert keys[0] == keys[1]
    key = next(
        each
        for each in jwt.PyJWKSet.from_dict(keys[1]).keys
        if each.key_id == jwt.get_unverified_header(first["access_token"])["kid"]
    )
    assert jwt.decode(first["access_token"], key, [key.algorithm_name], audience=AUDIENCE)["iss"].startswith(
        PUBLIC
    )
    assert machine.active(there, first["access_token"])
    second = machine.renew(there, first["refresh_token"])
    assert machine.renew(here, first["refresh_token"])["refresh_token"] == second["refresh_token"]
    third = machine.renew(here, second["refresh_token"])
    assert len({each["refresh_token"] for each in (first, second, third)}) == 3
    assert machine.active(there, third["access_token"])


def what_one_revokes_is_dead_at_the_other(machine, here, there):
    """Access and refresh token that one revokes are dead at the other within a second."""
    token = machine.begin(here)
    assert machine.active(there, token["access_token"])
    for kind in ("access_token", "refresh_token"):
        assert machine.post(here, "revoke", token=token[kind]).status == 200
        within(SECOND, lambda token=token[kind]: not machine.active(there, token))
    refused = machine.post(there, "token", grant_type="refresh_token", refresh_token=token["refresh_token"])
    assert (refused.status, refused.json["error"]) == (400, "invalid_grant")


def what_one_command_line_makes_counts_at_the_other(deployment, old, new):
    """A client that the new one makes works at both, and the old one ends that; people do not disturb it."""
    deployment.told("user", "create", "acme", "ada")
    machine = deployment.machine()
    for node in (old, new):
        within(SECOND, lambda node=node: machine.post(node, "introspect", token="x").status == 200)
        machine.begin(node)
    deployment.told("client", "disable", machine.client_id, older=True)
    for node in (old, new):
        within(SECOND, lambda node=node: machine.post(node, "introspect", token="x").status == 401)
