"""The tokens, and the three calls that give them: by API token, and to clients by two paths."""

from keyturn.core.profile import TokenProfile
from keyturn.core.requests import BuiltInClient
from keyturn.core.shapes import Constant, Member, Shape
from keyturn.core.vocabulary import (
    API_TOKEN,
    CLIENT_CREDENTIALS,
    OPENID,
    Algorithm,
    Code,
    CredentialKind,
)
from keyturn.wire.tables import (
    FORM,
    JSON,
    Answer,
    ClientAuthentication,
    Conflict,
    Exchange,
    Field,
    Route,
    Source,
)

BASE = "/csp/gateway/am/api"
EVERYTHING = "ALL_PERMISSIONS"

WHO = (
    Member("acct", "user.account", optional=True),
    Member("domain", "home.slug", otherwise="organisation.slug"),
    Member("username", "user.login", otherwise="client.name"),
    Member("context", "organisation.id"),
    Member("context_name", "organisation.id"),
)
PERSON = (
    Member("email", "user.email", optional=True),
    Member("email_verified", "user.email_verified", optional=True),
    Member("given_name", "user.given_name", optional=True),
    Member("family_name", "user.family_name", optional=True),
)

ACCESS = TokenProfile(
    kind="vmware-csp.access",
    dialect="vmware-csp",
    lifetime_seconds=1_800,
    algorithm=Algorithm.RS256,
    issuer=BASE,
    shared_ring="vmware-csp",
    claims=Shape(
        (
            *WHO,
            Member("azp", "client.id"),
            Member("scope", "scope", "words"),
            Member("perms", "roles", "list"),
        )
    ),
)

ID = TokenProfile(
    kind="vmware-csp.id",
    dialect="vmware-csp",
    lifetime_seconds=ACCESS.lifetime_seconds,
    algorithm=Algorithm.RS256,
    issuer=BASE,
    shared_ring="vmware-csp",
    claims=Shape((*WHO, *PERSON, Member("azp", "client.id"))),
)

SCOPE = Field(name="scope", slot="scope", reader="scope_words", invalid=Code.INVALID_SCOPE)

API_TOKENS = Route(
    name="api_tokens",
    path=BASE + "/auth/api-tokens/authorize",
    media_optional=True,
    media_ignored_when_empty=True,
    fields=(
        Field(name="api_token", slot="api_token", reader="secret"),
        Field(name="refresh_token", slot="refresh_token", reader="secret", deprecated=True),
        Field(
            name="refresh_token", slot="query_token", source=Source.QUERY, reader="secret", deprecated=True
        ),
        Field(name="passcode", slot="passcode", reader="secret"),
        SCOPE,
    ),
    exchanges=(
        Exchange(
            grant_type=API_TOKEN,
            profile=ACCESS,
            kind=CredentialKind.API_TOKEN,
            secret=("api_token", "refresh_token", "query_token"),
            passcode="passcode",
            client=BuiltInClient(id="vmware-csp", scopes=(EVERYTHING, OPENID)),
            id_profile=ID,
            absent=Code.INVALID_REQUEST,
        ),
    ),
    answer=Answer(
        Shape(
            (
                Member("access_token", "access_token", "reveal"),
                Member("expires_in", "lifetime", "seconds"),
                Member("id_token", "id_token", "reveal"),
                Member("refresh_token", "presented", "reveal"),
                Member("scope", "scope", "words"),
                Constant("token_type", "bearer"),
            )
        )
    ),
)

CLIENT = (
    Field(name="client_id", slot="client_id", reader="uuid_or_text"),
    Field(name="client_secret", slot="client_secret", reader="secret"),
)
GRANT_TYPE = Field(name="grant_type", slot="grant_type", required=True)
BASIC_OR_BODY = ClientAuthentication(conflict=Conflict.HEADER_WINS)
AS_CLIENT = Exchange(
    grant_type=CLIENT_CREDENTIALS,
    profile=ACCESS,
    wire_grant="client_credentials",
    organisation="organisation_alias",
)
TO_CLIENT = Answer(
    Shape(
        (
            Member("access_token", "access_token", "reveal"),
            Member("expires_in", "lifetime", "seconds"),
            Member("scope", "scope", "words"),
            Constant("token_type", "bearer"),
        )
    )
)

AUTHORIZE = Route(
    name="authorize",
    path=BASE + "/auth/authorize",
    media=(FORM, JSON),
    media_optional=True,
    media_ignored_when_empty=True,
    fields=(
        GRANT_TYPE,
        Field(name="grant_type", slot="grant_type", source=Source.QUERY, deprecated=True),
        *CLIENT,
        Field(name="orgId", slot="organisation_alias"),
        Field(name="org_id", slot="organisation_alias"),
        Field(name="orgId", slot="organisation_alias", source=Source.QUERY, deprecated=True),
        SCOPE,
    ),
    authentication=BASIC_OR_BODY,
    exchanges=(AS_CLIENT,),
    answer=TO_CLIENT,
)

TOKEN = Route(
    name="token",
    path=BASE + "/auth/token",
    fields=(
        GRANT_TYPE,
        *CLIENT,
        Field(name="org_id", slot="organisation_alias"),
        Field(name="orgId", slot="organisation_alias"),
        SCOPE,
    ),
    authentication=BASIC_OR_BODY,
    exchanges=(AS_CLIENT,),
    answer=TO_CLIENT,
)
