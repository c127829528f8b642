"""The rules of the token endpoints over a real socket, each in both dialects: TE-* and TN-*."""

import json
from uuid import uuid4

import pytest

from e2e.servers import FORM, basic, error_of

JSON = "application/json"
BAD = {"oauth2": "invalid_request", "endorsed": "BAD_REQUEST"}
STRANGER = {"oauth2": "invalid_client", "endorsed": "UNAUTHENTICATED"}


def send(caller, client, body, **headers):
    """Post a body as a form unless a header says otherwise; a header of None is not sent."""
    named = {"Content-Type": FORM} | {name.replace("_", "-"): value for name, value in headers.items()}
    given = {name: value for name, value in named.items() if value is not None}
    return caller.ask("POST", client.path, body, given)


def refused(answer, dialect, status, code):
    """Confirm a refusal in the dialect's own format, with the headers that every refusal has."""
    assert answer.status == status, answer
    assert error_of(dialect, answer) == code
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"].startswith(JSON)
    return answer


@pytest.mark.parametrize("name", ["client_id", "client_secret", "grant_type", "scope"])
def test_parameters_in_the_query(demo, caller, dialect, name):
    """TE-01: a credential or grant parameter in the query is refused although the body is good."""
    client = demo.client(dialect)
    answer = caller.ask("POST", f"{client.path}?{name}=x", client.form(), {"Content-Type": FORM})
    refused(answer, dialect, 400, BAD[dialect])


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
def test_other_methods(demo, caller, dialect, method):
    """TE-01: only POST is served, and a refusal says so in Allow."""
    client = demo.client(dialect)
    answer = caller.ask(method, client.path)
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"
    if method != "HEAD":
        error_of(dialect, answer)


@pytest.mark.parametrize("name", ["client_id", "client_secret", "grant_type", "scope", "unknown"])
def test_a_parameter_given_twice(demo, caller, dialect, name):
    """TE-02: a parameter given twice is refused, known or not, with equal values too."""
    client = demo.client(dialect)
    refused(send(caller, client, f"{client.form()}&{name}=x&{name}=x"), dialect, 400, BAD[dialect])


def test_unknown_parameters_are_ignored(demo, caller, dialect):
    """TE-02: unknown parameters change nothing: not lifetime, subject, audience or organisation."""
    client = demo.client(dialect)
    extra = dict.fromkeys(("sub", "iss", "exp", "aud", "organisation", "tenant", "lifetime"), "globex")
    answer = client.post(caller, **extra)
    assert answer.status == 200
    assert answer.json["expires_in"] == client.post(caller).json["expires_in"]


@pytest.mark.parametrize(
    "media", ["text/plain", "multipart/form-data; boundary=x", "application/xml", "json"]
)
def test_other_content_types(demo, caller, dialect, media):
    """TE-03: a form under another content type is refused with 415."""
    client = demo.client(dialect)
    code = "invalid_request" if dialect == "oauth2" else "UNSUPPORTED_MEDIA_TYPE"
    refused(send(caller, client, client.form(), Content_Type=media), dialect, 415, code)


def test_json_as_a_form(demo, caller, dialect):
    """TE-03: JSON under a form's content type is refused, and its secret is not found in the answer."""
    client = demo.client(dialect)
    body = json.dumps({"client_id": client.client_id, "client_secret": client.client_secret})
    answer = send(caller, client, body)
    assert answer.status in {400, 401}
    error_of(dialect, answer)
    assert client.client_secret.encode() not in answer.body


@pytest.mark.parametrize("value", [None, 7, True, ["x"], {"x": "y"}, 1e400, "\ud800", "a\x00b"])
@pytest.mark.parametrize("name", ["client_id", "client_secret", "grant_type"])
def test_json_of_the_wrong_type(demo, caller, name, value):
    """TE-03 and HT-02: a JSON member that is no clean string is refused with 400 and one issue."""
    client = demo.client("endorsed")
    fields = {"client_id": client.client_id, "client_secret": client.client_secret}
    body = json.dumps(fields | {"grant_type": "client_credentials"} | {name: value})
    answer = refused(send(caller, client, body, Content_Type=JSON), "endorsed", 400, "BAD_REQUEST")
    assert len(answer.json["error"]["issues"]) == 1


