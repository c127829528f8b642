"""TK-01 to TK-10: each attack token is refused, and for its own reason."""

import base64
import hashlib
import hmac
import json
import time
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import serialization

from keyturn.core.vocabulary import Algorithm
from keyturn.tokens.errors import Rejection, TokenRejected
from keyturn.tokens.keyset import KeySet
from keyturn.tokens.verify import verify_token


def rejection(press, token, **changes):
    """Verify and give the reason of the refusal."""
    with pytest.raises(TokenRejected) as caught:
        press.verify(token, **changes)
    return caught.value.why


def hmac_with_public_key(press):
    """CVE-2022-29217: HS256 with the published key's PEM as the secret."""
    key = serialization.load_der_private_key(press.made[Algorithm.RS256].pkcs8, None).public_key()
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    kid = press.signers[Algorithm.RS256].key_id
    header = press.b64(json.dumps({"alg": "HS256", "kid": kid, "typ": "at+jwt"}).encode())
    message = f"{header}.{press.b64(json.dumps(press.claims).encode())}"
    return f"{message}.{press.b64(hmac.digest(pem, message.encode(), hashlib.sha256))}"


def respelled_tail(press):
    """The last character's unused bits set: decoders that forgive read the same signature."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = press.token()
    return token[:-1] + alphabet[alphabet.index(token[-1]) + 1]


def standard_alphabet(press):
    """A signature that has - or _ in it, spelled with + and /."""
    while True:
        head, _, tail = press.token().rpartition(".")
        if set(tail) & set("-_"):
            return f"{head}.{tail.replace('-', '+').replace('_', '/')}"


def with_signature(press, signature: bytes):
    return f"{press.token().rpartition('.')[0]}.{press.b64(signature)}"


def cut_signature(press):
    return with_signature(press, base64.urlsafe_b64decode(press.token().split(".")[2] + "==")[:63])


def parts(press):
    return press.token().split(".")


ES256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

ATTACKS = {
    "TK-01 none": (lambda p: p.token({"alg": "none"}), Rejection.ALGORITHM),
    "TK-01 None": (lambda p: p.token({"alg": "None"}), Rejection.ALGORITHM),
    "TK-01 NONE": (lambda p: p.token({"alg": "NONE"}), Rejection.ALGORITHM),
    "TK-01 nOnE": (lambda p: p.token({"alg": "nOnE"}), Rejection.ALGORITHM),
    "TK-01 none, unsigned": (
        lambda p: ".".join([p.b64(b'{"alg":"none"}'), parts(p)[1], ""]),
        Rejection.EMPTY_PART,
    ),
    "TK-01 HS256 with the public key": (hmac_with_public_key, Rejection.ALGORITHM),
    "TK-01 other asymmetric": (lambda p: p.token({"alg": "RS256"}), Rejection.ALGORITHM),
    "TK-01 lower case": (lambda p: p.token({"alg": "es256"}), Rejection.ALGORITHM),
    "TK-01 list": (lambda p: p.token({"alg": ["ES256"]}), Rejection.ALGORITHM),
    "TK-01 null": (lambda p: p.token({"alg": None}), Rejection.ALGORITHM),
    "TK-02 jwk": (
        lambda p: p.token({"jwk": p.made[Algorithm.ES256].public_jwk}),
        Rejection.HEADER_MEMBER,
    ),
    "TK-02 jku": (lambda p: p.token({"jku": "https://evil.example/jwks"}), Rejection.HEADER_MEMBER),
    "TK-02 x5u": (lambda p: p.token({"x5u": "https://evil.example/cert"}), Rejection.HEADER_MEMBER),
    "TK-02 x5c": (lambda p: p.token({"x5c": ["MIIB"]}), Rejection.HEADER_MEMBER),
    "TK-03 absent": (
        lambda p: p.raw(b'{"alg":"ES256","typ":"at+jwt"}', json.dumps(p.claims).encode()),
        Rejection.KEY_ID,
    ),
    "TK-03 number": (lambda p: p.token({"kid": 1}), Rejection.KEY_ID),
    "TK-03 list": (lambda p: p.token({"kid": [p.signer.key_id]}), Rejection.KEY_ID),
    "TK-03 object": (lambda p: p.token({"kid": {"a": 1}}), Rejection.KEY_ID),
    "TK-03 null": (lambda p: p.token({"kid": None}), Rejection.KEY_ID),
    "TK-03 true": (lambda p: p.token({"kid": True}), Rejection.KEY_ID),
    "TK-03 empty": (lambda p: p.token({"kid": ""}), Rejection.KEY_UNKNOWN),
    "TK-03 path": (lambda p: p.token({"kid": "../../etc/passwd"}), Rejection.KEY_UNKNOWN),
    "TK-03 SQL": (lambda p: p.token({"kid": "' OR 1=1 --"}), Rejection.KEY_UNKNOWN),
    "TK-03 huge": (lambda p: p.token({"kid": "k" * 9000}), Rejection.KEY_UNKNOWN),
    "TK-03 NUL": (lambda p: p.token({"kid": p.signer.key_id + "\0"}), Rejection.HEADER_JSON),
    "TK-04 crit": (lambda p: p.token({"crit": ["exp"], "exp": 1}), Rejection.HEADER_MEMBER),
    "TK-04 crit, empty": (lambda p: p.token({"crit": []}), Rejection.HEADER_MEMBER),
    "TK-04 b64": (lambda p: p.token({"b64": False, "crit": ["b64"]}), Rejection.HEADER_MEMBER),
    "TK-04 b64 alone": (lambda p: p.token({"b64": False}), Rejection.HEADER_MEMBER),
    "TK-04 JWE": (lambda p: f"{p.token()}.AAAA.AAAA", Rejection.PARTS),
    "TK-04 JSON form": (
        lambda p: json.dumps(dict(zip(("protected", "payload", "signature"), parts(p), strict=True))),
        Rejection.PARTS,
    ),
    "TK-04 two parts": (lambda p: ".".join(parts(p)[:2]), Rejection.PARTS),
    "TK-04 four parts": (lambda p: p.token() + ".", Rejection.PARTS),
    "TK-04 nothing": (lambda _: "", Rejection.PARTS),
    "TK-04 dots": (lambda _: "..", Rejection.EMPTY_PART),
    "TK-04 no signature": (lambda p: ".".join([*parts(p)[:2], ""]), Rejection.EMPTY_PART),
    "TK-04 no header": (lambda p: ".".join(["", *parts(p)[1:]]), Rejection.EMPTY_PART),
    "TK-04 no claims": (lambda p: f"{parts(p)[0]}..{parts(p)[2]}", Rejection.EMPTY_PART),
    "TK-04 zero signature": (lambda p: with_signature(p, bytes(64)), Rejection.SIGNATURE),
    "TK-04 r = n": (
        lambda p: with_signature(p, ES256_ORDER.to_bytes(32, "big") + b"\1" * 32),
        Rejection.SIGNATURE,
    ),
    "TK-04 s = 0": (lambda p: with_signature(p, b"\1" * 32 + bytes(32)), Rejection.SIGNATURE),
    "TK-04 DER signature": (lambda p: with_signature(p, b"\x30\x06\2\1\1\2\1\1"), Rejection.SIGNATURE),
    "TK-04 cut signature": (cut_signature, Rejection.SIGNATURE),
    "TK-04 long signature": (lambda p: with_signature(p, bytes(65)), Rejection.SIGNATURE),
    "TK-04 cut token": (lambda p: p.token()[:-6], Rejection.SIGNATURE),
    "TK-04 header not an object": (
        lambda p: p.raw(b'["ES256"]', json.dumps(p.claims).encode()),
        Rejection.HEADER_JSON,
    ),
    "TK-04 header twice": (
        lambda p: p.raw(b'{"alg":"none",' + json.dumps(p.header).encode()[1:], json.dumps(p.claims).encode()),
        Rejection.HEADER_JSON,
    ),
    "TK-05 17 KiB": (lambda p: p.token(claims={"pad": "x" * 17 * 1024}), Rejection.TOO_LARGE),
    "TK-05 zip": (lambda p: p.token({"zip": "DEF"}), Rejection.HEADER_MEMBER),
    "TK-05 enc": (lambda p: p.token({"enc": "A256GCM"}), Rejection.HEADER_MEMBER),
    "TK-05 PBES2": (lambda p: p.token({"alg": "PBES2-HS256+A128KW", "p2c": 10**9}), Rejection.HEADER_MEMBER),
    "TK-05 deep header": (lambda p: p.raw(b"[" * 5000, b"{}"), Rejection.HEADER_JSON),
    "TK-05 deep claims": (lambda p: p.raw(json.dumps(p.header).encode(), b"[" * 5000), Rejection.CLAIMS_JSON),
    "TK-05 long number": (
        lambda p: p.raw(json.dumps(p.header).encode(), b'{"exp":' + b"9" * 8000 + b"}"),
        Rejection.CLAIMS_JSON,
    ),
    "TK-06 padded": (lambda p: p.token() + "==", Rejection.ENCODING),
    "TK-06 trailing bits": (respelled_tail, Rejection.ENCODING),
    "TK-06 standard alphabet": (standard_alphabet, Rejection.ENCODING),
    "TK-06 newline": (lambda p: p.token() + "\n", Rejection.ENCODING),
    "TK-06 space within": (lambda p: p.token()[:-8] + " " + p.token()[-8:], Rejection.ENCODING),
    "TK-06 not ASCII": (lambda p: p.token() + "é", Rejection.ENCODING),
    "TK-06 lone surrogate": (lambda p: p.token() + "\ud800", Rejection.ENCODING),
    "TK-06 NUL": (lambda p: p.token() + "\0", Rejection.ENCODING),
    "TK-08 typ of an ID token": (lambda p: p.token({"typ": "JWT"}), Rejection.HEADER_TYPE),
    "TK-08 typ in another case": (lambda p: p.token({"typ": "AT+JWT"}), Rejection.HEADER_TYPE),
    "TK-08 typ null": (lambda p: p.token({"typ": None}), Rejection.HEADER_TYPE),
    "TK-08 another kind": (
        lambda p: p.token(claims={"kt": p.claims["kt"] | {"k": "oauth2.id"}}),
        Rejection.KIND,
    ),
    "TK-08 no kind": (lambda p: p.token(drop=["kt"]), Rejection.OWN_CLAIM),
    "TK-08 kt a string": (lambda p: p.token(claims={"kt": "oauth2.access"}), Rejection.OWN_CLAIM),
    "TK-08 kt with more": (
        lambda p: p.token(claims={"kt": p.claims["kt"] | {"x": 1}}),
        Rejection.OWN_CLAIM,
    ),
    "TK-08 epochs true": (
        lambda p: p.token(claims={"kt": p.claims["kt"] | {"e": [True, 0, 0]}}),
        Rejection.OWN_CLAIM,
    ),
    "TK-08 epochs below zero": (
        lambda p: p.token(claims={"kt": p.claims["kt"] | {"e": [0, 0, -1]}}),
        Rejection.OWN_CLAIM,
    ),
    "TK-08 two epochs": (
        lambda p: p.token(claims={"kt": p.claims["kt"] | {"e": [0, 0]}}),
        Rejection.OWN_CLAIM,
    ),
    "TK-09 exp true": (lambda p: p.token(claims={"exp": True}), Rejection.CLAIM_INVALID),
    "TK-09 exp a float": (lambda p: p.token(claims={"exp": p.claims["exp"] + 0.5}), Rejection.CLAIM_INVALID),
    "TK-09 exp 1e300": (lambda p: p.token(claims={"exp": 1e300}), Rejection.CLAIM_INVALID),
    "TK-09 exp a string": (lambda p: p.token(claims={"exp": "9999999999"}), Rejection.CLAIM_INVALID),
    "TK-09 exp null": (lambda p: p.token(claims={"exp": None}), Rejection.CLAIM_INVALID),
    "TK-09 exp of 20 digits": (lambda p: p.token(claims={"exp": 10**20 - 1}), Rejection.CLAIM_INVALID),
    "TK-09 exp below zero": (lambda p: p.token(claims={"exp": -1}), Rejection.CLAIM_INVALID),
    "TK-09 exp NaN": (lambda p: p.token(claims={"exp": float("nan")}), Rejection.CLAIMS_JSON),
    "TK-09 no exp": (lambda p: p.token(drop=["exp"]), Rejection.CLAIM_MISSING),
    "TK-09 no iat": (lambda p: p.token(drop=["iat"]), Rejection.CLAIM_MISSING),
    "TK-09 iat a string": (lambda p: p.token(claims={"iat": "1"}), Rejection.CLAIM_INVALID),
    "TK-09 nbf true": (lambda p: p.token(claims={"nbf": True}), Rejection.CLAIM_INVALID),
    "TK-09 nbf to come": (lambda p: p.token(claims={"nbf": p.claims["iat"] + 1}), Rejection.NOT_YET_VALID),
    "TK-09 expires now": (lambda p: p.token(claims={"exp": p.claims["iat"]}), Rejection.EXPIRED),
    "TK-09 exp twice": (
        lambda p: p.raw(
            json.dumps(p.header).encode(), json.dumps(p.claims).encode()[:-1] + b',"exp":9999999999}'
        ),
        Rejection.CLAIMS_JSON,
    ),
    "TK-10 prefix of the issuer": (
        lambda p: p.token(claims={"iss": "https://auth.example/o/ac"}),
        Rejection.ISSUER,
    ),
    "TK-10 issuer and more": (
        lambda p: p.token(claims={"iss": "https://auth.example/o/acme/"}),
        Rejection.ISSUER,
    ),
    "TK-10 issuer a list": (
        lambda p: p.token(claims={"iss": ["https://auth.example/o/acme"]}),
        Rejection.CLAIM_INVALID,
    ),
    "TK-10 part of the audience": (
        lambda p: p.token(claims={"aud": "https://api.example/ https://other.example/"}),
        Rejection.AUDIENCE,
    ),
    "TK-10 shorter audience": (
        lambda p: p.token(claims={"aud": ["https://api.example"]}),
        Rejection.AUDIENCE,
    ),
    "TK-10 no audience": (lambda p: p.token(drop=["aud"]), Rejection.CLAIM_MISSING),
    "TK-10 audience empty": (lambda p: p.token(claims={"aud": []}), Rejection.CLAIM_INVALID),
    "TK-10 audience an object": (
        lambda p: p.token(claims={"aud": {"https://api.example/": 1}}),
        Rejection.CLAIM_INVALID,
    ),
    "TK-10 audience mixed": (
        lambda p: p.token(claims={"aud": ["https://api.example/", 1]}),
        Rejection.CLAIM_INVALID,
    ),
    "no jti": (lambda p: p.token(drop=["jti"]), Rejection.CLAIM_MISSING),
    "jti empty": (lambda p: p.token(claims={"jti": ""}), Rejection.CLAIM_INVALID),
    "no sub": (lambda p: p.token(drop=["sub"]), Rejection.CLAIM_MISSING),
    "sub a number": (lambda p: p.token(claims={"sub": 1}), Rejection.CLAIM_INVALID),
    "claims not an object": (
        lambda p: p.raw(json.dumps(p.header).encode(), b'"claims"'),
        Rejection.CLAIMS_JSON,
    ),
    "claims not UTF-8": (
        lambda p: p.raw(json.dumps(p.header).encode(), b'{"a":"\xff"}'),
        Rejection.CLAIMS_JSON,
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_refused_for_its_reason(press, name):
    """TK-01 to TK-10: the token of the attack is refused for the reason in the table."""
    forge, why = ATTACKS[name]
    assert rejection(press, forge(press)) is why


def test_every_reason_is_reached():
    """Each reason for a refusal stands in the table, but for those that only a client's assertion meets."""
    of_assertions = {Rejection.SUBJECT, Rejection.LIFETIME}
    assert {why for _, why in ATTACKS.values()} == set(Rejection) - of_assertions


