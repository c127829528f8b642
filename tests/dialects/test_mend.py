"""Mend: the contract of every dialect, and the vendor's contract line by line."""

import base64
import json
import re
from datetime import timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from dialects.contract import DialectContract
from harness import ACTOR, clear_texts, deployment
from keyturn.core.errors import Unavailable
from keyturn.core.limits import Rate
from keyturn.core.vocabulary import Code, CredentialKind, Reason
from keyturn.dialects.mend import DIALECT
from keyturn.directory.credentials import end_credential
from keyturn.directory.memberships import end_member
from keyturn.directory.organisations import disable_organisation
from keyturn.directory.user_keys import create_user_key, rotate_user_key
from keyturn.directory.users import disable_user


class TestContract(DialectContract):
    """The whole contract, from the tables."""

    dialect = DIALECT
    owner_fact = "user.email"
    secret_fact = "user.user_key"
    wrong_code = Code.INVALID_GRANT
    unknown_reason = Reason.UNKNOWN_USER
    actor = "user"
    without = ("refresh", "change")

    async def expected(self, here, slug):
        """The subject is the user, and the audience the contract."""
        members = self.members(here, slug)
        user = await here.local.deployment.user_by_email(members["email"])
        return {"sub": user.id, "aud": "mend", "userUuid": user.id, "orgUuid": members["org_uuid"]}


LOGIN, REFRESH, ORGS = "/api/v2.0/login", "/api/v2.0/login/accessToken", "/api/v2.0/orgs"
JSON = ("Content-Type", "application/json")
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
STRANGER = "4b3c4a0e-6a1c-4a52-8a26-1f4f1e1c9a10"
FAILED = {"errorMessage": "Login failed"}
DENIED = {"errorMessage": "Access to the organization is denied"}


@pytest.fixture
async def here():
    """Open a deployment of the house's dialects."""
    async with deployment() as opened:
        yield opened


class Caller:
    """The demo's user, who is at home in acme and a member of globex too; or another user of the demo."""

    def __init__(self, here, slug="acme"):
        self.here = here
        self.members = here.members[slug]["mend"]
        self.acme = here.organisations["acme"]
        self.globex = here.organisations["globex"]

    async def post(self, body, headers=(JSON,), **options):
        """Send a body to the login."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.here.ask("POST", LOGIN, headers=headers, body=content, **options)

    async def log_in(self, **changes):
        """Log in; a change of None leaves a member out."""
        told = {"email": self.members["email"], "userKey": self.members["user_key"]} | changes
        return await self.post({name: value for name, value in told.items() if value is not None})

    async def session(self, **changes):
        """Log in and give what stands in ``retVal``."""
        answer = await self.log_in(**changes)
        assert answer.status == 200, answer
        return answer.json["retVal"]

    async def refresh(self, token, body=b"", headers=()):
        """Show a refresh token."""
        return await self.here.ask(
            "POST", REFRESH, headers=[("wss-refresh-token", token), *headers], body=body
        )

    async def call(self, path, token, query=b"", scheme="Bearer "):
        """Call with a token."""
        return await self.here.ask("GET", path, headers=[("Authorization", scheme + token)], query=query)

    async def user(self):
        """Read the user as it is now."""
        return await self.here.local.deployment.user_by_email(self.members["email"])

    async def key(self):
        """Read the user's key as it is now."""
        user = await self.user()
        there = self.here.local.deployment.organisation_store(user.organisation_id)
        return (await there.credentials_of(user.id, CredentialKind.USER_KEY))[-1]

    async def setting(self, slug="acme", **settings):
        """Let an organisation choose settings."""
        await self.here.replace(await self.here.organisation(slug), settings={"mend": settings})

    @property
    def verb(self):
        """What every directory verb takes last."""
        return {"now": self.here.clock.now(), "dice": self.here.local.dice}

    @property
    def home(self):
        """The store of the user's home."""
        return self.here.local.deployment.organisation_store(self.acme.id)


@pytest.fixture
def caller(here):
    """Give the demo's user."""
    return Caller(here)


def check_refused(answer, status, told=None):
    """Check a refusal: JSON with a support token, and ``retVal`` for everything but a 401."""
    assert answer.status == status, answer
    assert answer.header("content-type") == "application/json"
    assert re.fullmatch(r"[0-9a-f]{8}", answer.json["supportToken"])
    assert list(answer.json) == (["supportToken"] if status == 401 else ["supportToken", "retVal"])
    assert told is None or answer.json["retVal"] == told


