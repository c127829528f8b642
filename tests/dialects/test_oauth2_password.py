"""Passwords at the standard token endpoint: by leave of the organisation only (RFC 6749 section 4.3)."""

from urllib.parse import urlencode

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from harness import ACTOR, basic, clear_texts, deployment
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import Reason
from keyturn.directory.passwords import set_password
from keyturn.directory.users import change_user, disable_user
from keyturn.keys.passwords import ArgonPasswords

PATH = "/o/acme/oauth2/token"
METADATA = "/o/acme/.well-known/oauth-authorization-server"
FORM = ("Content-Type", "application/x-www-form-urlencoded")


@pytest.fixture
async def here():
    """Open a deployment of the house's dialects; its organisations allow passwords, as the demo's do."""
    async with deployment() as opened:
        yield opened


def members(here, slug="acme"):
    """Give the demo entry of an organisation."""
    return here.members[slug]["oauth2"]


async def post(here, path=PATH, headers=(), **changes):
    """Ask as the demo's public client for its user; a change of None leaves a field out."""
    demo = members(here)
    fields = {
        "grant_type": "password",
        "client_id": demo["public_client_id"],
        "username": demo["username"],
        "password": demo["password"],
    } | changes
    body = urlencode({name: value for name, value in fields.items() if value is not None}).encode()
    return await here.ask("POST", path, headers=[FORM, *headers], body=body)


async def introspect(here, token, slug="acme"):
    """Ask about a token, as the demo's confidential client."""
    demo = members(here, slug)
    claimed = ("Authorization", basic(demo["client_id"], demo["client_secret"]))
    path = f"/o/{slug}/oauth2/introspect"
    answer = await here.ask("POST", path, headers=[FORM, claimed], body=urlencode({"token": token}).encode())
    assert answer.status == 200
    return answer.json


async def forbid(here):
    """Take the organisation back to the default."""
    await here.replace(await here.organisation(), settings={})


async def user_of(here):
    """Read the demo's user, and the rows they are in."""
    store = here.local.deployment.organisation_store(here.organisations["acme"].id)
    return store, await store.user_by_name("oauth2-user")


def check(answer, status, error):
    """Check an error of RFC 6749 section 5.2."""
    assert (answer.status, answer.json["error"]) == (status, error), answer


async def test_token(here):
    """A password gives a token whose subject is the user and whose client is who asked."""
    answer = await post(here)
    assert list(answer.json) == ["access_token", "token_type", "expires_in", "scope"]
    claims = jwt.decode(answer.json["access_token"], KeySet.import_key_set(await here.jwks())).claims
    _, user = await user_of(here)
    assert (claims["sub"], claims["client_id"]) == (user.id, members(here)["public_client_id"])
    assert (claims["aud"], claims["scope"]) == ("urn:keyturn:acme:api", "read write")


async def test_introspection(here):
    """Introspection names the user by id and user name, whatever is shown, to nobody elsewhere (RFC 7662)."""
    token = (await post(here, scope="read")).json["access_token"]
    store, user = await user_of(here)
    shown = {"display_name": "root"}
    await change_user(ACTOR, store, user.id, shown, now=here.clock.now(), dice=here.local.dice)
    said = await introspect(here, token)
    assert (said["active"], said["username"], said["sub"]) == (True, "oauth2-user", user.id)
    assert (said["client_id"], said["scope"]) == (members(here)["public_client_id"], "read")
    assert await introspect(here, token, "globex") == {"active": False}


async def test_off_by_default(here):
    """TE-07: without leave a right password is worth a wrong one, and metadata does not name the grant."""
    assert "password" in (await here.ask("GET", METADATA)).json["grant_types_supported"]
    await forbid(here)
    told = (await here.ask("GET", METADATA)).json["grant_types_supported"]
    assert told == ["client_credentials", "refresh_token"]
    right, wrong = await post(here), await post(here, password="wrong")
    check(right, 400, "unauthorized_client")
    assert right.body == wrong.body
    assert {row.reason for row in await here.audit("token.refused")} == {Reason.GRANT_NOT_ALLOWED}


async def test_leave_is_taken_back(here):
    """TE-07: an organisation that takes its leave back gives no new token for a password."""
    assert (await post(here)).status == 200
    await forbid(here)
    check(await post(here), 400, "unauthorized_client")


async def test_client_without_the_grant(here):
    """TE-07: a client needs the grant too."""
    demo = members(here)
    claimed = ("Authorization", basic(demo["client_id"], demo["client_secret"]))
    check(await post(here, headers=[claimed], client_id=None), 400, "unauthorized_client")


