"""Signing keys."""

import pytest

from keyturn.core.errors import Fault
from keyturn.core.vocabulary import Algorithm
from keyturn.keys.signers import generate_key, load_signer
from keyturn.tokens.keyset import KeySet

SIZES = {Algorithm.ES256: 64, Algorithm.RS256: 256, Algorithm.EDDSA: 64}


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_signature_has_its_fixed_size_and_verifies(algorithm):
    """TK-13: each algorithm's signatures have the size its RFC gives, and verify under the public half."""
    made = generate_key(algorithm)
    signer = load_signer("key-1", algorithm, made.pkcs8)
    key = KeySet.from_jwks([made.public_jwk | {"kid": "key-1"}]).get("key-1")
    for number in range(50):
        message = str(number).encode()
        signature = signer.sign(message)
        assert len(signature) == SIZES[algorithm]
        assert key.verify(signature, message)
        assert not key.verify(signature, message + b"\0")


def test_rsa_takes_the_size_it_is_told():
    """TK-13: an RSA key of 3072 bits can be asked for, and 2048 is the default."""
    sizes = {bits: len(generate_key(Algorithm.RS256, bits).public_jwk["n"]) for bits in (2048, 3072)}
    assert sizes == {2048: 342, 3072: 512}


def test_a_key_signs_with_its_own_algorithm_only():
    """TK-01: a key is not imported for another algorithm."""
    made = generate_key(Algorithm.EDDSA)
    for algorithm in (Algorithm.ES256, Algorithm.RS256):
        with pytest.raises(Fault, match="not a key for"):
            load_signer("key-1", algorithm, made.pkcs8)


def test_a_generated_key_does_not_print():
    """TK-12: a fresh key shows its id alone."""
    made = generate_key(Algorithm.ES256)
    assert repr(made) == f"GeneratedKey({made.public_jwk['kid']})"
