"""Writes as values: what a unit of work changes, and what came of it.

One batch carries the units of many requests. A unit's changes happen in order, all or none; a change that
finds another state than it expects loses, takes its own unit with it and never a neighbour (design.md
section 4). The union is closed: storage knows how to carry out each member, nothing else writes.
"""

from datetime import date, datetime

import msgspec

from keyturn.core.admin_records import AdminToken, KeptAnswer
from keyturn.core.notices import Delivery, Notice, Subscription
from keyturn.core.records import (
    AuditEvent,
    Client,
    Credential,
    Entity,
    Membership,
    Organisation,
    Project,
    RefreshFamily,
    Revocation,
    Sealed,
    SigningKey,
    Spent,
    Team,
    User,
)
from keyturn.core.status_records import StatusBlock, StatusMark
from keyturn.core.vocabulary import CredentialId, FamilyId, OrganisationId, UserId

Versioned = (
    Organisation
    | Client
    | User
    | Membership
    | Team
    | Project
    | Entity
    | Credential
    | RefreshFamily
    | AdminToken
    | KeptAnswer
    | Notice
    | Subscription
    | Delivery
)
"""Records that change; each change raises their ``version``."""

Record = Versioned | SigningKey | Sealed | Revocation | Spent | StatusBlock | StatusMark
Removable = (
    RefreshFamily
    | SigningKey
    | Membership
    | Team
    | Project
    | AdminToken
    | KeptAnswer
    | Subscription
    | Notice
    | Delivery
)


class Add(msgspec.Struct, frozen=True):
    """Insert a record; loses where its id, slug or other unique name is taken (TK-15).

    It also loses where its organisation has ended, or where a deleted organisation had the same secret.

    Adding a ``Revocation`` or ``StatusMark`` that is there already holds: what is dead may be killed again.
    So does adding a ``Notice``: what was told is told.
    """

    record: Record


Imported = Client | User | Membership | Entity | Credential


class AddMany(msgspec.Struct, frozen=True):
    """Insert the records of one import, all or none; loses where ``Add`` of one of them would.

    One change and not thousands: what holds up everybody else's writes asks and inserts by the hundred. Users
    come with their memberships; a membership comes with its user only.
    """

    organisation_id: OrganisationId
    records: tuple[Imported, ...]


class Replace(msgspec.Struct, frozen=True):
    """Replace the record with this id if it still has version ``expected``; loses otherwise.

    ``record.version`` is ``expected + 1``.
    """

    record: Versioned
    expected: int


class ReplaceKey(msgspec.Struct, frozen=True):
    """Replace a signing key or a sealed value that is still as ``was``; loses where another was first."""

    record: SigningKey | Sealed
    was: SigningKey | Sealed


class RequireVersion(msgspec.Struct, frozen=True):
    """Change nothing, but lose unless the record still has this version.

    An issuance carries one for each record it rests on, so that no token is minted from a credential that
    another node has just ended.
    """

    table: str
    id: str
    version: int


class Rotate(msgspec.Struct, frozen=True):
    """Give a refresh family its next token, if it still has the one that this follows; loses otherwise.

    ``record.version`` is one more than the family's, ``record.previous_hash`` the digest of its token. So
    nothing has happened to it since it was read, not even on a server that lost a version and counted it
    again (RT-01).
    """

    record: RefreshFamily


class Touch(msgspec.Struct, frozen=True):
    """Note the day of a credential's last use; a later day that is noted already stays, and nothing loses.

    It raises no version: a use must not make anybody who read the credential before lose to it.
    """

    organisation_id: OrganisationId
    owner_id: str
    credential_id: CredentialId
    day: date


class Prefer(msgspec.Struct, frozen=True):
    """Note the organisation that a user was last issued a token for; like ``Touch`` it raises no version."""

    user_id: UserId
    home_id: OrganisationId
    organisation_id: OrganisationId


class Remove(msgspec.Struct, frozen=True):
    """Delete a record of an organisation that is being deleted; holds where it is gone already."""

    record: Removable


class Shred(msgspec.Struct, frozen=True):
    """Destroy the key of an ended organisation's personal audit fields; loses while the organisation lives.

    No process seals anything under that key afterwards (TN-05).
    """

    organisation_id: OrganisationId


class EndFamily(msgspec.Struct, frozen=True):
    """End a refresh family, whatever has become of it since it was read.

    Not conditional: a theft or a revocation must win over a renewal that happens at the same moment, in
    whichever order they are carried out (RT-02, RV-02). One that has ended already stays as it is.
    """

    id: FamilyId
    organisation_id: OrganisationId
    why: str
    at: datetime


class Rewind(msgspec.Struct, frozen=True):
    """End what a store that was set back to an earlier state would let happen twice (RE-09, RE-02).

    Not conditional, and about all organisations at once: what was used, ended or issued since is not known
    any more. ``storage/rewinding.py`` says what it does to which record.

    Args:
        at: When the store was set back; later than all that was lost.
        keep_tokens: Whether tokens and refresh families live on, those that were revoked since included.
        rings: The purpose under which rings are founded, to have every ring end and be founded anew.
    """

    at: datetime
    keep_tokens: bool = False
    rings: str | None = None


Change = (
    Add
    | AddMany
    | Replace
    | ReplaceKey
    | RequireVersion
    | Rotate
    | Touch
    | Prefer
    | Remove
    | Shred
    | EndFamily
    | Rewind
)


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """What one request wants saved, with the audit event of each way it can end.

    Args:
        changes: Carried out in order, all or none.
        audit: Appended when all held.
        audit_if_lost: Appended when one lost; None for no row.
        also: Appended after ``audit`` when all held: what an import tells of each of its rows.
    """

    audit: AuditEvent
    changes: tuple[Change, ...] = ()
    audit_if_lost: AuditEvent | None = None
    also: tuple[AuditEvent, ...] = ()

    @property
    def events(self) -> tuple[AuditEvent, ...]:
        """Give what is appended when all held, in order."""
        return (self.audit, *self.also)


class Recorded(msgspec.Struct, frozen=True):
    """Everything held and is durable."""


class Lost(msgspec.Struct, frozen=True):
    """A change found another state: nothing of the unit was changed, the loss is durable in the audit trail.

    Args:
        change: The one that lost.
        winner: The record as it is now, where there is one.
    """

    change: Change
    winner: Record | None


Outcome = Recorded | Lost
