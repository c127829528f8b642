"""Standard OAuth 2.0: the contract of every dialect, and the RFCs to the letter."""

import base64
from urllib.parse import urlencode

import pytest
from joserfc import jws, jwt
from joserfc.jwk import KeySet

from dialects.client_contract import ClientContract
from harness import basic, deployment
from keyturn.core.vocabulary import Code, Reason
from keyturn.dialects.oauth2 import DIALECT

PATH = "/o/acme/oauth2/token"
ISSUER = "https://keys.example/o/acme"
FORM = ("Content-Type", "application/x-www-form-urlencoded")
CHALLENGE = 'Basic realm="token endpoint", charset="UTF-8"'


class TestContract(ClientContract):
    """The whole contract, from the tables."""

    dialect = DIALECT


@pytest.fixture
async def here():
    """Open a deployment of the house's dialects."""
    async with deployment() as opened:
        yield opened


async def post(here, fields=(), *, client=None, secret=None, headers=(), path=PATH, body=None):
    """Send a token request with HTTP Basic, by default of the demo's client; with False without it."""
    members = here.members["acme"]["oauth2"]
    claimed = basic(client or members["client_id"], secret or members["client_secret"])
    authorization = [] if client is False else [("Authorization", claimed)]
    encoded = urlencode(list(fields)).encode() if body is None else body
    return await here.ask("POST", path, headers=[FORM, *authorization, *headers], body=encoded)


GRANT = ("grant_type", "client_credentials")


async def claims_of(here, answer):
    """Verify the token of an answer against the served keys, and give its claims."""
    assert answer.status == 200, answer
    keys = KeySet.import_key_set(await here.jwks())
    return jwt.decode(answer.json["access_token"], keys, algorithms=["ES256", "RS256", "EdDSA"]).claims


async def check_error(here, answer, status, error, reason=None):
    """Check an error answer of RFC 6749 section 5.2 and the reason that the trail keeps."""
    assert (answer.status, answer.json["error"]) == (status, error), answer
    assert set(answer.json) <= {"error", "error_description"}
    described = answer.json.get("error_description", "x")
    assert all(0x20 <= ord(char) <= 0x7E and char not in '"\\' for char in described)
    if reason is not None:
        assert (await here.audit())[-1].reason == reason


async def test_answer(here):
    """A good answer has exactly the members of RFC 6749 section 5.1, the lifetime a number."""
    answer = await post(here, [GRANT, ("scope", "write read")])
    assert list(answer.json) == ["access_token", "token_type", "expires_in", "scope"]
    assert answer.json["token_type"] == "Bearer"
    assert answer.json["expires_in"] == 600
    assert answer.json["scope"] == "write read"
    assert answer.header("pragma") == "no-cache"


async def test_claims(here):
    """TK-07: an access token is an RFC 9068 one, with an audience that is a resource."""
    answer = await post(here, [GRANT, ("scope", "read")])
    claims = await claims_of(here, answer)
    client_id = here.members["acme"]["oauth2"]["client_id"]
    assert set(claims) == {"iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "kt"}
    assert (claims["iss"], claims["sub"], claims["client_id"]) == (ISSUER, client_id, client_id)
    assert claims["aud"] == "urn:keyturn:acme:api"
    assert claims["scope"] == "read"
    assert claims["exp"] - claims["iat"] == 600
    header = jws.extract_compact(answer.json["access_token"].encode()).headers()
    assert header["typ"] == "at+jwt"


async def test_no_scopes(here):
    """A client without scopes gets a token without any, and no empty member."""
    client, secret = await here.add_client(scopes=())
    answer = await post(here, [GRANT], client=client.id, secret=secret)
    assert "scope" not in answer.json
    assert "scope" not in await claims_of(here, answer)


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        (None, "read write"),
        ("", "read write"),
        (" ", "read write"),
        ("read", "read"),
        ("write", "write"),
        ("write read", "write read"),
        ("read read", "read"),
        ("  read   write ", "read write"),
    ],
)
async def test_scope(here, asked, granted):
    """Scope is granted as asked, in its order and once each; none asked is all (RFC 6749 section 3.3)."""
    answer = await post(here, [GRANT] if asked is None else [GRANT, ("scope", asked)])
    assert answer.json["scope"] == granted
    assert (await claims_of(here, answer))["scope"] == granted


@pytest.mark.parametrize(
    "asked", ["admin", "read admin", "READ", "read,write", "*", 'a"b', "a\\b", "é", "read\twrite", "x" * 5000]
)
async def test_invalid_scope(here, asked):
    """TE-07: a scope outside the client's or malformed is invalid_scope, never narrowed."""
    await check_error(here, await post(here, [GRANT, ("scope", asked)]), 400, "invalid_scope")


