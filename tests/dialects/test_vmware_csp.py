"""VMware Cloud Services: the contract of every dialect, and the exchange of API tokens line by line."""

import json
import re
from datetime import timedelta

import pytest

from dialects.client_contract import ClientContract
from dialects.contract import DialectContract
from dialects.csp import BASE, BODY, EXCHANGE, FORM, JSON, PREFIX, Caller, check, claims_of, key_set
from harness import ACTOR, basic, clear_texts, deployment
from keyturn.core.secret import parse_secret
from keyturn.core.vocabulary import Code, CredentialKind, Reason, UserId
from keyturn.dialects.vmware_csp import DIALECT
from keyturn.directory.clients import disable_client
from keyturn.directory.credentials import disable_credential, enable_credential, end_credential
from keyturn.directory.deletion import delete_organisation
from keyturn.directory.memberships import add_member, end_member
from keyturn.directory.users import disable_user, enable_user


class Shared:
    """What both ways in have in common: one issuer and key set for all organisations."""

    dialect = DIALECT

    def issuer(self, slug):
        """Give the ``iss`` of all tokens."""
        return "https://keys.example" + BASE

    async def keys(self, here, slug):
        """Fetch the key set of all tokens."""
        return (await here.ask("GET", BASE + "/auth/keys")).json

    def basic_of(self, members):
        """Give the HTTP Basic form of the client, whoever presents what else."""
        return basic(members["client_id"], members["client_secret"])


class TestApiTokens(Shared, DialectContract):
    """The contract of every dialect, for API tokens."""

    owner_fact = None
    secret_fact = "live.secret"
    wrong_code = Code.INVALID_GRANT
    unknown_reason = Reason.WRONG_SECRET
    actor = "user"
    without = ("authorize", "token")

    async def expected(self, here, slug):
        """Give what the claims of the demo's API token must be."""
        user = await here.local.deployment.user_by_email(f"csp-demo@{slug}.example")
        return {"sub": user.id, "aud": "vmware-csp"}


class TestClients(Shared, ClientContract):
    """The contract of every dialect, for client credentials."""

    without = ("api_tokens",)


@pytest.fixture
async def here():
    """Open a deployment of the house's dialects."""
    async with deployment() as opened:
        yield opened


@pytest.fixture
def caller(here):
    """Give somebody with the demo's credentials."""
    return Caller(here)


# --- the exchange ---


async def test_answer(here, caller):
    """The answer has the contract's members and JSON types, and the API token itself as refresh token."""
    answer = await caller.exchange()
    told = answer.json
    assert set(told) == {
        "access_token",
        "expires_in",
        "id_token",
        "refresh_token",
        "scope",
        "token_type",
    }
    assert type(told["expires_in"]) is int
    assert (told["expires_in"], told["token_type"]) == (1800, "bearer")
    assert told["scope"] == "ALL_PERMISSIONS openid"
    assert told["refresh_token"] == caller.api_token
    claims = claims_of(answer, await key_set(here))
    user = await caller.user()
    expected = {
        "iss": "https://keys.example" + BASE,
        "sub": user.id,
        "azp": "vmware-csp",
        "acct": "csp-demo@acme.example",
        "domain": "acme",
        "username": "csp-demo",
        "context_name": caller.shown["org_id"],
        "perms": ["csp:org_owner"],
    }
    assert {name: claims[name] for name in expected} == expected
    assert claims["iat"] <= here.clock.now().timestamp()


async def test_id_token(here, caller):
    """A token with openid brings a signed ID token with profile and domain; one without brings null."""
    await here.replace(await caller.user(), given_name="Dem", family_name="O")
    answer = await caller.exchange()
    claims = claims_of(answer, await key_set(here), "id_token")
    expected = {
        "aud": "vmware-csp",
        "domain": "acme",
        "username": "csp-demo",
        "email": "csp-demo@acme.example",
        "email_verified": True,
        "given_name": "Dem",
        "family_name": "O",
        "context_name": caller.shown["org_id"],
    }
    assert {name: claims[name] for name in expected} == expected
    assert (await caller.exchange(api_token=caller.shown["service_api_token"])).json["id_token"] is None
    _, plain = await caller.make(scopes=("ALL_PERMISSIONS",))
    answer = await caller.exchange(api_token=plain)
    assert (answer.json["id_token"], answer.json["scope"]) == (None, "ALL_PERMISSIONS")


