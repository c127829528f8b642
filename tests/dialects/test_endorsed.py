"""Endorsed: the contract of every dialect, and the vendor's contract line by line."""

import json
from urllib.parse import urlencode

import pytest
from joserfc import jws, jwt
from joserfc.jwk import KeySet

from dialects.client_contract import ClientContract
from harness import basic, deployment
from keyturn.core.errors import Unavailable
from keyturn.core.limits import Rate
from keyturn.core.vocabulary import Reason
from keyturn.dialects.endorsed import DIALECT

PATH = "/api/v1/auth/tokens"
FORM = ("Content-Type", "application/x-www-form-urlencoded")
JSON = ("Content-Type", "application/json")
BOTH = ["all:read", "all:write"]


class TestContract(ClientContract):
    """The whole contract, from the tables."""

    dialect = DIALECT


@pytest.fixture
async def here():
    """Open a deployment of the house's dialects."""
    async with deployment() as opened:
        yield opened


def fields_of(here, **changes):
    """Give the fields of a good request, changed; None leaves a field out."""
    members = here.members["acme"]["endorsed"]
    fields = {
        "client_id": members["client_id"],
        "client_secret": members["client_secret"],
        "grant_type": "client_credentials",
    } | changes
    return {name: value for name, value in fields.items() if value is not None}


async def form(here, *, headers=(FORM,), more=(), **changes):
    """Send a form."""
    body = urlencode([*fields_of(here, **changes).items(), *more])
    return await here.ask("POST", PATH, headers=headers, body=body.encode())


async def as_json(here, *, headers=(JSON,), **changes):
    """Send a JSON object."""
    return await here.ask("POST", PATH, headers=headers, body=json.dumps(fields_of(here, **changes)).encode())


def check_error(answer, status, code, *messages):
    """Check the one body of every failure, with these messages where they are given."""
    assert answer.status == status, answer
    assert list(answer.json) == ["is_error", "error"]
    assert answer.json["is_error"] is True
    assert list(answer.json["error"]) == ["code", "issues"]
    assert answer.json["error"]["code"] == code
    issues = answer.json["error"]["issues"]
    assert issues
    assert all(list(issue) == ["message"] and isinstance(issue["message"], str) for issue in issues)
    if messages:
        assert [issue["message"] for issue in issues] == list(messages)


def check_bad_request(answer, *messages):
    """Check a 400."""
    check_error(answer, 400, "BAD_REQUEST", *messages)


def check_unauthenticated(answer):
    """Check the 401 that says nothing of its cause."""
    check_error(answer, 401, "UNAUTHENTICATED", "Unauthorized")


def check_granted(answer, scopes=BOTH):
    """Check a good answer, member for member."""
    assert answer.status == 200, answer
    told = answer.json
    assert list(told) == ["is_error", "access_token", "token_type", "expires_in", "scope"]
    assert told["is_error"] is False
    assert told["token_type"] == "Bearer"
    assert told["expires_in"] == "1209600"
    assert told["scope"] == list(scopes)
    assert answer.header("cache-control") == "no-store"
    assert answer.header("content-type") == "application/json"


# --- section 1: the request ---


@pytest.mark.parametrize(
    "media",
    [
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded;charset=UTF-8",
        "Application/X-WWW-Form-Urlencoded; charset=utf-8",
    ],
)
async def test_form(here, media):
    """A form is read, a charset parameter and the type's case tolerated."""
    check_granted(await form(here, headers=[("Content-Type", media)]))