def test_the_good_token_is_accepted(press):
    """The token that the attacks are made from is itself accepted, as text and as bytes."""
    assert press.verify(press.token()) == press.verify(press.token().encode())
    assert press.verify(press.token()).own.epochs == (0, 1, 2)


def test_a_key_of_another_issuer_does_not_verify(press):
    """TK-02: a genuine token is refused where its key is not in the issuer's own set."""
    with pytest.raises(TokenRejected, match="token_key_unknown"):
        verify_token(press.token(), KeySet({}), **press.expected())


def test_tenants_and_kinds_do_not_mix(press):
    """TK-08, TK-09: one token passes only for its own issuer, audience, kind and header type."""
    token = press.token()
    assert rejection(press, token, issuer="https://auth.example/o/other") is Rejection.ISSUER
    assert rejection(press, token, audience="https://api.example") is Rejection.AUDIENCE
    assert rejection(press, token, kind="mend.access") is Rejection.KIND
    assert rejection(press, token, header_type="JWT") is Rejection.HEADER_TYPE
    assert press.verify(token, audience=None).audiences == ("https://api.example/",)


def test_expiry_has_no_leeway(press):
    """TK-09: an own token dies in the second of its `exp`, and lives in the microsecond before."""
    verified = press.verify(press.token())
    last = verified.expires_at - timedelta(microseconds=1)
    assert press.verify(press.token(), now=last) == verified
    assert rejection(press, press.token(), now=verified.expires_at) is Rejection.EXPIRED


