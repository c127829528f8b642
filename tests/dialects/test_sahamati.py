"""Sahamati: the contract of every dialect, and the vendor's contract line by line."""

import asyncio
import base64
import hashlib
import json
import re
from datetime import datetime, timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key
from joserfc import jws

from dialects.contract import DialectContract
from dialects.sahamati_desk import BASES, CERTS, FORM, JSON, TXN, WORD, Member
from ground import START
from harness import ACTOR, PUBLIC_URL, basic, clear_texts, deployment
from keyturn.core.changes import Add
from keyturn.core.errors import Unavailable
from keyturn.core.limits import Rate
from keyturn.core.vocabulary import Code, CredentialId, CredentialKind, EntityId, Reason
from keyturn.dialects.sahamati import DIALECT, REALM
from keyturn.dialects.sahamati.samples import DEFAULT, GRACE
from keyturn.directory.entities import disable_entity, enable_entity, unlink_user
from keyturn.directory.memberships import disable_member

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DAY = 86_400
ENDS = datetime(2027, 4, 30, 12, tzinfo=START.tzinfo)
"""180 days after the start."""


class Common(DialectContract):
    """What holds for users and entities."""

    dialect = DIALECT
    wrong_code = Code.INVALID_GRANT

    def issuer(self, slug):
        """Give the one issuer of all organisations."""
        return PUBLIC_URL + REALM

    async def keys(self, here, slug):
        """Fetch the one key set of all organisations."""
        return (await here.ask("GET", CERTS)).json


class TestEntities(Common):
    """The whole contract, from the tables, for entities."""

    owner_fact = "entity.id"
    secret_fact = "entity.secret"
    unknown_reason = Reason.UNKNOWN_ENTITY
    actor = "entity"
    without = ("user_token", "realm_token")

    async def expected(self, here, slug):
        """Give the claims of the demo's entity."""
        store = here.local.deployment.organisation_store((await here.organisation(slug)).id)
        entity = await store.entity(EntityId(self.members(here, slug)["entity_id"]))
        return {"sub": entity.subject, "roles": "FIU", "azp": entity.id, "entityID": entity.id}


class TestUsers(Common):
    """The whole contract, from the tables, for users."""

    owner_fact = "user.email"
    secret_fact = "user.password"
    unknown_reason = Reason.UNKNOWN_USER
    actor = "user"
    without = ("entity_token", "realm_token")
    test_golden_sample = None  # all of them run above

    async def expected(self, here, slug):
        """Give the claims of the demo's user."""
        email = self.members(here, slug)["username"]
        return {"email": email, "preferred_username": email, "aud": "token-service"}


@pytest.fixture
async def here():
    """Open a deployment of the house's dialects."""
    async with deployment() as opened:
        yield opened


@pytest.fixture
def member(here):
    """Give the main organisation's programs."""
    return Member(here)


def check(answer, status, code, *, txn=None):
    """Check a refusal to the member."""
    assert answer.status == status, answer
    told = answer.json
    assert list(told) == ["ver", "timestamp", "txnId", "errorCode", "errorMsg"]
    assert (told["ver"], told["timestamp"], told["errorCode"]) == ("1.0.0", stamp(answer), code)
    assert told["txnId"] == txn if txn else UUID.fullmatch(told["txnId"])
    assert isinstance(told["errorMsg"], str)
    assert answer.header("cache-control") == "no-store"


def stamp(answer):
    """Give the timestamp that an answer must have if it is one."""
    told = answer.json["timestamp"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told)
    return told


def unauthorized(answer, txn=TXN):
    """Check the one 401."""
    check(answer, 401, "Unauthorized", txn=txn)


def bad(answer, txn=None):
    """Check the one 400."""
    check(answer, 400, "Bad Request", txn=txn)


# --- tokens ---