@pytest.mark.parametrize("media", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON"])
async def test_json(here, media):
    """JSON is read, a charset parameter and the type's case tolerated."""
    check_granted(await as_json(here, headers=[("Content-Type", media)], scope=BOTH))


async def test_no_content_type(here):
    """An absent content type means a form, and never JSON."""
    check_granted(await form(here, headers=()))
    check_bad_request(await as_json(here, headers=()))


@pytest.mark.parametrize(
    "media", ["text/plain", "multipart/form-data; boundary=x", "text/json", "application/xml", "", "*/*"]
)
async def test_other_media_type(here, media):
    """Any other media type is 415 with the body of every failure."""
    for send in (form, as_json):
        answer = await send(here, headers=[("Content-Type", media)])
        check_error(answer, 415, "UNSUPPORTED_MEDIA_TYPE")
    assert (await here.audit())[-1].reason == Reason.MEDIA_TYPE


@pytest.mark.parametrize("accept", [None, "application/json", "text/html", "*/*", "nonsense"])
async def test_accept_is_not_required(here, accept):
    """The answer is JSON whatever a caller accepts."""
    check_granted(await form(here, headers=[FORM, *([("Accept", accept)] if accept else [])]))


@pytest.mark.parametrize("send", [form, as_json])
@pytest.mark.parametrize("field", ["client_id", "client_secret", "grant_type"])
async def test_required_field(here, send, field):
    """Each required field is 400 with its own issue when it is absent or empty."""
    for value in (None, ""):
        check_bad_request(await send(here, **{field: value}), f"{field} is required")


async def test_one_issue_for_each_field(here):
    """Several bad fields are several issues, in the order of the contract."""
    required = [f"{field} is required" for field in ("client_id", "client_secret", "grant_type")]
    check_bad_request(await here.ask("POST", PATH), *required)
    check_bad_request(await here.ask("POST", PATH, headers=[JSON], body=b"{}"), *required)
    check_bad_request(
        await as_json(here, client_id=7, client_secret=["x"], grant_type={}, scope="all:read"),
        "client_id must be a string",
        "client_secret must be a string",
        "grant_type must be a string",
        "scope must be an array of strings",
    )


@pytest.mark.parametrize("send", [form, as_json])
@pytest.mark.parametrize("grant", ["password", "Client_Credentials", "refresh_token", "x"])
async def test_unsupported_grant(here, send, grant):
    """Any other grant is 400."""
    check_bad_request(await send(here, grant_type=grant), "grant_type is not supported")


# --- scope ---


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        (None, BOTH),
        ("", BOTH),
        ("  ", BOTH),
        ("all:read", ["all:read"]),
        ("all:write all:read", ["all:write", "all:read"]),
        ("all:read all:read", ["all:read"]),
        ("all:write all:read all:write", ["all:write", "all:read"]),
    ],
)
async def test_scope_of_a_form(here, asked, granted):
    """A form's scope is one string: absent or empty is all, order kept, duplicates collapsed."""
    check_granted(await form(here, scope=asked), granted)


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        (None, BOTH),
        ([], BOTH),
        (["all:read"], ["all:read"]),
        (["all:write", "all:read"], ["all:write", "all:read"]),
        (["all:write", "all:write"], ["all:write"]),
    ],
)
async def test_scope_of_json(here, asked, granted):
    """A JSON scope is an array: absent or empty is all, order kept, duplicates collapsed."""
    check_granted(await as_json(here, scope=asked), granted)


@pytest.mark.parametrize(
    "asked", ["all:read", "all:read all:write", 7, True, {"a": 1}, [7], [["all:read"]], [None]]
)
async def test_scope_of_another_type(here, asked):
    """TE-03: a JSON scope that is not an array of strings is 400 with one issue."""
    answer = await as_json(here, scope=asked)
    check_bad_request(answer)
    assert len(answer.json["error"]["issues"]) == 1
    assert answer.json["error"]["issues"][0]["message"].startswith("scope ")


async def test_scope_null(here):
    """TE-03: a JSON scope that is null is 400 like any other wrong type."""
    body = json.dumps(fields_of(here) | {"scope": None}).encode()
    check_bad_request(await here.ask("POST", PATH, headers=[JSON], body=body))


@pytest.mark.parametrize("asked", ["all:delete", "all:read all:delete", "ALL:READ", "*"])
async def test_unknown_scope(here, asked):
    """TE-07: a scope outside the credential's is 400 with one issue, never narrowed, in both encodings."""
    for answer in (await form(here, scope=asked), await as_json(here, scope=asked.split())):
        check_bad_request(answer, "scope is not allowed for this client")


async def test_scope_outside_the_credential(here):
    """TE-07: a secret of fewer scopes gives its own by default and refuses the rest."""
    client_id = here.members["acme"]["endorsed"]["client_id"]
    await here.import_secret(client_id, "narrow", scopes=("all:read",))
    check_granted(await form(here, client_secret="narrow"), ["all:read"])
    check_bad_request(await form(here, client_secret="narrow", scope="all:read all:write"))


