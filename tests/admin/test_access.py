"""Who may use the admin API, and for what; how the first administrator comes about."""

import asyncio

import pytest

from admin.kit import Admin, token_for
from harness import ACTOR, deployment
from keyturn.core.limits import Rate
from keyturn.directory.admin_tokens import make_setup_token
from keyturn.wire.compile import Router

ONE = "/organisations/acme"


async def refused(admin, method, path, status, body=None, **options):
    """Send what must be refused, and give the problem."""
    answer = await admin.call(method, path, body, **options)
    assert (answer.status, answer.header("content-type")) == (status, "application/problem+json"), answer
    problem = answer.json
    assert problem["status"] == status
    assert problem["instance"] == f"urn:uuid:{answer.header('x-request-id')}"
    return problem


async def setup_token(here):
    """Make a setup token."""
    digester, now = here.local.digester, here.clock.now()
    made = await make_setup_token(
        ACTOR, here.local.deployment, digester=digester, now=now, dice=here.local.dice
    )
    return made.reveal()


@pytest.mark.parametrize("body", [None, b"{", {"nonsense": 1}])
async def test_nobody_comes_in(admin, body):
    """AD-01: without a token nothing is told but that one is needed, whatever else is wrong."""
    stranger = Admin(admin.here, None)
    for method, path in (("GET", ONE), ("POST", "/organisations"), ("PATCH", ONE), ("PUT", ONE)):
        answer = await stranger.call(method, path, body)
        assert (answer.status, answer.json.get("detail")) == (401, None)
        assert answer.header("www-authenticate").startswith("Bearer ")


async def test_other_tokens_are_none():
    """TK-08: no other kind of token opens the admin API, and an admin token opens nothing else."""
    async with deployment() as here:
        await check_other_tokens(Admin(here, await token_for(here)))


async def check_other_tokens(admin):
    """Show every kind of token where another is expected."""
    here, members = admin.here, admin.here.members["acme"]
    oauth2 = members["oauth2"]
    form = [("Content-Type", "application/x-www-form-urlencoded")]
    granted = (
        f"grant_type=client_credentials&client_id={oauth2['client_id']}&client_secret="
        f"{oauth2['client_secret']}"
    )
    issued = await here.ask("POST", "/o/acme/oauth2/token", headers=form, body=granted.encode())
    others = [
        issued.json["access_token"],
        oauth2["client_secret"],
        members["vmware-csp"]["api_token"],
        members["mend"]["user_key"],
        admin.token[:-1],
        admin.token + "x",
        admin.token.replace("admin", "setup"),
        "x",
    ]
    for token in others:
        assert (await Admin(here, token).call("GET", "/organisations")).status == 401
    asked = f"token={admin.token}&client_id={oauth2['client_id']}&client_secret={oauth2['client_secret']}"
    told = await here.ask("POST", "/o/acme/oauth2/introspect", headers=form, body=asked.encode())
    assert told.json == {"active": False}
    bearer = [("Authorization", f"Bearer {admin.token}")]
    assert (await here.ask("GET", "/risk-management/projects", headers=bearer)).status == 401
    exchange = f"api_token={admin.token}".encode()
    csp = "/csp/gateway/am/api/auth/api-tokens/authorize"
    assert (await here.ask("POST", csp, headers=form, body=exchange)).status in {400, 401, 404}


async def test_setup_happens_once(admin):
    """AD-06: a setup token gives one admin token with all rights, whoever else tries in the same moment."""
    here = admin.here
    tokens = await admin.get("/admin-tokens")
    for each in tokens["items"]:
        assert (await admin.call("DELETE", f"/admin-tokens/{each['id']}")).status == 200
    newcomer = Admin(here, await setup_token(here))
    answers = await asyncio.gather(*(newcomer.call("POST", "/setup", {"name": "me"}) for _ in range(3)))
    first, *others = sorted(answer.status for answer in answers)
    assert first == 201
    assert set(others) <= {401, 409}
    made = next(answer.json for answer in answers if answer.status == 201)
    assert (made["name"], made["scopes"], made["organisation_id"]) == ("me", ["all"], None)
    assert (await newcomer.call("POST", "/setup", {})).status == 401
    assert (await Admin(here, made["token"]).call("GET", "/organisations")).status == 200


