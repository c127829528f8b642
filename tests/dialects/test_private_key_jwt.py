"""TE-06: clients that prove themselves by signed assertions (RFC 7523), through every route that asks who."""

import asyncio
import base64
import datetime as dt
import hashlib
import hmac
import json

import jwt
import msgspec
import pytest
from authlib.oauth2.rfc7523 import private_key_jwt_sign
from cryptography.hazmat.primitives.serialization import load_der_private_key
from joserfc import jwk as joserfc_jwk
from joserfc import jwt as joserfc_jwt

from dialects.assertions import FORM, ISSUER, TOKEN, Signing, b64, keyed
from harness import ACTOR, PUBLIC_URL, basic, deployment
from keyturn.core.errors import Unavailable
from keyturn.core.life import State
from keyturn.core.vocabulary import Algorithm, Reason
from keyturn.directory.credentials import disable_credential, enable_credential, end_credential

INTROSPECT, REVOKE = "/o/acme/oauth2/introspect", "/o/acme/oauth2/revoke"


@pytest.fixture
async def here():
    async with deployment() as made:
        yield made


@pytest.fixture
async def bot(here):
    return await keyed(here, rights=("introspect",))


def refused(answer):
    """Confirm the one answer that every failed client authentication gets."""
    assert answer.status == 401, answer
    assert answer.json == {"error": "invalid_client"}


# --- good ones ---


@pytest.mark.parametrize("algorithm", list(Algorithm))
async def test_each_algorithm(here, algorithm):
    """TE-06: an assertion of each algorithm gets a token, whose credential is the key."""
    bot = await keyed(here, algorithm)
    answer = await bot.ask(bot.assertion())
    assert answer.status == 200
    claims = jwt.decode(answer.json["access_token"], options={"verify_signature": False})
    (key,) = await bot.store.credentials_of(bot.client.id, "public_key")
    assert (claims["sub"], claims["kt"]["c"]) == (bot.client.id, key.id)


@pytest.mark.parametrize(
    ("header", "changes"),
    [
        ({"kid": None}, {}),
        ({"typ": None}, {}),
        ({"typ": "jwt"}, {}),
        ({"typ": "client-authentication+jwt"}, {}),
        ({"x5t": "abc"}, {}),
        ({}, {"drop": ("iat",)}),
        ({}, {"more": {"a": 1}}),
    ],
)
async def test_what_may_differ(bot, header, changes):
    """TE-06: kid, typ and iat may be absent, the type may be the newer, unknown claims are ignored."""
    assert (await bot.ask(bot.assertion(header, **changes))).status == 200


@pytest.mark.parametrize(
    ("claim", "seconds", "status"),
    [
        ("exp", 300, 200),
        ("exp", 360, 200),
        ("exp", 361, 401),
        ("exp", 3600, 401),
        ("exp", -59, 200),
        ("exp", -60, 401),
        ("iat", 60, 200),
        ("iat", 61, 401),
        ("nbf", 60, 200),
        ("nbf", 61, 401),
    ],
)
async def test_times(here, bot, claim, seconds, status):
    """TE-06 and TK-09: exp is at most five minutes ahead, and each time has a leeway of one minute."""
    here.clock.advance(0.75)  # whole seconds from here on
    assert (await bot.ask(bot.assertion(**{claim: bot.now + seconds}))).status == status


async def test_client_id_beside_it(bot):
    """TE-06: a client_id beside an assertion names the same client, in any case, or is refused."""
    assert (await bot.ask(bot.assertion(), client_id=bot.client.id.upper())).status == 200
    other = await keyed(bot.here)
    refused(await bot.ask(bot.assertion(), client_id=other.client.id))
    refused(await bot.ask(bot.assertion(), client_id="nobody"))


@pytest.mark.parametrize("algorithm", list(Algorithm))
async def test_other_libraries(here, algorithm):
    """TE-06: what PyJWT, joserfc and Authlib sign is accepted, Ed25519 under both of its names."""
    bot = await keyed(here, algorithm)
    private = load_der_private_key(bot.key.pkcs8, None)
    key = joserfc_jwk.import_key(bot.key.pkcs8, bot.key.jwk["kty"])
    name = algorithm.value
    newer = "Ed25519" if algorithm is Algorithm.EDDSA else name  # joserfc warns of the older name
    claims, times = bot.claims(), {"issued_at": bot.now, "expires_in": 60}
    made = [
        jwt.encode(bot.claims(), private, algorithm=name),
        jwt.encode(bot.claims(), private, algorithm=name, headers={"kid": bot.key.jwk["kid"]}),
        joserfc_jwt.encode({"alg": newer}, claims, key, algorithms=[newer]),
        private_key_jwt_sign(key, bot.client.id, ISSUER, alg=newer, **times),
    ]
    assert [(await bot.ask(each)).status for each in made] == [200] * len(made)


