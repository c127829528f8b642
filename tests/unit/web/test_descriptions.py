"""What describes the deployment to programs: where it is served, and that nobody pays who does not ask."""

import json

import pytest
from structlog.testing import capture_logs

from dialects.contract import at
from harness import PUBLIC_URL, deployment
from keyturn.core.shapes import Member
from keyturn.dialects import load_dialects
from keyturn.web.descriptions import Descriptions
from keyturn.wire import openapi

PATHS = ["/openapi.json", *(f"/postman/{name}.json" for name in load_dialects())]


@pytest.fixture
async def here():
    """Open a deployment of the house's dialects."""
    async with deployment() as opened:
        yield opened


@pytest.mark.parametrize("path", PATHS)
async def test_served(here, path):
    """Each description is a document that anybody may read, cache, and read from a page of another origin."""
    answer = await here.ask("GET", path)
    assert answer.status == 200
    assert answer.header("content-type") == "application/json"
    assert answer.header("cache-control") == "public, max-age=300"
    assert answer.header("access-control-allow-origin") == "*"
    assert answer.header("x-content-type-options") == "nosniff"
    assert PUBLIC_URL in answer.body.decode()
    assert (await here.ask("GET", path)).body == answer.body
    head = await here.ask("HEAD", path)
    assert (head.status, head.body, head.header("content-length")) == (200, b"", str(len(answer.body)))


async def test_what_is_on(here):
    """The document speaks of the dialects that are on, and of the admin API."""
    document = (await here.ask("GET", "/openapi.json")).json
    assert {tag["name"] for tag in document["tags"]} == {*here.local.dialects, "admin"}
    assert document["servers"] == [{"url": PUBLIC_URL}]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", PATHS)
async def test_another_method(here, path, method):
    """A description is read only."""
    answer = await here.ask(method, path)
    assert (answer.status, answer.header("allow")) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path", ["/openapi.json/", "/openapi", "/postman/", "/postman/other.json", "/postman"]
)
async def test_nothing_else(here, path):
    """Next to the descriptions there is nothing, a dialect that is off included."""
    answer = await here.ask("GET", path)
    assert (answer.status, answer.json) == (404, {"error": "not_found"})


async def test_no_trail(here):
    """Reading descriptions leaves no trace: nothing was asked of the core."""
    rows = await here.audit()
    with capture_logs() as logs:
        for path in PATHS:
            await here.ask("GET", path)
    assert (await here.audit(), logs) == (rows, [])


async def test_no_secret(here):
    """TE-05: no description holds a credential of the demo."""
    secrets = [
        at(entry[name], member.path)
        for entry in here.members.values()
        for name, dialect in here.local.dialects.items()
        for member in dialect.demo.members.members
        if isinstance(member, Member) and member.transform == "reveal" and name in entry
    ]
    assert len(secrets) > len(here.local.dialects)
    for path in PATHS:
        text = (await here.ask("GET", path)).body.decode()
        assert all(secret not in text for secret in secrets)


async def test_made_when_asked(here, monkeypatch):
    """A description is made at the first request for it, and once."""
    made = []
    make = openapi.openapi_document
    monkeypatch.setattr(openapi, "openapi_document", lambda *given: made.append(1) or make(*given))
    fresh = Descriptions(here.local.dialects, PUBLIC_URL, 300)
    assert made == []
    monkeypatch.setattr(here.desk, "_descriptions", fresh)
    assert [(await here.ask("GET", "/openapi.json")).status for _ in range(3)] == [200] * 3
    assert made == [1]


@pytest.mark.parametrize("path", PATHS)
async def test_people_can_read_it(here, path):
    """A description is spelled over lines, and decodes to what its lines say."""
    body = (await here.ask("GET", path)).body
    assert body.endswith(b"}\n")
    assert body.count(b"\n") > 100
    json.loads(body)