async def test_setup_token_is_good_for_nothing_else(admin):
    """TK-08: a setup token reads nothing, an admin token sets nothing up, and after a day neither does it."""
    here = admin.here
    await admin.call("DELETE", f"/admin-tokens/{(await admin.get('/admin-tokens'))['items'][0]['id']}")
    setup = Admin(here, await setup_token(here))
    await refused(setup, "GET", "/organisations", 401)
    await refused(Admin(here, await token_for(here)), "POST", "/setup", 401, {})
    here.clock.advance(86_401)
    await refused(setup, "POST", "/setup", 401, {})


async def test_scopes(admin):
    """AD-01: a token does what its scopes name, and the refusal names the one that is missing."""
    reader = Admin(admin.here, await token_for(admin.here, "clients:read", "organisations:write"))
    assert (await reader.get(f"{ONE}/clients"))["items"]
    assert (await reader.get(ONE))["slug"] == "acme"
    problem = await refused(reader, "POST", f"{ONE}/clients", 403, {"name": "a"})
    assert "clients:write" in problem["detail"]
    problem = await refused(reader, "GET", "/admin-tokens", 403)
    assert "admin-tokens:read" in problem["detail"]


async def test_no_token_makes_a_wider_one(admin):
    """AD-02: a token cannot make another that has more scopes or reaches further than itself."""
    narrow = Admin(admin.here, await token_for(admin.here, "admin-tokens:write", "clients:read", slug="acme"))
    body = {"name": "more", "scopes": ["clients:read"]}
    made = await narrow.make("/admin-tokens", body)
    assert made["organisation_id"] == admin.here.organisations["acme"].id
    await refused(narrow, "POST", "/admin-tokens", 403, body | {"scopes": ["clients:write"]})
    await refused(narrow, "POST", "/admin-tokens", 404, body | {"organisation": "globex"})
    await refused(narrow, "POST", "/admin-tokens", 400, body | {"scopes": ["everything"]})
    assert [each["name"] for each in (await narrow.get("/admin-tokens", "sort=name"))["items"]] == [
        "more",
        "test",
    ]


async def test_other_organisations_are_not_there(admin):
    """TN-02: to a token of one organisation what is of another answers exactly like what is not there."""
    here = admin.here
    bound = Admin(here, await token_for(here, slug="acme"))
    globex = here.organisations["globex"]
    foreign = (await admin.make("/organisations/globex/clients", {"name": "a"}))["id"]
    listed = await bound.get("/organisations")
    assert [each["slug"] for each in listed["items"]] == ["acme"]
    nothing = "0190aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee"
    for method, path in (
        ("GET", "/organisations/{}"),
        ("DELETE", "/organisations/{}"),
        ("GET", "/organisations/{}/clients"),
        ("GET", "/organisations/{}/clients/" + foreign),
        ("POST", "/organisations/{}/disable"),
        ("DELETE", "/organisations/{}/settings/oauth2.lifetime_seconds"),
    ):
        there, missing = [
            await refused(bound, method, path.format(name), 404) for name in (globex.id, nothing)
        ]
        assert there["detail"].replace(globex.id, nothing) == missing["detail"]
    own = await refused(bound, "GET", f"{ONE}/clients/{foreign}", 404)
    gone = await refused(bound, "GET", f"{ONE}/clients/{nothing}", 404)
    assert own["detail"].replace(foreign, nothing) == gone["detail"]
    await refused(bound, "POST", "/organisations", 403, {"slug": "new", "name": "New"})
    await refused(bound, "DELETE", ONE, 403)
    await refused(bound, "POST", f"{ONE}/disable", 403)


async def test_a_token_ends(admin):
    """AD-01: an ended token, an expired one, and one of a disabled organisation are refused at once."""
    here = admin.here
    made = await admin.make("/admin-tokens", {"name": "x", "scopes": ["all"]})
    other = Admin(here, made["token"])
    assert (await other.call("GET", ONE)).status == 200
    assert (await admin.call("DELETE", f"/admin-tokens/{made['id']}")).status == 200
    await refused(other, "GET", ONE, 401)
    soon = await admin.make(
        "/admin-tokens", {"name": "y", "scopes": ["all"], "expires_at": "2026-11-01T12:01:00Z"}
    )
    here.clock.advance(60)
    await refused(Admin(here, soon["token"]), "GET", ONE, 401)
    bound = Admin(here, await token_for(here, slug="acme"))
    await admin.make(f"{ONE}/disable", status=200)
    await refused(bound, "GET", ONE, 401)
    await admin.make(f"{ONE}/enable", status=200)
    assert (await bound.call("GET", ONE)).status == 200


