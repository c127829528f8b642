"""Mend SCA API 2.0 as its callers see it: curl, clients in Python and Node, and the CLI beside them."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from dialects.contract import matches
from e2e.samples import curl, send_by_curl
from e2e.servers import environment, run, told
from keyturn.dialects.mend import DIALECT

CLIENTS = Path(__file__).resolve().parent / "clients"
SAMPLES = {sample.name: sample for sample in DIALECT.samples}
SECONDS = 60
SESSION = [
    "correlationId",
    "userUuid",
    "userName",
    "email",
    "refreshToken",
    "jwtToken",
    "orgName",
    "orgUuid",
]


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_by_curl(demo, name):
    """Each golden sample of the vendor's page is answered to curl exactly as it says."""
    sample = SAMPLES[name]
    status, body = send_by_curl(demo, DIALECT, sample)
    assert status == sample.status
    assert matches(sample.answer, body), body


def test_curl_line_of_the_demo(demo):
    """The line that the demo prints works when it is pasted."""
    lines = demo.out.read_text().splitlines()
    line = lines[lines.index("# mend") + 1]
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=SECONDS, check=True)
    assert json.loads(done.stdout)["retVal"]["orgName"] == "Acme"


@pytest.mark.parametrize(
    "arguments",
    [
        ("-X", "POST"),
        ("-d", ""),
        ("-d", "{}"),
        ("-d", "{}", "-H", "Content-Type: application/json"),
        ("-d", "{}", "-H", "Content-Type: text/plain;charset=UTF-8"),
    ],
)
def test_refresh_by_curl(demo, arguments):
    """A refresh works as curl sends it: without a body, with an empty one, with ``{}`` of either type."""
    token = send_by_curl(demo, DIALECT, SAMPLES["login"])[1]["retVal"]["refreshToken"]
    url = demo.demo()["dialects"]["mend"]["refresh_url"]
    status, body = curl(url, "-H", "wss-refresh-token: " + token, *arguments)
    assert status == 200
    assert body["refreshToken"] != token


NODE = pytest.param(("node", "mend.mjs"), marks=pytest.mark.needs_node, id="node")


@pytest.fixture(scope="module", params=[pytest.param((sys.executable, "mend.py"), id="python"), NODE])
def said(demo, request):
    """Give what a client written from the vendor's pages was told, each as status and body."""
    program, name = request.param
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    done = subprocess.run(
        [program, str(CLIENTS / name)],
        input=json.dumps(demo.demo()["dialects"]["mend"]),
        env=environment(demo.home),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_sessions_of_a_client(demo, said):
    """A login is wrapped and a refresh flat, with the vendor's members in the vendor's order, all strings."""
    acme, globex = (each["name"] for each in demo.demo()["organisations"])
    wrapped = {
        "login": acme,
        "changed": globex,
        "last": globex,
        "no_org": globex,
        "alias": acme,
        "service": acme,
    }
    sessions = []
    for step, name in wrapped.items():
        status, body = said[step]
        assert (status, list(body)) == (200, ["supportToken", "retVal"]), step
        assert re.fullmatch(r"[0-9a-f]{8}", body["supportToken"])
        assert body["retVal"]["orgName"] == name, step
        sessions.append(body["retVal"])
    for step in ("refresh", "again"):
        assert said[step][0] == 200
        assert said[step][1]["orgName"] == acme
        sessions.append(said[step][1])
    for session in sessions:
        assert list(session) == SESSION
        assert all(isinstance(value, str) and value for value in session.values())
    assert len({session["refreshToken"] for session in sessions}) == len(sessions)
    assert said["lifetime"] == 600


def test_calls_of_a_client(demo, said):
    """A token shows its organisation; lists have pages and order; who has no good token logs in again."""
    acme, globex = [{"uuid": each["uuid"], "name": each["name"]} for each in demo.demo()["organisations"]]
    assert said["org"][0] == said["orgs"][0] == said["stubborn"][0] == 200
    assert said["org"][1]["retVal"] == acme
    assert said["orgs"][1]["retVal"] == [globex]
    assert said["orgs"][1]["additionalData"] == {"totalItems": 2, "isLastPage": False}
    assert said["stubborn"][1]["retVal"] == globex


@pytest.mark.parametrize(
    ("step", "status", "message"),
    [
        ("wrong_key", 403, "Login failed"),
        ("unknown", 403, "Login failed"),
        ("wrong_refresh", 403, "Login failed"),
        ("wrong_jwt", 401, None),
        ("other_org", 403, "Access to the organization is denied"),
        ("no_key", 400, "userKey is required"),
    ],
)
def test_refusals_of_a_client(said, step, status, message):
    """A refusal is JSON with a ``supportToken``, and has a ``retVal`` unless it means: log in again."""
    assert said[step][0] == status
    supported, *rest = said[step][1].items()
    assert supported[0] == "supportToken"
    assert dict(rest) == ({} if message is None else {"retVal": {"errorMessage": message}})


def test_strangers_can_prove_a_token(demo):
    """A token is proved by the key set that ``demo.json`` names, of its own organisation alone."""
    content = demo.demo()
    session = send_by_curl(demo, DIALECT, SAMPLES["login"])[1]["retVal"]
    keys = KeySet.import_key_set(httpx.get(content["dialects"]["mend"]["jwks_uri"]).json())
    claims = jwt.decode(session["jwtToken"], keys, algorithms=["ES256"]).claims
    assert claims["iss"] == demo.demo()["base_url"] + "/o/acme"
    assert claims["orgUuid"] == content["dialects"]["mend"]["org_uuid"]
    other = KeySet.import_key_set(httpx.get(content["other"]["mend"]["jwks_uri"]).json())
    with pytest.raises(Exception, match=r"."):
        jwt.decode(session["jwtToken"], other, algorithms=["ES256"])


def test_service_user_by_the_cli(demo):
    """An operator makes a service user and its key, sees its last use, rotates and revokes it."""
    data, home = ("--data", str(demo.data)), demo.home

    def log_in(user, key):
        body = json.dumps({"email": user, "userKey": key})
        return curl(demo.url + "/api/v2.0/login", "-H", "Content-Type: application/json", "-d", body)

    user = told(home, "service-user", "create", "acme", "robot", *data)["email"]
    first = told(home, "user-key", "create", user, "--name", "ci", "--expires", "30d", *data)
    (listed,) = told(home, "user-key", "list", user, *data)
    assert listed["last_used_on"] is None
    assert listed["expires_at"] is not None
    assert first["secret"] not in json.dumps(listed)
    status, body = log_in(user, first["secret"])
    assert (status, body["retVal"]["orgName"], body["retVal"]["email"]) == (200, "Acme", user)
    (listed,) = told(home, "user-key", "list", user, *data)
    assert listed["last_used_on"] is not None
    second = told(home, "user-key", "rotate", first["id"], "--overlap", "1h", *data)
    assert [log_in(user, each["secret"])[0] for each in (first, second)] == [200, 200]
    told(home, "user-key", "revoke", first["id"], *data)
    assert [log_in(user, each["secret"])[0] for each in (first, second)] == [403, 200]
    told(home, "user-key", "disable", second["id"], *data)
    assert log_in(user, second["secret"])[0] == 403
    assert run(home, "user-key", "revoke", second["id"], *data).code == 0
