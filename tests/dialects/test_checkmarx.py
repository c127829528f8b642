"""Checkmarx SCA: the contract of every dialect, and the vendor's contract line by line."""

import base64
import json
from datetime import datetime
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from joserfc import jws, jwt
from joserfc.jwk import KeySet

from dialects.contract import DialectContract
from ground import START
from harness import ACTOR, PUBLIC_URL, basic, clear_texts, deployment
from keyturn.core.limits import Rate
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import Code, Reason
from keyturn.dialects.checkmarx import DIALECT
from keyturn.directory.memberships import add_member
from keyturn.directory.organisations import disable_organisation
from keyturn.directory.passwords import set_password
from keyturn.directory.users import UserWish, create_user, disable_user, log_out_everywhere
from keyturn.wire.configure import role_permissions

TOKEN = "/identity/connect/token"
JWKS = "/identity/.well-known/openid-configuration/jwks"
PROJECTS = "/risk-management/projects"
FORM = ("Content-Type", "application/x-www-form-urlencoded")
WORD = "violet otters juggle lanterns"
ROLES = role_permissions({"checkmarx": DIALECT})


class TestContract(DialectContract):
    """The whole contract, from the tables."""

    dialect = DIALECT
    owner_fact = "user.name"
    secret_fact = "user.password"
    wrong_code = Code.INVALID_GRANT
    unknown_reason = Reason.UNKNOWN_USER
    actor = "user"
    header_members = frozenset({"typ", "alg", "kid", "x5t"})

    def issuer(self, slug):
        """Give the one issuer of all tenants."""
        return PUBLIC_URL + "/identity"

    async def keys(self, here, slug):
        """Fetch the one key set of all tenants."""
        return (await here.ask("GET", "/identity/.well-known/openid-configuration/jwks")).json

    async def expected(self, here, slug):
        """Give the claims of the demo's user."""
        store = here.local.deployment.organisation_store((await here.organisation(slug)).id)
        user = await store.user_by_name("demouser")
        return {"sub": user.id, "aud": "sca_api", "scope": ["sca_api"], "client_id": "sca_resource_owner"}


@pytest.fixture
async def here():
    """Open a deployment of the house's dialects."""
    async with deployment() as opened:
        yield opened


def fields_of(here, slug="acme", **changes):
    """Give the fields of a good request, in the vendor's order, changed; None leaves a field out."""
    members = here.members[slug]["checkmarx"]
    fields = {
        "username": members["username"],
        "password": members["password"],
        "acr_values": "Tenant:" + slug,
        "scope": "sca_api",
        "client_id": "sca_resource_owner",
        "grant_type": "password",
    } | changes
    return {name: value for name, value in fields.items() if value is not None}


async def log_in(here, slug="acme", *, headers=(FORM,), query=b"", address="192.0.2.1", **changes):
    """Send a token request."""
    body = urlencode(fields_of(here, slug, **changes)).encode()
    return await here.ask("POST", TOKEN, headers=headers, body=body, query=query, address=address)


async def token_of(here, slug="acme", **changes):
    """Give an access token."""
    answer = await log_in(here, slug, **changes)
    assert answer.status == 200, answer
    return answer.json["access_token"]


async def claims_of(here, token):
    """Prove a token by the published keys, and give its claims."""
    keys = KeySet.import_key_set((await here.ask("GET", JWKS)).json)
    return jwt.decode(token, keys, algorithms=["RS256"]).claims


def told(error, description=None):
    """Give the one body of an error."""
    return {"error": error} | ({"error_description": description} if description else {})


WRONG = told("invalid_grant", "invalid_username_or_password")


def check(answer, status, body):
    """Check an error to the member."""
    assert (answer.status, answer.json) == (status, body), answer
    assert answer.header("cache-control") == "no-store"