# --- attacks ---


def unsigned(bot):
    return f"{b64(json.dumps({'alg': 'none'}).encode())}.{b64(json.dumps(bot.claims()).encode())}."


def hmac_with_public_key(bot):
    header = {"alg": "HS256", "kid": bot.key.jwk["kid"]}
    message = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(bot.claims()).encode())}"
    tag = hmac.digest(json.dumps(bot.key.jwk).encode(), message.encode(), hashlib.sha256)
    return f"{message}.{b64(tag)}"


def altered_claims(bot):
    header, _, signature = bot.assertion().split(".")
    return f"{header}.{b64(json.dumps(bot.claims(aud=ISSUER)).encode())}.{signature}"


def in_standard_alphabet(bot):
    header, claims, signature = bot.assertion().split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    return f"{header}.{claims}.{base64.b64encode(raw).decode()}"


STRANGER = Signing()
ATTACKS = {
    "alg none": unsigned,
    "alg None in capitals": lambda bot: unsigned(bot).replace(
        b64(b'{"alg": "none"}'), b64(b'{"alg": "NONE"}')
    ),
    "HMAC with the public key": hmac_with_public_key,
    "another key, same kid": lambda bot: bot.assertion(key=STRANGER),
    "another key, no kid": lambda bot: bot.assertion({"kid": None}, key=STRANGER),
    "an unknown kid": lambda bot: bot.assertion({"kid": "nobody"}),
    "a kid that is a path": lambda bot: bot.assertion({"kid": "../../etc/passwd"}),
    "a kid that is a number": lambda bot: bot.assertion({"kid": 7}),
    "a kid that is a list": lambda bot: bot.assertion({"kid": [bot.key.jwk["kid"]]}),
    "alg of another key type": lambda bot: bot.assertion({"alg": "RS256"}),
    "alg PS256": lambda bot: bot.assertion({"alg": "PS256"}),
    "alg is a list": lambda bot: bot.assertion({"alg": ["ES256"]}),
    "its own key in jwk": lambda bot: bot.assertion({"jwk": STRANGER.jwk}, key=STRANGER),
    "jku": lambda bot: bot.assertion({"jku": "https://evil.example/keys"}),
    "x5u": lambda bot: bot.assertion({"x5u": "https://evil.example/cert"}),
    "x5c": lambda bot: bot.assertion({"x5c": ["MII="]}),
    "crit": lambda bot: bot.assertion({"crit": ["exp"]}),
    "b64 false": lambda bot: bot.assertion({"b64": False, "crit": ["b64"]}),
    "zip": lambda bot: bot.assertion({"zip": "DEF"}),
    "typ of an access token": lambda bot: bot.assertion({"typ": "at+jwt"}),
    "typ of a number": lambda bot: bot.assertion({"typ": 1}),
    "claims altered": altered_claims,
    "signature cut": lambda bot: bot.assertion()[:-2],
    "signature padded": lambda bot: bot.assertion() + "==",
    "signature blank": lambda bot: bot.assertion().rpartition(".")[0] + "." + b64(bytes(64)),
    "signature missing": lambda bot: bot.assertion().rpartition(".")[0] + ".",
    "two parts": lambda bot: bot.assertion().rpartition(".")[0],
    "five parts": lambda bot: bot.assertion() + ".e30.e30",
    "standard base64": lambda bot: in_standard_alphabet(bot) + "=",
    "no JWS at all": lambda _: "assertion",
    "not ASCII": lambda _: "é.é.é",
    "header no object": lambda bot: bot.key.raw(b"[]", json.dumps(bot.claims()).encode()),
    "header member twice": lambda bot: bot.key.raw(
        b'{"alg":"none","alg":"ES256"}', json.dumps(bot.claims()).encode()
    ),
    "claims no object": lambda bot: bot.key.raw(b'{"alg":"ES256"}', b'"x"'),
    "claim twice": lambda bot: bot.key.raw(
        b'{"alg":"ES256"}', json.dumps(bot.claims()).replace('"aud"', '"aud": "x", "aud"').encode()
    ),
    "iss missing": lambda bot: bot.assertion(drop=("iss",)),
    "iss of another": lambda bot: bot.assertion(iss="somebody"),
    "sub missing": lambda bot: bot.assertion(drop=("sub",)),
    "sub of another": lambda bot: bot.assertion(sub="somebody"),
    "sub is a list": lambda bot: bot.assertion(sub=[bot.client.id]),
    "aud missing": lambda bot: bot.assertion(drop=("aud",)),
    "aud empty": lambda bot: bot.assertion(aud=""),
    "aud of another server": lambda bot: bot.assertion(aud="https://evil.example"),
    "aud of another organisation": lambda bot: bot.assertion(aud=f"{PUBLIC_URL}/o/globex"),
    "aud the token endpoint": lambda bot: bot.assertion(aud=PUBLIC_URL + TOKEN),
    "aud a prefix": lambda bot: bot.assertion(aud=ISSUER[:-1]),
    "aud with a slash": lambda bot: bot.assertion(aud=ISSUER + "/"),
    "aud in capitals": lambda bot: bot.assertion(aud=ISSUER.upper()),
    "aud a list of one": lambda bot: bot.assertion(aud=[ISSUER]),
    "aud a list with another": lambda bot: bot.assertion(aud=[ISSUER, "https://evil.example"]),
    "exp missing": lambda bot: bot.assertion(drop=("exp",)),
    "exp a string": lambda bot: bot.assertion(exp=str(bot.now + 60)),
    "exp a fraction": lambda bot: bot.assertion(exp=bot.now + 60.5),
    "exp true": lambda bot: bot.assertion(exp=True),
    "exp past": lambda bot: bot.assertion(exp=bot.now - 61),
    "exp in a year": lambda bot: bot.assertion(exp=bot.now + 31_536_000),
    "nbf to come": lambda bot: bot.assertion(nbf=bot.now + 120),
    "iat to come": lambda bot: bot.assertion(iat=bot.now + 120),
    "iat a string": lambda bot: bot.assertion(iat="now"),
    "jti missing": lambda bot: bot.assertion(drop=("jti",)),
    "jti empty": lambda bot: bot.assertion(jti=""),
    "jti a number": lambda bot: bot.assertion(jti=7),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
async def test_attack(here, bot, attack):
    """TE-06, TK-01 to TK-08: each bad assertion gets 401 at every route, in the same bytes."""
    assertion = attack(bot)
    answers = [
        await bot.ask(assertion),
        await bot.ask(assertion, client_id=bot.client.id),
        await bot.ask(assertion, INTROSPECT, token="x"),
        await bot.ask(assertion, REVOKE, token="x"),
    ]
    for answer in answers:
        refused(answer)
    wrong_secret = await bot.ask(None, client_assertion_type=None, client_id=bot.client.id, client_secret="x")
    assert {answer.seen() for answer in answers} == {wrong_secret.seen()}
    assert await here.audit("token.issued") == []


async def test_own_access_token_is_no_assertion(bot):
    """TK-08: an access token that we signed does not authenticate its client."""
    token = (await bot.ask(bot.assertion())).json["access_token"]
    refused(await bot.ask(token, client_id=bot.client.id))


async def test_unknown_client_looks_the_same(bot):
    """TE-09: an assertion of an unknown client, or of one of another organisation, gets the same bytes."""
    other = await keyed(bot.here, slug="globex")
    answers = [
        await bot.ask(bot.assertion(iss="nobody", sub="nobody")),
        await bot.ask(bot.assertion(key=STRANGER)),
        await bot.ask(other.assertion()),
        await bot.ask(other.assertion(aud=f"{PUBLIC_URL}/o/globex")),
    ]
    refused(answers[0])
    assert len({answer.seen() for answer in answers}) == 1


# --- two ways, half a way ---


@pytest.mark.parametrize(
    ("fields", "headers"),
    [
        ({"client_secret": "x"}, []),
        ({"client_id": "me", "client_secret": "x"}, []),
        ({}, [("Authorization", basic("me", "x"))]),
        ({"client_assertion_type": None}, []),
        ({"client_assertion": None}, []),
        ({"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}, []),
        ({"client_assertion_type": "URN:ietf:params:oauth:client-assertion-type:jwt-bearer"}, []),
    ],
)
async def test_one_way_and_whole(bot, monkeypatch, fields, headers):
    """TE-04 and TE-06: an assertion beside a secret, without its type or of another type is malformed."""
    monkeypatch.setattr("dialects.assertions.FORM", FORM + headers)
    for path in (TOKEN, INTROSPECT, REVOKE):
        answer = await bot.ask(bot.assertion(), path, token="x", **fields)
        assert (answer.status, answer.json["error"]) == (400, "invalid_request")


async def test_secret_of_a_client_with_keys_only(here, bot):
    """TE-06: a client whose secret was ended uses its key, and no secret, not even an empty one."""
    for secret in await here.secrets(bot.client.id):
        if secret.kind == "client_secret":
            life = msgspec.structs.replace(secret.life, state=State.ENDED)
            await here.replace(secret, life=life)
    for secret in ("", "x", bot.key.jwk["kid"], bot.key.jwk["x"]):
        answer = await bot.ask(
            None, client_assertion_type=None, client_id=bot.client.id, client_secret=secret
        )
        refused(answer)
    assert (await bot.ask(bot.assertion())).status == 200


# --- once ---


async def test_works_once(here, bot):
    """TE-06 and RE-02: an assertion works once, whichever routes it is shown at, and the trail says why."""
    assertion = bot.assertion()
    assert (await bot.ask(assertion)).status == 200
    refused(await bot.ask(assertion))
    refused(await bot.ask(assertion, INTROSPECT, token="x"))
    refused(await bot.ask(assertion, REVOKE, token="x"))
    assert await bot.reasons() == ["assertion_replayed"] * 3
    again = bot.assertion({"kid": None}, jti=bot_jti(assertion))
    refused(await bot.ask(again))


def bot_jti(assertion):
    """Read the jti of an assertion."""
    return jwt.decode(assertion, options={"verify_signature": False, "verify_aud": False})["jti"]


async def test_questions_spend_too(bot):
    """TE-06: introspection and revocation spend an assertion, of a good token and of an unknown one."""
    token = (await bot.ask(bot.assertion())).json["access_token"]
    for path, about in ((INTROSPECT, token), (INTROSPECT, "x"), (REVOKE, "x"), (REVOKE, token)):
        assertion = bot.assertion()
        assert (await bot.ask(assertion, path, token=about)).status == 200
        refused(await bot.ask(assertion, path, token=about))
        refused(await bot.ask(assertion))


async def test_another_clients_jti(bot):
    """TE-06: a jti is unique for its client: one client cannot use up what another will send."""
    other = await keyed(bot.here)
    assert (await bot.ask(bot.assertion(jti="1"))).status == 200
    assert (await other.ask(other.assertion(jti="1"))).status == 200


async def test_refusal_spends_nothing(bot):
    """TE-06 and RT-03: a request that is refused after authentication leaves the assertion good."""
    assertion = bot.assertion()
    assert (await bot.ask(assertion, scope="nonsense")).json["error"] == "invalid_scope"
    assert (await bot.ask(assertion, grant_type="refresh_token")).status == 400
    assert (await bot.ask(assertion)).status == 200


@pytest.mark.parametrize("path", [TOKEN, INTROSPECT])
async def test_race(here, bot, path):
    """TE-06: of 50 parallel uses of one assertion exactly one wins."""
    assertion = bot.assertion()
    answers = await asyncio.gather(*(bot.ask(assertion, path, token="x") for _ in range(50)))
    assert sorted(answer.status for answer in answers) == [200, *[401] * 49]
    assert set(await bot.reasons()) == {"assertion_replayed"}


async def test_store_failure_spends_nothing(here, bot):
    """TE-06 and RT-03: where an assertion cannot be recorded, nothing is told and nothing used."""
    assertion = bot.assertion()
    here.store.recorder.raises = Unavailable(Reason.STORE_UNAVAILABLE)
    assert (await bot.ask(assertion, INTROSPECT, token="x")).status == 503
    here.store.recorder.raises = None
    assert (await bot.ask(assertion, INTROSPECT, token="x")).status == 200


async def test_trail_holds_no_assertion(here, bot):
    """HT-07: neither an assertion nor its jti is in the trail, which says that a client authenticated."""
    assertion = bot.assertion(jti="needle-jti")
    await bot.ask(assertion, INTROSPECT, token="x")
    rows = await here.audit()
    assert rows[-1].kind == "client.authenticated"
    assert "needle-jti" not in repr(rows)
    assert assertion.rpartition(".")[2] not in repr(rows)


# --- the life of a key ---


async def test_disabled_and_ended_keys(here, bot):
    """TE-06 and RV-04: a disabled or ended key proves nothing, and the tokens it made are dead for good."""
    (key,) = await bot.store.credentials_of(bot.client.id, "public_key")
    spare = Signing()
    await bot.add_key(spare)
    now = {"now": here.clock.now(), "dice": here.local.dice}

    def by_spare():
        return bot.assertion({"kid": spare.jwk["kid"]}, key=spare)

    async def active(token):
        return (await bot.ask(by_spare(), INTROSPECT, token=token)).json["active"]

    first = (await bot.ask(bot.assertion())).json["access_token"]
    assert await active(first)
    await disable_credential(ACTOR, bot.store, key.id, **now)
    refused(await bot.ask(bot.assertion()))
    await enable_credential(ACTOR, bot.store, key.id, **now)
    second = (await bot.ask(bot.assertion())).json["access_token"]
    assert [await active(first), await active(second)] == [False, True]
    await end_credential(ACTOR, bot.store, key.id, "lost", **now)
    refused(await bot.ask(bot.assertion()))
    refused(await bot.ask(bot.assertion({"kid": None})))
    assert not await active(second)
    assert await bot.reasons() == ["secret_disabled", "secret_ended", "assertion_signature"]


async def test_expired_key(here, bot):
    """TK-09: a key is refused from its expiry on, without a cleaning job."""
    (key,) = await bot.store.credentials_of(bot.client.id, "public_key")
    soon = here.clock.now() + dt.timedelta(seconds=10)
    await here.replace(key, life=msgspec.structs.replace(key.life, expires_at=soon))
    assert (await bot.ask(bot.assertion())).status == 200
    here.clock.advance(10)
    refused(await bot.ask(bot.assertion()))
    assert await bot.reasons() == ["secret_expired"]


async def test_key_named_by_its_owner(bot):
    """TE-06: a kid that came with the JWK is the one that assertions name, exactly."""
    named = Signing(Algorithm.EDDSA)
    await bot.add_key(named, kid="2026-11 büro")
    assert (await bot.ask(bot.assertion({"kid": "2026-11 büro"}, key=named))).status == 200
    refused(await bot.ask(bot.assertion({"kid": named.jwk["kid"]}, key=named)))
    assert (await bot.ask(bot.assertion({"kid": None}, key=named))).status == 200


async def test_refresh_by_assertion(here):
    """TE-06 and RT-05: a refresh is proved by a fresh assertion, and a used one turns no refresh token."""
    bot = await keyed(here, grants=("client_credentials", "refresh_token"), scopes=("read", "offline_access"))
    first = bot.assertion()
    refresh = (await bot.ask(first, scope="read offline_access")).json["refresh_token"]
    asked = {"grant_type": "refresh_token", "refresh_token": refresh}
    refused(await bot.ask(first, **asked))
    renewed = await bot.ask(bot.assertion(), **asked)
    assert renewed.status == 200
    assert renewed.json["refresh_token"] != refresh


# --- the audience of older clients ---


async def test_token_endpoint_as_audience(here, bot):
    """TE-06: an organisation may let the token endpoint's URL through as audience, and only it."""
    organisation = await here.organisation()
    await here.replace(organisation, settings={"oauth2": {"assertion_audience": "issuer_or_token_endpoint"}})
    for audience in (PUBLIC_URL + TOKEN, ISSUER):
        assert (await bot.ask(bot.assertion(aud=audience))).status == 200
    assert (await bot.ask(bot.assertion(aud=PUBLIC_URL + TOKEN), INTROSPECT, token="x")).status == 200
    for audience in ([PUBLIC_URL + TOKEN], PUBLIC_URL + INTROSPECT, f"{PUBLIC_URL}/o/globex/oauth2/token"):
        refused(await bot.ask(bot.assertion(aud=audience)))


# --- what is published ---


async def test_metadata_names_the_method(here):
    """RFC 8414: the method and its algorithms are published for each endpoint that authenticates clients."""
    answer = await here.ask("GET", "/.well-known/oauth-authorization-server/o/acme")
    for endpoint in ("token", "introspection", "revocation"):
        assert "private_key_jwt" in answer.json[f"{endpoint}_endpoint_auth_methods_supported"]
        algorithms = answer.json[f"{endpoint}_endpoint_auth_signing_alg_values_supported"]
        assert set(algorithms) == {"ES256", "RS256", "EdDSA", "Ed25519"}
