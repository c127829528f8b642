"""Calls with bearer tokens, and all that only the tables of a contract of people have, through the desk."""

import json

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc import jwt
from joserfc.jwk import KeySet

from dialects.guild import GUILD
from harness import ACTOR, clear_texts, deployment
from keyturn.core.secret import Secret
from keyturn.directory.passwords import set_password
from keyturn.directory.projects import delete_project
from keyturn.directory.teams import create_team
from keyturn.directory.users import UserWish, create_user, disable_user
from keyturn.wire.configure import configure, role_permissions

WORD = "violet otters juggle lanterns"
FORM = ("Content-Type", "application/x-www-form-urlencoded")
ROLES = role_permissions({"guild": GUILD})


@pytest.fixture
async def here():
    """Open a deployment that serves the guild, with no projects of other dialects' demos."""
    async with deployment(GUILD) as opened:
        for slug in ("acme", "globex"):
            made = (await opened.organisation(slug)).id
            inside = opened.local.deployment.organisation_store(made)
            for project in await inside.projects():
                await delete_project(
                    ACTOR, inside, project.id, now=opened.clock.now(), dice=opened.local.dice
                )
        yield opened


class People:
    """The users of an organisation, made as they are needed."""

    def __init__(self, here, slug="acme"):
        self.here, self.slug = here, slug

    async def add(self, name, *roles, teams=()):
        """Make a user with the word as password."""
        there = self.here.local.deployment.organisation_store((await self.here.organisation(self.slug)).id)
        common = {"now": self.here.clock.now(), "dice": self.here.local.dice}
        for path in teams:
            await create_team(ACTOR, there, path.strip("/"), **common)
        wish = UserWish(name=name, roles=tuple(f"guild:{role}" for role in roles), teams=teams)
        user, _ = await create_user(ACTOR, there, wish, roles=ROLES, **common)
        await set_password(
            ACTOR,
            there,
            user.id,
            Secret(WORD),
            dialects=("guild",),
            passwords=self.here.local.passwords,
            **common,
        )
        return user

    async def log_in(self, name, body=b"", **options):
        """Send the login's form."""
        told = f"member={name}&word={WORD.replace(' ', '+')}&house=House%3A{self.slug}".encode()
        return await self.here.ask("POST", "/guild/login", headers=[FORM], body=told + body, **options)

    async def token(self, name, scope="work"):
        """Give an access token."""
        answer = await self.log_in(name, f"&scope={scope}".encode())
        assert answer.status == 200, answer
        return answer.json["token"]

    async def call(self, method, path, token, body=None, query=b"", scheme="bearer"):
        """Call with a token."""
        headers = [("Authorization", f"{scheme} {token}"), ("Content-Type", "application/json")]
        content = b"" if body is None else json.dumps(body).encode()
        return await self.here.ask(method, path, headers=headers, body=content, query=query)

    async def names_seen(self, token):
        """List the projects that a token shows, by name."""
        return [each["name"] for each in (await self.call("GET", "/guild/works", token)).json]


@pytest.fixture
async def people(here):
    """Give the people of the main organisation."""
    return People(here)


async def test_login(here, people):
    """A login gives a token of the shared issuer, whose one published key proves it."""
    await people.add("ana", "master")
    answer = await people.log_in("ANA", b"&note=hello")
    assert answer.json["note"] == "hello"
    assert "warning" not in answer.json
    keys = (await here.ask("GET", "/guild/key", query=b"format=jwks")).json
    claims = jwt.decode(answer.json["token"], KeySet.import_key_set(keys), algorithms=["ES256"]).claims
    assert (claims["iss"], claims["name"], claims["roles"]) == (
        "https://keys.example/guild",
        "ana",
        ["master"],
    )
    assert answer.json["until"] == claims["exp"]
    single = (await here.ask("GET", "/guild/key")).json
    first, body, last = single["pem"].split("\n")
    assert (first, last) == ("-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----")
    assert load_pem_public_key(single["pem"].encode())
    assert (single["alg"], single["iss"], len(body) > 64) == ("ES256", claims["iss"], True)


async def test_answer_of_a_setting(here, people):
    """What an answer shows of a setting is the organisation's value, and a fresh id stands in for none."""
    await people.add("ana")
    await here.replace(await here.organisation(), settings={"guild": {"unit": "ms"}})
    one, two = [(await people.log_in("ana")).json for _ in range(2)]
    assert one["until"] % 1000 == 0
    assert one["until"] > 10**12
    assert one["note"] != two["note"]
    assert one["at"] == "2026-11-01T12:00:00.250"