@pytest.mark.parametrize("base", BASES)
async def test_paths(member, base):
    """Every call answers with the version in its path, without it, and at the root as the seed shows it."""
    token = await member.user_token(base=base)
    read = await member.call("read", token, base=base)
    assert (await member.generate(base=base, secret=read.json["secret"])).status == 200
    assert (await member.call("reset", token, base=base)).status == 200
    assert (await member.form("/v1/user/token/generate", base="")).status == 404


async def test_token_answer(member):
    """Members, order and JSON types of a token's answer are the contract's, ``message`` only as a warning."""
    for answer in (await member.log_in(), await member.generate()):
        told = answer.json
        assert UUID.fullmatch(told.pop("txnId"))
        assert told.pop("accessToken").count(".") == 2
        assert told == {
            "ver": "1.0.0",
            "timestamp": "2026-11-01T12:00:00.250Z",
            "expiresIn": DAY,
            "tokenType": "Bearer",
            "refreshExpiresIn": 0,
            "notBeforePolicy": 0,
            "scope": "email microprofile-jwt profile address phone offline_access",
        }
        assert answer.header("content-type") == "application/json"


async def test_entity_claims(member):
    """An entity token has the realm's claims: a day, ``roles`` a string, the entity in ``azp`` too."""
    token = await member.entity_token()
    header = jws.extract_compact(token.encode()).headers()
    claims = await member.claims(token)
    entity = await member.entity()
    assert (header["alg"], header["typ"]) == ("RS256", "JWT")
    wanted = {
        "iss": "https://keys.example/auth/realms/sahamati",
        "sub": entity.subject,
        "aud": "account",
        "roles": "FIU",
        "azp": "FIU-ACME",
        "entityID": "FIU-ACME",
        "typ": "Bearer",
        "acr": "1",
        "scope": "email microprofile-jwt profile address phone offline_access",
    }
    assert {name: claims[name] for name in wanted} == wanted
    assert claims["exp"] - claims["iat"] == DAY
    assert UUID.fullmatch(claims["jti"])
    assert UUID.fullmatch(claims["sub"])


async def test_user_token_has_no_roles(member):
    """A user token shown to another member fails there: it has no ``roles`` and names no entity."""
    claims = await member.claims(await member.user_token())
    assert {"roles", "azp", "entityID"} & set(claims) == set()
    assert claims["email"] == "sahamati-admin@acme.example"


async def test_lifetimes(member):
    """User and entity tokens have a lifetime of their own, each an organisation's setting."""
    await member.settings(sahamati={"user_lifetime_seconds": 180 * DAY, "lifetime_seconds": 600})
    assert (await member.log_in()).json["expiresIn"] == 180 * DAY
    assert (await member.generate()).json["expiresIn"] == 600


async def test_plus_and_case(member):
    """``+`` and ``%2B`` are told apart, and letter case of an e-mail address does not count."""
    await member.add_user("a+b")
    assert (await member.log_in(username="A+B@X.in", password=WORD)).status == 200
    body = f"username=a+b%40x.in&password={WORD.replace(' ', '+')}".encode()
    unauthorized(
        await member.here.ask("POST", "/iam/v1/user/token/generate", headers=[FORM], body=body), None
    )


async def test_unproved_address(member):
    """An account whose e-mail address is not confirmed is not active, and looks like a wrong password."""
    await member.add_user("new", verified=False)
    wrong = await member.log_in(password="wrong")
    answer = await member.log_in(username="new@x.in", password=WORD)
    unauthorized(answer, None)
    assert answer.seen() == wrong.seen()


@pytest.mark.parametrize("field", ["username", "password"])
@pytest.mark.parametrize("value", [None, ""])
async def test_user_field_missing(member, field, value):
    """A missing or empty user name or password is 400."""
    bad(await member.log_in(**{field: value}))


@pytest.mark.parametrize("field", ["id", "secret"])
@pytest.mark.parametrize("value", [None, ""])
async def test_entity_field_missing(member, field, value):
    """A missing or empty entity id or secret is 400."""
    bad(await member.generate(**{field: value}))


