"""A route's table turned into its reader: fields, their problems, client authentication and the exchange."""

import base64
import contextlib

import msgspec
import pytest

from keyturn.core.errors import (
    InvalidClient,
    InvalidRequest,
    InvalidToken,
    Refusal,
    TooLarge,
    UnsupportedGrantType,
    UnsupportedMediaType,
)
from keyturn.core.profile import TokenProfile
from keyturn.core.requests import BuiltInClient, Call, Question, TokenRequest
from keyturn.core.shapes import Shape
from keyturn.core.vocabulary import (
    CHANGE_ORGANISATION,
    CLIENT_CREDENTIALS,
    Code,
    CredentialKind,
    OwnerName,
    Reason,
    RequestId,
)
from keyturn.wire import read as read_module
from keyturn.wire.fields import BODIES_KEPT, BODY_KEPT_BYTES, Bodies
from keyturn.wire.http import WireRequest
from keyturn.wire.read import compile_reader
from keyturn.wire.tables import (
    FORM,
    JSON,
    Answer,
    Bearer,
    ClientAuthentication,
    Conflict,
    Document,
    Exchange,
    Field,
    Operation,
    Route,
    Source,
)

PROFILE = TokenProfile(kind="toy.access", dialect="toy", lifetime_seconds=60)
EXCHANGE = Exchange(
    grant_type=CLIENT_CREDENTIALS,
    profile=PROFILE,
    kind=CredentialKind.CLIENT_SECRET,
    owner="client_id",
    secret=("client_secret",),
)
GRANTED = Exchange(
    grant_type=CLIENT_CREDENTIALS,
    profile=PROFILE,
    kind=CredentialKind.CLIENT_SECRET,
    owner="client_id",
    secret=("client_secret",),
    wire_grant="cc",
    absent=Code.INVALID_REQUEST,
)
FIELDS = (
    Field(name="org", slot="organisation", source=Source.PATH),
    Field(name="grant", slot="grant_type"),
    Field(name="id", slot="client_id", reader="uuid_or_text", aliases=("ident", "user")),
    Field(name="key", slot="client_secret", reader="secret"),
    Field(
        name="scope",
        slot="scope",
        reader="scope_words",
        json_reader="scope_list",
        invalid=Code.INVALID_SCOPE,
    ),
    Field(name="for", slot="resource", repeatable=True, reader="absolute_uri", invalid=Code.INVALID_TARGET),
)
UUID = "0190aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee"


def route(**changes):
    """Make a route of the toy dialect."""
    table = {
        "name": "get",
        "path": "/{org}/get",
        "media": (FORM, JSON),
        "media_optional": True,
        "fields": FIELDS,
        "authentication": ClientAuthentication(),
        "exchanges": (EXCHANGE,),
        "answer": Answer(Shape(())),
    }
    return Route(**(table | changes))


def read(body=b"", *, table=None, basic=None, json=False, query=b"", oversized=False, more=()):
    """Read one request of the toy dialect."""
    headers = [(b"content-type", JSON.encode() if json else FORM.encode()), *more]
    if basic is not None:
        headers.append((b"authorization", b"Basic " + base64.b64encode(basic)))
    asked = WireRequest(
        request_id=RequestId("r"),
        method="POST",
        path="/acme/get",
        query=query,
        headers=headers,
        body=body,
        address="192.0.2.7",
        oversized=oversized,
        params={"org": "acme"},
    )
    return compile_reader(table or route(), "toy")(asked)


def refused(*args, kind=Refusal, **options):
    """Read one request that is refused, and give the refusal."""
    with pytest.raises(kind) as caught:
        read(*args, **options)
    return caught.value


def with_conflict(conflict, **changes):
    """Make a route that settles two ways of authentication in this way."""
    return route(authentication=ClientAuthentication(conflict=conflict, **changes))


def test_everything_read():
    """Every field reaches its slot, and the origin says which door was used."""
    asked = read(b"id=" + UUID.upper().encode() + b"&key=s&scope=b+a+b&for=urn:a&for=urn:b&other=1")
    assert asked.origin.dialect == "toy"
    assert asked.origin.route == "get"
    assert asked.origin.address == "192.0.2.7"
    assert asked.origin.deprecated == ()
    assert asked.organisation == "acme"
    assert asked.grant_type == CLIENT_CREDENTIALS
    assert asked.profile is PROFILE
    assert asked.credential.kind is CredentialKind.CLIENT_SECRET
    assert asked.credential.owner == UUID
    assert asked.credential.secret.reveal() == "s"
    assert asked.scopes == ("b", "a")
    assert asked.resources == ("urn:a", "urn:b")


