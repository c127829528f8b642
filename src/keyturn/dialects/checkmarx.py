"""Checkmarx SCA: user name, password and tenant for a token of an hour, and the projects it lets see.

    POST /identity/connect/token
    username=DemoUser&password=...&acr_values=Tenant%3Aacme&scope=sca_api
    &client_id=sca_resource_owner&grant_type=password

    200 {"access_token": "<jwt>", "expires_in": 3600, "token_type": "Bearer"}

    GET /risk-management/projects
    Authorization: bearer <jwt>

``expires_in`` is whole seconds, a number. All tenants share one issuer, ``/identity``; its keys are named by
the SHA-1 thumbprint of their certificates. The client is public and built in: the contract knows no other.
There is no refresh token; credentials are sent again. On purpose unlike the vendor: an unknown scope beside
a known one is refused. Knowledge: the vendor's pages on POST Token, roles and teams, one user's report of the
body for a wrong password, and CheckmarxPythonSDK 1.3.2, checked November 2026.
"""

from keyturn.core.profile import TokenProfile
from keyturn.core.requests import BuiltInClient
from keyturn.core.shapes import Constant, Each, Member, Shape
from keyturn.core.vocabulary import (
    PASSWORD,
    PROJECTS_CHANGE,
    PROJECTS_CREATE,
    PROJECTS_DELETE,
    PROJECTS_VIEW,
    Algorithm,
    Code,
    CredentialKind,
    OwnerName,
)
from keyturn.wire.tables import (
    INSUFFICIENT_SCOPE_CHALLENGE,
    INVALID_TOKEN_CHALLENGE,
    JSON,
    Answer,
    Bearer,
    DemoEntry,
    Dialect,
    Document,
    Exchange,
    Field,
    Operation,
    ProjectFixture,
    RefusalRow,
    Refusals,
    Role,
    Route,
    Sample,
    Source,
    TeamFixture,
    UserFixture,
    algorithm_setting,
    deprecated_setting,
    issuer_setting,
    lifetime_setting,
)

CLIENT = "sca_resource_owner"
SCA, ACCESS_CONTROL = "sca_api", "access_control_api"

ACCESS = TokenProfile(
    kind="checkmarx.access",
    dialect="checkmarx",
    lifetime_seconds=3_600,
    algorithm=Algorithm.RS256,
    issuer="/identity",
    shared_ring="checkmarx",
    certificate=True,
    claims=Shape(
        (
            Member("nbf", "issued_at", "epoch_seconds"),
            Member("client_id", "client.id"),
            Member("scope", "scope", "list"),
            Member("tenant_id", "organisation.id"),
            Member("tenant_name", "organisation.slug"),
        )
    ),
)

# The order of the fields is the order in which a request's faults are told.
TOKEN = Route(
    name="token",
    path="/identity/connect/token",
    fields=(
        Field(
            name="client_id",
            slot="client_id",
            choices=(CLIENT,),
            required=True,
            missing=Code.INVALID_CLIENT,
            invalid=Code.INVALID_CLIENT,
        ),
        Field(name="client_secret", slot="client_secret", reader="secret"),
        Field(name="grant_type", slot="grant_type", required=True, missing=Code.UNSUPPORTED_GRANT_TYPE),
        Field(
            name="scope",
            slot="scope",
            reader="scope_words",
            choices=(SCA, ACCESS_CONTROL),
            required=True,
            missing=Code.INVALID_SCOPE,
            invalid=Code.INVALID_SCOPE,
        ),
        Field(
            name="acr_values", slot="organisation", reader="prefixed_word", prefix="Tenant:", required=True
        ),
        Field(name="username", slot="user_name", required=True, missing=Code.INVALID_GRANT),
        Field(name="password", slot="password", reader="secret", required=True, missing=Code.INVALID_GRANT),
    ),
    exchanges=(
        Exchange(
            grant_type=PASSWORD,
            wire_grant="password",
            profile=ACCESS,
            kind=CredentialKind.PASSWORD,
            secret=("password",),
            owner="user_name",
            named=OwnerName.USER_NAME,
            client=BuiltInClient(
                id=CLIENT,
                scopes=(SCA, ACCESS_CONTROL),
                audiences={SCA: SCA, ACCESS_CONTROL: ACCESS_CONTROL},
            ),
            absent=Code.INVALID_GRANT,
            deprecated=True,
        ),
    ),
    answer=Answer(
        Shape(
            (
                Member("access_token", "access_token", "reveal"),
                Member("expires_in", "lifetime", "seconds"),
                Constant("token_type", "Bearer"),
                Member("scope", "scope", "words"),
            )
        )
    ),
)

