"""Mend SCA API 2.0 as its callers see it: curl, clients in Python and Node, and the CLI beside them."""

import json
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
DENIED = {"status": 403, "message": "Access to the organization is denied"}
FAILED = {"status": 403, "message": "Login failed"}


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
    ],
)
def test_refresh_by_curl(demo, arguments):
    """A refresh works as curl sends it: without a body, with an empty one, with ``{}`` of either type."""
    token = send_by_curl(demo, DIALECT, SAMPLES["login"])[1]["retVal"]["refreshToken"]
    url = demo.demo()["dialects"]["mend"]["refresh_url"]
    status, body = curl(url, "-H", "wss-refresh-token: " + token, *arguments)
    assert status == 200
    assert body["refreshToken"] != token


def given(demo):
    """Give a client all that a caller of the API is given."""
    content = demo.demo()
    members = content["dialects"]["mend"]
    return {
        "base_url": demo.url,
        "email": members["email"],
        "user_key": members["user_key"],
        "org_token": members["org_token"],
        "other_org": content["organisations"][1]["uuid"],
    }


NODE = pytest.param(("node", "mend.mjs"), marks=pytest.mark.needs_node, id="node")


@pytest.mark.parametrize("command", [pytest.param((sys.executable, "mend.py"), id="python"), NODE])
def test_client(demo, command):
    """A client written from the contract logs in, refreshes, lists, changes organisation and comes again."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(
        [command[0], str(CLIENTS / command[1])],
        input=json.dumps(given(demo)),
        env=environment(demo.home),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    acme, globex = [{"uuid": each["uuid"], "name": each["name"]} for each in demo.demo()["organisations"]]
    assert said["orgs"] == [acme, globex]
    assert said["shown"] == acme
    assert said["there"] == said["afterwards"] == globex
    assert (said["foreign"], said["wrong"]) == (DENIED, FAILED)
    for session, place in (("first", acme), ("refreshed", acme), ("changed", globex)):
        assert (said[session]["orgUuid"], said[session]["orgName"]) == (place["uuid"], place["name"])
    assert said["refreshed"]["refreshToken"] != said["first"]["refreshToken"]
    assert said["counts"] == {"logins": 3, "refreshes": 1}


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