def test_little_read():
    """What was not asked is absent, not empty."""
    asked = read(b"id=a&key=s&scope=&for=")
    assert asked.scopes is None
    assert asked.resources == ()


def wire_request(body):
    """Make a request of the toy dialect that says who asks in a header."""
    return WireRequest(
        request_id=RequestId("r"),
        method="POST",
        path="/acme/get",
        headers=[(b"content-type", FORM.encode()), (b"authorization", b"Basic YTpz")],
        body=body,
        params={"org": "acme"},
    )


GRANTED_BY_CLIENT = Exchange(
    grant_type=CLIENT_CREDENTIALS, profile=PROFILE, kind=CredentialKind.CLIENT_SECRET, wire_grant="cc"
)


def test_what_is_remembered_says_the_same_again():
    """A short body is parsed once, and its second reading is equal, deprecated names included."""
    reader = compile_reader(route(exchanges=(GRANTED_BY_CLIENT,)), "toy")
    first, second = (reader(wire_request(b"grant=cc&scope=b+a&ident=a&for=urn:a")) for _ in range(2))
    third = reader(wire_request(b"grant=cc&scope=c&for=urn:b"))
    for asked in first, second:
        assert asked.scopes == ("b", "a")
        assert asked.resources == ("urn:a",)
        assert asked.origin.deprecated == ("ident",)
    assert (third.scopes, third.resources, third.origin.deprecated) == (("c",), ("urn:b",), ())


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b"grant=cc&scope=a", 1),
        (b"grant=cc&key=s", 0),
        (b"grant=cc&client_secert=s", 0),
        (b"grant=cc&scope=a&scope=b", 0),
        (b"grant=cc&scope=" + b"a" * BODY_KEPT_BYTES, 0),
    ],
)
def test_no_secret_is_remembered(body, kept, monkeypatch):
    """Nothing with a secret, an unknown field, a mistake or much text is kept; nor is what it was read as."""
    made = []
    monkeypatch.setattr(read_module, "Bodies", lambda *given: made.append(Bodies(*given)) or made[-1])
    reader = compile_reader(route(exchanges=(GRANTED_BY_CLIENT,)), "toy")
    for _ in range(2):
        with contextlib.suppress(Refusal):
            reader(wire_request(body))
    assert len(made[0]._known) == kept


@pytest.mark.parametrize("conflict", list(Conflict))
def test_what_was_found_in_a_head_reads_the_same_again(conflict):
    """TE-04: behind a head whose findings are kept each body means, or is refused for, what it is alone."""
    table = with_conflict(conflict)
    reader = compile_reader(msgspec.structs.replace(table, exchanges=(GRANTED_BY_CLIENT,)), "toy")
    bodies = [b"grant=cc", b"grant=cc&id=b&key=t", b"grant=cc&id=a&key=s", b"scope=%22", b"grant=cc&org=x"]
    bodies += [b"grant=cc&grant=cc", b"grant=&grant=cc", b"\xff", b"grant=cc&ident=a&for=urn:a&more=1", b""]
    kept = wire_request(b"").notes
    for body in [*bodies, *bodies]:
        alone, behind = (
            outcome(reader, asked)
            for asked in (wire_request(body), msgspec.structs.replace(wire_request(body), notes=kept))
        )
        assert alone == behind
    assert kept.media == FORM


def outcome(reader, request):
    """Read a request into what can be compared: what it asks for, or why it is refused."""
    try:
        asked = reader(request)
    except Refusal as refusal:
        return refusal.reason, refusal.code, refusal.issues, refusal.echoes
    clear = [each.secret.reveal() for each in (asked.credential, asked.client)]
    return asked.organisation, asked.client.owner, clear, asked.scopes, asked.resources, asked.origin


def test_memory_of_bodies_is_bounded():
    """However many bodies come, few are kept, and each is read right."""
    reader = compile_reader(route(exchanges=(GRANTED_BY_CLIENT,)), "toy")
    for number in range(BODIES_KEPT + 2):
        assert reader(wire_request(b"grant=cc&scope=s%d" % number)).scopes == (f"s{number}",)