DISCOVERY = Route(
    name="discovery",
    method="GET",
    path="/identity/.well-known/openid-configuration",
    document=Document("metadata", profile=ACCESS),
    answer=Answer(
        Shape(
            (
                Member("issuer", "issuer"),
                Member("jwks_uri", "url.jwks"),
                Member("token_endpoint", "url.token"),
                Constant("scopes_supported", [SCA, ACCESS_CONTROL]),
                Constant("grant_types_supported", ["password"]),
                Constant("response_types_supported", []),
                Constant("token_endpoint_auth_methods_supported", ["none"]),
                Constant("subject_types_supported", ["public"]),
                Member("id_token_signing_alg_values_supported", "algorithms", "list"),
            )
        )
    ),
)

JWKS = Route(
    name="jwks",
    method="GET",
    path="/identity/.well-known/openid-configuration/jwks",
    document=Document("jwks", profile=ACCESS),
    answer=Answer(Shape((Member("keys", "keys"),))),
)


def _project(facts: str) -> Shape:
    """Show a project; what belongs to scans, which are not served, is as of one that was never scanned."""
    return Shape(
        (
            Member("id", f"{facts}.id"),
            Member("name", f"{facts}.name"),
            Constant("isManaged", value=False),
            Member("createdOn", f"{facts}.created_at", "iso_millis"),
            Member("tenantId", f"{facts}.organisation_id"),
            Constant("branch", None),
            Member("assignedTeams", f"{facts}.teams", "list"),
            Constant("lastSuccessfulScanId", None),
        )
    )


ERROR = Shape((Member("error", "code"), Member("error_description", "text", optional=True)))
API_REFUSALS = Refusals(
    shape=ERROR,
    rows={
        Code.INVALID_REQUEST: RefusalRow(400, "invalid_request"),
        Code.INVALID_GRANT: RefusalRow(400, "invalid_request"),
        Code.INVALID_TOKEN: RefusalRow(401, "invalid_token", INVALID_TOKEN_CHALLENGE),
        Code.INSUFFICIENT_SCOPE: RefusalRow(403, "insufficient_scope", INSUFFICIENT_SCOPE_CHALLENGE),
        Code.NOT_FOUND: RefusalRow(404, "not_found"),
        Code.METHOD_NOT_ALLOWED: RefusalRow(405, "invalid_request"),
        Code.CONFLICT: RefusalRow(409, "conflict"),
        Code.TOO_LARGE: RefusalRow(413, "invalid_request"),
        Code.UNSUPPORTED_MEDIA_TYPE: RefusalRow(415, "invalid_request"),
        Code.SLOW_DOWN: RefusalRow(429, "slow_down"),
        Code.TEMPORARILY_UNAVAILABLE: RefusalRow(503, "temporarily_unavailable"),
        Code.SERVER_ERROR: RefusalRow(500, "server_error"),
    },
)

PROJECTS, PROJECT = "/risk-management/projects", "/risk-management/projects/{id}"
MANY = Each("", "projects", _project("item"))
ONE = Answer(_project("project"))
NOTHING = Answer(None, status=204)
ID = Field(name="id", slot="id", source=Source.PATH)
TEAMS = Field(name="AssignedTeams", slot="teams", reader="text_list", any_case=True)


def _call(
    name: str, method: str, path: str, answer: Answer, *fields: Field, variants: tuple[Answer, ...] = ()
) -> Route:
    """Make a route that does something with projects for whoever brings a token."""
    return Route(
        name=f"projects_{name}",
        method=method,
        path=path,
        media=(JSON,),
        media_optional=True,
        fields=fields,
        bearer=Bearer(accepts=(ACCESS,), scope=SCA),
        operation=Operation(name=f"projects.{name}"),
        answer=answer,
        variants=variants,
        refusals=API_REFUSALS,
    )