@pytest.mark.parametrize(
    "changes",
    [{"password": "wrong"}, {"username": "nobody@x.in"}, {"username": "no address"}, {"username": "\u200b"}],
)
async def test_wrong_user(member, changes):
    """PW-04: a wrong password, an unknown user and what is no address are one answer, to the byte."""
    wrong = await member.log_in(password="no")
    answer = await member.log_in(**changes)
    unauthorized(answer, None)
    assert answer.seen() == wrong.seen()


@pytest.mark.parametrize("username", ["nobody@x.in", "no address"])
async def test_wrong_user_without_password(member, username):
    """PW-04: whoever the user is said to be, a missing or malformed password is the same 400, to the byte."""
    for password in (None, "", "a\nb"):
        known = await member.log_in(password=password)
        bad(known)
        assert (await member.log_in(username=username, password=password)).seen() == known.seen()


async def test_wrong_entity(member):
    """TE-09: a wrong secret, an unknown entity, another's id or secret and another case are one answer."""
    other = Member(member.here, "globex").shown
    wrong = await member.generate(secret="wrong")
    for changes in (
        {"id": "NOBODY"},
        {"id": "fiu-acme"},
        {"id": "x" * 5000},
        {"id": other["entity_id"]},
        {"secret": other["entity_secret"]},
        {"id": member.shown["second_entity_id"]},
    ):
        answer = await member.generate(**changes)
        unauthorized(answer, None)
        assert answer.seen() == wrong.seen()


@pytest.mark.parametrize("path", ["/user/token/generate", "/entity/token/generate"])
async def test_json_on_a_form_endpoint(member, path):
    """TE-03: JSON, declared or not, on an endpoint of forms is 400."""
    told = json.dumps({**member.shown, "id": "FIU-ACME"}).encode()
    for headers in ([JSON], [FORM], []):
        bad(await member.here.ask("POST", "/iam/v1" + path, headers=headers, body=told))


@pytest.mark.parametrize("verb", ["read", "reset"])
async def test_form_on_a_json_endpoint(member, verb):
    """TE-03: a form, declared or not, on an endpoint of JSON is 400."""
    token = ("Authorization", "Bearer " + await member.user_token())
    for kind in (JSON, FORM):
        answer = await member.here.ask(
            "POST", f"/iam/v1/entity/secret/{verb}", headers=[kind, token], body=b"entityId=FIU-ACME"
        )
        bad(answer)


# --- reading and resetting ---


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  ", ""])
async def test_token_schemes(member, scheme):
    """A user token is taken raw, and as a bearer token in any case."""
    assert (await member.call("read", await member.user_token(), scheme=scheme)).status == 200


async def test_read(member):
    """Reading shows the secret, twice the same, with its end in seconds and in words, and no message."""
    token = await member.user_token()
    first, again = [await member.call("read", token) for _ in range(2)]
    assert first.json == {
        "ver": "1.0.0",
        "timestamp": "2026-11-01T12:00:00.250Z",
        "txnId": TXN,
        "entityId": "FIU-ACME",
        "secret": member.shown["entity_secret"],
        "expiresOn": int(ENDS.timestamp()),
        "expirationDate": "2027-04-30T12:00:00.000",
    }
    assert again.json == first.json
    assert (await member.generate()).status == 200
    assert len(await member.here.audit("credential.read")) == 2
    assert first.json["secret"] not in clear_texts(await member.here.audit())


async def test_reading_takes_no_period(member):
    """A period asked for in reading has no effect, but has to be one."""
    token = await member.user_token()
    assert (await member.call("read", token, secretExpiryDays=1)).json["expiresOn"] == int(ENDS.timestamp())
    bad(await member.call("read", token, secretExpiryDays=0), TXN)


async def test_reset(member):
    """A reset answers with the new secret; the old one is refused at once, and tokens of it live on."""
    token, before = await member.user_token(), await member.entity_token()
    told = (await member.call("reset", token, secretExpiryDays=30)).json
    assert "message" not in told
    assert told["expiresOn"] == int((START + timedelta(days=30)).timestamp())
    assert told["expirationDate"] == "2026-12-01T12:00:00.000"
    unauthorized(await member.generate(), None)
    assert (await member.generate(secret=told["secret"])).status == 200
    assert (await member.call("read", token)).json["secret"] == told["secret"]
    assert (await member.claims(before))["azp"] == "FIU-ACME"


