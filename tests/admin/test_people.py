"""Users, memberships, teams, projects, API tokens and entities over the admin API."""

import base64
import json

import pytest

from admin.kit import BASE, Admin, token_for
from admin.test_access import refused
from harness import ACTOR
from keyturn.core import totp
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import UserId
from keyturn.directory.second_factor import confirm_totp, enrol_totp

ACME, GLOBEX = "/organisations/acme", "/organisations/globex"
WORD = "violet otters juggle lanterns"


def below(answer):
    """Give the path of what is new, below the base."""
    assert answer.status == 201, answer
    return answer.header("location").removeprefix(BASE)


@pytest.fixture
async def user(admin):
    """Make a user, and give the path."""
    body = {"name": "Ana", "email": "ana@mail.example", "email_verified": True}
    return below(await admin.call("POST", f"{ACME}/users", body))


async def log_in(admin, word=WORD):
    """Log the user in where a password does."""
    form = [("Content-Type", "application/x-www-form-urlencoded")]
    told = (
        f"username=ana&password={word.replace(' ', '+')}&acr_values=Tenant:acme&scope=sca_api"
        "&client_id=sca_resource_owner&grant_type=password"
    )
    answer = await admin.here.ask("POST", "/identity/connect/token", headers=form, body=told.encode())
    return answer.status, answer.json.get("access_token")


async def test_users(admin, user):
    """A user is made, found, changed by version, switched off and on, logged out and ended."""
    made = await admin.get(user)
    assert (made["name"], made["display_name"], made["version"]) == ("ana", "Ana", 0)
    assert made["email_verified_at"]
    listed = await admin.get(f"{ACME}/users", "email=ANA@mail.example")
    assert listed["items"] == [made]
    changed = await admin.call("PATCH", user, {"given_name": "A", "email": None}, version=0)
    assert (changed.json["given_name"], changed.json["email"], changed.json["email_verified_at"]) == (
        "A",
        None,
        None,
    )
    assert (await admin.call("PATCH", user, {"given_name": None}, version=1)).json["given_name"] == ""
    assert (await admin.make(f"{user}/disable", status=200))["disabled"]
    await admin.make(f"{user}/enable", status=200)
    await admin.make(f"{user}/logout", status=200)
    await refused(admin, "POST", f"{ACME}/users", 409, {"name": "ANA"})
    await refused(admin, "POST", f"{ACME}/users", 400, {"name": "b", "roles": ["nobody:knows"]})
    assert (await admin.call("DELETE", user)).status == 200
    await refused(admin, "PATCH", user, 409, {"given_name": "B"}, version=6)


@pytest.mark.parametrize("member", ["organisation_id", "email_verified_at", "password", "hash", "name"])
async def test_users_have_members_that_are_not_to_be_set(admin, user, member):
    """AD-02: home, proof, hash and name of a user are not changed by writing them down."""
    await refused(admin, "PATCH", user, 400, {member: "x"}, version=0)


async def test_passwords(admin, user):
    """A password is set and told nobody; a bad one is refused in words that hold nothing of it."""
    assert (await admin.call("PUT", f"{user}/password", {"password": WORD})).status == 200
    users = await admin.here.local.deployment.organisation_store(
        admin.here.organisations["acme"].id
    ).user_by_name("ana")
    assert users is not None
    path = f"{ACME}/members/{users.id}"
    await admin.call("PATCH", path, {"roles": ["checkmarx:sca_viewer"]}, version=0)
    status, token = await log_in(admin)
    assert (status, bool(token)) == (200, True)
    problem = await refused(admin, "PUT", f"{user}/password", 400, {"password": "hunter2"})
    assert "hunter2" not in str(problem)
    await refused(admin, "PUT", f"{user}/password", 400, {"password": ["x"]})
    for _ in range(30):
        if (await log_in(admin, "wrong"))[0] == 429:
            break
    assert (await log_in(admin))[0] == 429
    assert (await admin.call("POST", f"{ACME}/clear-lockout", {"user_name": "Ana"})).status == 200
    assert (await log_in(admin))[0] == 200


