"""Clients, their secrets and public keys over the admin API."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from admin.kit import BASE
from admin.test_access import refused
from harness import basic

CLIENTS = "/organisations/acme/clients"


@pytest.fixture
async def client(admin):
    """Make a client, and give its path."""
    made = await admin.call("POST", CLIENTS, {"name": "a", "scopes": ["read"]})
    return made.header("location").removeprefix(BASE)


async def issue(admin, client, secret):
    """Ask for a token as a client."""
    headers = [
        ("Authorization", basic(client.rpartition("/")[2], secret)),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ]
    body = b"grant_type=client_credentials"
    return (await admin.here.ask("POST", "/o/acme/oauth2/token", headers=headers, body=body)).status


async def test_clients(admin, client):
    """A client is changed, switched off and on, and ended for good."""
    assert (await admin.make(f"{client}/disable", status=200))["disabled"]
    assert not (await admin.make(f"{client}/enable", status=200))["disabled"]
    await refused(admin, "PATCH", client, 400, {"dialects": ["klingon"]}, version=2)
    await refused(admin, "PATCH", client, 400, {"scopes": ["a b"]}, version=2)
    assert (await admin.call("DELETE", client)).status == 200
    assert (await admin.call("DELETE", client)).status == 200
    assert (await admin.get(client))["ended_at"]
    await refused(admin, "PATCH", client, 409, {"name": "b"}, version=3)
    await refused(admin, "POST", f"{client}/enable", 409)


async def test_secrets(admin, client):
    """AD-04: a secret is told when it is made and never again; it works, and ends at once."""
    made = await admin.make(f"{client}/secrets", {"name": "s"})
    secret = made.pop("secret")
    assert await issue(admin, client, secret) == 200
    [listed] = (await admin.get(f"{client}/secrets"))["items"]
    assert listed == made | {"last_used_on": "2026-11-01"}
    assert secret not in str(await admin.get(f"{client}/secrets/{made['id']}"))
    await admin.make(f"{client}/secrets/{made['id']}/disable", status=200)
    assert await issue(admin, client, secret) == 401
    await admin.make(f"{client}/secrets/{made['id']}/enable", status=200)
    assert (await admin.call("DELETE", f"{client}/secrets/{made['id']}")).status == 200
    assert await issue(admin, client, secret) == 401
    assert (await admin.get(f"{client}/secrets/{made['id']}"))["ended_why"]


async def test_rotation(admin, client):
    """A rotation keeps both secrets good until it is finished, or goes back when it is cancelled."""
    old = await admin.make(f"{client}/secrets")
    new = await admin.make(f"{client}/rotate-secret", {"overlap_seconds": 3600})
    assert (new["succeeds"], new["name"]) == (old["id"], old["name"])
    assert [await issue(admin, client, each["secret"]) for each in (old, new)] == [200, 200]
    back = await admin.make(f"{client}/secrets/{new['id']}/cancel", status=200)
    assert (back["id"], back["state"]) == (old["id"], "active")
    again = await admin.make(f"{client}/rotate-secret", {"overlap_seconds": 3600})
    assert (await admin.make(f"{client}/secrets/{again['id']}/finish", status=200))["state"] == "ended"
    assert [await issue(admin, client, each["secret"]) for each in (old, new, again)] == [401, 401, 200]
    await refused(admin, "POST", f"{client}/secrets/{again['id']}/finish", 409)
    await refused(admin, "POST", f"{client}/rotate-secret", 400, {"overlap_seconds": 10**15})
    await refused(admin, "POST", f"{client}/rotate-secret", 400, {"overlap_seconds": -1})


async def test_public_keys(admin, client):
    """A public key is registered as PEM or JWK, once, shown with its kid, and ended."""
    pem = ec.generate_private_key(ec.SECP256R1()).public_key()
    spelled = pem.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    made = await admin.make(f"{client}/keys", {"name": "k", "pem": spelled})
    assert made["public_jwk"]["kty"] == "EC"
    await refused(admin, "POST", f"{client}/keys", 409, {"jwk": made["public_jwk"]})
    assert (await admin.call("DELETE", f"{client}/keys/{made['id']}")).status == 200
    jwk = await admin.make(f"{client}/keys", {"jwk": made["public_jwk"]})
    assert jwk["public_jwk"] == made["public_jwk"]
    for body in ({}, {"pem": spelled, "jwk": {}}, {"pem": "x"}, {"jwk": {"kty": "oct", "k": "AAAA"}}):
        await refused(admin, "POST", f"{client}/keys", 400, body)


async def test_credentials_are_their_owners(admin, client):
    """TN-02: a secret is found below its own client only, and a key is no secret."""
    made = await admin.make(f"{client}/secrets")
    other = await admin.make(CLIENTS, {"name": "b"})
    await refused(admin, "GET", f"{CLIENTS}/{other['id']}/secrets/{made['id']}", 404)
    await refused(admin, "DELETE", f"{client}/keys/{made['id']}", 404)
    assert (await admin.get(f"{client}/secrets/{made['id']}"))["standing"] == "good"