async def test_credential_narrows(here):
    """TE-07: a secret of fewer scopes gives and refuses by its own set."""
    client_id = here.members["acme"]["oauth2"]["client_id"]
    await here.import_secret(client_id, "narrow", scopes=("read",))
    answer = await post(here, [GRANT], secret="narrow")
    assert answer.json["scope"] == "read"
    refused = await post(here, [GRANT, ("scope", "write")], secret="narrow")
    await check_error(here, refused, 400, "invalid_scope", Reason.SCOPE_NOT_ALLOWED)


async def test_body_authentication(here):
    """A client may authenticate in the body instead (RFC 6749 section 2.3.1)."""
    members = here.members["acme"]["oauth2"]
    fields = [GRANT, ("client_id", members["client_id"].upper()), ("client_secret", members["client_secret"])]
    answer = await post(here, fields, client=False)
    assert (await claims_of(here, answer))["sub"] == members["client_id"]


@pytest.mark.parametrize(
    "secret",
    ["plain", "a+b/c-d_e%f", "%41", "a b", "a:b", "::", "é✓", "&=?#", '"\\', "x" * 4000, "+", "%"],
)
async def test_secret_of_any_spelling(here, secret):
    """TE-05: a secret of any characters works by Basic and in the body, form-encoded, and only whole."""
    client_id = here.members["acme"]["oauth2"]["client_id"]
    await here.import_secret(client_id, secret)
    body = [GRANT, ("client_id", client_id), ("client_secret", secret)]
    assert (await post(here, [GRANT], secret=secret)).status == 200
    assert (await post(here, body, client=False)).status == 200
    cut = [GRANT, ("client_id", client_id), ("client_secret", secret + "x")]
    assert (await post(here, cut, client=False)).status == 401


async def test_secret_is_not_cut_at_72_bytes(here):
    """TE-05: two secrets that differ after 72 bytes differ."""
    client_id = here.members["acme"]["oauth2"]["client_id"]
    await here.import_secret(client_id, "s" * 100)
    assert (await post(here, [GRANT], secret="s" * 100)).status == 200
    assert (await post(here, [GRANT], secret="s" * 99 + "t")).status == 401


async def test_two_authentications(here):
    """TE-04: Basic and a secret in the body are two ways, refused even if they agree."""
    members = here.members["acme"]["oauth2"]
    for secret in (members["client_secret"], "other"):
        both = await post(here, [GRANT, ("client_id", members["client_id"]), ("client_secret", secret)])
        await check_error(here, both, 400, "invalid_request", Reason.TWO_AUTHENTICATIONS)
    other = await post(here, [GRANT, ("client_id", here.members["globex"]["oauth2"]["client_id"])])
    await check_error(here, other, 400, "invalid_request", Reason.TWO_AUTHENTICATIONS)
    named = await post(here, [GRANT, ("client_id", members["client_id"])])
    assert named.status == 200


async def test_client_id_in_body_without_case(here):
    """A client id beside Basic names the same client in whatever case a UUID is written."""
    shouted = here.members["acme"]["oauth2"]["client_id"].upper()
    assert (await post(here, [GRANT, ("client_id", shouted)], client=shouted)).status == 200


@pytest.mark.parametrize("fields", [[GRANT], [GRANT, ("client_id", "x")], [GRANT, ("client_secret", "x")]])
async def test_no_authentication(here, fields):
    """Without authentication the answer is 401 invalid_client with a challenge (RFC 6749 section 5.2)."""
    answer = await post(here, fields, client=False)
    await check_error(here, answer, 401, "invalid_client", Reason.NO_CREDENTIAL)
    assert answer.header("www-authenticate") == CHALLENGE


@pytest.mark.parametrize(
    "value", ["Bearer abc", "Digest x", "Basic", "Basic %%%", "Basic bm9jb2xvbg==", "Negotiate", ""]
)
async def test_other_authorization(here, value):
    """TE-04: an Authorization header that is not readable Basic fails, with a challenge."""
    answer = await post(here, [GRANT], client=False, headers=[("Authorization", value)])
    await check_error(here, answer, 401, "invalid_client", Reason.MALFORMED)
    assert answer.header("www-authenticate") == CHALLENGE


@pytest.mark.parametrize("owner", [b"a\x00", b"a%00", b"a\nb", b"a%0D%0Ab", b"x" * 9000])
async def test_odd_basic_owner(here, owner):
    """HT-02: NUL, line breaks and overlong client ids in a Basic header are refused, never a fault."""
    value = "Basic " + base64.b64encode(owner + b":secret").decode()
    answer = await post(here, [GRANT], client=False, headers=[("Authorization", value)])
    assert answer.status in {400, 401}


