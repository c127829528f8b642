"""VMware Cloud Services: client credentials, and what callers ask beside a token, line by line."""

import re
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc import jwt
from joserfc.jwk import RSAKey

from dialects.csp import BASE, EXCHANGE, FORM, JSON, Caller, check, claims_of, key_set
from harness import ACTOR, basic, deployment
from keyturn.core.actors import operator
from keyturn.core.identifiers import uuid7
from keyturn.core.vocabulary import Algorithm
from keyturn.directory.users import change_user


@pytest.fixture
async def here():
    """Open a deployment of the house's dialects."""
    async with deployment() as opened:
        yield opened


@pytest.fixture
def caller(here):
    """Give somebody with the demo's credentials."""
    return Caller(here)


# --- client credentials ---


PATHS = [(f"/auth/{path}", name) for path in ("authorize", "token") for name in ("orgId", "org_id")]


@pytest.mark.parametrize(("path", "name"), PATHS)
async def test_client_credentials(here, caller, path, name):
    """A client gets a token of its own organisation, which it may name, by UUID or API key."""
    api_key = (await here.organisation()).api_key
    for named in ({}, {name: caller.shown["org_id"]}, {name: api_key}):
        answer = await caller.as_client(path, grant_type="client_credentials", **named)
        assert set(answer.json) == {"access_token", "expires_in", "scope", "token_type"}
        claims = claims_of(answer, await key_set(here))
        assert claims["context_name"] == caller.shown["org_id"]
        assert claims["sub"] == claims["azp"] == caller.shown["client_id"]
        assert type(answer.json["expires_in"]) is int


@pytest.mark.parametrize(("path", "name"), PATHS)
async def test_client_of_another_organisation(here, caller, path, name):
    """TN-02: an organisation the client has no right to is 403, the same as one that does not exist."""
    globex = here.members["globex"]["vmware-csp"]["org_id"]
    answers = [
        await caller.as_client(path, grant_type="client_credentials", **{name: org})
        for org in (globex, "0b0c1f7d-58a6-4f43-9d1c-2f6c0a4e7d11", "nowhere")
    ]
    for answer in answers:
        await check(here, answer, 403, "access_denied")
    messages = {answer.json["message"] for answer in answers}
    assert len(messages) == 1


async def test_client_credentials_in_the_query(here, caller):
    """On ``authorize`` the fields may come in the query with an empty body, marked; on ``token`` not."""
    query = f"grant_type=client_credentials&orgId={caller.shown['org_id']}"
    for headers in ((), (JSON,), (FORM,)):
        assert (await caller.as_client(query=query, headers=headers)).status == 200
    row = (await here.audit("token.issued"))[-1]
    assert row.details["deprecated"] == "query:grant_type query:orgId"
    await check(here, await caller.as_client("/auth/token", query=query), 400, "invalid_request")
    secret = f"{query}&client_id={caller.shown['client_id']}&client_secret={caller.shown['client_secret']}"
    await check(here, await caller.as_client(query=secret, login=""), 400, "invalid_request")


@pytest.mark.parametrize("path", ["/auth/authorize", "/auth/token"])
async def test_body_after_basic_has_failed(here, caller, path):
    """A caller that tries HTTP Basic first and the body next gets 401, then its token."""
    odd = basic(caller.shown["client_id"], "not-" + caller.shown["client_secret"])
    failed = await caller.as_client(path, login=odd, grant_type="client_credentials")
    await check(here, failed, 401, "invalid_client")
    assert failed.header("www-authenticate").startswith("Basic ")
    own = {name: caller.shown[name] for name in ("client_id", "client_secret")}
    assert (await caller.as_client(path, login="", grant_type="client_credentials", **own)).status == 200


