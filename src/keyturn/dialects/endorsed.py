"""Endorsed: a client id and secret for a token of 14 days, by form or JSON.

    POST /api/v1/auth/tokens
    {"client_id": "<uuid>", "client_secret": "...", "grant_type": "client_credentials", "scope": ["all:read"]}

    200 {"is_error": false, "access_token": "<jwt>", "token_type": "Bearer",
         "expires_in": "1209600", "scope": ["all:read"]}

``expires_in`` is a string of whole seconds and ``scope`` an array, both unlike RFC 6749. On purpose unlike
the vendor's sample token: an asymmetric signature, ``exp`` is really ``iat`` plus the lifetime, and there
are standard claims beside ``data``. Knowledge: the vendor's page on access tokens, checked November 2026.
"""

from keyturn.core.profile import TokenProfile
from keyturn.core.shapes import Constant, Each, Member, Shape
from keyturn.core.vocabulary import CLIENT_CREDENTIALS, Code
from keyturn.wire.tables import (
    BASIC_CHALLENGE,
    FORM,
    JSON,
    Answer,
    ClientAuthentication,
    ClientFixture,
    Conflict,
    DemoEntry,
    Dialect,
    Exchange,
    Field,
    RefusalRow,
    Refusals,
    Route,
    Sample,
    algorithm_setting,
    lifetime_setting,
)

ACCESS = TokenProfile(
    kind="endorsed.access",
    dialect="endorsed",
    lifetime_seconds=14 * 86_400,
    max_lifetime_seconds=30 * 86_400,
    claims=Shape((Member("data.client_id", "client.id"), Member("data.scope", "scope", "list"))),
)

TOKENS = Route(
    name="tokens",
    path="/api/v1/auth/tokens",
    media=(FORM, JSON),
    media_optional=True,
    fields=(
        Field(name="client_id", slot="client_id", reader="uuid_or_text", required=True),
        Field(name="client_secret", slot="client_secret", reader="secret", required=True),
        Field(name="grant_type", slot="grant_type", required=True),
        Field(name="scope", slot="scope", reader="scope_words", json_reader="scope_list"),
    ),
    authentication=ClientAuthentication(conflict=Conflict.MUST_AGREE, other_schemes_refused=False),
    exchanges=(
        Exchange(
            grant_type=CLIENT_CREDENTIALS,
            wire_grant="client_credentials",
            profile=ACCESS,
        ),
    ),
    answer=Answer(
        Shape(
            (
                Constant("is_error", value=False),
                Member("access_token", "access_token", "reveal"),
                Constant("token_type", "Bearer"),
                Member("expires_in", "lifetime", "second_digits"),
                Member("scope", "scope", "list"),
            )
        )
    ),
)

_BAD_REQUEST = RefusalRow(400, "BAD_REQUEST")
_UNAUTHENTICATED = RefusalRow(401, "UNAUTHENTICATED", BASIC_CHALLENGE)

REFUSALS = Refusals(
    shape=Shape(
        (
            Constant("is_error", value=True),
            Member("error.code", "code"),
            Each("error.issues", "issues", Shape((Member("message", "item"),))),
        )
    ),
    rows={
        Code.INVALID_REQUEST: _BAD_REQUEST,
        Code.INVALID_CLIENT: _UNAUTHENTICATED,
        Code.INVALID_GRANT: _UNAUTHENTICATED,
        Code.INVALID_SCOPE: _BAD_REQUEST,
        Code.INVALID_TARGET: _BAD_REQUEST,
        Code.UNAUTHORIZED_CLIENT: RefusalRow(403, "FORBIDDEN"),
        Code.UNSUPPORTED_GRANT_TYPE: _BAD_REQUEST,
        Code.NOT_FOUND: RefusalRow(404, "NOT_FOUND"),
        Code.METHOD_NOT_ALLOWED: RefusalRow(405, "METHOD_NOT_ALLOWED"),
        Code.TOO_LARGE: RefusalRow(413, "PAYLOAD_TOO_LARGE"),
        Code.UNSUPPORTED_MEDIA_TYPE: RefusalRow(415, "UNSUPPORTED_MEDIA_TYPE"),
        Code.SLOW_DOWN: RefusalRow(429, "TOO_MANY_REQUESTS"),
        Code.TEMPORARILY_UNAVAILABLE: RefusalRow(503, "SERVICE_UNAVAILABLE"),
        Code.SERVER_ERROR: RefusalRow(500, "INTERNAL_SERVER_ERROR"),
    },
)

SETTINGS = (
    algorithm_setting(ACCESS.algorithm),
    lifetime_setting(ACCESS.lifetime_seconds, minimum=60, maximum=ACCESS.max_lifetime_seconds),
)

DEMO = DemoEntry(
    fixtures=(
        ClientFixture(name="endorsed demo", grants=("client_credentials",), scopes=("all:read", "all:write")),
    ),
    members=Shape(
        (
            Member("token_url", "url.tokens"),
            Member("jwks_uri", "issuer.jwks"),
            Member("client_id", "client.id"),
            Member("client_secret", "client.secret", "reveal"),
            Member("scopes", "client.scopes", "list"),
        )
    ),
    curl=(
        "curl -s {token_url} --data-urlencode client_id={client_id} "
        "--data-urlencode client_secret={client_secret} --data-urlencode grant_type=client_credentials"
    ),
)

_JSON = (("Content-Type", "application/json"), ("Accept", "application/json"))
_FORM = (("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json"))
_GRANTED = {
    "is_error": False,
    "access_token": "<jwt>",
    "token_type": "Bearer",
    "expires_in": "1209600",
    "scope": ["all:read", "all:write"],
}

SAMPLES = (
    Sample(
        name="form",
        route="tokens",
        headers=_FORM,
        body=(
            "client_id={client_id:form}&client_secret={client_secret:form}"
            "&grant_type=client_credentials&scope=all%3Aread%20all%3Awrite"
        ),
        status=200,
        answer=_GRANTED,
    ),
    Sample(
        name="JSON",
        route="tokens",
        headers=_JSON,
        body=(
            '{"client_id": "{client_id}", "client_secret": "{client_secret}", '
            '"grant_type": "client_credentials", "scope": ["all:read", "all:write"]}'
        ),
        status=200,
        answer=_GRANTED,
    ),
    Sample(
        name="several bad fields, one issue each",
        route="tokens",
        headers=_JSON,
        body='{"client_id": 7, "client_secret": "x", "scope": "all:read"}',
        status=400,
        answer={
            "is_error": True,
            "error": {
                "code": "BAD_REQUEST",
                "issues": [
                    {"message": "client_id must be a string"},
                    {"message": "grant_type is required"},
                    {"message": "scope must be an array of strings"},
                ],
            },
        },
    ),
    Sample(
        name="wrong secret",
        route="tokens",
        headers=_FORM,
        body="client_id={client_id:form}&client_secret=wrong&grant_type=client_credentials",
        status=401,
        answer={
            "is_error": True,
            "error": {"code": "UNAUTHENTICATED", "issues": [{"message": "Unauthorized"}]},
        },
    ),
)

DIALECT = Dialect(
    name="endorsed",
    title="Endorsed",
    routes=(TOKENS,),
    refusals=REFUSALS,
    settings=SETTINGS,
    demo=DEMO,
    samples=SAMPLES,
)
