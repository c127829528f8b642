"""Sahamati as its members see it: curl, clients in Python and Node, and the CLI beside them."""

import json
import re
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from e2e.servers import SOON_SECONDS, environment, run, told, within

CLIENTS = Path(__file__).resolve().parent / "clients"
SECONDS = 60
TOKEN = ["ver", "timestamp", "txnId", "accessToken", "expiresIn", "tokenType"]
SECRET = ["ver", "timestamp", "txnId", "entityId", "secret", "expiresOn", "expirationDate"]
DEFAULT = "the default validity period was applied"
WORD = "violet otters juggle lanterns"
NODE = pytest.param(("node", "sahamati.mjs"), marks=pytest.mark.needs_node, id="node")


def form(demo, path, **fields):
    """Send a form; gives status and body."""
    answer = httpx.post(demo.demo()["dialects"]["sahamati"]["base_url"] + path, data=fields)
    return answer.status_code, answer.json()


def call(demo, verb, token, entity_id):
    """Read or reset a secret; gives status and body."""
    body = {"ver": "1.0.0", "timestamp": "2026-11-01T12:00:00Z", "txnId": "one", "entityId": entity_id}
    url = demo.demo()["dialects"]["sahamati"]["base_url"] + "/entity/secret/" + verb
    answer = httpx.post(url, json=body, headers={"Authorization": "Bearer " + token})
    return answer.status_code, answer.json()


def test_curl_line_of_the_demo(demo):
    """The line that the demo prints works when it is pasted."""
    lines = demo.out.read_text().splitlines()
    line = lines[lines.index("# sahamati") + 1]
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=SECONDS, check=True)
    assert json.loads(done.stdout)["expiresIn"] == 86_400


@pytest.mark.parametrize("name", ["grace", "expired"])
def test_grace_of_the_demo(demo, name):
    """The demo's secret in its grace gives a token with a warning, the one past it none."""
    members = demo.demo()["dialects"]["sahamati"][name]
    fields = {"id": members["entity_id"], "secret": members["entity_secret"]}
    status, body = form(demo, "/entity/token/generate", **fields)
    assert (status, "message" in body) == {"grace": (200, True), "expired": (401, False)}[name]


@pytest.fixture(scope="module", params=[pytest.param((sys.executable, "sahamati.py"), id="python"), NODE])
def said(demo, request):
    """Give what a client written from the contract was told, each as status and body."""
    program, name = request.param
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    done = subprocess.run(
        [program, str(CLIENTS / name)],
        input=json.dumps(demo.demo()["dialects"]["sahamati"]),
        env=environment(demo.home),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("step", ["user", "entity", "new", "grace"])
def test_tokens_of_a_client(said, step):
    """A token comes with the members of the seed in its order and types; a warning only in the grace."""
    status, body = said[step]
    assert (status, list(body)[: len(TOKEN)]) == (200, TOKEN)
    assert (body["ver"], body["expiresIn"], body["tokenType"]) == ("1.0.0", 86_400, "Bearer")
    assert ("message" in body) is (step == "grace")


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("read", None),
        ("raw", None),
        ("before", None),
        ("reset", None),
        ("default", DEFAULT),
        ("too_long", DEFAULT),
    ],
)
def test_secrets_of_a_client(said, step, message):
    """A secret comes with the members of the seed; both dates are one instant; the request is echoed."""
    status, body, txn_id = said[step]
    assert (status, list(body)[: len(SECRET)]) == (200, SECRET)
    assert body["txnId"] == txn_id
    assert body.get("message") == message
    assert type(body["expiresOn"]) is int
    assert body["expiresOn"] == int(datetime.fromisoformat(body["expirationDate"] + "Z").timestamp())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}", body["expirationDate"])


def test_chain_of_a_client(demo, said):
    """A reset makes a new secret, and an entity's token, not a user's, is good at another member."""
    members = demo.demo()["dialects"]["sahamati"]
    assert said["raw"][1]["secret"] == said["read"][1]["secret"]
    assert len({said[step][1]["secret"] for step in ("before", "reset", "default", "too_long")}) == 4
    claims = said["claims"]
    assert claims["iss"] == demo.demo()["base_url"] + "/auth/realms/sahamati"
    assert (claims["azp"], claims["entityID"]) == (members["entity_id"], members["entity_id"])
    assert (claims["roles"], claims["exp"] - claims["iat"]) == (members["entity_type"], 86_400)
    assert said["user_token_refused"] is True
    assert said["still_good"] == members["second_entity_id"]
    status, body = said["predecessor"]
    assert (status, body["expires_in"], body["token_type"]) == (200, 86_400, "Bearer")


@pytest.mark.parametrize(
    ("step", "status"),
    [
        *((step, 401) for step in ("old", "expired", "wrong_password", "unknown_user")),
        *((step, 401) for step in ("entity_token", "unknown_entity")),
        *((step, 400) for step in ("no_secret", "no_entity", "no_days", "text_days")),
    ],
)
def test_refusals_of_a_client(said, step, status):
    """A refusal has the five members of the contract, and the caller's ``txnId`` where there is one."""
    told, body, *txn_id = said[step]
    assert (told, list(body)) == (status, ["ver", "timestamp", "txnId", "errorCode", "errorMsg"])
    assert body["errorCode"] == {400: "Bad Request", 401: "Unauthorized"}[status]
    assert txn_id in ([], [body["txnId"]])


def test_operator(demo):
    """An operator makes a user, has the address confirmed, makes an entity, links and unlinks it."""
    data, home = ("--data", str(demo.data)), demo.home
    login = {"username": "Meera@X.in", "password": WORD}

    def logs_in():
        return form(demo, "/user/token/generate", **login)[0] == 200

    arguments = (
        "user",
        "create",
        "acme",
        "meera",
        "--email",
        "meera@x.in",
        "--role",
        "sahamati:entity-admin",
    )
    told(home, *arguments, *data)
    assert run(home, "user", "password", "meera@x.in", *data, typed=WORD + "\n").code == 0
    assert not logs_in()
    code = told(home, "user", "email-code", "meera@x.in", *data)["code"]
    assert run(home, "user", "confirm-email", *data, typed=code + "\n").code == 0
    within(SOON_SECONDS, logs_in)
    token = form(demo, "/user/token/generate", **login)[1]["accessToken"]
    told(home, "entity", "create", "acme", "AA-7", "--type", "AA", *data)
    made = told(home, "entity", "reset", "AA-7", "--expires", "90d", *data)

    def reads():
        return call(demo, "read", token, "AA-7")[0] == 200

    assert not reads()
    told(home, "entity", "link", "AA-7", "acme/meera", *data)
    within(SOON_SECONDS, reads)
    assert call(demo, "read", token, "AA-7")[1]["secret"] == made["secret"]
    assert form(demo, "/entity/token/generate", id="AA-7", secret=made["secret"])[0] == 200
    fresh = call(demo, "reset", token, "AA-7")[1]["secret"]
    assert told(home, "entity", "read", "AA-7", *data)["secret"] == fresh
    told(home, "entity", "unlink", "AA-7", "acme/meera", *data)
    within(SOON_SECONDS, lambda: not reads())
    told(home, "entity", "disable", "AA-7", *data)
    within(SOON_SECONDS, lambda: form(demo, "/entity/token/generate", id="AA-7", secret=fresh)[0] == 401)
