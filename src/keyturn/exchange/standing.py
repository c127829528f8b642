"""Is a genuine token still alive? Revocations and epochs, both in memory (design.md section 4).

A signature proves who made a token; only this says that nothing it rests on has ended since.
"""

from datetime import datetime
from enum import StrEnum

from keyturn.core.life import Standing
from keyturn.core.ports import Registry, Revocations
from keyturn.core.records import ClientView, RefreshFamily
from keyturn.core.vocabulary import ClientId, CredentialId
from keyturn.tokens.verify import VerifiedClaims


class Ending(StrEnum):
    """Why a genuine, unexpired token is dead; for operators, never for callers (IN-01)."""

    REVOKED = "it was revoked, or its refresh family was"
    FAMILY_ENDED = "its refresh family has ended"
    FAMILY_EXPIRED = "its refresh family has reached its absolute end"
    UNKNOWN_CLIENT = "its client is not here"
    UNKNOWN_CREDENTIAL = "its credential is not here"
    ORGANISATION_OFF = "its organisation is disabled or has ended"
    ORGANISATION_OUTDATED = "its organisation was disabled since it was issued"
    CLIENT_OFF = "its client is disabled or has ended"
    CLIENT_OUTDATED = "its client was disabled since it was issued"
    CREDENTIAL_ENDED = "the credential that it was issued for has ended"
    CREDENTIAL_OUTDATED = "the credential that it was issued for was ended or disabled since"


async def ending_of(
    verified: VerifiedClaims, registry: Registry, revocations: Revocations, now: datetime
) -> Ending | None:
    """Say why an unexpired token of ours is dead; None while it is alive.

    Raises:
        Unavailable: Memory is not current, so nobody can tell.
    """
    registry.require_fresh()
    own = verified.own
    if revocations.covers(verified.token_id, own.family_id):
        return Ending.REVOKED
    view = await registry.find_client(ClientId(verified.subject))
    if view is None or view.organisation.id != own.organisation_id:
        return Ending.UNKNOWN_CLIENT
    return outdated_by(own.credential_id, own.epochs, view, now)


def family_ending(family: RefreshFamily, view: ClientView, now: datetime) -> Ending | None:
    """Say why a refresh family is over, or why what it rests on is; None while it may be renewed."""
    if family.ended_at is not None:
        return Ending.FAMILY_ENDED
    if now >= family.ends_at:
        return Ending.FAMILY_EXPIRED
    return outdated_by(family.credential_id, family.epochs, view, now)


def outdated_by(
    credential_id: CredentialId, epochs: tuple[int, ...], view: ClientView, now: datetime
) -> Ending | None:
    """Compare epochs with the current ones: whatever is below is dead, and nothing revives it (RV-04).

    An overlap that has passed ends a credential without anybody raising its epoch, so its life is asked too.
    """
    credential = next((item for item in view.credentials if item.id == credential_id), None)
    if not view.organisation.usable:
        return Ending.ORGANISATION_OFF
    if not view.client.usable:
        return Ending.CLIENT_OFF
    if credential is None:
        return Ending.UNKNOWN_CREDENTIAL
    if credential.life.standing(now) is Standing.ENDED:
        return Ending.CREDENTIAL_ENDED
    current = (view.organisation.epoch, view.client.epoch, credential.epoch)
    below = [minted < now_current for minted, now_current in zip(epochs, current, strict=True)]
    reasons = (Ending.ORGANISATION_OUTDATED, Ending.CLIENT_OUTDATED, Ending.CREDENTIAL_OUTDATED)
    return next((reason for reason, dead in zip(reasons, below, strict=True) if dead), None)