class People:
    """The users of a tenant, made as they are needed, all with one password."""

    def __init__(self, here, slug="acme"):
        self.here, self.slug = here, slug

    @property
    def store(self):
        """The tenant's rows."""
        return self.here.local.deployment.organisation_store(self.here.organisations[self.slug].id)

    @property
    def common(self):
        """What every verb takes."""
        return {"now": self.here.clock.now(), "dice": self.here.local.dice}

    async def add(self, name, *roles, teams=(), password=WORD):
        """Make a user."""
        named = tuple(f"checkmarx:{role}" for role in roles)
        wish = UserWish(name=name, roles=named, teams=teams)
        user, _ = await create_user(ACTOR, self.store, wish, roles=ROLES, **self.common)
        await self.set_password(user, password)
        return user

    async def set_password(self, user, password):
        """Give a user another password."""
        await set_password(
            ACTOR,
            self.store,
            user.id,
            Secret(password),
            dialects=("checkmarx",),
            passwords=self.here.local.passwords,
            **self.common,
        )

    async def demo_user(self):
        """Read the demo's user."""
        return await self.store.user_by_name("demouser")

    async def token(self, name, **changes):
        """Log a user in."""
        return await token_of(self.here, self.slug, username=name, password=WORD, **changes)


@pytest.fixture
async def people(here):
    """The users of acme."""
    return People(here)


async def call(here, token, method="GET", path=PROJECTS, body=None, **options):
    """Call the API with a token."""
    headers = [("Authorization", f"bearer {token}"), ("Content-Type", "application/json")]
    content = b"" if body is None else json.dumps(body).encode()
    return await here.ask(method, path, headers=headers, body=content, **options)


async def names_seen(here, token, query=b""):
    """List the projects that a token shows, by name."""
    answer = await call(here, token, query=query)
    assert answer.status == 200, answer
    return [each["name"] for each in answer.json]


# --- sections 2 and 3: request and answer ---


async def test_answer(here):
    """A good answer has the vendor's members, the lifetime a number of seconds."""
    answer = await log_in(here)
    assert list(answer.json) == ["access_token", "expires_in", "token_type", "scope"]
    assert (answer.json["expires_in"], answer.json["token_type"]) == (3600, "Bearer")
    assert type(answer.json["expires_in"]) is int
    assert answer.json["scope"] == "sca_api"


async def test_sample_of_the_vendor(here):
    """The vendor's curl sample, mended, in any order of fields, with ``+`` for a blank and ``%3A``."""
    fields = fields_of(here, scope="sca_api access_control_api")
    for names in (list(fields), sorted(fields), sorted(fields, reverse=True)):
        body = urlencode([(name, fields[name]) for name in names]).encode()
        assert b"sca_api+access_control_api" in body
        assert b"Tenant%3Aacme" in body
        for accept in ("application/x-www-form-urlencoded", "text/html", "*/*"):
            answer = await here.ask("POST", TOKEN, headers=[FORM, ("Accept", accept)], body=body)
            assert (answer.status, answer.header("content-type")) == (200, "application/json")


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("Tenant:acme", True),
        ("tenant:acme", True),
        ("TENANT:ACME", True),
        ("idp:local Tenant:acme", True),
        ("  Tenant:acme ", True),
        ("acme", False),
        ("DemoTenant", False),
        ("Tenant:", False),
        ("Tenant: acme", False),
        ("Tenant:acme Tenant:globex", False),
        ("Tenant:acme Tenant:acme", False),
        ("Tenants:acme", False),
        ("", False),
        (None, False),
    ],
)
async def test_acr_values(here, value, good):
    """TN-01: one tenant is named, without case; none, two or nothing behind the colon is invalid_request."""
    answer = await log_in(here, acr_values=value)
    if good:
        assert answer.status == 200
    else:
        check(answer, 400, told("invalid_request"))


@pytest.mark.parametrize(
    ("scope", "granted"),
    [
        ("sca_api", "sca_api"),
        ("access_control_api", "access_control_api"),
        ("sca_api access_control_api", "sca_api access_control_api"),
        ("access_control_api sca_api", "access_control_api sca_api"),
        (" sca_api   access_control_api ", "sca_api access_control_api"),
        ("sca_api sca_api", "sca_api"),
    ],
)
async def test_scope(here, scope, granted):
    """Both scopes may be had, in any order and with any blanks; audience and claim are by scope."""
    answer = await log_in(here, scope=scope)
    assert answer.json["scope"] == granted
    claims = await claims_of(here, answer.json["access_token"])
    assert claims["scope"] == granted.split()
    assert claims["aud"] == (granted if " " not in granted else granted.split())


