"""One request's values, in the order in which the steps of an exchange make them.

    TokenRequest -> Located -> Proof -> Authorization -> Decision -> IssuedToken -> Issued

Claimed, genuine, asked and allowed are types of their own, so that a step cannot be skipped without the
type checker noticing.
"""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from keyturn.core.changes import Change, RequireVersion
from keyturn.core.errors import Concern
from keyturn.core.profile import TokenProfile
from keyturn.core.records import Client, Credential, Entity, Membership, Organisation, User
from keyturn.core.secret import Secret
from keyturn.core.views import ClientView, EntityView, UserView
from keyturn.core.vocabulary import (
    CredentialId,
    CredentialKind,
    FamilyId,
    GrantType,
    OwnerKind,
    OwnerName,
    RequestId,
    TokenId,
)


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request came from and by which door.

    Args:
        address: The caller's IP address, from the socket or a trusted proxy.
        deprecated: Names of the deprecated forms it used, for the audit trail.
        echoes: By slot, what its contract repeats in answers and refusals.
    """

    request_id: RequestId
    address: str
    dialect: str
    route: str
    deprecated: tuple[str, ...] = ()
    echoes: dict[str, Any] = {}


class PresentedCredential(msgspec.Struct, frozen=True, kw_only=True):
    """A credential as the caller claims it; nothing about it is proven.

    Args:
        owner: The name that came with it (client id, e-mail, entity id); None where the secret names itself.
        named: What kind of name that is.
    """

    kind: CredentialKind
    secret: Secret
    owner: str | None = None
    named: OwnerName = OwnerName.CLIENT_ID


class BuiltInClient(msgspec.Struct, frozen=True, kw_only=True):
    """The one client of a contract that knows no others: a value of its table, in no store.

    Args:
        audiences: By scope, what a token is for; with the empty scope for every token of the contract.
    """

    id: str
    scopes: tuple[str, ...] = ()
    audiences: dict[str, str] = {}


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A wish for a token, read by a dialect into neutral words.

    Args:
        client: Who asks, where that is not the credential itself; the same value where it is.
        client_table: The one client of a contract that knows no others; then ``client`` names it.
        organisation: The slug that the request names; None where the credential alone says.
        organisation_alias: The UUID or API key by which a request names the organisation it wants a token of.
        scopes: What was asked; None when nothing was (RFC 6749 section 3.3).
        resources: Where the token shall be used (RFC 8707 section 2).
        bearer_alias: Where the credential is an access token of ours: the UUID or API key of the organisation
            that it must be of; None where the request names none.
        passcode: Of the second factor.
        id_profile: The ID token that comes with the access token where ``openid`` is granted.
        accepts: Where the credential is an access token of ours: the profiles it may have (TK-08).
    """

    origin: Origin
    profile: TokenProfile
    grant_type: GrantType
    credential: PresentedCredential
    client: PresentedCredential
    client_table: BuiltInClient | None = None
    organisation: str | None = None
    organisation_alias: str | None = None
    scopes: tuple[str, ...] | None = None
    resources: tuple[str, ...] = ()
    bearer_alias: str | None = None
    passcode: Secret | None = None
    id_profile: TokenProfile | None = None
    accepts: tuple[TokenProfile, ...] = ()


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A question or order about a token (RFC 7662, RFC 7009), read into neutral words.

    Args:
        client: Who asks; None where the contract lets anybody ask who holds the token.
        accepts: The profiles whose tokens may be asked about here; no other kind is known (TK-08).
    """

    origin: Origin
    operation: str
    client: PresentedCredential | None
    token: Secret
    accepts: tuple[TokenProfile, ...]
    organisation: str | None = None


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A call with a bearer token of ours, read into neutral words.

    Args:
        token: None where none came.
        accepts: The profiles whose tokens are taken here; no other kind passes (TK-08).
        scope: What the token must have been granted; None for nothing.
        permission: What the caller's roles must permit now; None for nothing.
        bearer_alias: The UUID or API key by which the request names the organisation its token must be of.
        arguments: The call's slots: what its fields were read into.
    """

    origin: Origin
    operation: str
    token: Secret | None
    accepts: tuple[TokenProfile, ...]
    scope: str | None = None
    permission: str | None = None
    bearer_alias: str | None = None
    arguments: dict[str, Any] = {}


class Located(msgspec.Struct, frozen=True):
    """The one organisation and owner that a request names, or nothing: both take the same path from here."""

    view: ClientView | None


class LocatedHolder(msgspec.Struct, frozen=True):
    """The user or entity that a request names, or nothing, and the organisation that the token is asked for.

    Args:
        credential: Where the secret named itself: the one it belongs to.
        organisation: None where the request names none, or one that is not there (``missing``).
        missing: The request names an organisation that is not there.
    """

    view: UserView | EntityView | ClientView | None
    organisation: Organisation | None = None
    credential: Credential | None = None
    missing: bool = False


