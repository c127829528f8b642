"""One request's values, in the order in which the steps of an exchange make them.

    TokenRequest -> Located -> Proof -> Authorization -> Decision -> IssuedToken -> Issued

Claimed, genuine, asked and allowed are types of their own, so that a step cannot be skipped without the
type checker noticing.
"""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from keyturn.core.changes import Change
from keyturn.core.profile import TokenProfile
from keyturn.core.records import Client, ClientView, Credential, Organisation
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import (
    CredentialId,
    CredentialKind,
    FamilyId,
    GrantType,
    RequestId,
    TokenId,
)


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request came from and by which door.

    Args:
        address: The caller's IP address, from the socket or a trusted proxy.
        deprecated: Names of the deprecated forms it used, for the audit trail.
    """

    request_id: RequestId
    address: str
    dialect: str
    route: str
    deprecated: tuple[str, ...] = ()


class PresentedCredential(msgspec.Struct, frozen=True, kw_only=True):
    """A credential as the caller claims it; nothing about it is proven.

    Args:
        owner: The name that came with it (client id, e-mail, entity id); None where the secret names itself.
    """

    kind: CredentialKind
    secret: Secret
    owner: str | None = None


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A wish for a token, read by a dialect into neutral words.

    Args:
        client: Who asks, where that is not the credential itself; the same value where it is.
        organisation: The slug that the path names; None where the credential alone says.
        scopes: What was asked; None when nothing was (RFC 6749 section 3.3).
        resources: Where the token shall be used (RFC 8707 section 2).
    """

    origin: Origin
    profile: TokenProfile
    grant_type: GrantType
    credential: PresentedCredential
    client: PresentedCredential
    organisation: str | None = None
    scopes: tuple[str, ...] | None = None
    resources: tuple[str, ...] = ()


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A client's question or order about a token (RFC 7662, RFC 7009), read into neutral words.

    Args:
        accepts: The profiles whose tokens may be asked about here; no other kind is known (TK-08).
    """

    origin: Origin
    operation: str
    client: PresentedCredential
    token: Secret
    accepts: tuple[TokenProfile, ...]
    organisation: str | None = None


class Located(msgspec.Struct, frozen=True):
    """The one organisation and owner that a request names, or nothing: both take the same path from here."""

    view: ClientView | None


class Proof(msgspec.Struct, frozen=True):
    """A genuine credential: made by ``exchange/credentials.py`` only.

    Args:
        credential: What proved it; None for a public client, which only names itself.
        spends: What its use uses up, carried out with the recording and never before.
    """

    organisation: Organisation
    client: Client
    credential: Credential | None
    spends: tuple[Change, ...] = ()


class Basis(msgspec.Struct, frozen=True):
    """What a token rests on: ending any of it ends the token.

    Args:
        epochs: Of the organisation, the client and the credential, as they were proved.
    """

    credential_id: CredentialId
    epochs: tuple[int, int, int]
    family_id: FamilyId | None = None


class Earlier(msgspec.Struct, frozen=True):
    """What an earlier grant allowed: a renewal may shrink it and never goes beyond (RT-04)."""

    scopes: tuple[str, ...]
    audiences: tuple[str, ...]


class Authorization(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, by whom, once genuine.

    Args:
        subject: The ``sub`` that the token will carry.
        scopes: Asked scopes without repetition, in the order asked; None for all that may be had.
    """

    proof: Proof
    basis: Basis
    profile: TokenProfile
    grant_type: GrantType
    subject: str
    scopes: tuple[str, ...] | None
    resources: tuple[str, ...]
    earlier: Earlier | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What is allowed: made by ``exchange/policy.py`` only, and all that minting takes.

    Args:
        refreshable: Whether a refresh token comes with it.
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
