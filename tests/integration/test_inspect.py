"""``keyturn token inspect``: what a token or secret is, offline and with a data folder."""

import io
import json
import secrets
import sys
from typing import Any

import pytest

from harness import Deployment, deployment
from integration.renewal import another_caller, demo_caller
from integration.test_endings import Operator
from keyturn.app import profiles
from keyturn.cli.root import run
from keyturn.core.secret import Secret, make_secret
from keyturn.core.vocabulary import CredentialKind
from keyturn.directory.deletion import delete_organisation
from keyturn.exchange.inspect import Inspector, Knowledge, inspect
from keyturn.seeding import MAIN
from keyturn.tokens.inspection import Look, look_at


@pytest.fixture
async def here():
    """Open a deployment."""
    async with deployment() as opened:
        yield opened


async def known(here: Deployment, text: str, public_url: str | None = None) -> Knowledge:
    """Ask the store about a text."""
    kinds = profiles(here.local.dialects)
    inspector = Inspector(
        store=here.local.deployment,
        registry=here.store.registry,
        revocations=here.store.revocations,
        digester=here.local.digester,
        profiles=kinds,
        introspectable=frozenset({"oauth2.access"}),
        public_url=public_url,
    )
    found = await inspect(Secret(text), look_at(Secret(text)), inspector, here.clock.now())
    assert found is not None
    return found


async def test_looks(here: Deployment) -> None:
    """Everything that Keyturn makes is recognised by prefix and checksum, offline, and nothing else is."""
    caller = demo_caller(here)
    token = await caller.begin()
    looks = {
        caller.secret: Look.SECRET,
        token["refresh_token"]: Look.REFRESH_TOKEN,
        token["access_token"]: Look.OWN_JWT,
        caller.secret[:-1] + ("a" if caller.secret[-1] != "a" else "b"): Look.DAMAGED,
        token["refresh_token"][:-2]: Look.DAMAGED,
        "kt_master_AAAA": Look.MASTER_KEY,
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.": Look.JWT,
        "": Look.UNKNOWN,
        "a.b.c": Look.UNKNOWN,
        "W10.W10.x": Look.UNKNOWN,
        "." * 70_000: Look.UNKNOWN,
    }
    assert {text: look_at(Secret(text)).look for text in looks} == looks
    sight = look_at(Secret(token["refresh_token"]))
    assert sight.refresh is not None
    assert sight.refresh.generation == 0


async def test_a_token_that_is_good_and_then_is_not(here: Deployment) -> None:
    """Inspecting and introspection never disagree, and inspecting says why."""
    caller, asker = await another_caller(here), await another_caller(here)
    operator = Operator(here, caller)

    async def check(text: str, why: str | None) -> None:
        found = await known(here, text)
        assert (found.active, found.why, found.client_id) == (why is None, why, caller.client_id)
        assert await asker.is_active(text) is found.active

    first = await caller.begin()
    await check(first["access_token"], None)
    await check(first["refresh_token"], None)
    second = await caller.renewed(first["refresh_token"])
    await check(first["refresh_token"], "it was used: it is generation 0 of a family whose newest is 1")
    await caller.post("revoke", token=second["access_token"])
    await check(second["access_token"], "it was revoked, or its refresh family was")
    await caller.post("revoke", token=second["refresh_token"])
    await check(second["refresh_token"], "its refresh family has ended: revoked")
    third = await caller.begin()
    await operator.switch("client", "disable")
    await check(third["access_token"], "its client is disabled or has ended")
    await operator.switch("client", "enable")
    await check(third["access_token"], "its client was disabled since it was issued")
    fourth = await caller.begin()
    await operator.switch("secret", "end")
    await check(fourth["refresh_token"], "the credential that it was issued for has ended")
    here.clock.advance(600)
    await check(fourth["access_token"], "expired")


async def test_tokens_of_others(here: Deployment) -> None:
    """TK-08, TN-03: an altered token, another issuer's and a kind that nobody introspects are not good."""
    caller = demo_caller(here)
    token = (await caller.begin())["access_token"]
    head, body, signature = token.split(".")
    forged = f"{head}.{body}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
    assert ((await known(here, forged)).genuine, (await known(here, forged)).why) == (False, "signature")
    found = await known(here, token, "https://elsewhere.example")
    assert (found.genuine, found.active, found.why) == (False, False, "issuer")
    endorsed = here.members[MAIN]["endorsed"]
    answer = await here.ask(
        "POST",
        "/api/v1/auth/tokens",
        headers=[("Content-Type", "application/x-www-form-urlencoded")],
        body=(
            f"client_id={endorsed['client_id']}&client_secret={endorsed['client_secret']}"
            "&grant_type=client_credentials"
        ).encode(),
    )
    found = await known(here, answer.json["access_token"])
    assert (found.genuine, found.active) == (True, False)
    assert found.why == "no route introspects tokens of kind endorsed.access"