async def test_refused_login(here, people):
    """PW-04: a wrong word and an unknown name are one answer, with what was repeated."""
    await people.add("ana")
    await people.log_in("ana")
    wrong = [
        b"member=ana&word=x&house=House:acme",
        b"member=eve&word=x&house=House:acme",
        b"member=%E2%80%8B&word=x&house=House:acme",
    ]
    answers = [await here.ask("POST", "/guild/login", headers=[FORM], body=body) for body in wrong]
    assert {answer.status for answer in answers} == {400}
    told = {"error": "wrong", "says": "wrong_name_or_word", "house": "acme"}
    assert [answer.json for answer in answers] == [told] * 3
    assert answers[0].seen() == answers[1].seen()
    rows = await here.audit("token.refused")
    assert len(rows) == 3
    assert WORD not in clear_texts(rows)


async def test_deprecated_form(here, people):
    """A deprecated form is marked in the trail, and refused where an organisation switched those off."""
    await people.add("ana")
    body = f"word={WORD.replace(' ', '+')}&house=House%3Aacme".encode()
    asked = {"headers": [FORM], "query": b"member=ana", "body": body}
    assert (await here.ask("POST", "/guild/login", **asked)).status == 200
    assert "query:member" in (await here.audit("token.issued"))[-1].details["deprecated"]
    await here.replace(await here.organisation(), settings={"guild": {"deprecated_forms": False}})
    assert (await here.ask("POST", "/guild/login", **asked)).json["error"] == "bad"
    assert (await people.log_in("ana")).status == 200


async def test_projects(people):
    """A role permits and a team lets see: projects are made, listed, found by name, changed and deleted."""
    await people.add("ana", "master", teams=("/left",))
    await people.add("bob", "guest")
    ana, bob = await people.token("ana"), await people.token("bob")
    made = await people.call("POST", "/guild/works", ana, {"NAME": "bridge", "teams": ["/left"]})
    assert (made.status, made.json["teams"], made.json["open"]) == (201, ["/left"], False)
    await people.call("POST", "/guild/works", ana, {"name": "arch", "open": True})
    path = f"/guild/works/{made.json['id']}"
    assert await people.names_seen(ana) == ["arch", "bridge"]
    assert await people.names_seen(bob) == ["arch"]
    paged = await people.call("GET", "/guild/works", ana, query=b"offset=1&limit=1")
    assert paged.json == [made.json]
    assert (await people.call("GET", "/guild/works", ana, query=b"name=bridge")).json == made.json
    assert (await people.call("GET", "/guild/works", bob, query=b"name=bridge")).status == 404
    assert (await people.call("GET", path, ana)).json == made.json
    assert (await people.call("GET", path, bob)).status == 404
    assert (await people.call("DELETE", path, bob)).status == 403
    assert (await people.call("PUT", path, ana, {"name": "arch"})).status == 409
    changed = await people.call("PUT", path, ana, {"Name": "tower"})
    assert (changed.status, changed.body, changed.header("content-type")) == (204, b"", None)
    assert (await people.call("GET", path, ana)).json["name"] == "tower"
    assert (await people.call("DELETE", path, ana)).status == 204
    assert (await people.call("GET", path, ana)).status == 404


async def test_no_team_is_everybody(people):
    """Where a call says nothing of ``open``, a project of no team is open and one of any is not."""
    await people.add("ana", "master", teams=("/left",))
    await people.add("bob", "master")
    ana, bob = await people.token("ana"), await people.token("bob")
    asked = {
        "a": {"name": "a", "teams": []},
        "b": {"name": "b"},
        "c": {"name": "c", "teams": [], "open": False},
    }
    made = {name: (await people.call("POST", "/guild/works", ana, body)).json for name, body in asked.items()}
    assert [each["open"] for each in made.values()] == [True, False, False]
    alone = await people.call("POST", "/guild/works", bob, {"name": "d"})
    assert (alone.json["teams"], alone.json["open"]) == ([], True)
    path = f"/guild/works/{made['a']['id']}"
    for body, seen in (({"teams": ["/left"]}, 404), ({"name": "e"}, 404), ({"teams": []}, 200)):
        assert (await people.call("PUT", path, ana, body)).status == 204
        assert (await people.call("GET", path, bob)).status == seen


