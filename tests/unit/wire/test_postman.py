"""A Postman collection has a request for every golden sample and every route, and no secret."""

import json
import re
from pathlib import Path

import msgspec
import pytest
from jsonschema import Draft7Validator

from keyturn.dialects import load_dialects
from keyturn.wire.golden import basic_members
from keyturn.wire.postman import postman_collection
from keyturn.wire.tables import Sample
from unit.wire.everything import DIALECT

URL = "https://keys.example"
FORMAT = json.loads((Path(__file__).parent / "postman_v2.1.0.json").read_text(encoding="utf-8"))
DIALECTS = {**load_dialects(), DIALECT.name: DIALECT}
COLLECTION = postman_collection(DIALECT, URL)
VARIABLES = {each["key"]: each["value"] for each in COLLECTION["variable"]}


def requests(collection=COLLECTION):
    """Give a collection's requests by folder and name."""
    return {
        (folder["name"].split()[1], item["name"]): item
        for folder in collection["item"]
        for item in folder["item"]
    }


def script(item):
    """Give the test script of a request."""
    return "\n".join(item["event"][0]["script"]["exec"])


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda each: each.name)
def test_it_is_valid(dialect):
    """The collection of each dialect keeps Postman's published schema of its format."""
    Draft7Validator(FORMAT).validate(postman_collection(dialect, URL))


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda each: each.name)
def test_every_sample_and_route_is_there(dialect):
    """Each golden sample is a request that expects its status, and no route is without one."""
    collection = postman_collection(dialect, URL)
    assert [folder["name"] for folder in collection["item"]] == [
        f"{route.method} {route.path}" for route in dialect.routes
    ]
    assert all(folder["item"] for folder in collection["item"])
    for sample in dialect.samples:
        found = [item for (_, name), item in requests(collection).items() if name == sample.name]
        assert any(f"have.status({sample.status})" in script(item) for item in found)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda each: each.name)
def test_every_variable_is_declared(dialect):
    """Each variable that a request names is declared, and has a value only where anybody may know it."""
    collection = postman_collection(dialect, URL)
    declared = {each["key"]: each["value"] for each in collection["variable"]}
    assert set(re.findall(r"\{\{([^{}]+)\}\}", json.dumps(collection))) <= set(declared)
    assert declared["public_url"] == URL
    assert all(
        value == "" or "{{public_url}}" in value for key, value in declared.items() if key != "public_url"
    )


def test_good_requests_come_first():
    """A route's good requests come before those that are refused: what they bring is there then."""
    (first, second) = COLLECTION["item"][0]["item"]
    assert (first["name"], second["name"]) == ("By a form", "Refused first: no key")


def test_a_form():
    """A form is fields that Postman encodes, repeated ones too."""
    body = requests()["/every/{org}/login", "By a form"]["request"]["body"]
    assert [(each["key"], each["value"]) for each in body["urlencoded"]] == [
        ("grant_type", "key"),
        ("key", "{{token}}"),
        ("resource", "urn:a"),
        ("resource", "urn:b"),
    ]


@pytest.mark.parametrize(("name", "raw"), [("By Basic", '{"name": "{{client.id}}"}'), ("No JSON", "{")])
def test_a_body_as_it_stands(name, raw):
    """JSON, and what is none, is sent as the sample has it, by a client that HTTP Basic names."""
    request = requests()["/every/clients", name]["request"]
    assert request["body"]["raw"] == raw
    assert [each["value"] for each in request["auth"]["basic"]] == ["{{client.id}}", "{{client.key}}"]
    assert [each["key"] for each in request["header"]] == ["Content-Type"]


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("oauth2", ("client_id", "client_secret")),
        ("sahamati", ("entity_id", "entity_secret")),
        ("mend", None),
    ],
)
def test_whom_basic_names(name, members):
    """HTTP Basic names the client of a demo entry, else its entity; one with neither has no such form."""
    assert basic_members(DIALECTS[name]) == members


def test_tokens_are_handed_on():
    """An access token becomes a variable, which a call takes unless its sample brings a token itself."""
    login = script(requests()["/every/{org}/login", "By a form"])
    assert 'set("access_token", found)' in login
    assert 'set("everything.access", found)' in login
    assert 'pm.response.json()?.["ok"]?.["token"]' in login
    assert "set(" not in script(requests()["/every/{org}/login", "Refused first: no key"])
    assert (
        requests()["/every/projects", "All"]["request"]["auth"]["bearer"][0]["value"]
        == "{{everything.access}}"
    )
    by_header = requests()["/every/projects/{id}", "With a header"]["request"]
    assert by_header["auth"] == {"type": "noauth"}
    assert by_header["header"] == [{"key": "X-Pass", "value": "{{access_token}}"}]


def test_a_route_without_samples():
    """A route without a sample gets a request of what it requires, which must not meet a fault."""
    item = requests()["/every/projects", "create"]
    assert json.loads(item["request"]["body"]["raw"]) == {"Name": "{{Name}}"}
    assert "below(500)" in script(item)
    move = requests()["/every/projects/{project}", "move"]["request"]
    assert move["url"]["raw"] == "{{public_url}}/every/projects/{{project}}?to={{to}}"
    assert "body" not in move
    assert "have.status(200)" in script(requests()["/every/key", "key"])


def test_an_answer_without_a_body():
    """A saved answer shows no body where there is none."""
    (shown,) = requests()["/every/projects/{id}", "With a header"]["response"]
    assert (shown["code"], shown["header"], "body" in shown) == (204, [], False)


def test_a_sample_after_another():
    """What a sample takes of the answer before it is a variable that the one before fills."""
    later = Sample(
        name="Later",
        route="delete",
        after="By a form",
        headers=(("Authorization", "Bearer {answer.ok.token}"),),
        path={"id": "{answer.expires}"},
        query="version={answer.version:form}&x=1",
        status=204,
        answer=None,
    )
    dialect = msgspec.structs.replace(DIALECT, samples=(*DIALECT.samples, later))
    made = requests(postman_collection(dialect, URL))
    filled = script(made["/every/{org}/login", "By a form"])
    for path in ("ok.token", "expires", "version"):
        assert f'set("By_a_form.{path}", found)' in filled
    request = next(item["request"] for (_, name), item in made.items() if name == "Later")
    assert request["header"][0]["value"] == "Bearer {{By_a_form.ok.token}}"
    assert request["url"]["raw"].endswith("/{{By_a_form.expires}}?version={{By_a_form.version}}&x=1")
