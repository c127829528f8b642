"""Standard OAuth 2.0: RFC 6749 with RFC 8414 metadata, RFC 8707 resources and RFC 9068 access tokens.

    POST /o/acme/oauth2/token
    Authorization: Basic <client id>:<client secret>
    grant_type=client_credentials&scope=read

    200 {"access_token": "<jwt>", "token_type": "Bearer", "expires_in": 600, "scope": "read"}

``expires_in`` is whole seconds; ``scope`` is always there, since what is granted may be less than what the
client is used to. Passwords (RFC 6749 section 4.3) are for legacy callers: only where an organisation allows
them, for clients that have the grant. Knowledge: the RFCs named, checked November 2026.
"""

from keyturn.core.profile import TokenProfile
from keyturn.core.shapes import Constant, Member, Shape, Switch
from keyturn.core.vocabulary import (
    CLIENT_CREDENTIALS,
    OFFLINE_ACCESS,
    PASSWORD,
    REFRESH_TOKEN,
    Code,
    CredentialKind,
    OwnerName,
)
from keyturn.core.vocabulary import (
    INTROSPECT as MAY_INTROSPECT,
)
from keyturn.wire.tables import (
    BASIC_CHALLENGE,
    Answer,
    ClientAuthentication,
    ClientFixture,
    DemoEntry,
    Dialect,
    Document,
    Exchange,
    Field,
    Operation,
    RefusalRow,
    Refusals,
    Route,
    Sample,
    Scope,
    Setting,
    Source,
    UserFixture,
    algorithm_setting,
    lifetime_setting,
    password_setting,
    refresh_settings,
)

ACCESS = TokenProfile(
    kind="oauth2.access",
    dialect="oauth2",
    header_type="at+jwt",
    lifetime_seconds=600,
    max_lifetime_seconds=86_400,
    refresh_lifetime_seconds=30 * 86_400,
    claims=Shape((Member("client_id", "client.id"), Member("scope", "scope", "words", optional=True))),
)

ORGANISATION = Field(name="organisation", slot="organisation", source=Source.PATH)

CLIENT = (
    Field(name="client_id", slot="client_id", reader="uuid_or_text"),
    Field(name="client_secret", slot="client_secret", reader="secret"),
    Field(name="client_assertion", slot="client_assertion", reader="secret"),
    Field(name="client_assertion_type", slot="client_assertion_type", reader="jwt_bearer"),
)

CLIENT_METHODS = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
"""How a client may say who it is, at every route that asks."""

ASSERTION_ALGORITHMS = ["ES256", "RS256", "EdDSA", "Ed25519"]
"""What a client may sign assertions with; the last two are one, by two names (RFC 8037, RFC 9864)."""

ABOUT_TOKEN = (
    ORGANISATION,
    *CLIENT,
    Field(name="token", slot="token", reader="secret", required=True),
    Field(name="token_type_hint", slot="token_type_hint"),
)

TOKEN = Route(
    name="token",
    path="/o/{organisation}/oauth2/token",
    fields=(
        ORGANISATION,
        Field(name="grant_type", slot="grant_type", required=True),
        *CLIENT,
        Field(name="refresh_token", slot="refresh_token", reader="secret"),
        Field(name="username", slot="username"),
        Field(name="password", slot="password", reader="secret"),
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
        ),
        Exchange(
            grant_type=REFRESH_TOKEN,
            wire_grant="refresh_token",
            profile=ACCESS,
            kind=CredentialKind.REFRESH_TOKEN,
            secret=("refresh_token",),
            absent=Code.INVALID_REQUEST,
        ),
        Exchange(
            grant_type=PASSWORD,
            wire_grant="password",
            profile=ACCESS,
            kind=CredentialKind.PASSWORD,
            secret=("password",),
            owner="username",
            named=OwnerName.USER_NAME,
            absent=Code.INVALID_REQUEST,
            deprecated=True,
        ),
    ),
    answer=Answer(
        Shape(
            (
                Member("access_token", "access_token", "reveal"),
                Constant("token_type", "Bearer"),
                Member("expires_in", "lifetime", "seconds"),
                Member("refresh_token", "refresh_token", "reveal", optional=True),
                Member("scope", "scope", "words", optional=True),
            )
        )
    ),
)

INTROSPECT = Route(
    name="introspect",
    path="/o/{organisation}/oauth2/introspect",
    fields=(*ABOUT_TOKEN,),
    authentication=ClientAuthentication(),
    operation=Operation(name="introspect", accepts=(ACCESS,)),
    answer=Answer(
        Shape(
            (
                Member("active", "active"),
                Member("scope", "scope", "words", optional=True),
                Member("client_id", "client.id", optional=True),
                Member("username", "username", optional=True),
                Member("token_type", "token_type", optional=True),
                Member("exp", "expires_at", "epoch_seconds", optional=True),
                Member("iat", "issued_at", "epoch_seconds", optional=True),
                Member("sub", "subject", optional=True),
                Member("aud", "audience", "one_or_list", optional=True),
                Member("iss", "issuer", optional=True),
                Member("jti", "token_id", optional=True),
            )
        )
    ),
)

REVOKE = Route(
    name="revoke",
    path="/o/{organisation}/oauth2/revoke",
    fields=(*ABOUT_TOKEN,),
    authentication=ClientAuthentication(),
    operation=Operation(name="revoke", accepts=(ACCESS,)),
    answer=Answer(Shape(())),
)

