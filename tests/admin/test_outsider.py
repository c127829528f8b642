"""Somebody with a token of one organisation tries everything on another's things; nothing comes of it."""

import itertools

import pytest

from admin.kit import BASE, Admin, token_for
from admin.test_access import refused
from keyturn.admin import ADMIN
from keyturn.wire.tables import Source

ACME, GLOBEX = "/organisations/acme", "/organisations/globex"
HOOKS, HOST = "/notice-subscriptions", "https://hooks.example.com"
WISH = {"channel": "webhook", "target": f"{HOST}/in"}
FOLDERS = (
    "clients",
    "users",
    "members",
    "teams",
    "projects",
    "entities",
    "signing-keys",
    "settings",
)


async def furnish(admin, inside, mark):
    """Make something of every kind in an organisation, and give what paths and bodies call it."""
    make, slug = admin.make, inside.rpartition("/")[2]
    made = await admin.call("POST", f"{inside}/clients", {"name": mark})
    client = made.json["id"]
    user = (await make(f"{inside}/users", {"name": mark, "email": f"{mark}@mail.example"}))["id"]
    await make(f"{inside}/entities", {"id": f"{mark}-1", "type": "party"})
    entity = f"{inside}/entities/{mark}-1"
    await admin.call("PUT", f"{entity}/users/{user}")
    team = (await make(f"{inside}/teams", {"name": mark}))["id"]
    await make(f"{inside}/signing-keys/rotate", {"algorithm": "ES256"}, status=200)
    return {
        "client": client,
        "request": made.header("x-request-id"),
        "secret": (await make(f"{inside}/clients/{client}/secrets"))["id"],
        "user": user,
        "key": (await make(f"{inside}/users/{user}/keys"))["id"],
        "api_token": (await make(f"{inside}/api-tokens", {"owner": user, "name": mark}))["id"],
        "credential": (await make(f"{entity}/reset-secret"))["id"],
        "team": team,
        "project": (await make(f"{inside}/projects", {"name": mark, "teams": [team]}))["id"],
        "entity": f"{mark}-1",
        "admin_token": (await make("/admin-tokens", {"name": mark, "scopes": ["all"], "organisation": slug}))[
            "id"
        ],
        "signing_key": (await admin.get(f"{inside}/signing-keys"))["items"][-1]["id"],
        "setting": "oauth2.lifetime_seconds",
        "issuer": "checkmarx",
        "subscription": (await make(HOOKS, WISH | {"target": f"{HOST}/{mark}", "organisation": slug}))["id"],
        "code": (await make(f"{inside}/users/{user}/email-code", status=200))["code"],
    }


async def kept(admin, slug):
    """Read all that an organisation has."""
    inside = f"/organisations/{slug}"
    folders = [await admin.get(f"{inside}/{folder}", "limit=200") for folder in FOLDERS]
    deliveries = await admin.get("/notice-deliveries", f"organisation={slug}")
    return await admin.get(inside), folders, await admin.get(HOOKS, f"organisation={slug}"), deliveries


def body_of(route, theirs):
    """Fill every member of a body, with a name of somebody else's where one fits."""
    values = (
        theirs
        | WISH
        | {
            "owner": theirs["user"],
            "organisation": "globex",
            "parent": theirs["team"],
            "teams": [theirs["team"]],
            "scopes": ["clients:read"],
            "overlap_seconds": 60,
            "value": 600,
            "user_name": "nobody",
            "id": "new-1",
            "type": "party",
            "name": "x",
            "slug": "fresh",
            "password": "violet otters juggle lanterns",
        }
    )
    fields = [each for each in route.fields if each.source is Source.BODY]
    return {each.name: values[each.name] for each in fields if each.name in values}


def query_of(route, theirs):
    """Fill what a list must be asked with."""
    asked = {"api_tokens_list": f"owner={theirs['user']}", "users_by_email": "email=zeta@mail.example"}
    return asked.get(route.name, "")


async def test_nothing_of_another_is_reached(admin):
    """TN-02, AD-01: no operation reaches another organisation's things, whatever its path and body name."""
    mine, theirs = await furnish(admin, ACME, "eta"), await furnish(admin, GLOBEX, "zeta")
    globex = admin.here.organisations["globex"]
    outsider = Admin(admin.here, await token_for(admin.here, slug="acme"))
    before, reached = await kept(admin, "globex"), []
    for route in ADMIN.routes:
        slots = [each.name for each in route.fields if each.source is Source.PATH]
        choices = [
            ("acme", "globex", globex.id) if slot == "organisation" else (mine[slot], theirs[slot])
            for slot in slots
        ]
        for names in itertools.product(*choices):
            if not set(names) & ({"globex", globex.id, *theirs.values()} - {*mine.values()}):
                continue
            path = route.path.removeprefix(BASE)
            for slot, name in zip(slots, names, strict=True):
                path = path.replace("{" + slot + "}", name)
            body = None if route.method == "GET" else body_of(route, theirs)
            asked = {"query": query_of(route, theirs), "version": 0}
            answer = await outsider.call(route.method, path, body, **asked)
            # Who is not linked is taken away without a word, whoever it is.
            if answer.status < 400 and route.name != "entities_unlink":
                reached.append((route.method, path, answer.json))
    assert reached == []
    assert await kept(admin, "globex") == before