def check_alike(*answers):
    """Check that refusals are the same to the byte."""
    assert len({answer.seen() for answer in answers}) == 1


def claims_of(token):
    """Read a token's claims without proving anything."""
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


# --- section 1: users, organisations, lifetimes ---


async def test_lifetime(caller):
    """A token lives 600 seconds, told by its numeric ``exp`` alone; an organisation may choose another."""
    claims = claims_of((await caller.session())["jwtToken"])
    assert (type(claims["exp"]), claims["exp"] - claims["iat"]) == (int, 600)
    await caller.setting(lifetime_seconds=1800)
    claims = claims_of((await caller.session())["jwtToken"])
    assert claims["exp"] - claims["iat"] == 1800


async def test_organisation_by_either_name(caller):
    """An organisation is named by its UUID, in any case, or its API key, wherever one is named."""
    for name in (caller.globex.id, caller.globex.id.upper(), caller.globex.api_key):
        session = await caller.session(orgToken=name)
        assert (session["orgUuid"], session["orgName"]) == (caller.globex.id, "Globex")
        for path in (f"{ORGS}/{name}", f"{ORGS}/{name}/changeOrganization/{name}"):
            answer = await caller.call(path, session["jwtToken"])
            assert answer.status == 200, answer
            told = answer.json["retVal"]
            assert told.get("uuid", told.get("orgUuid")) == caller.globex.id


async def test_last_organisation(caller):
    """Without an organisation the last one is meant, and at the very first login the oldest membership."""
    assert (await caller.session())["orgName"] == "Acme"
    await caller.session(orgToken=caller.globex.id)
    assert (await caller.session())["orgName"] == "Globex"
    for empty in ("", None):
        answer = await caller.post(
            {"email": caller.members["email"], "userKey": caller.members["user_key"], "orgToken": empty}
        )
        assert answer.json["retVal"]["orgName"] == "Globex"


async def test_last_organisation_is_left(caller):
    """Whoever is no member any more of their last organisation comes in by the oldest membership."""
    await caller.session(orgToken=caller.globex.id)
    there = caller.here.local.deployment.organisation_store(caller.globex.id)
    await end_member(ACTOR, there, (await caller.user()).id, **caller.verb)
    assert (await caller.session())["orgName"] == "Acme"
    check_refused(await caller.log_in(orgToken=caller.globex.id), 403, FAILED)


async def test_issuer(caller):
    """TN-03: a token's issuer and keys are those of the organisation that it is for."""
    for organisation in (caller.acme, caller.globex):
        token = (await caller.session(orgToken=organisation.id))["jwtToken"]
        keys = KeySet.import_key_set(await caller.here.jwks(organisation.slug))
        claims = jwt.decode(token, keys, algorithms=["ES256"]).claims
        assert claims["iss"] == f"https://keys.example/o/{organisation.slug}"
        assert claims["kt"]["o"] == claims["orgUuid"] == organisation.id


async def test_service_user(caller):
    """A service user logs in by the address that was made for it and its key, in its organisation."""
    told = caller.members["service_user"]
    session = await caller.session(email=told["email"], userKey=told["user_key"])
    assert (session["email"], session["orgName"]) == (told["email"], "Acme")
    assert told["email"].endswith("@acme.service.invalid")
    check_refused(await caller.log_in(email=told["email"]), 403, FAILED)


async def test_key_that_ends(caller):
    """RV-04: a key that is revoked gives no more tokens, and those it gave are dead, refresh tokens too."""
    session = await caller.session()
    await end_credential(ACTOR, caller.home, (await caller.key()).id, "lost", **caller.verb)
    check_refused(await caller.log_in(), 403, FAILED)
    check_refused(await caller.call(ORGS, session["jwtToken"]), 401)
    check_refused(await caller.refresh(session["refreshToken"]), 403, FAILED)


