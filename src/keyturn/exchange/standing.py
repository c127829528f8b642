"""Is a genuine token still alive? Revocations and epochs, both in memory (design.md section 4).

A signature proves who made a token; only this says that nothing it rests on has ended since. Tokens and
refresh families of clients, users and entities live and die by the same rule: what they rest on is a chain of
records, each of them in force and none raised above the epoch it had when the token was minted.
"""

from datetime import datetime
from enum import StrEnum

import msgspec

from keyturn.core.life import Standing
from keyturn.core.ports import Registry, Revocations
from keyturn.core.records import Credential, RefreshFamily
from keyturn.core.views import ClientView, EntityView, UserView
from keyturn.core.vocabulary import ClientId, CredentialId, CredentialKind, OrganisationId, OwnerKind, UserId
from keyturn.tokens.verify import VerifiedClaims

OwnerView = ClientView | UserView | EntityView

_EPOCHS_WITH_CLIENT = 5
"""Of a user's token for which a client of ours asked (``OwnClaim.epochs``)."""


class Ending(StrEnum):
    """Why a genuine, unexpired token is dead; for operators, never for callers (IN-01)."""

    REVOKED = "it was revoked, or its refresh family was"
    FAMILY_ENDED = "its refresh family has ended"
    FAMILY_EXPIRED = "its refresh family has reached its absolute end"
    UNKNOWN_CLIENT = "its client is not here"
    UNKNOWN_USER = "its user is not here"
    UNKNOWN_ENTITY = "its entity is not here"
    UNKNOWN_CREDENTIAL = "its credential is not here"
    NO_MEMBERSHIP = "its user is no member of its organisation"
    ORGANISATION_OFF = "its organisation is disabled or has ended"
    ORGANISATION_OUTDATED = "its organisation was disabled since it was issued"
    HOME_OFF = "its user's home organisation is disabled or has ended"
    CLIENT_OFF = "its client is disabled or has ended"
    CLIENT_OUTDATED = "its client was disabled since it was issued"
    USER_OFF = "its user is disabled or has ended"
    USER_OUTDATED = "its user was logged out or given another password, or they or their home disabled, since"
    ENTITY_OFF = "its entity is disabled or has ended"
    ENTITY_OUTDATED = "its entity was disabled since it was issued"
    MEMBERSHIP_OFF = "its user's membership is disabled or has ended"
    MEMBERSHIP_OUTDATED = "its user's membership was disabled or ended since it was issued"
    CREDENTIAL_ENDED = "the credential that it was issued for has ended"
    CREDENTIAL_OUTDATED = "the credential that it was issued for was ended or disabled since"


_UNKNOWN = {
    OwnerKind.CLIENT: Ending.UNKNOWN_CLIENT,
    OwnerKind.USER: Ending.UNKNOWN_USER,
    OwnerKind.ENTITY: Ending.UNKNOWN_ENTITY,
}


class Rest(msgspec.Struct, frozen=True):
    """What a token or a refresh family says it rests on.

    Args:
        subject: The ``sub``.
        client_id: The client that asked, where it is ours and not the subject.
    """

    kind: OwnerKind
    subject: str
    organisation_id: OrganisationId
    credential_id: CredentialId
    epochs: tuple[int, ...]
    client_id: ClientId | None = None


def rest_of_token(verified: VerifiedClaims) -> Rest:
    """Say what a genuine token rests on."""
    own = verified.own
    return Rest(
        own.owner_kind, verified.subject, own.organisation_id, own.credential_id, own.epochs, own.client_id
    )


def rest_of_family(family: RefreshFamily) -> Rest:
    """Say what a refresh family rests on; a contract's built-in client is nothing that could end."""
    ours = len(family.epochs) == _EPOCHS_WITH_CLIENT
    return Rest(
        family.owner_kind,
        family.subject,
        family.organisation_id,
        family.credential_id,
        family.epochs,
        family.client_id if ours else None,
    )


async def find_owner(kind: OwnerKind, subject: str, registry: Registry) -> OwnerView | None:
    """Find the client, user or entity that a ``sub`` names."""
    match kind:
        case OwnerKind.CLIENT:
            return await registry.find_client(ClientId(subject))
        case OwnerKind.USER:
            return await registry.find_user(UserId(subject))
        case OwnerKind.ENTITY:
            return await registry.find_entity_by_subject(subject)


async def ending_of(
    verified: VerifiedClaims, registry: Registry, revocations: Revocations, now: datetime
) -> Ending | None:
    """Say why an unexpired token of ours is dead; None while it is alive.

    Raises:
        Unavailable: Memory is not current, so nobody can tell.
    """
    if is_revoked(verified, registry, revocations):
        return Ending.REVOKED
    return await outdated_by(rest_of_token(verified), registry, now)