def test_json_reader():
    """A JSON body is read by a field's own JSON reader."""
    assert read(b'{"id": "a", "key": "s", "scope": ["x"]}', json=True).scopes == ("x",)
    refusal = refused(b'{"id": "a", "key": "s", "scope": "x"}', json=True)
    assert refusal.code is Code.INVALID_SCOPE
    assert refusal.issues == ("scope must be an array of strings",)


@pytest.mark.parametrize(
    "value", [b"7", b"true", b"false", b"0", b"[]", b'["a"]', b"{}", b'{"a": "b"}', b"1.5"]
)
@pytest.mark.parametrize("field", [b"id", b"key", b"grant"])
def test_wrong_json_type(field, value):
    """TE-03: a JSON member of the wrong type is refused."""
    members = {b"id": b'"a"', b"key": b'"s"', b"grant": b'"x"'} | {field: value}
    body = b"{" + b",".join(b'"%s": %s' % pair for pair in members.items()) + b"}"
    refusal = refused(body, json=True, kind=InvalidRequest)
    assert refusal.reason is Reason.FIELD_INVALID
    assert refusal.issues == (field.decode() + " must be a string",)


def test_null_is_a_wrong_type():
    """TE-03: a JSON member that is null is refused, also where the member may be left out."""
    refused(b'{"id": "a", "key": "s", "scope": null}', json=True)


def test_empty_text_is_no_list():
    """TE-03: an empty JSON string where an array is meant is refused like any other string."""
    refused(b'{"id": "a", "key": "s", "scope": ""}', json=True)


@pytest.mark.parametrize("reader", ["integer", "boolean"])
def test_empty_text_is_no_number(reader):
    """TE-03: an empty JSON string where a number or a truth value is meant is refused."""
    table = route(fields=(*FIELDS, Field(name="n", slot="n", reader=reader)))
    assert refused(b'{"id": "a", "key": "s", "n": ""}', json=True, table=table).reason is Reason.FIELD_INVALID


def test_every_problem_is_told():
    """Each bad field is one issue in the order of the table, and the first of them names the code."""
    table = route(fields=(*FIELDS[:2], Field(name="must", slot="must", required=True), *FIELDS[2:]))
    refusal = refused(b"for=x&scope=%22&id=%00&id2=1", table=table)
    assert refusal.code is Code.INVALID_REQUEST
    assert refusal.reason is Reason.FIELD_MISSING
    assert refusal.issues == (
        "must is required",
        "id holds a character that is not allowed",
        "scope holds a malformed scope",
        "for must be an absolute URI without a fragment",
    )
    assert refused(b"id=a&key=s&for=x&scope=%22").code is Code.INVALID_SCOPE
    assert refused(b"id=a&key=s&for=x").code is Code.INVALID_TARGET


def test_codes_of_the_table():
    """A field's row names the code of its absence and that of its refusal."""
    field = Field(
        name="id", slot="client_id", required=True, missing=Code.INVALID_CLIENT, invalid=Code.INVALID_GRANT
    )
    table = route(fields=(field, FIELDS[3]))
    assert refused(b"key=s", table=table).code is Code.INVALID_CLIENT
    assert refused(b"key=s&id=%0A", table=table).code is Code.INVALID_GRANT


@pytest.mark.parametrize(
    ("body", "issue"),
    [
        (b"id=a&id=a&key=s", "id is given more than once"),
        (b"id=a&key=s&key=t", "key is given more than once"),
        (b"id=a&key=s&scope=&scope=", "scope is given more than once"),
        (b"id=a&ident=a&key=s", "id is given more than once"),
        (b"id=a&key=s&x=1&x=1", "a field is given more than once"),
        (b"id=a&%69d=a&key=s", "id is given more than once"),
    ],
)
def test_repeated(body, issue):
    """TE-02: a parameter given twice is refused, under an alias, escaped or unknown too."""
    refusal = refused(body, kind=InvalidRequest)
    assert refusal.reason is Reason.FIELD_REPEATED
    assert refusal.issues == (issue,)


def test_unknown_fields_are_ignored():
    """TE-02: unknown parameters change nothing, even if they spell a slot or a claim."""
    plain = read(b"id=a&key=s")
    asked = read(
        b"id=a&key=s&organisation=globex&client_id=b&grant_type=x&sub=root&resource=urn:x&lifetime=9"
    )
    assert (asked.organisation, asked.credential.owner, asked.resources) == ("acme", "a", ())
    assert (asked.scopes, asked.grant_type, asked.profile) == (plain.scopes, plain.grant_type, plain.profile)


