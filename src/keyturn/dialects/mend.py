"""Mend SCA API 2.0: an e-mail address and a user key for a token of 10 minutes and of one organisation.

    POST /api/v2.0/login
    {"email": "jon@acme.example", "orgToken": "<UUID or API key>", "userKey": "..."}

    200 {"supportToken": "1171c60d", "retVal": {"correlationId": "<uuid>", "userUuid": "<uuid>",
         "userName": "Jon", "email": "jon@acme.example", "refreshToken": "...", "jwtToken": "<jwt>",
         "orgName": "Acme", "orgUuid": "<uuid>"}}

The refresh token goes into the header ``wss-refresh-token`` of ``POST /api/v2.0/login/accessToken``, whose
answer has the same members but is flat. No answer tells a lifetime: callers read ``exp``, in whole seconds. A
401 has no ``retVal``, by which callers know that they must log in again; every other refusal has one.
Knowledge: the vendor's pages on login, refresh and organisations, and its published scripts, checked
November 2026.
"""

from keyturn.core.profile import TokenProfile
from keyturn.core.requests import BuiltInClient
from keyturn.core.shapes import Each, Member, Shape
from keyturn.core.vocabulary import (
    CHANGE_ORGANISATION,
    REFRESH_TOKEN,
    USER_KEY,
    Code,
    CredentialKind,
    OwnerName,
)
from keyturn.wire.tables import (
    FORM,
    INVALID_TOKEN_CHALLENGE,
    JSON,
    TEXT,
    Answer,
    Bearer,
    DemoEntry,
    Dialect,
    Exchange,
    Field,
    Operation,
    RefusalRow,
    Refusals,
    Route,
    Sample,
    Source,
    UserFixture,
    algorithm_setting,
    lifetime_setting,
    refresh_settings,
)

ACCESS = TokenProfile(
    kind="mend.access",
    dialect="mend",
    lifetime_seconds=600,
    max_lifetime_seconds=3_600,
    refresh_lifetime_seconds=86_400,
    always_refreshable=True,
    refresh_mode_setting="refresh",
    claims=Shape((Member("userUuid", "user.id"), Member("orgUuid", "organisation.id"))),
)

CALLER = BuiltInClient(id="mend")
"""The contract knows users only."""


def _session(prefix: str = "") -> tuple[Member, ...]:
    """Give the members that every answer with a token has."""
    return (
        Member(prefix + "correlationId", "request_id"),
        Member(prefix + "userUuid", "user.id"),
        Member(prefix + "userName", "user.name"),
        Member(prefix + "email", "user.email"),
        Member(prefix + "refreshToken", "refresh_token", "reveal"),
        Member(prefix + "jwtToken", "access_token", "reveal"),
        Member(prefix + "orgName", "organisation.name"),
        Member(prefix + "orgUuid", "organisation.id"),
    )


_SUPPORT = Member("supportToken", "request_id", "short_id")
_WRAPPED = Answer(Shape((_SUPPORT, *_session("retVal."))))
_FLAT = Answer(Shape(_session()))

LOGIN = Route(
    name="login",
    path="/api/v2.0/login",
    media=(JSON,),
    media_optional=True,
    fields=(
        Field(name="email", slot="email", required=True),
        Field(name="userKey", slot="user_key", reader="secret", required=True),
        Field(name="orgToken", slot="wanted", reader="uuid_or_text", nullable=True),
        # One script of the vendor's sends the organisation under this name.
        Field(name="apiKey", slot="wanted", reader="uuid_or_text", nullable=True, spare=True),
    ),
    exchanges=(
        Exchange(
            grant_type=USER_KEY,
            profile=ACCESS,
            kind=CredentialKind.USER_KEY,
            secret=("user_key",),
            owner="email",
            named=OwnerName.EMAIL,
            organisation="wanted",
            client=CALLER,
            absent=Code.INVALID_REQUEST,
        ),
    ),
    answer=_WRAPPED,
)

REFRESH = Route(
    name="refresh",
    path="/api/v2.0/login/accessToken",
    # There is nothing to read in a body; callers send none, or ``{}`` under the type that their tool declares
    # unasked: curl a form, fetch plain text.
    media=(JSON, FORM, TEXT),
    media_optional=True,
    media_ignored_when_empty=True,
    fields=(
        Field(
            name="wss-refresh-token",
            slot="refresh_token",
            source=Source.HEADER,
            reader="secret",
            required=True,
        ),
    ),
    exchanges=(
        Exchange(
            grant_type=REFRESH_TOKEN,
            profile=ACCESS,
            kind=CredentialKind.REFRESH_TOKEN,
            secret=("refresh_token",),
            client=CALLER,
            absent=Code.INVALID_REQUEST,
        ),
    ),
    answer=_FLAT,
)

_ORGANISATION = Field(name="orgToken", slot="id", source=Source.PATH, reader="uuid_or_text")