async def test_overlap(member):
    """Where an organisation says so, the old secret is good for some hours after a reset."""
    await member.settings(policy={"entity_secret_overlap_hours": 1})
    await member.call("reset", await member.user_token())
    member.here.clock.advance(3599)
    assert (await member.generate()).status == 200
    member.here.clock.advance(1)
    unauthorized(await member.generate(), None)


@pytest.mark.parametrize(
    ("asked", "days", "message"),
    [
        (..., 180, DEFAULT),
        (1, 1, None),
        (180, 180, None),
        (181, 180, DEFAULT),
        (10**9, 180, DEFAULT),
        (2**53 - 1, 180, DEFAULT),
    ],
)
async def test_period(member, asked, days, message):
    """A period over the limit, or none, becomes the default with a message; a shorter one is kept."""
    told = (await member.call("reset", await member.user_token(), secretExpiryDays=asked)).json
    ends = START.replace(microsecond=0) + timedelta(days=days)
    assert told["expiresOn"] == int(ends.timestamp())
    assert datetime.fromisoformat(told["expirationDate"] + "Z") == ends
    assert told.get("message") == message


@pytest.mark.parametrize("asked", [0, -1, 1.5, 1.0, "100", "", None, True, [30], {}, 2**53])
async def test_no_period(member, asked):
    """A period that is no positive whole number is 400, and the secret stays as it was."""
    token = await member.user_token()
    bad(await member.call("reset", token, secretExpiryDays=asked), TXN)
    assert (await member.generate()).status == 200


async def test_limit_of_an_organisation(member):
    """The longest period is the organisation's."""
    await member.settings(policy={"entity_secret_days": 90})
    told = (await member.call("reset", await member.user_token(), secretExpiryDays=91)).json
    assert (told["expirationDate"], told["message"]) == ("2027-01-30T12:00:00.000", DEFAULT)


async def test_resets_at_once(member):
    """Two resets at once both answer 200, with different secrets, and exactly the later one's is live."""
    token = await member.user_token()
    answers = await asyncio.gather(*(member.call("reset", token) for _ in range(4)))
    assert [answer.status for answer in answers] == [200] * 4
    secrets = {answer.json["secret"] for answer in answers}
    live = [secret for secret in secrets if (await member.generate(secret=secret)).status == 200]
    assert len(secrets) == 4
    assert live == [(await member.call("read", token)).json["secret"]]


async def test_same_transaction_again(member):
    """The same ``txnId`` twice is no error, and a second reset is a second reset."""
    token = await member.user_token()
    one, two = [(await member.call("reset", token)).json for _ in range(2)]
    assert one["txnId"] == two["txnId"] == TXN
    assert one["secret"] != two["secret"]


async def test_reset_that_fails(member):
    """RE-01: a reset that is answered with 5xx has changed nothing, so a client may repeat it."""
    token = await member.user_token()
    for failure, status in ((Unavailable(Reason.STORE_UNAVAILABLE), 503), (RuntimeError("broken"), 500)):
        member.here.store.registry.raises = failure
        answer = await member.call("reset", token)
        check(answer, status, {503: "Service Unavailable", 500: "Internal Server Error"}[status], txn=TXN)
        member.here.store.registry.raises = None
    assert (await member.generate()).status == 200
    assert (await member.call("reset", token)).status == 200


# --- the life of a secret ---


async def test_grace(member):
    """Five days after its end a secret still gives tokens, with a warning, and one second later none."""
    ahead = (ENDS - member.here.clock.now()).total_seconds()
    member.here.clock.advance(ahead - 0.001)
    assert "message" not in (await member.generate()).json
    member.here.clock.advance(0.001)
    assert (await member.generate()).json["message"] == GRACE
    member.here.clock.advance(5 * DAY - 1)
    assert (await member.generate()).json["message"] == GRACE
    member.here.clock.advance(1)
    unauthorized(await member.generate(), None)
    fresh = (await member.call("reset", await member.user_token())).json["secret"]
    assert "message" not in (await member.generate(secret=fresh)).json


