"""A route's table turned into its reader: fields, their problems, client authentication and the exchange."""

import base64
import contextlib

import pytest

from keyturn.core.errors import InvalidClient, InvalidRequest, Refusal, TooLarge, UnsupportedGrantType
from keyturn.core.profile import TokenProfile
from keyturn.core.shapes import Shape
from keyturn.core.vocabulary import CLIENT_CREDENTIALS, Code, CredentialKind, Reason, RequestId
from keyturn.wire import read as read_module
from keyturn.wire.fields import BODIES_KEPT, BODY_KEPT_BYTES, Bodies
from keyturn.wire.http import WireRequest
from keyturn.wire.read import compile_reader
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
    monkeypatch.setattr(read_module, "Bodies", lambda fields: made.append(Bodies(fields)) or made[-1])
    reader = compile_reader(route(exchanges=(GRANTED_BY_CLIENT,)), "toy")
    for _ in range(2):
        with contextlib.suppress(Refusal):
            reader(wire_request(body))
    assert len(made[0]._known) == kept


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
