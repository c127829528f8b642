"""Standard OAuth 2.0: RFC 6749 with RFC 8414 metadata, RFC 8707 resources and RFC 9068 access tokens.

    POST /o/acme/oauth2/token
    Authorization: Basic <client id>:<client secret>
    grant_type=client_credentials&scope=read

    200 {"access_token": "<jwt>", "token_type": "Bearer", "expires_in": 600, "scope": "read"}

``expires_in`` is whole seconds; ``scope`` is always there, since what is granted may be less than what the
client is used to. Knowledge: the RFCs named, checked November 2026.
"""

from keyturn.core.profile import TokenProfile
from keyturn.core.shapes import Constant, Member, Shape
from keyturn.core.vocabulary import CLIENT_CREDENTIALS, Code, CredentialKind
from keyturn.wire.tables import (
    Answer,
    ClientAuthentication,
    ClientFixture,
    DemoEntry,
    Dialect,
    Document,
    Exchange,
    Field,
    RefusalRow,
    Refusals,
    Route,
    Sample,
    Source,
    algorithm_setting,
    lifetime_setting,
)

ACCESS = TokenProfile(
    kind="oauth2.access",
    dialect="oauth2",
    header_type="at+jwt",
    lifetime_seconds=600,
    claims=Shape((Member("client_id", "client.id"), Member("scope", "scope", "words", optional=True))),
)

ORGANISATION = Field(name="organisation", slot="organisation", source=Source.PATH)

TOKEN = Route(
    name="token",
    path="/o/{organisation}/oauth2/token",
    fields=(
        ORGANISATION,
        Field(name="grant_type", slot="grant_type", required=True),
        Field(name="client_id", slot="client_id", reader="uuid_or_text"),
        Field(name="client_secret", slot="client_secret", reader="secret"),
        Field(name="scope", slot="scope", reader="scope_words", invalid=Code.INVALID_SCOPE),
        Field(
            name="resource",
            slot="resource",
            reader="absolute_uri",
            repeatable=True,
            invalid=Code.INVALID_TARGET,
        ),
    ),
    authentication=ClientAuthentication(),
    exchanges=(
        Exchange(
            grant_type=CLIENT_CREDENTIALS,
            wire_grant="client_credentials",
            profile=ACCESS,
            kind=CredentialKind.CLIENT_SECRET,
            owner="client_id",
            secret="client_secret",
        ),
    ),
    answer=Answer(
        Shape(
            (
                Member("access_token", "access_token", "reveal"),
                Constant("token_type", "Bearer"),
                Member("expires_in", "lifetime", "seconds"),
                Member("scope", "scope", "words", optional=True),
            )
        )
    ),
)

_METADATA = (
    Member("issuer", "issuer"),
    Member("token_endpoint", "url.token"),
    Member("jwks_uri", "url.jwks"),
    Constant("response_types_supported", []),
    Constant("grant_types_supported", ["client_credentials"]),
    Constant("token_endpoint_auth_methods_supported", ["client_secret_basic", "client_secret_post"]),
)

METADATA = Route(
    name="metadata",
    method="GET",
    path="/.well-known/oauth-authorization-server/o/{organisation}",
    aliases=("/o/{organisation}/.well-known/oauth-authorization-server",),
    fields=(ORGANISATION,),
    document=Document("metadata"),
    answer=Answer(Shape(_METADATA)),
)

DISCOVERY = Route(
    name="discovery",
    method="GET",
    path="/o/{organisation}/.well-known/openid-configuration",
    aliases=("/.well-known/openid-configuration/o/{organisation}",),
    fields=(ORGANISATION,),
    document=Document("metadata"),
    answer=Answer(
        Shape(
            (
                *_METADATA,
                Constant("subject_types_supported", ["public"]),
                Member("id_token_signing_alg_values_supported", "algorithms", "list"),
            )
        )
    ),
)

JWKS = Route(
    name="jwks",
    method="GET",
    path="/o/{organisation}/.well-known/jwks.json",
    fields=(ORGANISATION,),
    document=Document("jwks"),
    answer=Answer(Shape((Member("keys", "keys"),))),
)