async def test_demo_of_grace(member):
    """The demo has an entity in its grace and one past it; both can be read and reset."""
    grace, expired = member.shown["grace"], member.shown["expired"]
    told = await member.generate(id=grace["entity_id"], secret=grace["entity_secret"])
    assert told.json["message"] == GRACE
    wrong = await member.generate(secret="wrong")
    past = await member.generate(id=expired["entity_id"], secret=expired["entity_secret"])
    assert past.seen() == wrong.seen()
    token = await member.user_token()
    read = await member.call("read", token, entityId=expired["entity_id"])
    assert read.json["secret"] == expired["entity_secret"]


async def test_two_entities(member):
    """A user who is linked to two entities reads and resets both, each its own."""
    token = await member.user_token()
    second = await member.call("reset", token, entityId=member.shown["second_entity_id"])
    assert second.json["entityId"] == member.shown["second_entity_id"]
    assert (await member.generate()).status == 200
    claims = await member.claims(await member.entity_token(id="FIP-ACME", secret=second.json["secret"]))
    assert (claims["roles"], claims["azp"]) == ("FIP", "FIP-ACME")


async def test_secret_of_any_characters(member):
    """TE-05: a secret with ``+``, ``/`` and ``=`` is compared as it is after form decoding."""
    text, digester = "a+b/c==&d%2B", member.here.local.digester
    (held,) = await member.store.credentials_of(EntityId("FIU-ACME"), CredentialKind.ENTITY_SECRET)
    digest = digester.lookup_hash(hashlib.sha256(text.encode()).digest(), held.pepper_id)
    await member.here.change(
        Add(msgspec.structs.replace(held, id=CredentialId("old"), lookup_hash=digest, sealed=None))
    )
    assert (await member.generate(secret=text)).status == 200
    unauthorized(await member.generate(secret=text.replace("+", " ")), None)


async def test_disabled_entity(member):
    """TE-10: a disabled entity gets no token, its secret is out of reach, and looks like an unknown one."""
    token, wrong = await member.user_token(), await member.generate(secret="wrong")
    unknown = await member.call("read", token, entityId="NOBODY")
    await disable_entity(ACTOR, member.store, EntityId("FIU-ACME"), **member.common)
    assert (await member.generate()).seen() == wrong.seen()
    for verb in ("read", "reset"):
        assert (await member.call(verb, token)).seen() == unknown.seen()
    await enable_entity(ACTOR, member.store, EntityId("FIU-ACME"), **member.common)
    assert (await member.generate()).status == 200


# --- who may ---


@pytest.mark.parametrize("verb", ["read", "reset"])
async def test_token_of_another_kind(member, verb):
    """TK-08: no token, an entity token, an ID token, and a token that was altered are 401."""
    realm = await member.realm(grant_type="client_credentials", scope="openid")
    good = await member.user_token()
    for token in (None, await member.entity_token(), realm.json["id_token"], good + "x", "x", good[:-40]):
        unauthorized(await member.call(verb, token))
    unauthorized(await member.call(verb, good, scheme="Basic "))


@pytest.mark.parametrize("verb", ["read", "reset"])
async def test_unknown_and_not_linked(member, verb):
    """An unknown entity, one of another user and one of another organisation are one answer, to the byte."""
    await member.add_entity("AA-1")
    token = await member.user_token()
    answers = [await member.call(verb, token, entityId=name) for name in ("NOBODY", "AA-1", "FIU-GLOBEX")]
    answers += [await member.call(verb, token, entityId=name) for name in ("fiu-acme", "x" * 5000, "\u202e")]
    unauthorized(answers[0])
    assert {answer.seen() for answer in answers} == {answers[0].seen()}
    reasons = [row.reason for row in await member.here.audit("call.refused")]
    assert reasons[:3] == [Reason.UNKNOWN_ENTITY, Reason.ENTITY_NOT_LINKED, Reason.UNKNOWN_ENTITY]


