"""Steps 2 and 4: which grant this is, which credential it accepts, and what is asked. Pure."""

from typing import Protocol

from keyturn.core.errors import InvalidRequest
from keyturn.core.requests import Authorization, PresentedCredential, Proof, TokenRequest
from keyturn.core.vocabulary import CLIENT_CREDENTIALS, CredentialKind, GrantType, Reason


class Grant(Protocol):
    """One way to a token: what it accepts and what it asks for."""

    def require(self, credential: PresentedCredential) -> None:
        """Refuse a credential of a kind that this grant does not take."""
        ...

    def authorize(self, request: TokenRequest, proof: Proof) -> Authorization:
        """Say what is asked, given a genuine credential."""
        ...


class ClientCredentials:
    """The client asks in its own name (RFC 6749 section 4.4)."""

    def require(self, credential: PresentedCredential) -> None:
        """Take client secrets only."""
        if credential.kind is not CredentialKind.CLIENT_SECRET:
            raise InvalidRequest(Reason.GRANT_NOT_ALLOWED)

    def authorize(self, request: TokenRequest, proof: Proof) -> Authorization:
        """Ask for a token whose subject is the client itself (RFC 9068 section 2.2)."""
        return Authorization(
            proof=proof,
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