async def test_confidential_client(here):
    """A confidential client proves itself first: a right password does not replace its secret."""
    client, secret = await here.add_client(grants=("password",), scopes=("read",))
    claimed = ("Authorization", basic(client.id, secret))
    assert (await post(here, headers=[claimed], client_id=None)).status == 200
    assert (await post(here, client_id=client.id, client_secret=secret)).status == 200
    for fields in (
        {"client_id": client.id},
        {"client_id": client.id, "client_secret": "wrong"},
        {"client_id": None},
    ):
        check(await post(here, **fields), 401, "invalid_client")


async def test_marked_legacy(here):
    """The use of a password is marked in the trail, where no password is."""
    await post(here)
    await post(here, password="hunter2-hunter2")
    (row,) = await here.audit("token.issued")
    assert (row.details["deprecated"], row.details["grant"]) == ("password", "password")
    _, user = await user_of(here)
    assert row.actor == f"user:{user.id}"
    shown = clear_texts(await here.audit())
    assert "hunter2" not in shown
    assert members(here)["password"] not in shown


async def test_wrong(here):
    """PW-04: an unknown user, a wrong password, a disabled user and another organisation's are one answer."""
    store, user = await user_of(here)
    common = {"now": here.clock.now(), "dice": here.local.dice}
    await set_password(
        ACTOR,
        store,
        user.id,
        Secret("an entirely other password"),
        dialects=("oauth2",),
        passwords=ArgonPasswords(here.local.dice, memory_kib=8, passes=1),
        **common,
    )
    seen = [
        await post(here, password="wrong"),
        await post(here),
        await post(here, username="nobody"),
        await post(here, username="DemoUser", password=here.members["acme"]["checkmarx"]["password"]),
    ]
    await disable_user(ACTOR, store, user.id, **common)
    seen.append(await post(here, password="an entirely other password"))
    for answer in seen:
        check(answer, 400, "invalid_grant")
    assert len({answer.seen() for answer in seen}) == 1
    reasons = [row.reason for row in await here.audit("token.refused")]
    assert reasons[-2:] == [Reason.WRONG_DIALECT, Reason.USER_DISABLED]


async def test_another_organisations_path(here):
    """TN-01: a path of another organisation than the client's is answered like an unknown client."""
    check(await post(here, "/o/globex/oauth2/token"), 401, "invalid_client")


@pytest.mark.parametrize("name", ["username", "password"])
async def test_missing(here, name):
    """A missing user name or password is invalid_request, and one in the query is refused (TE-01)."""
    check(await post(here, **{name: None}), 400, "invalid_request")
    answer = await here.ask(
        "POST", PATH, query=f"{name}=x".encode(), headers=[FORM], body=b"grant_type=password"
    )
    check(answer, 400, "invalid_request")
    assert (await here.audit())[-1].reason == Reason.CREDENTIAL_IN_QUERY


@pytest.mark.parametrize("asked", ["admin", "read admin", "READ"])
async def test_scope(here, asked):
    """TE-07: a user's token has no scope that the client may not have."""
    check(await post(here, scope=asked), 400, "invalid_scope")


async def test_refresh(here):
    """RV-04: with offline_access a refresh token comes, good until the user's password changes."""
    first = await post(here, scope="read offline_access")
    renewal = {"grant_type": "refresh_token", "username": None, "password": None}
    second = await post(here, **renewal, refresh_token=first.json["refresh_token"])
    _, user = await user_of(here)
    said = await introspect(here, second.json["access_token"])
    assert (said["sub"], said["scope"]) == (user.id, "read offline_access")
    store, user = await user_of(here)
    common = {"now": here.clock.now(), "dice": here.local.dice}
    await set_password(
        ACTOR,
        store,
        user.id,
        Secret("an entirely other password"),
        dialects=("oauth2",),
        passwords=ArgonPasswords(here.local.dice, memory_kib=8, passes=1),
        **common,
    )
    check(await post(here, **renewal, refresh_token=second.json["refresh_token"]), 400, "invalid_grant")
    for answer in (first, second):
        assert await introspect(here, answer.json["access_token"]) == {"active": False}


async def test_lockout_is_shared(here):
    """PW-05: failures are counted over all formats, so a guesser cannot go on at another one."""
    for _ in range(100):
        if (await post(here, password="wrong")).status == 429:
            break
    assert (await post(here)).status == 429
    body = urlencode(
        {
            "username": members(here)["username"],
            "password": "wrong",
            "acr_values": "Tenant:acme",
            "scope": "sca_api",
            "client_id": "sca_resource_owner",
            "grant_type": "password",
        }
    ).encode()
    assert (await here.ask("POST", "/identity/connect/token", headers=[FORM], body=body)).status == 429
