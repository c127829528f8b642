"""``keyturn serve`` for production: what it refuses to start with, and a deployment run by the CLI."""

import re
import sqlite3
import time
from contextlib import closing
from dataclasses import replace

import jwt
import pytest

from e2e.load import under_load
from e2e.servers import (
    FORM,
    SOON_SECONDS,
    Caller,
    Client,
    ask,
    basic,
    run,
    serving,
    token_path,
    told,
    within,
)
from keyturn.web.measures import MEASURES

PUBLIC = "https://tokens.example"
BOTH = {"KEYTURN_DIALECTS": "oauth2,endorsed"}


# --- before it serves ---


def test_every_problem_at_once(tmp_path):
    """A start without anything names the master key, keyturn init and public_url, all at once."""
    said = run(tmp_path, "serve", "--data", str(tmp_path / "data"), "--host", "0.0.0.0")
    assert said.code == 3
    assert said.out == ""
    assert "Traceback" not in said.err
    lines = said.err.splitlines()
    for word in ("keyturn init", "public_url is required", "trusted_proxies"):
        assert sum(word in line for line in lines) == 1, said.err
    assert not (tmp_path / "data").exists()


def test_unknown_settings_are_refused_together(tmp_path):
    """Misspelt settings in file and environment, and wrong values, are all told in one go."""
    file = tmp_path / "keyturn.toml"
    file.write_text('publik_url = "https://x.example"\nport = "many"\n')
    said = run(
        tmp_path,
        *("serve", "--config", str(file), "--data", str(tmp_path), "--public-url", "http://tokens.example"),
        environ={"KEYTURN_MASTR_KEY": "x", "KEYTURN_LOG_LEVEL": "shout"},
    )
    assert said.code == 3
    for word in ("publik_url", "port in ", "KEYTURN_MASTR_KEY", "KEYTURN_LOG_LEVEL", "--public-url", "init"):
        assert word in said.err, word


# --- while it serves ---


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_deployment_made_by_the_cli(tmp_path):
    """AD-05, RV-04 and HT-07: what the CLI changes counts within a second, is told, and leaks nothing."""
    home, data = tmp_path / "home", tmp_path / "data"
    at = ("--data", str(data))
    assert told(home, "init", *at)["master_key"] == "made"
    key = (data / "master.key").read_bytes()
    with serving(data, home, "--public-url", PUBLIC, demo=False, environ=BOTH) as node:
        assert node.out.read_text() == ""
        assert table(data, "SELECT slug FROM organisation") == []
        assert told(home, "init", *at)["master_key"] == "kept"
        assert (data / "master.key").read_bytes() == key
        first, secret_id = make_client(node, home, at)
        tokens_name_the_public_url(node, first)
        second = changes_count_within_a_second(node, home, at, first, secret_id)
        the_trail_tells(node, home, at, second)
        nothing_leaks(node, data, [first, second])


def table(data, query):
    """Ask the database from outside."""
    with closing(sqlite3.connect(data / "keyturn.db")) as store:
        return store.execute(query).fetchall()


def both(client):
    """Give the same client as each dialect sees it."""
    return [replace(client, dialect=name, path=token_path(name)) for name in ("oauth2", "endorsed")]


def statuses(node, client):
    """Ask for a token in each dialect."""
    with Caller(node.url) as caller:
        return [each.post(caller).status for each in both(client)]


def make_client(node, home, at):
    """Make an organisation, a client of both dialects and its secret, beside the running server."""
    told(home, "org", "create", "acme", "--name", "Acme", *at)
    flags = ("--dialect", "oauth2", "--dialect", "endorsed", "--scope", "all:read all:write")
    made = told(home, "client", "create", "acme", "--name", "machine", *flags, *at, environ=BOTH)
    client_id = made["client_id"]
    secret = told(home, "secret", "create", client_id, *at)
    client = Client("oauth2", token_path("oauth2"), client_id, secret["secret"])
    within(SOON_SECONDS, lambda: statuses(node, client) == [200, 200])
    return client, secret["id"]