@pytest.mark.parametrize("path", ["/auth/authorize", "/auth/token"])
async def test_header_wins(here, caller, path):
    """TE-04: client members in the body are ignored where HTTP Basic is sent."""
    other = {"client_id": "someone-else", "client_secret": "wrong"}
    assert (await caller.as_client(path, grant_type="client_credentials", **other)).status == 200


@pytest.mark.parametrize("secret", ["a:b:c", "ünïcode", "per%cent+plus", ":"])
async def test_odd_client_secrets(here, caller, secret):
    """A colon, other letters and escapes in a client secret arrive as they are, by HTTP Basic."""
    await here.import_secret(caller.shown["client_id"], secret)
    login = basic(caller.shown["client_id"], secret)
    assert (await caller.as_client(login=login, grant_type="client_credentials")).status == 200


@pytest.mark.parametrize("path", ["/auth/authorize", "/auth/token"])
async def test_client_refusals(here, caller, path):
    """A bad client is 401, an unknown grant or none 400, a public client's empty secret 401."""
    good = {"grant_type": "client_credentials"}
    for login in ("", basic("nobody", "x"), basic(caller.shown["client_id"], ""), "Bearer x"):
        await check(here, await caller.as_client(path, login=login, **good), 401, "invalid_client")
    for fields in ({"grant_type": "authorization_code"}, {"grant_type": "refresh_token"}):
        await check(here, await caller.as_client(path, **fields), 400, "unsupported_grant_type")
    await check(here, await caller.as_client(path), 400, "invalid_request")


# --- around it ---


async def test_details(here, caller):
    """Details of an API token are told to its holder: times in whole seconds, scopes, roles, last use."""
    credential, token = await caller.make(scopes=("ALL_PERMISSIONS",), lifetime=timedelta(days=1))
    before = (await caller.details(token)).json
    user, org = await caller.user(), await here.organisation()
    made = int(here.clock.now().timestamp())
    assert before == {
        "tokenId": credential.id,
        "tokenName": "made",
        "orgId": org.id,
        "userId": user.id,
        "username": "csp-demo",
        "acct": "csp-demo@acme.example",
        "domain": "acme",
        "idpId": org.id,
        "scope": "ALL_PERMISSIONS",
        "allowedScopes": {
            "generalScopes": ["ALL_PERMISSIONS"],
            "organizationScopes": {"roles": [{"name": "csp:org_owner"}]},
            "servicesScopes": [],
        },
        "createdAt": made,
        "expiresAt": made + 86_400,
        "deactivated": False,
    }
    await caller.exchange(api_token=token)
    after = (await caller.details(token)).json
    assert after.pop("lastUsedAt") == made - made % 86_400
    assert after == before


async def test_details_of_a_token_without_a_choice(caller):
    """A token made for all its owner may do has every scope; a service account's names its client."""
    _, token = await caller.make()
    told = (await caller.details(token)).json
    assert told["scope"] == "ALL_PERMISSIONS openid"
    assert told["allowedScopes"]["generalScopes"] == ["ALL_PERMISSIONS", "openid"]
    told = (await caller.details(caller.shown["service_api_token"])).json
    assert (told["userId"], told["domain"]) == (caller.shown["client_id"], "acme")


async def test_details_of_what_is_no_token(here, caller):
    """Details of anything that is no living API token are 404, whatever it is."""
    access = await caller.token()
    for text in ("x", access, caller.shown["client_secret"], caller.shown["expired_api_token"], "a" * 65):
        await check(here, await caller.details(text), 404, "not_found")
    body = b'{"tokenValue": 7}'
    answer = await here.ask("POST", BASE + "/auth/api-tokens/details", headers=[JSON], body=body)
    await check(here, answer, 400, "invalid_request")


