"""The admin API of a running server: from the setup token to the end of a token, over HTTP."""

import json

import pytest

from e2e.servers import FORM, ask, basic, run, serving, told, within

SECOND = 1.0


def call(url, token, method, path, body=None, **headers):
    """Send one request of an administrator."""
    sent = {
        "Authorization": f"Bearer {token}",
        **{key.replace("_", "-"): each for key, each in headers.items()},
    }
    if body is not None:
        sent["Content-Type"] = "application/json"
    return ask(f"{url}{path}", method, None if body is None else json.dumps(body), sent)


@pytest.fixture
def admin(changing):
    """Who the demo's admin token is."""
    shown = changing.demo()["admin"]
    assert shown["url"] == f"{changing.url}/admin/v1"

    def ask_(method, path, body=None, **headers):
        return call(shown["url"], shown["token"], method, path, body, **headers)

    return ask_


def test_from_an_organisation_to_a_token(changing, admin):
    """What the admin API makes works at once in the token API, and what it ends is dead at once (RV-04)."""
    made = admin("POST", "/organisations", {"slug": "fresh", "name": "Fresh"}, Idempotency_Key="one")
    again = admin("POST", "/organisations", {"slug": "fresh", "name": "Fresh"}, Idempotency_Key="one")
    assert (made.status, again.status, again.body) == (201, 201, made.body)
    client = admin("POST", "/organisations/fresh/clients", {"name": "a", "scopes": ["read"]}).json["id"]
    secret = admin("POST", f"/organisations/fresh/clients/{client}/secrets", {}).json["secret"]

    def issue():
        form = "grant_type=client_credentials&scope=read"
        proof = {"Authorization": basic(client, secret), "Content_Type": FORM}
        return changing.ask("POST", "/o/fresh/oauth2/token", form, **proof).status

    assert issue() == 200
    assert admin("POST", f"/organisations/fresh/clients/{client}/disable").status == 200
    assert issue() == 401
    assert admin("DELETE", "/organisations/fresh").status == 200


def test_what_the_command_line_ends_is_refused(changing, admin, tmp_path):
    """AD-01: a token that another process ended is refused within a second, and one it made works."""
    made = told(tmp_path, "admin-token", "create", "--name", "cli", "--data", str(changing.data))
    url = changing.demo()["admin"]["url"]
    assert call(url, made["token"], "GET", "/organisations").status == 200
    assert run(tmp_path, "admin-token", "end", made["id"], "--data", str(changing.data)).code == 0
    within(SECOND, lambda: call(url, made["token"], "GET", "/organisations").status == 401)


def test_problems_over_http(changing, admin):
    """RFC 9457: what the server refuses by itself and what the API refuses are told as they should be."""
    gone = admin("GET", "/organisations/nobody")
    assert (gone.status, gone.headers["content-type"]) == (404, "application/problem+json")
    assert gone.json["instance"] == f"urn:uuid:{gone.headers['x-request-id']}"
    large = call(f"{changing.url}/admin/v1", "x", "POST", "/organisations", {"name": "a" * 70_000})
    assert large.status in {401, 413}


def test_setup_of_a_deployment(tmp_path):
    """AD-06: a new deployment is taken over by its setup token, once, with nothing but HTTP."""
    data, home = tmp_path / "data", tmp_path / "home"
    setup = told(home, "init", "--data", str(data))["setup_token"]
    with serving(data, home, "--public-url", "https://tokens.example", demo=False) as node:
        url = f"{node.url}/admin/v1"
        made = call(url, setup, "POST", "/setup", {"name": "me"})
        assert (made.status, made.json["scopes"]) == (201, ["all"])
        assert call(url, setup, "POST", "/setup", {"name": "you"}).status == 401
        assert call(url, made.json["token"], "GET", "/organisations").json["items"] == []
