"""A dialect that nobody speaks and that uses everything the tables can say."""

from keyturn.core.profile import TokenProfile
from keyturn.core.requests import BuiltInClient
from keyturn.core.shapes import Constant, Each, Member, Shape, Switch
from keyturn.core.vocabulary import (
    API_TOKEN,
    CHANGE_ORGANISATION,
    CLIENT_CREDENTIALS,
    PASSWORD,
    PROJECTS_VIEW,
    Code,
    CredentialKind,
    OwnerName,
)
from keyturn.wire.check import codes_of
from keyturn.wire.tables import (
    BASIC_CHALLENGE,
    FORM,
    JSON,
    Answer,
    Bearer,
    ClientAuthentication,
    ClientFixture,
    Conflict,
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
    deprecated_setting,
)

PROFILE = TokenProfile(kind="everything.access", dialect="everything", lifetime_seconds=60)
BEARER = Bearer(accepts=(PROFILE,), headers=("X-Pass",), bare=True, scope="all", permission=PROJECTS_VIEW)
ORGANISATION = Field(name="org", slot="organisation", source=Source.PATH, longest=40)

GRANTED = Shape(
    (
        Member("ok.token", "access_token", "reveal"),
        Member("ok.id", "id_token", "reveal"),
        Member("ok.trace", "fresh_id"),
        Member("ok.echo", "request.trace", otherwise="fresh_id"),
        Member("warning", "notice", optional=True),
        Member("user.name", "user.name"),
        Member("user.verified", "user.email_verified"),
        Switch(
            "expires",
            "setting.unit",
            {
                "s": Member("expires", "expires_at", "epoch_seconds"),
                "text": Member("expires", "expires_at", "local_iso_millis"),
            },
        ),
        Constant("version", "1.0"),
        Constant("nothing", None),
    )
)