async def test_introspection(here, caller):
    """IN-01: introspection knows API tokens of the client's organisation, and is inactive for all else."""
    told = await caller.introspect(caller.api_token)
    user = await caller.user()
    assert told == {
        "active": True,
        "iat": int(here.clock.now().timestamp()),
        "orgId": caller.shown["org_id"],
        "sub": user.id,
        "token_type": "refresh_token",
    }
    theirs = here.members["globex"]["vmware-csp"]["api_token"]
    for text in (await caller.token(), theirs, "x", caller.shown["revoked_api_token"]):
        assert await caller.introspect(text) == {"active": False}
    client, secret = await here.add_client(dialects=("vmware-csp",))
    login = basic(client.id, secret)
    answer = await caller.as_client("/auth/introspect", login=login, token=caller.api_token)
    await check(here, answer, 403, "unauthorized_client")
    answer = await caller.as_client("/auth/introspect", login="", token=caller.api_token)
    await check(here, answer, 401, "invalid_client")


CALLS = ["/userinfo", "/loggedin/user", "/loggedin/user/orgs/{org_id}/info", "/orgs/{org_id}"]


@pytest.mark.parametrize("path", CALLS)
async def test_calls_take_access_tokens(here, caller, path):
    """Every call takes an access token as bearer or in a header of its own, and without one it is 401."""
    token, other = await caller.token(), await caller.token()
    path = path.format(org_id=caller.shown["org_id"])
    for header, prefix in (
        ("Authorization", "Bearer "),
        ("Authorization", "bearer "),
        ("csp-auth-token", ""),
        ("CSP-Auth-Token", ""),
    ):
        assert (await caller.call(path, token, header, prefix)).status == 200
    both = [("Authorization", "Bearer " + token), ("csp-auth-token", token)]
    assert (await here.ask("GET", BASE + path, headers=both)).status == 200
    both[1] = ("csp-auth-token", other)
    assert (await here.ask("GET", BASE + path, headers=both)).status == 400
    for bad in (None, "", "x", caller.api_token, token[:-2], (await caller.exchange()).json["id_token"]):
        await check(here, await caller.call(path, bad), 401, "invalid_token")


async def test_expired_access_token(caller):
    """TK-09: an access token ends after its 30 minutes."""
    token = await caller.token()
    caller.here.clock.advance(1_799)
    assert (await caller.call("/userinfo", token)).status == 200
    caller.here.clock.advance(1)
    assert (await caller.call("/userinfo", token)).status == 401


async def test_tokens_of_other_dialects(here, caller):
    """TK-08: another dialect's access token is none here."""
    shown = here.members["acme"]["oauth2"]
    login = basic(shown["client_id"], shown["client_secret"])
    answer = await here.ask(
        "POST",
        "/o/acme/oauth2/token",
        headers=[("Authorization", login), FORM],
        body=b"grant_type=client_credentials",
    )
    assert (await caller.call("/userinfo", answer.json["access_token"])).status == 401


async def test_who_the_user_is(here, caller):
    """The user's record is told with the organisation's roles where the organisation is named."""
    token, org = await caller.token(), caller.shown["org_id"]
    user = await caller.user()
    plain = (await caller.call("/loggedin/user", token)).json
    assert plain == {
        "userId": user.id,
        "username": "csp-demo",
        "acct": "csp-demo@acme.example",
        "domain": "acme",
        "idpId": org,
        "firstName": "",
        "lastName": "",
        "email": "csp-demo@acme.example",
    }
    told = (await caller.call(f"/loggedin/user/orgs/{org}/info", token)).json
    assert told == plain | {"orgId": org, "organizationRoles": [{"name": "csp:org_owner"}]}


async def test_who_a_service_account_is(caller):
    """A service account goes by its client's id and name; what only a person has is there, and null."""
    answer = await caller.exchange(api_token=caller.shown["service_api_token"])
    token, org = answer.json["access_token"], caller.shown["org_id"]
    plain = (await caller.call("/loggedin/user", token)).json
    assert plain.pop("userId")
    assert plain.pop("username")
    person = {"firstName": None, "lastName": None, "email": None}
    assert plain == {"domain": "acme", "idpId": org, **person}
    told = (await caller.call(f"/loggedin/user/orgs/{org}/info", token)).json
    assert {name: told[name] for name in person} == person


