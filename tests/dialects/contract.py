"""The contract of every dialect: what its tables promise, run as they stand.

A dialect's test inherits ``DialectContract`` and names the dialect; routes, golden samples, field names and
refusals come from its tables. A good request is the first golden sample of a route with a 2xx answer.
``client_contract.py`` has what holds for clients.
"""

import json
import random
import re
from datetime import datetime
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from joserfc import jws, jwt
from joserfc.jwk import KeySet
from structlog.testing import capture_logs

from ground import START
from harness import Answer, Deployment, basic, clear_texts, deployment, fill_sample
from keyturn.core import errors
from keyturn.core.errors import Refusal, SlowDown, Unavailable
from keyturn.core.limits import Rate
from keyturn.core.shapes import Constant, Each, Member, Shape
from keyturn.core.transforms import TRANSFORMS
from keyturn.core.vocabulary import Algorithm, Code, Reason
from keyturn.dialects import load_dialects
from keyturn.seeding import MAIN, OTHER
from keyturn.wire.check import codes_of
from keyturn.wire.compile import Router, compile_dialect
from keyturn.wire.tables import FORM, JSON, Dialect, Field, Route, Sample, Source
from keyturn.wire.write import compile_refusals

PLACEHOLDERS = {
    "<jwt>": re.compile(r"[\w-]+\.[\w-]+\.[\w-]+"),
    "<uuid>": re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    "<text>": re.compile(r".+", re.DOTALL),
    "<digits>": re.compile(r"[0-9]+"),
}
TEXTS = frozenset({"text", "secret", "uuid_or_text", "scope_words", "email", "user_name", "absolute_uri"})
"""Readers of JSON strings (``scope_words`` of none: an array where the table says so)."""
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


def unnamed(claims: dict[str, Any]) -> dict[str, Any]:
    """Give claims without what names the token and its refresh family, which are new each time."""
    own = {name: value for name, value in claims["kt"].items() if name != "f"}
    return claims | {"jti": None, "kt": own}


def every_refusal() -> dict[Code, Any]:
    """Give, for every public code, what makes a refusal of a reason."""
    kinds: dict[Code, Any] = {}
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, Refusal) and hasattr(kind, "code"):
            kinds[kind.code] = kind
    kinds[Code.SLOW_DOWN] = lambda reason: SlowDown(reason, retry_after=3)
    return kinds


