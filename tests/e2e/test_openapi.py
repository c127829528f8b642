"""Schemathesis against a running demo: whatever it sends, no fault, and no answer but what the document has.

Answers are closed for this test, so that a member that the document does not name is a failure too.
"""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from e2e.samples import credentials, send
from e2e.servers import ask
from keyturn.dialects import load_dialects
from keyturn.wire.golden import samples_of
from keyturn.wire.openapi import openapi_document

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
DIALECTS = load_dialects()
OPERATIONS = [
    (path, method.upper())
    for path, item in openapi_document(DIALECTS.values(), "https://keys.example", "0")["paths"].items()
    for method in item
]
SAMPLES = [
    (dialect, route, sample)
    for dialect in DIALECTS.values()
    for route in dialect.routes
    for sample in samples_of(dialect, route)
]


def closed(node):
    """Let an object have no member but those that are named."""
    if isinstance(node, list):
        return [closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    inner = {name: closed(item) for name, item in node.items()}
    return {**inner, "additionalProperties": False} if inner.get("properties") else inner


@pytest.fixture(scope="module")
def document(changing):
    """The document that the demo serves."""
    return changing.ask("GET", "/openapi.json").json


@pytest.fixture(scope="module")
def api(changing, document):
    """The document as Schemathesis reads it, its answers closed."""
    for item in document["paths"].values():
        for operation in item.values():
            operation["responses"] = closed(operation["responses"])
    document["components"]["responses"] = closed(document["components"]["responses"])
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=changing.url)
    return schema


def fuzz(api, changing, path, method, examples):
    """Send what fits an operation and what does not, as a stranger and as the demo's client."""
    operation = api[path][method]
    known = credentials(changing, DIALECTS[operation.definition.raw["tags"][0]])
    ways = [{}, {"Authorization": known}] if known else [{}]
    seen = set()

    @settings(
        max_examples=examples,
        database=None,
        derandomize=True,
        phases=(Phase.generate,),  # a case as it came says enough, and to shrink one takes minutes
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=operation.as_strategy(GenerationMode.POSITIVE) | operation.as_strategy(GenerationMode.NEGATIVE),
        headers=st.sampled_from(ways),
        home=st.booleans(),
    )
    def send(case, headers, home):
        if home and "organisation" in (case.path_parameters or {}):
            case.path_parameters["organisation"] = "acme"
        seen.add(case.call_and_validate(headers=headers, checks=CHECKS).status_code)

    send()
    return seen


@pytest.mark.parametrize(
    ("dialect", "route", "sample"), SAMPLES, ids=[f"{each[0].name}: {each[2].name}" for each in SAMPLES]
)
def test_golden_samples_conform(api, changing, dialect, route, sample):
    """The answer to each golden sample, good ones too, is one that the document has."""
    answer = send(changing, dialect, sample)
    assert answer.status == sample.status
    check_described(api, route, answer)


@pytest.mark.parametrize(
    ("status", "query", "headers"),
    [
        (414, "?q=" + "a" * 9_000, {}),
        (431, "", {f"X-{number}": "a" for number in range(150)}),
    ],
)
@pytest.mark.parametrize(
    ("dialect", "route"),
    [pytest.param(each, route, id=each.name) for each in DIALECTS.values() for route in each.routes[:1]],
)
def test_unread_requests_conform(api, changing, dialect, route, status, query, headers):
    """HT-01: a request whose head is over a limit is refused with what the document has, in every dialect."""
    answer = ask(changing.url + route.path + query, route.method, headers=headers)
    assert answer.status == status
    check_described(api, route, answer)


def check_described(api, route, answer):
    """Check that the document has an answer of a route: its status, type and members."""
    described = api.raw_schema["paths"][route.path][route.method.lower()]["responses"][str(answer.status)]
    name = described.get("$ref", "").rpartition("/")[2]
    content = (api.raw_schema["components"]["responses"][name] if name else described).get("content")
    if content is None:
        assert answer.body == b""
        return
    (media,) = content
    assert answer.headers["content-type"] == media
    Draft202012Validator(content[media]["schema"]).validate(answer.json)


@pytest.mark.slow
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_answers_conform(api, changing, path, method):
    """HT-08: every answer of every operation is one that the document has, and none is a fault."""
    seen = fuzz(api, changing, path, method, examples=12)
    assert any(status < 500 for status in seen)


@pytest.mark.soak
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_answers_conform_for_long(api, changing, path, method):
    """HT-08: the same, many times over."""
    assert fuzz(api, changing, path, method, examples=500)
