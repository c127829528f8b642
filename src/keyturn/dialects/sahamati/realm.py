"""The realm that Sahamati's tokens come from, as a Keycloak shows it: tokens, keys, documents, predecessor.

    POST /auth/realms/sahamati/protocol/openid-connect/token
    Authorization: Basic <entity id : secret>
    grant_type=client_credentials&scope=openid

Members fetch ``<iss>/protocol/openid-connect/certs``, so the issuer is reachable exactly as it is printed.
"""

from keyturn.core.profile import TokenProfile
from keyturn.core.requests import BuiltInClient
from keyturn.core.shapes import Constant, Member, Shape
from keyturn.core.vocabulary import ENTITY_SECRET, Algorithm, Code, CredentialKind, OwnerName
from keyturn.wire.tables import (
    BASIC_CHALLENGE,
    Answer,
    ClientAuthentication,
    Document,
    Exchange,
    Field,
    RefusalRow,
    Refusals,
    Route,
)

REALM = "/auth/realms/sahamati"
_DAY_SECONDS = 86_400
REALM_SCOPE = "email microprofile-jwt profile address phone offline_access"
"""What every token of the realm says; nothing here goes by it, and no offline token is given."""

ENTITY = TokenProfile(
    kind="sahamati.entity",
    dialect="sahamati",
    lifetime_seconds=_DAY_SECONDS,
    max_lifetime_seconds=_DAY_SECONDS,
    algorithm=Algorithm.RS256,
    issuer=REALM,
    shared_ring="sahamati",
    claims=Shape(
        (
            Member("roles", "entity.type"),
            Member("azp", "entity.id"),
            Member("entityID", "entity.id"),
            Constant("typ", "Bearer"),
            Constant("acr", "1"),
            Constant("scope", REALM_SCOPE),
        )
    ),
)
USER = TokenProfile(
    kind="sahamati.user",
    dialect="sahamati",
    lifetime_seconds=_DAY_SECONDS,
    lifetime_setting="user_lifetime_seconds",
    max_lifetime_seconds=180 * _DAY_SECONDS,
    algorithm=Algorithm.RS256,
    issuer=REALM,
    shared_ring="sahamati",
    claims=Shape(
        (
            Member("email", "user.email"),
            Member("preferred_username", "user.email"),
            Constant("typ", "Bearer"),
            Constant("acr", "1"),
        )
    ),
)
ENTITY_ID = TokenProfile(
    kind="sahamati.id",
    dialect="sahamati",
    lifetime_seconds=_DAY_SECONDS,
    max_lifetime_seconds=_DAY_SECONDS,
    algorithm=Algorithm.RS256,
    issuer=REALM,
    shared_ring="sahamati",
    claims=Shape((Member("azp", "entity.id"), Constant("typ", "ID"), Constant("acr", "1"))),
)


MEMBERS = BuiltInClient(id="sahamati", audiences={"": "account"})
_CLIENT = RefusalRow(
    401, "invalid_client", BASIC_CHALLENGE, text="Invalid client or Invalid client credentials"
)
_MALFORMED = RefusalRow(400, "invalid_request")
REALM_REFUSALS = Refusals(
    shape=Shape((Member("error", "code"), Member("error_description", "text", optional=True))),
    rows={
        Code.INVALID_REQUEST: _MALFORMED,
        Code.INVALID_CLIENT: _CLIENT,
        Code.INVALID_GRANT: _CLIENT,
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
REALM_TOKEN = Route(
    name="realm_token",
    path=f"{REALM}/protocol/openid-connect/token",
    fields=(
        Field(name="grant_type", slot="grant_type", required=True),
        Field(name="client_id", slot="client_id"),
        Field(name="client_secret", slot="client_secret", reader="secret"),
        Field(name="scope", slot="scope", reader="scope_words"),
    ),
    authentication=ClientAuthentication(),
    exchanges=(
        Exchange(
            grant_type=ENTITY_SECRET,
            wire_grant="client_credentials",
            profile=ENTITY,
            kind=CredentialKind.ENTITY_SECRET,
            secret=("client_secret",),
            owner="client_id",
            named=OwnerName.ENTITY_ID,
            client=BuiltInClient(
                id=MEMBERS.id,
                scopes=("openid", "email", "microprofile-jwt", "profile", "address", "phone"),
                audiences=MEMBERS.audiences,
            ),
            id_profile=ENTITY_ID,
            deprecated=True,
        ),
    ),
    answer=Answer(
        Shape(
            (
                Member("access_token", "access_token", "reveal"),
                Member("expires_in", "lifetime", "seconds"),
                Constant("refresh_expires_in", 0),
                Constant("token_type", "Bearer"),
                Member("id_token", "id_token", "reveal", optional=True),
                Constant("not-before-policy", 0),
                Member("scope", "scope", "words"),
            )
        )
    ),
    refusals=REALM_REFUSALS,
)
CERTS = Route(
    name="certs",
    method="GET",
    path=f"{REALM}/protocol/openid-connect/certs",
    document=Document("jwks", profile=ENTITY),
    answer=Answer(Shape((Member("keys", "keys"),))),
    refusals=REALM_REFUSALS,
)
REALM_INFO = Route(
    name="realm",
    method="GET",
    path=REALM,
    document=Document("public_key", profile=ENTITY),
    answer=Answer(
        Shape(
            (
                Constant("realm", "sahamati"),
                Member("public_key", "pem", "pem_body"),
                Member("token-service", "url.realm_token", "parent_url"),
                Constant("tokens-not-before", 0),
            )
        )
    ),
    refusals=REALM_REFUSALS,
)
DISCOVERY = Route(
    name="discovery",
    method="GET",
    path=f"{REALM}/.well-known/openid-configuration",
    document=Document("metadata", profile=ENTITY),
    answer=Answer(
        Shape(
            (
                Member("issuer", "issuer"),
                Member("token_endpoint", "url.realm_token"),
                Member("jwks_uri", "url.certs"),
                Constant("grant_types_supported", ["client_credentials"]),
                Constant("response_types_supported", []),
                Constant("subject_types_supported", ["public"]),
                Member("id_token_signing_alg_values_supported", "algorithms"),
                Constant(
                    "token_endpoint_auth_methods_supported", ["client_secret_basic", "client_secret_post"]
                ),
            )
        )
    ),
    refusals=REALM_REFUSALS,
)
