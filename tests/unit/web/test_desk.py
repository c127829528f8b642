"""The front desk: what every request meets whatever its dialect, and what the desk leaves in the trail."""

import asyncio
from ipaddress import ip_network

import msgspec
import pytest

from harness import PUBLIC_URL, basic, clear_texts, deployment
from keyturn.app import assemble
from keyturn.core.changes import Lost, RequireVersion
from keyturn.core.errors import Fault
from keyturn.core.limits import Rate
from keyturn.core.shapes import Member, Shape
from keyturn.core.vocabulary import GrantType, Reason
from keyturn.dialects.oauth2 import DIALECT, JWKS, TOKEN
from keyturn.storage.limits import MemoryLimits
from keyturn.web.cycle import Head
from keyturn.wire.tables import Answer, Document

PATH = "/o/acme/oauth2/token"
FORM = ("Content-Type", "application/x-www-form-urlencoded")


@pytest.fixture
async def here():
    """Open a deployment of the house's dialects."""
    async with deployment() as opened:
        yield opened


async def token(here, body=b"grant_type=client_credentials", **options):
    """Ask for a token of the oauth2 demo's client."""
    members = here.members["acme"]["oauth2"]
    value = basic(members["client_id"], options.pop("secret", members["client_secret"]))
    headers = [FORM, ("Authorization", value), *options.pop("headers", ())]
    return await here.ask("POST", PATH, headers=headers, body=body, **options)


async def run(here, messages, desk=None, **scope):
    """Run the desk on these body messages, and give what it sent."""
    waiting, sent = list(messages), []
    whole = {
        "type": "http",
        "method": "POST",
        "raw_path": PATH.encode(),
        "query_string": b"",
        "headers": [],
        "client": ("192.0.2.1", 1),
    }

    async def receive():
        return waiting.pop(0)

    async def send(message):
        sent.append(message)

    await (desk or here.desk)(whole | scope, receive, send)
    return sent


@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
async def test_other_scopes(here, kind):
    """The desk serves HTTP and says so of anything else."""
    with pytest.raises(Fault):
        await run(here, [], type=kind)


async def test_body_in_pieces(here):
    """A body that comes in pieces is read whole."""
    members = here.members["acme"]["oauth2"]
    value = basic(members["client_id"], members["client_secret"]).encode()
    pieces = [b"grant_type=cli", b"", b"ent_credentials"]
    messages = [{"type": "http.request", "body": each, "more_body": True} for each in pieces]
    headers = [(b"content-type", FORM[1].encode()), (b"authorization", value)]
    start, _ = await run(here, [*messages, {"type": "http.request"}], headers=headers)
    assert start["status"] == 200


@pytest.mark.parametrize("before", [0, 1, 3])
async def test_caller_goes_away(here, before):
    """A caller who goes away before its request is whole is answered nothing and leaves nothing."""
    rows = await here.audit()
    pieces = [{"type": "http.request", "body": b"x", "more_body": True}] * before
    assert await run(here, [*pieces, {"type": "http.disconnect"}]) == []
    assert await here.audit() == rows


async def test_unix_socket(here):
    """A request without a socket address is served."""
    start, _ = await run(here, [{"type": "http.request"}], client=None)
    assert start["status"] == 415


@pytest.mark.parametrize(
    "path", ["/", "", "/o/acme", "/favicon.ico", "/docs", "/metrics", "/health/live", "/o/../x"]
)
async def test_nothing_here(here, path):
    """A path of no route is a plain 404 that says nothing of the server, to every method."""
    for method in ("GET", "POST", "OPTIONS"):
        answer = await here.ask(method, path)
        assert (answer.status, answer.json) == (404, {"error": "not_found"})
        assert answer.header("cache-control") == "no-store"
        assert answer.header("x-content-type-options") == "nosniff"


async def test_request_ids(here):
    """Each answer names its request, and the trail's row names it too."""
    answers = [await token(here), await token(here, secret="wrong"), await here.ask("GET", "/nothing")]
    named = [answer.header("x-request-id") for answer in answers]
    assert len(set(named)) == 3
    assert [row.request_id for row in await here.audit() if row.kind.startswith("token.")] == named[:2]


async def test_request_id_of_the_caller(here):
    """A caller does not choose its request id."""
    answer = await token(here, headers=[("X-Request-ID", "mine")])
    assert answer.header("x-request-id") != "mine"