async def test_repeated(here):
    """TE-02: a form's scope given twice and a member given twice are 400."""
    more = [("scope", "all:read"), ("scope", "all:write")]
    check_bad_request(await form(here, more=more), "scope is given more than once")
    doubled = json.dumps(fields_of(here))[:-1] + ', "grant_type": "client_credentials"}'
    check_bad_request(await here.ask("POST", PATH, headers=[JSON], body=doubled.encode()))


# --- who asks ---


async def test_upper_case_uuid(here):
    """UUIDs compare without case."""
    shouted = here.members["acme"]["endorsed"]["client_id"].upper()
    for send in (form, as_json):
        answer = await send(here, client_id=shouted)
        check_granted(answer)


@pytest.mark.parametrize("client_id", ["nobody", "00000000-0000-4000-8000-000000000000", "x" * 36, "7", "é"])
async def test_unknown_client(here, client_id):
    """A client id that is no UUID or nobody's is 401 exactly like a wrong secret."""
    wrong = await form(here, client_secret="wrong")
    check_unauthenticated(wrong)
    for send in (form, as_json):
        assert (await send(here, client_id=client_id)).seen() == wrong.seen()


@pytest.mark.parametrize(
    "secret", ["a+b", "a/b", "a-b_c", "100%", "%2B", "a%20b", "a b", "+/-_%=&", "é", "x" * 48, "%zz"]
)
async def test_secret_of_any_spelling(here, secret):
    """TE-05: a secret holding ``+ / - _ %`` works in a form, in JSON and by Basic, and only as it is."""
    await here.import_secret(here.members["acme"]["endorsed"]["client_id"], secret)
    check_granted(await form(here, client_secret=secret))
    check_granted(await as_json(here, client_secret=secret))
    members = here.members["acme"]["endorsed"]
    value = basic(members["client_id"], secret)
    check_granted(
        await form(here, headers=[FORM, ("Authorization", value)], client_id=None, client_secret=None)
    )
    check_unauthenticated(await form(here, client_secret=secret + " "))


async def test_unescaped_secret(here):
    """In a form a bare ``%`` stands for itself and a bare ``+`` for a space, as the URL standard says."""
    client_id = here.members["acme"]["endorsed"]["client_id"]
    await here.import_secret(client_id, "50%-off/now_")
    body = f"client_id={client_id}&client_secret=50%-off/now_&grant_type=client_credentials"
    check_granted(await here.ask("POST", PATH, headers=[FORM], body=body.encode()))
    plus = body.replace("now_", "now+")
    check_unauthenticated(await here.ask("POST", PATH, headers=[FORM], body=plus.encode()))


NO_BODY = {"client_id": None, "client_secret": None}


@pytest.mark.parametrize("send", [form, as_json])
@pytest.mark.parametrize(
    ("claimed", "body", "status"),
    [
        ("own", NO_BODY, 200),
        ("own", {}, 200),
        ("own", {"client_secret": None}, 200),
        ("own", {"client_id": None}, 200),
        ("own", {"client_secret": "other"}, 400),
        ("own", {"client_id": "00000000-0000-4000-8000-000000000000"}, 400),
        ("wrong", {}, 400),
        ("wrong", NO_BODY, 401),
    ],
)
async def test_basic(here, send, claimed, body, status):
    """TE-04: Basic is accepted alone or equal to the body; both and different is 400."""
    members = here.members["acme"]["endorsed"]
    value = basic(members["client_id"], members["client_secret"] if claimed == "own" else "wrong")
    media = FORM if send is form else JSON
    answer = await send(here, headers=[media, ("Authorization", value)], **body)
    if status == 200:
        check_granted(answer)
    elif status == 401:
        check_unauthenticated(answer)
    else:
        check_bad_request(answer)
        assert (await here.audit())[-1].reason == Reason.TWO_AUTHENTICATIONS


async def test_basic_without_case(here):
    """TE-04: a UUID of upper case in header and body is equal, as UUIDs compare without case."""
    members = here.members["acme"]["endorsed"]
    shouted = members["client_id"].upper()
    value = basic(shouted, members["client_secret"])
    check_granted(await form(here, headers=[FORM, ("Authorization", value)], client_id=shouted))


