"""The OpenAPI document says what the tables say: every path and field, and no answer that it does not fit."""

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from keyturn.core.errors import Conflict, InvalidClient, InvalidRequest, NotFound, SlowDown
from keyturn.core.secret import Secret
from keyturn.core.transforms import TRANSFORM_SCHEMAS, TRANSFORMS
from keyturn.core.vocabulary import Reason
from keyturn.dialects import load_dialects
from keyturn.wire.compile import compile_dialect
from keyturn.wire.openapi import openapi_document
from keyturn.wire.readers import READER_SCHEMAS, READERS
from keyturn.wire.tables import FORM, JSON
from unit.wire.everything import DIALECT

URL = "https://keys.example"
NOW = datetime(2026, 11, 1, 12, 30, 15, 250_000, tzinfo=UTC)
UUID = "0190aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee"
UNREAD = {"408", "414", "431"}
"""How a request is refused that no dialect sees."""
STAND_INS = {"<jwt>": "a.b.c", "<uuid>": UUID, "<digits>": "1", "<text>": "2026-11-01T12:30:15Z"}
DIALECTS = {**load_dialects(), DIALECT.name: DIALECT}
DOCUMENT = openapi_document(DIALECTS.values(), URL, "1.2.3")
OPERATIONS = {
    operation["operationId"]: operation for item in DOCUMENT["paths"].values() for operation in item.values()
}
FACTS = {
    "access_token": Secret("a.b.c"),
    "id_token": None,
    "fresh_id": UUID,
    "request_id": UUID,
    "now": NOW,
    "notice": None,
    "user.id": None,
    "user.name": None,
    "user.email_verified": None,
    "setting.unit": "s",
    "expires_at": NOW,
    "audience": ("urn:a",),
    "active": False,
    "subject": None,
    "projects": [{"id": "1", "teams": ("/A",), "open": True}],
    "project.created_at": NOW,
    "keys": [{"kty": "EC"}],
    "algorithm": "ES256",
    "pem": "first\nmid\nlast",
    "url.key": URL + "/every/key",
}


