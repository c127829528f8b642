"""Sahamati Token Service: a user looks after an entity's secret, and the secret gives entity tokens.

    POST /iam/v1/entity/token/generate
    id=FIU-ACME&secret=...

    200 {"ver": "1.0.0", "timestamp": "2026-11-01T12:00:00.250Z", "txnId": "<uuid>", "accessToken": "<jwt>",
         "expiresIn": 86400, "tokenType": "Bearer", "refreshExpiresIn": 0, "notBeforePolicy": 0,
         "scope": "email microprofile-jwt profile address phone offline_access"}

A user token (by e-mail address and password) opens ``secret/read`` and ``secret/reset``; who may is a member
with the role ``entity-admin`` who is linked to the entity. ``expiresIn`` is seconds; ``expiresOn`` epoch
seconds, or milliseconds where an organisation says so; ``expirationDate`` the same instant in UTC, without a
zone. Periods, grace and overlap of secrets are an organisation's settings ``policy.entity_secret_*``. Tokens
look like those of the Keycloak realm that members verify against. Knowledge: the vendor's pages and OpenAPI
file, guides and clients of members; checked November 2026.
"""

from keyturn.core.requests import BuiltInClient
from keyturn.core.shapes import Constant, Member, Shape, Switch
from keyturn.core.vocabulary import (
    ENTITY_SECRET,
    PASSWORD,
    SECRETS_READ,
    SECRETS_RESET,
    Code,
    CredentialKind,
    OwnerName,
)
from keyturn.dialects.sahamati.realm import (
    CERTS,
    DISCOVERY,
    ENTITY,
    MEMBERS,
    REALM,
    REALM_INFO,
    REALM_SCOPE,
    REALM_TOKEN,
    USER,
)
from keyturn.dialects.sahamati.samples import DEFAULT, DEMO, GRACE, SAMPLES
from keyturn.wire.tables import (
    BEARER_CHALLENGE,
    JSON,
    Answer,
    Bearer,
    Dialect,
    Exchange,
    Field,
    Operation,
    RefusalRow,
    Refusals,
    Role,
    Route,
    Scope,
    Setting,
    deprecated_setting,
    issuer_setting,
    lifetime_setting,
)


def _paths(path: str) -> tuple[str, ...]:
    """Give the further paths of a call: real ones carry a version, the vendor's pages show none."""
    return f"/iam{path}", path


ENVELOPE = (Constant("ver", "1.0.0"), Member("timestamp", "now", "iso_millis"))

TOKEN = Answer(
    Shape(
        (
            *ENVELOPE,
            Member("txnId", "request_id"),
            Member("accessToken", "access_token", "reveal"),
            Member("expiresIn", "lifetime", "seconds"),
            Constant("tokenType", "Bearer"),
            Constant("refreshExpiresIn", 0),
            Constant("notBeforePolicy", 0),
            Constant("scope", REALM_SCOPE),
            Member("message", "notice", optional=True),
        )
    )
)

USER_TOKEN = Route(
    name="user_token",
    path="/iam/v1/user/token/generate",
    aliases=_paths("/user/token/generate"),
    fields=(
        Field(name="username", slot="email", reader="email", required=True, invalid=Code.INVALID_GRANT),
        Field(name="password", slot="password", reader="secret", required=True),
    ),
    exchanges=(
        Exchange(
            grant_type=PASSWORD,
            profile=USER,
            kind=CredentialKind.PASSWORD,
            secret=("password",),
            owner="email",
            named=OwnerName.EMAIL,
            client=BuiltInClient(id="token-service"),
        ),
    ),
    answer=TOKEN,
)
ENTITY_TOKEN = Route(
    name="entity_token",
    path="/iam/v1/entity/token/generate",
    aliases=_paths("/entity/token/generate"),
    fields=(
        Field(name="id", slot="entity_id", required=True),
        Field(name="secret", slot="secret", reader="secret", required=True),
    ),
    exchanges=(
        Exchange(
            grant_type=ENTITY_SECRET,
            profile=ENTITY,
            kind=CredentialKind.ENTITY_SECRET,
            secret=("secret",),
            owner="entity_id",
            named=OwnerName.ENTITY_ID,
            client=MEMBERS,
        ),
    ),
    answer=TOKEN,
)

SECRET = Answer(
    Shape(
        (
            *ENVELOPE,
            Member("txnId", "request.txn_id"),
            Member("entityId", "entity.id"),
            Member("secret", "secret", "reveal"),
            Switch(
                "expiresOn",
                "setting.expires_on_unit",
                {
                    "s": Member("expiresOn", "expires_at", "epoch_seconds"),
                    "ms": Member("expiresOn", "expires_at", "epoch_millis"),
                },
            ),
            Member("expirationDate", "expires_at", "local_iso_millis"),
            Member("message", "notice", optional=True),
        )
    )
)


