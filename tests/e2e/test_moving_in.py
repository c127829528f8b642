"""The tutorial ``docs/tutorials/moving-in.md``: its programs run, and a caller notices nothing."""

import base64
import contextlib
import csv
import hashlib
import http.client
import json
import re
import secrets
import socket
import sqlite3
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlencode, urlsplit

import bcrypt
import pytest

from docs.pages import ROOT, blocks
from e2e.servers import SOON_SECONDS, serving, within
from integration.test_cli import Terminal

PAGE = ROOT / "docs" / "tutorials" / "moving-in.md"
ENOUGH = 6
"""Answers of each client before the switch, and after it."""
SECRETS = {
    "billing": secrets.token_urlsafe(32),
    "reports.nightly": secrets.token_hex(32),
    "Legacy_App": "oldest-of-all",
}


def programs():
    """Take the two programs out of the page, by the name in their first line."""
    texts = [block.text for block in blocks(PAGE) if block.language == "python"]
    return {re.match(r'"""([\w.]+):', text).group(1): text for text in texts}


def make_table(path):
    """Fill the old table: one secret under bcrypt, one under SHA-256, one in clear."""
    kept = {
        "billing": ("bcrypt", bcrypt.hashpw(SECRETS["billing"].encode(), bcrypt.gensalt(6)).decode()),
        "reports.nightly": ("sha256", hashlib.sha256(SECRETS["reports.nightly"].encode()).hexdigest()),
        "Legacy_App": ("plain", SECRETS["Legacy_App"]),
    }
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE client (id TEXT, kind TEXT, secret TEXT, scopes TEXT)")
        rows = [(name, *how, "read write") for name, how in kept.items()]
        database.executemany("INSERT INTO client VALUES (?, ?, ?, ?)", rows)


class Proxy(BaseHTTPRequestHandler):
    """The proxy before the token endpoint; ``target`` is where it sends what comes."""

    protocol_version = "HTTP/1.1"
    target = ""

    def do_POST(self):
        """Send a request on, and its answer back."""
        body = self.rfile.read(int(self.headers["content-length"]))
        there = urlsplit(Proxy.target)
        connection = http.client.HTTPConnection(there.netloc, timeout=30)
        kept = {
            name: self.headers[name] for name in ("authorization", "content-type") if name in self.headers
        }
        connection.request("POST", there.path, body, kept)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        self.send_response(answer.status)
        self.send_header("content-type", answer.headers["content-type"])
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Say nothing."""


class Callers(threading.Thread):
    """What nobody wants to touch: asks for each client in turn, as it always did, until it is stopped."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port = port
        self.done = 0
        self.seen = set()
        self.errors = []
        self.ended = threading.Event()

    def run(self):
        """Ask all the time."""
        while not self.ended.is_set():
            for name, secret in SECRETS.items():
                try:
                    status, members = self.ask(name, secret)
                except (OSError, http.client.HTTPException, ValueError) as error:
                    self.errors.append(repr(error))
                    continue
                if status != 200:
                    self.errors.append((name, status, members))
                self.seen.add(
                    tuple((key, None if key == "access_token" else members[key]) for key in members)
                )
            self.done += 1

    def ask(self, name, secret):
        """Ask once, the way that this client does."""
        form = {"grant_type": "client_credentials"}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if name == "billing":
            headers["Authorization"] = "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()
        else:
            form |= {"client_id": name, "client_secret": secret}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request("POST", "/oauth/token", urlencode(form), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def some_more(self):
        """Wait until everybody was answered some more times."""
        wanted = self.done + ENOUGH
        within(SOON_SECONDS, lambda: self.done >= wanted or self.errors)


def answers(port):
    """Tell whether somebody listens at a port."""
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def before(tmp_path):
    """The old program, running behind the proxy; gives the proxy's port."""
    make_table(tmp_path / "clients.db")
    for name, text in programs().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    old = subprocess.Popen([sys.executable, "tokens.py", "clients.db", str(port)], cwd=tmp_path)
    Proxy.target = f"http://127.0.0.1:{port}/oauth/token"
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    within(SOON_SECONDS, lambda: answers(port))
    yield proxy.server_address[1]
    proxy.shutdown()
    proxy.server_close()
    old.kill()
    old.wait()


def test_no_caller_notices(before, tmp_path, capsys):
    """A caller that runs before, during and after the switch sees no error and no other answer (issue 9)."""
    terminal = Terminal(capsys, tmp_path / "data")
    terminal.table("init")
    terminal.table("org", "create", "acme", "--name", "Acme")
    terminal.table("org", "set", "acme", "oauth2.lifetime_seconds", "3600")
    callers = Callers(before)
    url = ("--public-url", "https://tokens.example")
    with serving(terminal.data, tmp_path / "home", *url, demo=False) as node:
        callers.start()
        try:
            callers.some_more()
            told = bring_along(terminal, tmp_path)
            callers.some_more()
            Proxy.target = f"{node.url}/o/acme/oauth2/token"
            callers.some_more()
            callers.some_more()
            assert callers.ask("billing", "wrong")[0] == 401
        finally:
            callers.ended.set()
            callers.join()
    assert callers.errors == []
    assert callers.seen == {
        (("access_token", None), ("token_type", "Bearer"), ("expires_in", 3600), ("scope", "read write"))
    }
    assert not any(secret in told for secret in SECRETS.values())
    again = terminal.json("import", str(tmp_path / "clients.csv"), "--organisation", "acme")
    assert (again["created"], again["unchanged"]) == (0, 3)
    assert terminal.json("secret", "list", "Legacy_App")[0]["last_used_on"] is not None


def bring_along(terminal, folder):
    """Write the old table out and import it, as the page says; gives all that was told."""
    rows = subprocess.check_output([sys.executable, "export.py", "clients.db"], cwd=folder)
    (folder / "clients.csv").write_bytes(rows)
    command = ("import", str(folder / "clients.csv"), "--organisation", "acme")
    dry = terminal.table(*command, "--dry-run", "--report", str(folder / "rows.csv"))
    report = (folder / "rows.csv").read_text(encoding="utf-8")
    assert [row["outcome"] for row in csv.DictReader(report.splitlines())] == ["created"] * 3
    return dry + report + terminal.table(*command)