CHANGE = Route(
    name="change",
    method="GET",
    path="/api/v2.0/orgs/{orgToken}/changeOrganization/{otherOrgToken}",
    fields=(
        _ORGANISATION,
        Field(name="otherOrgToken", slot="wanted", source=Source.PATH, reader="uuid_or_text"),
    ),
    bearer=Bearer(accepts=(ACCESS,), organisation="id"),
    exchanges=(
        Exchange(
            grant_type=CHANGE_ORGANISATION,
            profile=ACCESS,
            kind=CredentialKind.ACCESS_TOKEN,
            named=OwnerName.SECRET,
            organisation="wanted",
            client=CALLER,
            absent=Code.INVALID_TOKEN,
        ),
    ),
    answer=_WRAPPED,
)

ORGANISATIONS = Route(
    name="organisations",
    method="GET",
    path="/api/v2.0/orgs",
    fields=(
        Field(
            name="pageSize",
            slot="limit",
            source=Source.QUERY,
            reader="integer",
            minimum=1,
            maximum=1_000,
            default=50,
        ),
        Field(name="page", slot="page", source=Source.QUERY, reader="integer", minimum=0),
        Field(name="name", slot="name", source=Source.QUERY),
        Field(name="sort", slot="sort", source=Source.QUERY, choices=("name", "-name")),
    ),
    bearer=Bearer(accepts=(ACCESS,)),
    operation=Operation(name="organisations.list"),
    answer=Answer(
        Shape(
            (
                _SUPPORT,
                Each(
                    "retVal", "organisations", Shape((Member("uuid", "item.id"), Member("name", "item.name")))
                ),
                Member("additionalData.totalItems", "total"),
                Member("additionalData.isLastPage", "last_page"),
            )
        )
    ),
)

ORGANISATION = Route(
    name="organisation",
    method="GET",
    path="/api/v2.0/orgs/{orgToken}",
    fields=(_ORGANISATION,),
    bearer=Bearer(accepts=(ACCESS,), organisation="id"),
    operation=Operation(name="organisations.show"),
    answer=Answer(
        Shape(
            (
                _SUPPORT,
                Member("retVal.uuid", "organisation.id"),
                Member("retVal.name", "organisation.name"),
            )
        )
    ),
)

_BAD_REQUEST = RefusalRow(400, "Bad Request")
_LOGIN_FAILED = RefusalRow(403, "Login failed", text="Login failed")
_FORBIDDEN = RefusalRow(403, "Forbidden", text="Access to the organization is denied")

REFUSALS = Refusals(
    shape=Shape((_SUPPORT, Member("retVal.errorMessage", "text", optional=True))),
    rows={
        Code.INVALID_REQUEST: _BAD_REQUEST,
        Code.INVALID_CLIENT: _LOGIN_FAILED,
        Code.INVALID_GRANT: _LOGIN_FAILED,
        Code.INVALID_SCOPE: _LOGIN_FAILED,
        Code.INVALID_TARGET: _LOGIN_FAILED,
        Code.UNAUTHORIZED_CLIENT: _LOGIN_FAILED,
        Code.UNSUPPORTED_GRANT_TYPE: _BAD_REQUEST,
        Code.INVALID_TOKEN: RefusalRow(401, "Unauthorized", INVALID_TOKEN_CHALLENGE, text=None),
        Code.INSUFFICIENT_SCOPE: _FORBIDDEN,
        Code.NOT_FOUND: RefusalRow(404, "Not Found", text="Not found"),
        Code.CONFLICT: RefusalRow(409, "Conflict"),
        Code.METHOD_NOT_ALLOWED: RefusalRow(405, "Method Not Allowed"),
        Code.TOO_LARGE: RefusalRow(413, "Content Too Large"),
        Code.UNSUPPORTED_MEDIA_TYPE: RefusalRow(415, "Unsupported Media Type"),
        Code.SLOW_DOWN: RefusalRow(429, "Too Many Requests"),
        Code.TEMPORARILY_UNAVAILABLE: RefusalRow(503, "Service Unavailable"),
        Code.SERVER_ERROR: RefusalRow(500, "Internal Server Error", text="Internal error"),
    },
)

SETTINGS = (
    algorithm_setting(ACCESS.algorithm),
    lifetime_setting(ACCESS.lifetime_seconds, minimum=60, maximum=ACCESS.max_lifetime_seconds),
    *refresh_settings(ACCESS),
)