async def test_use_is_noted_once_a_day(admin):
    """The day of a token's last use is noted, with a row in the trail, by its first request of the day."""
    here = admin.here
    for _ in range(2):
        await admin.get("/organisations")
    [shown] = (await admin.get("/admin-tokens"))["items"]
    assert shown["last_used_on"] == "2026-11-01"
    assert len(await here.audit("admin_token.used")) == 1
    here.clock.advance(86_400)
    await admin.get("/organisations")
    assert len(await here.audit("admin_token.used")) == 2


@pytest.mark.parametrize(
    "path",
    [
        "/admin/v1//organisations",
        "//admin/v1/organisations",
        "/admin/v1/organisations/",
        "/admin/v1/Organisations",
        "/ADMIN/v1/organisations",
        "/admin/v1/%6frganisations",
        "/admin/v1/organisations;x=1",
        "/admin/v1/./organisations",
        "/admin/v1/organisations/../organisations",
        "/admin/v1/organisations/acme/clients/a%2Fb",
    ],
)
async def test_odd_spellings_reach_nothing(admin, path):
    """AD-01: another spelling of a path is nothing, with a token and without, whatever the headers say."""
    headers = [("Authorization", f"Bearer {admin.token}"), ("X-Original-URL", "/admin/v1/organisations")]
    answer = await admin.here.ask("GET", path, headers=headers)
    assert answer.status == 404
    assert "items" not in answer.json


async def test_every_change_and_refusal_is_audited(admin):
    """AD-05: each change and refusal names who, where, what and whence, under the request's own id."""
    here = admin.here
    [own] = (await admin.get("/admin-tokens"))["items"]
    made = await admin.call("POST", f"{ONE}/clients", {"name": "new"})
    [row] = [
        each for each in await here.audit("client.created") if each.request_id == made.header("x-request-id")
    ]
    assert (row.actor, row.subject) == (f"admin:{own['id']}", made.json["id"])
    gone = await admin.call("GET", f"{ONE}/clients/nothing")
    [refusal] = [each for each in await here.audit("call.refused") if each.actor == row.actor]
    assert (refusal.request_id, refusal.outcome, refusal.reason) == (
        gone.header("x-request-id"),
        "not_found",
        "not_visible",
    )
    page = await here.local.deployment.audit_page(limit=1_000)
    personal = dict(zip((each.request_id for each in page.rows), page.personal, strict=True))
    assert personal[row.request_id]["address"] == personal[refusal.request_id]["address"] == admin.address


async def test_no_secret_in_the_trail(admin):
    """HT-07: no row of the trail, opened or not, holds a token or secret that was told."""
    here = admin.here
    token = await admin.make("/admin-tokens", {"name": "x", "scopes": ["all"]}, key="k")
    client = await admin.make(f"{ONE}/clients", {"name": "x"})
    secret = await admin.make(f"{ONE}/clients/{client['id']}/secrets", {}, key="s")
    page = await here.local.deployment.audit_page(limit=10_000)
    told = repr((page.rows, page.personal))
    assert not any(each in told for each in (token["token"], secret["secret"], admin.token))


async def test_limits():
    """RL-01: an administrator who asks too often is told when to come back."""
    rates = {"client": Rate(per_minute=60, burst=3)}
    async with deployment(rates=rates) as here:
        admin = Admin(here, await token_for(here))
        answers = [await admin.call("GET", ONE) for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429]
        assert int(answers[-1].header("retry-after")) >= 1


async def test_nobody_can_tell(admin):
    """HT-09: with stale memory an admin token is neither good nor bad, but nobody can tell now."""
    from keyturn.core.errors import Unavailable
    from keyturn.core.vocabulary import Reason

    admin.here.store.registry.raises = Unavailable(Reason.CACHE_STALE)
    problem = await refused(admin, "GET", ONE, 503)
    assert problem["title"] == "Not available now"


async def test_it_can_be_off():
    """With the API off its paths are nothing."""
    from keyturn.app import assemble
    from keyturn.storage.limits import MemoryLimits

    async with deployment() as here:
        desk, _ = assemble(here.local, MemoryLimits({}), "https://keys.example", admin_api=False)
        router: Router = desk._router
        assert router.match("/admin/v1/organisations") is None
        assert router.near("/admin/v1/organisations") is None