async def test_refresh_token_is_the_next_api_token(here, caller):
    """What stands as refresh token is exchanged again and again, and earlier access tokens stay valid."""
    first = await caller.exchange()
    second = await caller.exchange(refresh_token=first.json["refresh_token"], grant_type="refresh_token")
    assert second.json["refresh_token"] == caller.api_token
    for answer in (first, second):
        assert (await caller.call("/userinfo", answer.json["access_token"])).status == 200


async def test_shape_of_an_api_token(caller):
    """An API token has exactly 65 characters, none of which needs escaping, and can be checked offline."""
    for token in (caller.api_token, caller.shown["service_api_token"], (await caller.make())[1]):
        assert re.fullmatch(r"kt_at_[0-9A-Za-z]{59}", token)
        assert len(token) == 65
        assert parse_secret(token) is CredentialKind.API_TOKEN


TOKEN, OTHER = "{token}", "not-the-same"
WAYS = [
    ({"api_token": TOKEN}, "", 200),
    ({"refresh_token": TOKEN}, "", 200),
    ({}, "refresh_token={token}", 200),
    ({"api_token": TOKEN, "refresh_token": TOKEN}, "refresh_token={token}", 200),
    ({"api_token": "", "refresh_token": TOKEN}, "", 200),
    ({"api_token": "", "refresh_token": ""}, "refresh_token={token}", 200),
    ({"refresh_token": TOKEN}, "refresh_token=", 200),
    ({"api_token": TOKEN, "grant_type": "telepathy"}, "", 200),
    ({"api_token": TOKEN, "allowed_resource_scope": "anything at all"}, "", 200),
    ({"api_token": TOKEN, "refresh_token": OTHER}, "", 400),
    ({"api_token": OTHER, "refresh_token": TOKEN}, "", 400),
    ({"api_token": TOKEN}, "refresh_token=" + OTHER, 400),
    ({"refresh_token": TOKEN}, "refresh_token=" + OTHER, 400),
    ({"refresh_token": OTHER}, "refresh_token={token}", 400),
    ({}, "api_token={token}", 400),
    ({"api_token": " {token} "}, "", 400),
    ({"api_token": ""}, "", 400),
    ({"grant_type": "refresh_token"}, "", 400),
]


@pytest.mark.parametrize(("fields", "query", "status"), WAYS)
async def test_ways_to_pass_the_token(here, caller, fields, query, status):
    """The token comes by any of three ways, an empty one counts as absent, and different ones are refused."""
    told = {name: text.replace("{token}", caller.api_token) for name, text in fields.items()}
    answer = await caller.exchange(
        query=query.replace("{token}", caller.api_token), **(told or {"api_token": None})
    )
    assert answer.status == status, answer
    if status == 400:
        assert answer.json["message"].startswith("invalid_")
        assert caller.api_token[-5:] not in answer.body.decode()


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ((), True, 200),
        ((("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8"),), True, 200),
        ((JSON,), False, 400),
        ((JSON,), True, 400),
        ((("Content-Type", "text/plain"),), True, 400),
    ],
)
async def test_content_types(here, caller, headers, body, status):
    """A form without a content type is read; JSON is 400, with the token in it as well as under its type."""
    text = f"api_token={caller.api_token}" if body else json.dumps({"api_token": caller.api_token})
    answer = await here.ask("POST", EXCHANGE, headers=headers, body=text.encode())
    assert answer.status == status, answer
    if status == 400:
        await check(here, answer, 400, "invalid_request")


async def test_query_form_with_any_content_type(caller):
    """The deprecated query form works with the content types that its callers send with an empty body."""
    for headers in ((), (JSON,), (FORM,), (("Content-Type", "text/plain"),)):
        answer = await caller.exchange(
            query="refresh_token=" + caller.api_token, headers=headers, api_token=None
        )
        assert answer.status == 200


async def test_deprecated_forms_are_marked(here, caller):
    """TE-01: deprecated forms are named in the audit trail, and nowhere is there the token they brought."""
    await caller.exchange(refresh_token=caller.api_token)
    await caller.exchange(query="refresh_token=" + caller.api_token, api_token=None)
    await caller.exchange()
    rows = await here.audit("token.issued")
    assert [row.details.get("deprecated") for row in rows] == ["refresh_token", "query:refresh_token", None]
    assert caller.api_token not in clear_texts(await here.audit())