async def test_refusal_in_the_trail(here):
    """AD-05: a refusal's row says when, who, what, by which door and why, and holds nothing presented."""
    await token(here, secret="hush-hush", body=b"grant_type=client_credentials&scope=hush")
    (row,) = await here.audit("token.refused")
    client_id = here.members["acme"]["oauth2"]["client_id"]
    assert row.at == here.clock.now()
    assert (row.actor, row.subject) == (f"client:{client_id}", client_id)
    assert (row.outcome, row.reason) == ("invalid_client", "wrong_secret")
    assert row.organisation_id == (await here.organisation()).id
    assert row.details == {"dialect": "oauth2", "route": "token"}
    assert "hush" not in clear_texts([row])


async def test_stranger_in_the_trail(here):
    """AD-05: a refusal that concerns nobody known is anonymous, whatever name was presented."""
    await here.ask(
        "POST", PATH, headers=[FORM], body=b"grant_type=client_credentials&client_id=eve&client_secret=x"
    )
    (row,) = await here.audit("token.refused")
    assert (row.actor, row.subject, row.organisation_id, row.reason) == (
        "anonymous",
        None,
        None,
        "unknown_client",
    )
    assert "eve" not in clear_texts([row])


async def test_address_is_sealed(here):
    """A caller's address is in the trail only sealed."""
    await token(here, address="203.0.113.77")
    await token(here, address="203.0.113.77", secret="wrong")
    rows = [row for row in await here.audit() if row.kind.startswith("token.")]
    assert len(rows) == 2
    assert "203.0.113.77" not in clear_texts(rows)
    assert all(row.sealed_personal for row in rows)


async def test_limits_by_forwarded_address(here):
    """RL-01: behind a trusted proxy each forwarded address has its own limit; elsewhere none counts."""
    rates = {"client": Rate(1000, 1000), "organisation": Rate(1000, 1000), "address": Rate(1, 1)}
    proxies = [ip_network("10.0.0.0/8")]
    here.desk, _ = assemble(here.local, MemoryLimits(rates), PUBLIC_URL, [str(each) for each in proxies])
    statuses = []
    for socket, forwarded in (
        ("10.0.0.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.2"),
        ("10.0.0.1", "198.51.100.1"),
        ("192.0.2.9", "198.51.100.3"),
        ("192.0.2.9", "198.51.100.4"),
    ):
        answer = await token(here, address=socket, headers=[("X-Forwarded-For", forwarded)])
        statuses.append(answer.status)
    assert statuses == [200, 200, 429, 200, 429]


async def test_metrics(here):
    """Answers are counted by dialect, route and private outcome, and no label comes from a caller."""
    await token(here)
    await token(here, secret="wrong")
    await here.ask("GET", "/nothing/hush")
    text = here.metrics.shown()[1].decode()
    for outcome in ("ok", "wrong_secret"):
        assert f'keyturn_requests_total{{dialect="oauth2",outcome="{outcome}",route="token"}} 1.0' in text
    assert "hush" not in text


class Losing:
    """A recorder whose units lose for the first so many times."""

    def __init__(self, recorder, times):
        """Stand before a working recorder."""
        self.recorder = recorder
        self.times = times

    async def record(self, unit):
        """Lose, or record."""
        if unit.audit.kind == "token.issued" and self.times:
            self.times -= 1
            return Lost(RequireVersion("client", "x", 0), None)
        return await self.recorder.record(unit)


@pytest.mark.parametrize(("times", "status"), [(0, 200), (1, 200), (2, 200), (3, 503)])
async def test_lost_race(here, times, status):
    """An issuance that lost to another writer begins again a few times, then asks to come back."""
    await here.jwks()
    here.store.recorder = Losing(here.store.recorder, times)
    here.desk, _ = assemble(
        here.local,
        MemoryLimits(dict.fromkeys(("client", "user", "address", "organisation"), Rate(9, 9))),
        PUBLIC_URL,
    )
    answer = await token(here)
    assert answer.status == status
    assert len(await here.audit("token.issued")) == (status == 200)
    assert (answer.header("retry-after") is None) == (status == 200)


async def test_a_change_in_between(here):
    """RV-04: a client disabled while its request is under way gets no token that outlives it."""
    await here.jwks()
    members = here.members["acme"]["oauth2"]
    client = await here.client(members["client_id"])
    answer, _ = await asyncio.gather(token(here), here.replace(client, disabled=True, epoch=1))
    issued = await here.audit("token.issued")
    assert len(issued) == (answer.status == 200)
    assert (await token(here)).status == 401


class Withdrawing:
    """Key rings that show no key of a set any more once it was asked who signs."""

    def __init__(self, rings):
        """Stand before working rings."""
        self.rings, self.withdrawn = rings, set()

    async def signer(self, *asked):
        """Give who signs, and withdraw that key."""
        signer = await self.rings.signer(*asked)
        self.withdrawn.add(signer.key_id)
        return signer

    async def published(self, *asked):
        """Give what is left."""
        return [key for key in await self.rings.published(*asked) if key["kid"] not in self.withdrawn]