async def test_second_factor_is_reset(admin, user):
    """PW-07: a reset ends a user's device, which is listed without its seed."""
    here, user_id = admin.here, UserId(user.rpartition("/")[2])
    store = here.local.deployment.organisation_store(here.organisations["acme"].id)
    at = {"now": here.clock.now(), "dice": here.local.dice}
    made = await enrol_totp(ACTOR, store, user_id, "phone", issuer="x", sealer=here.local.sealer, **at)
    code = totp.passcode(totp.from_base32(made.seed), totp.step_at(at["now"]))
    sealed = {"sealer": here.local.sealer, "digester": here.local.digester}
    await confirm_totp(ACTOR, store, user_id, Secret(code), **sealed, **at)
    [device] = (await admin.get(f"{user}/totp"))["items"]
    assert (device["name"], device["state"]) == ("phone", "active")
    assert made.seed.reveal() not in str(device)
    assert (await admin.call("DELETE", f"{user}/totp")).status == 200
    [device] = (await admin.get(f"{user}/totp"))["items"]
    assert device["state"] == "ended"
    await refused(admin, "DELETE", f"{user}/totp", 409)


async def test_second_factor_is_enrolled(admin, user):
    """PW-06: a device waits until a code of it came; recovery codes are told once, or again by a key."""
    here = admin.here
    made = await admin.make(f"{user}/totp", {"name": "phone"}, status=200)
    [device] = (await admin.get(f"{user}/totp"))["items"]
    assert (device["id"], device["state"]) == (made["id"], "pending")
    await refused(admin, "POST", f"{user}/totp/confirm", 400, {"code": "000000"})
    code = totp.passcode(totp.from_base32(Secret(made["seed"])), totp.step_at(here.clock.now()))
    told = await admin.make(f"{user}/totp/confirm", {"code": code}, status=200, key="confirm")
    assert (told["state"], len(set(told["recovery_codes"]))) == ("active", 10)
    assert await admin.make(f"{user}/totp/confirm", {"code": code}, status=200, key="confirm") == told
    renewed = await admin.make(f"{user}/totp/recovery-codes", status=200)
    assert not set(renewed["recovery_codes"]) & set(told["recovery_codes"])
    page = await here.local.deployment.audit_page(limit=10_000)
    hidden = [made["seed"], *told["recovery_codes"], *renewed["recovery_codes"]]
    assert not any(each in repr((page.rows, page.personal)) for each in hidden)


async def test_an_address_is_proved(admin):
    """The code that proves an address is told to the administrator, and good once, where it is at home."""
    user = below(await admin.call("POST", f"{ACME}/users", {"name": "bo", "email": "bo@mail.example"}))
    code = (await admin.make(f"{user}/email-code", status=200))["code"]
    bound = Admin(admin.here, await token_for(admin.here, slug="globex"))
    await refused(bound, "POST", "/confirm-email", 404, {"code": code})
    assert (await admin.make("/confirm-email", {"code": code}, status=200))["email_verified_at"]
    await refused(admin, "POST", "/confirm-email", 409, {"code": code})
    other = below(await admin.call("POST", f"{ACME}/users", {"name": "cy"}))
    await refused(admin, "POST", f"{other}/email-code", 409)


async def test_user_keys(admin):
    """AD-04: a service user's key is told once, rotated, switched off and ended."""
    user = below(await admin.call("POST", f"{ACME}/users", {"name": "robot", "service": True}))
    made = await admin.make(f"{user}/keys", {"name": "ci", "dialects": ["mend"]})
    assert made["secret"].startswith("kt_uk_")
    new = await admin.make(f"{user}/keys/{made['id']}/rotate", {"overlap_seconds": 60})
    assert new["succeeds"] == made["id"]
    assert {each["state"] for each in (await admin.get(f"{user}/keys"))["items"]} == {
        "overlapping",
        "active",
    }
    assert (await admin.make(f"{user}/keys/{new['id']}/disable", status=200))["standing"] == "disabled"
    await admin.make(f"{user}/keys/{new['id']}/enable", status=200)
    assert (await admin.call("DELETE", f"{user}/keys/{new['id']}")).status == 200
    assert new["secret"] not in str(await admin.get(f"{user}/keys/{new['id']}"))
    await refused(admin, "POST", f"{user}/keys", 400, {"dialects": ["oauth2"]})