def test_path_field_is_not_read_from_the_body():
    """TN-01: the organisation comes from the path, whatever the body calls so."""
    assert read(b"id=a&key=s&org=globex").organisation == "acme"


def test_alias_is_marked():
    """A deprecated name is read and named for the audit trail."""
    asked = read(b"ident=a&key=s")
    assert asked.credential.owner == "a"
    assert asked.origin.deprecated == ("ident",)


@pytest.mark.parametrize(
    "query", [b"key=s", b"id=a", b"x=1&scope=a", b"%6bey", b"user=a", b"grant=x", b"key=s;x"]
)
def test_query(query):
    """TE-01: a parameter of the body in the query is refused, whatever the body holds."""
    refusal = refused(b"id=a&key=s", query=query, kind=InvalidRequest)
    assert refusal.reason is Reason.CREDENTIAL_IN_QUERY


def test_other_query():
    """A query without parameters of the table is ignored."""
    assert read(b"id=a&key=s", query=b"trace=1&Key=x&org=globex").organisation == "acme"


def test_oversized():
    """HT-01: a body over the limit is refused before its content type is looked at."""
    assert refused(oversized=True, kind=TooLarge).reason is Reason.TOO_LARGE


@pytest.mark.parametrize(
    ("body", "told"), [(b"id=a", True), (b"key=s", True), (b"id=a&key=", True), (b"id=a&key=s", False)]
)
def test_no_credential(body, told):
    """Without an owner or a secret authentication failed, with the code that the exchange names."""
    if told:
        assert refused(body, kind=InvalidClient).reason is Reason.NO_CREDENTIAL
        assert refused(b"grant=cc&" + body, table=route(exchanges=(GRANTED,))).code is Code.INVALID_REQUEST
    else:
        assert read(body).credential.owner == "a"


def test_grant_selects():
    """The grant chooses among a route's exchanges; one that nobody knows is refused by its own code."""
    table = route(exchanges=(GRANTED,))
    assert read(b"grant=cc&id=a&key=s", table=table).grant_type == CLIENT_CREDENTIALS
    assert (
        refused(b"grant=CC&id=a&key=s", table=table, kind=UnsupportedGrantType).reason is Reason.GRANT_UNKNOWN
    )


def test_unknown_grant_is_told_in_the_dialects_word():
    """An unknown grant is told under the name that the table gives its field."""
    refusal = refused(b"grant=CC&id=a&key=s", table=route(exchanges=(GRANTED,)), kind=UnsupportedGrantType)
    assert refusal.issues == ("grant is not supported",)


def test_basic():
    """HTTP Basic fills the same slots as the body, a UUID in the same spelling."""
    asked = read(basic=UUID.upper().encode() + b":s%2Bt")
    assert asked.credential.owner == UUID
    assert asked.credential.secret.reveal() == "s+t"


def test_basic_off():
    """A route that does not read Basic is not authenticated by it."""
    table = with_conflict(Conflict.ONE, basic=False)
    assert read(b"id=a&key=s", table=table, basic=b"b:t").credential.owner == "a"
    refused(table=table, basic=b"b:t", kind=InvalidClient)


@pytest.mark.parametrize(
    ("conflict", "body", "owner"),
    [
        (Conflict.ONE, b"", "a"),
        (Conflict.ONE, b"id=a", "a"),
        (Conflict.ONE, b"id=a&key=s", None),
        (Conflict.ONE, b"key=s", None),
        (Conflict.ONE, b"id=b", None),
        (Conflict.MUST_AGREE, b"", "a"),
        (Conflict.MUST_AGREE, b"id=a&key=s", "a"),
        (Conflict.MUST_AGREE, b"key=s", "a"),
        (Conflict.MUST_AGREE, b"id=a&key=t", None),
        (Conflict.MUST_AGREE, b"id=b&key=s", None),
        (Conflict.MUST_AGREE, b"id=b", None),
        (Conflict.HEADER_WINS, b"id=b&key=t", "a"),
        (Conflict.BODY_WINS, b"id=b&key=t", "b"),
        (Conflict.BODY_WINS, b"", "a"),
    ],
)
def test_conflict(conflict, body, owner):
    """TE-04: two ways of client authentication are settled as the table says."""
    table = with_conflict(conflict)
    if owner is None:
        refusal = refused(body, table=table, basic=b"a:s", kind=InvalidRequest)
        assert refusal.reason is Reason.TWO_AUTHENTICATIONS
    else:
        asked = read(body, table=table, basic=b"a:s")
        assert asked.credential.owner == owner
        assert asked.credential.secret.reveal() == ("t" if owner == "b" else "s")


