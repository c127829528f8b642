"""Tokens and JSON of every kind: mutated, random, and never a crash."""

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn.core.json_guard import BadJson, decode_json
from keyturn.core.vocabulary import Algorithm
from keyturn.keys.signers import generate_key, load_signer
from keyturn.tokens.encode import encode_token
from keyturn.tokens.errors import TokenRejected
from keyturn.tokens.keyset import KeySet
from keyturn.tokens.verify import verify_token

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
EXPECTED = {
    "issuer": "https://auth.example/o/acme",
    "audience": "https://api.example/",
    "kind": "oauth2.access",
    "header_type": "at+jwt",
    "now": NOW,
}
CLAIMS = {
    "iss": EXPECTED["issuer"],
    "sub": "client-1",
    "aud": EXPECTED["audience"],
    "iat": int(NOW.timestamp()),
    "exp": int(NOW.timestamp()) + 600,
    "jti": "token-1",
    "kt": {"k": "oauth2.access", "o": "organisation-1", "c": "credential-1", "e": [0, 0, 0]},
}
MADE = {algorithm: generate_key(algorithm) for algorithm in Algorithm}
SIGNERS = {
    algorithm: load_signer(made.public_jwk["kid"], algorithm, made.pkcs8) for algorithm, made in MADE.items()
}
KEYS = KeySet.from_jwks(made.public_jwk for made in MADE.values())
TOKENS = {algorithm: encode_token(CLAIMS, signer, "at+jwt").encode() for algorithm, signer in SIGNERS.items()}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


def signed(header: bytes, claims: bytes) -> bytes:
    """Sign two byte strings as header and claims, genuinely."""
    message = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, claims))
    signature = SIGNERS[Algorithm.ES256].sign(message)
    return message + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")


@given(st.sampled_from(list(Algorithm)), st.data())
@settings(max_examples=400)
def test_any_changed_byte_is_refused(algorithm, data):
    """TK-06: a valid token with any one byte changed is refused."""
    token = TOKENS[algorithm]
    place = data.draw(st.integers(0, len(token) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != token[place]))
    with pytest.raises(TokenRejected):
        verify_token(token[:place] + bytes([byte]) + token[place + 1 :], KEYS, **EXPECTED)


@given(st.sampled_from(list(Algorithm)), st.data())
@settings(max_examples=200)
def test_any_cut_or_addition_is_refused(algorithm, data):
    """TK-06: a valid token with bytes missing or added anywhere is refused."""
    token = TOKENS[algorithm]
    begin = data.draw(st.integers(0, len(token)))
    end = data.draw(st.integers(begin, len(token)))
    middle = data.draw(st.binary(max_size=8))
    changed = token[:begin] + middle + token[end:]
    if changed != token:
        with pytest.raises(TokenRejected):
            verify_token(changed, KEYS, **EXPECTED)


@given(
    st.binary()
    | st.text()
    | st.from_regex(rb"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", fullmatch=True)
)
def test_anything_else_is_refused_in_order(anything):
    """TK-03, TK-04: bytes or text of any kind raise TokenRejected and nothing else."""
    with pytest.raises(TokenRejected):
        verify_token(anything, KEYS, **EXPECTED)


@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "jwk"]), json_values), json_values)
def test_any_header_is_refused_in_order(header, extra):
    """TK-01 to TK-04: a header of any JSON values raises TokenRejected and nothing else."""
    header = header | ({"kid": SIGNERS[Algorithm.ES256].key_id} if extra is None else {})
    with pytest.raises(TokenRejected):
        verify_token(signed(json.dumps(header).encode(), json.dumps(CLAIMS).encode()), KEYS, **EXPECTED)


@given(st.sampled_from(sorted(CLAIMS)), json_values)
def test_any_claim_is_accepted_or_refused_in_order(name, value):
    """TK-09, TK-10: a genuine token with any JSON value for a claim verifies or raises TokenRejected."""
    header = {"alg": "ES256", "kid": SIGNERS[Algorithm.ES256].key_id, "typ": "at+jwt"}
    token = signed(json.dumps(header).encode(), json.dumps(CLAIMS | {name: value}).encode())
    try:
        verified = verify_token(token, KEYS, **EXPECTED)
    except TokenRejected:
        return
    assert verified.claims[name] == value


@given(
    st.binary()
    | json_values.map(lambda value: json.dumps(value).encode())
    | st.text().map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.text(alphabet='[]{}",:\\u0dD8cC1e.-nulltrue ').map(str.encode)
)
@settings(max_examples=200)
def test_the_guard_never_crashes(body):
    """TK-05: any bytes are decoded as Python's own parser does, or raise BadJson and nothing else."""
    try:
        value = decode_json(body)
    except BadJson:
        return
    assert value == json.loads(body)


@given(json_values)
def test_what_the_guard_lets_pass_is_clean(value):
    """TK-05: what is decoded can be written as UTF-8 and has no NUL in it."""
    try:
        decoded = decode_json(json.dumps(value).encode())
    except BadJson:
        return
    text = json.dumps(decoded, ensure_ascii=False, allow_nan=False)
    assert text.encode()
    assert "\\u0000" not in text.replace("\\\\", "")
