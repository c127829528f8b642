"""Imports: all of a file or nothing, twice is once, and nothing of a secret is told."""

import hashlib
import json

import bcrypt
import msgspec
import pytest

from keyturn.core.changes import Replace
from keyturn.core.errors import NothingThere, OperatorError
from keyturn.core.life import State
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import CredentialKind, EntityId
from keyturn.directory.events import carry_out, told
from keyturn.directory.import_plan import Outcome
from keyturn.directory.import_rows import MAX_ROWS, FileForm
from keyturn.directory.import_secrets import ImportPorts
from keyturn.directory.imports import import_file
from keyturn.directory.passwords import set_password
from keyturn.directory.secrets import read_secret
from keyturn.keys.peppers import Peppers
from unit.directory.conftest import NOW, OPERATOR, ROLES

STRONG = "kxPz1vG7b0mQ9sWc4eLr8tYu2iOa6dHf"
WEAK = "hunter2-hunter3"
BCRYPT = bcrypt.hashpw(b"old", bcrypt.gensalt(4)).decode()
SHA256 = hashlib.sha256(STRONG.encode()).hexdigest()
KINDS = (CredentialKind.PASSWORD, CredentialKind.USER_KEY, CredentialKind.API_TOKEN)


PEPPERS = Peppers({"p1": bytes(32)}, "p1", bytes(32))


class Slow:
    """Passwords whose hash is the secret backwards behind a word."""

    def is_outdated(self, verifier):
        return not verifier.startswith("slow:")

    async def hash(self, password):
        return "slow:" + password.reveal()[::-1]

    async def hash_exactly(self, secret):
        return await self.hash(secret)

    async def check(self, password, verifier):
        return verifier == await self.hash(password)

    async def check_exactly(self, secret, verifier):
        return await self.check(secret, verifier)


class Desk:
    """One organisation of a deployment, and files brought into it."""

    def __init__(self, deployment, home):
        self.deployment = deployment
        self.store = deployment.store
        self.home = home
        self.inside = self.store.organisation_store(home.id)
        self.ports = ImportPorts(
            digester=PEPPERS,
            passwords=Slow(),
            sealer=deployment.sealer,
            dialects=dict.fromkeys((*KINDS, CredentialKind.ENTITY_SECRET), ("toy",)),
        )

    async def bring(self, *rows, actor=OPERATOR, dry_run=False, into=None):
        """Import rows as JSON."""
        return await self.file(json.dumps(rows).encode(), FileForm.JSON, actor, dry_run, into)

    async def file(self, body, form=FileForm.CSV, actor=OPERATOR, dry_run=False, into=None):
        """Import a file."""
        return await import_file(
            actor,
            self.store,
            (into or self.home).id,
            body,
            form,
            ports=self.ports,
            reserved={"built-in"},
            roles=ROLES,
            client_dialects=("oauth2", "toy"),
            dry_run=dry_run,
            **self.deployment.at,
        )

    async def replace(self, record, **changes):
        """Change a record as a use or an operator does."""
        changed = msgspec.structs.replace(record, **changes, version=record.version + 1)
        event = told("test", OPERATOR, self.home.id, record.id, **self.deployment.at)
        await carry_out(self.inside, event, Replace(changed, record.version))

    async def secrets(self, owner, kind=CredentialKind.CLIENT_SECRET):
        """Read an owner's credentials."""
        return await self.inside.credentials_of(owner, kind)


@pytest.fixture
async def desk(deployment):
    home, _ = await deployment.organisation()
    return Desk(deployment, home)


def client(client_id="bot", **members):
    return {"type": "client", "client_id": client_id, "scopes": ["read"], **members}


def user(name="ada", **members):
    return {"type": "user", "user_name": name, **members}


ROWS = (
    client(secret_hash=SHA256),
    client("weak", secret=WEAK),
    client("old", secret_hash=BCRYPT),
    user(email="ada@example.com", email_verified=True, secret_hash=BCRYPT, roles=["toy:viewer"]),
    user("bea", secret="short"),
    user("prog", service=True, secret=STRONG),
    {"type": "entity", "entity_id": "FIU-1", "entity_type": "FIU", "secret": STRONG + "x"},
    {"type": "secret", "client_id": "bot", "secret": STRONG + "y", "secret_name": "second"},
    {"type": "secret", "user_name": "Ada", "secret_kind": "api_token", "secret": STRONG + "z"},
)


def outcomes(report):
    return [each.outcome for each in report.verdicts]


def reasons(report):
    return [each.reason for each in report.verdicts if each.outcome is Outcome.REFUSED]


