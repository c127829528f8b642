"""The way to a server: which one, with which token, what is sent again, and what is believed of an answer."""

import contextlib
import http.server
import json
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from authority import Authority
from keyturn.admin.requests import answer_of, request_of
from keyturn.cli import link as link_module
from keyturn.cli.link import Link, Reply, server_of
from keyturn.cli.profiles import Profile, chosen, token_of
from keyturn.cli.remote import RemoteVerbs
from keyturn.cli.root import run
from keyturn.core.errors import Clash, ConfigError, Fault, NothingThere, NotPermitted, OperatorError
from keyturn.core.secret import Secret, make_secret
from keyturn.core.vocabulary import CredentialKind

CLIENT = {
    "id": "c",
    "organisation_id": "o",
    "name": "bot",
    "created_at": "2026-11-01T12:00:00.000Z",
    "disabled": False,
    "ended_at": None,
    "version": 3,
    "dialects": ["oauth2"],
    "grants": [],
    "scopes": [],
    "audiences": [],
    "public": False,
    "rights": [],
    "max_lifetime_seconds": None,
}


def token(kind=CredentialKind.ADMIN_TOKEN):
    """Make a token, as somebody may have it."""
    return make_secret(kind, lambda length: bytes(range(length))).reveal()


def told(status, body=None, media="application/json", **headers):
    """Write a reply."""
    content = json.dumps({} if body is None else body).encode()
    return Reply(status, {"content-type": media, **headers}, content)


def problem(status, detail="no", **headers):
    """Write a refusal."""
    return told(status, {"detail": detail}, "application/problem+json", **headers)


class Script:
    """A server that answers what is written down, and keeps what it was sent."""

    def __init__(self, *replies):
        self.replies, self.sent = list(replies), []

    async def send(self, asked, secret):
        """Give the next reply."""
        self.sent.append((asked, secret.reveal()))
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def close(self):
        """Nothing is held."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Wait for nothing."""
    monkeypatch.setattr(link_module, "_WAITS", (0.0, 0.0))


def verbs(*replies):
    """Ask a server that answers as written."""
    script = Script(*replies)
    return RemoteVerbs(Link(script, Secret(token()), "there")), script


@pytest.mark.parametrize(
    "first", [ConnectionResetError(), problem(503), problem(429, **{"retry-after": "0"})]
)
async def test_reading_and_making_are_tried_again(first):
    """A read is repeated, and so is a create: with the same key, so that it is done once."""
    remote, script = verbs(first, told(200, CLIENT))
    assert (await remote.client("c")).version == 3
    remote, script = verbs(first, told(200, CLIENT), first, told(201, CLIENT))
    await remote._ask("clients.create", organisation="o", name="bot")
    keys = {asked.headers["Idempotency-Key"] for asked, _ in script.sent}
    assert (len(keys), len(script.sent)) == (1, 2)


async def test_a_change_is_sent_once():
    """What is no create and changes something is never repeated, and the words say that nobody knows."""
    remote, script = verbs(told(200, CLIENT), ConnectionResetError("gone"))
    with pytest.raises(Fault, match="whether it was done is not known"):
        await remote.end_client("c")
    assert len(script.sent) == 2
    remote, script = verbs(told(200, CLIENT), problem(503, "later"))
    with pytest.raises(Fault, match="503: later"):
        await remote.end_client("c")


async def test_it_gives_up():
    """After three attempts the server does not answer."""
    remote, _ = verbs(*[TimeoutError("timed out")] * 3)
    with pytest.raises(Fault, match=r"there does not answer: timed out$"):
        await remote.client("c")


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (problem(401), ConfigError, "does not accept the admin token"),
        (problem(403, "lacks clients:read"), NotPermitted, "lacks clients:read"),
        (problem(404, "no client 'c'"), NothingThere, "no client 'c'"),
        (problem(409, "has ended"), Clash, "has ended"),
        (problem(400, "a\x1b[2Jb\nc"), OperatorError, r"a\\x1b\[2Jb\\x0ac"),
        (problem(500, "broke"), Fault, "500: broke"),
        (told(302, location="https://evil.example/"), ConfigError, "not followed"),
        (told(200, media="text/html"), ConfigError, "no admin API is there"),
        (told(200, {"id": "c"}), Fault, "cannot be read"),
        (told(200, {**CLIENT, "created_at": 5}), Fault, "cannot be read"),
    ],
)
async def test_answers_that_are_none(reply, kind, words):
    """A refusal is told by its kind, in words that no terminal obeys; what is no answer is not believed."""
    remote, script = verbs(reply)
    with pytest.raises(kind, match=words):
        await remote.client("c")
    assert len(script.sent) == 1