def resolved(node):
    """Follow a reference into the components."""
    if "$ref" not in node:
        return node
    found = DOCUMENT
    for name in node["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return found


def response(operation, status):
    """Give what the document says of one status of an operation."""
    return resolved(OPERATIONS[operation]["responses"][str(status)])


def fits(answer, operation):
    """Tell whether an answer is one that the document has for an operation."""
    content = response(operation, answer.status).get("content")
    if content is None:
        return answer.body == b""
    return Draft202012Validator(content[JSON]["schema"]).is_valid(json.loads(answer.body))


def filled(value):
    """Put something of their kind for the places of an example."""
    if isinstance(value, dict):
        return {name: filled(item) for name, item in value.items()}
    if isinstance(value, list):
        return [filled(item) for item in value]
    return STAND_INS.get(value, value) if isinstance(value, str) else value


def body_schema(operation, media):
    """Give the schema of an operation's body."""
    return OPERATIONS[operation]["requestBody"]["content"][media]["schema"]


def named(parameters, name):
    """Give the one parameter of a name."""
    (found,) = [each for each in parameters if each["name"] == name]
    return found


def test_it_is_valid():
    """The document of all dialects, of each alone and of none keeps the OpenAPI 3.1 specification."""
    for dialects in [DIALECTS.values(), *([each] for each in DIALECTS.values()), []]:
        validate(openapi_document(dialects, URL, "1.2.3"))


def test_everything_can_be_served():
    """The dialect of this test, which uses all that the tables can say, is one that compiles."""
    assert len(compile_dialect(DIALECT, 300)) == len(DIALECT.routes)


def test_every_call_is_there():
    """Every path and alias of every route has an operation of its own, tagged with its dialect."""
    for dialect in DIALECTS.values():
        for route in dialect.routes:
            ids = [f"{dialect.name}.{route.name}"]
            ids += [f"{ids[0]}.{number}" for number in range(2, 2 + len(route.aliases))]
            assert [OPERATIONS[each]["tags"] for each in ids] == [[dialect.name]] * len(ids)
    assert len(OPERATIONS) == sum(
        1 + len(route.aliases) for each in DIALECTS.values() for route in each.routes
    )


def test_one_path_by_two_names():
    """Two templates that differ in names only are one path, its parameters by the first route's names."""
    item = DOCUMENT["paths"]["/every/projects/{id}"]
    assert set(item) == {"get", "delete"}
    assert [each["name"] for each in item["get"]["parameters"]] == ["id", "to"]
    assert "/every/projects/{project}" not in DOCUMENT["paths"]


def test_where_it_is():
    """The document names the deployment and the version."""
    assert DOCUMENT["servers"] == [{"url": URL}]
    assert DOCUMENT["info"]["version"] == "1.2.3"


@pytest.mark.parametrize(
    ("name", "form", "in_json"),
    [
        ("resource", {"type": "array"}, {"type": "string"}),
        ("trace", {"maxLength": 256}, {"maxLength": 256}),
        ("days", {"type": "integer", "minimum": 1, "maximum": 180}, None),
        ("flag", {"type": "boolean"}, {"type": "boolean"}),
        ("colour", {"enum": ["red", "blue"]}, {"enum": ["red", "blue"]}),
        ("grant_type", {"enum": ["password", "key"]}, {"enum": ["password", "key"]}),
        ("old_key", {"deprecated": True}, {"deprecated": True}),
        ("scope", {"pattern": r"^ *((all|a\.b)( +(all|a\.b))*)? *$"}, None),
        ("at", {"description": "Required where the deployment's setting strict is on."}, {}),
    ],
)
def test_fields(name, form, in_json):
    """A field of a body has its reader's type, its limits and its choices, in a form and in JSON."""
    assert form.items() <= body_schema("everything.login", FORM)["properties"][name].items()
    if in_json is not None:
        assert in_json.items() <= body_schema("everything.login", JSON)["properties"][name].items()


def test_nullable():
    """Null is allowed in JSON where the table says so, beside what the reader takes."""
    schema = body_schema("everything.login", JSON)["properties"]
    valid = [Draft202012Validator(schema["days"]).is_valid(value) for value in (None, 1, 181, "1")]
    assert valid == [True, True, False, False]
    assert Draft202012Validator(schema["scope"]).is_valid(["a.b"])
    assert not Draft202012Validator(schema["scope"]).is_valid(["other"])


@pytest.mark.parametrize(
    ("body", "valid"),
    [({"name": "a"}, True), ({"title": "a"}, True), ({}, False), ({"id": "a", "key": "b"}, False)],
)
def test_required(body, valid):
    """A required field may come by its old name, and what HTTP Basic may bring need not be in the body."""
    assert Draft202012Validator(body_schema("everything.clients", JSON)).is_valid(body) is valid


def test_bodies():
    """A body is required unless its route reads an empty one, and a call without one has none."""
    needed = {name: each.get("requestBody", {}).get("required") for name, each in OPERATIONS.items()}
    assert needed["everything.login"] is needed["oauth2.token"] is True
    assert needed["everything.renew"] is False
    assert needed["everything.list"] is needed["everything.delete"] is needed["oauth2.jwks"] is None


def test_parameters():
    """Fields of path, query and header are parameters, old names deprecated, required ones required."""
    parameters = OPERATIONS["everything.login"]["parameters"]
    assert (named(parameters, "org")["in"], named(parameters, "org")["required"]) == ("path", True)
    assert named(parameters, "key") == {
        "name": "key",
        "in": "query",
        "required": False,
        "schema": READER_SCHEMAS["secret"],
        "deprecated": True,
    }
    assert named(parameters, "X-Old-Kind")["deprecated"]
    assert named(OPERATIONS["everything.renew"]["parameters"], "x-key")["required"]
    assert named(OPERATIONS["everything.move"]["parameters"], "to")["required"]


def test_security():
    """A call says how its token or client may come, and its scope; an empty way is that the body says it."""
    assert OPERATIONS["everything.list"]["security"] == [
        {"bearer": ["all"]},
        {"header.x-pass": []},
        {"bare": []},
    ]
    assert OPERATIONS["everything.clients"]["security"] == [{"basic": []}, {}]
    assert OPERATIONS["everything.introspect"]["security"] == [{"basic": []}]
    assert OPERATIONS["everything.login"]["security"] == []
    alone = openapi_document([DIALECT], URL, "1.2.3")
    schemes = alone["components"]["securitySchemes"]
    assert {name: each["type"] for name, each in schemes.items()} == {
        "basic": "http",
        "bearer": "http",
        "header.x-pass": "apiKey",
        "bare": "apiKey",
    }


@pytest.mark.parametrize("route", DIALECT.routes, ids=lambda route: route.name)
def test_answers_fit(route):
    """What the compiled tables write of a route is what the document says of it."""
    (compiled,) = [each for each in compile_dialect(DIALECT, 300) if each.table is route]
    one = {name: "1" for name in ("project.id",) if route.name == "create"}
    assert fits(compiled.write(FACTS | one), f"everything.{route.name}")


@pytest.mark.parametrize(
    ("route", "more"),
    [
        ("login", {"notice": "soon"}),
        ("login", {"user.id": "1"}),
        ("login", {"setting.unit": "text", "id_token": Secret("a.b.c"), "request.trace": "mine"}),
        ("list", {"project.id": "1"}),
        ("list", {"projects": []}),
        ("key", {"request.format": "jwks"}),
    ],
)
def test_variants_fit(route, more):
    """Each of several answers of a route is one that the document has."""
    (compiled,) = [each for each in compile_dialect(DIALECT, 300) if each.table.name == route]
    assert fits(compiled.write(FACTS | more), f"everything.{route}")


@pytest.mark.parametrize(
    ("route", "refusal", "status"),
    [
        ("login", InvalidRequest(Reason.FIELD_MISSING, "key is required", tail="12345"), 400),
        ("login", NotFound(Reason.MALFORMED), 200),
        ("clients", InvalidClient(Reason.WRONG_SECRET), 401),
        ("list", SlowDown(Reason.RATE_LIMIT, retry_after=3), 429),
        ("create", Conflict(Reason.NAME_TAKEN, "taken"), 409),
    ],
)
def test_refusals_fit(route, refusal, status):
    """A refusal is one that the document has: by its status, of the dialect's table or of the route's own."""
    (compiled,) = [each for each in compile_dialect(DIALECT, 300) if each.table.name == route]
    answer = compiled.refuse(refusal, UUID, UUID, NOW)
    assert answer.status == status
    assert fits(answer, f"everything.{route}")


def test_refusals_are_told_apart():
    """A status has the words of its own rows and no other's."""
    words = response("everything.clients", 401)["content"][JSON]["schema"]["properties"]["fault"][
        "properties"
    ]
    assert words["word"] == {"enum": [4010, 4011]}
    assert words["number"] == {"enum": [2, None]}
    assert set(OPERATIONS["everything.create"]["responses"]) == {"201", "400", "409", *UNREAD}


def test_headers():
    """A refusal's headers are required where every row of its status has them."""
    assert response("oauth2.token", 401)["headers"]["WWW-Authenticate"]["required"] is True
    assert response("everything.clients", 401)["headers"]["WWW-Authenticate"]["required"] is False
    assert "Retry-After" in response("oauth2.token", 429)["headers"]
    assert "Retry-After" not in response("oauth2.token", 401)["headers"]
    assert all("X-Request-Id" in response("oauth2.token", each)["headers"] for each in (200, 400))


def test_examples_fit():
    """Each example, which is a golden sample, fits the schema it stands under."""
    seen = []
    for name, operation in OPERATIONS.items():
        bodies = [("request", operation.get("requestBody", {}))]
        bodies += [(status, resolved(each)) for status, each in operation["responses"].items()]
        for where, body in bodies:
            for content in body.get("content", {}).values():
                for shown in content.get("examples", {}).values():
                    errors = list(Draft202012Validator(content["schema"]).iter_errors(filled(shown["value"])))
                    assert errors == [], (name, where, shown["summary"])
                    seen.append(shown["summary"])
    assert {
        sample.name
        for each in DIALECTS.values()
        for sample in each.samples
        if succeeds_with_body(each, sample)
    } <= set(seen)


def succeeds_with_body(dialect, sample):
    """Tell whether a sample is a good exchange whose answer has a body."""
    (route,) = [route for route in dialect.routes if route.name == sample.route]
    return sample.status == route.answer.status and sample.answer is not None


def test_no_secret_is_shown():
    """Places stay places: the document holds no value that was filled in."""
    text = json.dumps(DOCUMENT)
    assert "{client_id}" in text
    assert "kt_" not in text


# --- what readers and transforms say of themselves ---

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.lists(st.text(alphabet="ab !", max_size=3), max_size=3),
    st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
    st.emails(),
    st.sampled_from(
        ["urn:a", "https://a.example/b", "a b", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
    ),
)


def test_every_name_has_its_schema():
    """A new reader or transform cannot be forgotten here."""
    assert set(READER_SCHEMAS) == set(READERS)
    assert set(TRANSFORM_SCHEMAS) == set(TRANSFORMS)


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=40)
@given(value=VALUES)
@example("a@b.example")
@example("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
def test_a_schema_allows_what_its_reader_takes(name, value):
    """Whatever a reader takes from a JSON body, its schema allows."""
    try:
        READERS[name](value)
    except ValueError:
        return
    Draft202012Validator(READER_SCHEMAS[name]).validate(value)


SHOWN = {
    **dict.fromkeys(("epoch_seconds", "epoch_millis", "iso_millis", "local_iso_millis"), NOW),
    **dict.fromkeys(("seconds", "second_digits"), timedelta(seconds=5)),
    "day_seconds": NOW.date(),
    **dict.fromkeys(("words", "list", "one_or_list"), ("a", "b")),
    **dict.fromkeys(("upper", "lower", "short_id"), UUID),
    "pem_one_line": "first\nmid\nlast",
    "pem_body": "first\nmid\nlast",
    "iso_day": NOW.date(),
    "urn": "0190aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee",
    "parent_url": "https://keys.example/a/b",
    "digits": 7,
    "reveal": Secret("x"),
    "reveal_each": [Secret("x"), Secret("y")],
    "plain": {"any": "thing"},
}
"""Name of a transform -> a fact that it shows."""


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_schema_allows_what_its_transform_makes(name):
    """What a transform makes of a fact is what its schema says."""
    made = msgspec.json.decode(msgspec.json.encode(TRANSFORMS[name](SHOWN[name])))
    Draft202012Validator(TRANSFORM_SCHEMAS[name]).validate(made)