async def test_key_that_expires(caller):
    """A key is refused from the instant of its expiry on."""
    user, soon = await caller.user(), caller.here.clock.now() + timedelta(seconds=60)
    digester = caller.here.local.digester
    _, made = await create_user_key(
        ACTOR,
        caller.home,
        user.id,
        "short",
        dialects=("mend",),
        digester=digester,
        expires_at=soon,
        **caller.verb,
    )
    await caller.session(userKey=made.reveal())
    caller.here.clock.advance(60)
    check_refused(await caller.log_in(userKey=made.reveal()), 403, FAILED)


async def test_key_that_rotates(caller):
    """A key and its successor work side by side while they overlap, and without that the old one is dead."""
    before = caller.members["user_key"]
    digester = caller.here.local.digester
    for overlap in (timedelta(hours=1), timedelta()):
        old = await caller.key()
        caller.here.clock.advance(1)
        _, made = await rotate_user_key(ACTOR, caller.home, old.id, overlap, digester=digester, **caller.verb)
        await caller.session(userKey=made.reveal())
        assert (await caller.log_in(userKey=before)).status == (200 if overlap else 403)
        before = made.reveal()


async def test_last_use(caller):
    """The day of a key's last use is known."""
    assert (await caller.key()).last_used_on is None
    await caller.session()
    assert (await caller.key()).last_used_on == caller.here.clock.now().date()


# --- section 2: login ---


async def test_login_answer(caller):
    """A login is wrapped in ``retVal``, every member a string; both ids of the request are its own."""
    answer = await caller.log_in(orgToken=caller.acme.id)
    assert list(answer.json) == ["supportToken", "retVal"]
    told = answer.json["retVal"]
    assert list(told) == SESSION
    assert all(isinstance(value, str) and value for value in told.values())
    assert told["correlationId"] == answer.header("x-request-id")
    assert answer.json["supportToken"] == told["correlationId"][-8:]
    user = await caller.user()
    assert (told["userUuid"], told["email"], told["userName"]) == (user.id, user.email, user.display_name)
    assert len(told["jwtToken"].split(".")) == 3


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({"apiKey": "globex"}, "Globex"),
        ({"apiKey": "globex", "orgToken": "acme"}, "Acme"),
        ({"apiKey": "globex", "orgToken": ""}, "Globex"),
        ({"apiKey": 7}, "Acme"),
        ({"apiKey": None}, "Acme"),
        ({"apiKey": ["x"], "orgToken": "globex"}, "Globex"),
        ({"other": {"a": 1}}, "Acme"),
    ],
)
async def test_further_members(caller, more, name):
    """Unknown members are ignored; ``apiKey`` stands in for ``orgToken`` and never is a reason for 400."""
    keys = {each.slug: each.api_key for each in (caller.acme, caller.globex)}
    told = {key: keys.get(value, value) if isinstance(value, str) else value for key, value in more.items()}
    answer = await caller.post(
        {"email": caller.members["email"], "userKey": caller.members["user_key"]} | told
    )
    assert answer.status == 200, answer
    assert answer.json["retVal"]["orgName"] == name


# --- section 3: refresh ---


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", ()),
        (b"", (JSON,)),
        (b"", (("Content-Type", "application/x-www-form-urlencoded"),)),
        (b"", (("Content-Type", "text/plain"),)),
        (b"{}", (JSON,)),
        (b"{}", (("Content-Type", "application/json; charset=utf-8"),)),
        (b"{}", (("Content-Type", "application/x-www-form-urlencoded"),)),
        (b"{}", (("Content-Type", "text/plain;charset=UTF-8"),)),
        (b"{}", ()),
        (b'{"orgToken": "x"}', (JSON,)),
    ],
)
async def test_refresh_body(caller, body, headers):
    """A refresh takes no body, an empty one of any type, and a JSON object that says nothing."""
    session = await caller.session()
    assert (await caller.refresh(session["refreshToken"], body, headers)).status == 200


async def test_refresh_answer(caller):
    """A refresh is flat and of the organisation that the refresh token is of, whatever the last one is."""
    session = await caller.session(orgToken=caller.acme.id)
    await caller.session(orgToken=caller.globex.id)
    answer = await caller.refresh(session["refreshToken"])
    assert list(answer.json) == SESSION
    assert all(isinstance(value, str) and value for value in answer.json.values())
    fresh = {"correlationId", "refreshToken", "jwtToken"}
    assert {name for name in SESSION if answer.json[name] != session[name]} == fresh
    assert (await caller.call(f"{ORGS}/{caller.acme.id}", answer.json["jwtToken"])).status == 200
    assert (await caller.session())["orgName"] == "Globex"