async def test_role(member):
    """A user who is linked but has not the role ``entity-admin`` reads nothing, as if not linked."""
    user = await member.add_user("plain")
    admin = await member.add_user("admin", "entity-admin")
    await member.add_entity("AA-1", "AA", user, admin)
    refused = await member.call("read", await member.user_token(username="plain@x.in", password=WORD))
    unauthorized(refused)
    token = await member.user_token(username="admin@x.in", password=WORD)
    assert (await member.call("read", token)).body == refused.body
    assert (await member.call("reset", token, entityId="AA-1")).status == 200


async def test_link_taken_away(member):
    """A user who is linked no longer, or no member, is 401 with a token from before."""
    token, user = await member.user_token(), await member.user()
    await unlink_user(ACTOR, member.store, EntityId("FIU-ACME"), user.id, **member.common)
    unauthorized(await member.call("read", token))
    assert (await member.call("read", token, entityId="FIP-ACME")).status == 200
    await disable_member(ACTOR, member.store, user.id, **member.common)
    unauthorized(await member.call("read", token, entityId="FIP-ACME"))
    assert (await member.generate()).status == 200


async def test_changed_password(member):
    """RV-04: a changed password ends older user tokens, and no entity token."""
    token = await member.user_token()
    await member.set_password(await member.user(), WORD)
    unauthorized(await member.call("read", token))
    assert (await member.call("read", await member.user_token(password=WORD))).status == 200
    assert (await member.generate()).status == 200


async def test_expired_user_token(member):
    """TK-09: a user token is refused from the second of its expiry on."""
    token = await member.user_token()
    member.here.clock.advance(DAY - 1)
    assert (await member.call("read", token)).status == 200
    member.here.clock.advance(1)
    unauthorized(await member.call("read", token))


# --- the envelope ---


@pytest.mark.parametrize("name", ["ver", "timestamp", "txnId", "entityId"])
@pytest.mark.parametrize("value", [..., "", None, 7, []])
async def test_envelope(member, name, value):
    """Each member of the envelope is required, and a string; the request's ``txnId`` is told if it is one."""
    answer = await member.call("read", await member.user_token(), **{name: value})
    bad(answer, None if name == "txnId" else TXN)


@pytest.mark.parametrize(
    "sent",
    [
        "2024-07-16T11:33:34Z",
        "2024-07-16T11:33:34.5Z",
        "2024-07-16T11:33:34.123456789Z",
        "2024-07-16T17:03:34.509+05:30",
        "1970-01-01T00:00:00Z",
        "2199-12-31T23:59:59.999Z",
    ],
)
async def test_timestamps(member, sent):
    """A timestamp has 0 to 9 fractional digits and any offset; old and future ones are taken."""
    assert (await member.call("read", await member.user_token(), timestamp=sent)).status == 200


@pytest.mark.parametrize(
    "sent",
    ["now", "2024-07-16", "2024-07-16T11:33:34", "2024-02-31T00:00:00Z", "2024-07-16T11:33:34.1234567890Z"],
)
async def test_no_timestamp(member, sent):
    """What is no date and time with a zone is 400."""
    bad(await member.call("read", await member.user_token(), timestamp=sent), TXN)


@pytest.mark.parametrize("txn", ["x", "not a uuid", "é" * 256, "<script>", "0"])
async def test_transaction_ids(member, txn):
    """``txnId`` is any text up to 256 characters, and comes back as it was, in refusals too."""
    token = await member.user_token()
    assert (await member.call("read", token, txnId=txn)).json["txnId"] == txn
    unauthorized(await member.call("read", token, txnId=txn, entityId="NOBODY"), txn)


@pytest.mark.parametrize("txn", ["x" * 257, "x" * 10_240, "a\nb", "\x00"])
async def test_no_transaction_id(member, txn):
    """HT-02: a ``txnId`` that is too long or breaks a line is 400, and not repeated."""
    bad(await member.call("read", await member.user_token(), txnId=txn))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"entityId": "FIU-ACME",}', b"\xff"])