async def test_everything_comes_along(desk):
    """TK-12: each kind of owner and secret is there, in clear nowhere, under the hash that it needs."""
    report = await desk.bring(*ROWS)
    assert report.done
    assert set(outcomes(report)) == {Outcome.CREATED}
    held = {each.name: each for each in await desk.secrets("bot")}
    by_hash, second = held["imported"], held["second"]
    assert by_hash.lookup_hash == PEPPERS.lookup_hash(bytes.fromhex(SHA256), "p1")
    assert (second.name, second.verifier) == ("second", None)
    assert [each.verifier for each in await desk.secrets("weak")] == ["slow:" + WEAK[::-1]]
    assert [each.verifier for each in await desk.secrets("old")] == [BCRYPT]
    ada = await desk.inside.user_by_name("ada")
    assert ada.email_verified_at == NOW
    assert (await desk.inside.membership_of(ada.id)).roles == ("toy:viewer",)
    assert [each.verifier for each in await desk.secrets(ada.id, CredentialKind.PASSWORD)] == [BCRYPT]
    assert len(await desk.secrets(ada.id, CredentialKind.API_TOKEN)) == 1
    prog = await desk.inside.user_by_name("prog")
    assert len(await desk.secrets(prog.id, CredentialKind.USER_KEY)) == 1
    common = {"sealer": desk.deployment.sealer, **desk.deployment.at}
    read = await read_secret(OPERATOR, desk.inside, EntityId("FIU-1"), **common)
    assert read.secret.reveal() == STRONG + "x"


async def test_twice_is_once(desk):
    """A file that is imported again changes nothing, also where a slow hash was replaced since."""
    await desk.bring(*ROWS)
    (old,) = await desk.secrets("old")
    await desk.replace(old, verifier=None, lookup_hash=b"new")
    rows = len(await desk.store.audit_rows(limit=1000))
    again = await desk.bring(*ROWS)
    assert set(outcomes(again)) == {Outcome.UNCHANGED}
    assert not again.done
    assert len(await desk.store.audit_rows(limit=1000)) == rows + 1
    assert len(await desk.secrets("old")) == 1


async def test_all_or_nothing(desk):
    """One bad row, and nothing of the file is there; the trail tells of a refusal (AD-05)."""
    report = await desk.bring(*ROWS, client("bad id"))
    assert not report.done
    assert outcomes(report).count(Outcome.REFUSED) == 1
    assert await desk.inside.clients() == []
    assert await desk.inside.users() == []
    last = (await desk.store.audit_rows(limit=1))[0]
    assert (last.kind, last.outcome) == ("import.refused", "invalid_request")


async def test_dry_run(desk):
    """A dry run says what would be, and leaves nothing, not even a row in the trail."""
    before = len(await desk.store.audit_rows(limit=1000))
    dry = await desk.bring(*ROWS, dry_run=True)
    assert set(outcomes(dry)) == {Outcome.CREATED}
    assert not dry.done
    assert await desk.inside.clients() == []
    assert len(await desk.store.audit_rows(limit=1000)) == before
    real = await desk.bring(*ROWS)
    assert [each.reason for each in real.verdicts] == [each.reason for each in dry.verdicts]


async def test_the_trail_tells_of_each_row(desk):
    """AD-05, HT-07: one event for the file and one for each row, all of one request, without a secret."""
    await desk.bring(*ROWS)
    rows = await desk.store.audit_rows(limit=len(ROWS) + 1)
    assert rows[0].kind == "import.done"
    assert rows[0].details["credentials"] == "9"
    assert len({row.request_id for row in rows}) == 1
    assert [row.kind for row in rows[1:]].count("credential.imported") == 2
    assert rows[1].details["credential_kind"] == "client_secret"
    told = repr(rows)
    assert not any(text in told for text in (STRONG, WEAK, BCRYPT, SHA256))


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (client("bad id"), "a client id has"),
        (client("built-in"), "own client"),
        (client("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"), "lower case"),
        (client(scopes=["a b"]), "scope"),
        (client(dialects=["morse"]), "unknown dialect"),
        (client(secret=STRONG, secret_hash=SHA256), "not both"),
        (client(secret="short"), "fewer than 8"),
        (client(secret="two\nlines-of-text"), "more than one line"),
        (client(secret_hash="md5:abc"), "no hash that is known"),
        (client(secret_hash=BCRYPT.replace("$04$", "$31$")), "too long to check"),
        (client(secret_kind="password", secret=STRONG), "secret_kind"),
        (client(secret_kind="api_token", secret=WEAK), "found by its value"),
        (client(public=True, secret=STRONG), "public client"),
        (client(secret=STRONG, secret_expires_at="2020-01-01T00:00:00Z"), "in the future"),
        (client(surprise=1), "not known"),
        (user(secret_hash=SHA256), "fast hash"),
        (user(roles=["toy:king"]), "unknown role"),
        (user("a\u200bda"), "user name"),
        (user(email_verified=True), "no e-mail"),
        ({"type": "secret", "client_id": "nobody", "secret": STRONG}, "no such owner"),
        ({"type": "secret", "client_id": "a", "user_name": "b", "secret": STRONG}, "exactly one"),
    ],
)
async def test_refused_rows(desk, row, why):
    """AD-02, HT-02: what cannot be had is refused in plain words that hold no secret."""
    report = await desk.bring(row)
    (reason,) = reasons(report)
    assert why in reason
    assert not any(text in reason for text in (STRONG, WEAK, BCRYPT, SHA256))