async def test_challenge_after_basic(here):
    """TE-04: a 401 after Basic was tried names the scheme in WWW-Authenticate."""
    value = basic(here.members["acme"]["endorsed"]["client_id"], "wrong")
    answer = await form(here, headers=[FORM, ("Authorization", value)], **NO_BODY)
    check_unauthenticated(answer)
    assert (answer.header("www-authenticate") or "").startswith("Basic")


async def test_other_authorization(here):
    """An Authorization header of another scheme says nothing about this request."""
    check_granted(await form(here, headers=[FORM, ("Authorization", "Bearer stale")]))


# --- sections 2 and 3: the answer and its token ---


@pytest.mark.parametrize("send", [form, as_json])
async def test_token(here, send):
    """The token keeps the contract's claims under ``data`` and has the standard ones beside it."""
    answer = await send(here)
    check_granted(answer)
    token = answer.json["access_token"]
    keys = KeySet.import_key_set(await here.jwks())
    claims = jwt.decode(token, keys, algorithms=["ES256"]).claims
    client_id = here.members["acme"]["endorsed"]["client_id"]
    assert set(claims) == {"data", "iss", "sub", "aud", "iat", "exp", "jti", "kt"}
    assert claims["data"] == {"client_id": client_id, "scope": BOTH}
    assert claims["exp"] == claims["iat"] + int(answer.json["expires_in"]) == claims["iat"] + 14 * 86_400
    assert jws.extract_compact(token.encode()).headers()["typ"] == "JWT"


async def test_old_tokens_stay(here):
    """Issuing a new token does not end the old one: no epoch moves."""
    before = await here.client(here.members["acme"]["endorsed"]["client_id"])
    for _ in range(3):
        check_granted(await form(here))
    assert await here.client(before.id) == before


# --- section 4: errors ---


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_method(here, method):
    """Another method on the path is 405 with the body of every failure."""
    answer = await here.ask(method, PATH)
    check_error(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.header("allow") == "POST"


async def test_too_large(here):
    """A body over the limit is 413 with the body of every failure."""
    check_error(await here.ask("POST", PATH, headers=[FORM], oversized=True), 413, "PAYLOAD_TOO_LARGE")


async def test_too_many_requests():
    """Over the rate limit the answer is 429 with Retry-After and the body of every failure."""
    async with deployment(rates={"client": Rate(per_minute=1, burst=1)}) as here:
        check_granted(await form(here))
        answer = await form(here)
        check_error(answer, 429, "TOO_MANY_REQUESTS")
        assert answer.header("retry-after") == "60"


async def test_store_down(here):
    """While the store is down the answer is 503 with Retry-After and the body of every failure."""
    here.store.recorder.raises = Unavailable(Reason.STORE_UNAVAILABLE)
    answer = await form(here)
    check_error(answer, 503, "SERVICE_UNAVAILABLE")
    assert answer.header("retry-after") == "1"


async def test_trailing_slash(here):
    """A trailing slash is 404 with the body of every failure."""
    check_error(await here.ask("POST", PATH + "/", headers=[FORM]), 404, "NOT_FOUND")


# --- section 6: what else comes in ---


async def test_json_under_form(here):
    """JSON under a form's content type is 400, and a form under JSON's."""
    check_bad_request(await as_json(here, headers=[FORM]))
    check_bad_request(await form(here, headers=[JSON]))


async def test_query(here):
    """TE-01: credentials in the query are 400, even beside a good body."""
    body = urlencode(fields_of(here)).encode()
    check_bad_request(await here.ask("POST", PATH, query=body, headers=[FORM]))
    check_bad_request(await here.ask("POST", PATH, query=b"client_secret=x", headers=[FORM], body=body))


async def test_algorithm():
    """The deployment's setting chooses this dialect's algorithm, and the served keys follow."""
    async with deployment(environ={"KEYTURN_DIALECT__ENDORSED__ALGORITHM": "RS256"}) as here:
        token = (await form(here)).json["access_token"]
        keys = KeySet.import_key_set(await here.jwks())
        assert jwt.decode(token, keys, algorithms=["RS256"]).claims["data"]["scope"] == BOTH