def test_two_ways_of_authentication(demo, caller, dialect):
    """TE-04: Basic and body together are refused by oauth2, and by endorsed where they differ."""
    client = demo.client(dialect)
    good = basic(client.client_id, client.client_secret)
    answer = send(caller, client, client.form(), Authorization=good)
    assert answer.status == (400 if dialect == "oauth2" else 200)
    other = demo.client(dialect, "globex")
    wrong = basic(other.client_id, other.client_secret)
    refused(send(caller, client, client.form(), Authorization=wrong), dialect, 400, BAD[dialect])


def test_two_ways_agree_whatever_the_case(demo, caller):
    """TE-04: endorsed compares client ids without case, so Basic and body in upper case agree."""
    client = demo.client("endorsed")
    shouted = client.client_id.upper()
    good = basic(shouted, client.client_secret)
    assert send(caller, client, client.form(client_id=shouted), Authorization=good).status == 200
    assert send(caller, client, client.form(), Authorization=good).status == 200


def test_basic_that_fails_is_challenged(demo, caller):
    """TE-04: a failure after Basic is 401 invalid_client with a challenge (RFC 6749 section 5.2)."""
    client = demo.client("oauth2")
    answer = send(
        caller, client, "grant_type=client_credentials", Authorization=basic(client.client_id, "wrong")
    )
    refused(answer, "oauth2", 401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    "change",
    [
        lambda secret: secret + " ",
        lambda secret: " " + secret,
        lambda secret: secret[:-1],
        lambda secret: secret + "x",
        lambda secret: secret.swapcase(),
        lambda secret: secret + "\x00x",
        lambda secret: "",
        lambda secret: "x" * 5000,
    ],
)
def test_a_secret_is_compared_whole(demo, caller, dialect, change):
    """TE-05: a secret that is trimmed, cut, folded, padded or continued after NUL is not the secret."""
    client = demo.client(dialect)
    answer = client.post(caller, client_secret=change(client.client_secret))
    assert answer.status in {400, 401}
    error_of(dialect, answer)


@pytest.mark.parametrize(
    "scope", ["admin", "read admin", "read  \t", "\u00e9", '"', "READ", "all:read admin"]
)
def test_a_scope_outside(demo, caller, dialect, scope):
    """TE-07: a scope that the client may not have is refused, never narrowed or widened."""
    answer = demo.client(dialect).post(caller, scope=scope)
    refused(answer, dialect, 400, {"oauth2": "invalid_scope", "endorsed": "BAD_REQUEST"}[dialect])


def test_grants_not_registered(demo, caller, dialect):
    """TE-07: a grant that nobody serves is refused, and so is one in other letters."""
    code = {"oauth2": "unsupported_grant_type", "endorsed": "BAD_REQUEST"}[dialect]
    for grant in ("implicit", "telepathy", "CLIENT_CREDENTIALS", "client_credentials "):
        refused(demo.client(dialect).post(caller, grant_type=grant), dialect, 400, code)


def test_every_token_answer_is_private(demo, caller, dialect):
    """TE-08: an answer with a token says no-store and nosniff and is JSON."""
    answer = demo.client(dialect).post(caller)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"].startswith(JSON)


def test_unknown_client_looks_like_wrong_secret(demo, caller, dialect):
    """TE-09: unknown client, wrong secret and another dialect's client answer alike to the byte."""
    client = demo.client(dialect)
    other = demo.client("endorsed" if dialect == "oauth2" else "oauth2")
    wrong = client.post(caller, client_secret="wrong")
    refused(wrong, dialect, 401, STRANGER[dialect])
    same = [
        client.post(caller, client_id=str(uuid4())),
        client.post(caller, client_id="no-uuid"),
        client.post(caller, client_id=other.client_id, client_secret=other.client_secret),
    ]
    assert [answer.seen() for answer in same] == [wrong.seen()] * 3


def test_a_secret_opens_its_own_client_only(demo, caller, dialect):
    """TE-09: one client's id with another client's secret is refused."""
    client, other = demo.client(dialect), demo.client(dialect, "globex")
    refused(client.post(caller, client_secret=other.client_secret), dialect, 401, STRANGER[dialect])


