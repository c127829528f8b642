"""Authlib on Flask as a peer of ``make bench``: client_credentials with an ES256 JWT, storing nothing.

Usage: serve.py PORT, with the client in the environment.
"""

import hashlib
import hmac
import os
import sys
import uuid

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from flask import Flask
from gunicorn.app.base import BaseApplication
from joserfc.jwk import ECKey, KeySet

ISSUER = "http://127.0.0.1"
KEYS = KeySet([ECKey.generate_key("P-256", {"kid": "bench", "alg": "ES256", "use": "sig"}, private=True)])


class Client(ClientMixin):
    """The one client, its secret kept as a digest."""

    client_id = os.environ["BENCH_CLIENT_ID"]
    _kept = hashlib.sha256(os.environ["BENCH_CLIENT_SECRET"].encode()).digest()

    def get_client_id(self):
        return self.client_id

    def get_default_redirect_uri(self):
        return None

    def get_allowed_scope(self, scope):
        return scope

    def check_redirect_uri(self, redirect_uri):
        return False

    def check_client_secret(self, client_secret):
        return hmac.compare_digest(hashlib.sha256(client_secret.encode()).digest(), self._kept)

    def check_endpoint_auth_method(self, method, endpoint):
        return method == "client_secret_basic"

    def check_response_type(self, response_type):
        return False

    def check_grant_type(self, grant_type):
        return grant_type == "client_credentials"


class Generator(JWTBearerTokenGenerator):
    """RFC 9068 access tokens."""

    def get_jwks(self):
        return KEYS.as_dict(private=True)

    def get_audiences(self, client, user, scope):
        return ["urn:keyturn:bench:api"]

    def get_jti(self, client, grant_type, user, scope):
        return uuid.uuid4().hex


CLIENT = Client()
app = Flask(__name__)
server = AuthorizationServer(
    app,
    query_client=lambda client_id: CLIENT if client_id == CLIENT.client_id else None,
    save_token=lambda token, request: None,
)
server.register_grant(ClientCredentialsGrant)
server.register_token_generator("default", Generator(ISSUER, alg="ES256"))


@app.post("/token")
def token():
    return server.create_token_response()


class Gunicorn(BaseApplication):
    """Gunicorn without its command line."""

    def load_config(self):
        for name, value in {
            "bind": f"127.0.0.1:{sys.argv[1]}",
            "worker_class": "gthread",
            "threads": 4,
            "keepalive": 60,
            "control_socket_disable": True,
            "worker_connections": 1000,
        }.items():
            self.cfg.set(name, value)

    def load(self):
        return app


if __name__ == "__main__":
    Gunicorn().run()