async def test_nothing_of_another_is_named(admin):
    """TN-02: no body or query of one's own organisation changes another's, and no answer shows any of it."""
    await furnish(admin, ACME, "eta")
    theirs = await furnish(admin, GLOBEX, "zeta")
    outsider = Admin(admin.here, await token_for(admin.here, slug="acme"))
    before, leaks = await kept(admin, "globex"), []
    for route in ADMIN.routes:
        path = route.path.removeprefix(BASE).replace("{organisation}", "acme")
        if "{" in path or route.name in {"setup", "organisations_delete"}:
            continue
        body = None if route.method == "GET" else body_of(route, theirs)
        answer = await outsider.call(route.method, path, body, query=query_of(route, theirs))
        told = answer.body.decode()
        # An id that was sent may be repeated; a name was not.
        leaks += [(path, told)] if "zeta" in told or theirs["client"] in told else []
    assert leaks == []
    assert await kept(admin, "globex") == before
    await refused(outsider, "GET", "/audit", 404, query="organisation=globex")


async def test_an_address_elsewhere_is_nobodys(admin):
    """TN-02: that somebody elsewhere has written an address down cannot be found out by taking them in."""
    await admin.make(f"{GLOBEX}/users", {"name": "zeta", "email": "zeta@mail.example"})
    outsider = Admin(admin.here, await token_for(admin.here, slug="acme"))
    there, missing = [
        await refused(outsider, "POST", f"{ACME}/members", 400, {"user": f"{name}@mail.example"})
        for name in ("zeta", "iota")
    ]
    assert there["detail"].replace("zeta", "iota") == missing["detail"]
    told = await refused(admin, "POST", f"{ACME}/members", 400, {"user": "zeta@mail.example"})
    assert "not proved" in told["detail"]


async def test_no_token_makes_a_longer_one(admin):
    """AD-02: what a token makes does not outlive it, said or not, so that an hour's token stays one."""
    soon = "2026-11-01T13:00:00.000Z"
    made = await admin.make("/admin-tokens", {"name": "x", "scopes": ["all"], "expires_at": soon})
    short, body = Admin(admin.here, made["token"]), {"name": "y", "scopes": ["all"]}
    assert (await short.make("/admin-tokens", body))["expires_at"] == soon
    for later in ("2026-11-01T13:00:01Z", "2030-01-01T00:00:00Z"):
        await refused(short, "POST", "/admin-tokens", 403, {**body, "expires_at": later})
    sooner = "2026-11-01T12:30:00.000Z"
    assert (await short.make("/admin-tokens", {**body, "expires_at": sooner}))["expires_at"] == sooner


@pytest.mark.parametrize("kind", ["of-clients", "of-users", "of-entities"])
async def test_what_is_found_by_id_needs_its_own_scope(admin, kind):
    """AD-01: a credential is found by whoever may read its kind, and of another kind it is not there."""
    mine = await furnish(admin, ACME, "eta")
    of = {"of-clients": mine["secret"], "of-users": mine["key"], "of-entities": mine["credential"]}
    scope = kind.removeprefix("of-") + ":read"
    reader = Admin(admin.here, await token_for(admin.here, scope, slug="acme"))
    for other, credential in of.items():
        await refused(reader, "GET", f"/credentials/{other}/{credential}", 403) if other != kind else None
        status = (await reader.call("GET", f"/credentials/{kind}/{credential}")).status
        assert status == (200 if other == kind else 404)


@pytest.mark.parametrize(
    "body",
    [
        b'{"name":"a","name":"b"}',
        b'{"name":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b'{"name":"\\ud800"}',
        b'{"name":"a","max_lifetime_seconds":' + b"9" * 5_000 + b"}",
        b'{"name":"a","max_lifetime_seconds":1.0}',
        b'\xef\xbb\xbf{"name":"a"}',
        '{"name":"a"}'.encode("utf-16"),
        b'{"name":"a"} {}',
        b'{"name":"a\\u0000"}',
        b'{"name":"a","__proto__":{"public":true}}',
        b'{"name":{"$ne":null}}',
    ],
)
async def test_odd_bodies(admin, body):
    """HT-02: JSON that two readers could read differently, or that is no JSON, makes nothing."""
    before = await admin.get(f"{ACME}/clients")
    await refused(admin, "POST", f"{ACME}/clients", 400, body)
    assert await admin.get(f"{ACME}/clients") == before


async def test_nobody_speaks_for_a_guest(admin):
    """TN-02: who takes in somebody at home elsewhere gets no token that says it is them, new or made anew."""
    guest = (await admin.make(f"{GLOBEX}/users", {"name": "zeta"}))["id"]
    outsider = Admin(admin.here, await token_for(admin.here, slug="acme"))
    await outsider.make(f"{ACME}/members", {"user": guest})
    wish = {"owner": guest, "name": "x"}
    await refused(outsider, "POST", f"{ACME}/api-tokens", 403, wish)
    made = await admin.make(f"{ACME}/api-tokens", wish)
    again = f"{ACME}/api-tokens/{made['id']}/regenerate"
    await refused(outsider, "POST", again, 403)
    await admin.make(again)