@pytest.mark.parametrize("slug", ["globex", "nobody", "ACME", "acme.", "a" * 200])
def test_another_organisations_path(demo, caller, slug):
    """TN-02: a client at a path that is not its organisation's answers like an unknown client at its own."""
    client = demo.client("oauth2")
    unknown = client.post(caller, client_id=str(uuid4()))
    answer = caller.ask("POST", f"/o/{slug}/oauth2/token", client.form(), {"Content-Type": FORM})
    assert answer.seen() == unknown.seen()


def test_headers_do_not_choose_the_organisation(demo, caller):
    """TN-01: no header moves a request to another organisation."""
    client = demo.client("oauth2")
    names = ("X-Tenant", "X-Organisation", "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix")
    headers = dict.fromkeys(names, "/o/globex/oauth2/token")
    assert send(caller, client, client.form(), **headers).status == 200
    other = demo.client("oauth2", "globex")
    answer = caller.ask("POST", client.path, other.form(), {"Content-Type": FORM, **headers})
    refused(answer, "oauth2", 401, "invalid_client")


def test_key_sets_are_per_issuer(demo):
    """TN-03: two organisations share no key, so a token of one verifies with the other's keys nowhere."""
    sets = [demo.ask("GET", f"/o/{slug}/.well-known/jwks.json").json["keys"] for slug in ("acme", "globex")]
    kids = [{key["kid"] for key in keys} for keys in sets]
    assert kids[0]
    assert kids[0].isdisjoint(kids[1])


def test_documents_of_nobody(demo):
    """TN-02: metadata and keys of an organisation that does not exist are 404."""
    for path in ("/o/nobody/.well-known/jwks.json", "/.well-known/openid-configuration/o/nobody"):
        answer = demo.ask("GET", path)
        assert answer.status == 404
        assert "keys" not in answer.json


@pytest.mark.parametrize(
    "spelling",
    [
        "/{first}//{rest}",
        "//{first}/{rest}",
        "/{first}/./{rest}",
        "/{first}/x/../{rest}",
        "/%{hex}{tail}",
        "/{first};x=1/{rest}",
        "/{first}/{rest}/",
        "/{first}/{rest};x",
        "/{first}/{rest}%00",
        "/{first}/{rest}%20",
        "/{first}%2f{rest}",
        "/{first}\\{rest}",
        "/{shouted}",
        "/{first}/{rest}.json",
        "/x/../{first}/{rest}",
    ],
)
def test_odd_spellings_reach_nothing(demo, caller, dialect, spelling):
    """AD-01: no other spelling of a path leads to an endpoint, whose credentials are good."""
    client = demo.client(dialect)
    whole = client.path.lstrip("/")
    first, _, rest = whole.partition("/")
    path = spelling.format(
        first=first, rest=rest, hex=f"{ord(whole[0]):02x}", tail=whole[1:], shouted=whole.upper()
    )
    answer = caller.ask("POST", path, client.form(), {"Content-Type": FORM})
    assert answer.status in {400, 401, 404}, path
    assert b"access_token" not in answer.body


@pytest.mark.parametrize(
    ("owner", "secret"),
    [
        pytest.param("a\x00b", "x", id="NUL in id"),
        pytest.param("a\r\nb", "x", id="line break in id"),
        pytest.param("y" * 9 * 1024, "x", id="long id"),
        pytest.param("x", "a\x00b", id="NUL in secret"),
        pytest.param("x", "y" * 9 * 1024, id="long secret"),
        pytest.param("", "", id="empty"),
    ],
)
def test_basic_that_holds_no_text(demo, caller, dialect, owner, secret):
    """HT-01 and HT-02: an id or secret in Basic that is no clean text is refused like one in the body."""
    client = demo.client(dialect)
    answer = send(caller, client, "grant_type=client_credentials", Authorization=basic(owner, secret))
    assert answer.status in {400, 401}
    error_of(dialect, answer)


@pytest.mark.parametrize(
    "value", ["Basic", "Basic ", "Basic !!!", "Basic YQ==", "Basic /w==", "basic Og==", "B"]
)
def test_basic_that_is_malformed(demo, caller, dialect, value):
    """TE-04: an Authorization header that cannot be read is refused, never a fault."""
    answer = send(caller, demo.client(dialect), "grant_type=client_credentials", Authorization=value)
    assert answer.status in {400, 401}
    error_of(dialect, answer)