@pytest.mark.parametrize(
    "value",
    [
        "authorization_code",
        "implicit",
        "Client_Credentials",
        "client_credentials ",
    ],
)
async def test_unsupported_grant(here, value):
    """A grant that nobody knows is unsupported_grant_type, compared exactly."""
    answer = await post(here, [("grant_type", value)])
    await check_error(here, answer, 400, "unsupported_grant_type", Reason.GRANT_UNKNOWN)


@pytest.mark.parametrize("fields", [[], [("grant_type", "")], [("scope", "read")]])
async def test_missing_grant(here, fields):
    """A missing or empty grant_type is invalid_request."""
    answer = await post(here, fields)
    await check_error(here, answer, 400, "invalid_request", Reason.FIELD_MISSING)
    assert answer.json["error_description"] == "grant_type is required"


async def test_unauthorized_client(here):
    """A genuine client without the grant is unauthorized_client, 400."""
    client, secret = await here.add_client(grants=("refresh_token",))
    answer = await post(here, [GRANT], client=client.id, secret=secret)
    await check_error(here, answer, 400, "unauthorized_client", Reason.GRANT_NOT_ALLOWED)


RESOURCES = ("https://api.acme.example/", "urn:acme:billing", "https://api.acme.example/v2?x=1")


@pytest.mark.parametrize(
    ("asked", "audience"),
    [
        ([], RESOURCES[0]),
        ([""], RESOURCES[0]),
        ([RESOURCES[1]], RESOURCES[1]),
        ([RESOURCES[2], RESOURCES[1]], [RESOURCES[2], RESOURCES[1]]),
        ([RESOURCES[1], RESOURCES[1]], RESOURCES[1]),
        (list(RESOURCES), list(RESOURCES)),
    ],
)
async def test_resource(here, asked, audience):
    """The audience is the resources asked, each once and in order, or the client's default (RFC 8707)."""
    client, secret = await here.add_client(audiences=RESOURCES)
    fields = [GRANT, *(("resource", each) for each in asked)]
    answer = await post(here, fields, client=client.id, secret=secret)
    assert (await claims_of(here, answer))["aud"] == audience


@pytest.mark.parametrize(
    "asked",
    [
        ["https://api.acme.example"],
        ["https://other.example/"],
        [RESOURCES[0], "urn:other"],
        ["/relative"],
        ["https://api.acme.example/#f"],
        ["HTTPS://API.ACME.EXAMPLE/"],
        ["urn:keyturn:globex:api"],
    ],
)
async def test_invalid_target(here, asked):
    """A resource that is not exactly one of the client's is invalid_target (RFC 8707 section 2)."""
    client, secret = await here.add_client(audiences=RESOURCES)
    fields = [GRANT, *(("resource", each) for each in asked)]
    answer = await post(here, fields, client=client.id, secret=secret)
    await check_error(here, answer, 400, "invalid_target")


@pytest.mark.parametrize("slug", ["globex", "nobody", "ACME", "acme%20", "..", "{organisation}"])
async def test_other_organisation(here, slug):
    """TN-01: an unknown or another organisation in the path looks exactly like an unknown client."""
    unknown = await post(here, [GRANT], client="00000000-0000-4000-8000-000000000000")
    answer = await post(here, [GRANT], path=f"/o/{slug}/oauth2/token")
    await check_error(here, answer, 401, "invalid_client", Reason.UNKNOWN_CLIENT)
    assert answer.seen() == unknown.seen()
    assert (await here.audit())[-1].organisation_id is None


# --- what is published ---

METADATA = (
    "/.well-known/oauth-authorization-server/o/acme",
    "/o/acme/.well-known/oauth-authorization-server",
)
DISCOVERY = ("/.well-known/openid-configuration/o/acme", "/o/acme/.well-known/openid-configuration")


@pytest.mark.parametrize("path", METADATA + DISCOVERY)
async def test_metadata(here, path):
    """Metadata is served in both path forms, and what it says is true (RFC 8414 section 2)."""
    answer = await here.ask("GET", path)
    assert answer.status == 200
    told = answer.json
    assert told["issuer"] == ISSUER
    assert told["token_endpoint"] == "https://keys.example" + PATH
    assert told["grant_types_supported"] == ["client_credentials", "refresh_token", "password"]
    assert told["introspection_endpoint"] == ISSUER + "/oauth2/introspect"
    assert told["revocation_endpoint"] == ISSUER + "/oauth2/revoke"
    methods = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
    assert told["token_endpoint_auth_methods_supported"] == methods
    assert told["response_types_supported"] == []
    keys = await here.ask("GET", told["jwks_uri"].removeprefix("https://keys.example"))
    assert keys.status == 200
    if path in DISCOVERY:
        assert told["subject_types_supported"] == ["public"]
        assert set(told["id_token_signing_alg_values_supported"]) == {key["alg"] for key in keys.json["keys"]}


