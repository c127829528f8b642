"""Sahamati as its members see it: curl, clients in Python and Node, and the CLI beside them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from e2e.servers import environment, run, told, within

CLIENTS = Path(__file__).resolve().parent / "clients"
SECONDS = 60
SEEN_SECONDS = 5
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


@pytest.mark.parametrize("command", [pytest.param((sys.executable, "sahamati.py"), id="python"), NODE])
def test_client(demo, command):
    """A client written from the contract reads, verifies, resets, and is refused with the old secret."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    members = demo.demo()["dialects"]["sahamati"]
    names = ("base_url", "username", "password", "entity_id")
    done = subprocess.run(
        [command[0], str(CLIENTS / command[1])],
        input=json.dumps(
            {name: members[name] for name in names} | {"entity_id": members["second_entity_id"]}
        ),
        env=environment(demo.home),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    statuses = {name: answer[0] for name, answer in said.items() if isinstance(answer, list)}
    refused = {"old": 401, "by_entity_token": 401, "unknown": 401, "no_days": 400}
    assert statuses == dict.fromkeys(statuses, 200) | refused
    messages = {
        name: said[name][1].get("message") for name in ("reset", "reset_by_default", "reset_too_long")
    }
    assert messages == {"reset": None, "reset_by_default": DEFAULT, "reset_too_long": DEFAULT}
    assert said["read"][1]["secret"] != said["reset"][1]["secret"]
    assert said["claims"]["iss"] == demo.demo()["base_url"] + "/auth/realms/sahamati"
    assert (said["claims"]["azp"], said["claims"]["roles"]) == (members["second_entity_id"], "FIP")
    assert said["still_good"] == members["second_entity_id"]
    assert said["user_token_refused"] is True


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
    within(SEEN_SECONDS, logs_in)
    token = form(demo, "/user/token/generate", **login)[1]["accessToken"]
    told(home, "entity", "create", "acme", "AA-7", "--type", "AA", *data)
    made = told(home, "entity", "reset", "AA-7", "--expires", "90d", *data)

    def reads():
        return call(demo, "read", token, "AA-7")[0] == 200

    assert not reads()
    told(home, "entity", "link", "AA-7", "acme/meera", *data)
    within(SEEN_SECONDS, reads)
    assert call(demo, "read", token, "AA-7")[1]["secret"] == made["secret"]
    assert form(demo, "/entity/token/generate", id="AA-7", secret=made["secret"])[0] == 200
    fresh = call(demo, "reset", token, "AA-7")[1]["secret"]
    assert told(home, "entity", "read", "AA-7", *data)["secret"] == fresh
    told(home, "entity", "unlink", "AA-7", "acme/meera", *data)
    within(SEEN_SECONDS, lambda: not reads())
    told(home, "entity", "disable", "AA-7", *data)
    within(SEEN_SECONDS, lambda: form(demo, "/entity/token/generate", id="AA-7", secret=fresh)[0] == 401)