def test_agreement_without_case():
    """TE-04: the same UUID in header and body agrees in whatever case each is written."""
    body = b"id=%s&key=s" % UUID.upper().encode()
    asked = read(body, table=with_conflict(Conflict.MUST_AGREE), basic=UUID.upper().encode() + b":s")
    assert asked.credential.owner == UUID


@pytest.mark.parametrize("claimed", [b"a%00:s", b"a\x00:s", b"a\n:s", b"a" * 9000 + b":s"])
def test_basic_owner_is_checked(claimed):
    """HT-02: a client id that no body may hold is refused in a Basic header too."""
    refused(basic=claimed)


@pytest.mark.parametrize("claimed", [b"a:s%00", b"a:s\r\n", b"a:" + b"s" * 9000])
def test_basic_secret_is_checked(claimed):
    """HT-02: a secret that no body may hold is refused in a Basic header too."""
    refused(basic=claimed)


def test_secret_in_no_message():
    """HT-07: no issue, description or text of a refusal repeats what was sent."""
    for body in (
        b"id=%00hush&key=hush%00",
        b"scope=hush%22&for=hush",
        b"grant=hush&id=a&key=b",
        b"hush=1&hush=2",
    ):
        refusal = refused(body, table=route(exchanges=(GRANTED,)))
        assert "hush" not in repr((refusal.args, refusal.issues, refusal.description, refusal.reason))


def test_fields_of_header_and_query():
    """A field is read where its table says: header, query or body, and each name once."""
    table = route(
        fields=(
            *FIELDS[:4],
            Field(name="x-pass", slot="scope", source=Source.HEADER, reader="scope_words"),
            Field(name="for2", slot="resource", source=Source.QUERY, repeatable=True, reader="absolute_uri"),
        )
    )
    asked = read(b"id=a&key=s", table=table, query=b"for2=urn:x&other=1", more=[(b"x-pass", b"one two")])
    assert (asked.resources, asked.scopes) == (("urn:x",), ("one", "two"))
    refused(b"id=a&key=s", table=table, query=b"for2=urn:a&for2=b")
    refused(b"id=a&key=s", table=table, more=[(b"x-pass", b"one"), (b"x-pass", b"two")])
    assert refused(b"id=a&key=s", table=table, query=b"key=s").reason is Reason.CREDENTIAL_IN_QUERY


NAMED = Exchange(
    grant_type=CLIENT_CREDENTIALS,
    profile=PROFILE,
    kind=CredentialKind.API_TOKEN,
    secret=("new", "old", "query"),
    passcode="passcode",
    organisation="alias",
    client=BuiltInClient(id="built-in"),
    id_profile=PROFILE,
    deprecated=True,
)
TOKEN_FIELDS = (
    Field(name="token", slot="new", reader="secret"),
    Field(name="key", slot="old", reader="secret", deprecated=True),
    Field(name="key", slot="query", reader="secret", source=Source.QUERY, deprecated=True),
    Field(name="code", slot="passcode", reader="secret"),
    Field(name="org", slot="alias", reader="uuid_or_text"),
    Field(name="org", slot="alias", reader="uuid_or_text", source=Source.QUERY),
)
BY_TOKEN = route(
    path="/t", fields=TOKEN_FIELDS, authentication=None, exchanges=(NAMED,), media_ignored_when_empty=True
)


def test_everything_an_exchange_names():
    """A secret that names itself comes with all that its exchange's table says."""
    asked = read(b"token=s&code=123456&org=" + UUID.upper().encode(), table=BY_TOKEN)
    assert isinstance(asked, TokenRequest)
    assert (asked.credential.named, asked.credential.owner) == (OwnerName.SECRET, None)
    assert asked.passcode.reveal() == "123456"
    assert asked.organisation_alias == UUID
    assert asked.client_table is NAMED.client
    assert (asked.client.kind, asked.client.owner) == (CredentialKind.NONE, "built-in")
    assert asked.id_profile is PROFILE
    assert asked.accepts == ()


@pytest.mark.parametrize(
    ("body", "query", "marks"),
    [
        (b"token=s", b"", ()),
        (b"token=s&key=", b"", ()),
        (b"key=s", b"", ("key",)),
        (b"", b"key=s", ("query:key",)),
        (b"key=s&token=s", b"key=s", ("query:key", "key")),
    ],
)
def test_secret_in_several_places(body, query, marks):
    """A secret is taken from wherever the table has it, and deprecated places are marked."""
    asked = read(body, query=query, table=BY_TOKEN)
    assert asked.credential.secret.reveal() == "s"
    assert asked.origin.deprecated == (*marks, "client_credentials")