@pytest.mark.parametrize(
    "scope",
    [None, "", " ", "SCA_API", "sca_api openid", "openid", "offline_access", "sca_api,access_control_api"],
)
async def test_invalid_scope(here, scope):
    """A missing scope and an unknown one, alone or beside a known one, are invalid_scope."""
    check(await log_in(here, scope=scope), 400, told("invalid_scope"))


@pytest.mark.parametrize("value", [None, "", "SCA_RESOURCE_OWNER", "sca_resource_owner ", "other", "0"])
async def test_client(here, value):
    """The one client is compared exactly; any other, and none, is invalid_client."""
    check(await log_in(here, client_id=value), 400, told("invalid_client"))


@pytest.mark.parametrize("value", [None, "", "Password", "client_credentials", "refresh_token", "x"])
async def test_grant_type(here, value):
    """No grant type but password, and none at all, is unsupported_grant_type."""
    check(await log_in(here, grant_type=value), 400, told("unsupported_grant_type"))


@pytest.mark.parametrize("name", ["username", "password"])
@pytest.mark.parametrize("value", [None, ""])
async def test_missing_credential(here, name, value):
    """A missing user name or password is invalid_grant and no more."""
    check(await log_in(here, **{name: value}), 400, told("invalid_grant"))


async def test_order_of_checks(here):
    """Of many faults the first is told: query, client, grant type, scope, tenant, user."""
    faults = [
        ("client_id", "invalid_client"),
        ("grant_type", "unsupported_grant_type"),
        ("scope", "invalid_scope"),
        ("acr_values", "invalid_request"),
        ("username", "invalid_grant"),
    ]
    for place, (_, error) in enumerate(faults):
        wrong = {name: None for name, _ in faults[place:]}
        check(await log_in(here, **wrong), 400, told(error))
        check(await log_in(here, **wrong, query=b"scope=x"), 400, told("invalid_request"))
        check(await log_in(here, **wrong, headers=[]), 400, told("invalid_request"))
    assert (await here.audit())[-1].reason == Reason.MEDIA_TYPE


async def test_no_repair(here):
    """What the newer SDK sends to a host that is not the vendor's is refused, not repaired."""
    empty = {"grant_type": "", "client_id": "", "client_secret": "", "acr_values": None}
    check(await log_in(here, **empty), 400, told("invalid_client"))


@pytest.mark.parametrize(
    "name", ["username", "password", "acr_values", "scope", "client_id", "client_secret"]
)
async def test_credentials_in_the_query(here, name):
    """TE-01, HT-07: a credential in the query is invalid_request whatever the body has, and kept nowhere."""
    answer = await log_in(here, query=f"{name}=hunter2-hunter2".encode())
    check(answer, 400, told("invalid_request"))
    (row,) = await here.audit("token.refused")
    assert row.reason == Reason.CREDENTIAL_IN_QUERY
    assert "hunter2" not in clear_texts(await here.audit())


async def test_json_body(here):
    """A JSON body is invalid_request, and what it holds is kept nowhere."""
    body = json.dumps(fields_of(here)).encode()
    answer = await here.ask("POST", TOKEN, headers=[("Content-Type", "application/json")], body=body)
    check(answer, 400, told("invalid_request"))
    assert here.members["acme"]["checkmarx"]["password"] not in clear_texts(await here.audit())


@pytest.mark.parametrize("value", ["Basic dXNlcjpwYXNz", "Basic !", "Bearer x", "Negotiate y"])
async def test_stray_authorization(here, value):
    """TE-04: an Authorization header is ignored, and does not stand in for what the body lacks."""
    headers = [FORM, ("Authorization", value)]
    assert (await log_in(here, headers=headers)).status == 200
    check(await log_in(here, headers=headers, password=None), 400, told("invalid_grant"))


async def test_a_secret_of_a_public_client(here):
    """A client secret that a library adds is nobody's and ignored."""
    assert (await log_in(here, client_secret="x")).status == 200


# --- who comes in ---