class DialectContract:
    """Everything that holds for a dialect because of what its tables say.

    A contract without clients says in the attributes who asks instead, and where its keys are.
    """

    dialect: Dialect
    owner_fact = "client.id"
    """Of the demo entry: the name of who presents a credential; None where the secret names itself."""
    secret_fact = "client.secret"
    """Of the demo entry: what is presented."""
    wrong_code = Code.INVALID_CLIENT
    """How a wrong secret is refused."""
    unknown_reason = Reason.UNKNOWN_CLIENT
    """Why an owner that is not there is refused, for the audit trail."""
    actor = "client"
    """Who issued tokens' audit events are about."""
    without: tuple[str, ...] = ()
    """Routes that exchange and no golden sample alone can walk; the dialect's own tests do."""
    header_members = frozenset({"typ", "alg", "kid"})

    def issuer(self, slug: str) -> str:
        """Give the ``iss`` of an organisation's tokens."""
        return f"https://keys.example/o/{slug}"

    async def keys(self, here: Deployment, slug: str) -> dict[str, Any]:
        """Fetch the key set of an organisation's tokens."""
        return await here.jwks(slug)

    async def expected(self, here: Deployment, slug: str) -> dict[str, Any]:
        """Give what the claims of the demo's first token must be, beside those of every token."""
        client = await self.client_of(here, slug)
        return {"sub": client.id, "aud": client.audiences[0]}

    def pytest_generate_tests(self, metafunc):
        """Run a test for each golden sample or each route that exchanges, where it asks for one."""
        if "sample" in metafunc.fixturenames:
            samples = self.dialect.samples
            metafunc.parametrize("sample", samples, ids=[sample.name for sample in samples])
        if "route" in metafunc.fixturenames:
            routes = [
                route for route in self.dialect.routes if route.exchanges and route.name not in self.without
            ]
            metafunc.parametrize("route", routes, ids=[route.name for route in routes])

    # --- what the tables say ---

    def place_of(self, source: str) -> str:
        """Name the member of the demo entry that shows a fact."""
        return shown(self.dialect.demo.members, source)[0].path

    def members(self, here: Deployment, slug: str = MAIN, **changes: Any) -> dict[str, Any]:
        """Give the demo entry of an organisation, with other credentials where they are given."""
        named = {"owner": self.owner_fact, "secret": self.secret_fact}
        return here.members[slug][self.dialect.name] | {
            self.place_of(fact): changes[name] for name, fact in named.items() if fact and name in changes
        }

    def filled(self, sample: Sample, members: dict[str, Any], slug: str = MAIN) -> Asked:
        """Make the request of a golden sample."""
        made = fill_sample(self.dialect, sample, members, self.basic_of(members), slug)
        return Asked(made.method, made.path, made.headers, made.body.encode(), made.query.encode())

    def basic_of(self, members: dict[str, Any]) -> str:
        """Give the HTTP Basic form of who presents a credential."""
        owner = members[self.place_of(self.owner_fact)] if self.owner_fact else ""
        return basic(owner, members[self.place_of(self.secret_fact)])

    async def after_others(self, here: Deployment, sample: Sample) -> Asked:
        """Make the request of a golden sample, once those that come before it were sent."""
        members = self.members(here)
        if sample.after is not None:
            before = next(each for each in self.dialect.samples if each.name == sample.after)
            members["answer"] = (await (await self.after_others(here, before)).send(here)).json
        return self.filled(sample, members)

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
        keys = KeySet.import_key_set(await self.keys(here, slug))
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
                assert at(told, member.path) == TRANSFORMS[member.transform](answer.header("x-request-id"))
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
            str(row.code).lower() for row in self.dialect.refusals.rows.values()
        }:
            assert row.reason not in answer.body.decode()
        self.check_no_secret(here, clear_texts(added) + answer.body.decode())
        return answer

    def check_no_secret(self, here: Deployment, text: str) -> None:
        """Check that a text holds none of the deployment's secrets."""
        for members in here.members.values():
            for name, dialect in here.local.dialects.items():
                for member in dialect.demo.members.members:
                    if isinstance(member, Member) and member.transform == "reveal":
                        assert at(members[name], member.path) not in text

    # --- good requests ---

    async def test_golden_sample(self, here, sample):
        """Each golden sample is answered exactly as it says."""
        answer = await (await self.after_others(here, sample)).send(here)
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
        organisation = await here.organisation()
        header = jws.extract_compact(self.token_in(route, answer).encode()).headers()
        assert header["typ"] == profile.header_type
        assert header["alg"] == profile.algorithm
        assert set(header) == self.header_members
        assert claims["iss"] == self.issuer(MAIN)
        expected = await self.expected(here, MAIN)
        assert {name: claims[name] for name in expected} == expected
        assert claims["iat"] == int(START.timestamp())
        assert claims["exp"] == claims["iat"] + profile.lifetime_seconds
        assert PLACEHOLDERS["<uuid>"].fullmatch(claims["jti"])
        assert profile.kind in msgspec.json.encode(claims["kt"]).decode()
        assert organisation.id in msgspec.json.encode(claims["kt"]).decode()
        facts = {"organisation.id": organisation.id, "organisation.slug": MAIN}
        for member in profile.claims.members:
            if isinstance(member, Constant):
                assert at(claims, member.path) == member.value
            elif isinstance(member, Member) and member.source in facts and member.transform == "plain":
                assert at(claims, member.path) == facts[member.source]
            elif isinstance(member, Member):
                assert member.optional or at(claims, member.path) is not None

    async def test_token_ids_differ(self, here, route):
        """Two good requests give two tokens of different identifiers, and both stay good."""
        first, second = [await self.good(here, route).send(here) for _ in range(2)]
        one, two = await self.claims(here, route, first), await self.claims(here, route, second)
        assert one["jti"] != two["jti"]
        assert unnamed(one) == unnamed(two)

    async def test_wire_expiry(self, here, route):
        """What the wire says of the lifetime equals ``exp`` less ``iat``, with organisation settings too."""
        for seconds in (None, 61):
            if seconds is not None:
                setting = route.exchanges[0].profile.lifetime_setting
                settings = {self.dialect.name: {setting: seconds}}
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

    async def test_issued_is_audited_once(self, here, route):
        """AD-05: an issued token leaves one row, which names it and holds no secret and no token."""
        await self.keys(here, MAIN)
        before = await here.audit()
        answer = await self.good(here, route).send(here)
        (row,) = (await here.audit())[len(before) :]
        claims = await self.claims(here, route, answer)
        assert (row.kind, row.outcome, row.reason) == ("token.issued", "ok", None)
        assert row.subject == claims["jti"]
        assert row.actor.partition(":")[0] == self.actor
        assert row.request_id == answer.header("x-request-id")
        assert row.organisation_id == (await here.organisation()).id
        assert row.details["dialect"] == self.dialect.name
        self.check_no_secret(here, clear_texts([row]))
        assert self.token_in(route, answer).split(".")[2] not in clear_texts([row])

    async def test_own_organisation(self, here, route):
        """TN-03: another organisation's token names it, and is of its own issuer and keys if it has any."""
        if not self.dialect.demo.other:
            return
        asked = self.good(here, route, slug=OTHER)
        claims = await self.claims(here, route, await asked.send(here), OTHER)
        assert claims["iss"] == self.issuer(OTHER)
        assert claims["kt"]["o"] == (await here.organisation(OTHER)).id
        if route.exchanges[0].profile.shared_ring is None:
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
        assert unnamed(claims) == unnamed(plain)

    # --- refusals that look the same ---
    def common(self, here: Deployment) -> dict[str, Any]:
        """Give what every directory verb takes."""
        return {"now": here.clock.now(), "dice": here.local.dice}

    async def one_face(self, here: Deployment, route: Route, asked: Asked, reason: Reason) -> None:
        """Check that a request is refused exactly as a wrong secret is, for a reason of its own."""
        wrong = await self.check_refused(
            here, self.unknown(here, route), self.wrong_code, self.unknown_reason
        )
        refused = await self.check_refused(here, asked, self.wrong_code, reason)
        assert refused.seen() == wrong.seen()

    def unknown(self, here: Deployment, route: Route) -> Asked:
        """Make a request of somebody who is not there."""
        return self.good(here, route, secret="wrong", owner=str(uuid4()))

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

    @pytest.mark.parametrize("port", ["registry", "recorder"])
    async def test_fault(self, here, route, port):
        """HT-08: a fault shows a generic body and a request id, and nothing of itself."""
        broken = getattr(here.store, port)
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
        await self.keys(here, MAIN)
        before = await here.audit()
        getattr(here.store, port).raises = Unavailable(Reason.STORE_UNAVAILABLE, retry_after=2)
        answer = await self.good(here, route, **who).send(here)
        self.check_refusal(answer, Code.TEMPORARILY_UNAVAILABLE)
        assert answer.status == 503
        assert answer.header("retry-after") == "2"
        getattr(here.store, port).raises = None
        assert await here.audit() == before
        assert (await self.good(here, route).send(here)).status == route.answer.status

    async def test_rate_limit_of_an_address(self, route):
        """RL-01: over an address's limit the answer is 429 with Retry-After, wrong or right, and passes."""
        async with deployment(self.dialect, rates={"address": Rate(per_minute=20, burst=2)}) as here:
            for _ in range(2):
                assert (await self.good(here, route).send(here)).status == route.answer.status
            answer = await self.check_refused(here, self.good(here, route), Code.SLOW_DOWN, Reason.RATE_LIMIT)
            assert answer.status == self.dialect.refusals.rows[Code.SLOW_DOWN].status
            wrong = self.good(here, route, secret="wrong")
            assert (await self.check_refused(here, wrong, Code.SLOW_DOWN)).seen() == answer.seen()
            here.clock.advance(int(answer.header("retry-after") or "0"))
            assert (await self.good(here, route).send(here)).status == route.answer.status

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
            if field.reader not in TEXTS or field.spare:
                continue
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
        """TE-01: a parameter of the body in the query is refused, unless the contract has it there too."""
        there = {field.name for field in route.fields if field.source is Source.QUERY}
        for field in self.body_fields(route):
            if field.name in there:
                continue
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
        served = {each.method for each in self.dialect.routes if route.path in (each.path, *each.aliases)}
        for method in METHODS:
            if method in served or (method == "HEAD" and "GET" in served):
                continue
            answer = await self.good(here, route).but(method=method).send(here)
            if method == "HEAD":
                assert (answer.status, answer.body) == (405, b"")
                self.check_private(answer)
            else:
                answer = await self.check_refused(
                    here, self.good(here, route).but(method=method), Code.METHOD_NOT_ALLOWED, Reason.METHOD
                )
            allowed = {*served, *({"HEAD"} if "GET" in served else ())}
            assert answer.header("allow") == ", ".join(sorted(allowed))

    async def test_other_spellings(self, here, route):
        """AD-01: a trailing slash and other odd spellings of the path are 404 and reach nothing."""
        asked = self.good(here, route)
        before = await here.audit()
        joined = () if self.dialect.collapse_slashes else ("/" + asked.path,)
        for path in (
            asked.path + "/",
            *joined,
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
        assert (await self.claims(here, route, sent))["iss"] == self.issuer(MAIN)
        assert "evil" not in repr(sent)
