"""Steps 2 and 4: which grant this is, which credential it accepts, and what is asked. Pure."""

from typing import Protocol

from keyturn.core.errors import InvalidClient, InvalidGrant
from keyturn.core.records import RefreshFamily
from keyturn.core.requests import (
    Authorization,
    Basis,
    Earlier,
    PresentedCredential,
    Proof,
    TokenRequest,
)
from keyturn.core.vocabulary import CLIENT_CREDENTIALS, CredentialKind, GrantType, Reason


class Grant(Protocol):
    """One way to a token in which the presented credential is itself the grant."""

    def require(self, credential: PresentedCredential) -> None:
        """Refuse a credential of a kind that this grant does not take."""
        ...

    def authorize(self, request: TokenRequest, proof: Proof) -> Authorization:
        """Say what is asked, given a genuine credential."""
        ...


class ClientCredentials:
    """The client asks in its own name (RFC 6749 section 4.4)."""

    def require(self, credential: PresentedCredential) -> None:
        """Take what proves a client; a public client proves nothing."""
        if credential.kind not in {CredentialKind.CLIENT_SECRET, CredentialKind.PUBLIC_KEY}:
            raise InvalidClient(Reason.NO_CREDENTIAL)

    def authorize(self, request: TokenRequest, proof: Proof) -> Authorization:
        """Ask for a token whose subject is the client itself (RFC 9068 section 2.2)."""
        if proof.credential is None:
            raise InvalidClient(Reason.NO_CREDENTIAL)
        epochs = (proof.organisation.epoch, proof.client.epoch, proof.credential.epoch)
        return Authorization(
            proof=proof,
            basis=Basis(proof.credential.id, epochs),
            profile=request.profile,
            grant_type=request.grant_type,
            subject=proof.client.id,
            scopes=request.scopes,
            resources=request.resources,
        )


GRANTS: dict[GrantType, Grant] = {CLIENT_CREDENTIALS: ClientCredentials()}


def grant_for(grant_type: GrantType) -> Grant:
    """Give the grant of a type; a dialect's table can only name those there are."""
    return GRANTS[grant_type]


def require_refresh_token(credential: PresentedCredential) -> None:
    """Take refresh tokens only (RFC 6749 section 6)."""
    if credential.kind is not CredentialKind.REFRESH_TOKEN:
        raise InvalidGrant(Reason.UNKNOWN_REFRESH_TOKEN)


def authorize_refresh(request: TokenRequest, proof: Proof, family: RefreshFamily) -> Authorization:
    """Ask for another token of a family, within what the family was granted (RFC 6749 section 6)."""
    return Authorization(
        proof=proof,
        basis=Basis(family.credential_id, family.epochs, family.id),
        profile=request.profile,
        grant_type=request.grant_type,
        subject=family.subject,
        scopes=request.scopes,
        resources=request.resources,
        earlier=Earlier(family.scopes, family.audiences),
    )
