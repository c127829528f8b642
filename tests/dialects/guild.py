"""A dialect of people that exists only in tests: a login by password and calls with what it gives.

It has what no dialect of the house needs yet: one issuer for all organisations, a built-in client, roles, a
list as body, answers by variant and without body, refusals of one route's own, notices, echoes and switches.
"""

from keyturn.core.profile import TokenProfile
from keyturn.core.requests import BuiltInClient
from keyturn.core.shapes import Constant, Each, Member, Shape, Switch
from keyturn.core.vocabulary import (
    PASSWORD,
    PROJECTS_CHANGE,
    PROJECTS_CREATE,
    PROJECTS_DELETE,
    PROJECTS_VIEW,
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
    ClientFixture,
    DemoEntry,
    Dialect,
    Document,
    Exchange,
    Field,
    Operation,
    RefusalRow,
    Refusals,
    Role,
    Route,
    Scope,
    Setting,
    Source,
    algorithm_setting,
    deprecated_setting,
    issuer_setting,
)

ACCESS = TokenProfile(
    kind="guild.access",
    dialect="guild",
    lifetime_seconds=3_600,
    issuer="/guild",
    shared_ring="guild",
    claims=Shape(
        (Member("scope", "scope", "list"), Member("name", "user.name"), Member("roles", "roles", "list"))
    ),
)

LOGIN = Route(
    name="login",
    path="/guild/login",
    fields=(
        Field(name="member", slot="user_name", reader="user_name", required=True, invalid=Code.INVALID_GRANT),
        Field(name="word", slot="password", reader="secret", required=True),
        Field(
            name="house",
            slot="organisation",
            reader="prefixed_word",
            prefix="House:",
            required=True,
            echo=True,
        ),
        Field(name="scope", slot="scope", reader="scope_words", choices=("work", "rest")),
        Field(name="member", slot="user_name", reader="user_name", source=Source.QUERY, deprecated=True),
        Field(name="note", slot="note", echo=True, longest=20),
        Field(name="strictly", slot="strictly", required_by="strict"),
    ),
    exchanges=(
        Exchange(
            grant_type=PASSWORD,
            profile=ACCESS,
            kind=CredentialKind.PASSWORD,
            secret=("password",),
            owner="user_name",
            named=OwnerName.USER_NAME,
            client=BuiltInClient(
                id="guild", scopes=("work", "rest"), audiences={"": "https://guild.example"}
            ),
            absent=Code.INVALID_GRANT,
        ),
    ),
    answer=Answer(
        Shape(
            (
                Member("token", "access_token", "reveal"),
                Member("note", "request.note", otherwise="fresh_id"),
                Switch(
                    "until",
                    "setting.unit",
                    {
                        "s": Member("until", "expires_at", "epoch_seconds"),
                        "ms": Member("until", "expires_at", "epoch_millis"),
                    },
                ),
                Member("at", "now", "local_iso_millis"),
                Member("warning", "notice", optional=True),
            )
        )
    ),
)

PROJECT = tuple(
    Member(name, f"project.{name}", transform)
    for name, transform in (("id", "plain"), ("name", "plain"), ("teams", "list"), ("open", "plain"))
)
LISTED = tuple(Member(member.path, "item." + member.path, member.transform) for member in PROJECT)
ME = (
    *(Member(name, f"user.{name}") for name in ("id", "name", "email", "email_verified", "given_name")),
    Member("roles", "roles", "list"),
    Member("from", "home.slug"),
    Member("in", "organisation.slug"),
    Member("machine", "client.id", optional=True),
    Member("sub", "subject"),
)
HOUSE = tuple(Member(name, f"organisation.{name}") for name in ("id", "name", "slug"))
ID = Field(name="id", slot="id", source=Source.PATH)
CHANGES = (
    Field(name="Name", slot="name", any_case=True),
    Field(name="Teams", slot="teams", reader="text_list", any_case=True),
    Field(name="Open", slot="open", reader="boolean", any_case=True),
)
REFUSALS_OF_CALLS = Refusals(
    Shape((Member("no", "row.no"), Member("says", "text", optional=True), Member("note", "request.note"))),
    {
        Code.INVALID_REQUEST: RefusalRow(400, 1, values={"no": 400}),
        Code.NOT_FOUND: RefusalRow(404, 2),
        Code.METHOD_NOT_ALLOWED: RefusalRow(405, 3),
        Code.TOO_LARGE: RefusalRow(413, 4),
        Code.UNSUPPORTED_MEDIA_TYPE: RefusalRow(415, 5),
        Code.SLOW_DOWN: RefusalRow(429, 6),
        Code.TEMPORARILY_UNAVAILABLE: RefusalRow(503, 7),
        Code.SERVER_ERROR: RefusalRow(500, 8),
        Code.INVALID_TOKEN: RefusalRow(401, 9, INVALID_TOKEN_CHALLENGE, text="come again"),
        Code.INSUFFICIENT_SCOPE: RefusalRow(403, 10, INSUFFICIENT_SCOPE_CHALLENGE),
        Code.CONFLICT: RefusalRow(409, 11),
        Code.INVALID_GRANT: RefusalRow(401, 12),
    },
)