async def test_wrong_credentials(here, people):
    """PW-04, TE-09: wrong name, password and tenant, a disabled user and a stranger are the same bytes."""
    await people.add("off", "admin")
    await disable_user(ACTOR, people.store, (await people.store.user_by_name("off")).id, **people.common)
    wrong = [
        await log_in(here, password="wrong"),
        await log_in(here, username="nobody"),
        await log_in(here, acr_values="Tenant:nobody"),
        await log_in(here, username="off", password=WORD),
        await log_in(here, username="x" * 700),
        await log_in(here, password="x" * 700),
        await log_in(here, username="\u200bDemoUser\u200b\u202e"),
        await log_in(here, password="DEMO"),
        await log_in(here, username="DemoViewer"),
    ]
    for answer in wrong:
        check(answer, 400, WRONG)
    assert len({answer.seen() for answer in wrong}) == 1
    reasons = [row.reason for row in await here.audit("token.refused")]
    assert reasons[:4] == [
        Reason.WRONG_PASSWORD,
        Reason.UNKNOWN_USER,
        Reason.UNKNOWN_ORGANISATION,
        Reason.USER_DISABLED,
    ]


async def test_two_users_of_one_name(here):
    """TN-03: one name and password in two tenants are two users, and the tenant that is named decides."""
    ours, theirs = [await claims_of(here, await token_of(here, slug)) for slug in ("acme", "globex")]
    assert ours["sub"] != theirs["sub"]
    for claims, slug in ((ours, "acme"), (theirs, "globex")):
        assert (claims["tenant_id"], claims["tenant_name"]) == (here.organisations[slug].id, slug)
        assert claims["iss"] == PUBLIC_URL + "/identity"
    people = People(here, "globex")
    await people.set_password(await people.demo_user(), WORD)
    assert (await log_in(here)).status == 200
    check(await log_in(here, "globex"), 400, WRONG)
    check(await log_in(here, password=WORD), 400, WRONG)


async def test_only_local_accounts(here):
    """TN-01: a member of the tenant who is at home elsewhere does not come in by a name."""
    theirs = People(here, "globex")
    user = await theirs.add("guest")
    await add_member(
        ACTOR,
        here.local.deployment,
        here.organisations["acme"].id,
        user.id,
        role_names=("checkmarx:admin",),
        roles=ROLES,
        **theirs.common,
    )
    check(await log_in(here, username="guest", password=WORD), 400, WRONG)
    assert (await log_in(here, "globex", username="guest", password=WORD)).status == 200


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("Zoë", "pässwörter über alles"),
        ("a+b@c%d", "100% of & = + : words"),
        ("名前", "紫の錨が静かに漂う夜明けの海と空"),
        ("spaced out", "  blanks around matter  "),
        ("long", "w" * 130 + "x" * 126),
    ],
)
async def test_any_characters(here, people, name, password):
    """PW-02: names and passwords of any characters survive the form, and passwords are compared whole."""
    await people.add(name, "sca_viewer", password=password)
    for spelling in (name, name.upper()):
        assert (await log_in(here, username=spelling, password=password)).status == 200
    check(await log_in(here, username=name, password=password[:-1]), 400, WRONG)
    check(await log_in(here, username=name, password=password + " "), 400, WRONG)


async def test_lockout(here):
    """PW-05: who guesses is locked out with 429 and Retry-After, also for names that nobody has."""
    for name in (None, "nobody"):
        named = {} if name is None else {"username": name}
        for _ in range(100):
            answer = await log_in(here, address="198.51.100.7", **named | {"password": "wrong"})
            if answer.status == 429:
                break
            check(answer, 400, WRONG)
        check(answer, 429, told("slow_down"))
        assert int(answer.header("retry-after")) >= 1
        right = await log_in(here, address="198.51.100.7", **named)
        assert right.seen() == answer.seen()


async def test_lockout_is_told_to_whose_it_is(here, people):
    """AD-05: the row of a lock names the user and the organisation, and a caller cannot tell (PW-04)."""
    user = await people.add("guessed", "sca_viewer")
    seen = []
    for name in ("guessed", "nobody"):
        for _ in range(6):
            answer = await log_in(here, username=name, password="wrong")
        check(answer, 429, told("slow_down"))
        seen.append(answer.seen())
    assert seen[0] == seen[1]
    rows = [row for row in await here.audit("token.refused") if row.reason == Reason.LOCKED_OUT]
    assert [(row.organisation_id, row.subject) for row in rows] == [
        (user.organisation_id, user.id),
        (None, None),
    ]