async def test_names_are_not_shown_names(here, caller):
    """A user goes by user name and account, not by the name that is shown, which may be another's."""
    user = await caller.user()
    shown = {"display_name": "root@globex.example", "email": None}
    await change_user(ACTOR, caller.store, user.id, shown, **caller.common)
    answer = await caller.exchange()
    names = {"username": "csp-demo", "acct": "csp-demo@acme"}
    token = answer.json["access_token"]
    told = [
        claims_of(answer, await key_set(here)),
        claims_of(answer, await key_set(here), "id_token"),
        (await caller.call("/userinfo", token)).json,
        (await caller.call("/loggedin/user", token)).json,
        (await caller.details(caller.api_token)).json,
    ]
    assert [{name: each[name] for name in names} for each in told] == [names] * 5


async def test_scopes_of_a_service_account(here, caller):
    """The description of a service account's API token has the scopes that its exchange gives."""
    token = caller.shown["service_api_token"]
    given = (await caller.exchange(api_token=token)).json["scope"]
    told = (await caller.details(token)).json
    assert told["scope"] == given == "ALL_PERMISSIONS"
    assert told["allowedScopes"]["generalScopes"] == ["ALL_PERMISSIONS"]


async def test_organisation(here, caller):
    """TN-02: a token's organisation is told by name; another one is 404, like one that does not exist."""
    token = await caller.token()
    told = (await caller.call(f"/orgs/{caller.shown['org_id']}", token)).json
    assert told == {"id": caller.shown["org_id"], "name": "acme", "displayName": "Acme"}
    globex = here.members["globex"]["vmware-csp"]["org_id"]
    for path in ("/orgs/{}", "/loggedin/user/orgs/{}/info"):
        for org in (globex, "nowhere"):
            await check(here, await caller.call(path.format(org), token), 404, "not_found")


# --- keys and discovery ---


async def test_public_key(here, caller):
    """The one key is a PEM with its body on a single line and nothing after it, and proves tokens."""
    answer = await here.ask("GET", BASE + "/auth/token-public-key")
    told = answer.json
    assert set(told) == {"alg", "value", "issuer"}
    assert (told["alg"], told["issuer"]) == ("RS256", "https://keys.example" + BASE)
    first, body, last = told["value"].split("\n")
    assert (first, last) == ("-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----")
    assert re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", body)
    assert load_pem_public_key(told["value"].encode()).key_size == 2048
    assert claims_of(await caller.exchange(), RSAKey.import_key(told["value"]))
    assert answer.header("cache-control") == "no-cache"


async def test_key_sets(here):
    """The key set is the same by both calls, with public members only; another format is 400."""
    keys = (await here.ask("GET", BASE + "/auth/keys")).json
    same = (await here.ask("GET", BASE + "/auth/token-public-key", query=b"format=jwks")).json
    assert keys == same
    assert {key["kty"] for key in keys["keys"]} == {"RSA"}
    assert not any({"d", "p", "q"} & set(key) for key in keys["keys"])
    answer = await here.ask("GET", BASE + "/auth/token-public-key", query=b"format=der")
    assert (answer.status, answer.json["cspErrorCode"]) == (400, "invalid_request")


async def test_discovery(here):
    """Both discovery paths say the same, and every endpoint they name is there."""
    first = (await here.ask("GET", BASE + "/.well-known/openid-configuration")).json
    second = (await here.ask("GET", BASE + "/auth/.well-known/openid-configuration")).json
    assert first == second
    assert first["issuer"] == "https://keys.example" + BASE
    assert first["scopes_supported"] == ["openid", "ALL_PERMISSIONS"]
    assert first["id_token_signing_alg_values_supported"] == ["RS256"]
    for name in ("jwks_uri", "token_endpoint", "userinfo_endpoint", "introspection_endpoint"):
        path = first[name].removeprefix("https://keys.example")
        assert (await here.ask("GET", path)).status in {200, 401, 405}