def test_secrets_that_differ():
    """TE-04: two secrets that differ are refused, and none is refused by the name the wire has for it."""
    refusal = refused(b"token=s&key=t", table=BY_TOKEN, kind=InvalidRequest)
    assert refusal.reason is Reason.TWO_AUTHENTICATIONS
    assert refused(b"", table=BY_TOKEN).issues == ("token is required",)
    assert refused(b"token=s", query=b"token=s", table=BY_TOKEN).reason is Reason.CREDENTIAL_IN_QUERY


def test_two_fields_of_one_slot():
    """Two fields of one slot may say the same and nothing else."""
    assert read(b"token=s&org=a", query=b"org=a", table=BY_TOKEN).organisation_alias == "a"
    refusal = refused(b"token=s&org=a", query=b"org=b", table=BY_TOKEN, kind=InvalidRequest)
    assert refusal.reason is Reason.FIELD_REPEATED


def test_type_of_nothing():
    """The type of an empty body says nothing where the table says so, and something elsewhere."""
    text = [(b"content-type", b"text/plain")]
    asked = WireRequest(
        request_id=RequestId("r"), method="POST", path="/t", query=b"key=s", headers=text, body=b""
    )
    assert compile_reader(BY_TOKEN, "toy")(asked).credential.secret.reveal() == "s"
    strict = msgspec.structs.replace(BY_TOKEN, media_ignored_when_empty=False)
    with pytest.raises(UnsupportedMediaType):
        compile_reader(strict, "toy")(asked)
    with pytest.raises(UnsupportedMediaType):
        compile_reader(BY_TOKEN, "toy")(msgspec.structs.replace(asked, body=b"x"))


def test_stray_basic():
    """A Basic header is nobody's business on a route without client authentication."""
    assert read(b"token=s", table=BY_TOKEN, basic=b"a:b").credential.secret.reveal() == "s"


CALL_FIELDS = (
    Field(name="id", slot="id", source=Source.PATH),
    Field(name="Name", slot="name", any_case=True, longest=5, echo=True),
    Field(name="Teams", slot="teams", reader="text_list", any_case=True),
    Field(name="Open", slot="open", reader="boolean", any_case=True),
    Field(name="limit", slot="limit", reader="integer", source=Source.QUERY, minimum=1, maximum=10),
)
BEARER = Bearer(accepts=(PROFILE,), headers=("x-token",), scope="s", permission="p", organisation="id")


def called(body=b"{}", *, headers=(), query=b"", method="POST", **changes):
    """Read one call of the toy dialect."""
    table = Route(
        name="call",
        path="/{id}",
        method=method,
        media=(JSON,),
        fields=CALL_FIELDS,
        bearer=msgspec.structs.replace(BEARER, **changes),
        operation=Operation(name="projects.change"),
        answer=Answer(None, status=204),
    )
    asked = WireRequest(
        request_id=RequestId("r"),
        method=method,
        path="/7",
        query=query,
        headers=[(b"content-type", b"application/json"), *headers],
        body=body,
        params={"id": "7"},
    )
    return compile_reader(table, "toy")(asked)


def test_call():
    """A call has its token, what the token must allow, and its arguments, names of members in any case."""
    asked = called(
        b'{"name": "x", "TEAMS": [], "open": false}',
        headers=[(b"authorization", b"bearer t")],
        query=b"limit=7",
    )
    assert isinstance(asked, Call)
    assert asked.token.reveal() == "t"
    assert (asked.operation, asked.accepts, asked.scope, asked.permission) == (
        "projects.change",
        (PROFILE,),
        "s",
        "p",
    )
    assert asked.bearer_alias == "7"
    assert asked.arguments == {"id": "7", "name": "x", "teams": (), "open": False, "limit": 7}
    assert asked.origin.echoes == {"name": "x"}