async def test_second_factor_cannot_come(here, people):
    """PW-07: a user who must use a second factor cannot come in by a route that has no place for one."""
    user = await people.add("careful", "admin")
    user = await people.store.user(user.id)
    await here.replace(user, mfa_required=True)
    check(await log_in(here, username="careful", password=WORD), 400, WRONG)
    assert (await here.audit())[-1].reason == Reason.PASSCODE_IMPOSSIBLE


async def test_deprecated(here):
    """The password grant is marked in the trail, and an organisation can switch it off."""
    assert (await log_in(here)).status == 200
    assert (await here.audit("token.issued"))[-1].details["deprecated"] == "password"
    await here.replace(await here.organisation(), settings={"checkmarx": {"deprecated_forms": False}})
    check(await log_in(here), 400, WRONG)
    assert (await log_in(here, "globex")).status == 200


# --- section 4: token and keys ---


async def test_key_names(here):
    """A key is named by its certificate: ``kid`` in upper-case hex, ``x5t`` the same bytes."""
    header = jws.extract_compact((await token_of(here)).encode()).headers()
    assert set(header) == {"alg", "kid", "typ", "x5t"}
    assert (header["alg"], header["typ"]) == ("RS256", "JWT")
    keys = (await here.ask("GET", JWKS)).json["keys"]
    for key in keys:
        assert set(key) == {"kty", "n", "e", "kid", "x5t", "use", "alg"}
        thumbprint = bytes.fromhex(key["kid"])
        assert (len(thumbprint), key["kid"]) == (20, thumbprint.hex().upper())
        assert base64.urlsafe_b64encode(thumbprint).rstrip(b"=").decode() == key["x5t"]
    assert {"kid": header["kid"], "x5t": header["x5t"]} in [
        {name: key[name] for name in ("kid", "x5t")} for key in keys
    ]


async def test_claims(here, people):
    """The claims are the contract's, beside those of every token."""
    claims = await claims_of(here, await token_of(here))
    own = {"nbf", "client_id", "scope", "tenant_id", "tenant_name"}
    assert set(claims) == {"iss", "sub", "aud", "iat", "exp", "jti", "kt"} | own
    assert claims["sub"] == (await people.demo_user()).id
    assert claims["nbf"] == claims["iat"] == claims["exp"] - 3600
    assert claims["client_id"] == "sca_resource_owner"


async def test_discovery(here):
    """Discovery is served under /identity, and what it says is true."""
    answer = await here.ask("GET", "/identity/.well-known/openid-configuration")
    assert answer.json["issuer"] == PUBLIC_URL + "/identity"
    assert answer.json["token_endpoint"] == PUBLIC_URL + TOKEN
    assert answer.json["jwks_uri"] == PUBLIC_URL + JWKS
    assert answer.json["grant_types_supported"] == ["password"]
    assert answer.json["scopes_supported"] == ["sca_api", "access_control_api"]
    assert answer.json["id_token_signing_alg_values_supported"] == ["RS256"]


# --- section 5: calls ---


async def test_projects_of_the_demo(here):
    """What demo.json says of each user's projects is what their token shows."""
    members = here.members["acme"]["checkmarx"]
    assert members["projects"] == ["acme-backend", "acme-handbook", "acme-shop"]
    assert await names_seen(here, await token_of(here)) == members["projects"]
    viewer = members["viewer"]
    token = await token_of(here, username=viewer["username"], password=viewer["password"])
    assert await names_seen(here, token) == viewer["projects"] == ["acme-backend", "acme-handbook"]
    other = members["other"]
    assert (other["tenant"], other["username"], other["password"]) == (
        "globex",
        members["username"],
        members["password"],
    )
    assert await names_seen(here, await token_of(here, "globex")) == other["projects"]
    assert not set(other["projects"]) & set(members["projects"])


async def test_project(here):
    """A project has the vendor's members and types; by name it comes alone, and one not there is 404."""
    token = await token_of(here)
    listed = (await call(here, token)).json
    for project in listed:
        assert list(project) == [
            "id",
            "name",
            "isManaged",
            "createdOn",
            "tenantId",
            "branch",
            "assignedTeams",
            "lastSuccessfulScanId",
        ]
        assert (project["isManaged"], project["branch"], project["lastSuccessfulScanId"]) == (
            False,
            None,
            None,
        )
        assert project["tenantId"] == here.organisations["acme"].id
        assert datetime.fromisoformat(project["createdOn"]) == START
    assert [project["assignedTeams"] for project in listed] == [
        ["/CxServer/Demo/Backend"],
        [],
        ["/CxServer/Demo"],
    ]
    assert (await call(here, token, query=b"name=acme-shop")).json == listed[2]
    assert (await call(here, token, path=f"{PROJECTS}/{listed[2]['id']}")).json == listed[2]
    for missing in (b"name=acme-partners", b"name=nothing", b"name=ACME-SHOP"):
        assert (await call(here, token, query=missing)).status == 404