LOGIN = Route(
    name="login",
    path="/every/{org}/login",
    aliases=("/{org}/every/login",),
    media=(FORM, JSON),
    media_optional=True,
    fields=(
        ORGANISATION,
        Field(name="grant_type", slot="grant_type", required=True),
        Field(name="key", slot="api_token", reader="secret", aliases=("old_key",)),
        Field(name="key", slot="api_token", reader="secret", source=Source.QUERY, deprecated=True),
        Field(name="user", slot="user_name", reader="user_name", aliases=("login",)),
        Field(name="password", slot="password", reader="secret"),
        Field(name="code", slot="passcode", reader="secret"),
        Field(name="client", slot="client_id", reader="uuid_or_text"),
        Field(name="tenant", slot="tenant", reader="prefixed_word", prefix="Tenant:"),
        Field(
            name="scope",
            slot="scope",
            reader="scope_words",
            json_reader="scope_list",
            choices=("all", "a.b"),
            nullable=True,
        ),
        Field(name="resource", slot="resource", reader="absolute_uri", repeatable=True),
        Field(name="trace", slot="trace", longest=256, echo=True),
        Field(name="days", slot="days", reader="integer", minimum=1, maximum=180, nullable=True),
        Field(name="flag", slot="flag", reader="boolean", any_case=True),
        Field(name="colour", slot="colour", choices=("red", "blue")),
        Field(name="at", slot="at", reader="date_time", required_by="strict"),
        Field(name="X-Kind", slot="kind", source=Source.HEADER, aliases=("X-Old-Kind",), required=True),
    ),
    exchanges=(
        Exchange(
            grant_type=PASSWORD,
            wire_grant="password",
            profile=PROFILE,
            kind=CredentialKind.PASSWORD,
            secret=("password",),
            owner="user_name",
            named=OwnerName.USER_NAME,
            organisation="tenant",
            passcode="passcode",
            client=BuiltInClient(id="one", scopes=("all",)),
            id_profile=TokenProfile(kind="everything.id", dialect="everything", lifetime_seconds=60),
            absent=Code.INVALID_GRANT,
        ),
        Exchange(
            grant_type=API_TOKEN,
            wire_grant="key",
            profile=PROFILE,
            kind=CredentialKind.API_TOKEN,
            secret=("api_token",),
            absent=Code.INVALID_REQUEST,
            deprecated=True,
        ),
    ),
    variants=(Answer(Shape((Constant("warned", value=True),)), when="notice"), Answer(None, 204, "user.id")),
    answer=Answer(GRANTED, 201),
)
CLIENTS = Route(
    name="clients",
    path="/every/clients",
    media=(JSON,),
    fields=(
        Field(name="id", slot="client_id", reader="uuid_or_text", required=True),
        Field(name="key", slot="client_secret", reader="secret", required=True),
        Field(name="name", slot="label", required=True, aliases=("title",)),
    ),
    authentication=ClientAuthentication(conflict=Conflict.MUST_AGREE),
    exchanges=(Exchange(grant_type=CLIENT_CREDENTIALS, profile=PROFILE),),
    answer=Answer(
        Shape((Member("token", "access_token", "reveal"), Member("aud", "audience", "one_or_list")))
    ),
)
BASIC_ONLY = Route(
    name="introspect",
    path="/every/introspect",
    fields=(Field(name="token", slot="token", reader="secret", required=True),),
    authentication=ClientAuthentication(),
    operation=Operation(name="introspect", accepts=(PROFILE,)),
    answer=Answer(Shape((Member("active", "active"), Member("sub", "subject")))),
)
LIST = Route(
    name="list",
    method="GET",
    path="/every/projects",
    fields=(
        Field(name="name", slot="name", source=Source.QUERY),
        Field(name="limit", slot="limit", source=Source.QUERY, reader="integer", minimum=0, maximum=1000),
        Field(name="sort", slot="sort", source=Source.QUERY, choices=("name", "-name")),
    ),
    bearer=BEARER,
    operation=Operation(name="projects.list"),
    variants=(Answer(Shape((Member("id", "project.id"),)), when="project.id"),),
    answer=Answer(
        Each(
            "",
            "projects",
            Shape(
                (Member("id", "item.id"), Member("paths", "item.teams", "list"), Member("open", "item.open"))
            ),
        )
    ),
)
CREATE = Route(
    name="create",
    path="/every/projects",
    media=(JSON,),
    fields=(
        Field(name="Name", slot="name", required=True, any_case=True),
        Field(name="Teams", slot="teams", reader="text_list"),
    ),
    bearer=BEARER,
    operation=Operation(name="projects.create"),
    answer=Answer(Shape((Member("id", "project.id"), Member("on", "project.created_at", "iso_millis"))), 201),
    refusals=Refusals(
        Shape((Member("message", "text"), Member("trace", "request_id"))),
        {code: RefusalRow(409 if code is Code.CONFLICT else 400, code) for code in Code},
    ),
)
DELETE = Route(
    name="delete",
    method="DELETE",
    path="/every/projects/{id}",
    fields=(Field(name="id", slot="id", source=Source.PATH),),
    bearer=BEARER,
    operation=Operation(name="projects.delete"),
    answer=Answer(None, 204),
)
MOVE = Route(
    name="move",
    method="GET",
    path="/every/projects/{project}",
    fields=(
        Field(name="project", slot="project", source=Source.PATH),
        Field(name="to", slot="to", source=Source.QUERY, required=True),
    ),
    bearer=Bearer(accepts=(PROFILE,)),
    exchanges=(
        Exchange(
            grant_type=CHANGE_ORGANISATION,
            profile=PROFILE,
            kind=CredentialKind.ACCESS_TOKEN,
            organisation="to",
        ),
    ),
    answer=Answer(Shape((Member("token", "access_token", "reveal"),))),
)
RENEW = Route(
    name="renew",
    path="/every/renew",
    media=(JSON,),
    media_optional=True,
    media_ignored_when_empty=True,
    fields=(Field(name="x-key", slot="api_token", reader="secret", source=Source.HEADER, required=True),),
    exchanges=(
        Exchange(
            grant_type=API_TOKEN,
            profile=PROFILE,
            kind=CredentialKind.API_TOKEN,
            secret=("api_token",),
            absent=Code.INVALID_REQUEST,
        ),
    ),
    answer=Answer(Shape((Member("token", "access_token", "reveal"),))),
)
KEY = Route(
    name="key",
    method="GET",
    path="/every/key",
    document=Document("public_key", PROFILE),
    fields=(Field(name="format", slot="format", source=Source.QUERY, choices=("jwks",)),),
    variants=(Answer(Shape((Member("keys", "keys"),)), when="request.format"),),
    answer=Answer(
        Shape((Member("alg", "algorithm"), Member("value", "pem", "pem_one_line"), Member("self", "url.key")))
    ),
)
ROUTES = (LOGIN, CLIENTS, BASIC_ONLY, LIST, CREATE, DELETE, MOVE, RENEW, KEY)

