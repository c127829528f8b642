"""Check of an assertion: one public answer, and one signature's cost whoever it claims to be."""

import pytest

from keyturn.core.errors import InvalidClient
from keyturn.core.life import Life, State
from keyturn.core.requests import Located, PresentedCredential
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import Algorithm, CredentialKind, Reason
from keyturn.exchange import assertions
from keyturn.exchange.credentials import check_client
from keyturn.keys.signers import generate_key, load_signer
from keyturn.tokens.encode import encode_token
from unit.exchange.records import NOW, CountingDigester, client, credential, view

AUDIENCE = "https://keys.example/o/acme"
MADE = {algorithm: generate_key(algorithm) for algorithm in Algorithm}


def key(algorithm=Algorithm.ES256, name="one", **changes):
    """Make a registered key of the client."""
    jwk = MADE[algorithm].public_jwk | {"kid": name}
    return credential(name, kind=CredentialKind.PUBLIC_KEY, public_jwk=jwk, **changes)


def assertion(algorithm=Algorithm.ES256, name="one", signed_by=None, **changes):
    """Sign a good assertion of the client, changed."""
    made = signed_by or MADE[algorithm]
    claims = {"iss": "client-a", "sub": "client-a", "aud": AUDIENCE, "jti": "1"}
    claims |= {"exp": int(NOW.timestamp()) + 60} | changes
    return encode_token(claims, load_signer(name, algorithm, made.pkcs8), "JWT")


def check(found, text):
    """Check an assertion against what was located."""
    presented = PresentedCredential(kind=CredentialKind.PUBLIC_KEY, secret=Secret(text))
    return check_client(presented, Located(found), "toy", CountingDigester(), NOW, (AUDIENCE,))


def test_genuine():
    """TE-06: an assertion proves the very key that signed it, and says what its use spends."""
    held = (credential("secret"), key(name="other"), key(Algorithm.EDDSA))
    proof = check(view(*held), assertion(Algorithm.EDDSA))
    assert proof.credential == held[2]
    (spend,) = proof.spends
    assert spend.record.id.startswith("assertion:")
    assert (spend.record.expires_at - NOW).total_seconds() == 120
    assert check(view(*held), assertion(Algorithm.EDDSA, jti="2")).spends != proof.spends


@pytest.mark.parametrize(
    ("restored_ago", "issued_ago", "good"),
    [(30, 60, False), (30, None, False), (30, 0, False), (120, 30, True), (420, 60, True), (420, None, True)],
)
def test_after_a_restore(restored_ago, issued_ago, good):
    """RE-02: what may have been used before a restore is refused, until its age alone would refuse it."""
    seconds = int(NOW.timestamp())
    said = {} if issued_ago is None else {"iat": seconds - issued_ago}
    held = view(key(accepted_step=seconds - restored_ago))
    if good:
        assert check(held, assertion(**said)).spends
    else:
        with pytest.raises(InvalidClient) as refused:
            check(held, assertion(**said))
        assert refused.value.reason is Reason.ASSERTION_TIME


def test_no_audience_no_proof():
    """TE-06: where a route expects no assertion, none is good."""
    presented = PresentedCredential(kind=CredentialKind.PUBLIC_KEY, secret=Secret(assertion()))
    with pytest.raises(InvalidClient):
        check_client(presented, Located(view(key())), "toy", CountingDigester(), NOW)


@pytest.mark.parametrize("algorithm", list(Algorithm))
@pytest.mark.parametrize(
    ("found", "name", "reason"),
    [
        (lambda _: None, "one", Reason.UNKNOWN_CLIENT),
        (lambda _: view(), "one", Reason.ASSERTION_SIGNATURE),
        (lambda algorithm: view(key(algorithm)), "one", Reason.ASSERTION_SIGNATURE),
        (lambda algorithm: view(key(algorithm)), "other", Reason.ASSERTION_SIGNATURE),
        (lambda algorithm: view(key(algorithm), key(algorithm, "two")), "two", Reason.ASSERTION_SIGNATURE),
        (
            lambda algorithm: view(key(algorithm, life=Life(created_at=NOW, state=State.ENDED))),
            "one",
            Reason.ASSERTION_SIGNATURE,
        ),
        (
            lambda algorithm: view(key(algorithm), client=client(disabled=True)),
            "one",
            Reason.ASSERTION_SIGNATURE,
        ),
    ],
)
def test_one_signature_each(monkeypatch, algorithm, found, name, reason):
    """TE-09: an unknown client, key or state costs one signature of the algorithm, like a known one."""
    counted = []

    class Counting:
        def __init__(self, inner):
            self._inner = inner

        def verify(self, signature, message):
            counted.append(self._inner.algorithm)
            return self._inner.verify(signature, message)

    imported, decoys = assertions._imported, assertions._DECOYS
    monkeypatch.setattr(assertions, "_imported", lambda members: Counting(imported(members)))
    monkeypatch.setattr(assertions, "_DECOYS", {name: Counting(decoy) for name, decoy in decoys.items()})
    with pytest.raises(InvalidClient) as caught:
        check(found(algorithm), assertion(algorithm, name, signed_by=generate_key(algorithm)))
    assert caught.value.reason is reason
    assert counted == [algorithm]


def test_decoys_are_never_believed():
    """TE-06: who signs with the decoy's own key, which everybody can make, proves nothing."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    der = Ed25519PrivateKey.from_private_bytes(bytes(32)).private_bytes(
        Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
    )
    signer = load_signer("one", Algorithm.EDDSA, der)
    claims = {"iss": "client-a", "sub": "client-a", "aud": AUDIENCE, "jti": "1", "exp": int(NOW.timestamp())}
    text = encode_token(claims, signer, "JWT")
    assert assertions._DECOYS[Algorithm.EDDSA].verify(*reversed_parts(text))
    with pytest.raises(InvalidClient):
        check(view(), text)


def reversed_parts(text):
    """Give signature and signed message of a token."""
    from keyturn.tokens import base64url

    message, _, signature = text.rpartition(".")
    return base64url.decode(signature.encode()), message.encode()
