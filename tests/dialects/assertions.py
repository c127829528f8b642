"""A client with registered keys, and a press for its assertions: good ones, and any other."""

import base64
import json
from itertools import count
from urllib.parse import urlencode

from harness import ACTOR, PUBLIC_URL
from keyturn.core.vocabulary import ASSERTION_TYPE, Algorithm
from keyturn.directory.public_keys import add_public_key
from keyturn.keys.signers import generate_key, load_signer

FORM = [("Content-Type", "application/x-www-form-urlencoded")]
ISSUER = f"{PUBLIC_URL}/o/acme"
TOKEN = "/o/acme/oauth2/token"
_NUMBERS = count()


def b64(data):
    """Write bytes as a part of a JWS."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Signing:
    """A key pair of a client's own."""

    def __init__(self, algorithm=Algorithm.ES256):
        made = generate_key(algorithm)
        self.jwk = made.public_jwk
        self.pkcs8 = made.pkcs8
        self.signer = load_signer(made.public_jwk["kid"], algorithm, made.pkcs8)

    def raw(self, header, claims):
        """Sign two byte strings as they are."""
        message = f"{b64(header)}.{b64(claims)}"
        return f"{message}.{b64(self.signer.sign(message.encode()))}"


class Keyed:
    """A client of a deployment that proves itself by assertions."""

    def __init__(self, here, client, key):
        self.here = here
        self.client = client
        self.key = key

    @property
    def now(self):
        """The second it is."""
        return int(self.here.clock.now().timestamp())

    @property
    def store(self):
        """The client's organisation's store."""
        return self.here.local.deployment.organisation_store(self.client.organisation_id)

    def claims(self, drop=(), **changes):
        """Give good claims with some members changed or gone."""
        told = {
            "iss": self.client.id,
            "sub": self.client.id,
            "aud": ISSUER,
            "iat": self.now,
            "exp": self.now + 60,
            "jti": f"assertion-{next(_NUMBERS)}",
        }
        return {name: value for name, value in (told | changes).items() if name not in drop}

    def assertion(self, header=None, key=None, drop=(), **changes):
        """Sign good claims with some members changed or gone; a header member of None is left out."""
        key = key or self.key
        told = {"alg": key.signer.algorithm.value, "kid": self.key.jwk["kid"], "typ": "JWT"} | (header or {})
        told = {name: value for name, value in told.items() if value is not None}
        return key.raw(json.dumps(told).encode(), json.dumps(self.claims(drop, **changes)).encode())

    async def ask(self, assertion, path=TOKEN, **fields):
        """Send an assertion to a route; a field of None is left out."""
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        } | fields
        body = urlencode({name: value for name, value in form.items() if value is not None})
        return await self.here.ask("POST", path, headers=FORM, body=body.encode())

    async def add_key(self, key, **changes):
        """Register one more key."""
        given = json.dumps(key.jwk | changes).encode()
        now, dice = self.here.clock.now(), self.here.local.dice
        return await add_public_key(ACTOR, self.store, self.client.id, given, "key", now=now, dice=dice)

    async def reasons(self):
        """Give the private reasons of all refusals so far."""
        return [row.reason for row in await self.here.audit("token.refused")]


async def keyed(here, algorithm=Algorithm.ES256, slug="acme", **wish):
    """Make a client with a registered key and no secret worth naming."""
    client, _ = await here.add_client(slug, **({"scopes": ("read",)} | wish))
    made = Keyed(here, client, Signing(algorithm))
    await made.add_key(made.key)
    return made
