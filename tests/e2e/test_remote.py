"""The same commands on the machine and through a server: the same words, the same exit codes, to the byte."""

import io
import json
import re
from datetime import UTC, datetime
from importlib import import_module

import pytest
import typer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from e2e.servers import FORM, basic, token_path
from keyturn.cli.root import REMOTE, run
from keyturn.core import totp
from keyturn.core.secret import Secret

HOOK = "https://hooks.invalid/in"
WORD = "violet otters juggle lanterns"
MASKS = (
    (re.compile(r"kt_[a-z]+_[0-9A-Za-z]+|whsec_[0-9A-Za-z+/=]+"), "secret"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)"), "time"),
    (re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?:\.\d+\.[0-9a-f]+)?"), "id"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "api key"),
    (re.compile(r"\b[A-Z2-7]{32}\b"), "seed"),
    (re.compile(r'(?<="key_id": ")[^"]+'), "key id"),
    (re.compile(r'(?<="kid": ")[^"]+'), "kid"),
    (re.compile(r'(?<="records_erased": )\d+'), "number"),  # kept answers are erased too
    (re.compile(r'(?<="deleted": )\{[^}]*\}'), "number"),  # and are counted among what was there
)
ON_THE_MACHINE = {("admin-token", "setup"), ("audit", "verify"), ("audit", "key")} | {
    ("audit", "export"),
}


class Terminal:
    """Types commands here or at a server, and keeps what was typed and said."""

    def __init__(self, capsys, monkeypatch, where, slug):
        self.capsys, self.monkeypatch, self.where, self.slug = capsys, monkeypatch, where, slug
        self.said, self.typed = [], set()

    def code(self, *words, typed=""):
        """Run a command, and give its exit code, its output and what it complained of."""
        self.monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        self.capsys.readouterr()
        code = run([*words, *self.where])
        told = self.capsys.readouterr()
        self.typed.add(tuple(words[: 3 if words[1] == "totp" else 2]))
        return code, told.out, told.err

    def __call__(self, *words, typed=""):
        """Run a command that succeeds, for its answer; the table is kept too, where it changes nothing."""
        answer = self.code(*words, "--format", "json", typed=typed)
        self.said.append((words[:2], *answer))
        assert answer[0] == 0, (words, answer)
        return json.loads(answer[1])

    def fails(self, *words, typed=""):
        """Run a command whose answer is no."""
        answer = self.code(*words, typed=typed)
        self.said.append((words[:2], *answer))
        assert answer[0] != 0, answer

    def masked(self):
        """Give what was said, with ids, times and secrets by the order in which they came up."""
        seen: dict[str, str] = {}

        def mask(kind, text):
            return text if kind == "time" else seen.setdefault(text, f"<{kind} {len(seen)}>")

        text = [repr(each).replace(self.slug, "<slug>") for each in self.said]
        for pattern, kind in MASKS:
            text = [
                pattern.sub(
                    lambda found, kind=kind: "<time>" if kind == "time" else mask(kind, found[0]), each
                )
                for each in text
            ]
        return text


def journey(t):
    """Use every verb that works both ways, on an organisation that is made for it."""
    org = t.slug
    t("org", "create", org, "--name", "Twin")
    t("org", "rename", org, "Twin & Co")
    t("org", "set", org, "policy.entity_secret_days", "90")
    t("org", "set", org, "oauth2.lifetime_seconds", "600")
    t("org", "set", org, "oauth2.lifetime_seconds")
    t.fails("org", "set", org, "oauth2.nonsense", "1")
    t.fails("org", "create", org)
    machines(t, org)
    people(t, org)
    entities(t, org)
    notices(t, org)
    t("keys", "rotate", "--org", org, "--algorithm", "ES256")
    # Of keys that were published in one instant the ids say which comes first: nothing that two rings share.
    for each in json.loads(t.code("keys", "list", "--org", org, "--format", "json")[1]):
        if each["state"] == "next":
            t("keys", "withdraw", each["key_id"], "--yes")
    t.fails("keys", "withdraw", "nobody", "--yes")
    t("org", "disable", org)
    t("org", "enable", org)
    t("org", "delete", org, "--yes-delete", org)
    t("org", "show", org)