REFUSALS = Refusals(
    shape=Shape(
        (
            Member("fault.number", "row.number"),
            Member("fault.word", "code"),
            Member("fault.http", "status"),
            Member("fault.text", "text"),
            Member("fault.at", "now", "iso_millis"),
            Member("fault.trace", "request.trace", otherwise="fresh_id"),
            Each("fault.issues", "issues", Shape((Member("message", "item"),))),
        )
    ),
    rows={
        **{
            code: RefusalRow(
                400, "BAD", text="no: {description}{tail}", mask=" *{tail}", values={"number": 1}
            )
            for code in sorted(codes_of(ROUTES))
        },
        Code.INVALID_CLIENT: RefusalRow(401, 4010, BASIC_CHALLENGE, values={"number": 2}),
        Code.INVALID_TOKEN: RefusalRow(401, 4011),
        Code.SLOW_DOWN: RefusalRow(429, 4290),
        Code.NOT_FOUND: RefusalRow(200, 4040),
    },
)

DIALECT = Dialect(
    name="everything",
    title="Everything",
    routes=ROUTES,
    refusals=REFUSALS,
    settings=(
        deprecated_setting(),
        Setting(
            name="unit",
            kind="str",
            default="s",
            scope=Scope.ORGANISATION,
            choices=("s", "text"),
            help="How the end is told.",
        ),
        Setting(name="strict", kind="bool", default=False, scope=Scope.DEPLOYMENT, help="Ask for all."),
    ),
    demo=DemoEntry(
        fixtures=(ClientFixture(name="every", grants=(), scopes=()),),
        members=Shape(
            (
                Member("login_url", "url.login"),
                Member("client.id", "client.id"),
                Member("client.key", "client.secret", "reveal"),
                Member("scopes", "client.scopes", "list"),
            )
        ),
        curl="",
    ),
    samples=(
        Sample(
            name="Refused first: no key",
            route="login",
            headers=(("Content-Type", "application/json; charset=utf-8"), ("X-Kind", "a")),
            body='{"grant_type": "key"}',
            status=400,
            answer={
                "fault": {
                    "number": 1,
                    "word": "BAD",
                    "http": 400,
                    "text": "<text>",
                    "at": "<text>",
                    "trace": "<uuid>",
                    "issues": [{"message": "key is required"}],
                }
            },
        ),
        Sample(
            name="By a form",
            route="login",
            headers=(("X-Kind", "{kind}"),),
            body="grant_type=key&key={token:form}&resource=urn%3Aa&resource=urn%3Ab",
            status=201,
            answer={
                "ok": {"token": "<jwt>", "id": None, "trace": "<uuid>", "echo": "<uuid>"},
                "user": {"name": None, "verified": None},
                "expires": 1,
                "version": "1.0",
                "nothing": None,
            },
        ),
        Sample(
            name="No JSON",
            route="clients",
            headers=(("Authorization", "{basic}"), ("Content-Type", "application/json")),
            body="{",
            status=400,
            answer={
                "fault": {
                    "number": 1,
                    "word": "BAD",
                    "http": 400,
                    "text": "<text>",
                    "at": "<text>",
                    "trace": "<uuid>",
                    "issues": [],
                }
            },
        ),
        Sample(
            name="By Basic",
            route="clients",
            headers=(("Authorization", "{basic}"), ("Content-Type", "application/json")),
            body='{"name": "{client.id}"}',
            status=200,
            answer={"token": "<jwt>", "aud": "urn:a"},
        ),
        Sample(name="All", route="list", status=200, answer=[{"id": "1", "paths": ["/A"], "open": True}]),
        Sample(
            name="With a header",
            route="delete",
            headers=(("X-Pass", "{access_token}"),),
            status=204,
            answer=None,
        ),
    ),
)