async def test_deprecated_forms_can_be_switched_off(here, caller):
    """An organisation that switched deprecated forms off takes the current one only."""
    org = await here.organisation()
    await here.replace(org, settings={"vmware-csp": {"deprecated_forms": False}})
    assert (await caller.exchange()).status == 200
    answers = [
        await caller.exchange(refresh_token=caller.api_token),
        await caller.exchange(query="refresh_token=" + caller.api_token, api_token=None),
        await caller.as_client(query="grant_type=client_credentials"),
    ]
    places = ("refresh_token", "refresh_token in the query", "grant_type in the query")
    for answer, place in zip(answers, places, strict=True):
        await check(here, answer, 400, "invalid_request")
        assert answer.json["message"].endswith(f"no longer accepted: {place}")
    assert (await caller.as_client(grant_type="client_credentials")).status == 200


@pytest.mark.parametrize(
    ("scope", "status", "granted"),
    [
        ("openid", 200, "openid"),
        ("ALL_PERMISSIONS", 200, "ALL_PERMISSIONS"),
        ("", 200, "ALL_PERMISSIONS openid"),
        ("openid more", 400, None),
    ],
)
async def test_scope_narrows(here, caller, scope, status, granted):
    """``scope`` may narrow what the API token has, and asking for more is 400."""
    answer = await caller.exchange(api_token=caller.api_token, scope=scope)
    assert answer.status == status
    if status == 200:
        assert answer.json["scope"] == granted
        assert (answer.json["id_token"] is None) == ("openid" not in granted)
    else:
        await check(here, answer, 400, "invalid_scope")


async def test_scope_never_widens(here, caller):
    """A token made without openid gets none by asking for it."""
    _, plain = await caller.make(scopes=("ALL_PERMISSIONS",))
    await check(here, await caller.exchange(api_token=plain, scope="openid"), 400, "invalid_scope")


async def test_service_account(here, caller):
    """A service account's API token speaks for its client, by the name that the client has."""
    answer = await caller.exchange(api_token=caller.shown["service_api_token"])
    claims = claims_of(answer, await key_set(here))
    client = await here.client(caller.shown["client_id"])
    expected = {"sub": client.id, "azp": client.id, "username": client.name, "perms": [], "domain": "acme"}
    assert {name: claims[name] for name in expected} == expected
    told = (await caller.call("/userinfo", answer.json["access_token"])).json
    assert (told["sub"], told["username"]) == (client.id, client.name)
    await disable_client(ACTOR, caller.store, client.id, **caller.common)
    answer = await caller.exchange(api_token=caller.shown["service_api_token"])
    await check(here, answer, 400, "invalid_grant", PREFIX)


async def test_token_of_another_organisation(here, caller):
    """TN-03: an API token is good in the organisation it was made for, wherever its user is at home."""
    globex = Caller(here, "globex")
    user = await caller.user()
    await add_member(
        ACTOR,
        here.local.deployment,
        globex.shown["org_id"],
        user.id,
        role_names=("vmware-csp:csp:org_member",),
        roles=frozenset({"vmware-csp:csp:org_member"}),
        **caller.common,
    )
    _, there = await caller.make(user.id, globex.shown["org_id"])
    answer = await caller.exchange(api_token=there)
    claims = claims_of(answer, await key_set(here))
    assert (claims["context_name"], claims["domain"]) == (globex.shown["org_id"], "acme")
    assert claims["perms"] == ["csp:org_member"]
    token = answer.json["access_token"]
    assert (await caller.call(f"/orgs/{caller.shown['org_id']}", token)).status == 404
    assert (await caller.call(f"/orgs/{globex.shown['org_id']}", token)).status == 200
    await end_member(ACTOR, globex.store, user.id, **caller.common)
    await check(here, await caller.exchange(api_token=there), 400, "invalid_grant", PREFIX)
    assert (await caller.call("/userinfo", token)).status == 401
    assert (await caller.exchange()).status == 200


# --- what ends ---


async def test_dead_tokens(here, caller):
    """Unknown, revoked and expired tokens are one 400 whose message ends in their last five characters."""
    dead = (
        caller.shown["expired_api_token"],
        caller.shown["revoked_api_token"],
        "kt_at_" + "a" * 54 + "12345",
    )
    for token in dead:
        row = await check(
            here,
            await caller.exchange(api_token=token),
            400,
            "invalid_grant",
            f"{PREFIX}: xxxxx-{token[-5:]}",
        )
        assert row.kind == "token.refused"
        assert token not in clear_texts([row])
    wrong = await caller.exchange(api_token="short")
    await check(here, wrong, 400, "invalid_grant", PREFIX)