def machines(t, org):
    """Make and change clients, secrets and public keys, and admin tokens."""
    made = t("client", "create", org, "--name", "bot", "--scope", "read write", "--max-lifetime", "300")
    client = made["client_id"]
    t("client", "change", client, "--scope", "", "--max-lifetime", "0", "--name", "Bot")
    t.fails("client", "change", client, "--dialect", "nonsense")
    t.fails("client", "show", "nobody")
    first = t("secret", "create", client, "--name", "one", "--expires", "30d")
    t("secret", "disable", first["id"])
    t("secret", "enable", first["id"])
    second = t("secret", "rotate", client, "--overlap", "1h")
    t("secret", "cancel", second["id"])
    third = t("secret", "rotate", client, "--overlap", "1h")
    t("secret", "finish", first["id"])
    t("secret", "end", third["id"], "--why", "it leaked")
    t.fails("secret", "enable", third["id"])
    t.fails("secret", "end", "nothing")
    pem = (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    (t.folder / "key.pem").write_bytes(pem)
    key = t("key", "add", client, "--jwk", str(t.folder / "key.pem"))
    t("key", "disable", key["id"])
    t("key", "enable", key["id"])
    t("key", "list", client)
    t("key", "end", key["id"])
    t("client", "disable", client)
    t("client", "enable", client)
    t("secret", "list", client)
    t("client", "list", org)
    t("client", "end", client, "--yes")
    t("client", "show", client)
    token = t("admin-token", "create", "--organisation", org, "--scope", "clients:read", "--name", "narrow")
    t.fails("admin-token", "create", "--scope", "nonsense")
    t("admin-token", "end", token["id"])


def people(t, org):
    """Make and change users, with all they prove themselves with, members, teams and projects."""
    mail = f"ana@{org}.example"
    user = t("user", "create", org, "Ana", "--email", mail, "--given-name", "A")["user_id"]
    code = t("user", "email-code", f"{org}/ana")["code"]
    t("user", "confirm-email", typed=code)
    t.fails("user", "confirm-email", typed=code)
    t("user", "change", mail, "--given-name", "", "--family-name", "B")
    t("user", "show", f"{org}/ANA")
    t.fails("user", "show", "nobody@nowhere.example")
    t.fails("user", "show", f"{org}/nobody")
    t("user", "password", user, typed=WORD)
    t.fails("user", "password", user, typed="short")
    seed = t("user", "totp", "enrol", user, "--name", "phone")["seed"]
    passcode = totp.passcode(totp.from_base32(Secret(seed)), totp.step_at(datetime.now(UTC)))
    t("user", "totp", "confirm", user, typed=passcode)
    t("user", "totp", "recovery", user)
    t("user", "totp", "devices", user)
    t("user", "totp", "remove", user)
    t("lockout", "clear", org, "ANA")
    t("user", "logout", user)
    t("user", "disable", user)
    t("user", "enable", user)
    robot = t("service-user", "create", org, "robot")["user_id"]
    t("service-user", "list", org)
    t("user", "list", org)
    t("team", "create", org, "Root")
    t("team", "create", org, "Leaf", "--parent", "/Root")
    t("team", "rename", org, "/ROOT/leaf", "Twig")
    t.fails("team", "end", org, "/Root")
    t("membership", "change", org, user, "--team", "/Root/Twig", "--role", "checkmarx:sca_viewer")
    project = t("project", "create", org, "pay", "--team", "/Root/Twig")["project_id"]
    t("project", "change", org, "pay", "--open", "--name", "paid")
    t("project", "list", org)
    t("membership", "list", org)
    t("membership", "show", org, user)
    t("team", "move", org, "/Root/Twig")
    t("team", "list", org)
    t("team", "end", org, "/Twig")
    t("project", "delete", org, project)
    t.fails("project", "delete", org, "paid")
    t("membership", "disable", org, user)
    t("membership", "enable", org, user)
    t.fails("membership", "end", org, user)
    t("membership", "add", org, t.guest, "--role", "checkmarx:sca_viewer")
    t("membership", "end", org, t.guest)
    keys(t, org, user, robot)
    t("user", "end", user, "--yes")


def keys(t, org, user, robot):
    """Make and change user keys and API tokens."""
    key = t("user-key", "create", robot, "--dialect", "mend")
    t.fails("user-key", "create", robot, "--dialect", "oauth2")
    newer = t("user-key", "rotate", key["id"], "--overlap", "1h")
    t("user-key", "disable", newer["id"])
    t("user-key", "enable", newer["id"])
    t("user-key", "list", robot)
    t("user-key", "revoke", newer["id"])
    token = t("api-token", "create", org, user, "--name", "nightly", "--expires", "1d")
    again = t("api-token", "regenerate", token["id"])
    t("api-token", "deactivate", again["id"])
    t("api-token", "activate", again["id"])
    t("api-token", "list", org, f"{org}/ana")
    t("api-token", "revoke", again["id"])


def entities(t, org):
    """Make and change entities and their secrets."""
    entity = f"{org}-SHOP"
    t("entity", "create", org, entity, "--type", "FIU")
    user = t("user", "create", org, "keeper")["user_id"]
    t("entity", "link", entity, user)
    t("entity", "reset", entity, "--expires", "12h")
    t("entity", "read", entity)
    t("entity", "secrets", entity)
    t("entity", "unlink", entity, f"{org}/keeper")
    t("entity", "disable", entity)
    t("entity", "enable", entity)
    t("entity", "list", org)
    t("entity", "end", entity, "--yes")
    t.fails("entity", "read", entity)
    t("entity", "show", entity)


def notices(t, org):
    """Subscribe to an organisation's notices and to all; what waits of the latter would change by itself."""
    made = t("notice", "create", "--url", HOOK, "--organisation", org)["id"]
    t("notice", "show", made.upper())
    t("notice", "rotate", made)
    t.fails("notice", "rotate", made)
    t("notice", "test", made)
    t.fails("notice", "test", made)
    t("notice", "end", made)
    t.fails("notice", "test", made)
    t.fails("notice", "show", "nobody")
    t.fails("notice", "create", "--url", HOOK, "--organisation", "nobody")
    t.fails("notice", "create", "--url", "https://elsewhere.invalid/")
    t.fails("notice", "create", "--mail", "ops@example.com")
    t("notice", "end", t("notice", "create", "--url", HOOK, "--kind", "lockout.began")["id"])


def looks(t, client, user):
    """Read what is there, as tables and as JSON."""
    for words in (
        ("org", "list"),
        ("client", "list", "acme"),
        ("secret", "list", client),
        ("user", "list", "acme"),
        ("user-key", "list", user),
        ("api-token", "list", "acme", user),
        ("membership", "list", "acme"),
        ("project", "list", "acme"),
        ("keys", "list"),
        ("notice", "list"),
        ("notice", "outbox"),
        ("notice", "outbox", "--dead"),
        ("org", "show", "nobody"),
        ("audit", "search", "--org", "acme", "--kind", "client.created"),
        ("explain", t.request),
        ("explain", "0199b0a0-0000-7000-8000-000000000000"),
    ):
        for form in ("table", "json"):
            t.said.append((words, *t.code(*words, "--format", form)))


@pytest.fixture(scope="module")
def changing(tmp_path_factory, new_demo):
    """A running demo that may send to one host, which there is not."""
    with new_demo(tmp_path_factory.mktemp("changing"), {"KEYTURN_NOTICES__HOSTS": "hooks.invalid"}) as node:
        yield node


@pytest.fixture
def sides(changing, capsys, monkeypatch, tmp_path):
    """Be here and there: on the machine, and at the server with an admin token."""
    demo = changing.demo()
    token = tmp_path / "token"
    token.write_text(demo["admin"]["token"] + "\n")
    token.chmod(0o600)
    monkeypatch.setenv("KEYTURN_TOKEN_FILE", str(token))
    monkeypatch.setenv("KEYTURN_NOTICES__HOSTS", "hooks.invalid")
    here = Terminal(capsys, monkeypatch, ["--data", str(changing.data)], "twinl")
    there = Terminal(capsys, monkeypatch, ["--server", changing.url], "twinr")
    guest = json.loads(here.code("user", "list", "acme", "--format", "json")[1])[0]["user_id"]
    wrong = {"Content_Type": FORM, "Authorization": basic(demo["dialects"]["oauth2"]["client_id"], "wrong")}
    refused = changing.ask("POST", token_path("oauth2"), "grant_type=client_credentials", **wrong)
    for each in (here, there):
        each.folder, each.guest, each.request = tmp_path, guest, refused.headers["x-request-id"]
    return here, there


@pytest.mark.slow
@pytest.mark.timeout(300)  # three hundred commands, on a machine that may do other things too
def test_every_verb_says_the_same(sides):
    """Each verb that works both ways answers alike, refusals and exit codes too; none is left out."""
    here, there = sides
    for side in sides:
        journey(side)
    pairs = zip(here.masked(), there.masked(), strict=True)
    for a, b in pairs:
        assert a == b
    client = json.loads(here.code("client", "list", "acme", "--format", "json")[1])[0]["client_id"]
    for side in sides:
        side.said.clear()
        looks(side, client, here.guest)
    assert [(a, b) for a, b in zip(here.said, there.said, strict=True) if a != b] == []
    assert here.code("admin-token", "list")[0] == there.code("admin-token", "list")[0] == 0
    assert there.code("audit", "tail")[0] == 0
    assert commands() - ON_THE_MACHINE - here.typed - {("audit", "tail")} == set()


def commands():
    """Name every command of the nouns that may go to a server."""
    found = set()
    for noun in REMOTE:
        group = typer.main.get_command(import_module(f"keyturn.cli.{noun.replace('-', '_')}").app)
        for name, each in getattr(group, "commands", {}).items():  # `explain` has none below it
            inner = getattr(each, "commands", None)
            found |= {(noun, name, deeper) for deeper in inner} if inner else {(noun, name)}
    return found