def is_revoked(verified: VerifiedClaims, registry: Registry, revocations: Revocations) -> bool:
    """Tell whether a token or its refresh family was revoked.

    Raises:
        Unavailable: Memory is not current, so nobody can tell.
    """
    registry.require_fresh()
    return revocations.covers(verified.token_id, verified.own.family_id)


async def family_ending(family: RefreshFamily, registry: Registry, now: datetime) -> Ending | None:
    """Say why a refresh family is over, or why what it rests on is; None while it may be renewed."""
    if family.ended_at is not None:
        return Ending.FAMILY_ENDED
    if now >= family.ends_at:
        return Ending.FAMILY_EXPIRED
    return await outdated_by(rest_of_family(family), registry, now)


async def outdated_by(rest: Rest, registry: Registry, now: datetime) -> Ending | None:
    """Compare epochs with the current ones: whatever is below is dead, and nothing revives it (RV-04).

    An overlap that has passed ends a credential without anybody raising its epoch, so its life is asked too.
    """
    view = await find_owner(rest.kind, rest.subject, registry)
    if view is None:
        return _UNKNOWN[rest.kind]
    asker = None if rest.client_id is None else await registry.find_client(rest.client_id)
    if rest.client_id is not None and asker is None:
        return Ending.UNKNOWN_CLIENT
    links = _links(rest, view, asker, now)
    if isinstance(links, Ending):
        return links
    off = next((link.off for link in links if not link.in_force), None)
    if off is not None:
        return off
    below = zip(links, rest.epochs, strict=True)
    return next((link.outdated for link, minted in below if minted < link.epoch), None)


class _Link(msgspec.Struct, frozen=True):
    """One record that a token hangs by: whether it is in force, its epoch, and what to say of either."""

    in_force: bool
    epoch: int
    off: Ending
    outdated: Ending


def _links(rest: Rest, view: OwnerView, asker: ClientView | None, now: datetime) -> list[_Link] | Ending:
    """Give all that a token hangs by, in the order of its epochs; or why there is no such chain at all."""
    further: list[_Link] = []
    if isinstance(view, UserView):
        place = view.place_in(rest.organisation_id)
        if place is None:
            return Ending.NO_MEMBERSHIP
        if not view.home.usable:
            return Ending.HOME_OFF
        organisation, membership = place
        epoch = view.user.epoch_at(view.home)
        owner = _Link(view.user.usable, epoch, Ending.USER_OFF, Ending.USER_OUTDATED)
        further = [
            _Link(membership.usable, membership.epoch, Ending.MEMBERSHIP_OFF, Ending.MEMBERSHIP_OUTDATED)
        ]
    else:
        organisation = view.organisation
        owner = _client_link(view) if isinstance(view, ClientView) else _entity_link(view)
    if organisation.id != rest.organisation_id:
        return _UNKNOWN[rest.kind]
    if asker is not None:
        further.append(_client_link(asker))
    here = _Link(
        organisation.usable, organisation.epoch, Ending.ORGANISATION_OFF, Ending.ORGANISATION_OUTDATED
    )
    return [here, owner, _credential_link(rest.credential_id, view.credentials, now), *further]


def _client_link(view: ClientView) -> _Link:
    return _Link(view.client.usable, view.client.epoch, Ending.CLIENT_OFF, Ending.CLIENT_OUTDATED)


def _entity_link(view: EntityView) -> _Link:
    return _Link(view.entity.usable, view.entity.epoch, Ending.ENTITY_OFF, Ending.ENTITY_OUTDATED)


def _credential_link(
    credential_id: CredentialId, credentials: tuple[Credential, ...], now: datetime
) -> _Link:
    credential = next((item for item in credentials if item.id == credential_id), None)
    if credential is None:
        return _Link(
            in_force=False, epoch=0, off=Ending.UNKNOWN_CREDENTIAL, outdated=Ending.CREDENTIAL_OUTDATED
        )
    return _Link(
        is_living(credential, now), credential.epoch, Ending.CREDENTIAL_ENDED, Ending.CREDENTIAL_OUTDATED
    )


def is_living(credential: Credential, now: datetime) -> bool:
    """Tell whether the tokens of a credential may live on, which time alone can change."""
    # A reset of an entity's secret leaves its tokens alone, by contract; an ending raises the epoch.
    outlived = credential.kind is CredentialKind.ENTITY_SECRET
    return outlived or credential.life.standing(now) is not Standing.ENDED