async def test_rotation(caller):
    """RT-01, RT-02: a refresh token is replaced at each use, and given again within the grace."""
    first = (await caller.session())["refreshToken"]
    second = (await caller.refresh(first)).json["refreshToken"]
    assert second != first
    caller.here.clock.advance(9)
    assert (await caller.refresh(first)).json["refreshToken"] == second
    caller.here.clock.advance(2)
    check_refused(await caller.refresh(first), 403, FAILED)
    check_refused(await caller.refresh(second), 403, FAILED)
    reasons = [row.reason for row in await caller.here.audit("token.refused")]
    assert reasons == [Reason.REFRESH_TOKEN_REPLAYED, Reason.FAMILY_ENDED]


async def test_reuse(caller):
    """With ``mend.refresh = reuse`` the first refresh token stays good for callers that keep it."""
    await caller.setting(refresh="reuse")
    first = (await caller.session())["refreshToken"]
    for _ in range(3):
        caller.here.clock.advance(600)
        answer = await caller.refresh(first)
        assert answer.json["refreshToken"] == first


async def test_refresh_ends(caller):
    """RT-06: an expired refresh token, an ended membership and a disabled user are all the same 403."""
    session = await caller.session()
    wrong = await caller.refresh("wrong")
    await caller.setting(refresh_lifetime_seconds=60)
    short = await caller.session()
    caller.here.clock.advance(60)
    expired = await caller.refresh(short["refreshToken"])
    user = await caller.user()
    await disable_user(ACTOR, caller.home, user.id, **caller.verb)
    check_alike(wrong, expired, await caller.refresh(session["refreshToken"]))
    check_refused(wrong, 403, FAILED)


@pytest.mark.parametrize("token", [None, ""])
async def test_refresh_without_a_token(caller, token):
    """A refresh without its header, or with an empty one, is 400."""
    headers = [] if token is None else [("wss-refresh-token", token)]
    answer = await caller.here.ask("POST", REFRESH, headers=headers)
    check_refused(answer, 400, {"errorMessage": "wss-refresh-token is required"})


async def test_refresh_token_elsewhere(caller):
    """TE-01: a refresh token in the query or the body is none."""
    token = (await caller.session())["refreshToken"].encode()
    asked = [{"query": b"wss-refresh-token=" + token}, {"body": b'{"wss-refresh-token": "%s"}' % token}]
    for each in asked:
        check_refused(await caller.here.ask("POST", REFRESH, **each), 400)


# --- section 4: calls ---


async def test_organisations(caller):
    """A caller's organisations are those of the user, whichever the token is for."""
    both = [{"uuid": each.id, "name": each.name} for each in (caller.acme, caller.globex)]
    for organisation in (caller.acme, caller.globex):
        token = (await caller.session(orgToken=organisation.id))["jwtToken"]
        answer = await caller.call(ORGS, token)
        assert list(answer.json) == ["supportToken", "retVal", "additionalData"]
        assert answer.json["retVal"] == both
        assert answer.json["additionalData"] == {"totalItems": 2, "isLastPage": True}
    other = Caller(caller.here, "globex")
    answer = await other.call(ORGS, (await other.session())["jwtToken"])
    assert answer.json["retVal"] == both[1:]


@pytest.mark.parametrize(
    ("query", "names", "total", "last"),
    [
        (b"", ["Acme", "Globex"], 2, True),
        (b"pageSize=1", ["Acme"], 2, False),
        (b"pageSize=1&page=0", ["Acme"], 2, False),
        (b"pageSize=1&page=1", ["Globex"], 2, True),
        (b"pageSize=1&page=2", [], 2, True),
        (b"page=1", [], 2, True),
        (b"pageSize=1000", ["Acme", "Globex"], 2, True),
        (b"sort=name", ["Acme", "Globex"], 2, True),
        (b"sort=-name", ["Globex", "Acme"], 2, True),
        (b"sort=-name&pageSize=1", ["Globex"], 2, False),
        (b"name=Globex", ["Globex"], 1, True),
        (b"name=globex&pageSize=1", ["Globex"], 1, True),
        (b"name=nobody", [], 0, True),
        (b"unknown=1", ["Acme", "Globex"], 2, True),
    ],
)
async def test_pages(caller, query, names, total, last):
    """A list has pages, a filter and an order."""
    answer = await caller.call(ORGS, (await caller.session())["jwtToken"], query)
    assert [each["name"] for each in answer.json["retVal"]] == names
    assert answer.json["additionalData"] == {"totalItems": total, "isLastPage": last}


