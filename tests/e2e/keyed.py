"""A client of a running demo that may renew and introspect, with a secret and with a key of its own."""

import json
from dataclasses import dataclass
from typing import Any

from joserfc.jwk import ECKey

from e2e.servers import SOON_SECONDS, Answer, Caller, Client, Node, token_path, told, within

METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")


@dataclass(frozen=True)
class Keyed:
    """What somebody was given who runs the client; ``kid`` is what the server calls the key."""

    issuer: str
    client_id: str
    client_secret: str
    audience: str
    private: ECKey
    kid: str

    @property
    def jwks_uri(self) -> str:
        """Where the issuer publishes its keys."""
        return self.issuer + "/.well-known/jwks.json"

    def token(self, node: Node) -> Answer:
        """Ask for a token without any library."""
        client = Client("oauth2", token_path("oauth2"), self.client_id, self.client_secret)
        with Caller(node.url) as caller:
            return client.post(caller, scope="read")

    def given(self) -> dict[str, Any]:
        """Write it down for a script."""
        return {
            "issuer": self.issuer,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "audience": self.audience,
            "private_jwk": self.private.as_dict(private=True),
            "kid": self.kid,
        }


def make_client(node: Node) -> Keyed:
    """Make the client by the commands that an operator has."""
    home, at = node.home, ("--data", str(node.data))
    may = ("--grant", "client_credentials", "--grant", "refresh_token", "--right", "introspect")
    scopes = ("--scope", "read write offline_access")
    client = told(home, "client", "create", "acme", "--name", "keyed", *may, *scopes, *at)
    secret = told(home, "secret", "create", client["client_id"], *at)["secret"]
    private = ECKey.generate_key("P-256")
    public = home / "public.jwk"
    public.write_text(json.dumps(private.as_dict(private=False)))
    key = told(home, "key", "add", client["client_id"], "--jwk", str(public), *at)
    issuer = node.demo()["dialects"]["oauth2"]["issuer"]
    made = Keyed(issuer, client["client_id"], secret, client["audiences"][0], private, key["kid"])
    within(SOON_SECONDS, lambda: made.token(node).status == 200)
    return made