async def test_deactivated_token(here, caller):
    """A deactivated token is 400 without a character of it, since it may live again; its tokens are dead."""
    credential, token = await caller.make()
    access = await caller.token(api_token=token)
    await disable_credential(ACTOR, caller.store, credential.id, **caller.common)
    await check(here, await caller.exchange(api_token=token), 400, "invalid_grant", PREFIX)
    assert (await caller.call("/userinfo", access)).status == 401
    assert (await caller.details(token)).json["deactivated"] is True
    await enable_credential(ACTOR, caller.store, credential.id, **caller.common)
    assert (await caller.exchange(api_token=token)).status == 200
    assert (await caller.call("/userinfo", access)).status == 401


async def test_revoked_token(here, caller):
    """RV-02: revoking an API token ends its access tokens, and nobody else's."""
    credential, token = await caller.make()
    access, other = await caller.token(api_token=token), await caller.token()
    assert (await caller.introspect(token))["active"] is True
    await end_credential(ACTOR, caller.store, credential.id, "test", **caller.common)
    assert (await caller.call("/userinfo", access)).status == 401
    assert await caller.introspect(token) == {"active": False}
    assert (await caller.details(token)).status == 404
    assert (await caller.call("/userinfo", other)).status == 200


async def test_regenerated_token(here, caller):
    """Regenerating gives a new token of the same worth and ends the old one with its access tokens."""
    credential, old = await caller.make(scopes=("ALL_PERMISSIONS",), lifetime=timedelta(minutes=5))
    access = await caller.token(api_token=old)
    new = await caller.regenerate(credential)
    await check(here, await caller.exchange(api_token=old), 400, "invalid_grant")
    assert (await caller.call("/userinfo", access)).status == 401
    answer = await caller.exchange(api_token=new)
    assert (answer.status, answer.json["scope"]) == (200, "ALL_PERMISSIONS")
    assert len(new) == 65


async def test_lifetime_of_a_token(here, caller):
    """TK-09: a token of minutes ends at its instant, and one without end has no ``expiresAt`` anywhere."""
    _, brief = await caller.make(lifetime=timedelta(minutes=3))
    told = (await caller.details(brief)).json
    assert told["expiresAt"] - told["createdAt"] == 180
    seen = await caller.introspect(brief)
    assert seen["exp"] == told["expiresAt"]
    here.clock.advance(179)
    assert (await caller.exchange(api_token=brief)).status == 200
    here.clock.advance(1)
    await check(here, await caller.exchange(api_token=brief), 400, "invalid_grant")
    assert (await caller.details(brief)).status == 404
    assert await caller.introspect(brief) == {"active": False}
    assert "expiresAt" not in (await caller.details(caller.api_token)).json
    assert "exp" not in await caller.introspect(caller.api_token)


async def test_deactivated_user(here, caller):
    """RV-04: a deactivated user's API tokens are 400 and the access tokens dead; enabling revives none."""
    access, user = await caller.token(), await caller.user()
    await disable_user(ACTOR, caller.store, UserId(user.id), **caller.common)
    await check(here, await caller.exchange(), 400, "invalid_grant", PREFIX)
    assert (await caller.call("/userinfo", access)).status == 401
    assert (await caller.details(caller.api_token)).status == 404
    await enable_user(ACTOR, caller.store, UserId(user.id), **caller.common)
    assert (await caller.exchange()).status == 200
    assert (await caller.call("/userinfo", access)).status == 401


async def test_other_tokens_as_api_token(here, caller):
    """TK-08: an access token or an ID token is no API token, and not a character of it is repeated."""
    told = (await caller.exchange()).json
    for token in (told["access_token"], told["id_token"]):
        await check(here, await caller.exchange(api_token=token), 400, "invalid_grant", PREFIX)
    secret = caller.shown["client_secret"]
    await check(here, await caller.exchange(api_token=secret), 400, "invalid_grant", PREFIX)