@pytest.mark.parametrize(
    "query",
    [b"pageSize=0", b"pageSize=1001", b"pageSize=x", b"page=-1", b"page=1.5", b"sort=uuid", b"page=1&page=1"],
)
async def test_odd_pages(caller, query):
    """What is no page, size or order is 400."""
    check_refused(await caller.call(ORGS, (await caller.session())["jwtToken"], query), 400)


async def test_organisation(caller):
    """One organisation is shown by its name and UUID."""
    session = await caller.session()
    answer = await caller.call(f"{ORGS}/{caller.acme.api_key}", session["jwtToken"])
    assert list(answer.json) == ["supportToken", "retVal"]
    assert answer.json["retVal"] == {"uuid": caller.acme.id, "name": "Acme"}


async def test_change_of_organisation(caller):
    """A change is answered like a login, for the other organisation, and the old token stays good."""
    session = await caller.session(orgToken=caller.acme.id)
    path = f"{ORGS}/{caller.acme.id}/changeOrganization/{caller.globex.api_key}"
    answer = await caller.call(path, session["jwtToken"])
    assert answer.status == 200, answer
    assert list(answer.json) == ["supportToken", "retVal"]
    told = answer.json["retVal"]
    assert list(told) == SESSION
    assert (told["orgUuid"], told["orgName"]) == (caller.globex.id, "Globex")
    assert (await caller.call(f"{ORGS}/{caller.globex.id}", told["jwtToken"])).status == 200
    assert (await caller.call(f"{ORGS}/{caller.acme.id}", session["jwtToken"])).status == 200
    assert (await caller.refresh(told["refreshToken"])).json["orgName"] == "Globex"
    assert (await caller.session())["orgName"] == "Globex"


async def test_change_to_nobodys_organisation(caller):
    """TN-02: an organisation that is not the user's and one that is not there are one refusal."""
    other = Caller(caller.here, "globex")
    token = (await other.session())["jwtToken"]
    answers = [
        await other.call(f"{ORGS}/{caller.globex.id}/changeOrganization/{name}", token)
        for name in (caller.acme.id, caller.acme.api_key, STRANGER, "no-such")
    ]
    check_alike(*answers)
    check_refused(answers[0], 403, FAILED)


async def test_token_of_another_organisation(caller):
    """TN-01: a token of one organisation is 403 on a path of another, though the user is in both."""
    token = (await caller.session(orgToken=caller.acme.id))["jwtToken"]
    paths = [f"{ORGS}/{name}" for name in (caller.globex.id, caller.globex.api_key, STRANGER, "no-such")]
    paths += [
        f"{path}/changeOrganization/{each}" for path in paths for each in (caller.acme.id, caller.globex.id)
    ]
    for path in paths:
        check_refused(await caller.call(path, token), 403, DENIED)


# --- section 5: errors ---


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"null",
        b'{"email": "a@b.example"}',
        b'{"userKey": "x"}',
        b'{"email": "", "userKey": "x"}',
        b'{"email": "a@b.example", "userKey": ""}',
        b'{"email": null, "userKey": "x"}',
        b'{"email": "a@b.example", "userKey": null}',
        b'{"email": 7, "userKey": "x"}',
        b'{"email": "a@b.example", "userKey": ["x"]}',
        b'{"email": "a@b.example", "userKey": "x", "orgToken": 7}',
        b'{"email": "a@b.example", "userKey": "x", "orgToken": {}}',
        b'{"email": "a@b.example", "userKey": "x", "userKey": "x"}',
        b'{"email": "a@b.example", "userKey": "x", "z": 1, "z": 1}',
    ],
)
async def test_bad_request(caller, body):
    """Malformed JSON, missing, mistyped and duplicate members are 400 with words in ``retVal``."""
    answer = await caller.post(body)
    check_refused(answer, 400)
    assert answer.json["retVal"]["errorMessage"]


