"""Steps 2 and 4: which grant this is, which credential it accepts, and what is asked. Pure."""

from collections.abc import Callable
from typing import Protocol

from keyturn.core.errors import InvalidClient, InvalidGrant
from keyturn.core.records import Credential, Entity, RefreshFamily
from keyturn.core.requests import (
    Authorization,
    Basis,
    Earlier,
    Member,
    PresentedCredential,
    Proof,
    TokenRequest,
)
from keyturn.core.vocabulary import (
    API_TOKEN,
    CHANGE_ORGANISATION,
    CLIENT_CREDENTIALS,
    ENTITY_SECRET,
    PASSWORD,
    USER_KEY,
    CredentialKind,
    GrantType,
    Reason,
)


class Grant(Protocol):
    """One way to a token in which the presented credential is itself the grant."""

    def require(self, credential: PresentedCredential) -> None:
        """Refuse a credential of a kind that this grant does not take."""
        ...

    def authorize(self, request: TokenRequest, proof: Proof) -> Authorization:
        """Say what is asked, given a genuine credential."""
        ...


_PROVING_CLIENTS = frozenset({CredentialKind.CLIENT_SECRET, CredentialKind.PUBLIC_KEY})


class ClientCredentials:
    """The client asks in its own name (RFC 6749 section 4.4)."""

    def require(self, credential: PresentedCredential) -> None:
        """Take what proves a client; a public client proves nothing."""
        if credential.kind not in _PROVING_CLIENTS:
            raise InvalidClient(Reason.NO_CREDENTIAL)

    def authorize(self, request: TokenRequest, proof: Proof) -> Authorization:
        """Ask for a token whose subject is the client itself (RFC 9068 section 2.2)."""
        if proof.credential is None:
            raise InvalidClient(Reason.NO_CREDENTIAL)
        return _authorization(request, proof, proof.credential)


class OfHolder:
    """A user's or an entity's own credential, for a token that says who they are.

    Args:
        kind: The one kind of credential that it takes (TK-08).
    """

    def __init__(self, kind: CredentialKind) -> None:
        """Take one kind of credential."""
        self._kind = kind

    def require(self, credential: PresentedCredential) -> None:
        """Take that kind."""
        if credential.kind is not self._kind:
            raise InvalidGrant(Reason.NO_CREDENTIAL)

    def authorize(self, request: TokenRequest, proof: Proof) -> Authorization:
        """Ask for a token whose subject is the credential's owner."""
        if proof.credential is None:
            raise InvalidGrant(Reason.NO_CREDENTIAL)
        return _authorization(request, proof, proof.credential)


GRANTS: dict[GrantType, Grant] = {
    CLIENT_CREDENTIALS: ClientCredentials(),
    PASSWORD: OfHolder(CredentialKind.PASSWORD),
    USER_KEY: OfHolder(CredentialKind.USER_KEY),
    API_TOKEN: OfHolder(CredentialKind.API_TOKEN),
    ENTITY_SECRET: OfHolder(CredentialKind.ENTITY_SECRET),
    CHANGE_ORGANISATION: OfHolder(CredentialKind.ACCESS_TOKEN),
}


grant_for: Callable[[GrantType], Grant] = GRANTS.__getitem__
"""Gives the grant of a type; a dialect's table can only name those there are."""


def _authorization(request: TokenRequest, proof: Proof, credential: Credential) -> Authorization:
    return Authorization(
        proof=proof,
        basis=Basis(credential.id, _epochs(proof, credential)),
        profile=request.profile,
        grant_type=request.grant_type,
        subject=_subject(proof),
        scopes=request.scopes,
        resources=request.resources,
        # A service account's API token is its own client's, which has audiences of its own.
        contract=None if proof.holder is None else request.client_table,
    )


def _subject(proof: Proof) -> str:
    return proof.holder.subject if isinstance(proof.holder, Entity) else proof.owner_id


def _epochs(proof: Proof, credential: Credential) -> tuple[int, ...]:
    """Give the epochs that a token will carry, in the order that ``OwnClaim`` documents."""
    organisation, holder, client = proof.organisation, proof.holder, proof.client
    if not isinstance(holder, Member):
        owner = client if holder is None else holder
        return (organisation.epoch, owner.epoch, credential.epoch)
    asker = () if client.built_in else (client.epoch,)
    owner_epoch = holder.user.epoch_at(holder.home)
    return (organisation.epoch, owner_epoch, credential.epoch, holder.membership.epoch, *asker)


def require_refresh_token(credential: PresentedCredential) -> None:
    """Take refresh tokens only (RFC 6749 section 6)."""
    if credential.kind is not CredentialKind.REFRESH_TOKEN:
        raise InvalidGrant(Reason.UNKNOWN_REFRESH_TOKEN)


def authorize_refresh(request: TokenRequest, proof: Proof, family: RefreshFamily) -> Authorization:
    """Ask for another token of a family, within what the family was granted (RFC 6749 section 6)."""
    return Authorization(
        proof=proof,
        basis=Basis(family.credential_id, family.epochs),
        profile=request.profile,
        grant_type=request.grant_type,
        subject=family.subject,
        scopes=request.scopes,
        resources=request.resources,
        earlier=Earlier(family.scopes, family.audiences),
        contract=request.client_table,
    )
