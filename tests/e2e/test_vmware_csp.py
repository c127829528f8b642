"""VMware Cloud Services as its callers see it: curl, wavefront-sdk-python, and the CLI beside them."""

import json
import subprocess
from pathlib import Path
from urllib.parse import urlencode

import jwt
import pytest

from dialects.contract import matches
from e2e.samples import send_by_curl
from e2e.servers import SOON_SECONDS, ask, environment, run, serving, told, within
from e2e.vendors import install
from keyturn.dialects.vmware_csp import DIALECT

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "e2e" / "vendors"
SAMPLES = {sample.name: sample for sample in DIALECT.samples}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
VARYING = {"iat"}
SECONDS = 60

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="session")
def python():
    """The Python that has the vendors' clients."""
    found = install(BUILD)
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A demo of this file's own, whose keys and tokens may turn; a key set may be cached for a second."""
    folder = tmp_path_factory.mktemp("vmware")
    environ = {"KEYTURN_JWKS_CACHE_SECONDS": "1"}
    with serving(folder / "data", folder / "home", environ=environ, warm=True) as node:
        yield node


@pytest.fixture
def members(served):
    """What demo.json says of the dialect."""
    return served.demo()["dialects"]["vmware-csp"]


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_by_curl(served, name):
    """Each golden sample of the vendor's page is answered to curl exactly as it says."""
    sample = SAMPLES[name]
    status, body = send_by_curl(served, DIALECT, sample)
    assert status == sample.status
    steady = {key: value for key, value in body.items() if key not in VARYING}
    assert matches({key: value for key, value in sample.answer.items() if key not in VARYING}, steady), body


def test_curl_line_of_the_demo(served):
    """The line that the demo prints works when it is pasted."""
    lines = served.out.read_text().splitlines()
    line = lines[lines.index("# vmware-csp") + 1]
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=SECONDS, check=True)
    assert json.loads(done.stdout)["token_type"] == "bearer"


def sdk(python, served, way, **given):
    """Let the SDK get a token; gives what it told."""
    done = subprocess.run(
        [python, HERE / "clients" / "wavefront_sdk_csp.py"],
        input=json.dumps({"way": way, "given": given}),
        env=environment(served.home),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("slash", ["", "/"])
def test_sdk_with_an_api_token(python, served, members, slash):
    """The SDK exchanges an API token, keeps what it got for 30 minutes less three, and the token is good."""
    got = sdk(python, served, "API_TOKEN", base_url=served.url + slash, csp_api_token=members["api_token"])
    assert got["kept"]
    assert 1_500 < got["kept_seconds"] <= 1_620
    assert who(members, got["token"])["username"] == "csp-demo"


@pytest.mark.parametrize("with_organisation", [False, True])
def test_sdk_with_client_credentials(python, served, members, with_organisation):
    """The SDK gets a token for a client, whether it names the organisation or not."""
    given = {"csp_app_id": members["client_id"], "csp_app_secret": members["client_secret"]}
    if with_organisation:
        given["csp_org_id"] = members["org_id"]
    got = sdk(python, served, "OAUTH", base_url=served.url, **given)
    assert got["kept"]
    assert who(members, got["token"])["sub"] == members["client_id"]


@pytest.mark.parametrize(
    ("way", "given", "says"),
    [
        ("API_TOKEN", {"csp_api_token": "revoked_api_token"}, "400 invalid_grant: Invalid refresh token"),
        ("API_TOKEN", {"csp_api_token": "expired_api_token"}, "400 invalid_grant: Invalid refresh token"),
        (
            "OAUTH",
            {"csp_app_id": "client_id", "csp_app_secret": "api_token"},
            "401 invalid_client: Client authentication failed",
        ),
        (
            "OAUTH",
            {"csp_app_id": "client_id", "csp_app_secret": "client_secret", "csp_org_id": "api_token"},
            "403 access_denied: Not allowed in this organization",
        ),
    ],
)
def test_sdk_refused(python, served, members, way, given, says):
    """The SDK logs the message of a refusal and gives no token."""
    told = {name: members[member] for name, member in given.items()}
    got = sdk(python, served, way, base_url=served.url, **told)
    assert got["token"] is None
    assert any(says in line for line in got["log"]), got["log"]


def who(members, token):
    """Ask who the holder of an access token is."""
    answer = ask(members["base_url"] + "/userinfo", headers={"csp-auth-token": token})
    assert answer.status == 200, answer
    return answer.json


def exchange(members, token):
    """Exchange an API token."""
    url = members["base_url"] + "/auth/api-tokens/authorize"
    return ask(url, "POST", urlencode({"api_token": token}), FORM)


def test_life_of_a_token_by_cli(served, members):
    """An operator makes, lists, regenerates, deactivates and revokes API tokens; a running server follows."""
    at, home = ("--data", str(served.data)), served.home
    owner = "csp-demo@acme.example"
    made = told(home, "api-token", "create", "acme", owner, "--dialect", "vmware-csp", *at)
    assert len(made["secret"]) == 65
    within(SOON_SECONDS, lambda: exchange(members, made["secret"]).status == 200)
    access = exchange(members, made["secret"]).json["access_token"]
    listed = told(home, "api-token", "list", "acme", owner, *at)
    assert next(each for each in listed if each["id"] == made["id"])["last_used_on"]
    again = told(home, "api-token", "regenerate", made["id"], *at)
    within(SOON_SECONDS, lambda: exchange(members, made["secret"]).status == 400)
    within(
        5, lambda: ask(members["base_url"] + "/userinfo", headers={"csp-auth-token": access}).status == 401
    )
    assert exchange(members, again["secret"]).status == 200
    told(home, "api-token", "deactivate", again["id"], *at)
    within(SOON_SECONDS, lambda: exchange(members, again["secret"]).status == 400)
    told(home, "api-token", "activate", again["id"], *at)
    within(SOON_SECONDS, lambda: exchange(members, again["secret"]).status == 200)
    assert run(home, "api-token", "revoke", again["id"], *at).code == 0
    within(SOON_SECONDS, lambda: exchange(members, again["secret"]).status == 400)


def test_one_key_across_a_rotation(served, members):
    """TK-14: a client that fetches the one public key at each run verifies every token while keys turn."""
    seen = []

    def run_once():
        value = ask(members["base_url"] + "/auth/token-public-key").json["value"]
        token = exchange(members, members["api_token"]).json["access_token"]
        assert jwt.decode(token, value, algorithms=["RS256"], audience="vmware-csp")
        seen.append(value)
        return len(set(seen))

    assert run_once() == 1
    told(served.home, "keys", "rotate", "--issuer", "vmware-csp", "--data", str(served.data))
    within(SOON_SECONDS, lambda: run_once() == 2)
    assert run_once() == 2