@pytest.mark.parametrize(
    ("query", "seen"),
    [
        (b"", "abc"),
        (b"offset=1", "bc"),
        (b"limit=2", "ab"),
        (b"offset=1&limit=1", "b"),
        (b"offset=3&limit=1000", ""),
        (b"name=&limit=1", "a"),
    ],
)
async def test_paging(here, people, query, seen):
    """Lists are sorted by name and cut by offset and limit; without a limit all is shown."""
    await people.add("ana", "sca_manager", teams=("/CxServer/Partners",))
    token = await people.token("ana")
    await call(here, token, "DELETE", f"{PROJECTS}/{(await call(here, token)).json[1]['id']}")
    await call(here, token, "DELETE", f"{PROJECTS}/{(await call(here, token)).json[0]['id']}")
    for name in "cab":
        body = {"Name": name, "AssignedTeams": ["/CxServer/Partners"]}
        assert (await call(here, token, "POST", body=body)).status == 201
    assert await names_seen(here, token, query) == list(seen)


@pytest.mark.parametrize("query", [b"limit=1001", b"limit=0", b"limit=x", b"offset=-1", b"offset=1.5"])
async def test_odd_paging(here, query):
    """A limit over 1000 and what is no number is refused."""
    assert (await call(here, await token_of(here), query=query)).status == 400


async def test_life_of_a_project(here):
    """A project is made, shown, given another name and other teams, and deleted; members have no case."""
    token = await token_of(here)
    made = await call(here, token, "POST", body={"Name": "happy", "AssignedTeams": ["/CxServer/Demo"]})
    assert (made.status, made.json["name"], made.json["assignedTeams"]) == (201, "happy", ["/CxServer/Demo"])
    path = f"{PROJECTS}/{made.json['id']}"
    assert (await call(here, token, path=path)).json == made.json
    for body in ({"name": "happier"}, {"ASSIGNEDTEAMS": ["/CxServer/Demo/Backend"]}, {}):
        changed = await call(here, token, "PUT", path, body)
        assert (changed.status, changed.body) == (204, b"")
    shown = (await call(here, token, path=path)).json
    assert (shown["name"], shown["assignedTeams"]) == ("happier", ["/CxServer/Demo/Backend"])
    assert (await call(here, token, "POST", body={"Name": "happier"})).status == 409
    assert (await call(here, token, "DELETE", path)).status == 204
    for method in ("GET", "DELETE"):
        assert (await call(here, token, method, path)).status == 404
    assert (await call(here, token, "PUT", path, {"Name": "x"})).status == 404


async def test_content_type_of_a_write(here):
    """A write without a content type is read as JSON; another type is refused."""
    token = await token_of(here)
    for media, status in ((None, 201), ("application/json; charset=utf-8", 201), ("text/plain", 415)):
        headers = [("Authorization", f"Bearer {token}"), *([("Content-Type", media)] if media else [])]
        body = json.dumps({"Name": f"as {media}"}).encode()
        assert (await here.ask("POST", PROJECTS, headers=headers, body=body)).status == status


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"Name": ""},
        {"Name": 7},
        {"Name": "x", "name": "y"},
        {"Name": "x", "AssignedTeams": "/CxServer"},
        {"Name": "x", "AssignedTeams": ["/CxServer/Partners"]},
        {"Name": "x", "AssignedTeams": ["/none"]},
    ],
)
async def test_odd_project(here, body):
    """TE-03: a project without a name, of wrong types, or of a team that is not the caller's is refused."""
    answer = await call(here, await token_of(here), "POST", body=body)
    assert (answer.status, answer.json["error"]) == (400, "invalid_request")