_GRANTS = ["client_credentials", "refresh_token"]
_METADATA = (
    Member("issuer", "issuer"),
    Member("token_endpoint", "url.token"),
    Member("jwks_uri", "url.jwks"),
    Constant("response_types_supported", []),
    Member("introspection_endpoint", "url.introspect"),
    Member("revocation_endpoint", "url.revoke"),
    Switch(
        "grant_types_supported",
        "setting.password_grant",
        {
            "true": Constant("grant_types_supported", [*_GRANTS, "password"]),
            "false": Constant("grant_types_supported", _GRANTS),
        },
    ),
    Constant("token_endpoint_auth_methods_supported", CLIENT_METHODS),
    Constant("token_endpoint_auth_signing_alg_values_supported", ASSERTION_ALGORITHMS),
    Constant("introspection_endpoint_auth_methods_supported", CLIENT_METHODS),
    Constant("introspection_endpoint_auth_signing_alg_values_supported", ASSERTION_ALGORITHMS),
    Constant("revocation_endpoint_auth_methods_supported", CLIENT_METHODS),
    Constant("revocation_endpoint_auth_signing_alg_values_supported", ASSERTION_ALGORITHMS),
    Member("status_list_aggregation_endpoint", "status_lists", optional=True),
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

REFUSALS = Refusals(
    shape=Shape(
        (
            Member("error", "code"),
            Member("error_description", "description", optional=True),
        )
    ),
    rows={
        Code.INVALID_REQUEST: RefusalRow(400, "invalid_request"),
        Code.INVALID_CLIENT: RefusalRow(401, "invalid_client", BASIC_CHALLENGE),
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
    *refresh_settings(ACCESS),
    Setting(
        name="assertion_audience",
        kind="str",
        default="issuer",
        scope=Scope.ORGANISATION,
        choices=("issuer", "issuer_or_token_endpoint"),
        help="What a client's signed assertion may name as its audience.",
    ),
    lifetime_setting(ACCESS.lifetime_seconds, minimum=10, maximum=ACCESS.max_lifetime_seconds),
    password_setting(),
)

DEMO = DemoEntry(
    fixtures=(
        ClientFixture(
            name="oauth2 demo",
            grants=("client_credentials", "refresh_token"),
            scopes=("read", "write"),
            unlisted_scopes=(OFFLINE_ACCESS,),
            rights=(MAY_INTROSPECT,),
        ),
        ClientFixture(
            key="public",
            name="oauth2 public demo",
            public=True,
            grants=("password", "refresh_token"),
            scopes=("read", "write"),
            unlisted_scopes=(OFFLINE_ACCESS,),
        ),
        UserFixture(key="user", name="oauth2-user", password=True),
    ),
    members=Shape(
        (
            Member("issuer", "issuer"),
            Member("token_endpoint", "url.token"),
            Member("jwks_uri", "url.jwks"),
            Member("client_id", "client.id"),
            Member("client_secret", "client.secret", "reveal"),
            Member("scopes", "client.scopes", "list"),
            Member("audience", "client.audience"),
            Member("public_client_id", "public.id"),
            Member("username", "user.name"),
            Member("password", "user.password", "reveal"),
        )
    ),
    curl="curl -s -u {client_id}:{client_secret} -d grant_type=client_credentials {token_endpoint}",
    settings={"password_grant": True},
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
        name="client credentials with a refresh token",
        route="token",
        headers=(("Authorization", "{basic}"), ("Content-Type", "application/x-www-form-urlencoded")),
        body="grant_type=client_credentials&scope=read%20offline_access",
        status=200,
        answer={
            "access_token": "<jwt>",
            "token_type": "Bearer",
            "expires_in": 600,
            "refresh_token": "<text>",
            "scope": "read offline_access",
        },
    ),
    Sample(
        name="password of a user",
        route="token",
        headers=(("Content-Type", "application/x-www-form-urlencoded"),),
        body=(
            "grant_type=password&client_id={public_client_id:form}"
            "&username={username:form}&password={password:form}&scope=read"
        ),
        status=200,
        answer={"access_token": "<jwt>", "token_type": "Bearer", "expires_in": 600, "scope": "read"},
    ),
    Sample(
        name="wrong password",
        route="token",
        headers=(("Content-Type", "application/x-www-form-urlencoded"),),
        body=(
            "grant_type=password&client_id={public_client_id:form}&username={username:form}&password=wrong"
        ),
        status=400,
        answer={"error": "invalid_grant"},
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
    Sample(
        name="introspecting what is no token",
        route="introspect",
        headers=(("Authorization", "{basic}"), ("Content-Type", "application/x-www-form-urlencoded")),
        body="token=unknown",
        status=200,
        answer={"active": False},
    ),
    Sample(
        name="revoking what is no token",
        route="revoke",
        headers=(("Authorization", "{basic}"), ("Content-Type", "application/x-www-form-urlencoded")),
        body="token=unknown",
        status=200,
        answer={},
    ),
)

DIALECT = Dialect(
    name="oauth2",
    title="OAuth 2.0",
    routes=(TOKEN, INTROSPECT, REVOKE, METADATA, DISCOVERY, JWKS),
    refusals=REFUSALS,
    settings=SETTINGS,
    demo=DEMO,
    samples=SAMPLES,
)
