"""npm openid-client, oauth4webapi and jose against a running demo, by the scripts in clients/."""

import contextlib
import json
import subprocess
import time
from datetime import datetime
from pathlib import Path

import pytest

from e2e.keyed import METHODS, make_client
from e2e.npm import install
from e2e.servers import environment, serving, told

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "e2e" / "clients"
SECONDS = 60

pytestmark = [pytest.mark.needs_node, pytest.mark.timeout(180)]


@pytest.fixture(scope="session")
def modules():
    """The packages and, beside them, the scripts."""
    found = install(HERE / "clients", BUILD)
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A demo of this file's own, whose keys may turn; a key set may be cached for a second."""
    folder = tmp_path_factory.mktemp("node")
    environ = {"KEYTURN_JWKS_CACHE_SECONDS": "1"}
    with serving(folder / "data", folder / "home", environ=environ, warm=True) as node:
        yield node


@pytest.fixture(scope="module")
def keyed(served):
    """A client that may do everything, known to the server."""
    return make_client(served)


def run(modules, home, script, given):
    """Run a script to its end and give what it wrote."""
    done = subprocess.run(
        ["node", script],
        input=json.dumps(given),
        cwd=modules,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@contextlib.contextmanager
def verifier(modules, keyed, home):
    """Start jose as a resource server; gives what asks it about a token."""
    with subprocess.Popen(
        ["node", "jose.mjs", keyed.jwks_uri, keyed.issuer],
        cwd=modules,
        env=environment(home),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:

        def verify(token, audience=keyed.audience):
            process.stdin.write(json.dumps({"token": token, "audience": audience}) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        try:
            yield verify
        finally:
            process.stdin.close()


@pytest.mark.parametrize("discovery", ["oidc", "oauth2"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("script", ["openid_client.mjs", "oauth4webapi.mjs"])
def test_a_whole_life(modules, served, keyed, script, method, discovery):
    """TE-06, RT-01, IN-01 and RV-01: either library proves itself, renews, introspects and revokes."""
    said = run(modules, served.home, script, keyed.given() | {"method": method, "discovery": discovery})
    assert said["metadata"]["issuer"] == keyed.issuer
    assert method in said["metadata"]["token_endpoint_auth_methods_supported"]

    first, second = said["first"], said["second"]
    assert first["token_type"].lower() == "bearer"
    assert (first["expires_in"], set(first["scope"].split())) == (
        600,
        {"read", "write", "offline_access"},
    )
    assert second["scope"] == "read"
    assert second["refresh_token"] != first["refresh_token"]
    assert second["access_token"] != first["access_token"]

    assert said["active"]["active"] is True
    assert said["active"]["client_id"] == said["active"]["sub"] == keyed.client_id
    assert (said["active"]["iss"], said["active"]["aud"]) == (keyed.issuer, keyed.audience)
    assert said["active"]["exp"] - said["active"]["iat"] == 600
    assert (said["family"]["active"], said["family"]["client_id"]) == (True, keyed.client_id)
    assert said["revoked"] == {"active": False}
    assert said["spared"]["active"] is True
    assert said["ended"] == {"active": False}

    assert (said["renewal"]["error"], said["renewal"]["status"]) == ("invalid_grant", 400)
    assert (said["scope"]["error"], said["scope"]["status"]) == ("invalid_scope", 400)
    assert said["stranger"]["status"] == 401
    if script == "oauth4webapi.mjs":
        assert said["claims"]["jti"] == said["active"]["jti"]
        assert said["elsewhere"]["code"] == "OAUTH_JWT_CLAIM_COMPARISON_FAILED"


@pytest.mark.slow
def test_jose_verifies_across_a_rotation(modules, served, keyed):
    """TK-07 and TK-14: jose takes our tokens before and after a rotation and refuses another audience."""
    home, at = served.home, ("--data", str(served.data))
    before = keyed.token(served).json["access_token"]
    with verifier(modules, keyed, home) as verify:
        said = verify(before)
        assert (said["claims"]["sub"], said["fetches"]) == (keyed.client_id, 1)
        assert (said["header"]["typ"], said["header"]["alg"]) == ("at+jwt", "ES256")
        refused = verify(before, audience="https://elsewhere.example")
        assert (refused["code"], refused["claim"]) == ("ERR_JWT_CLAIM_VALIDATION_FAILED", "aud")

        (turned,) = told(home, "keys", "rotate", "--org", "acme", *at)
        active_at = datetime.fromisoformat(turned["active_at"]).timestamp()
        time.sleep(max(0.0, active_at - time.time()) + 1.0)
        after = keyed.token(served).json["access_token"]
        later = verify(after)
        assert later["header"]["kid"] == turned["key_id"] != said["header"]["kid"]
        assert later["claims"]["sub"] == keyed.client_id
        assert verify(before)["claims"]["jti"] == said["claims"]["jti"]
        forged = after[:-8] + ("AAAAAAAA" if not after.endswith("AAAAAAAA") else "BBBBBBBB")
        assert verify(forged)["code"] == "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"


def test_jose_refuses_another_organisations_token(modules, served, keyed):
    """TN-01: a token of another organisation is signed by no key of this issuer."""
    other = served.token("oauth2", "globex").json["access_token"]
    with verifier(modules, keyed, served.home) as verify:
        assert verify(other)["code"] == "ERR_JWKS_NO_MATCHING_KEY"