async def test_deleted_organisation(here, caller):
    """An API token of an organisation that was deleted is 404, from the first unit of its deletion on."""
    org = await here.organisation()
    ended = await here.replace(org, ended_at=here.clock.now(), epoch=org.epoch + 1)
    gone = "not_found: the organisation was deleted"
    row = await check(here, await caller.exchange(), 404, "not_found", gone)
    assert row.reason == Reason.ORGANISATION_ENDED
    await here.replace(ended, ended_at=None)
    await delete_organisation(ACTOR, here.local.deployment, "acme", **caller.common)
    await check(here, await caller.exchange(), 404, "not_found", gone)
    assert (await Caller(here, "globex").exchange()).status == 200


class Meddler:
    """A recorder that lets something happen just before the first issuance is recorded."""

    def __init__(self, recorder, happens):
        """Stand before a working recorder."""
        self._recorder, self._happens = recorder, happens

    async def record(self, unit):
        """Record, once what happens has happened."""
        if self._happens is not None and unit.audit.kind == "token.issued":
            happens, self._happens = self._happens, None
            await happens()
        return await self._recorder.record(unit)


async def test_regenerated_meanwhile(here, caller):
    """A token that is regenerated while its exchange runs is 409, and nothing is issued."""
    credential, token = await caller.make()
    recorder = here.store.recorder._port
    here.store.recorder._port = Meddler(recorder, lambda: caller.regenerate(credential))
    answer = await caller.exchange(api_token=token)
    here.store.recorder._port = recorder
    await check(here, answer, 409, "conflict")
    assert await here.audit("token.issued") == []
    assert token[-5:] not in answer.body.decode()


async def test_fault(here, caller):
    """HT-08: a fault of ours is 500 with the whole body, and its words are nowhere in it."""
    here.store.registry.raises = RuntimeError("a table is gone")
    answer = await caller.exchange()
    assert answer.status == answer.json["statusCode"] == 500
    assert {name: type(value) for name, value in answer.json.items()} == BODY
    assert "table" not in answer.json["message"]
    here.store.registry.raises = None


# --- the second factor ---


async def test_passcode(caller):
    """A token that needs a passcode is exchanged with the code of its user's device."""
    answer = await caller.guarded(passcode=caller.passcode())
    assert answer.status == 200
    assert answer.json["refresh_token"] == caller.shown["mfa"]["api_token"]


async def test_passcode_missing_or_wrong(here, caller):
    """A missing passcode and a wrong one are 400 with two different codes and nothing of the token."""
    wrong = str((int(caller.passcode()) + 1) % 1_000_000).zfill(6)
    missing = await caller.guarded()
    await check(here, missing, 400, "passcode_required")
    await check(here, await caller.guarded(passcode=""), 400, "passcode_required")
    for code in (wrong, "12345", "abcdef", caller.passcode() + "0"):
        await check(here, await caller.guarded(passcode=code), 400, "invalid_passcode")
    assert caller.shown["mfa"]["api_token"][-5:] not in missing.json["message"]


async def test_passcode_is_accepted_once(here, caller):
    """PW-06: an accepted step ends itself and all before it; the next one is accepted."""
    earlier, code = caller.passcode(-1), caller.passcode()
    assert (await caller.guarded(passcode=code)).status == 200
    for used in (code, earlier):
        row = await check(here, await caller.guarded(passcode=used), 400, "invalid_passcode")
        assert row.reason == Reason.PASSCODE_REPLAYED
    here.clock.advance(30)
    assert (await caller.guarded(passcode=caller.passcode())).status == 200


async def test_passcode_nobody_needs(caller):
    """A passcode sent for a token without MFA is ignored, and no failure is counted."""
    for _ in range(12):
        assert (await caller.exchange(api_token=caller.api_token, passcode="000000")).status == 200


async def test_passcodes_are_locked_out(here, caller):
    """PW-05: wrong passcodes are counted, and then even the right one is 429 with Retry-After for a while."""
    answers = [await caller.guarded(passcode="wrong") for _ in range(6)]
    assert [answer.status for answer in answers[:5]] == [400] * 5
    locked = await caller.guarded(passcode=caller.passcode())
    row = await check(here, locked, 429, "too_many_requests")
    assert row.reason == Reason.LOCKED_OUT
    assert int(locked.header("retry-after")) >= 1
    assert (await caller.exchange()).status == 200
    here.clock.advance(int(locked.header("retry-after")))
    assert (await caller.guarded(passcode=caller.passcode())).status == 200
