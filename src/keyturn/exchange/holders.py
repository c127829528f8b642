"""Step 3 for users and entities: is the presented credential genuine, and may its owner act there?

Reads only. Whatever is wrong has one public answer and costs the same: one slow check of a password, whoever
it is said to be of, and for machines' secrets one digest (PW-04, TE-09). The state of everything a token
would rest on is asked after that, never instead (TE-10).
"""

from datetime import datetime

import msgspec

from keyturn.core.changes import Change, Replace
from keyturn.core.errors import Concern, InvalidGrant, NotFound, Unavailable
from keyturn.core.life import Standing
from keyturn.core.records import Credential, Entity, Membership, Organisation, User
from keyturn.core.requests import Asker, LocatedHolder, Member, PresentedCredential, Proof, TokenRequest
from keyturn.core.secret import Secret, parse_secret
from keyturn.core.views import ClientView, EntityView, UserView
from keyturn.core.vocabulary import CredentialKind, OwnerKind, OwnerName, Reason, UserId
from keyturn.exchange.askers import client_of
from keyturn.exchange.credentials import client_objection, compare_secret, credential_objection
from keyturn.exchange.policy import allows_password
from keyturn.exchange.services import Services

GRACE = "grace"
"""The notice that a credential has expired and is accepted a little longer."""

_TAIL = 5
_SHORTEST_WITH_TAIL = 32
"""Characters; of less, five would give away too much of what somebody may have typed into the wrong field."""
_DEAD = frozenset({Reason.SECRET_ENDED, Reason.SECRET_EXPIRED})


class Place(msgspec.Struct, frozen=True):
    """Where a credential's owner may act, and as what."""

    organisation: Organisation
    holder: Member | Entity | None


async def check_holder(
    request: TokenRequest, located: LocatedHolder, asker: Asker, services: Services, now: datetime
) -> Proof:
    """Prove that a credential is whose it is said to be, and that all it rests on is in force.

    A second factor is for ``passcodes`` to check.

    Raises:
        InvalidGrant: Whatever is wrong; the same for unknown, wrong, ended, disabled and no member.
        NotFound: A genuine API token whose organisation was deleted.
    """
    shown = request.credential
    better: tuple[Change, ...] = ()
    if shown.kind is CredentialKind.PASSWORD:
        found = await _remembered(shown.secret, located, services)
    else:
        held = _held(shown, located)
        began = services.clock.monotonic()
        found = compare_secret(shown.secret, held, services.digester)
        services.check_times.fast(services.clock.monotonic() - began)
        if found is None and any(each.verifier is not None for each in held):
            slow = await services.slow.recognise(
                shown,
                held,
                request.origin,
                services.passwords,
                services.digester,
                now,
                services.clock.monotonic(),
            )
            found, better = (None, ()) if slow is None else (slow.credential, slow.spends)
    if found is None:
        raise await _refusal(request, located, _unproven(shown, located), services)
    if shown.kind is CredentialKind.API_TOKEN and _deleted(located):
        raise NotFound(
            Reason.ORGANISATION_ENDED, "the organisation was deleted", about=concern_about(located)
        )
    place = _place(request, located, asker)
    if isinstance(place, Reason):
        raise await _refusal(request, located, place, services)
    reason = objection_to(request, found, place, asker, now, request.passcode)
    if reason is not None:
        raise await _refusal(request, located, reason, services)
    client = client_of(asker, request, place.organisation)
    if isinstance(located.view, ClientView):
        client = located.view.client
    in_grace = found.life.standing(now) is Standing.GRACE
    return Proof(
        place.organisation,
        client,
        found,
        (*asker.spends, *(better or await _rehashed(shown, found, services))),
        place.holder,
        (GRACE,) if in_grace else (),
    )


# --- genuine? ---