def tokens_name_the_public_url(node, client):
    """HT-03: issuer and links come from public_url and not from where the server listens."""
    metadata = ask(f"{node.url}/.well-known/oauth-authorization-server/o/acme").json
    assert metadata["issuer"] == f"{PUBLIC}/o/acme"
    assert metadata["token_endpoint"] == f"{PUBLIC}/o/acme/oauth2/token"
    with Caller(node.url) as caller:
        tokens = [each.post(caller).json["access_token"] for each in both(client)]
    for token in tokens:
        assert jwt.decode(token, options={"verify_signature": False})["iss"] == f"{PUBLIC}/o/acme"


def changes_count_within_a_second(node, home, at, client, secret_id):
    """Disable and enable the client, then change its secret without a gap; gives it with the new one."""
    told(home, "client", "disable", client.client_id, *at)
    within(SOON_SECONDS, lambda: statuses(node, client) == [401, 401])
    told(home, "client", "enable", client.client_id, *at)
    within(SOON_SECONDS, lambda: statuses(node, client) == [200, 200])
    made = told(home, "secret", "create", client.client_id, *at)
    successor = replace(client, client_secret=made["secret"])
    within(SOON_SECONDS, lambda: statuses(node, successor) == [200, 200])
    assert statuses(node, client) == [200, 200]
    told(home, "secret", "end", secret_id, "--why", "rotated", *at)
    within(SOON_SECONDS, lambda: statuses(node, client) == [401, 401])
    assert statuses(node, successor) == [200, 200]
    return successor


def the_trail_tells(node, home, at, client):
    """The trail names who did what with which outcome and private reason, and its chains hold."""
    with Caller(node.url) as caller:
        wrong = client.post(caller, client_secret="not-the-secret")
        token = client.post(caller).json["access_token"]
    assert wrong.status == 401
    assert b"secret" not in wrong.body
    rows = told(home, "audit", "tail", "--limit", "500", *at)
    issued = [row for row in rows if row["kind"] == "token.issued"][-1]
    refused = [row for row in rows if row["kind"] == "token.refused"][-1]
    assert issued["actor"] == refused["actor"] == f"client:{client.client_id}"
    assert issued["subject"] == jwt.decode(token, options={"verify_signature": False})["jti"]
    assert issued["details"]["dialect"] == "oauth2"
    assert (refused["outcome"], refused["reason"]) == ("invalid_client", "wrong_secret")
    assert refused["request_id"] == wrong.headers["x-request-id"]
    reasons = {row["reason"] for row in rows if row["kind"] == "token.refused"}
    assert {"wrong_secret", "client_disabled", "secret_ended"} <= reasons
    assert len({row["organisation_id"] for row in rows if row["kind"].startswith("token.")} - {None}) == 1
    done = {row["kind"]: row for row in rows if row["actor"].startswith("operator:")}
    assert done["client.created"]["subject"] == client.client_id
    assert {"organisation.created", "client.disabled", "credential.created", "credential.ended"} <= set(done)
    assert all(row["at"].endswith("Z") for row in rows)
    assert told(home, "audit", "verify", *at)["intact"]


def nothing_leaks(node, data, clients):
    """No secret, token, signature or presented credential is in logs, metrics, audit or database files."""
    presented = ["kt-presented-but-wrong-1", "kt-presented-in-query-2", "kt-presented-as-json-3"]
    needles = {*presented, (data / "master.key").read_text().strip()}
    with Caller(node.url) as caller:
        for client in [each for owner in clients for each in both(owner)]:
            needles.add(client.client_secret)
            needles.add(basic(client.client_id, client.client_secret).removeprefix("Basic "))
            token = client.post(caller).json.get("access_token", "no-token-any-more")
            needles |= {token, token.rpartition(".")[2]}
            client.post(caller, client_secret=presented[0])
            caller.ask("POST", f"{client.path}?client_secret={presented[1]}", "", {"Content-Type": FORM})
            caller.ask("GET", f"{client.path}?client_secret={presented[1]}&access_token={token}")
            body = f'{{"client_secret": "{presented[2]}", "client_secret": 1, "grant_type'
            caller.ask("POST", client.path, body, {"Content-Type": "application/json"})
            caller.ask("POST", client.path, "x", {"Authorization": f"Bearer {token}", "Content-Type": FORM})
            swapped = client.form(client_id=client.client_secret, client_secret=presented[0])
            named = dict.fromkeys(("User-Agent", "X-Forwarded-For", "X-Request-Id"), presented[0])
            caller.ask("POST", client.path, swapped, {"Content-Type": FORM, **named})
    files = [path for path in data.iterdir() if path.name != "master.key"] + [node.log, node.out]
    assert {path.name for path in files} >= {"keyturn.db", "keyturn.db-wal"}
    contents = {path.name: path.read_bytes() for path in files}
    contents["metrics"] = ask(f"{node.management}/metrics").body
    contents["command line"] = node.command_line()
    for name, content in contents.items():
        for needle in needles:
            assert needle.encode() not in content, f"{name} holds {needle[:16]}..."


