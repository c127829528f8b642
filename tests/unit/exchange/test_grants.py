"""Grants: which credential a grant takes, and what it asks for."""

import pytest

from keyturn.core.errors import InvalidClient, InvalidGrant
from keyturn.core.requests import PresentedCredential
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import (
    API_TOKEN,
    CHANGE_ORGANISATION,
    CLIENT_CREDENTIALS,
    ENTITY_SECRET,
    PASSWORD,
    USER_KEY,
    CredentialKind,
    Reason,
)
from keyturn.exchange.grants import GRANTS, grant_for
from unit.exchange.records import PROFILE, proof, request


def test_client_credentials_takes_secrets():
    """The client_credentials grant takes what proves a client and refuses every other kind (TK-08)."""
    grant = grant_for(CLIENT_CREDENTIALS)
    for kind in CredentialKind:
        presented = PresentedCredential(kind=kind, secret=Secret("x"), owner="a")
        if kind in {CredentialKind.CLIENT_SECRET, CredentialKind.PUBLIC_KEY}:
            grant.require(presented)
        else:
            with pytest.raises(InvalidClient) as caught:
                grant.require(presented)
            assert caught.value.reason is Reason.NO_CREDENTIAL


def test_client_credentials_asks_for_itself():
    """The client is the subject of its own token, and what was asked is passed on as it is."""
    asked = request(scopes=("write", "read"), resources=("urn:b",))
    wanted = grant_for(CLIENT_CREDENTIALS).authorize(asked, proof())
    assert wanted.subject == proof().client.id
    assert wanted.scopes == ("write", "read")
    assert wanted.resources == ("urn:b",)
    assert wanted.profile is PROFILE
    assert wanted.proof == proof()
    assert grant_for(CLIENT_CREDENTIALS).authorize(request(), proof()).scopes is None


OF_HOLDERS = {
    PASSWORD: CredentialKind.PASSWORD,
    USER_KEY: CredentialKind.USER_KEY,
    API_TOKEN: CredentialKind.API_TOKEN,
    ENTITY_SECRET: CredentialKind.ENTITY_SECRET,
    CHANGE_ORGANISATION: CredentialKind.ACCESS_TOKEN,
}


@pytest.mark.parametrize("grant_type", OF_HOLDERS)
@pytest.mark.parametrize("kind", CredentialKind)
def test_holders_show_their_own_kind(grant_type, kind):
    """TK-08: a grant of users or entities takes one kind of credential and refuses every other."""
    presented = PresentedCredential(kind=kind, secret=Secret("x"), owner="a")
    if kind is OF_HOLDERS[grant_type]:
        grant_for(grant_type).require(presented)
    else:
        with pytest.raises(InvalidGrant):
            grant_for(grant_type).require(presented)


def test_register():
    """Each grant stands in the register under its own name."""
    assert set(GRANTS) == {CLIENT_CREDENTIALS, *OF_HOLDERS}