async def test_teams(here, people):
    """A user sees the projects of their teams and of all below, and open ones; no role shows another."""
    seen = {
        "root": (("/CxServer",), ["acme-backend", "acme-handbook", "acme-partners", "acme-shop"]),
        "demo": (("/CxServer/Demo",), ["acme-backend", "acme-handbook", "acme-shop"]),
        "leaf": (("/CxServer/Demo/Backend",), ["acme-backend", "acme-handbook"]),
        "none": ((), ["acme-handbook"]),
    }
    for name, (teams, names) in seen.items():
        await people.add(name, "admin", teams=teams)
        assert await names_seen(here, await people.token(name)) == names
    hidden = (await call(here, await people.token("root"), query=b"name=acme-partners")).json["id"]
    for method in ("GET", "PUT", "DELETE"):
        body = {"Name": "x"} if method == "PUT" else None
        answer = await call(here, await people.token("none"), method, f"{PROJECTS}/{hidden}", body)
        assert answer.status == 404


async def test_left_open(here, people):
    """A project of no team is open to all users, and closed again by a team."""
    token = await token_of(here)
    made = (await call(here, token, "POST", body={"Name": "open", "AssignedTeams": []})).json
    await people.add("none", "sca_viewer")
    stranger = await people.token("none")
    assert "open" in await names_seen(here, stranger)
    await call(here, token, "PUT", f"{PROJECTS}/{made['id']}", {"AssignedTeams": ["/CxServer/Demo"]})
    assert "open" not in await names_seen(here, stranger)


@pytest.mark.parametrize(
    ("role", "statuses"),
    [
        ("admin", [200, 201, 204, 204]),
        ("sca_manager", [200, 201, 204, 204]),
        ("sca_scanner", [200, 201, 204, 204]),
        ("sca_external_platform_user", [200, 403, 403, 403]),
        ("sca_viewer", [200, 403, 403, 403]),
        ("access_control_manager", [403, 403, 403, 403]),
        ("user_manager", [403, 403, 403, 403]),
        (None, [403, 403, 403, 403]),
    ],
)
async def test_roles(here, people, role, statuses):
    """Each predefined role may do what the vendor's table of roles says, and a viewer's write is 403."""
    user = await people.add("ana", *([role] if role else []), teams=("/CxServer",))
    token = await people.token("ana")
    target = (await call(here, await token_of(here), query=b"name=acme-shop")).json["id"]
    path = f"{PROJECTS}/{target}"
    answers = [
        await call(here, token),
        await call(here, token, "POST", body={"Name": "made"}),
        await call(here, token, "PUT", path, {"Name": "renamed"}),
        await call(here, token, "DELETE", path),
    ]
    assert [answer.status for answer in answers] == statuses
    assert {row.reason for row in await here.audit("call.refused")} <= {Reason.PERMISSION_MISSING}
    assert {row.actor for row in await here.audit("call.refused")} <= {f"user:{user.id}"}


async def test_role_change(here, people):
    """A token may do what its user's roles permit at the time of the call."""
    user = await people.add("ana", "sca_manager")
    token = await people.token("ana")
    body = {"Name": "made", "AssignedTeams": []}
    assert (await call(here, token, "POST", body=body)).status == 201
    place = await people.store.membership_of(user.id)
    await here.replace(place, roles=("checkmarx:sca_viewer",))
    assert (await call(here, token, "POST", body={"Name": "more"})).status == 403
    assert (await call(here, token)).status == 200


async def test_scope_of_a_call(here):
    """A token without ``sca_api`` is 403 at every call, and one with both scopes is good."""
    token = await token_of(here, scope="access_control_api")
    for method, path, body in (
        ("GET", PROJECTS, None),
        ("POST", PROJECTS, {"Name": "x"}),
        ("GET", PROJECTS + "/x", None),
        ("PUT", PROJECTS + "/x", {"Name": "x"}),
        ("DELETE", PROJECTS + "/x", None),
    ):
        answer = await call(here, token, method, path, body)
        assert (answer.status, answer.json["error"]) == (403, "insufficient_scope")
    assert (await call(here, await token_of(here, scope="access_control_api sca_api"))).status == 200