@pytest.mark.parametrize("path", [*METADATA, *DISCOVERY, "/o/acme/.well-known/jwks.json"])
async def test_document_headers(here, path):
    """A published document may be cached for a while, read by any page, and asked for by HEAD."""
    answer = await here.ask("GET", path)
    assert answer.header("cache-control") == "public, max-age=300"
    assert answer.header("content-type") == "application/json"
    assert answer.header("x-content-type-options") == "nosniff"
    assert answer.header("access-control-allow-origin") == "*"
    head = await here.ask("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    assert head.header("content-length") == str(len(answer.body))
    assert head.header("cache-control") == answer.header("cache-control")


@pytest.mark.parametrize("path", [*METADATA, *DISCOVERY, "/o/acme/.well-known/jwks.json"])
async def test_host_is_not_believed(here, path):
    """HT-03: no document changes with the Host, Forwarded or X-Forwarded headers of a caller."""
    plain = await here.ask("GET", path)
    names = ("Host", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "Forwarded")
    evil = await here.ask("GET", path, headers=[(name, "evil.example") for name in names])
    assert evil.seen() == plain.seen()


@pytest.mark.parametrize("path", [*METADATA, *DISCOVERY, "/o/acme/.well-known/jwks.json"])
async def test_unknown_issuer(here, path):
    """TN-02: documents of an organisation that does not exist, or has ended, are 404 in one way."""
    absent = await here.ask("GET", path.replace("acme", "nobody"))
    assert absent.status == 404
    assert absent.json["error"] == DIALECT.refusals.rows[Code.NOT_FOUND].code
    await here.replace(await here.organisation(), ended_at=here.clock.now())
    assert (await here.ask("GET", path)).seen() == absent.seen()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_documents_are_read_only(here, method):
    """A document answers no other method, and says which it answers."""
    answer = await here.ask(method, METADATA[0])
    assert answer.status == 405
    assert "GET" in (answer.header("allow") or "")


async def test_jwks(here):
    """TK-13: a key set holds public members only, each key with its name, use and algorithm."""
    keys = (await here.jwks())["keys"]
    assert len(keys) >= 2
    assert len({key["kid"] for key in keys}) == len(keys)
    for key in keys:
        assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
        assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")


async def test_keys_are_the_organisations_own(here):
    """TN-03: no key of an organisation is in another's key set."""
    ours = {key["kid"] for key in (await here.jwks("acme"))["keys"]}
    theirs = {key["kid"] for key in (await here.jwks("globex"))["keys"]}
    assert not ours & theirs


async def test_documents_leave_no_audit(here):
    """Reading what is published is nobody's event, not even for an organisation that is not there."""
    await here.jwks()
    before = await here.audit()
    for path in (*METADATA, *DISCOVERY, "/o/nobody/.well-known/jwks.json"):
        await here.ask("GET", path)
    assert await here.audit() == before


async def test_documents_while_the_recorder_is_down(here):
    """HT-09: while nothing can be recorded, verification by the key set goes on."""
    await here.jwks()
    here.store.recorder.raises = RuntimeError("down")
    assert (await here.ask("GET", "/o/acme/.well-known/jwks.json")).status == 200


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize(
    ("algorithm", "kind"), [("ES256", {"kty": "EC"}), ("RS256", {"kty": "RSA"}), ("EdDSA", {"kty": "OKP"})]
)
async def test_algorithm(algorithm, kind):
    """TK-01: the deployment's setting chooses the algorithm, of tokens and of published keys."""
    async with deployment(environ={"KEYTURN_DIALECT__OAUTH2__ALGORITHM": algorithm}) as here:
        answer = await post(here, [GRANT])
        claims = await claims_of(here, answer)
        header = jws.extract_compact(answer.json["access_token"].encode()).headers()
        assert (header["alg"], claims["iss"]) == (algorithm, ISSUER)
        (signer,) = [key for key in (await here.jwks())["keys"] if key["kid"] == header["kid"]]
        assert signer["alg"] == algorithm
        assert signer.items() >= kind.items()
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(signer)