@pytest.mark.parametrize(
    ("body", "query", "issue"),
    [
        (b'{"Name": "x", "name": "x"}', b"", "Name is given more than once"),
        (b'{"Name": "123456"}', b"", "Name must be at most 5 characters"),
        (b'{"Open": "true"}', b"", "Open must be true or false"),
        (b'{"Teams": "a"}', b"", "Teams must be an array of strings"),
        (b"{}", b"limit=0", "limit must be at least 1"),
        (b"{}", b"limit=11", "limit must be at most 10"),
        (b"{}", b"limit=1.5", "limit must be a whole number"),
    ],
)
def test_arguments_refused(body, query, issue):
    """TE-03: an argument of another type or out of its bounds is refused, one given in two cases too."""
    with pytest.raises(InvalidRequest) as caught:
        called(body, query=query)
    assert caught.value.issues == (issue,)


def test_echo_of_a_refused_request():
    """What a contract repeats is repeated also where another field was wrong."""
    with pytest.raises(InvalidRequest) as caught:
        called(b'{"Name": "x", "Teams": 7}')
    assert caught.value.echoes == {"name": "x"}


@pytest.mark.parametrize(
    ("headers", "bare", "token"),
    [
        ([(b"authorization", b"Bearer t")], False, "t"),
        ([(b"authorization", b"BEARER  t ")], False, "t"),
        ([(b"authorization", b"t")], True, "t"),
        ([(b"authorization", b"t")], False, None),
        ([(b"authorization", b"Bearer")], True, None),
        ([(b"authorization", b"Basic YTpi")], True, None),
        ([(b"authorization", b"JWT a.b.c")], True, None),
        ([(b"x-token", b"t")], False, "t"),
        ([(b"x-token", b"t"), (b"authorization", b"bearer t")], False, "t"),
        ([(b"x-token", b"")], False, None),
        ([], True, None),
    ],
)
def test_bearer(headers, bare, token):
    """A token is read from where the table has it, whatever the case of the scheme, and from nowhere else."""
    read_token = called(headers=headers, bare=bare).token
    assert (read_token and read_token.reveal()) == token


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ([(b"x-token", b"t"), (b"authorization", b"bearer u")], InvalidRequest),
        ([(b"x-token", b"t"), (b"x-token", b"u")], InvalidRequest),
        ([(b"authorization", b"bearer t"), (b"authorization", b"bearer t")], InvalidRequest),
        ([(b"authorization", b"bearer \xff")], InvalidToken),
        ([(b"authorization", b"bearer " + b"a" * 9000)], InvalidToken),
        ([(b"x-token", b"a\x00b")], InvalidToken),
    ],
)
def test_bearer_refused(headers, kind):
    """Two tokens are one too many, and what can be no token is refused as one (RFC 6750 section 3.1)."""
    with pytest.raises(kind):
        called(headers=headers)


def test_bodiless():
    """Nobody looks at the body of a GET, nor at its type."""
    assert called(b"\xff", method="GET", headers=[(b"content-type", b"x")]).arguments == {"id": "7"}


def test_token_for_another():
    """An access token is the credential of an exchange whose table says so; without one there is none."""
    exchange = Exchange(
        grant_type=CHANGE_ORGANISATION,
        profile=PROFILE,
        kind=CredentialKind.ACCESS_TOKEN,
        organisation="id",
        client=BuiltInClient(id="built-in"),
    )
    table = Route(
        name="change",
        path="/{id}",
        method="GET",
        fields=CALL_FIELDS[:1],
        bearer=BEARER,
        exchanges=(exchange,),
        answer=Answer(Shape(())),
    )
    asked = WireRequest(
        request_id=RequestId("r"),
        method="GET",
        path="/7",
        headers=[(b"authorization", b"Bearer t")],
        params={"id": "7"},
    )
    reader = compile_reader(table, "toy")
    wish = reader(asked)
    assert (wish.credential.kind, wish.credential.secret.reveal()) == (CredentialKind.ACCESS_TOKEN, "t")
    assert (wish.organisation_alias, wish.bearer_alias, wish.accepts) == ("7", "7", (PROFILE,))
    with pytest.raises(InvalidToken):
        reader(msgspec.structs.replace(asked, headers=()))


def test_anonymous_question():
    """Where a route authenticates nobody, whoever holds a token may ask about it."""
    table = route(
        path="/q",
        fields=(Field(name="value", slot="token", reader="secret", required=True),),
        authentication=None,
        exchanges=(),
        operation=Operation(name="introspect", accepts=(PROFILE,)),
    )
    asked = read(b"value=s", table=table)
    assert isinstance(asked, Question)
    assert (asked.client, asked.token.reveal()) == (None, "s")