async def test_memberships(admin, user):
    """A user of one home is taken into another organisation, given roles and teams, and let go."""
    user_id = user.rpartition("/")[2]
    body = {"user": "ana@mail.example", "roles": ["checkmarx:sca_viewer"]}
    made = await admin.make(f"{GLOBEX}/members", body)
    path = f"{GLOBEX}/members/{user_id}"
    assert (made["user_id"], made["roles"]) == (user_id, ["checkmarx:sca_viewer"])
    await refused(admin, "POST", f"{GLOBEX}/members", 409, body)
    changed = await admin.call("PATCH", path, {"roles": []}, version=0)
    assert changed.json["roles"] == []
    await refused(admin, "PATCH", path, 412, {"roles": []}, version=0)
    listed = await admin.get(f"{GLOBEX}/members", f"user_id={user_id}")
    assert [each["id"] for each in listed["items"]] == [made["id"]]
    assert (await admin.make(f"{path}/disable", status=200))["disabled"]
    assert (await admin.call("DELETE", path)).status == 200
    await refused(admin, "DELETE", f"{ACME}/members/{user_id}", 409)
    assert {"checkmarx:sca_viewer"} <= {
        each["name"] for each in (await admin.get(f"{ACME}/roles", "limit=200"))["items"]
    }


async def test_a_home_is_for_its_own(admin, user):
    """TN-02: of a member who is at home elsewhere an organisation's token sees the membership alone."""
    user_id = user.rpartition("/")[2]
    await admin.make(f"{GLOBEX}/members", {"user": user_id})
    bound = Admin(admin.here, await token_for(admin.here, slug="globex"))
    assert (await bound.get(f"{GLOBEX}/members/{user_id}"))["user_id"] == user_id
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/disable"), ("POST", "/logout")):
        await refused(bound, method, f"{GLOBEX}/users/{user_id}{path}", 404)
    await refused(bound, "PUT", f"{GLOBEX}/users/{user_id}/password", 404, {"password": WORD})


async def test_api_tokens(admin, user):
    """AD-04: an API token is told once, made anew, switched off and ended, by its own organisation only."""
    user_id = user.rpartition("/")[2]
    body = {"owner": user_id, "name": "nightly", "lifetime_seconds": 3600}
    made = await admin.make(f"{ACME}/api-tokens", body)
    assert len(made["secret"]) == 65
    path = f"{ACME}/api-tokens/{made['id']}"
    listed = await admin.get(f"{ACME}/api-tokens", f"owner={user_id}")
    assert [each["id"] for each in listed["items"]] == [made["id"]]
    again = await admin.make(f"{path}/regenerate")
    assert (again["succeeds"], (await admin.get(path))["state"]) == (made["id"], "ended")
    await refused(admin, "GET", f"{GLOBEX}/api-tokens/{again['id']}", 404)
    new = f"{ACME}/api-tokens/{again['id']}"
    assert (await admin.make(f"{new}/disable", status=200))["disabled"]
    await admin.make(f"{new}/enable", status=200)
    assert (await admin.call("DELETE", new)).status == 200
    await refused(admin, "POST", f"{new}/regenerate", 409)
    await refused(admin, "GET", f"{ACME}/api-tokens", 400)
    client = (await admin.make(f"{ACME}/clients", {"name": "a"}))["id"]
    secret = await admin.make(f"{ACME}/clients/{client}/secrets")
    await refused(admin, "DELETE", f"{ACME}/api-tokens/{secret['id']}", 404)


async def test_clients_tokens_need_the_scope_of_clients(admin):
    """AD-02: who may only look after users gets no token that is a client, and does nothing to one."""
    client = (await admin.make(f"{ACME}/clients", {"name": "a"}))["id"]
    wish = {"owner": client, "name": "nightly"}
    made = await admin.make(f"{ACME}/api-tokens", wish)
    one = f"{ACME}/api-tokens/{made['id']}"
    narrow = Admin(admin.here, await token_for(admin.here, "users:write", slug="acme"))
    for method, path, body in (
        ("POST", f"{ACME}/api-tokens", wish),
        ("POST", f"{one}/regenerate", None),
        ("POST", f"{one}/disable", None),
        ("DELETE", one, None),
    ):
        assert "clients:write" in (await refused(narrow, method, path, 403, body))["detail"]
    for path in (one, f"/credentials/of-users/{made['id']}"):
        assert "clients:read" in (await refused(narrow, "GET", path, 403))["detail"]
    listed = await narrow.call("GET", f"{ACME}/api-tokens", query=f"owner={client}")
    assert listed.status == 403
    wide = Admin(admin.here, await token_for(admin.here, "users:write", "clients:write", slug="acme"))
    assert (await wide.make(f"{one}/regenerate"))["succeeds"] == made["id"]


