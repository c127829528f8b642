"""What an operator ends on the command line is dead in a running server within a second (RV-04, TN-05)."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from e2e.servers import FORM, SOON_SECONDS, Node, basic, run, told, within

NAMES = (b"Ada Lovelace Ltd", b"Charles Babbage", b"https://ada.example")
"""Of the organisation, of its clients and secrets, of what its tokens are for."""


class Machine:
    """A client of a demo organisation, made on the command line while the server runs."""

    def __init__(self, node: Node, home: Path, slug: str, name: str = "a machine") -> None:
        self.node, self.home, self.slug = node, home, slug
        scopes = ["--scope", "read offline_access"]
        grants = ["--grant", "client_credentials", "--grant", "refresh_token", "--right", "introspect"]
        audience = ["--audience", f"https://{slug}.example/api"]
        made = self.keyturn("client", "create", slug, "--name", name, *scopes, *grants, *audience)
        self.client_id = made["client_id"]
        secret = self.keyturn("secret", "create", self.client_id, "--name", "secret of " + name)
        self.secret_id, self.secret = secret["id"], secret["secret"]

    def keyturn(self, *arguments: str):
        """Run a command on the server's data folder."""
        return told(self.home, *arguments, "--data", str(self.node.data))

    def post(self, route: str, **fields: str):
        """Post a form as this client."""
        proof = {"Authorization": basic(self.client_id, self.secret)}
        path = f"/o/{self.slug}/oauth2/{route}"
        return self.node.ask("POST", path, urlencode(fields), Content_Type=FORM, **proof)

    def begin(self):
        """Get an access and a refresh token."""
        answer = self.post("token", grant_type="client_credentials", scope="read offline_access")
        assert answer.status == 200, answer.body
        return answer.json

    def active(self, token: str) -> bool:
        """Ask whether a token is good."""
        answer = self.post("introspect", token=token)
        return answer.status == 200 and answer.json["active"]

    def renews(self, refresh_token: str) -> bool:
        """Tell whether a refresh token is good."""
        return self.post("token", grant_type="refresh_token", refresh_token=refresh_token).status == 200


@pytest.fixture
def node(tmp_path, new_demo) -> Iterator[Node]:
    """A demo server."""
    with new_demo(tmp_path) as running:
        yield running


@pytest.mark.parametrize(
    "noun",
    [pytest.param("secret", marks=pytest.mark.soak), pytest.param("client", marks=pytest.mark.soak), "org"],
)
def test_switched_off_and_on(node, tmp_path, noun):
    """RV-04: what another process disables is dead here within a second, and enabling revives none of it."""
    told(tmp_path / "home", "org", "create", "beta", "--data", str(node.data))
    machine, asker = (Machine(node, tmp_path / "home", "beta") for _ in range(2))
    token = machine.begin()
    assert asker.active(token["access_token"])
    named = {"secret": machine.secret_id, "client": machine.client_id, "org": "beta"}[noun]
    machine.keyturn(noun, "disable", named)
    within(SOON_SECONDS, lambda: not asker.active(token["access_token"]))
    within(SOON_SECONDS, lambda: machine.post("token", grant_type="client_credentials").status == 401)
    machine.keyturn(noun, "enable", named)
    within(SOON_SECONDS, lambda: machine.post("token", grant_type="client_credentials").status == 200)
    assert not asker.active(token["access_token"])
    assert not machine.renews(token["refresh_token"])
    fresh = machine.begin()
    assert asker.active(fresh["access_token"])
    assert machine.renews(fresh["refresh_token"])


def test_deleted_under_load(node, tmp_path):
    """TN-05, TK-15: a deleted organisation is dead within a second, in no file by name, and others go on."""
    home, data = tmp_path / "home", str(node.data)
    told(home, "org", "create", "ada", "--name", NAMES[0].decode(), "--data", data)
    machines = [Machine(node, home, "ada", NAMES[1].decode()) for _ in range(2)]
    tokens = [machine.begin() for machine in machines]
    other = Machine(node, home, "acme")
    others = other.begin()
    assert node.ask("GET", "/o/ada/.well-known/jwks.json").status == 200
    assert any(name in content for name in NAMES for content in files(node))

    stop, failed = threading.Event(), []

    def load() -> None:
        while not stop.is_set():
            if other.post("token", grant_type="client_credentials").status != 200:
                failed.append(1)
            machines[0].post("token", grant_type="client_credentials")

    thread = threading.Thread(target=load)
    thread.start()
    try:
        said = run(home, "org", "delete", "ada", "--yes-delete", "ada", "--format", "json", "--data", data)
    finally:
        stop.set()
        thread.join()
    assert said.code == 0, said.err
    assert json.loads(said.out)["complete"] is True
    assert not failed
    within(SOON_SECONDS, lambda: node.ask("GET", "/o/ada/.well-known/jwks.json").status == 404)
    for machine, token in zip(machines, tokens, strict=True):
        assert not machine.renews(token["refresh_token"])
        assert machine.post("introspect", token=token["access_token"]).status == 401
    assert other.active(others["access_token"])
    assert other.renews(others["refresh_token"])
    assert run(home, "org", "create", "ada", "--data", data).code == 1
    told(
        home, "org", "delete", "ada", "--yes-delete", "ada", "--data", data
    )  # wipes what the load has logged
    assert [name for name in NAMES for content in files(node) if name in content] == []
    assert told(home, "audit", "verify", "--data", data)["intact"]


def files(node: Node) -> list[bytes]:
    """Read every file of the store."""
    assert node.data is not None
    return [path.read_bytes() for path in node.data.glob("keyturn.db*")]