CALLS = (
    _call(
        "list",
        "GET",
        PROJECTS,
        Answer(MANY),
        Field(name="name", slot="name", source=Source.QUERY),
        Field(name="offset", slot="offset", reader="integer", source=Source.QUERY, minimum=0),
        Field(name="limit", slot="limit", reader="integer", source=Source.QUERY, minimum=1, maximum=1_000),
        variants=(Answer(_project("project"), when="project.id"),),
    ),
    _call(
        "create",
        "POST",
        PROJECTS,
        Answer(_project("project"), status=201),
        Field(name="Name", slot="name", any_case=True, required=True),
        TEAMS,
    ),
    _call("show", "GET", PROJECT, ONE, ID),
    _call("change", "PUT", PROJECT, NOTHING, ID, Field(name="Name", slot="name", any_case=True), TEAMS),
    _call("delete", "DELETE", PROJECT, NOTHING, ID),
)

# The contract has bodies of one member, but for credentials that are worth nothing.
REFUSALS = Refusals(
    shape=ERROR,
    rows={
        code: RefusalRow(status, word, text=None, unexplained=unexplained)
        for code, status, word, unexplained in (
            (Code.INVALID_REQUEST, 400, "invalid_request", None),
            (Code.UNSUPPORTED_MEDIA_TYPE, 400, "invalid_request", None),
            (Code.INVALID_CLIENT, 400, "invalid_client", None),
            (Code.UNSUPPORTED_GRANT_TYPE, 400, "unsupported_grant_type", None),
            (Code.UNAUTHORIZED_CLIENT, 400, "unauthorized_client", None),
            (Code.INVALID_SCOPE, 400, "invalid_scope", None),
            (Code.INVALID_TARGET, 400, "invalid_target", None),
            (Code.INVALID_GRANT, 400, "invalid_grant", "invalid_username_or_password"),
            (Code.NOT_FOUND, 404, "not_found", None),
            (Code.METHOD_NOT_ALLOWED, 405, "invalid_request", None),
            (Code.TOO_LARGE, 413, "invalid_request", None),
            (Code.SLOW_DOWN, 429, "slow_down", None),
            (Code.TEMPORARILY_UNAVAILABLE, 503, "temporarily_unavailable", None),
            (Code.SERVER_ERROR, 500, "server_error", None),
        )
    },
)

_ALL = (PROJECTS_VIEW, PROJECTS_CREATE, PROJECTS_CHANGE, PROJECTS_DELETE)
ROLES = tuple(
    Role(name=name, title=title, permissions=permissions)
    for name, title, permissions in (
        ("admin", "Admin", _ALL),
        ("access_control_manager", "Access Control Manager", ()),
        ("user_manager", "User Manager", ()),
        ("sca_manager", "SCA Manager", _ALL),
        ("sca_scanner", "SCA Scanner", _ALL),
        ("sca_external_platform_user", "SCA External Platform User", (PROJECTS_VIEW,)),
        ("sca_viewer", "SCA Viewer", (PROJECTS_VIEW,)),
    )
)

DEMO = DemoEntry(
    fixtures=(
        TeamFixture(path="/CxServer/Demo/Backend"),
        TeamFixture(path="/CxServer/Partners"),
        ProjectFixture(name="{slug}-backend", teams=("/CxServer/Demo/Backend",)),
        ProjectFixture(name="{slug}-shop", teams=("/CxServer/Demo",)),
        ProjectFixture(name="{slug}-partners", teams=("/CxServer/Partners",)),
        ProjectFixture(name="{slug}-handbook", open=True),
        UserFixture(
            key="user", name="DemoUser", roles=("sca_manager",), teams=("/CxServer/Demo",), password=True
        ),
        UserFixture(
            key="viewer",
            name="DemoViewer",
            roles=("sca_viewer",),
            teams=("/CxServer/Demo/Backend",),
            password=True,
        ),
    ),
    members=Shape(
        (
            Member("token_url", "url.token"),
            Member("api_url", "public_url"),
            Member("tenant", "organisation.slug"),
            Constant("client_id", CLIENT),
            Member("username", "user.name"),
            Member("password", "user.password", "reveal"),
            Member("projects", "user.projects", "list"),
            Member("viewer.username", "viewer.name"),
            Member("viewer.password", "viewer.password", "reveal"),
            Member("viewer.projects", "viewer.projects", "list"),
            Member("other.tenant", "other.organisation.slug"),
            Member("other.username", "other.user.name"),
            Member("other.password", "other.user.password", "reveal"),
            Member("other.projects", "other.user.projects", "list"),
        )
    ),
    curl=(
        "curl -s {token_url} --data-urlencode username={username} --data-urlencode password={password} "
        "--data-urlencode acr_values=Tenant:{tenant} --data-urlencode scope=sca_api "
        "--data-urlencode client_id={client_id} --data-urlencode grant_type=password"
    ),
    other=False,
)