def _call(name: str, method: str, path: str, operation: str, answer: Answer, *fields: Field, **more):
    return Route(
        name=name,
        method=method,
        path=path,
        media=(JSON,),
        fields=fields,
        bearer=Bearer(accepts=(ACCESS,), headers=("x-guild",), scope="work"),
        operation=Operation(name=operation),
        answer=answer,
        refusals=REFUSALS_OF_CALLS,
        **more,
    )


CALLS = (
    _call(
        "list",
        "GET",
        "/guild/works",
        "projects.list",
        Answer(Each("", "projects", Shape(LISTED))),
        Field(name="name", slot="name", source=Source.QUERY),
        Field(name="limit", slot="limit", reader="integer", source=Source.QUERY, minimum=1, maximum=1000),
        Field(name="offset", slot="offset", reader="integer", source=Source.QUERY, minimum=0),
        variants=(Answer(Shape(PROJECT), when="project.id"),),
    ),
    _call(
        "create",
        "POST",
        "/guild/works",
        "projects.create",
        Answer(Shape(PROJECT), status=201),
        Field(name="Name", slot="name", any_case=True, required=True),
        *CHANGES[1:],
    ),
    _call("show", "GET", "/guild/works/{id}", "projects.show", Answer(Shape(PROJECT)), ID),
    _call("change", "PUT", "/guild/works/{id}", "projects.change", Answer(None, status=204), ID, *CHANGES),
    _call("me", "GET", "/guild/me", "caller.show", Answer(Shape(ME))),
    _call("me_in", "GET", "/guild/houses/{id}/me", "caller.show", Answer(Shape(ME)), ID),
    _call("house", "GET", "/guild/houses/{id}", "organisations.show", Answer(Shape(HOUSE)), ID),
    _call("delete", "DELETE", "/guild/works/{id}", "projects.delete", Answer(None, status=204), ID),
)

KEY = Route(
    name="key",
    method="GET",
    path="/guild/key",
    fields=(Field(name="format", slot="format", source=Source.QUERY, choices=("jwks",), echo=True),),
    document=Document("public_key", profile=ACCESS),
    answer=Answer(
        Shape((Member("pem", "pem", "pem_one_line"), Member("alg", "algorithm"), Member("iss", "issuer")))
    ),
    variants=(Answer(Shape((Member("keys", "keys"),)), when="request.format"),),
)
ABOUT = Route(
    name="about",
    method="GET",
    path="/guild/about",
    document=Document("metadata", profile=ACCESS),
    answer=Answer(Shape((Member("issuer", "issuer"), Member("login", "url.login")))),
)

REFUSALS = Refusals(
    Shape(
        (
            Member("error", "code"),
            Member("says", "text", optional=True),
            Member("house", "request.organisation"),
        )
    ),
    {
        Code.INVALID_REQUEST: RefusalRow(400, "bad"),
        Code.INVALID_CLIENT: RefusalRow(400, "client"),
        Code.INVALID_GRANT: RefusalRow(400, "wrong", text="wrong_name_or_word"),
        Code.INVALID_SCOPE: RefusalRow(400, "scope"),
        Code.INVALID_TARGET: RefusalRow(400, "target"),
        Code.UNAUTHORIZED_CLIENT: RefusalRow(400, "client"),
        Code.UNSUPPORTED_GRANT_TYPE: RefusalRow(400, "grant"),
        Code.NOT_FOUND: RefusalRow(404, "none"),
        Code.METHOD_NOT_ALLOWED: RefusalRow(405, "method"),
        Code.TOO_LARGE: RefusalRow(413, "large"),
        Code.UNSUPPORTED_MEDIA_TYPE: RefusalRow(400, "type"),
        Code.SLOW_DOWN: RefusalRow(429, "slow"),
        Code.TEMPORARILY_UNAVAILABLE: RefusalRow(503, "later"),
        Code.SERVER_ERROR: RefusalRow(500, "ours"),
    },
)

GUILD = Dialect(
    name="guild",
    title="Guild, for tests",
    routes=(LOGIN, *CALLS, KEY, ABOUT),
    refusals=REFUSALS,
    settings=(
        algorithm_setting(ACCESS.algorithm),
        issuer_setting(ACCESS.issuer),
        deprecated_setting(),
        Setting(name="strict", kind="bool", default=False, scope=Scope.DEPLOYMENT, help="Strictly."),
        Setting(
            name="unit", kind="str", default="s", scope=Scope.ORGANISATION, choices=("s", "ms"), help="Unit."
        ),
    ),
    roles=(
        Role(
            name="master",
            title="Master",
            permissions=(PROJECTS_VIEW, PROJECTS_CREATE, PROJECTS_CHANGE, PROJECTS_DELETE),
        ),
        Role(name="guest", title="Guest", permissions=(PROJECTS_VIEW,)),
    ),
    notices={"grace": "soon over"},
    collapse_slashes=True,
    demo=DemoEntry(
        fixtures=(ClientFixture(name="guild demo", grants=("client_credentials",), scopes=("work",)),),
        members=Shape((Constant("x", 1),)),
        curl="",
    ),
    samples=(),
)