def test_management_is_not_public(demo):
    """HT-08: health and metrics answer on the management listener only, and nobody names our software."""
    for path in ("/health/live", "/health/ready", "/metrics"):
        assert ask(demo.url + path).status == 404
        assert ask(demo.management + path).status == 200
    for answer in (ask(demo.url + "/"), ask(demo.url + "/o/acme/oauth2/token"), ask(demo.management + "/")):
        assert "server" not in answer.headers
        assert not re.search(rb"uvicorn|keyturn|python|Traceback", answer.body, re.IGNORECASE)


def test_metrics_count_by_dialect(demo):
    """The metrics count answers by dialect and outcome, without names of clients."""
    assert demo.token("oauth2").status == 200
    text = ask(f"{demo.management}/metrics").body.decode()
    assert re.search(r'keyturn_requests_total\{dialect="oauth2",outcome="ok",route="token"\} [1-9]', text)
    shown = [each["client_id"] for each in demo.demo()["dialects"].values() if "client_id" in each]
    # A contract's one client is a word of its own, and no client of anybody.
    made = [client_id for client_id in shown if "-" in client_id]
    assert made
    assert all(client_id not in text for client_id in made)


def test_metrics_are_those_of_the_page(demo):
    """A running server shows every metric that the page has, but those of several workers and of TLS."""
    text = ask(f"{demo.management}/metrics").body.decode()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\w+)$", text, re.MULTILINE))
    absent = {
        "keyturn_workers",
        "keyturn_worker_restarts",
        "keyturn_certificate_expiry_timestamp_seconds",
    }
    described = {each.shown_as(name): each.kind for name, each in MEASURES.items() if name not in absent}
    assert kinds == described
    told = dict(re.findall(r"^# HELP (\S+) (.*)$", text, re.MULTILINE))
    assert told == {each.shown_as(name): each.text for name, each in MEASURES.items() if name not in absent}


def test_log_lines_are_structured(demo):
    """HT-07: every log line of a server without a terminal is one JSON object."""
    assert {"serving"} <= {event["event"] for event in demo.events()}
    assert all({"event", "level", "timestamp"} <= set(event) for event in demo.events())


# --- how it stops ---


@pytest.mark.slow
@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(False, id="new connections"),
        pytest.param(True, id="kept connections"),
    ],
)
def test_sigterm_drains_under_load(tmp_path, kept):
    """RE-03: SIGTERM under load breaks no request that was sent, and the server exits with 0."""
    with serving(tmp_path / "data", tmp_path / "home") as node:
        with under_load(node.url, node.client("oauth2"), 24, kept=kept) as load:
            time.sleep(1.0)
            assert node.stop() == 0
            time.sleep(0.1)
        assert set(load.statuses) == {200}
        assert load.refused
        assert load.broken == []
        assert "stopped" in {event["event"] for event in node.events()}


def test_sigint_stops_as_well(tmp_path):
    """RE-03: a server that is interrupted from its terminal stops in order, without a traceback."""
    with serving(tmp_path / "data", tmp_path / "home") as node:
        assert node.stop(2) == 0
        assert "Traceback" not in node.log.read_text()