DEEP = Reply(200, {"content-type": "application/json"}, b'{"items":' + b"[" * 100_000)
DEEP_REFUSAL = Reply(400, {"content-type": "application/problem+json"}, b"[" * 100_000)


@pytest.mark.parametrize(
    ("replies", "kind", "words"),
    [
        ([DEEP], Fault, "cannot be read"),
        ([DEEP_REFUSAL], OperatorError, r"refused \(400\)"),
        ([told(200, {"items": [], "next": "again"})] * 9, Fault, "points to itself"),
    ],
)
async def test_answers_that_never_end(replies, kind, words):
    """HT-01: a server that answers too deep, or with a list without an end, is believed nothing."""
    remote, script = verbs(*replies)
    with pytest.raises(kind, match=words):
        await remote.clients("acme")
    assert len(script.sent) < 3


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "a%2Fb", "a?b", "a b", "ä"])
def test_a_name_never_becomes_a_path(name):
    """AD-01: what is typed as a name cannot name another resource by the way it is spelled."""
    with pytest.raises(NothingThere, match="no client"):
        request_of("clients.end", {"organisation": "acme", "client": name})


def test_requests_are_what_the_tables_say():
    """A request has its version, its members and its query where the table puts them."""
    asked = request_of(
        "clients.change", {"organisation": "o", "client": "c", "name": "n"}, version=3, key="k"
    )
    assert (asked.method, asked.target) == ("PATCH", "/admin/v1/organisations/o/clients/c")
    assert asked.headers == {"If-Match": '"3"', "Content-Type": "application/json"}
    assert (asked.body, asked.repeatable) == (b'{"name":"n"}', False)
    listed = request_of("clients.list", {"organisation": "o", "public": True, "limit": 5})
    assert listed.target.partition("?")[2] == "public=true&limit=5"
    assert answer_of("clients.show", json.dumps({**CLIENT, "newer": 1}).encode())["dialects"] == ("oauth2",)


@pytest.mark.parametrize(
    "url",
    [
        "http://tokens.example",
        "http://127.0.0.1.evil.example",
        "ftp://tokens.example",
        "tokens.example",
        "https://",
        "https://me:word@tokens.example",
        "https://tokens.example?x=1",
        "https://tokens.example:port",
    ],
)
def test_servers_that_are_none(url):
    """HT-01: no token is sent in clear to anything but this machine, nor to what is no plain address."""
    with pytest.raises(ConfigError):
        server_of(url)


def test_servers():
    """A server is https anywhere or http on this machine, and may lie below a path."""
    assert server_of("https://tokens.example/keyturn/").prefix == "/keyturn"
    assert [server_of(url).host for url in ("http://localhost:1", "http://127.0.0.1", "http://[::1]:80")] == [
        "localhost",
        "127.0.0.1",
        "::1",
    ]


@pytest.fixture
def home(monkeypatch, tmp_path):
    """Give a folder of profiles, and write into it."""
    folder = tmp_path / "config" / "keyturn"
    folder.mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder.parent))

    def write(text, mode=0o600, name="profiles.toml"):
        path = folder / name
        path.write_text(text)
        path.chmod(mode)
        return path

    return write


def named(name="prod", **environ):
    """Choose a profile."""
    import os

    return chosen(None, name, local=False, environ={**os.environ, **environ})


def test_profiles(home):
    """A profile names its server and its files, which lie beside it, or a program that prints the token."""
    home(f"{token()}\n", name="prod.token")
    home('[prod]\nserver = "https://a.example"\ntoken_file = "prod.token"\nca_file = "ca.pem"\n')
    profile = named()
    assert (profile.server, profile.ca_file.name) == ("https://a.example", "ca.pem")
    assert token_of(profile).reveal() == token()
    words = [sys.executable, "-c", f"print('{token()}')"]
    home(f"[prod]\nserver = 'https://a.example'\ntoken_command = {words!r}\n")
    assert token_of(named()).reveal() == token()


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("[prod]\nserver = 'https://a.example'\n", 0o640, "chmod 600"),
        ("[test]\nserver = 'https://a.example'\n", 0o600, "no profile 'prod'.*there is test"),
        ("[prod]\nserver = 'https://a.example'\ntoken = 'x'\n", 0o600, "unknown field `token`"),
        ("[prod]\nserver = 'x'\ntoken_file = 'a'\ntoken_command = ['b']\n", 0o600, "not both"),
        ("[prod\n", 0o600, "profiles.toml"),
        ("#" * 65_537, 0o600, "profiles.toml: has more than 65536 characters"),
    ],
)
def test_profiles_that_are_none(home, text, mode, words):
    """HT-07: a profile that others may read, that is not there, or that holds a token is refused."""
    home(text, mode)
    with pytest.raises(ConfigError, match=words):
        named()


