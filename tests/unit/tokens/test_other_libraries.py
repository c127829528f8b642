"""Our tokens under other people's verifiers, and theirs under ours."""

import json

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from joserfc import jwt as jose
from joserfc.jwk import KeySet as JoseKeySet
from joserfc.jwk import import_key

from keyturn.core.vocabulary import Algorithm
from keyturn.tokens import base64url
from keyturn.tokens.encode import encode_token
from keyturn.tokens.jwks import thumbprint
from keyturn.tokens.keyset import KeySet

# RFC 9864 prefers "Ed25519" to "EdDSA" and joserfc says so; the contracts and most verifiers still say EdDSA.
pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")

TIMES = {"verify_exp": False, "verify_iat": False}


@pytest.fixture(params=list(Algorithm), ids=str)
def algorithm(request):
    return request.param


def private_key(press, algorithm):
    return serialization.load_der_private_key(press.made[algorithm].pkcs8, None)


def test_joserfc_reads_ours(press, algorithm):
    """A token that we encode verifies with joserfc from our published key set."""
    token = encode_token(press.claims, press.signers[algorithm], "at+jwt")
    published = JoseKeySet.import_key_set({"keys": [made.public_jwk for made in press.made.values()]})
    decoded = jose.decode(token, published, algorithms=[algorithm.value])
    assert decoded.claims == press.claims
    assert decoded.header == {
        "alg": algorithm.value,
        "kid": press.signers[algorithm].key_id,
        "typ": "at+jwt",
    }


def test_pyjwt_reads_ours(press, algorithm):
    """A token that we encode verifies with PyJWT from our published key."""
    token = encode_token(press.claims, press.signers[algorithm], "at+jwt")
    key = jwt.PyJWK.from_dict(press.made[algorithm].public_jwk)
    audience = press.claims["aud"]
    assert jwt.decode(token, key, [algorithm.value], audience=audience, options=TIMES) == press.claims


def test_we_read_joserfc(press, algorithm):
    """A token that joserfc encodes with one of our keys verifies here."""
    made = press.made[algorithm]
    pem = private_key(press, algorithm).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    kty = made.public_jwk["kty"]
    header = {"alg": algorithm.value, "kid": made.public_jwk["kid"], "typ": "at+jwt"}
    token = jose.encode(header, press.claims, import_key(pem, kty), algorithms=[algorithm.value])
    assert press.verify(token).claims == press.claims


def test_we_read_pyjwt(press, algorithm):
    """A token that PyJWT encodes with one of our keys verifies here."""
    header = {"kid": press.made[algorithm].public_jwk["kid"], "typ": "at+jwt"}
    token = jwt.encode(press.claims, private_key(press, algorithm), algorithm.value, headers=header)
    assert press.verify(token).claims == press.claims


def test_thumbprint_is_the_standard_one(press, algorithm):
    """Our `kid` is the RFC 7638 thumbprint that joserfc computes."""
    public = press.made[algorithm].public_jwk
    assert import_key(public, public["kty"]).thumbprint() == public["kid"]


def test_thumbprint_of_the_standards_example():
    """The RSA key of RFC 7638 section 3.1 has the thumbprint given there."""
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCi"
        "FV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnY"
        "b9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0"
        "Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    jwk = {"kty": "RSA", "n": modulus, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}
    assert thumbprint(jwk) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_ed25519_of_the_standards_example(press):
    """The Ed25519 key and signature of RFC 8037 appendix A verify here, and so does its thumbprint."""
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    assert thumbprint(jwk) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    key = KeySet.from_jwks([jwk | {"kid": "a", "alg": "EdDSA"}]).get("a")
    message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    signature = b"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    assert key.verify(base64url.decode(signature), message)


def test_header_and_claims_keep_their_order(press):
    """The claims are signed in the order in which they were given."""
    token = encode_token({"b": 1, "a": 2}, press.signer, "JWT")
    assert json.loads(base64url.decode(token.split(".")[1].encode())) == {"b": 1, "a": 2}
    assert base64url.decode(token.split(".")[1].encode()) == b'{"b":1,"a":2}'