async def test_malformed_json(member, body):
    """Malformed JSON is 400 with a new ``txnId``."""
    bad(await member.call("read", await member.user_token(), body=body))


async def test_lenient_envelope():
    """A deployment that says so takes calls with ``entityId`` and ``txnId`` alone, as some callers send."""
    environ = {"KEYTURN_DIALECT__SAHAMATI__STRICT_ENVELOPE": "false"}
    async with deployment(environ=environ) as here:
        member = Member(here)
        token = await member.user_token()
        assert (await member.call("read", token, ver=..., timestamp=...)).status == 200
        bad(await member.call("read", token, ver=..., timestamp="soon"), TXN)
        bad(await member.call("read", token, txnId=...))
        bad(await member.call("read", token, entityId=...), TXN)


# --- other refusals ---


async def test_other_refusals(member):
    """404, 405, 413 and 429 have the same body."""
    path = "/iam/v1/entity/token/generate"
    check(await member.here.ask("GET", path), 405, "Method Not Allowed")
    check(await member.here.ask("POST", path + "/"), 404, "Not Found")
    check(await member.here.ask("POST", path, oversized=True), 413, "Payload Too Large")
    async with deployment(rates={"address": Rate(per_minute=20, burst=1)}) as here:
        busy = Member(here)
        await busy.generate()
        answer = await busy.generate()
        check(answer, 429, "Too Many Requests")
        assert answer.header("retry-after") == "3"


async def test_lockout(member):
    """PW-05: wrong passwords lock the account for strangers, with 429, and no entity."""
    statuses = {(await member.log_in(password="wrong", address="198.51.100.7")).status for _ in range(30)}
    assert statuses == {401, 429}
    for _ in range(30):
        assert (await member.generate(secret="wrong")).status == 401
    assert (await member.generate()).status == 200


async def test_no_secret_in_the_trail(member):
    """HT-07: the trail names who read and reset what, and holds no password, secret or token."""
    token = await member.user_token()
    fresh = (await member.call("reset", token)).json["secret"]
    entity_token = await member.entity_token(secret=fresh)
    unauthorized(await member.call("read", token, entityId="NOBODY"))
    user, rows = await member.user(), await member.here.audit()
    kinds = {row.kind: row.actor for row in rows[-4:]}
    assert kinds["credential.reset"] == kinds["call.refused"] == f"user:{user.id}"
    text = clear_texts(rows)
    for secret in (fresh, member.shown["password"], member.shown["entity_secret"]):
        assert secret not in text
    assert token not in text
    assert entity_token not in text


# --- the realm ---


async def test_realm_token(member):
    """The predecessor answers as a Keycloak does, by Basic and by the form, and is marked as deprecated."""
    answer = await member.realm(grant_type="client_credentials", scope="openid")
    told = answer.json
    claims, said = await member.claims(told.pop("access_token")), await member.claims(told.pop("id_token"))
    assert told == {
        "expires_in": DAY,
        "refresh_expires_in": 0,
        "token_type": "Bearer",
        "not-before-policy": 0,
        "scope": "openid",
    }
    assert (claims["roles"], claims["azp"], said["typ"], said["aud"]) == ("FIU", "FIU-ACME", "ID", "sahamati")
    assert "entity_secret" in (await member.here.audit("token.issued"))[-1].details["deprecated"]
    body = {"client_id": "FIU-ACME", "client_secret": member.shown["entity_secret"]}
    plain = await member.realm(headers=(FORM,), grant_type="client_credentials", scope="email", **body)
    assert "id_token" not in plain.json