def test_tokens_that_are_none(home):
    """A token file that others may read is refused, and another secret is not sent (HT-07)."""
    wide = home(token(), 0o644, "wide")
    with pytest.raises(ConfigError, match="chmod 600"):
        token_of(Profile(server="x", token_file=wide))
    for kind, words in (
        (CredentialKind.CLIENT_SECRET, "nothing was sent"),
        (CredentialKind.SETUP_TOKEN, "setup"),
    ):
        with pytest.raises(ConfigError, match=words) as caught:
            token_of(Profile(server="x", token_file=home(token(kind), name="other")))
        assert token(kind) not in str(caught.value)
    for command in (("false",), ("no-such-program-of-ours",)):
        with pytest.raises(ConfigError, match="token command"):
            token_of(Profile(server="x", token_command=command))


def test_one_place_is_named():
    """Flags win over the environment, the data folder is a flag too, and two places at once are refused."""
    url = "https://a.example"
    assert chosen(None, None, local=False, environ={}) is None
    assert chosen(None, None, local=True, environ={"KEYTURN_SERVER": url}) is None
    found = chosen(url, None, local=False, environ={"KEYTURN_PROFILE": "x", "KEYTURN_TOKEN_FILE": "/t"})
    assert found == Profile(server=url, token_file=Path("/t"))
    for server, local, environ in (
        (url, True, {}),
        (None, False, {"KEYTURN_SERVER": url, "KEYTURN_PROFILE": "x"}),
        (None, False, {"KEYTURN_SERVER": url, "KEYTURN_DATA": "/d"}),
    ):
        with pytest.raises(ConfigError):
            chosen(server, None, local=local, environ=environ)


@pytest.mark.parametrize(
    "words", [["upkeep", "run"], ["init"], ["serve"], ["clock", "show"], ["token", "inspect"]]
)
def test_what_stays_on_the_machine(capsys, words):
    """A noun about this machine refuses a server in words, and reads no token for it."""
    assert run([*words, "--server", "https://a.example"]) == 1
    assert "machine only" in capsys.readouterr().err


class Page(http.server.BaseHTTPRequestHandler):
    """Answers every request with a client, and keeps what it heard."""

    def do_GET(self):
        """Answer."""
        self.server.heard.append((self.path, self.headers["Authorization"]))
        body = json.dumps(CLIENT).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@contextlib.contextmanager
def secure_server(authority):
    """Serve pages over TLS."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.heard = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certificate, authority.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def test_certificates(capsys, monkeypatch, home, tmp_path):
    """HT-01: a server whose certificate is not trusted hears nothing; a CA file makes one trusted."""
    authority = Authority(tmp_path / "ca")
    authority.issue()
    monkeypatch.setenv("KEYTURN_TOKEN_FILE", str(home(token(), name="token")))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with secure_server(authority) as server:
        words = ["client", "show", "c", "--server", f"https://localhost:{server.server_port}"]
        assert run(words) == 4
        assert "not trusted" in capsys.readouterr().err
        assert server.heard == []
        monkeypatch.setenv("KEYTURN_CA_FILE", str(authority.file))
        assert run(words) == 0
        assert server.heard == [("/admin/v1/clients/c", f"Bearer {token()}")]
        assert "bot" in capsys.readouterr().out


def test_a_shell_completes(tmp_path):
    """The script that is printed completes nouns, their verbs and options in a real bash."""
    keyturn = Path(sys.executable).with_name("keyturn")
    script = f"""
        eval "$({keyturn} completion bash)"
        ask() {{
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
            _keyturn_completion {keyturn}
            echo "${{COMPREPLY[@]}}"
        }}
        ask keyturn se
        ask keyturn secret fi
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines() == ["serve service-user secret", "finish"]