async def test_login_failed(caller):
    """PW-04: every cause of a failed login is one answer to the byte, and the trail knows the cause."""
    other = Caller(caller.here, "globex").members
    answers = [
        await caller.log_in(userKey="wrong"),
        await caller.log_in(email="nobody@nowhere.example"),
        await caller.log_in(email="no address"),
        await caller.log_in(userKey=caller.members["user_key"] + " "),
        await caller.log_in(userKey=other["user_key"]),
        await caller.log_in(orgToken=STRANGER),
        await caller.log_in(email=other["email"], userKey=other["user_key"], orgToken=caller.acme.api_key),
    ]
    await disable_user(ACTOR, caller.home, (await caller.user()).id, **caller.verb)
    answers.append(await caller.log_in())
    check_alike(*answers)
    check_refused(answers[0], 403, FAILED)
    rows = await caller.here.audit("token.refused")
    assert [row.reason for row in rows] == [
        Reason.WRONG_SECRET,
        Reason.UNKNOWN_USER,
        Reason.UNKNOWN_USER,
        Reason.WRONG_SECRET,
        Reason.WRONG_SECRET,
        Reason.UNKNOWN_ORGANISATION,
        Reason.NO_MEMBERSHIP,
        Reason.USER_DISABLED,
    ]
    assert caller.members["user_key"] not in clear_texts(rows)


@pytest.mark.parametrize("path", [ORGS, f"{ORGS}/acme", f"{ORGS}/acme/changeOrganization/globex"])
async def test_no_good_token(caller, path):
    """A missing, expired, altered or bare token is 401 without ``retVal``, by which callers log in again."""
    session = await caller.session()
    token = session["jwtToken"]
    answers = [
        await caller.here.ask("GET", path),
        await caller.call(path, token, scheme=""),
        await caller.call(path, token, scheme="Basic "),
        await caller.call(path, token[:-2]),
        await caller.call(path, session["refreshToken"]),
        await caller.call(path, caller.members["user_key"]),
        await caller.call(path, caller.here.members["acme"]["endorsed"]["client_secret"]),
    ]
    caller.here.clock.advance(600)
    answers.append(await caller.call(path, token))
    check_alike(*answers)
    check_refused(answers[0], 401)
    assert answers[0].header("www-authenticate").startswith("Bearer ")


async def test_dead_token(caller):
    """RV-04: a token dies with its user, its membership and its organisation."""
    at_home, elsewhere = [await caller.session(orgToken=each.id) for each in (caller.acme, caller.globex)]
    there = caller.here.local.deployment.organisation_store(caller.globex.id)
    await end_member(ACTOR, there, (await caller.user()).id, **caller.verb)
    check_refused(await caller.call(ORGS, elsewhere["jwtToken"]), 401)
    answer = await caller.call(ORGS, at_home["jwtToken"])
    assert [each["name"] for each in answer.json["retVal"]] == ["Acme"]
    await disable_organisation(ACTOR, caller.here.local.deployment, "acme", **caller.verb)
    check_refused(await caller.call(ORGS, at_home["jwtToken"]), 401)


async def test_token_of_another_kind(caller):
    """TK-08: a token of another dialect of the same organisation is none here."""
    members = caller.here.members["acme"]["endorsed"]
    told = {name: members[name] for name in ("client_id", "client_secret")}
    answer = await caller.here.ask(
        "POST",
        "/api/v1/auth/tokens",
        headers=[JSON],
        body=json.dumps(told | {"grant_type": "client_credentials"}).encode(),
    )
    check_refused(await caller.call(ORGS, answer.json["access_token"]), 401)


@pytest.mark.parametrize("kind", ["user", "address", "organisation"])
async def test_too_many(kind):
    """RL-01: too many attempts are 429 with Retry-After, at the login, at a refresh and at a call."""
    async with deployment(rates={kind: Rate(per_minute=20, burst=2)}) as here:
        caller = Caller(here)
        session = await caller.session()
        await caller.session()
        for answer in (
            await caller.log_in(),
            await caller.refresh(session["refreshToken"]),
            await caller.call(ORGS, session["jwtToken"]),
        ):
            check_refused(answer, 429, {"errorMessage": "too many requests"})
            assert int(answer.header("retry-after")) >= 1


