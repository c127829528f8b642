"""Other people's programs: the curl lines of the vendor's page and of RFC 6749, and the OAuth libraries."""

import json
import subprocess
import warnings
from datetime import timedelta
from importlib import import_module

import httpx
import jwt
import pytest
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import KeySet
from oauthlib.oauth2 import (
    BackendApplicationClient,
    InvalidClientError,
    InvalidGrantError,
    LegacyApplicationClient,
)
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from e2e.servers import ask, basic, environment

SCOPES = {"oauth2": ["read", "write"], "endorsed": ["all:read", "all:write"]}
SECONDS = {"oauth2": 600, "endorsed": 1_209_600}


@pytest.fixture
def members(demo, dialect):
    """What demo.json says of a dialect, its endpoint always as ``url``."""
    shown = demo.demo()["dialects"][dialect]
    return {**shown, "url": shown.get("token_endpoint") or shown["token_url"]}


def curl(home, *arguments):
    """Run curl and give its answer as JSON."""
    done = subprocess.run(
        ["curl", "-sS", *arguments],
        env=environment(home),
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return json.loads(done.stdout)


def claims_of(members, token):
    """Verify a token with PyJWT's client of key sets and again with joserfc; both must read the same."""
    with_pyjwt = jwt.decode(
        token,
        jwt.PyJWKClient(members["jwks_uri"]).get_signing_key_from_jwt(token),
        algorithms=["ES256"],
        options={"verify_aud": False, "require": ["exp", "iat", "iss", "sub", "aud", "jti"]},
        issuer=members["jwks_uri"].removesuffix("/.well-known/jwks.json"),
    )
    keys = KeySet.import_key_set(ask(members["jwks_uri"]).json)
    with_joserfc = joserfc_jwt.decode(token, keys, algorithms=["ES256"])
    joserfc_jwt.JWTClaimsRegistry(leeway=0).validate(with_joserfc.claims)
    assert with_pyjwt == with_joserfc.claims
    return with_pyjwt


# --- curl, as the pages have it ---


def test_the_vendors_form_line(demo):
    """The form line of the vendor's page works as it stands and gets the answer of that page."""
    members = demo.demo()["dialects"]["endorsed"]
    answer = curl(
        demo.home,
        *("-X", "POST", members["token_url"], "-H", "Content-Type: application/x-www-form-urlencoded"),
        *("-H", "Accept: application/json"),
        *("--data-urlencode", f"client_id={members['client_id']}"),
        *("--data-urlencode", f"client_secret={members['client_secret']}"),
        *("--data-urlencode", "grant_type=client_credentials"),
        *("--data-urlencode", "scope=all:read all:write"),
    )
    assert {**answer, "access_token": ""} == {
        "is_error": False,
        "access_token": "",
        "token_type": "Bearer",
        "expires_in": "1209600",
        "scope": ["all:read", "all:write"],
    }
    claims = claims_of(members, answer["access_token"])
    assert claims["data"] == {"client_id": members["client_id"], "scope": ["all:read", "all:write"]}
    assert claims["exp"] - claims["iat"] == 1_209_600


def test_the_vendors_json_line(demo):
    """The JSON line of the vendor's page works as it stands."""
    members = demo.demo()["dialects"]["endorsed"]
    body = {
        "client_id": members["client_id"],
        "client_secret": members["client_secret"],
        "grant_type": "client_credentials",
        "scope": ["all:read", "all:write"],
    }
    answer = curl(
        demo.home,
        *("-X", "POST", members["token_url"], "-H", "Content-Type: application/json"),
        *("-H", "Accept: application/json", "-d", json.dumps(body, indent=2)),
    )
    assert answer["scope"] == ["all:read", "all:write"]
    assert answer["expires_in"] == "1209600"


def test_no_content_type_means_form(demo):
    """The vendor's default holds: a form without any content type is read as a form."""
    members = demo.demo()["dialects"]["endorsed"]
    answer = curl(
        demo.home,
        *(members["token_url"], "-H", "Content-Type:", "--data-urlencode", "scope=all:read"),
        *("-d", f"client_id={members['client_id'].upper()}", "-d", "grant_type=client_credentials"),
        *("-d", f"client_secret={members['client_secret']}"),
    )
    assert answer["scope"] == ["all:read"]


def test_the_request_of_rfc_6749(demo):
    """The request of RFC 6749 section 4.4.2 gets the answer of section 4.4.3, headers included."""
    members = demo.demo()["dialects"]["oauth2"]
    answer = ask(
        members["token_endpoint"],
        "POST",
        "grant_type=client_credentials",
        {
            "Authorization": basic(members["client_id"], members["client_secret"]),
            "Content-Type": "application/x-www-form-urlencoded",
        },
    )
    assert answer.status == 200
    assert answer.headers["content-type"].partition(";")[0] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert {**answer.json, "access_token": ""} == {
        "access_token": "",
        "token_type": "Bearer",
        "expires_in": 600,
        "scope": "read write",
    }
    assert "refresh_token" not in answer.json


def test_expect_100_continue(demo, dialect, members):
    """A body that waits for 100 Continue, as curl and .NET send it, is asked for and read."""
    answer = curl(
        demo.home,
        *(members["url"], "-H", "Expect: 100-continue", "--expect100-timeout", "20", "-m", "10"),
        *("-d", demo.client(dialect).form()),
    )
    assert answer["access_token"]


# --- libraries ---


def scope_text(dialect):
    """Write all scopes as a library is given them."""
    return " ".join(SCOPES[dialect])


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
@pytest.mark.parametrize("transport", ["httpx_client.OAuth2Client", "requests_client.OAuth2Session"])
def test_authlib(dialect, members, method, transport):
    """Authlib gets a token over httpx and over requests, with Basic and with the body."""
    module, name = transport.split(".")
    with warnings.catch_warnings(record=True):  # Authlib warns of httpx, and sees to it that it is heard
        warnings.simplefilter("ignore")
        session = getattr(import_module(f"authlib.integrations.{module}"), name)
    owner, secret = members["client_id"], members["client_secret"]
    with session(owner, secret, token_endpoint_auth_method=method, scope=scope_text(dialect)) as client:
        token = client.fetch_token(members["url"], grant_type="client_credentials")
    assert int(token["expires_in"]) == SECONDS[dialect]
    assert token["scope"] == (scope_text(dialect) if dialect == "oauth2" else SCOPES[dialect])
    claims_of(members, token["access_token"])


@pytest.mark.parametrize("in_body", [False, True])
def test_requests_oauthlib(dialect, members, in_body, monkeypatch):
    """requests-oauthlib's backend client gets a token, with Basic, its default, and with the body."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    owner, secret = members["client_id"], members["client_secret"]
    with OAuth2Session(client=BackendApplicationClient(owner, scope=SCOPES[dialect])) as session:
        how = (
            {"client_secret": secret, "include_client_id": True}
            if in_body
            else {"auth": HTTPBasicAuth(owner, secret)}
        )
        token = session.fetch_token(members["url"], **how)
    assert int(token["expires_in"]) == SECONDS[dialect]
    claims_of(members, token["access_token"])


def test_oauthlib_reads_the_refusal(demo, monkeypatch):
    """Oauthlib raises InvalidClientError for a wrong secret in the oauth2 dialect."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    members = demo.demo()["dialects"]["oauth2"]
    with (
        OAuth2Session(client=BackendApplicationClient(members["client_id"])) as session,
        pytest.raises(InvalidClientError),
    ):
        session.fetch_token(members["token_endpoint"], auth=HTTPBasicAuth(members["client_id"], "wrong"))


def test_legacy_application(demo, monkeypatch):
    """requests-oauthlib's legacy client gets a user's token for a password and renews it."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    members = demo.demo()["dialects"]["oauth2"]
    url, who = members["token_endpoint"], members["public_client_id"]
    person = {"username": members["username"], "password": members["password"]}
    scopes = ["read", "offline_access"]
    with OAuth2Session(client=LegacyApplicationClient(who, scope=scopes)) as session:
        first = session.fetch_token(url, include_client_id=True, **person)
        claims = claims_of(members, first["access_token"])
        assert (claims["client_id"], claims["scope"]) == (who, "read offline_access")
        second = session.refresh_token(url, client_id=who)
        assert claims_of(members, second["access_token"])["sub"] == claims["sub"] != who
        assert second["refresh_token"] != first["refresh_token"]
        with pytest.raises(InvalidGrantError):
            session.fetch_token(url, include_client_id=True, **person | {"password": "wrong"})


def test_oauthlib_alone(demo, dialect, members):
    """Oauthlib prepares a request and parses the answer itself."""
    client = BackendApplicationClient(members["client_id"])
    url, headers, body = client.prepare_token_request(
        members["url"].replace("http://", "https://"),
        client_secret=members["client_secret"],
        scope=scope_text(dialect),
        include_client_id=True,
    )
    with httpx.Client() as http:
        answer = http.post(url.replace("https://", "http://"), headers=headers, content=body)
    token = client.parse_request_body_response(answer.text, scope=SCOPES[dialect])
    claims_of(members, token["access_token"])


def test_discovery_leads_a_library_to_everything(demo):
    """RFC 8414: from the issuer alone a library finds the metadata, whose every URL answers."""
    members = demo.demo()["dialects"]["oauth2"]
    places = [
        "/.well-known/oauth-authorization-server/o/acme",
        "/.well-known/openid-configuration/o/acme",
        "/o/acme/.well-known/openid-configuration",
        "/o/acme/.well-known/oauth-authorization-server",
    ]
    for place in places:
        answer = demo.ask("GET", place)
        assert answer.status == 200
        assert answer.json["issuer"] == members["issuer"]
        assert answer.json["token_endpoint"] == members["token_endpoint"]
        assert answer.json["jwks_uri"] == members["jwks_uri"]
    keys = ask(members["jwks_uri"])
    assert keys.headers["content-type"].startswith("application/j")
    assert "max-age=" in keys.headers["cache-control"]
    assert len(keys.json["keys"]) >= 2
    for key in keys.json["keys"]:
        assert {"kid", "alg", "use", "kty"} <= set(key)
        assert not {"d", "p", "q", "k"} & set(key)


def test_access_tokens_follow_rfc_9068(demo):
    """TK-07: an oauth2 access token has typ at+jwt, every claim of RFC 9068 and an audience of its own."""
    members = demo.demo()["dialects"]["oauth2"]
    answer = demo.token("oauth2", scope="write").json
    header = jwt.get_unverified_header(answer["access_token"])
    assert header["typ"] == "at+jwt"
    assert header["alg"] == "ES256"
    assert set(header) == {"typ", "alg", "kid"}
    claims = claims_of(members, answer["access_token"])
    assert claims["client_id"] == claims["sub"] == members["client_id"]
    assert claims["scope"] == answer["scope"] == "write"
    assert claims["aud"] == members["audience"] != members["issuer"]
    assert claims["exp"] - claims["iat"] == timedelta(minutes=10).total_seconds()
    again = demo.token("oauth2").json["access_token"]
    assert jwt.decode(again, options={"verify_signature": False})["jti"] != claims["jti"]


def test_vendor_tokens_are_of_their_own_kind(demo):
    """TK-07: an endorsed token is no at+jwt, so whoever expects an RFC 9068 token refuses it."""
    members = demo.demo()["dialects"]["endorsed"]
    token = demo.token("endorsed").json["access_token"]
    assert jwt.get_unverified_header(token)["typ"] == "JWT"
    claims = claims_of(members, token)
    assert claims["aud"]
    assert claims["sub"]