async def test_secrets(here: Deployment) -> None:
    """A secret is found without its client id, with its standing; one that nobody has is not here."""
    caller = demo_caller(here)
    found = await known(here, caller.secret)
    assert (found.genuine, found.standing, found.client_id) == (True, "good", caller.client_id)
    operator = Operator(here, caller)
    await operator.set_policy("max_secret_days", "1")
    here.clock.advance(86_400)
    assert (await known(here, caller.secret)).standing == "expired"
    await operator.switch("secret", "end")
    assert (await known(here, caller.secret)).standing == "ended: x"
    unended = await another_caller(here)
    await operator.widely(delete_organisation)
    assert (await known(here, unended.secret)).standing == "its organisation is disabled or has ended"
    assert (await known(here, caller.secret)).standing == "not here"
    stranger = make_secret(CredentialKind.CLIENT_SECRET, secrets.token_bytes).reveal()
    assert (await known(here, stranger)).genuine is False


# --- the command ---


@pytest.fixture
def inspected(monkeypatch, capsys, tmp_path):
    """Run the command on a text from standard input, and give exit code and output."""

    def run_on(text: str, *arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        code = run(["token", "inspect", "--data", str(tmp_path / "data"), *arguments])
        return code, capsys.readouterr().out

    return run_on


def as_json(inspected: Any, text: str) -> dict[str, Any]:
    """Run the command and read its JSON."""
    code, out = inspected(text, "--format", "json")
    assert code == 0
    return json.loads(out)


EXPIRED = (
    "eyJhbGciOiJFUzI1NiJ9."
    "eyJzdWIiOiJ4IiwiaWF0IjoxNzAwMDAwMDAwLCJleHAiOjE3MDAwMDA2MDAsIm5iZiI6OTk5OTk5OTk5OX0.c2lnbmF0dXJl"
)


def test_nothing(inspected):
    """Empty input is told, not looked at: a pipe that broke is no verdict on a token."""
    assert inspected("\n") == (1, "")


def test_offline(inspected, tmp_path):
    """Without a data folder a JWT is decoded, times are told in words, and nothing is claimed or made."""
    told = as_json(inspected, EXPIRED + "\n")
    assert (told["looks_like"], told["verified"]) == ("JWT of somebody else", False)
    assert told["claims"]["sub"] == "x"
    assert told["times"]["expires"].startswith("2023-11-14T22:23:20.000Z (expired since ")
    assert told["times"]["valid"].endswith(" days)")
    table = inspected(EXPIRED)[1]
    assert "NOT VERIFIED" in table
    assert "c2lnbmF0dXJl" not in table + json.dumps(told)
    assert not (tmp_path / "data").exists()


def test_with_a_data_folder(inspected, tmp_path, capsys):
    """HT-07: with a data folder a secret's client and standing are told, and the secret itself never is."""
    data = ["--data", str(tmp_path / "data"), "--format", "json"]
    commands = (["init"], ["org", "create", "acme"], ["client", "create", "acme", "--name", "bot"])
    for command in commands:
        capsys.readouterr()
        assert run([*command, *data]) == 0
    client_id = json.loads(capsys.readouterr().out)["client_id"]
    assert run(["secret", "create", client_id, *data]) == 0
    secret = json.loads(capsys.readouterr().out)["secret"]
    told = as_json(inspected, secret)
    assert (told["store"], told["verified"], told["standing"]) == ("asked", True, "good")
    assert (told["client_id"], told["organisation"]) == (client_id, "acme")
    for printed in (inspected(secret)[1], json.dumps(told)):
        assert secret[6:] not in printed
    (tmp_path / "data" / "master.key").unlink()
    told = as_json(inspected, secret)
    assert (told["looks_like"], told["verified"]) == ("client secret", False)
    assert told["store"].startswith("not asked: no master key")


def test_no_argument(inspected):
    """HT-07: a token is no argument, where every user of the machine could read it."""
    assert inspected("", EXPIRED)[0] == 2