async def test_nothing_usable(caller):
    """HT-09: while the store is not usable every call is 503 in the contract's envelope."""
    session = await caller.session()
    caller.here.store.registry.raises = Unavailable(Reason.STORE_UNAVAILABLE)
    for answer in (
        await caller.log_in(),
        await caller.refresh(session["refreshToken"]),
        await caller.call(ORGS, session["jwtToken"]),
    ):
        check_refused(answer, 503)


# --- sections 6 and 8: edges ---


@pytest.mark.parametrize("spelling", [str.upper, str.lower, str.title])
async def test_email_in_any_case(caller, spelling):
    """E-mail addresses compare in their canonical form, and are answered in it."""
    session = await caller.session(email=spelling(caller.members["email"]))
    assert session["email"] == caller.members["email"]


@pytest.mark.parametrize("change", ["{} ", " {}", "{}\t"])
async def test_spaces_in_a_key(caller, change):
    """A user key is compared as it was sent: spaces are not trimmed."""
    check_refused(await caller.log_in(userKey=change.format(caller.members["user_key"])), 403, FAILED)


@pytest.mark.parametrize("media", ["application/json; charset=utf-8", 'application/json;charset="UTF-8"'])
async def test_body_as_scripts_send_it(caller, media):
    """A charset and a body of several lines with a byte of every kind of space change nothing."""
    told = {"email": caller.members["email"], "userKey": caller.members["user_key"]}
    body = json.dumps(told, indent=4).replace("\n", "\r\n\t").encode()
    assert (await caller.post(body, [("Content-Type", media)])).status == 200
    assert (await caller.post(told, headers=())).status == 200


async def test_refresh_header_repeated(caller):
    """A refresh header that is there twice is 400, and uses nothing up."""
    token = (await caller.session())["refreshToken"]
    for second in (token, "other"):
        check_refused(await caller.refresh(token, headers=[("wss-refresh-token", second)]), 400)
    assert (await caller.refresh(token)).status == 200


async def test_one_token_for_the_other(caller):
    """TK-08: a token as a refresh token is 403, a refresh token or a user key as a token 401."""
    session = await caller.session()
    check_refused(await caller.refresh(session["jwtToken"]), 403, FAILED)
    check_refused(await caller.refresh(caller.members["user_key"]), 403, FAILED)
    check_refused(await caller.call(ORGS, session["refreshToken"]), 401)


async def test_two_authorizations(caller):
    """A call with two Authorization headers is 400."""
    token = (await caller.session())["jwtToken"]
    headers = [("Authorization", "Bearer " + token)] * 2
    check_refused(await caller.here.ask("GET", ORGS, headers=headers), 400)


async def test_user_who_needs_a_second_factor(caller):
    """PW-07: who must use a second factor cannot come in here, and it looks like a wrong key."""
    wrong = await caller.log_in(userKey="wrong")
    await caller.here.replace(await caller.user(), mfa_required=True)
    refused = await caller.log_in()
    check_alike(wrong, refused)
    assert (await caller.here.audit("token.refused"))[-1].reason == Reason.PASSCODE_IMPOSSIBLE


async def test_calls_are_private(caller):
    """TE-08: nothing that a caller is told may be kept by anybody between."""
    session = await caller.session()
    for answer in (
        await caller.refresh(session["refreshToken"]),
        await caller.call(ORGS, session["jwtToken"]),
        await caller.call(f"{ORGS}/{caller.acme.id}", session["jwtToken"]),
    ):
        assert answer.header("cache-control") == "no-store"


async def test_trail(caller):
    """AD-05: login, refresh and change each leave one row about the user, and no secret in any."""
    session = await caller.session()
    fresh = (await caller.refresh(session["refreshToken"])).json
    await caller.call(f"{ORGS}/{caller.acme.id}/changeOrganization/{caller.globex.id}", fresh["jwtToken"])
    rows = await caller.here.audit("token.issued")
    assert [row.details["route"] for row in rows] == ["login", "refresh", "change"]
    assert {row.actor for row in rows} == {"user:" + (await caller.user()).id}
    assert [row.organisation_id for row in rows] == [caller.acme.id, caller.acme.id, caller.globex.id]
    for secret in (caller.members["user_key"], session["refreshToken"], fresh["jwtToken"].split(".")[2]):
        assert secret not in clear_texts(rows)