def _held(shown: PresentedCredential, located: LocatedHolder) -> tuple[Credential, ...]:
    held: tuple[Credential, ...] = () if located.view is None else located.view.credentials
    if shown.named is OwnerName.SECRET:
        held = () if located.credential is None else (located.credential,)
    return tuple(item for item in held if item.kind is shown.kind)


async def _remembered(presented: Secret, located: LocatedHolder, services: Services) -> Credential | None:
    """Check a password against the newest that its owner has, or against none: one check either way."""
    passwords = [
        item
        for item in (() if located.view is None else located.view.credentials)
        if item.kind is CredentialKind.PASSWORD and item.verifier is not None
    ]
    newest = max(passwords, key=lambda item: (item.life.ended_at is None, item.life.created_at), default=None)
    right = await services.passwords.check(presented, None if newest is None else newest.verifier)
    return newest if right else None


async def _rehashed(shown: PresentedCredential, found: Credential, services: Services) -> tuple[Change, ...]:
    """Keep a right password under today's settings; what it proved stays good, and a busy pool can wait."""
    if found.kind is not CredentialKind.PASSWORD or found.verifier is None:
        return ()
    if not services.passwords.is_outdated(found.verifier):
        return ()
    try:
        verifier = await services.passwords.hash(shown.secret)
    except Unavailable:
        return ()
    again = msgspec.structs.replace(found, verifier=verifier, version=found.version + 1)
    return (Replace(again, found.version),)


# --- may they? ---


def _place(request: TokenRequest, located: LocatedHolder, asker: Asker) -> Place | Reason:
    """Find where a genuine credential's owner would act; or why they may not act there."""
    wanted, view = located.organisation, located.view
    if located.missing:
        return Reason.UNKNOWN_ORGANISATION
    if asker.organisation is not None:
        if wanted is not None and wanted.id != asker.organisation.id:
            return Reason.OTHER_ORGANISATION
        wanted = asker.organisation
    if isinstance(view, UserView):
        return place_of_user(view, wanted)
    return Reason.UNKNOWN_USER if view is None else _place_of_machine(request, view, wanted)


def _place_of_machine(
    request: TokenRequest, view: EntityView | ClientView, wanted: Organisation | None
) -> Place | Reason:
    """Find where an entity or a service account may act: at home, and nowhere else."""
    if wanted is not None and wanted.id != view.organisation.id:
        return Reason.OTHER_ORGANISATION
    if not view.organisation.usable:
        return Reason.ORGANISATION_ENDED
    if isinstance(view, EntityView):
        return Place(view.organisation, view.entity) if view.entity.usable else Reason.ENTITY_DISABLED
    return client_objection(request.origin.dialect, view) or Place(view.organisation, None)


def place_of_user(view: UserView, wanted: Organisation | None) -> Place | Reason:
    """Find where a user may act, in the wanted organisation or the usual one; or why they may not."""
    if not view.user.usable:
        return Reason.USER_DISABLED
    pair = _usual_place(view) if wanted is None else view.place_in(wanted.id)
    if pair is None:
        return Reason.NO_MEMBERSHIP
    organisation, membership = pair
    if not organisation.usable or not view.home.usable:
        return Reason.ORGANISATION_ENDED
    if not membership.usable:
        return Reason.MEMBERSHIP_DISABLED
    return Place(organisation, Member(view.user, membership, view.home))


def _usual_place(view: UserView) -> tuple[Organisation, Membership] | None:
    """Choose for a user who names no organisation: the last one, or else the oldest membership."""
    pairs = zip(view.organisations, view.memberships, strict=True)
    usable = [pair for pair in pairs if pair[0].usable and pair[1].usable]
    last = (pair for pair in usable if pair[0].id == view.user.last_organisation_id)
    return next(last, usable[0] if usable else None)