def test_document_with_a_choice():
    """A published document reads what its table says, and repeats it."""
    table = Route(
        name="keys",
        path="/{org}/keys",
        method="GET",
        fields=(
            FIELDS[0],
            Field(name="format", slot="format", source=Source.QUERY, choices=("a",), echo=True),
        ),
        document=Document("jwks"),
        answer=Answer(Shape(())),
    )
    asked = read(query=b"format=a", table=table)
    assert (asked.document.name, asked.organisation, asked.origin.echoes) == ("jwks", "acme", {"format": "a"})
    assert refused(query=b"format=b", table=table).issues == ("format must be a",)


@pytest.mark.parametrize(
    ("value", "read_as"),
    [
        (b"Tenant%3AAcme", "acme"),
        (b"x+tENANT:Acme++y", "acme"),
        (b"Acme", None),
        (b"Tenant:", None),
        (b"Tenant:a+Tenant:b", None),
        (b"Tenant:a+tenant:a", None),
    ],
)
def test_prefixed_word(value, read_as):
    """Of several words the one counts that begins so; none, an empty one and two are refused."""
    field = Field(name="acr", slot="organisation", reader="prefixed_word", prefix="Tenant:", required=True)
    table = route(path="/t", fields=(*FIELDS[2:4], field))
    if read_as is None:
        assert refused(b"id=a&key=s&acr=" + value, table=table).issues == ("acr must hold one Tenant:<name>",)
    else:
        assert read(b"id=a&key=s&acr=" + value, table=table).organisation == read_as


@pytest.mark.parametrize(("scope", "good"), [(b"b++a", True), (b"a", True), (b"a+c", False), (b"A", False)])
def test_choices(scope, good):
    """Every word of a list is one of the choices, compared exactly."""
    field = Field(
        name="scope", slot="scope", reader="scope_words", choices=("a", "b"), invalid=Code.INVALID_SCOPE
    )
    table = route(path="/t", fields=(*FIELDS[2:4], field))
    if good:
        assert set(read(b"id=a&key=s&scope=" + scope, table=table).scopes) <= {"a", "b"}
    else:
        assert refused(b"id=a&key=s&scope=" + scope, table=table).code is Code.INVALID_SCOPE


def test_no_typed_secret_is_remembered(monkeypatch):
    """TK-11: a field that is a secret in one of its forms only keeps its bodies out of memory too."""
    made = []
    monkeypatch.setattr(read_module, "Bodies", lambda *given: made.append(Bodies(*given)) or made[-1])
    field = Field(name="s", slot="s", reader="text", json_reader="secret")
    table = route(path="/t", fields=(*FIELDS[:4], field), exchanges=(GRANTED_BY_CLIENT,))
    reader = compile_reader(table, "toy")
    for body in (b"grant=cc&s=x", b"grant=cc"):
        reader(msgspec.structs.replace(wire_request(body), params={"org": "a"}))
    assert len(made[0]._known) == 1


SPARE = route(
    fields=(
        *FIELDS[1:],
        Field(name="house", slot="house"),
        Field(name="home", slot="house", spare=True),
        Field(name="size", slot="size", reader="integer", default=50),
    ),
    exchanges=(msgspec.structs.replace(EXCHANGE, organisation="house"),),
    path="/get",
)


@pytest.mark.parametrize(
    ("more", "house"),
    [
        (b', "home": "a"', "a"),
        (b', "home": "a", "house": "b"', "b"),
        (b', "house": "b", "home": "a"', "b"),
        (b', "home": "", "house": ""', None),
        (b', "home": 7', None),
        (b', "home": 7, "house": "b"', "b"),
        (b', "home": null', None),
        (b"", None),
    ],
)
def test_spare_field(more, house):
    """A spare field counts only where nothing better came, and is never a reason to refuse."""
    asked = read(b'{"id": "i", "key": "k"' + more + b"}", table=SPARE, json=True)
    assert asked.organisation_alias == house


@pytest.mark.parametrize(("query", "size"), [(b"", 50), (b"size=", 50), (b"size=7", 7), (b"size=0", 0)])
def test_default(query, size):
    """A slot that nothing filled holds the default of its field."""
    table = Route(
        name="list",
        path="/list",
        method="GET",
        fields=(Field(name="size", slot="size", reader="integer", default=50, source=Source.QUERY),),
        bearer=Bearer(accepts=(PROFILE,)),
        operation=Operation(name="projects.list"),
        answer=Answer(Shape(())),
    )
    asked = WireRequest(request_id=RequestId("r"), method="GET", path="/list", query=query, headers=[])
    assert compile_reader(table, "toy")(asked).arguments == {"size": size}
