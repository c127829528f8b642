"""The contract of every dialect: what its tables promise, run as they stand.

A dialect's test inherits ``DialectContract`` and names the dialect; routes, golden samples, field names and
refusals come from its tables. A good request is the first golden sample of a route with a 2xx answer.
"""

import json
import random
import re
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from joserfc import jws, jwt
from joserfc.jwk import KeySet
from structlog.testing import capture_logs

from harness import Answer, Deployment, basic, clear_texts, deployment, fill
from keyturn.core import errors
from keyturn.core.errors import Refusal, SlowDown, Unavailable
from keyturn.core.life import Life, State
from keyturn.core.limits import Rate
from keyturn.core.shapes import Constant, Each, Member, Shape
from keyturn.core.vocabulary import Algorithm, Code, Reason
from keyturn.dialects import load_dialects
from keyturn.directory.clients import disable_client, end_client
from keyturn.directory.credentials import disable_credential, end_credential
from keyturn.directory.organisations import disable_organisation
from keyturn.seeding import MAIN, OTHER
from keyturn.wire.check import codes_of
from keyturn.wire.compile import Router, compile_dialect
from keyturn.wire.tables import FORM, JSON, Dialect, Field, Route, Sample, Source
from keyturn.wire.write import compile_refusals

from harness import ACTOR, START  # isort: skip

