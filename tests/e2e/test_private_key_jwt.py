"""TE-06 on a running server: keys by CLI, Authlib's client, and no second use after a restart."""

import asyncio
import json
import time
from urllib.parse import urlencode

import httpx
import joserfc.jwk
import jwt
import pytest
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT, private_key_jwt_sign
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from e2e.servers import FORM, SOON_SECONDS, serving, told, within

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def form(assertion, **fields):
    """Write a request that an assertion proves."""
    named = {
        "grant_type": "client_credentials",
        "client_assertion_type": TYPE,
        "client_assertion": assertion,
    }
    return urlencode(named | fields)


class ShortLived(PrivateKeyJWT):
    """Authlib's method, for the issuer and a minute: by itself it means the token endpoint and an hour."""

    def __init__(self, issuer):
        super().__init__(alg="ES256")
        self.issuer = issuer

    def sign(self, auth, token_endpoint):
        """Sign an assertion for the issuer."""
        return private_key_jwt_sign(
            auth.client_secret, auth.client_id, self.issuer, alg=self.alg, expires_in=60
        )


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_from_cli_to_restart(tmp_path, new_demo):
    """TE-06, RE-02 and HT-07: a key by CLI, Authlib's client, a race, and what was used stays used."""
    home, data = tmp_path / "home", tmp_path / "data"
    at = ("--data", str(data))
    private = generate_private_key(SECP256R1())
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(public)
    with new_demo(tmp_path) as node:
        client = told(home, "client", "create", "acme", "--name", "keyed", "--scope", "read", *at)[
            "client_id"
        ]
        key = told(home, "key", "add", client, "--jwk", str(tmp_path / "public.pem"), *at)
        assert told(home, "key", "list", client, *at) == [key]
        issuer = f"{node.url}/o/acme"
        good = {"iss": client, "sub": client, "aud": issuer, "exp": int(time.time()) + 290}

        def sign(jti):
            return jwt.encode(good | {"jti": jti}, private, algorithm="ES256", headers={"kid": key["kid"]})

        def ask(assertion):
            return node.ask("POST", "/o/acme/oauth2/token", form(assertion), Content_Type=FORM)

        within(SOON_SECONDS, lambda: ask(sign(f"first-{time.monotonic()}")).status == 200)
        assert asyncio.run(by_authlib(node.url, client, private, issuer)) == ["Bearer"] * 3
        assert asyncio.run(race(node.url, form(sign("race")))) == [200, *[401] * 49]
        used = sign("before-the-restart")
        assert ask(used).status == 200
        assert ask(used).status == 401
        port = node.url.rpartition(":")[2]
        node.process.kill()
        node.process.wait()
    with serving(data, home, "--port", port, warm=True) as node:
        answer = node.ask("POST", "/o/acme/oauth2/token", form(used), Content_Type=FORM)
        assert (answer.status, answer.json) == (401, {"error": "invalid_client"})
        told(home, "key", "end", key["id"], *at)
        within(
            SOON_SECONDS,
            lambda: (
                node.ask(
                    "POST", "/o/acme/oauth2/token", form(sign(f"later-{time.monotonic()}")), Content_Type=FORM
                ).status
                == 401
            ),
        )
        rows = told(home, "audit", "tail", "--limit", "500", *at)
        assert {"assertion_replayed", "secret_ended"} <= {row["reason"] for row in rows}
        assert used.rpartition(".")[2] not in json.dumps(rows)


async def by_authlib(url, client, private, issuer):
    """Get three tokens with Authlib, each with an assertion of its own."""
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key = joserfc.jwk.import_key(pem, "EC")
    method = ShortLived(issuer)
    async with AsyncOAuth2Client(client, key, token_endpoint_auth_method=method.name) as session:
        session.register_client_auth_method(method)
        tokens = [await session.fetch_token(f"{url}/o/acme/oauth2/token", scope="read") for _ in range(3)]
    return [token["token_type"] for token in tokens]


async def race(url, body):
    """Send one request fifty times at once and give the statuses, sorted."""
    async with httpx.AsyncClient() as session:
        sent = (
            session.post(f"{url}/o/acme/oauth2/token", content=body, headers={"Content-Type": FORM})
            for _ in range(50)
        )
        return sorted(answer.status_code for answer in await asyncio.gather(*sent))
