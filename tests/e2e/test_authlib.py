"""Authlib through a token's whole life against a running demo, and what it reads from a published key set."""

import warnings
from importlib import import_module

import pytest
from authlib.integrations.base_client import OAuthError
from authlib.oauth2.rfc7523 import PrivateKeyJWT, private_key_jwt_sign
from joserfc import jwt
from joserfc.jwk import KeySet

from e2e.keyed import METHODS, make_client
from e2e.servers import ask

TRANSPORTS = ("httpx_client.OAuth2Client", "requests_client.OAuth2Session")


class ForIssuer(PrivateKeyJWT):
    """Authlib's method, for the issuer and a minute: by itself it means the endpoint and an hour."""

    def __init__(self, keyed):
        super().__init__(token_endpoint=keyed.issuer, headers={"kid": keyed.kid}, alg="ES256")

    def sign(self, auth, token_endpoint):
        """Sign an assertion."""
        return private_key_jwt_sign(
            auth.client_secret,
            auth.client_id,
            token_endpoint,
            header=dict(self.headers),
            alg=self.alg,
            expires_in=60,
        )


@pytest.fixture(scope="module")
def served(tmp_path_factory, new_demo):
    """A demo of this file's own."""
    folder = tmp_path_factory.mktemp("authlib")
    with new_demo(folder) as node:
        yield node


@pytest.fixture(scope="module")
def keyed(served):
    """A client that may renew and introspect."""
    return make_client(served)


def opened(keyed, transport, method, **changes):
    """Open a session of Authlib's, as its documentation does."""
    module, name = transport.split(".")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Authlib would rather have httpx2
        session = getattr(import_module(f"authlib.integrations.{module}"), name)
    proof = keyed.private if method == "private_key_jwt" else keyed.client_secret
    named = {
        "client_id": keyed.client_id,
        "client_secret": proof,
        "token_endpoint_auth_method": method,
        "revocation_endpoint_auth_method": method,
    }
    client = session(**named | changes)
    client.register_client_auth_method(ForIssuer(keyed))
    return client


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_whole_life(keyed, transport, method):
    """TE-06, RT-01, IN-01 and RV-01: Authlib proves itself, renews, introspects and revokes."""
    said = ask(keyed.issuer + "/.well-known/openid-configuration").json
    token_url, ask_url, revoke_url = (
        said[f"{name}_endpoint"] for name in ("token", "introspection", "revocation")
    )
    with opened(keyed, transport, method) as client:

        def about(token, hint="access_token"):
            answer = client.introspect_token(ask_url, token=token, token_type_hint=hint)
            assert answer.status_code == 200
            return answer.json()

        first = client.fetch_token(
            token_url, grant_type="client_credentials", scope="read write offline_access"
        )
        active = about(first["access_token"])
        assert (active["active"], active["client_id"], active["aud"]) == (
            True,
            keyed.client_id,
            keyed.audience,
        )
        keys = KeySet.import_key_set(ask(said["jwks_uri"]).json)
        read = jwt.decode(first["access_token"], keys, algorithms=["ES256"])
        assert (read.claims["jti"], read.header["typ"]) == (active["jti"], "at+jwt")

        second = client.refresh_token(token_url, refresh_token=first["refresh_token"], scope="read")
        assert second["scope"] == "read"
        assert second["refresh_token"] != first["refresh_token"]
        assert about(second["refresh_token"], "refresh_token")["active"] is True

        gone = client.revoke_token(revoke_url, token=second["access_token"], token_type_hint="access_token")
        assert gone.status_code == 200
        assert about(second["access_token"]) == {"active": False}
        assert about(first["access_token"])["active"] is True

        assert client.revoke_token(revoke_url, token=second["refresh_token"]).status_code == 200
        assert about(first["access_token"]) == {"active": False}
        with pytest.raises(OAuthError, match="invalid_grant"):
            client.refresh_token(token_url, refresh_token=second["refresh_token"])


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_session_renews_by_itself(keyed, transport):
    """RT-01: a session whose token is nearly over renews it by itself and keeps the successor."""
    kept = []
    token_url = keyed.issuer + "/oauth2/token"
    changes = {
        "token_endpoint": token_url,
        "leeway": 3600,
        "update_token": lambda token, **_: kept.append(token),
    }
    with opened(keyed, transport, "client_secret_basic", **changes) as client:
        first = dict(client.fetch_token(grant_type="client_credentials", scope="read offline_access"))
        assert client.ensure_active_token() is True
        assert client.ensure_active_token() is True
    assert len({first["refresh_token"], *(token["refresh_token"] for token in kept)}) == 3


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_users_password(served, keyed, transport):
    """IN-01: Authlib exchanges a user's password in a public client's name; introspection names the user."""
    shown = served.demo()["dialects"]["oauth2"]
    person = {"username": shown["username"], "password": shown["password"]}
    public = {"client_id": shown["public_client_id"], "client_secret": None}
    url = shown["token_endpoint"]
    with opened(keyed, transport, "none", **public) as client:
        first = client.fetch_token(url, grant_type="password", scope="read offline_access", **person)
        second = client.refresh_token(url, refresh_token=first["refresh_token"])
        with pytest.raises(OAuthError, match="invalid_grant"):
            client.fetch_token(url, grant_type="password", **person | {"password": "wrong"})
    with opened(keyed, transport, "client_secret_basic") as asker:
        said = asker.introspect_token(
            keyed.issuer + "/oauth2/introspect", token=second["access_token"]
        ).json()
    assert (said["username"], said["client_id"]) == (shown["username"], shown["public_client_id"])
    assert said["sub"] not in {said["client_id"], said["username"]}


def test_another_clients_refresh_token_is_refused(served, keyed):
    """RT-05 and RV-01: a refresh token is refused from another client, and stays good for its owner."""
    stranger = make_client(served)
    token_url = keyed.issuer + "/oauth2/token"
    with (
        opened(keyed, TRANSPORTS[1], "private_key_jwt") as owner,
        opened(stranger, TRANSPORTS[1], "private_key_jwt") as thief,
    ):
        first = owner.fetch_token(token_url, grant_type="client_credentials", scope="read offline_access")
        with pytest.raises(OAuthError, match="invalid_grant"):
            thief.refresh_token(token_url, refresh_token=first["refresh_token"])
        assert thief.revoke_token(keyed.issuer + "/oauth2/revoke", token=first["refresh_token"]).json() == {
            "error": "invalid_grant",
            "error_description": "the token was issued to another client",
        }
        assert owner.refresh_token(token_url, refresh_token=first["refresh_token"])["scope"]