async def test_bearer(here):
    """The scheme has no case; no token, another scheme, a cut or foreign token are 401, and the same."""
    token = await token_of(here)
    for scheme in ("bearer", "Bearer", "BEARER"):
        headers = [("Authorization", f"{scheme} {token}")]
        assert (await here.ask("GET", PROJECTS, headers=headers)).status == 200
    members = here.members["acme"]["oauth2"]
    body = b"grant_type=client_credentials"
    basics = ("Authorization", basic(members["client_id"], members["client_secret"]))
    foreign = await here.ask("POST", "/o/acme/oauth2/token", headers=[FORM, basics], body=body)
    bad = [None, f"Basic {token}", "bearer", f"bearer {token}x", f"bearer {token[:-2]}", "bearer x.y.z"]
    bad.append("bearer " + foreign.json["access_token"])
    answers = []
    for value in bad:
        headers = [] if value is None else [("Authorization", value)]
        answers.append(await here.ask("GET", PROJECTS, headers=headers))
        check(answers[-1], 401, told("invalid_token"))
        assert answers[-1].header("www-authenticate") == 'Bearer realm="api", error="invalid_token"'
    assert len({answer.seen() for answer in answers}) == 1


@pytest.mark.parametrize("content", [{"Name": 5}, {}, []], ids=["type", "missing", "no object"])
async def test_who_asks_comes_first(here, content):
    """Whoever has no good token is told that, and only who has one is told what is wrong with the body."""
    check(await call(here, "x.y.z", "POST", body=content), 401, told("invalid_token"))
    other_scope = await token_of(here, scope="access_control_api")
    assert (await call(here, other_scope, "POST", body=content)).status == 403
    assert (await call(here, await token_of(here), "POST", body=content)).status == 400


async def test_expiry(here):
    """TK-09: a token is good for 3600 seconds and not one longer."""
    here.clock.advance(0.75)
    token = await token_of(here)
    here.clock.advance(3599)
    assert (await call(here, token)).status == 200
    here.clock.advance(1)
    check(await call(here, token), 401, told("invalid_token"))


async def test_password_change(here, people):
    """RV-04: another password ends the tokens of the old one; the new one gives good ones."""
    user = await people.add("ana", "sca_viewer")
    token = await people.token("ana")
    await people.set_password(user, WORD + " again")
    assert (await call(here, token)).status == 401
    check(await log_in(here, username="ana", password=WORD), 400, WRONG)
    again = await token_of(here, username="ana", password=WORD + " again")
    assert (await call(here, again)).status == 200


async def test_log_out_everywhere(here, people):
    """RV-04: an operator's log-out ends a user's tokens, and the same credentials give another."""
    user = await people.add("ana", "sca_viewer")
    token = await people.token("ana")
    await log_out_everywhere(ACTOR, people.store, user.id, **people.common)
    assert (await call(here, token)).status == 401
    assert (await call(here, await people.token("ana"))).status == 200


async def test_another_tenant_sees_nothing(here):
    """TN-02: another tenant's project is one that is not there, for reading and for writing."""
    ours, theirs = await token_of(here), await token_of(here, "globex")
    for project in (await call(here, theirs)).json:
        path = f"{PROJECTS}/{project['id']}"
        missing = await call(here, ours, path=f"{PROJECTS}/{uuid4()}")
        found = await call(here, ours, path=path)
        assert (found.status, found.body) == (missing.status, missing.body) == (404, found.body)
        assert (await call(here, ours, "DELETE", path)).status == 404
        assert (await call(here, theirs, path=path)).status == 200


async def test_disabled_organisation(here):
    """TE-10: a disabled tenant's users do not come in and its tokens are dead; the other tenant goes on."""
    ours, theirs = await token_of(here), await token_of(here, "globex")
    common = {"now": here.clock.now(), "dice": here.local.dice}
    await disable_organisation(ACTOR, here.local.deployment, "acme", **common)
    check(await log_in(here), 400, WRONG)
    assert (await call(here, ours)).status == 401
    assert (await call(here, theirs)).status == 200


async def test_limit(here):
    """RL-01: a caller over the limit is told to wait, in the API's words too."""
    async with deployment(rates={"user": Rate(per_minute=20, burst=2)}) as narrow:
        token = await token_of(narrow)
        assert (await call(narrow, token)).status == 200
        answer = await call(narrow, token)
        assert (answer.status, answer.json["error"]) == (429, "slow_down")
        assert answer.header("retry-after") == "3"