_CHALLENGE = (("WWW-Authenticate", 'Basic realm="token endpoint", charset="UTF-8"'),)

REFUSALS = Refusals(
    shape=Shape(
        (
            Member("error", "code"),
            Member("error_description", "description", optional=True),
        )
    ),
    rows={
        Code.INVALID_REQUEST: RefusalRow(400, "invalid_request"),
        Code.INVALID_CLIENT: RefusalRow(401, "invalid_client", _CHALLENGE),
        Code.INVALID_GRANT: RefusalRow(400, "invalid_grant"),
        Code.INVALID_SCOPE: RefusalRow(400, "invalid_scope"),
        Code.INVALID_TARGET: RefusalRow(400, "invalid_target"),
        Code.UNAUTHORIZED_CLIENT: RefusalRow(400, "unauthorized_client"),
        Code.UNSUPPORTED_GRANT_TYPE: RefusalRow(400, "unsupported_grant_type"),
        Code.NOT_FOUND: RefusalRow(404, "not_found"),
        Code.METHOD_NOT_ALLOWED: RefusalRow(405, "invalid_request"),
        Code.TOO_LARGE: RefusalRow(413, "invalid_request"),
        Code.UNSUPPORTED_MEDIA_TYPE: RefusalRow(415, "invalid_request"),
        Code.SLOW_DOWN: RefusalRow(429, "slow_down"),
        Code.TEMPORARILY_UNAVAILABLE: RefusalRow(503, "temporarily_unavailable"),
        Code.SERVER_ERROR: RefusalRow(500, "server_error"),
    },
)

SETTINGS = (
    algorithm_setting(ACCESS.algorithm),
    lifetime_setting(ACCESS.lifetime_seconds, minimum=10, maximum=86_400),
)

DEMO = DemoEntry(
    fixture=ClientFixture(name="oauth2 demo", grants=("client_credentials",), scopes=("read", "write")),
    members=Shape(
        (
            Member("issuer", "issuer"),
            Member("token_endpoint", "url.token"),
            Member("jwks_uri", "url.jwks"),
            Member("client_id", "client.id"),
            Member("client_secret", "client.secret", "reveal"),
            Member("scopes", "client.scopes", "list"),
            Member("audience", "client.audience"),
        )
    ),
    curl="curl -s -u {client_id}:{client_secret} -d grant_type=client_credentials {token_endpoint}",
)

SAMPLES = (
    Sample(
        name="client credentials with HTTP Basic",
        route="token",
        headers=(("Authorization", "{basic}"), ("Content-Type", "application/x-www-form-urlencoded")),
        body="grant_type=client_credentials&scope=read",
        status=200,
        answer={"access_token": "<jwt>", "token_type": "Bearer", "expires_in": 600, "scope": "read"},
    ),
    Sample(
        name="client credentials in the body",
        route="token",
        headers=(("Content-Type", "application/x-www-form-urlencoded"),),
        body="grant_type=client_credentials&client_id={client_id:form}&client_secret={client_secret:form}",
        status=200,
        answer={"access_token": "<jwt>", "token_type": "Bearer", "expires_in": 600, "scope": "read write"},
    ),
    Sample(
        name="wrong secret",
        route="token",
        headers=(("Content-Type", "application/x-www-form-urlencoded"),),
        body="grant_type=client_credentials&client_id={client_id:form}&client_secret=wrong",
        status=401,
        answer={"error": "invalid_client"},
    ),
    Sample(
        name="a grant nobody knows",
        route="token",
        headers=(("Authorization", "{basic}"), ("Content-Type", "application/x-www-form-urlencoded")),
        body="grant_type=telepathy",
        status=400,
        answer={"error": "unsupported_grant_type", "error_description": "grant_type is not supported"},
    ),
)

DIALECT = Dialect(
    name="oauth2",
    title="OAuth 2.0",
    routes=(TOKEN, METADATA, DISCOVERY, JWKS),
    refusals=REFUSALS,
    settings=SETTINGS,
    demo=DEMO,
    samples=SAMPLES,
)