PLACEHOLDERS = {
    "<jwt>": re.compile(r"[\w-]+\.[\w-]+\.[\w-]+"),
    "<uuid>": re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    "<text>": re.compile(r".+", re.DOTALL),
    "<digits>": re.compile(r"[0-9]+"),
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND")
ALGORITHMS = [algorithm.value for algorithm in Algorithm]


class Asked(msgspec.Struct, frozen=True):
    """One request to a route, ready to send; ``but`` makes another of it."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    query: bytes = b""
    oversized: bool = False

    def but(self, **changes: Any) -> "Asked":
        """Give the same request, changed."""
        return msgspec.structs.replace(self, **changes)

    def typed(self, *media: str) -> "Asked":
        """Give the same request with other content types."""
        others = tuple(pair for pair in self.headers if pair[0].lower() != "content-type")
        return self.but(headers=(*others, *(("Content-Type", each) for each in media)))

    @property
    def media(self) -> str:
        """The declared content type, without parameters."""
        found = [value for name, value in self.headers if name.lower() == "content-type"]
        return found[0].partition(";")[0].strip() if found else ""

    async def send(self, here: Deployment, **options: Any) -> Answer:
        """Send it."""
        return await here.ask(
            self.method,
            self.path,
            query=self.query,
            headers=self.headers,
            body=self.body,
            oversized=self.oversized,
            **options,
        )


def matches(want: Any, have: Any) -> bool:
    """Tell whether an answer is what a golden sample says, its places filled with anything of their kind."""
    if isinstance(want, str) and want in PLACEHOLDERS:
        return isinstance(have, str) and PLACEHOLDERS[want].fullmatch(have) is not None
    if isinstance(want, dict):
        return (
            isinstance(have, dict)
            and list(want) == list(have)
            and all(matches(want[key], have[key]) for key in want)
        )
    if isinstance(want, list):
        return isinstance(have, list) and len(want) == len(have) and all(map(matches, want, have))
    return type(want) is type(have) and want == have


def at(answer: Any, path: str) -> Any:
    """Follow a dotted path into an answer."""
    for name in path.split("."):
        answer = answer[name]
    return answer


def shown(shape: Shape, source: str) -> list[Member]:
    """Give the members of a shape that show a fact."""
    return [member for member in shape.members if isinstance(member, Member) and member.source == source]


def every_refusal() -> dict[Code, Any]:
    """Give, for every public code, what makes a refusal of a reason."""
    kinds: dict[Code, Any] = {}
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, Refusal) and hasattr(kind, "code"):
            kinds[kind.code] = kind
    kinds[Code.SLOW_DOWN] = lambda reason: SlowDown(reason, retry_after=3)
    return kinds


class DialectContract:
    """Everything that holds for a dialect because of what its tables say."""

    dialect: Dialect

    def pytest_generate_tests(self, metafunc):
        """Run a test for each golden sample or each route that exchanges, where it asks for one."""
        if "sample" in metafunc.fixturenames:
            samples = self.dialect.samples
            metafunc.parametrize("sample", samples, ids=[sample.name for sample in samples])
        if "route" in metafunc.fixturenames:
            routes = [route for route in self.dialect.routes if route.exchanges]
            metafunc.parametrize("route", routes, ids=[route.name for route in routes])

    # --- what the tables say ---

    def place_of(self, source: str) -> str:
        """Name the member of the demo entry that shows a fact."""
        return shown(self.dialect.demo.members, source)[0].path

    def members(self, here: Deployment, slug: str = MAIN, **changes: Any) -> dict[str, Any]:
        """Give the demo entry of an organisation, with other credentials where they are given."""
        named = {"owner": "client.id", "secret": "client.secret"}
        return here.members[slug][self.dialect.name] | {
            self.place_of(named[name]): value for name, value in changes.items()
        }

    def filled(self, sample: Sample, members: dict[str, Any], slug: str = MAIN) -> Asked:
        """Make the request of a golden sample."""
        route = next(route for route in self.dialect.routes if route.name == sample.route)
        value = basic(members[self.place_of("client.id")], members[self.place_of("client.secret")])
        return Asked(
            route.method,
            route.path.replace("{organisation}", slug),
            tuple((name, fill(text, members, value)) for name, text in sample.headers),
            fill(sample.body, members, value).encode(),
        )

    def good(
        self, here: Deployment, route: Route, *, slug: str = MAIN, path: str | None = None, **who: Any
    ) -> Asked:
        """Make a good request to a route: of the demo's client, or of another owner and secret."""
        sample = next(each for each in self.samples_of(route) if 200 <= each.status < 300)
        return self.filled(sample, self.members(here, slug, **who), path or slug)

    def samples_of(self, route: Route) -> list[Sample]:
        """Give a route's golden samples."""
        return [sample for sample in self.dialect.samples if sample.route == route.name]

    def token_in(self, route: Route, answer: Answer) -> str:
        """Take the access token out of a good answer."""
        (member,) = shown(route.answer.shape, "access_token")
        token: str = at(answer.json, member.path)
        return token

    async def claims(
        self, here: Deployment, route: Route, answer: Answer, slug: str = MAIN
    ) -> dict[str, Any]:
        """Give the claims of the token in a good answer, once its signature is proven."""
        assert answer.status == route.answer.status, answer
        keys = KeySet.import_key_set(await here.jwks(slug))
        return jwt.decode(self.token_in(route, answer), keys, algorithms=ALGORITHMS).claims

    async def client_of(self, here: Deployment, slug: str = MAIN):
        """Read the demo's client."""
        return await here.client(self.members(here, slug)[self.place_of("client.id")])

    # --- what every answer keeps ---

    def check_private(self, answer: Answer) -> None:
        """Check the headers of every answer with or about tokens."""
        assert answer.header("cache-control") == "no-store"
        assert answer.header("x-content-type-options") == "nosniff"
        assert answer.header("content-type") == "application/json"
        assert re.fullmatch(r"[0-9a-f-]{36}", answer.header("x-request-id") or "")
        assert answer.header("server") is None

    def check_refusal(self, answer: Answer, code: Code | None = None) -> None:
        """Check that an answer is a refusal in the dialect's own envelope, of one code or of any."""
        self.check_private(answer)
        rows = self.dialect.refusals.rows
        possible = [rows[code]] if code else [row for row in rows.values() if row.status == answer.status]
        assert answer.status in {row.status for row in possible}, answer
        told = answer.json
        known = set()
        for member in self.dialect.refusals.shape.members:
            known.add(member.path.partition(".")[0])
            if isinstance(member, Constant):
                assert at(told, member.path) == member.value
            elif isinstance(member, Each):
                assert at(told, member.path)
            elif member.source == "code":
                assert str(at(told, member.path)) in {row.code for row in possible}
            elif member.source == "request_id":
                assert at(told, member.path) == answer.header("x-request-id")
        assert set(told) <= known
        for row in possible:
            for name, value in row.headers:
                assert answer.header(name) == value
        assert "Traceback" not in answer.body.decode()

    async def check_refused(
        self, here: Deployment, asked: Asked, code: Code | None = None, reason: Reason | None = None
    ) -> Answer:
        """Send what must be refused, and check answer and audit trail."""
        before = await here.audit()
        answer = await asked.send(here)
        assert 400 <= answer.status < 500, answer
        self.check_refusal(answer, code)
        added = (await here.audit())[len(before) :]
        assert [row.kind for row in added] == ["token.refused"]
        (row,) = added
        assert row.request_id == answer.header("x-request-id")
        assert row.details["dialect"] == self.dialect.name
        assert row.reason in set(Reason)
        assert reason is None or row.reason == reason
        if "_" in row.reason and row.reason not in {
            row.code.lower() for row in self.dialect.refusals.rows.values()
        }:
            assert row.reason not in answer.body.decode()
        self.check_no_secret(here, clear_texts(added) + answer.body.decode())
        return answer

    def check_no_secret(self, here: Deployment, text: str) -> None:
        """Check that a text holds none of the deployment's secrets."""
        for members in here.members.values():
            for name, dialect in here.local.dialects.items():
                for member in shown(dialect.demo.members, "client.secret"):
                    assert members[name][member.path] not in text

    # --- good requests ---

    async def test_golden_sample(self, here, sample):
        """Each golden sample is answered exactly as it says."""
        answer = await self.filled(sample, self.members(here)).send(here)
        assert answer.status == sample.status
        assert matches(sample.answer, answer.json), answer.json

    def test_samples_cover_the_routes(self, route):
        """Each route that exchanges has a golden sample that works and one that is refused."""
        statuses = {sample.status // 100 for sample in self.samples_of(route)}
        assert {2, 4} <= statuses

    async def test_token(self, here, route):
        """A good request gives a token of its profile whose signature a stranger can prove."""
        answer = await self.good(here, route).send(here)
        self.check_private(answer)
        claims = await self.claims(here, route, answer)
        profile = route.exchanges[0].profile
        client, organisation = await self.client_of(here), await here.organisation()
        header = jws.extract_compact(self.token_in(route, answer).encode()).headers()
        assert header["typ"] == profile.header_type
        assert header["alg"] == profile.algorithm
        assert set(header) == {"typ", "alg", "kid"}
        assert claims["iss"] == "https://keys.example/o/acme"
        assert claims["sub"] == client.id
        assert claims["aud"] == client.audiences[0]
        assert claims["iat"] == int(START.timestamp())
        assert claims["exp"] == claims["iat"] + profile.lifetime_seconds
        assert PLACEHOLDERS["<uuid>"].fullmatch(claims["jti"])
        assert profile.kind in msgspec.json.encode(claims["kt"]).decode()
        assert organisation.id in msgspec.json.encode(claims["kt"]).decode()
        facts = {"client.id": client.id, "client.name": client.name, "organisation.slug": MAIN}
        for member in profile.claims.members:
            if isinstance(member, Constant):
                assert at(claims, member.path) == member.value
            elif member.source in facts and member.transform == "plain":
                assert at(claims, member.path) == facts[member.source]
            else:
                assert member.optional or at(claims, member.path) is not None

    async def test_token_ids_differ(self, here, route):
        """Two good requests give two tokens of different identifiers, and both stay good."""
        first, second = [await self.good(here, route).send(here) for _ in range(2)]
        one, two = await self.claims(here, route, first), await self.claims(here, route, second)
        assert one["jti"] != two["jti"]
        assert {**one, "jti": two["jti"]} == two

    async def test_wire_expiry(self, here, route):
        """What the wire says of the lifetime equals ``exp`` less ``iat``, with organisation settings too."""
        for seconds in (None, 61):
            if seconds is not None:
                settings = {self.dialect.name: {"lifetime_seconds": seconds}}
                await here.replace(await here.organisation(), settings=settings)
            answer = await self.good(here, route).send(here)
            claims = await self.claims(here, route, answer)
            lifetime = claims["exp"] - claims["iat"]
            assert lifetime == (seconds or route.exchanges[0].profile.lifetime_seconds)
            for member in shown(route.answer.shape, "lifetime"):
                assert int(at(answer.json, member.path)) == lifetime
            for member in shown(route.answer.shape, "expires_at"):
                value = at(answer.json, member.path)
                if member.transform == "iso_millis":
                    assert datetime.fromisoformat(value).timestamp() == claims["exp"]
                else:
                    assert value == claims["exp"] * (1000 if member.transform == "epoch_millis" else 1)

    async def test_client_ceiling(self, here, route):
        """A client's own ceiling shortens its tokens, and wire and claims say so alike."""
        await here.replace(await self.client_of(here), max_lifetime_seconds=7)
        answer = await self.good(here, route).send(here)
        claims = await self.claims(here, route, answer)
        assert claims["exp"] - claims["iat"] == 7
        for member in shown(route.answer.shape, "lifetime"):
            assert int(at(answer.json, member.path)) == 7

    async def test_issued_is_audited_once(self, here, route):
        """AD-05: an issued token leaves one row, which names it and holds no secret and no token."""
        await here.jwks()
        before = await here.audit()
        answer = await self.good(here, route).send(here)
        (row,) = (await here.audit())[len(before) :]
        claims = await self.claims(here, route, answer)
        assert (row.kind, row.outcome, row.reason) == ("token.issued", "ok", None)
        assert row.subject == claims["jti"]
        assert row.actor == "client:" + claims["sub"]
        assert row.request_id == answer.header("x-request-id")
        assert row.organisation_id == (await here.organisation()).id
        assert row.details["dialect"] == self.dialect.name
        self.check_no_secret(here, clear_texts([row]))
        assert self.token_in(route, answer).split(".")[2] not in clear_texts([row])

    async def test_own_organisation(self, here, route):
        """TN-03: another organisation's client gets a token of that organisation's issuer and keys only."""
        asked = self.good(here, route, slug=OTHER)
        claims = await self.claims(here, route, await asked.send(here), OTHER)
        assert claims["iss"] == "https://keys.example/o/globex"
        with pytest.raises(Exception, match=r"."):
            await self.claims(here, route, await asked.send(here), MAIN)

    async def test_unknown_parameters(self, here, route):
        """TE-02: unknown parameters are ignored and never set claims, lifetimes or subjects."""
        asked = self.good(here, route)
        extra = (
            "sub",
            "iss",
            "aud",
            "exp",
            "iat",
            "jti",
            "kt",
            "lifetime_seconds",
            "role",
            "organisation_id",
        )
        if asked.media == JSON:
            told = json.dumps(json.loads(asked.body) | dict.fromkeys(extra, "evil")).encode()
        else:
            told = asked.body + b"".join(b"&%s=evil" % name.encode() for name in extra)
        plain = await self.claims(here, route, await asked.send(here))
        claims = await self.claims(here, route, await asked.but(body=told, query=b"sub=evil&x=1").send(here))
        assert {**claims, "jti": plain["jti"]} == plain

    async def test_two_live_secrets(self, here, route):
        """TE-05: two live secrets work side by side, and ending one leaves the other."""
        client = await self.client_of(here)
        first = (await here.secrets(client.id))[0]
        await here.import_secret(client.id, "another-secret")
        for who in ({}, {"secret": "another-secret"}):
            assert (await self.good(here, route, **who).send(here)).status == route.answer.status
        await end_credential(ACTOR, self.store_of(here, client), first.id, "test", **self.common(here))
        await self.check_refused(here, self.good(here, route), Code.INVALID_CLIENT, Reason.SECRET_ENDED)
        assert (
            await self.good(here, route, secret="another-secret").send(here)
        ).status == route.answer.status

    # --- refusals that look the same ---

    def store_of(self, here: Deployment, client):
        """Give the store of a client's organisation."""
        return here.local.deployment.organisation_store(client.organisation_id)

    def common(self, here: Deployment) -> dict[str, Any]:
        """Give what every directory verb takes."""
        return {"now": here.clock.now(), "dice": here.local.dice}

    async def one_face(self, here: Deployment, route: Route, asked: Asked, reason: Reason) -> None:
        """Check that a request is refused exactly as a wrong secret is, for a reason of its own."""
        wrong = await self.check_refused(
            here,
            self.good(here, route, secret="wrong", owner=str(uuid4())),
            Code.INVALID_CLIENT,
            Reason.UNKNOWN_CLIENT,
        )
        refused = await self.check_refused(here, asked, Code.INVALID_CLIENT, reason)
        assert refused.seen() == wrong.seen()

    async def test_wrong_secret(self, here, route):
        """TE-09: an unknown client and a wrong secret are answered alike, to the byte."""
        right = self.members(here)[self.place_of("client.secret")]
        for wrong in ("wrong", right[:-1], right + "x", right.swapcase(), " " + right, right + " "):
            await self.one_face(here, route, self.good(here, route, secret=wrong), Reason.WRONG_SECRET)

    @pytest.mark.parametrize("owner", ["no-uuid", "0", "a" * 5000, "' OR 1=1 --", "../../etc", "%", "é"])
    async def test_odd_client_id(self, here, route, owner):
        """TE-09: a client id of any spelling that is nobody's is answered like a wrong secret."""
        asked = self.good(here, route, owner=owner)
        if asked.media == JSON:
            body = json.loads(self.good(here, route).body)
            known = self.members(here)[self.place_of("client.id")]
            asked = asked.but(
                body=json.dumps({k: owner if v == known else v for k, v in body.items()}).encode()
            )
        await self.one_face(here, route, asked, Reason.UNKNOWN_CLIENT)

    async def test_disabled_client(self, here, route):
        """TE-10: a disabled client is answered like a wrong secret, and works again once enabled."""
        client = await self.client_of(here)
        await disable_client(ACTOR, self.store_of(here, client), client.id, **self.common(here))
        await self.one_face(here, route, self.good(here, route), Reason.CLIENT_DISABLED)
        await here.replace(await self.client_of(here), disabled=False)
        assert (await self.good(here, route).send(here)).status == route.answer.status

    async def test_ended_client(self, here, route):
        """TE-10: an ended client is answered like a wrong secret."""
        client = await self.client_of(here)
        await end_client(ACTOR, self.store_of(here, client), client.id, **self.common(here))
        await self.one_face(here, route, self.good(here, route), Reason.CLIENT_DISABLED)

    async def test_disabled_organisation(self, here, route):
        """TE-10: a disabled or ended organisation's client is answered like a wrong secret, others go on."""
        await disable_organisation(ACTOR, here.local.deployment, MAIN, **self.common(here))
        await self.one_face(here, route, self.good(here, route), Reason.ORGANISATION_ENDED)
        await here.replace(await here.organisation(), disabled=False, ended_at=here.clock.now())
        await self.one_face(here, route, self.good(here, route), Reason.ORGANISATION_ENDED)
        assert (await self.good(here, route, slug=OTHER).send(here)).status == route.answer.status

    async def test_ended_secret(self, here, route):
        """TE-10: an ended secret is answered like a wrong one."""
        client = await self.client_of(here)
        (secret,) = await here.secrets(client.id)
        await end_credential(ACTOR, self.store_of(here, client), secret.id, "test", **self.common(here))
        await self.one_face(here, route, self.good(here, route), Reason.SECRET_ENDED)

    async def test_disabled_secret(self, here, route):
        """TE-10: a disabled secret is answered like a wrong one."""
        client = await self.client_of(here)
        (secret,) = await here.secrets(client.id)
        await disable_credential(ACTOR, self.store_of(here, client), secret.id, **self.common(here))
        await self.one_face(here, route, self.good(here, route), Reason.SECRET_DISABLED)

    async def test_expired_secret(self, here, route):
        """TK-09: a secret is refused from the instant of its expiry on, without any job."""
        client, now = await self.client_of(here), here.clock.now()
        await here.import_secret(
            client.id, "soon", life=Life(created_at=now, expires_at=now + timedelta(seconds=5))
        )
        here.clock.advance(4.999)
        assert (await self.good(here, route, secret="soon").send(here)).status == route.answer.status
        here.clock.advance(0.001)
        await self.one_face(here, route, self.good(here, route, secret="soon"), Reason.SECRET_EXPIRED)

    async def test_pending_secret(self, here, route):
        """TE-10: a secret that is not active yet is answered like a wrong one."""
        client = await self.client_of(here)
        life = Life(created_at=here.clock.now(), state=State.PENDING)
        await here.import_secret(client.id, "pending", life=life)
        await self.one_face(here, route, self.good(here, route, secret="pending"), Reason.SECRET_PENDING)

    async def test_client_of_another_dialect(self, here, route):
        """TE-10: a client or a secret of another dialect is answered like a wrong secret."""
        other = next(name for name in here.local.dialects if name != self.dialect.name)
        client, secret = await here.add_client(dialects=(other,), scopes=self.dialect.demo.fixtures[0].scopes)
        await self.one_face(
            here, route, self.good(here, route, owner=client.id, secret=secret), Reason.WRONG_DIALECT
        )
        ours = await self.client_of(here)
        await here.import_secret(ours.id, "elsewhere", dialects=(other,))
        await self.one_face(here, route, self.good(here, route, secret="elsewhere"), Reason.WRONG_DIALECT)

    async def test_client_of_another_organisation(self, here, route):
        """TN-01: a path that names another organisation than the client's is answered like a wrong secret."""
        if "{organisation}" in route.path:
            for path in (MAIN, "no-such-organisation", "ACME"):
                asked = self.good(here, route, slug=OTHER, path=path)
                await self.one_face(here, route, asked, Reason.UNKNOWN_CLIENT)
        else:
            theirs = self.members(here, OTHER)[self.place_of("client.secret")]
            await self.one_face(here, route, self.good(here, route, secret=theirs), Reason.WRONG_SECRET)

    async def test_grant_not_allowed(self, here, route):
        """TE-07: a genuine client without the grant is told so in the dialect's envelope."""
        await here.replace(await self.client_of(here), grants=())
        await self.check_refused(
            here, self.good(here, route), Code.UNAUTHORIZED_CLIENT, Reason.GRANT_NOT_ALLOWED
        )

    # --- refusals in general ---

    @pytest.mark.parametrize("code", Code)
    def test_refusal_is_rendered(self, code):
        """Every code of its roads is told in its envelope, and no private reason changes a byte of it."""
        if code not in self.dialect.refusals.rows:
            assert code not in codes_of(route for route in self.dialect.routes if route.refusals is None)
            return
        write = self.write_refusal
        row = self.dialect.refusals.rows[code]
        make = every_refusal()[code] if code is not Code.SERVER_ERROR else self.fault
        bodies = {write(make(reason)).body for reason in Reason}
        assert len(bodies) == 1
        response = write(make(Reason.FAULT))
        assert response.status == row.status
        headers = [*response.headers, (b"x-request-id", str(uuid4()).encode())]
        told = tuple((name.decode(), value.decode()) for name, value in headers)
        if not shown(self.dialect.refusals.shape, "request_id"):
            self.check_refusal(Answer(response.status, told, response.body), code)
        assert row.status // 100 == (5 if code in {Code.SERVER_ERROR, Code.TEMPORARILY_UNAVAILABLE} else 4)

    def write_refusal(self, refusal: Refusal):
        """Write a refusal by the dialect's own table."""
        write = compile_refusals(self.dialect.refusals, frozenset(), self.dialect.name)
        return write(refusal, "request", "fresh", START)

    @staticmethod
    def fault(reason: Reason) -> Refusal:
        """Make the refusal by which a caller sees a fault."""
        from keyturn.web.desk import InternalError

        return InternalError(reason)

    @pytest.mark.parametrize("port", ["registry", "recorder", "digester"])
    async def test_fault(self, here, route, port):
        """HT-08: a fault shows a generic body and a request id, and nothing of itself."""
        broken = getattr(here.store, port, None) or here.local.digester
        broken.raises = RuntimeError("select secret from /etc/passwd")
        with capture_logs() as lines:
            answer = await self.good(here, route).send(here)
        (line,) = lines
        assert line["fault"] == "RuntimeError"
        assert line["request_id"] == answer.header("x-request-id")
        self.check_refusal(answer, Code.SERVER_ERROR)
        assert answer.status == 500
        assert "passwd" not in repr(answer)
        assert "RuntimeError" not in repr(answer)
        broken.raises = None
        assert (await self.good(here, route).send(here)).status == route.answer.status

    async def test_fault_while_a_refusal_is_audited(self, here, route):
        """HT-08: a fault of the trail turns a refusal into a generic 5xx, not into a broken connection."""
        here.store.recorder.raises = RuntimeError("broken")
        answer = await self.good(here, route, secret="wrong").send(here)
        assert answer.status >= 500
        self.check_refusal(answer)

    @pytest.mark.parametrize("port", ["registry", "recorder"])
    @pytest.mark.parametrize("who", [{}, {"secret": "wrong"}])
    async def test_unavailable(self, here, route, port, who):
        """HT-09: while the store is not usable everything is 503 with Retry-After, and nothing is issued."""
        await here.jwks()
        before = await here.audit()
        getattr(here.store, port).raises = Unavailable(Reason.STORE_UNAVAILABLE, retry_after=2)
        answer = await self.good(here, route, **who).send(here)
        self.check_refusal(answer, Code.TEMPORARILY_UNAVAILABLE)
        assert answer.status == 503
        assert answer.header("retry-after") == "2"
        getattr(here.store, port).raises = None
        assert await here.audit() == before
        assert (await self.good(here, route).send(here)).status == route.answer.status

    @pytest.mark.parametrize("kind", ["client", "address", "organisation"])
    async def test_rate_limit(self, route, kind):
        """RL-01: over a limit the answer is 429 with Retry-After, and passes by itself."""
        async with deployment(self.dialect, rates={kind: Rate(per_minute=20, burst=2)}) as here:
            for _ in range(2):
                assert (await self.good(here, route).send(here)).status == route.answer.status
            answer = await self.check_refused(here, self.good(here, route), Code.SLOW_DOWN, Reason.RATE_LIMIT)
            assert answer.status == 429
            wait = int(answer.header("retry-after") or "0")
            assert wait == 3
            wrong = self.good(here, route, secret="wrong")
            if kind == "address":
                assert (await self.check_refused(here, wrong, Code.SLOW_DOWN)).seen() == answer.seen()
            else:  # strangers neither use up a client's limit nor learn by it that there is such a client
                await self.check_refused(here, wrong, Code.INVALID_CLIENT)
            here.clock.advance(wait)
            assert (await self.good(here, route).send(here)).status == route.answer.status

    async def test_limits_are_apart(self, route):
        """TN-04: one client over its limit slows no other."""
        async with deployment(self.dialect, rates={"client": Rate(per_minute=1, burst=1)}) as here:
            assert (await self.good(here, route).send(here)).status == route.answer.status
            assert (await self.good(here, route).send(here)).status == 429
            assert (await self.good(here, route, slug=OTHER).send(here)).status == route.answer.status

    # --- garbage ---

    def body_fields(self, route: Route) -> list[Field]:
        """Give the fields of a route that its body brings."""
        return [field for field in route.fields if field.source is Source.BODY]

    async def test_random_bytes(self, here, route):
        """Random bytes under any content type that is read are refused in the dialect's format."""
        dice = random.Random(11)  # noqa: S311  # garbage repeats itself
        for media in route.media:
            for size in (0, 1, 2, 17, 400, 60_000):
                await self.check_refused(
                    here, self.good(here, route).typed(media).but(body=dice.randbytes(size))
                )

    async def test_wrong_content_type(self, here, route):
        """TE-03: another content type, two, or another charset is 415 and the body is not read."""
        asked, own = self.good(here, route), route.media[0]
        others = [
            ("text/plain",),
            ("multipart/form-data; boundary=x",),
            ("application/xml",),
            ("",),
            (own, own),
            (own + "; charset=utf-16",),
            *((media,) for media in (FORM, JSON) if media not in route.media),
        ]
        if not route.media_optional:
            others.append(())
        for types in others:
            answer = await self.check_refused(
                here, asked.typed(*types), Code.UNSUPPORTED_MEDIA_TYPE, Reason.MEDIA_TYPE
            )
            assert answer.status == self.dialect.refusals.rows[Code.UNSUPPORTED_MEDIA_TYPE].status

    async def test_charset(self, here, route):
        """A charset parameter that says UTF-8 changes nothing."""
        asked = self.good(here, route)
        for spelling in (";charset=UTF-8", "; charset=utf-8", '; charset="utf-8"'):
            assert (await asked.typed(asked.media + spelling).send(here)).status == route.answer.status

    async def test_json_under_form(self, here, route):
        """TE-03: JSON under a form's type is refused, and a form under JSON's."""
        asked = self.good(here, route)
        for media in route.media:
            body = b'{"a": "b"}' if media == FORM else b"a=b&c=d"
            await self.check_refused(here, asked.typed(media).but(body=body))

    async def test_repeated_field(self, here, route):
        """TE-02: any field given twice is refused, with equal values too."""
        asked = self.good(here, route)
        if asked.media == JSON:
            inner = asked.body.strip()[1:-1]
            await self.check_refused(here, asked.but(body=b"{" + inner + b"," + inner + b"}"))
            await self.check_refused(here, asked.but(body=b"{" + inner + b', "zz": 1, "zz": 1}'))
        else:
            await self.check_refused(
                here, asked.but(body=asked.body + b"&" + asked.body), reason=Reason.FIELD_REPEATED
            )
            await self.check_refused(
                here, asked.but(body=asked.body + b"&zz=1&zz=1"), reason=Reason.FIELD_REPEATED
            )

    async def test_wrong_json_types(self, here, route):
        """TE-03: a member of the wrong JSON type is refused, each field and type."""
        if JSON not in route.media:
            await self.check_refused(
                here, self.good(here, route).typed(JSON), Code.UNSUPPORTED_MEDIA_TYPE, Reason.MEDIA_TYPE
            )
            return
        sample = next(
            each
            for each in self.samples_of(route)
            if 200 <= each.status < 300 and ("Content-Type", JSON) in each.headers
        )
        good = json.loads(self.filled(sample, self.members(here)).body)
        for field in self.body_fields(route):
            for wrong in (7, 1.5, True, False, {}, {"a": "b"}, [7], [["a"]], [None]):
                asked = (
                    self.good(here, route)
                    .typed(JSON)
                    .but(body=json.dumps(good | {field.name: wrong}).encode())
                )
                await self.check_refused(here, asked, reason=Reason.FIELD_INVALID)

    async def test_odd_json(self, here, route):
        """HT-01: no object, deep nesting, long numbers, NaN and unfinished JSON are refused as JSON."""
        if JSON not in route.media:
            return
        bodies = (
            b"",
            b"[]",
            b"null",
            b'"x"',
            b"7",
            b"{",
            b"{}{}",
            b'{"a": NaN}',
            b'{"a": %s}' % (b"9" * 400),
        )
        deep = b"[" * 30_000 + b"]" * 30_000
        for body in (*bodies, b'{"a": ' + deep + b"}", deep, b"{" * 60_000, b'{"a":' * 10_000):
            await self.check_refused(here, self.good(here, route).typed(JSON).but(body=body))

    async def test_forbidden_characters(self, here, route):
        """HT-02: NUL, line breaks, lone surrogates and bytes that are no UTF-8 are refused in every field."""
        for field in self.body_fields(route):
            for media in route.media:
                if media == FORM:
                    forms = ("%00", "a%00b", "%0A", "a%0D%0Ab", "%ED%A0%80", "%FF", "%C0%80")
                    bodies = [f"{field.name}={text}".encode() for text in forms]
                    bodies.append(field.name.encode() + b"=\xff\xfe")
                else:
                    texts = (r'"\u0000"', r'"a\u0000b"', r'"\n"', r'"\ud800"', r'"\udc00\ud800"', '"\x00"')
                    bodies = [f'{{"{field.name}": {text}}}'.encode() for text in texts]
                    bodies.append(b'{"%s": "\xff"}' % field.name.encode())
                for body in bodies:
                    await self.check_refused(here, self.good(here, route).typed(media).but(body=body))

    async def test_too_much(self, here, route):
        """HT-01: too many fields and a field that is too long are refused."""
        for media in route.media:
            asked = self.good(here, route).typed(media)
            many = {f"f{number}": "1" for number in range(101)}
            for field in self.body_fields(route):
                long = {field.name: "a" * (8 * 1024 + 1)}
                for fields in (many, long):
                    form = "&".join(f"{name}={value}" for name, value in fields.items())
                    body = json.dumps(fields) if media == JSON else form
                    await self.check_refused(here, asked.but(body=body.encode()))

    async def test_credentials_in_the_query(self, here, route):
        """TE-01: a parameter of the body in the query is refused, whatever the body holds."""
        for field in self.body_fields(route):
            for body in (self.good(here, route).body, b""):
                asked = self.good(here, route).but(query=field.name.encode() + b"=x", body=body)
                await self.check_refused(here, asked, Code.INVALID_REQUEST, Reason.CREDENTIAL_IN_QUERY)

    async def test_odd_query(self, here, route):
        """A query that cannot be read is refused and never a fault."""
        for query in (b"%FF=1", b"\xff", b"&".join([b"a=1"] * 101)):
            await self.check_refused(here, self.good(here, route).but(query=query), Code.INVALID_REQUEST)

    async def test_oversized(self, here, route):
        """HT-01: a body over the limit is refused without being read."""
        await self.check_refused(
            here, self.good(here, route).but(body=b"", oversized=True), Code.TOO_LARGE, Reason.TOO_LARGE
        )

    async def test_odd_authorization(self, here, route):
        """TE-04: an Authorization header that cannot be read is a refusal or ignored, and never a fault."""
        texts = (
            "Basic",
            "Basic !",
            "Basic Og==",
            "Basic YQ==",
            "Basic /////w==",
            "Bearer x",
            "",
            "\xff",
            "Basic " + "A" * 9000,
        )
        for text in texts:
            asked = self.good(here, route)
            others = tuple(pair for pair in asked.headers if pair[0].lower() != "authorization")
            answer = await asked.but(headers=(*others, ("Authorization", text))).send(here)
            assert answer.status < 500
            self.check_private(answer)

    # --- the router ---

    def test_routes_do_not_collide(self):
        """No two routes claim one method and path, those of every other dialect included."""
        dialects = load_dialects() | {self.dialect.name: self.dialect}
        Router(route for dialect in dialects.values() for route in compile_dialect(dialect, 300))

    async def test_other_methods(self, here, route):
        """Another method than the route's is 405 with Allow, in the dialect's envelope, and audited."""
        for method in METHODS:
            if method == route.method:
                continue
            answer = await self.good(here, route).but(method=method).send(here)
            if method == "HEAD":
                assert (answer.status, answer.body) == (405, b"")
                self.check_private(answer)
            else:
                answer = await self.check_refused(
                    here, self.good(here, route).but(method=method), Code.METHOD_NOT_ALLOWED, Reason.METHOD
                )
            assert answer.header("allow") == route.method

    async def test_other_spellings(self, here, route):
        """AD-01: a trailing slash and other odd spellings of the path are 404 and reach nothing."""
        asked = self.good(here, route)
        before = await here.audit()
        for path in (
            asked.path + "/",
            "/" + asked.path,
            asked.path.upper(),
            asked.path.replace("/", "//"),
            asked.path + "%20",
        ):
            answer = await asked.but(path=path).send(here)
            assert answer.status == 404
            self.check_private(answer)
        assert await here.audit() == before

    async def test_host_changes_nothing(self, here, route):
        """HT-03: issuer and keys are those of the configuration, whatever Host and Forwarded headers say."""
        asked = self.good(here, route)
        evil = (
            "Host",
            "X-Forwarded-Host",
            "X-Forwarded-Proto",
            "Forwarded",
            "X-Original-URL",
            "X-Forwarded-Prefix",
        )
        sent = await asked.but(
            headers=(*asked.headers, *((name, "host=evil.example") for name in evil))
        ).send(here)
        assert (await self.claims(here, route, sent))["iss"] == "https://keys.example/o/acme"
        assert "evil" not in repr(sent)
