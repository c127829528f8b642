"""What callers ask beside a token: what one is, who they are, which keys prove it, where everything is."""

from keyturn.core.shapes import Constant, Each, Member, Shape
from keyturn.core.vocabulary import OPENID
from keyturn.dialects.vmware_csp.tokens import ACCESS, BASE, EVERYTHING, PERSON, WHO
from keyturn.wire.tables import (
    JSON,
    Answer,
    Bearer,
    ClientAuthentication,
    Document,
    Field,
    Operation,
    Route,
    Source,
)


def _described(scope: Constant | Member, general: Constant | Member) -> Shape:
    """Give what is told of an API token; only what it says of its scopes is told in two ways."""
    return Shape(
        (
            Member("tokenId", "credential.id"),
            Member("tokenName", "credential.name"),
            Member("orgId", "organisation.id"),
            Member("userId", "user.id", otherwise="client.id"),
            Member("username", "user.login", otherwise="client.name"),
            Member("acct", "user.account", optional=True),
            Member("domain", "home.slug"),
            Member("idpId", "home.id"),
            scope,
            general,
            Each("allowedScopes.organizationScopes.roles", "roles", Shape((Member("name", "item"),))),
            Constant("allowedScopes.servicesScopes", []),
            Member("createdAt", "issued_at", "epoch_seconds"),
            Member("lastUsedAt", "last_used_on", "day_seconds", optional=True),
            Member("expiresAt", "expires_at", "epoch_seconds", optional=True),
            Member("deactivated", "disabled"),
        )
    )


GENERAL = "allowedScopes.generalScopes"
DETAILS = Route(
    name="details",
    path=BASE + "/auth/api-tokens/details",
    media=(JSON,),
    fields=(Field(name="tokenValue", slot="token", reader="secret", required=True),),
    operation=Operation(name="describe"),
    variants=(
        Answer(_described(Member("scope", "scope", "words"), Member(GENERAL, "scope", "list")), when="scope"),
    ),
    answer=Answer(
        _described(Constant("scope", f"{EVERYTHING} {OPENID}"), Constant(GENERAL, [EVERYTHING, OPENID]))
    ),
)

INTROSPECTION = Route(
    name="introspect",
    path=BASE + "/auth/introspect",
    fields=(Field(name="token", slot="token", reader="secret", required=True),),
    authentication=ClientAuthentication(),
    operation=Operation(name="introspect"),
    variants=(
        Answer(
            Shape(
                (
                    Member("active", "active"),
                    Member("exp", "expires_at", "epoch_seconds", optional=True),
                    Member("iat", "issued_at", "epoch_seconds"),
                    Member("orgId", "organisation.id"),
                    Member("sub", "subject"),
                    Constant("token_type", "refresh_token"),
                )
            ),
            when="subject",
        ),
    ),
    answer=Answer(Shape((Member("active", "active"),))),
)


def _call(name: str, path: str, operation: str, shape: Shape, *fields: Field) -> Route:
    return Route(
        name=name,
        method="GET",
        path=BASE + path,
        fields=fields,
        bearer=Bearer(accepts=(ACCESS,), headers=("csp-auth-token",)),
        operation=Operation(name=operation),
        answer=Answer(shape),
    )


USER = (
    Member("userId", "user.id", otherwise="client.id"),
    Member("username", "user.login", otherwise="client.name"),
    Member("acct", "user.account", optional=True),
    Member("domain", "home.slug", otherwise="organisation.slug"),
    Member("idpId", "home.id", otherwise="organisation.id"),
    Member("firstName", "user.given_name"),
    Member("lastName", "user.family_name"),
    Member("email", "user.email"),
)
ORGANISATION = Field(name="orgId", slot="id", source=Source.PATH)
CALLS = (
    _call("userinfo", "/userinfo", "caller.show", Shape((Member("sub", "subject"), *WHO, *PERSON))),
    _call("user", "/loggedin/user", "caller.show", Shape(USER)),
    _call(
        "user_in",
        "/loggedin/user/orgs/{orgId}/info",
        "caller.show",
        Shape(
            (
                *USER,
                Member("orgId", "organisation.id"),
                Each("organizationRoles", "roles", Shape((Member("name", "item"),))),
            )
        ),
        ORGANISATION,
    ),
    _call(
        "organisation",
        "/orgs/{orgId}",
        "organisations.show",
        Shape(
            (
                Member("id", "organisation.id"),
                Member("name", "organisation.slug"),
                Member("displayName", "organisation.name"),
            )
        ),
        ORGANISATION,
    ),
)

PUBLIC_KEY = Route(
    name="public_key",
    method="GET",
    path=BASE + "/auth/token-public-key",
    fields=(Field(name="format", slot="format", source=Source.QUERY, choices=("jwks",), echo=True),),
    document=Document("public_key", ACCESS),
    variants=(Answer(Shape((Member("keys", "keys"),)), when="request.format"),),
    answer=Answer(
        Shape(
            (Member("alg", "algorithm"), Member("value", "pem", "pem_one_line"), Member("issuer", "issuer"))
        )
    ),
)

KEYS = Route(
    name="keys",
    method="GET",
    path=BASE + "/auth/keys",
    document=Document("jwks", ACCESS),
    answer=Answer(Shape((Member("keys", "keys"),))),
)

DISCOVERY = Route(
    name="discovery",
    method="GET",
    path=BASE + "/.well-known/openid-configuration",
    aliases=(BASE + "/auth/.well-known/openid-configuration",),
    document=Document("metadata", ACCESS),
    answer=Answer(
        Shape(
            (
                Member("issuer", "issuer"),
                Member("jwks_uri", "url.keys"),
                Member("token_endpoint", "url.token"),
                Member("userinfo_endpoint", "url.userinfo"),
                Member("introspection_endpoint", "url.introspect"),
                Constant("scopes_supported", [OPENID, EVERYTHING]),
                Constant("response_types_supported", []),
                Constant("grant_types_supported", ["client_credentials"]),
                Constant("subject_types_supported", ["public"]),
                Constant(
                    "token_endpoint_auth_methods_supported", ["client_secret_basic", "client_secret_post"]
                ),
                Member("id_token_signing_alg_values_supported", "algorithms", "list"),
            )
        )
    ),
)
