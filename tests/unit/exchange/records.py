"""Records that the tests of the exchange begin from."""

import hashlib
import hmac
from datetime import UTC, datetime

from keyturn.core.life import Life
from keyturn.core.profile import TokenProfile
from keyturn.core.records import Client, Credential, Organisation
from keyturn.core.requests import Origin, PresentedCredential, Proof, TokenRequest
from keyturn.core.secret import Secret
from keyturn.core.views import ClientView
from keyturn.core.vocabulary import (
    CLIENT_CREDENTIALS,
    REFRESH_TOKEN,
    ClientId,
    CredentialId,
    CredentialKind,
    OrganisationId,
    RequestId,
)

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
PROFILE = TokenProfile(kind="toy.access", dialect="toy", lifetime_seconds=600, refresh_lifetime_seconds=3600)


class CountingDigester:
    """A digester that remembers under which pepper it was asked."""

    current_pepper_id = "new"

    def __init__(self):
        """Start with no calls."""
        self.asked = []

    def lookup_hash(self, secret_sha256, pepper_id):
        """Give a digest that only this pepper gives."""
        self.asked.append(pepper_id)
        return hmac.digest(pepper_id.encode(), secret_sha256, "sha256")


def organisation(**changes):
    """Make an organisation."""
    members = {
        "id": OrganisationId("org-a"),
        "slug": "acme",
        "name": "Acme",
        "api_key": "k",
        "created_at": NOW,
    }
    return Organisation(**(members | changes))


def client(**changes):
    """Make a client of it."""
    members = {
        "id": ClientId("client-a"),
        "organisation_id": OrganisationId("org-a"),
        "name": "A",
        "created_at": NOW,
        "dialects": ("toy",),
        "grants": (CLIENT_CREDENTIALS, REFRESH_TOKEN),
        "scopes": ("read", "write", "offline_access"),
        "audiences": ("urn:a", "urn:b"),
    }
    return Client(**(members | changes))


def credential(text="secret", pepper_id="new", **changes):
    """Make a secret of the client, with the digest of a text under a pepper."""
    members = {
        "id": CredentialId("cred-" + text),
        "kind": CredentialKind.CLIENT_SECRET,
        "owner_id": "client-a",
        "organisation_id": OrganisationId("org-a"),
        "name": text,
        "life": Life(created_at=NOW),
        "dialects": ("toy",),
        "lookup_hash": CountingDigester().lookup_hash(hashlib.sha256(text.encode()).digest(), pepper_id),
        "pepper_id": pepper_id,
    }
    return Credential(**(members | changes))


def view(*credentials, **changes):
    """Make what locate finds."""
    return ClientView(
        changes.get("organisation", organisation()),
        changes.get("client", client()),
        credentials or (credential(),),
    )


def proof(**changes):
    """Make a proof of the client's secret."""
    return Proof(
        changes.get("organisation", organisation()),
        changes.get("client", client()),
        changes.get("credential", credential()),
    )


def presented(secret="secret", owner="client-a", kind=CredentialKind.CLIENT_SECRET):
    """Make what a client presents."""
    return PresentedCredential(kind=kind, secret=Secret(secret), owner=owner)


ORIGIN = Origin(request_id=RequestId("r"), address="192.0.2.1", dialect="toy", route="get")


def request(**changes):
    """Make a request for a token."""
    members = {
        "origin": ORIGIN,
        "profile": PROFILE,
        "grant_type": CLIENT_CREDENTIALS,
        "credential": presented(),
        "client": presented(),
    }
    return TokenRequest(**(members | changes))
