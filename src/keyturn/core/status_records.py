"""What the store keeps of published status lists, and the questions about it.

A token says at which place of which list its status is published. Places are handed out in blocks to tokens
that rest on the same things, so that what ends these ends the block, and no row is needed for each token.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from keyturn.core.vocabulary import ClientId, CredentialId, FamilyId, OrganisationId, OwnerKind


class StatusBlock(msgspec.Struct, frozen=True, kw_only=True):
    """Some places of a list, all for tokens that rest on the same things.

    Args:
        id: The list and the first place, which nobody else has.
        list_id: One process leases from a list; its organisation's others have lists of their own.
        size: How many places there are, used or not.
        subject: The ``sub`` of its tokens; ``owner_kind`` says what that is.
        epochs: As ``OwnClaim`` has them.
        client_id: The client that asked, where it is ours and not the subject.
        family_id: The refresh family, where there is one.
        expires_at: No token of the block lives longer; the row is kept a day more.
    """

    id: str
    list_id: str
    organisation_id: OrganisationId
    first: int
    size: int
    owner_kind: OwnerKind
    subject: str
    credential_id: CredentialId
    epochs: tuple[int, ...]
    client_id: ClientId | None
    family_id: FamilyId | None
    expires_at: datetime


class StatusMark(msgspec.Struct, frozen=True, kw_only=True):
    """The place of a token that was revoked by itself.

    Args:
        id: The token's.
        number: The place in the list.
        expires_at: When the token does.
    """

    id: str
    list_id: str
    organisation_id: OrganisationId
    number: int
    expires_at: datetime


class StatusReader(Protocol):
    """What the store knows of an organisation's lists; every question may raise ``Unavailable``."""

    async def content(
        self, organisation_id: OrganisationId, list_id: str
    ) -> tuple[Sequence[StatusBlock], Sequence[StatusMark]]:
        """Read what is in a list, as it was at one moment; of another organisation's nothing."""
        ...

    async def lists(self, organisation_id: OrganisationId) -> Sequence[str]:
        """Name the lists that a token may still refer to."""
        ...
