"""Schemathesis against a running demo: whatever it sends, no fault, and no answer but what the document has.

Answers are closed for this test, so that a member that the document does not name is a failure too.
"""

import re
from urllib.parse import quote

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

from e2e.servers import ask, basic
from keyturn.core.shapes import Member
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


PLACE = re.compile(r"\{([\w.]+)(:form)?\}")


def closed(node):
    """Let an object have no member but those that are named."""
    if isinstance(node, list):
        return [closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    inner = {name: closed(item) for name, item in node.items()}
    return {**inner, "additionalProperties": False} if inner.get("properties") else inner


@pytest.fixture(scope="module")
def document(demo):
    """The document that the demo serves."""
    return demo.ask("GET", "/openapi.json").json


@pytest.fixture(scope="module")
def api(demo, document):
    """The document as Schemathesis reads it, its answers closed."""
    for item in document["paths"].values():
        for operation in item.values():
            operation["responses"] = closed(operation["responses"])
    document["components"]["responses"] = closed(document["components"]["responses"])
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=demo.url)
    return schema


def credentials(demo, dialect):
    """Write the HTTP Basic form of a dialect's demo client; None where it has none."""
    members = demo.demo()["dialects"][dialect.name]
    shown = {each.source: each.path for each in dialect.demo.members.members if isinstance(each, Member)}
    pair = [members[shown[source]] for source in ("client.id", "client.secret") if source in shown]
    return basic(*pair) if len(pair) == 2 else None


def fuzz(api, demo, path, method, examples):
    """Send what fits an operation and what does not, as a stranger and as the demo's client."""
    operation = api[path][method]
    known = credentials(demo, DIALECTS[operation.definition.raw["tags"][0]])
    ways = [{}, {"Authorization": known}] if known else [{}]
    seen = set()

    @settings(
        max_examples=examples,
        deadline=None,
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
def test_golden_samples_conform(api, demo, dialect, route, sample):
    """The answer to each golden sample, good ones too, is one that the document has."""
    places = {
        **demo.demo()["dialects"][dialect.name],
        "organisation": "acme",
        "basic": credentials(demo, dialect),
    }

    def fill(text):
        return PLACE.sub(
            lambda place: quote(str(places[place[1]]), safe="") if place[2] else str(places[place[1]]), text
        )

    headers = {name: fill(value) for name, value in sample.headers}
    answer = ask(demo.url + fill(route.path), route.method, fill(sample.body), headers)
    assert answer.status == sample.status
    described = api.raw_schema["paths"][route.path][route.method.lower()]["responses"][str(sample.status)]
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
def test_answers_conform(api, demo, path, method):
    """HT-08: every answer of every operation is one that the document has, and none is a fault."""
    seen = fuzz(api, demo, path, method, examples=40)
    assert any(status < 500 for status in seen)


@pytest.mark.soak
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_answers_conform_for_long(api, demo, path, method):
    """HT-08: the same, many times over."""
    assert fuzz(api, demo, path, method, examples=500)