@pytest.mark.parametrize("leeway", [-1, 61, 3600])
def test_leeway_is_bounded(press, leeway):
    """TK-09: more than 60 seconds of leeway cannot be asked for."""
    with pytest.raises(ValueError, match="leeway"):
        press.verify(press.token(), leeway_seconds=leeway)


def test_leeway_moves_both_ends(press):
    """TK-09: leeway forgives a clock that is behind or ahead by that much and not more."""
    token = press.token(claims={"nbf": press.claims["iat"]})
    early, late = timedelta(seconds=-60), timedelta(seconds=659)
    now = press.expected()["now"]
    assert press.verify(token, now=now + early, leeway_seconds=60)
    assert press.verify(token, now=now + late, leeway_seconds=60)
    assert rejection(press, token, now=now + early, leeway_seconds=59) is Rejection.NOT_YET_VALID
    assert rejection(press, token, now=now + late, leeway_seconds=59) is Rejection.EXPIRED


@pytest.mark.parametrize(
    "filling", [b"[" * 12000, b'{"a":' * 2000, b'"' + b'\\"' * 6000, b"9" * 12000, b"0." + b"1" * 12000]
)
def test_no_token_is_costly(press, filling):
    """TK-05: the costliest filling that fits into a token is refused within 5 ms of processor time."""
    token = press.raw(json.dumps(press.header).encode(), filling)
    spent = []
    for _ in range(5):
        begun = time.process_time()
        assert rejection(press, token) is Rejection.CLAIMS_JSON
        spent.append(time.process_time() - begun)
    assert min(spent) < 0.005
