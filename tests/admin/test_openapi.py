"""Schemathesis against the admin API in process: whatever it sends, no fault, and no undescribed answer.

Answers are closed for this test, so that a member that the document does not name is a failure too.
"""

import asyncio
from urllib.parse import urlsplit

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate
from requests import Request
from schemathesis import GenerationMode

from admin.described import DOCUMENT
from admin.kit import Admin, administration

OPERATIONS = [(path, method.upper()) for path, item in DOCUMENT["paths"].items() for method in item]


class World:
    """A deployment on a loop of its own, in which there is something of every kind."""

    def __init__(self):
        """Open it."""
        self.loop = asyncio.new_event_loop()
        self._open = administration()
        self.admin = self.do(self._open.__aenter__())
        self.stranger = Admin(self.admin.here, None)
        self.things = self.do(self._furnish())

    def do(self, work):
        """Wait for something."""
        return self.loop.run_until_complete(work)

    def close(self):
        """Close it."""
        self.do(self._open.__aexit__(None, None, None))
        self.loop.close()

    async def _furnish(self):
        """Make something of every kind, and give what paths call it."""
        make, inside = self.admin.make, "/organisations/acme"
        client = (await make(f"{inside}/clients", {"name": "a"}))["id"]
        user = (await make(f"{inside}/users", {"name": "ana", "email": "a@mail.example"}))["id"]
        await make(f"{inside}/entities", {"id": "SHOP-1", "type": "party"})
        return {
            "organisation": "acme",
            "client": client,
            "secret": (await make(f"{inside}/clients/{client}/secrets"))["id"],
            "user": user,
            "key": (await make(f"{inside}/users/{user}/keys"))["id"],
            "api_token": (await make(f"{inside}/api-tokens", {"owner": user, "name": "a"}))["id"],
            "team": (await make(f"{inside}/teams", {"name": "a"}))["id"],
            "project": (await make(f"{inside}/projects", {"name": "a"}))["id"],
            "entity": "SHOP-1",
            "setting": "oauth2.lifetime_seconds",
            "issuer": "checkmarx",
            "subscription": (
                await make(
                    "/notice-subscriptions",
                    {"channel": "webhook", "target": "https://hooks.example.com/in", "organisation": "acme"},
                )
            )["id"],
        }


@pytest.fixture(scope="module")
def world():
    """Open the world for all operations."""
    opened = World()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def api():
    """The document as Schemathesis reads it."""
    return schemathesis.openapi.from_dict(DOCUMENT)


def test_the_document_is_one():
    """What is made of the tables is OpenAPI 3.1, and every operation says which scope it needs."""
    validate(DOCUMENT)
    for path, method in OPERATIONS:
        [need] = DOCUMENT["paths"][path][method.lower()]["security"]
        assert need["administrator"], (path, method)


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_answers_conform(world, api, path, method):
    """HT-08: every answer of every operation is one that the document has, and none is a fault."""
    assert any(status < 500 for status in fuzz(world, api, path, method, examples=4))


@pytest.mark.soak
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_answers_conform_for_long(world, api, path, method):
    """HT-08: the same, many times over."""
    assert any(status < 500 for status in fuzz(world, api, path, method, examples=150))


def fuzz(world, api, path, method, examples):
    """Send what fits an operation and what does not, as a stranger and as an administrator."""
    operation = api[path][method]
    seen = set()

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=operation.as_strategy(GenerationMode.POSITIVE) | operation.as_strategy(GenerationMode.NEGATIVE),
        known=st.booleans(),
        at_home=st.sampled_from([True, True, False]),
    )
    def send(case, known, at_home):
        if at_home:
            for name in case.path_parameters or {}:
                case.path_parameters[name] = world.things.get(name, case.path_parameters[name])
        sent = case.as_transport_kwargs(base_url="https://keys.example")
        seen.add(world.do(ask(world, method, sent, known=known)).status)

    send()
    return seen


async def ask(world, method, sent, *, known):
    """Send what Schemathesis made, as it would be on the wire."""
    request = Request(
        method,
        sent["url"],
        params=sent.get("params"),
        headers={name: str(value) for name, value in (sent.get("headers") or {}).items()},
        data=sent.get("data"),
        json=sent.get("json"),
        cookies=sent.get("cookies"),
    ).prepare()
    url = urlsplit(request.url)
    headers = {name: value for name, value in request.headers.items() if name.lower() != "authorization"}
    body = request.body or b""
    return await (world.admin if known else world.stranger).send(
        method, url.path, url.query, headers, body if isinstance(body, bytes) else body.encode()
    )