_FORM = (("Content-Type", "application/x-www-form-urlencoded"),)
_BEARER = (("Authorization", "bearer {answer.access_token}"),)
_WHO = "username={username:form}&password={password:form}&acr_values=Tenant%3A{tenant:form}"
_HOW = "&client_id=sca_resource_owner&grant_type=password"

SAMPLES = (
    Sample(
        name="a token",
        route="token",
        headers=_FORM,
        body=f"{_WHO}&scope=sca_api{_HOW}",
        status=200,
        answer={"access_token": "<jwt>", "expires_in": 3600, "token_type": "Bearer", "scope": "sca_api"},
    ),
    Sample(
        name="a token for the access control API too",
        route="token",
        headers=_FORM,
        body=f"{_WHO}&scope=sca_api+access_control_api{_HOW}",
        status=200,
        answer={
            "access_token": "<jwt>",
            "expires_in": 3600,
            "token_type": "Bearer",
            "scope": "sca_api access_control_api",
        },
    ),
    Sample(
        name="wrong password",
        route="token",
        headers=_FORM,
        body=f"username={{username:form}}&password=wrong&acr_values=Tenant:{{tenant}}&scope=sca_api{_HOW}",
        status=400,
        answer={"error": "invalid_grant", "error_description": "invalid_username_or_password"},
    ),
    Sample(
        name="no tenant",
        route="token",
        headers=_FORM,
        body=f"username={{username:form}}&password={{password:form}}&scope=sca_api{_HOW}",
        status=400,
        answer={"error": "invalid_request"},
    ),
    Sample(
        name="one project by name",
        route="projects_list",
        after="a token",
        headers=_BEARER,
        query="name=acme-backend",
        status=200,
        answer={
            "id": "<uuid>",
            "name": "acme-backend",
            "isManaged": False,
            "createdOn": "<text>",
            "tenantId": "<uuid>",
            "branch": None,
            "assignedTeams": ["/CxServer/Demo/Backend"],
            "lastSuccessfulScanId": None,
        },
    ),
    Sample(
        name="no token",
        route="projects_list",
        status=401,
        answer={"error": "invalid_token"},
    ),
    Sample(
        name="a new project",
        route="projects_create",
        after="a token",
        headers=(*_BEARER, ("Content-Type", "application/json")),
        body='{"Name": "happy", "AssignedTeams": ["/CxServer/Demo"]}',
        status=201,
        answer={
            "id": "<uuid>",
            "name": "happy",
            "isManaged": False,
            "createdOn": "<text>",
            "tenantId": "<uuid>",
            "branch": None,
            "assignedTeams": ["/CxServer/Demo"],
            "lastSuccessfulScanId": None,
        },
    ),
)

DIALECT = Dialect(
    name="checkmarx",
    title="Checkmarx SCA",
    routes=(TOKEN, DISCOVERY, JWKS, *CALLS),
    refusals=REFUSALS,
    settings=(
        algorithm_setting(ACCESS.algorithm),
        issuer_setting(ACCESS.issuer),
        deprecated_setting(),
        lifetime_setting(ACCESS.lifetime_seconds, minimum=60, maximum=ACCESS.max_lifetime_seconds),
    ),
    roles=ROLES,
    demo=DEMO,
    samples=SAMPLES,
)