async def test_rows_that_disagree(desk):
    """What is here already with other values, or said twice in a file, is refused and never changed."""
    await desk.bring(client(), user(email="ada@example.com"))
    assert reasons(await desk.bring(client(name="Other"), user(display_name="Ada L."))) == [
        "is here already, with other values of name",
        "is here already, with other values of display_name, email",
    ]
    twice = await desk.bring(client("x"), client("x"), user("u", email="e@x.org"), user("v", email="E@x.org"))
    assert reasons(twice) == ["a row above is about the same", "a row above has the same e-mail address"]


async def test_what_ended_does_not_come_back(desk):
    """TK-15: an ended secret is not revived by its file, nor a password that was changed since."""
    await desk.bring(client(secret=STRONG), user(secret="a password of old"))
    (held,) = await desk.secrets("bot")
    await desk.replace(held, life=held.life.ended(NOW, "test"))
    ada = await desk.inside.user_by_name("ada")
    at = {"dialects": ("toy",), "passwords": desk.ports.passwords, **desk.deployment.at}
    await set_password(OPERATOR, desk.inside, ada.id, Secret("violet anchors drift"), **at)
    again = await desk.bring(client(secret=STRONG), user(secret="a password of old"))
    assert len(reasons(again)) == 2
    assert all("has ended" in each for each in reasons(again))
    states = [each.life.state for each in await desk.secrets("bot")]
    assert states == [State.ENDED]


async def test_another_organisations_names(desk):
    """TN-02, TK-15: a client id or address of another organisation is taken, and not said by whom."""
    other, _ = await desk.deployment.organisation("globex")
    await desk.bring(client("theirs"), user(email="ada@example.com"), into=other)
    report = await desk.bring(client("theirs"), client("mine"), user("eve", email="ada@example.com"))
    assert outcomes(report) == [Outcome.REFUSED, Outcome.CREATED, Outcome.REFUSED]
    assert all("taken" in each and "globex" not in each for each in reasons(report))
    assert await desk.inside.clients() == []
    confined = type(OPERATOR)("admin:1", other.id)
    with pytest.raises(NothingThere):
        await desk.bring(client("mine"), actor=confined)


async def test_room_for_secrets(desk):
    """TE-05: a client has two live secrets, of this file and before, and slow ones count (RE-10)."""
    rows = [{"type": "secret", "client_id": "bot", "secret": f"{STRONG}{n}"} for n in range(3)]
    assert "2 live client secrets" in reasons(await desk.bring(client(), *rows))[0]
    keys = [
        {"type": "secret", "user_name": "ada", "secret_kind": "user_key", "secret": f"{WEAK}{n}"}
        for n in range(3)
    ]
    assert "slow hashes" in reasons(await desk.bring(user(), *keys))[0]


CSV = b"""\xef\xbb\xbftype,client_id,name,scopes,secret\r
client,bot,"Bot, the first",read write,kxPz1vG7b0mQ9sWc4eLr8tYu2iOa6dHf\r
secret,bot,,,"quo""ted-kxPz1vG7b0mQ9sWc4eLr8tYu2iOa6dHf"\r
"""


async def test_csv(desk):
    """CSV is read with its quotes, empty cells say nothing, and a line is told by its number."""
    report = await desk.file(CSV)
    assert [(each.line, each.name) for each in report.verdicts] == [(2, "bot"), (3, "bot")]
    assert (await desk.inside.client("bot")).scopes == ("read", "write")
    assert (await desk.inside.client("bot")).name == "Bot, the first"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"type,client_id\n",
        b"client_id,secret\nbot,hunter2hunter2\n",
        b"type,passwort\nclient,hunter2hunter2\n",
        b"type,type\nclient,client\n",
        b'type,client_id\nclient,"hunter2hunter2\n',
        b"type,client_id\nclient,\xff\n",
        b"type,client_id\n" + b"client,hunter2hunter2\n" * (MAX_ROWS + 1),
    ],
)
async def test_no_such_file(desk, body):
    """HT-01, HT-07: what is no CSV of ours is refused as a whole, and nothing of it is quoted."""
    with pytest.raises(OperatorError) as caught:
        await desk.file(body)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("body", [b"{}", b"[1", b'[{"type":"client","type":"user"}]', b"[[[[[[]]]]]]", b"[]"])
async def test_no_such_json(desk, body):
    """HT-01: JSON with two meanings, too deep or of another shape is refused as a whole."""
    with pytest.raises(OperatorError):
        await desk.file(body, FileForm.JSON)


async def test_a_token_under_another_pepper(desk):
    """TN-01: an API token that came along under another pepper is somebody's, too."""
    row = client(secret_kind="api_token", secret=STRONG)
    elsewhere, _ = await desk.deployment.organisation("elsewhere")
    assert (await desk.bring(row, into=elsewhere)).done
    digester = Peppers({"p1": bytes(32), "p2": bytes(range(32))}, "p2", bytes(32))
    desk.ports = msgspec.structs.replace(desk.ports, digester=digester)
    again = await desk.bring(client("other", secret_kind="api_token", secret=STRONG))
    assert "has this API token already" in again.verdicts[0].reason