async def test_realm_refusals(member):
    """The predecessor refuses as OAuth says, and an unknown entity looks like a wrong secret."""
    grant = {"grant_type": "client_credentials"}
    answers = [
        await member.realm(headers=(FORM, ("Authorization", basic(*pair))), **grant)
        for pair in (("FIU-ACME", "wrong"), ("NOBODY", member.shown["entity_secret"]))
    ]
    assert answers[0].status == 401
    assert answers[0].json == {
        "error": "invalid_client",
        "error_description": "Invalid client or Invalid client credentials",
    }
    assert answers[0].header("www-authenticate").startswith("Basic ")
    assert answers[0].seen() == answers[1].seen()
    refused = [
        (await member.realm(), 400, "invalid_request"),
        (await member.realm(grant_type="password"), 400, "unsupported_grant_type"),
        (await member.realm(**grant, scope="everything"), 400, "invalid_scope"),
        (await member.realm(headers=(FORM,), **grant), 401, "invalid_client"),
    ]
    for answer, status, error in refused:
        assert (answer.status, answer.json["error"]) == (status, error)


async def test_realm_switched_off(member):
    """An organisation can switch the predecessor off; the tokens of today go on."""
    await member.settings(sahamati={"deprecated_forms": False})
    answer = await member.realm(grant_type="client_credentials")
    told = "no longer accepted: this way to ask for a token"
    assert (answer.status, answer.json) == (400, {"error": "invalid_request", "error_description": told})
    assert (await member.generate()).status == 200


async def test_realm_documents(member):
    """The issuer answers exactly as printed, with one key that proves tokens, and where the others are."""
    token = await member.entity_token()
    claims = await member.claims(token)
    realm = (await member.here.ask("GET", claims["iss"].removeprefix(PUBLIC_URL))).json
    key = load_der_public_key(base64.b64decode(realm["public_key"]))
    assert realm == {
        "realm": "sahamati",
        "public_key": realm["public_key"],
        "token-service": PUBLIC_URL + REALM + "/protocol/openid-connect",
        "tokens-not-before": 0,
    }
    keys = (await member.here.ask("GET", CERTS)).json["keys"]
    assert {"kid", "kty", "alg", "use", "n", "e"} == set(keys[0])
    assert key.public_numbers().n in {
        int.from_bytes(base64.urlsafe_b64decode(each["n"] + "==")) for each in keys
    }
    found = (await member.here.ask("GET", REALM + "/.well-known/openid-configuration")).json
    assert (found["issuer"], found["jwks_uri"]) == (
        claims["iss"],
        claims["iss"] + "/protocol/openid-connect/certs",
    )
    assert found["id_token_signing_alg_values_supported"] == ["RS256"]


# --- a published client ---


async def client_run(member):
    """Do as one published client does: raw token, read, and reset if it takes the secret for expired."""
    token = await member.user_token()
    read = (await member.call("read", token, scheme="")).json
    believes_until = START.fromtimestamp(read["expiresOn"] / 1000, START.tzinfo)
    if believes_until > member.here.clock.now():
        return read["secret"]
    return (await member.call("reset", token, scheme="")).json["secret"]


async def test_client_that_reads_milliseconds(member):
    """A client that takes ``expiresOn`` for milliseconds keeps its secret once the organisation says so."""
    assert await client_run(member) != member.shown["entity_secret"]
    await member.settings(sahamati={"expires_on_unit": "ms"})
    secret = await client_run(member)
    assert await client_run(member) == secret
    told = (await member.call("read", await member.user_token())).json
    assert told["expiresOn"] == int(ENDS.timestamp()) * 1000
    assert told["expirationDate"] == "2027-04-30T12:00:00.000"
    member.here.clock.advance((ENDS - START).total_seconds() + 1)
    assert await client_run(member) != secret


async def test_another_organisation(member):
    """TN-03: all organisations have one issuer and key set, and the token's own claim decides whose it is."""
    other = Member(member.here, "globex")
    theirs = await other.claims(await other.entity_token())
    assert (theirs["iss"], theirs["azp"]) == (PUBLIC_URL + REALM, "FIU-GLOBEX")
    unauthorized(await member.call("read", await other.user_token()))
    assert (await member.call("read", await other.user_token(), entityId="FIU-GLOBEX")).status == 200