async def test_teams_and_projects(admin):
    """Teams form a tree and projects are theirs; both are renamed by version and end."""
    root = await admin.make(f"{ACME}/teams", {"name": "Root"})
    leaf = await admin.make(f"{ACME}/teams", {"name": "Leaf", "parent": "/Root"})
    assert leaf["path"] == "/Root/Leaf"
    path = f"{ACME}/teams/{leaf['id']}"
    await refused(admin, "POST", f"{ACME}/teams", 409, {"name": "leaf", "parent": root["id"]})
    await refused(admin, "DELETE", f"{ACME}/teams/{root['id']}", 409)
    moved = await admin.call("PATCH", path, {"parent": None}, version=0)
    assert moved.json["path"] == "/Leaf"
    await refused(admin, "PATCH", path, 412, {"name": "x"}, version=0)
    await refused(admin, "PATCH", path, 400, {"name": "x", "parent": None}, version=1)
    project = await admin.make(f"{ACME}/projects", {"name": "pay", "teams": ["/Leaf"]})
    assert (project["teams"], project["open"]) == ([leaf["id"]], False)
    there = f"{ACME}/projects/{project['id']}"
    assert (await admin.call("PATCH", there, {"open": True}, version=0)).json["open"]
    await refused(admin, "PATCH", there, 412, {"open": False}, version=0)
    await refused(admin, "POST", f"{ACME}/projects", 409, {"name": "pay"})
    assert (await admin.call("DELETE", there)).status == 200
    await refused(admin, "GET", there, 404)
    assert (await admin.call("DELETE", path)).status == 200
    await refused(admin, "GET", path, 404)


async def test_entities(admin, user):
    """An entity's secret is reset, read again with a row in the trail, and ended; users are linked to it."""
    made = await admin.make(f"{ACME}/entities", {"id": "SHOP-1", "type": "party"})
    assert (made["name"], made["users"]) == ("SHOP-1", [])
    path, user_id = f"{ACME}/entities/SHOP-1", user.rpartition("/")[2]
    assert (await admin.call("PUT", f"{path}/users/{user_id}")).json["users"] == [user_id]
    assert (await admin.call("DELETE", f"{path}/users/{user_id}")).json["users"] == []
    secret = await admin.make(f"{path}/reset-secret", {"days": 90}, key="reset")
    assert await admin.make(f"{path}/reset-secret", {"days": 90}, key="reset") == secret
    assert (await admin.make(f"{path}/read-secret", status=200))["secret"] == secret["secret"]
    assert len(await admin.here.audit("credential.read")) == 1
    [listed] = (await admin.get(f"{path}/secrets"))["items"]
    assert (listed["id"], "secret" in listed) == (secret["id"], False)
    assert (await admin.call("DELETE", f"{path}/secrets/{secret['id']}")).status == 200
    await refused(admin, "POST", f"{path}/read-secret", 404)
    assert (await admin.make(f"{path}/disable", status=200))["disabled"]
    await admin.make(f"{path}/enable", status=200)
    assert (await admin.call("DELETE", path)).status == 200
    await refused(admin, "POST", f"{GLOBEX}/entities", 409, {"id": "SHOP-1", "type": "party"})
    await refused(admin, "GET", f"{GLOBEX}/entities/SHOP-1", 404)


async def test_a_token_says_the_role_of_now(admin, user):
    """What an administrator changes counts at the next call: roles of a member, and the end of a user."""
    assert (await admin.call("PUT", f"{user}/password", {"password": WORD})).status == 200
    member = f"{ACME}/members/{user.rpartition('/')[2]}"
    _, token = await log_in(admin)
    bearer = [("Authorization", f"Bearer {token}")]
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["tenant_name"] == "acme"
    assert (await admin.here.ask("GET", "/risk-management/projects", headers=bearer)).status == 403
    await admin.call("PATCH", member, {"roles": ["checkmarx:sca_viewer"]}, version=0)
    assert (await admin.here.ask("GET", "/risk-management/projects", headers=bearer)).status == 200
    await admin.call("DELETE", user)
    assert (await admin.here.ask("GET", "/risk-management/projects", headers=bearer)).status == 401