def _secret_route(verb: str, permission: str) -> Route:
    return Route(
        name=f"secret_{verb}",
        path=f"/iam/v1/entity/secret/{verb}",
        aliases=_paths(f"/entity/secret/{verb}"),
        media=(JSON,),
        fields=(
            Field(name="ver", slot="version", required_by="strict_envelope"),
            Field(name="timestamp", slot="sent_at", reader="date_time", required_by="strict_envelope"),
            Field(name="txnId", slot="txn_id", required=True, longest=256, echo=True),
            Field(name="entityId", slot="entity_id", required=True),
            Field(name="secretExpiryDays", slot="period_days", reader="integer", minimum=1),
        ),
        bearer=Bearer(accepts=(USER,), bare=True, permission=permission),
        operation=Operation(name=f"secrets.{verb}"),
        answer=SECRET,
    )


SECRET_READ = _secret_route("read", SECRETS_READ)
SECRET_RESET = _secret_route("reset", SECRETS_RESET)

_UNAUTHORIZED = RefusalRow(401, "Unauthorized", BEARER_CHALLENGE, text="invalid credentials or token")
_BAD_REQUEST = RefusalRow(400, "Bad Request", unexplained="the request is not valid")
REFUSALS = Refusals(
    shape=Shape(
        (
            *ENVELOPE,
            Member("txnId", "request.txn_id", otherwise="request_id"),
            Member("errorCode", "code"),
            Member("errorMsg", "text"),
        )
    ),
    rows={
        Code.INVALID_REQUEST: _BAD_REQUEST,
        Code.INVALID_CLIENT: _UNAUTHORIZED,
        Code.INVALID_GRANT: _UNAUTHORIZED,
        Code.INVALID_TOKEN: _UNAUTHORIZED,
        Code.INSUFFICIENT_SCOPE: _UNAUTHORIZED,
        Code.INVALID_SCOPE: _BAD_REQUEST,
        Code.INVALID_TARGET: _BAD_REQUEST,
        Code.UNAUTHORIZED_CLIENT: _UNAUTHORIZED,
        Code.UNSUPPORTED_GRANT_TYPE: _BAD_REQUEST,
        Code.CONFLICT: RefusalRow(409, "Conflict"),
        Code.NOT_FOUND: RefusalRow(404, "Not Found", text="nothing here"),
        Code.METHOD_NOT_ALLOWED: RefusalRow(405, "Method Not Allowed"),
        Code.TOO_LARGE: RefusalRow(413, "Payload Too Large"),
        Code.UNSUPPORTED_MEDIA_TYPE: _BAD_REQUEST,
        Code.SLOW_DOWN: RefusalRow(429, "Too Many Requests"),
        Code.TEMPORARILY_UNAVAILABLE: RefusalRow(503, "Service Unavailable"),
        Code.SERVER_ERROR: RefusalRow(500, "Internal Server Error", text="something went wrong"),
    },
)

SETTINGS = (
    issuer_setting(REALM),
    Setting(
        name="strict_envelope",
        kind="bool",
        default=True,
        scope=Scope.DEPLOYMENT,
        help="Whether secret calls must bring ver and timestamp beside txnId and entityId.",
    ),
    lifetime_setting(
        ENTITY.lifetime_seconds,
        minimum=60,
        maximum=ENTITY.max_lifetime_seconds,
        help_="How long an entity token lives.",
    ),
    lifetime_setting(
        USER.lifetime_seconds,
        minimum=60,
        maximum=USER.max_lifetime_seconds,
        name=USER.lifetime_setting,
        help_="How long a user token lives.",
    ),
    Setting(
        name="expires_on_unit",
        kind="str",
        default="s",
        scope=Scope.ORGANISATION,
        choices=("s", "ms"),
        help="Whether expiresOn is epoch seconds or milliseconds.",
    ),
    deprecated_setting(),
)

DIALECT = Dialect(
    name="sahamati",
    title="Sahamati Token Service",
    routes=(
        USER_TOKEN,
        ENTITY_TOKEN,
        SECRET_READ,
        SECRET_RESET,
        REALM_TOKEN,
        CERTS,
        REALM_INFO,
        DISCOVERY,
    ),
    refusals=REFUSALS,
    settings=SETTINGS,
    roles=(Role(name="entity-admin", title="entity-admin", permissions=(SECRETS_READ, SECRETS_RESET)),),
    notices={"grace": GRACE, "default_period": DEFAULT},
    demo=DEMO,
    samples=SAMPLES,
)