DEMO = DemoEntry(
    fixtures=(
        UserFixture(
            key="user",
            name="mend",
            email="mend.user@{slug}.example",
            user_key=True,
            elsewhere=True,
        ),
        UserFixture(key="service", name="mend-service", service=True, user_key=True),
    ),
    members=Shape(
        (
            Member("login_url", "url.login"),
            Member("refresh_url", "url.refresh"),
            Member("jwks_uri", "issuer.jwks"),
            Member("email", "user.email"),
            Member("user_key", "user.user_key", "reveal"),
            Member("org_token", "organisation.api_key"),
            Member("org_uuid", "organisation.id"),
            Member("org_name", "organisation.name"),
            Member("service_user.email", "service.email"),
            Member("service_user.user_key", "service.user_key", "reveal"),
        )
    ),
    curl=(
        "curl -s {login_url} -H 'Content-Type: application/json' "
        '-d \'{{"email": "{email}", "orgToken": "{org_token}", "userKey": "{user_key}"}}\''
    ),
)

_HEADERS = (("Content-Type", JSON), ("Accept", JSON))
_BEARER = (("Authorization", "Bearer {answer.retVal.jwtToken}"), ("Accept", JSON))
_SESSION = {
    "correlationId": "<uuid>",
    "userUuid": "<uuid>",
    "userName": "<text>",
    "email": "mend.user@acme.example",
    "refreshToken": "<text>",
    "jwtToken": "<jwt>",
    "orgName": "Acme",
    "orgUuid": "<uuid>",
}
_REFUSED = {"supportToken": "<text>", "retVal": {"errorMessage": "Login failed"}}

SAMPLES = (
    Sample(
        name="login",
        route="login",
        headers=_HEADERS,
        body='{"email": "{email}", "orgToken": "{org_uuid}", "userKey": "{user_key}"}',
        status=200,
        answer={"supportToken": "<text>", "retVal": _SESSION},
    ),
    Sample(
        name="login without an organisation",
        route="login",
        headers=_HEADERS,
        body='{"email": "{email}", "userKey": "{user_key}"}',
        status=200,
        answer={"supportToken": "<text>", "retVal": _SESSION},
    ),
    Sample(
        name="wrong user key",
        route="login",
        headers=_HEADERS,
        body='{"email": "{email}", "orgToken": "{org_uuid}", "userKey": "wrong"}',
        status=403,
        answer=_REFUSED,
    ),
    Sample(
        name="missing user key",
        route="login",
        headers=_HEADERS,
        body='{"email": "{email}"}',
        status=400,
        answer={"supportToken": "<text>", "retVal": {"errorMessage": "userKey is required"}},
    ),
    Sample(
        name="refresh",
        route="refresh",
        after="login",
        headers=(("wss-refresh-token", "{answer.retVal.refreshToken}"), ("Accept", JSON)),
        status=200,
        answer=_SESSION,
    ),
    Sample(
        name="unknown refresh token",
        route="refresh",
        headers=(("wss-refresh-token", "wrong"), ("Accept", JSON)),
        status=403,
        answer=_REFUSED,
    ),
    Sample(
        name="organisations of the caller",
        route="organisations",
        after="login",
        headers=_BEARER,
        query="pageSize=1&sort=-name",
        status=200,
        answer={
            "supportToken": "<text>",
            "retVal": [{"uuid": "<uuid>", "name": "Globex"}],
            "additionalData": {"totalItems": 2, "isLastPage": False},
        },
    ),
    Sample(
        name="expired or invalid token",
        route="organisations",
        headers=(("Authorization", "Bearer wrong"), ("Accept", JSON)),
        status=401,
        answer={"supportToken": "<text>"},
    ),
    Sample(
        name="one organisation",
        route="organisation",
        after="login",
        headers=_BEARER,
        path={"orgToken": "{org_token}"},
        status=200,
        answer={"supportToken": "<text>", "retVal": {"uuid": "<uuid>", "name": "Acme"}},
    ),
    Sample(
        name="another organisation than the token's",
        route="organisation",
        after="login",
        headers=_BEARER,
        path={"orgToken": "4b3c4a0e-6a1c-4a52-8a26-1f4f1e1c9a10"},
        status=403,
        answer={
            "supportToken": "<text>",
            "retVal": {"errorMessage": "Access to the organization is denied"},
        },
    ),
    Sample(
        name="change of organisation",
        route="change",
        after="login",
        headers=_BEARER,
        path={"orgToken": "{org_token}", "otherOrgToken": "{org_uuid}"},
        status=200,
        answer={"supportToken": "<text>", "retVal": _SESSION},
    ),
    Sample(
        name="change to an organisation that is none of the user's",
        route="change",
        after="login",
        headers=_BEARER,
        path={"orgToken": "{org_token}", "otherOrgToken": "4b3c4a0e-6a1c-4a52-8a26-1f4f1e1c9a10"},
        status=403,
        answer=_REFUSED,
    ),
)

DIALECT = Dialect(
    name="mend",
    title="Mend SCA API 2.0",
    routes=(LOGIN, REFRESH, CHANGE, ORGANISATIONS, ORGANISATION),
    refusals=REFUSALS,
    settings=SETTINGS,
    demo=DEMO,
    samples=SAMPLES,
)