class Member(msgspec.Struct, frozen=True):
    """A user with their place in the organisation that a token is for.

    Args:
        home: The user's home organisation.
    """

    user: User
    membership: Membership
    home: Organisation


class Proof(msgspec.Struct, frozen=True):
    """A genuine credential: made by ``exchange/credentials.py`` and ``exchange/holders.py`` only.

    Args:
        organisation: That the token is for; a user's home only where it is that.
        client: Who asks; the built-in one of a contract without clients.
        credential: What proved it; None for a public client, which only names itself.
        spends: What its use uses up, carried out with the recording and never before.
        holder: Whose credential it is, where that is not the client.
        notices: Neutral names of what the caller should be warned of, for example ``grace``.
    """

    organisation: Organisation
    client: Client
    credential: Credential | None
    spends: tuple[Change, ...] = ()
    holder: Member | Entity | None = None
    notices: tuple[str, ...] = ()

    @property
    def owner_kind(self) -> OwnerKind:
        """Say what the subject of a token that rests on it is."""
        if isinstance(self.holder, Member):
            return OwnerKind.USER
        return OwnerKind.CLIENT if self.holder is None else OwnerKind.ENTITY

    @property
    def owner_id(self) -> str:
        """Give the id of the user, entity or client whose credential it is."""
        if isinstance(self.holder, Member):
            return self.holder.user.id
        return self.client.id if self.holder is None else self.holder.id

    @property
    def about(self) -> Concern:
        """Say whom a refusal after proof is about."""
        return Concern(self.organisation.id, self.owner_id, self.owner_kind)


class Asker(msgspec.Struct, frozen=True):
    """Who asks in somebody else's name: a client that proved itself, or a contract's built-in one.

    Args:
        proof: Of a client of ours; None for a built-in one, which is known to all and proves nothing.
    """

    client_id: str
    proof: Proof | None = None

    @property
    def organisation(self) -> Organisation | None:
        """Give the client's organisation; None for a built-in one, which is of none."""
        return None if self.proof is None else self.proof.organisation

    @property
    def about(self) -> Concern | None:
        """Say whom a refusal is about that no user or entity can be named in."""
        return None if self.organisation is None else Concern(self.organisation.id, self.client_id)

    @property
    def spends(self) -> tuple[Change, ...]:
        """Give what the client's proof uses up, and that its own credential must still be as it was."""
        if self.proof is None:
            return ()
        held = self.proof.credential
        kept = () if held is None else (RequireVersion("credential", held.id, held.version),)
        return (*kept, *self.proof.spends)  # required first: what is spent may change the credential itself


class Basis(msgspec.Struct, frozen=True):
    """What a token rests on: ending any of it ends the token.

    Args:
        epochs: As ``OwnClaim`` has them, as they were proved.
    """

    credential_id: CredentialId
    epochs: tuple[int, ...]
    family_id: FamilyId | None = None


class Earlier(msgspec.Struct, frozen=True):
    """What an earlier grant allowed: a renewal may shrink it and never goes beyond (RT-04).

    Args:
        ends_at: When a family that comes of it ends at the latest (RT-06); None where none does.
    """

    scopes: tuple[str, ...]
    audiences: tuple[str, ...]
    ends_at: datetime | None = None


class Authorization(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, by whom, once genuine.

    Args:
        subject: The ``sub`` that the token will carry.
        scopes: Asked scopes without repetition, in the order asked; None for all that may be had.
        contract: Of a contract without clients: what its built-in one may have.
    """

    proof: Proof
    basis: Basis
    profile: TokenProfile
    grant_type: GrantType
    subject: str
    scopes: tuple[str, ...] | None
    resources: tuple[str, ...]
    earlier: Earlier | None = None
    contract: BuiltInClient | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What is allowed: made by ``exchange/policy.py`` only, and all that minting takes.

    Args:
        refreshable: Whether a refresh token comes with it.
        ends_at: When its refresh family ends at the latest; None for no earlier than any.
    """

    proof: Proof
    basis: Basis
    profile: TokenProfile
    grant_type: GrantType
    subject: str
    scopes: tuple[str, ...]
    audiences: tuple[str, ...]
    lifetime: timedelta
    refreshable: bool
    ends_at: datetime | None = None


class IssuedToken(msgspec.Struct, frozen=True):
    """A signed token and what it says."""

    id: TokenId
    value: Secret
    issued_at: datetime
    expires_at: datetime
    issuer: str


class Issued(msgspec.Struct, frozen=True):
    """The outcome of an exchange: recorded, and ready for a dialect to write.

    ``facts`` names everything an answer's table may show; see ``wire/tables.py``.
    """

    decision: Decision
    token: IssuedToken
    facts: dict[str, Any]