def objection_to(
    request: TokenRequest,
    found: Credential,
    place: Place,
    asker: Asker,
    now: datetime,
    passcode: Secret | None = None,
) -> Reason | None:
    """Say why a genuine credential, or what was once got for it, is not accepted there now; None where it is.

    Args:
        passcode: One that will be checked; what is not checked stands for no second factor (PW-07).
    """
    organisation, dialect = place.organisation, request.origin.dialect
    abroad = found.organisation_id != organisation.id
    if abroad and found.kind is CredentialKind.API_TOKEN:
        return Reason.OTHER_ORGANISATION
    owner = place.holder.home if abroad and isinstance(place.holder, Member) else organisation
    reason = credential_objection(dialect, found, owner, now)
    if reason is not None:
        return reason
    built_in = asker.proof is None
    if found.kind is CredentialKind.PASSWORD and not allows_password(
        organisation, request.origin, built_in=built_in
    ):
        return Reason.GRANT_NOT_ALLOWED
    member = place.holder if isinstance(place.holder, Member) else None
    by_email = request.credential.named is OwnerName.EMAIL
    if by_email and member is not None and member.user.email_verified_at is None:
        return Reason.EMAIL_UNPROVED
    return _passcode_objection(place.holder, found, passcode)


def requires_passcode(credential: Credential, user: User | None) -> bool:
    """Tell whether a credential is not enough alone, by itself or because of whose it is."""
    return credential.mfa or (user is not None and user.mfa_required)


def _passcode_objection(
    holder: Member | Entity | None, credential: Credential, passcode: Secret | None
) -> Reason | None:
    """Say that somebody who must use a second factor came by a way that has no place for one (PW-07).

    Only an API token's exchange always has that place, and says itself what is missing.
    """
    user = holder.user if isinstance(holder, Member) else None
    possible = passcode is not None or credential.kind is CredentialKind.API_TOKEN
    return Reason.PASSCODE_IMPOSSIBLE if requires_passcode(credential, user) and not possible else None


def _deleted(located: LocatedHolder) -> bool:
    return located.organisation is not None and located.organisation.ended_at is not None


# --- no ---


def _unproven(shown: PresentedCredential, located: LocatedHolder) -> Reason:
    if located.missing:
        return Reason.UNKNOWN_ORGANISATION
    if located.view is None and shown.named is not OwnerName.SECRET:
        return Reason.UNKNOWN_ENTITY if shown.named is OwnerName.ENTITY_ID else Reason.UNKNOWN_USER
    return Reason.WRONG_PASSWORD if shown.kind is CredentialKind.PASSWORD else Reason.WRONG_SECRET


async def _refusal(
    request: TokenRequest, located: LocatedHolder, reason: Reason, services: Services
) -> InvalidGrant:
    """Make the one refusal there is; whoever memory knew costs the read that an unknown one costs (TE-09)."""
    if located.view is not None:
        await services.registry.find_user(UserId(request.origin.request_id))
    return InvalidGrant(reason, about=concern_about(located), tail=_tail(request.credential, located, reason))


def concern_about(located: LocatedHolder) -> Concern | None:
    """Say whom a refusal is about; None where nobody was found."""
    match located.view:
        case UserView(home=home, user=user):
            return Concern(home.id, user.id, OwnerKind.USER)
        case EntityView(organisation=organisation, entity=entity):
            return Concern(organisation.id, entity.id, OwnerKind.ENTITY)
        case ClientView(organisation=organisation, client=client):
            return Concern(organisation.id, client.id)
        case None:
            return None


def _tail(shown: PresentedCredential, located: LocatedHolder, reason: Reason) -> str | None:
    """Give the last characters of a secret that nobody can use any more, and of nothing else.

    What is unknown here may be good elsewhere: a token of ours, or another kind of secret in the wrong field.
    """
    text = shown.secret.reveal()
    tail = text[-_TAIL:]
    if shown.named is not OwnerName.SECRET or len(text) < _SHORTEST_WITH_TAIL or not _is_plain(tail):
        return None
    if located.credential is None:
        stray = parse_secret(text) not in {None, shown.kind} or "." in text
        return None if stray else tail
    return tail if reason in _DEAD else None


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isalnum()