async def test_who_may_call(here, people):
    """AD-05: a call without a good token is 401, one with too little 403, each audited once as a call."""
    user = await people.add("ana", "master")
    token, resting = await people.token("ana"), await people.token("ana", "rest")
    no_token = await here.ask("GET", "/guild/works")
    assert (no_token.status, no_token.json) == (401, {"no": None, "says": "come again", "note": None})
    assert no_token.header("www-authenticate") == 'Bearer realm="api", error="invalid_token"'
    assert (await people.call("GET", "/guild/works", token + "x")).status == 401
    assert (await people.call("GET", "/guild/works", token, scheme="Basic")).status == 401
    assert (await here.ask("GET", "/guild/works", headers=[("X-Guild", token)])).status == 200
    assert (await people.call("GET", "/guild/works", token, scheme="BEARER")).status == 200
    assert (await people.call("GET", "/guild/works", resting)).status == 403
    there = here.local.deployment.organisation_store(user.organisation_id)
    await disable_user(ACTOR, there, user.id, now=here.clock.now(), dice=here.local.dice)
    assert (await people.call("GET", "/guild/works", token)).status == 401
    rows = await here.audit("call.refused")
    assert [row.outcome for row in rows] == [
        *["invalid_token"] * 3,
        "insufficient_scope",
        "invalid_token",
    ]
    assert token not in clear_texts(rows)


async def test_who_was_refused(here, people):
    """AD-05: a call that a verb refuses is audited with who was refused, and where."""
    user = await people.add("ana", "guest")
    token = await people.token("ana")
    assert (await people.call("POST", "/guild/works", token, {"Name": "arch"})).status == 403
    assert (await people.call("GET", "/guild/works/none", token)).status == 404
    rows = await here.audit("call.refused")
    assert [row.reason for row in rows] == ["permission_missing", "not_visible"]
    about = {(row.actor, row.organisation_id, row.subject) for row in rows}
    assert about == {(f"user:{user.id}", user.organisation_id, user.id)}


async def test_another_organisation_sees_nothing(here, people):
    """TN-03: the organisation in the token decides, although all organisations have one issuer."""
    await people.add("ana", "master")
    others = People(here, "globex")
    await others.add("ana", "master")
    made = await people.call("POST", "/guild/works", await people.token("ana"), {"name": "a", "open": True})
    theirs = await others.token("ana")
    assert await others.names_seen(theirs) == []
    assert (await others.call("GET", f"/guild/works/{made.json['id']}", theirs)).status == 404


async def test_shared_documents(here):
    """Documents of a shared issuer name no organisation, and read what their table says."""
    about = (await here.ask("GET", "/guild/about")).json
    assert about == {"issuer": "https://keys.example/guild", "login": "https://keys.example/guild/login"}
    assert (await here.ask("GET", "/guild/key", query=b"format=xml")).status == 400
    assert await here.audit("token.refused") == []


async def test_slashes(here):
    """Several slashes in front are one where the contract's callers are careless, and nothing elsewhere."""
    assert (await here.ask("GET", "//guild/about")).status == 200
    assert (await here.ask("GET", "/guild//about")).status == 404
    assert (await here.ask("GET", "//o/acme/.well-known/jwks.json")).status == 404


async def test_deployment_settings():
    """What a deployment sets is worked into every place of the tables."""
    chosen = {"algorithm": "RS256", "issuer": "https://iss.example", "strict": True}
    changed = configure(GUILD, chosen)
    login, listing, key = changed.routes[0], changed.routes[1], changed.routes[-2]
    for profile in (login.exchanges[0].profile, listing.bearer.accepts[0], key.document.profile):
        assert (profile.algorithm, profile.issuer) == ("RS256", "https://iss.example")
    assert [field.name for field in login.fields if field.required][-1] == "strictly"
    assert {setting.name: setting.default for setting in changed.settings}["strict"] is True
    assert configure(GUILD, {}) == GUILD


async def test_caller(here, people):
    """A caller is shown as it is at the time of the call, with the roles that its token stands for."""
    user = await people.add("ana", "master")
    token = await people.token("ana")
    now = (await here.local.deployment.user_view(user.id)).user
    await here.replace(now, given_name="Ana", email="ana@acme.example")
    shown = (await people.call("GET", "/guild/me", token)).json
    assert shown == {
        "id": user.id,
        "name": "ana",
        "email": "ana@acme.example",
        "email_verified": False,
        "given_name": "Ana",
        "roles": ["master"],
        "from": "acme",
        "in": "acme",
        "sub": user.id,
    }


async def test_organisation_of_a_caller(here, people):
    """TN-02: a caller may name the organisation of its token; any other is the same as none."""
    await people.add("ana")
    token = await people.token("ana")
    acme, globex = await here.organisation("acme"), await here.organisation("globex")
    for alias in (acme.id, acme.api_key):
        house = (await people.call("GET", f"/guild/houses/{alias}", token)).json
        assert house == {"id": acme.id, "name": "Acme", "slug": "acme"}
        assert (await people.call("GET", f"/guild/houses/{alias}/me", token)).json["in"] == "acme"
    for path in ("/guild/houses/{}", "/guild/houses/{}/me"):
        answers = [
            await people.call("GET", path.format(alias), token) for alias in (globex.id, "nowhere", "acme")
        ]
        assert {(answer.status, answer.body) for answer in answers} == {(404, answers[0].body)}
