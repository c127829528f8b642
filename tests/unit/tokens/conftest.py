"""A key of each algorithm, good claims, and a press that signs anything as given."""

import base64
import json
from datetime import UTC, datetime

import pytest

from keyturn.core.vocabulary import Algorithm
from keyturn.keys.signers import generate_key, load_signer
from keyturn.tokens.keyset import KeySet
from keyturn.tokens.verify import verify_token

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
ISSUED = int(NOW.timestamp())


class Press:
    """Makes tokens that no honest signer would, with a genuine signature."""

    def __init__(self):
        self.made = {algorithm: generate_key(algorithm) for algorithm in Algorithm}
        self.signers = {
            algorithm: load_signer(made.public_jwk["kid"], algorithm, made.pkcs8)
            for algorithm, made in self.made.items()
        }
        self.keys = KeySet.from_jwks(made.public_jwk for made in self.made.values())
        self.signer = self.signers[Algorithm.ES256]
        self.header = {"alg": "ES256", "kid": self.signer.key_id, "typ": "at+jwt"}
        self.claims = {
            "iss": "https://auth.example/o/acme",
            "sub": "client-1",
            "aud": "https://api.example/",
            "iat": ISSUED,
            "exp": ISSUED + 600,
            "jti": "token-1",
            "kt": {"k": "oauth2.access", "o": "organisation-1", "c": "credential-1", "e": [0, 1, 2]},
        }

    def b64(self, data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    def raw(self, header: bytes, claims: bytes, signer=None):
        """Sign two byte strings as they are."""
        message = f"{self.b64(header)}.{self.b64(claims)}"
        return f"{message}.{self.b64((signer or self.signer).sign(message.encode()))}"

    def token(self, header=None, claims=None, drop=(), signer=None):
        """Sign good header and claims with some members changed."""
        told = {name: value for name, value in (self.claims | (claims or {})).items() if name not in drop}
        return self.raw(
            json.dumps(self.header | (header or {})).encode(), json.dumps(told).encode(), signer=signer
        )

    def expected(self, **changes):
        """Give what a route that takes these tokens asks for."""
        return {
            "issuer": "https://auth.example/o/acme",
            "audience": "https://api.example/",
            "kind": "oauth2.access",
            "header_type": "at+jwt",
            "now": NOW,
        } | changes

    def verify(self, token, **changes):
        return verify_token(token, self.keys, **self.expected(**changes))


@pytest.fixture(scope="session")
def press():
    return Press()