async def test_a_key_withdrawn_in_between(here):
    """HT-09: a document of a key that is withdrawn while it is made is 503, to be asked for again."""
    local = msgspec.structs.replace(here.local, rings=Withdrawing(here.local.rings))
    here.desk, _ = assemble(local, MemoryLimits({}), PUBLIC_URL)
    answer = await here.ask("GET", "/csp/gateway/am/api/auth/token-public-key")
    assert (answer.status, answer.header("retry-after")) == (503, "1")
    assert answer.header("cache-control") == "no-store"


async def test_many_at_once(here):
    """Requests at once get tokens of their own, each in the trail once."""
    answers = await asyncio.gather(*(token(here) for _ in range(50)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["access_token"] for answer in answers}) == 50
    assert len({row.subject for row in await here.audit("token.issued")}) == 50


def changed(table, **changes):
    """Give the oauth2 dialect with one route changed."""
    routes = [msgspec.structs.replace(each, **changes) if each is table else each for each in DIALECT.routes]
    return msgspec.structs.replace(DIALECT, routes=tuple(routes))


EXCHANGE = msgspec.structs.replace(TOKEN.exchanges[0], grant_type=GrantType("telepathy"))
LATE = {
    "a grant that nobody knows": changed(TOKEN, exchanges=(EXCHANGE,)),
    "a document that nobody gathers": changed(JWKS, document=Document("no_such")),
    "a fact that its document does not have": changed(JWKS, answer=Answer(Shape((Member("s", "scopes"),)))),
    "a document of no organisation": changed(JWKS, path="/jwks", fields=()),
}


@pytest.mark.parametrize("mistake", LATE)
async def test_assembling_finds(here, mistake):
    """A mistake that only the rooms above the tables can see is found when the deployment is assembled."""
    local = msgspec.structs.replace(here.local, dialects={"oauth2": LATE[mistake]})
    with pytest.raises(ValueError, match=r"oauth2"):
        assemble(local, MemoryLimits({}), PUBLIC_URL)


async def test_one_kind_once(here):
    """TK-08: two profiles of one kind do not start: a kind tells what a token is for."""
    other = msgspec.structs.replace(TOKEN.exchanges[0].profile, claims=Shape(()), dialect="other")
    exchange = msgspec.structs.replace(TOKEN.exchanges[0], profile=other)
    twin = msgspec.structs.replace(
        TOKEN, name="twin", path="/twin", exchanges=(exchange,), fields=TOKEN.fields[1:]
    )
    dialect = msgspec.structs.replace(DIALECT, name="other", routes=(twin,))
    local = msgspec.structs.replace(here.local, dialects={"oauth2": DIALECT, "other": dialect})
    with pytest.raises(ValueError, match=r"oauth2\.access"):
        assemble(local, MemoryLimits({}), PUBLIC_URL)


async def test_fault_leaves_a_line(here):
    """HT-08: a fault is a log line with its request id and nothing in the trail."""
    from structlog.testing import capture_logs

    here.store.registry.raises = RuntimeError("broken")
    with capture_logs() as lines:
        answer = await token(here)
    (line,) = lines
    assert answer.status == 500
    assert (line["event"], line["fault"]) == ("fault", "RuntimeError")
    assert line["request_id"] == answer.header("x-request-id")
    assert [row for row in await here.audit() if row.reason == Reason.FAULT] == []


async def test_a_kept_reading_is_no_kept_verdict(here):
    """TK-09, AD-05: A request that repeats another byte for byte is checked, signed and audited anew."""
    members = here.members["acme"]["oauth2"]
    value = basic(members["client_id"], members["client_secret"]).encode()
    headers = [(b"content-type", FORM[1].encode()), (b"authorization", value)]
    head = Head("POST", PATH.encode(), headers, ("192.0.2.1", 1))
    body = b"grant_type=client_credentials"

    before = len(await here.audit("token.issued"))
    answers = [await here.desk.answer(head, body, False) for _ in range(3)]
    assert [response.status for _, response in answers] == [200, 200, 200]
    assert len({request_id for request_id, _ in answers}) == 3
    assert len({response.body for _, response in answers}) == 3
    rows = (await here.audit("token.issued"))[before:]
    assert [row.request_id.encode() for row in rows] == [request_id for request_id, _ in answers]

    (secret,) = await here.secrets(members["client_id"])
    await here.replace(secret, life=secret.life.ended(here.clock.now(), "test"))
    _, refused = await here.desk.answer(head, body, False)
    assert refused.status == 401
    _, other = await here.desk.answer(head, b"grant_type=none", False)
    assert other.status == 400
    _, too_large = await here.desk.answer(head, body, True)
    assert too_large.status == 413