async def test_issuer_is_a_setting():
    """The issuer of tokens and documents is what the deployment sets, a whole URL or a path."""
    for given, issuer in (
        ("https://gaz.example.com", "https://gaz.example.com"),
        ("/gaz", "https://keys.example/gaz"),
    ):
        async with deployment(environ={"KEYTURN_DIALECT__VMWARE_CSP__ISSUER": given}) as here:
            caller = Caller(here)
            answer = await caller.exchange()
            keys = await key_set(here)
            assert {claims_of(answer, keys, name)["iss"] for name in ("access_token", "id_token")} == {issuer}
            assert (await here.ask("GET", BASE + "/auth/token-public-key")).json["issuer"] == issuer
            found = (await here.ask("GET", BASE + "/.well-known/openid-configuration")).json
            assert found["issuer"] == issuer
            assert (await caller.call("/userinfo", answer.json["access_token"])).status == 200


async def test_key_rotation(here, caller):
    """TK-14: a client that fetches the one key at each run never fails across rotations."""

    async def run():
        key = RSAKey.import_key((await here.ask("GET", BASE + "/auth/token-public-key")).json["value"])
        answer = await caller.exchange()
        assert claims_of(answer, key)
        return key.thumbprint(), answer

    seen, held = [], []
    for _ in range(3):
        for _ in range(2):
            thumbprint, answer = await run()
            seen.append(thumbprint)
            held.append(answer)
        here.clock.advance(600)
        now = here.clock.now()
        await here.local.rings.rotate(
            "vmware-csp",
            Algorithm.RS256,
            now,
            longest_lifetime=here.local.longest_lifetime(),
            actor=operator("test").name,
            request_id=uuid7(now, here.local.dice),
        )
    assert len(set(seen)) == 3
    keys = await key_set(here)
    assert all(claims_of(answer, keys) for answer in held)


async def test_leading_slashes(here, caller):
    """A base URL with a slash at its end leads to the same routes; slashes further inside lead nowhere."""
    body = f"api_token={caller.api_token}".encode()
    for path, status in (("/" + EXCHANGE, 200), ("//" + EXCHANGE, 200), (BASE + "//auth/keys", 404)):
        assert (await here.ask("POST", path, headers=[FORM], body=body)).status == status


async def test_algorithm_is_a_setting():
    """Signing is RS256 unless the deployment sets another algorithm, and the documents say which."""
    async with deployment(environ={"KEYTURN_DIALECT__VMWARE_CSP__ALGORITHM": "ES256"}) as here:
        answer = await Caller(here).exchange()
        keys = await key_set(here)
        assert jwt.decode(answer.json["access_token"], keys, algorithms=["ES256"])
        assert (await here.ask("GET", BASE + "/auth/token-public-key")).json["alg"] == "ES256"


async def test_roles_of_a_token(here, caller):
    """An API token made for fewer roles than its user has gives tokens with those only, as they are now."""
    user = await caller.user()
    membership = await caller.store.membership_of(user.id)
    both = ("vmware-csp:csp:org_owner", "vmware-csp:csp:org_member")
    membership = await here.replace(membership, roles=both)
    _, token = await caller.make(roles=both[1:])
    answer = await caller.exchange(api_token=token)
    assert claims_of(answer, await key_set(here))["perms"] == ["csp:org_member"]
    path = f"/loggedin/user/orgs/{caller.shown['org_id']}/info"
    told = (await caller.call(path, answer.json["access_token"])).json
    assert told["organizationRoles"] == [{"name": "csp:org_member"}]
    await here.replace(await caller.store.membership_of(user.id), roles=both[:1])
    assert claims_of(await caller.exchange(api_token=token), await key_set(here))["perms"] == []
