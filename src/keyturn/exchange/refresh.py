"""Renewal: a refresh token goes in, a fresh access token and the next refresh token come out.

The same road as ``issue``, but what is presented is judged by its family's rule (``core/refresh.py``), and a
refusal may have a consequence: a replayed token ends its family, committed with the refusal's audit event.
"""

from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any

from keyturn.core.changes import Change, RequireVersion
from keyturn.core.errors import Concern, InvalidGrant
from keyturn.core.records import RefreshFamily
from keyturn.core.refresh import Verdict, judge
from keyturn.core.refresh_token import RefreshToken
from keyturn.core.requests import Asker, Issued, Member, Proof, TokenRequest
from keyturn.core.vocabulary import OwnerKind, Reason, UserId
from keyturn.exchange.admit import admit, admit_holder
from keyturn.exchange.askers import client_of, prove_asker
from keyturn.exchange.credentials import check_family
from keyturn.exchange.family import end_family, succeed
from keyturn.exchange.grants import authorize_refresh, require_refresh_token
from keyturn.exchange.holders import Place, objection_to
from keyturn.exchange.known import renewed_words
from keyturn.exchange.locate import locate_family, named_organisation, recall_family
from keyturn.exchange.policy import decide
from keyturn.exchange.road import Renewal, Rotation, begin, conclude, finish, walk
from keyturn.exchange.services import Services
from keyturn.exchange.standing import outdated_by, rest_of_family
from keyturn.exchange.successor import same_successor

ATTEMPTS = 4
"""Racers lose to the one that rotates, then find its successor; who loses this often is refused for now."""


def refresh(request: TokenRequest, services: Services) -> Coroutine[Any, Any, Issued]:
    """Exchange a refresh token for an access token and the family's next refresh token.

    Raises:
        Refusal: Any step says no; a refresh that is refused or fails uses nothing up (RT-03).
    """
    return walk(_attempt, request, services, ATTEMPTS)


async def _attempt(request: TokenRequest, services: Services) -> Issued | None:
    now = begin(services)
    presented, digester = request.credential.secret, services.digester
    held = recall_family(presented, services.registry, digester)
    if held is None:
        held = await locate_family(presented, services.registry, digester)
    await admit(request.origin, services.limits, services.clock.monotonic())
    require_refresh_token(request.credential)
    asker = await prove_asker(request, services, now)
    token, family = check_family(presented, held, asker, request.profile.kind, digester, now)
    if asker.proof is not None and _is_same(asker.proof, request, family):
        proof = asker.proof
    else:
        proof = await _prove_owner(request, family, asker, services, now)
    if proof.holder is not None:
        await admit_holder(proof, services.limits, services.clock.monotonic())
    renewal = _turn(token, family, request, proof, services, now)
    terms = services.terms.find(request, proof, family)
    if terms is not None:
        return await finish(request, terms, services, now, renewal)
    decision = decide(authorize_refresh(request, proof, family))
    return await conclude(request, decision, services, now, renewal)


async def _prove_owner(
    request: TokenRequest, family: RefreshFamily, asker: Asker, services: Services, now: datetime
) -> Proof:
    """Prove that all a family rests on is in force, as at its birth (TE-10).

    Raises:
        InvalidGrant: It is not, or the request names another organisation.
    """
    words = renewed_words(request, family)
    known = await services.holders.recall(words, services.registry, now)
    if known is not None:
        return known
    about = Concern(family.organisation_id, family.subject, family.owner_kind)
    owner = None
    if family.owner_kind is OwnerKind.USER:
        # Read first: a later view may have epochs that the family was never compared with.
        owner = await services.registry.find_user(UserId(family.subject))
    if await outdated_by(rest_of_family(family), services.registry, now) is not None:
        raise InvalidGrant(Reason.FAMILY_OUTDATED, about=about)
    named, in_vain = await named_organisation(request, services.registry)
    if in_vain or (named is not None and named.id != family.organisation_id):
        raise InvalidGrant(Reason.OTHER_ORGANISATION, about=about)
    if family.owner_kind is OwnerKind.CLIENT and asker.proof is not None:
        return asker.proof
    place = None if owner is None else owner.place_in(family.organisation_id)
    if owner is None or place is None:
        raise InvalidGrant(Reason.FAMILY_OUTDATED, about=about)
    organisation, membership = place
    held = next((item for item in owner.credentials if item.id == family.credential_id), None)
    if held is None:
        raise InvalidGrant(Reason.FAMILY_OUTDATED, about=about)
    member = Member(owner.user, membership, owner.home)
    reason = objection_to(request, held, Place(organisation, member), asker, now)
    if reason is not None:
        raise InvalidGrant(reason, about=about)
    proof = Proof(organisation, client_of(asker, request, organisation), held, asker.spends, member)
    services.holders.keep(words, owner, proof)
    return proof


def _is_same(proof: Proof, request: TokenRequest, family: RefreshFamily) -> bool:
    """Tell whether a client renews what it got for the credential that it has just proved, unchanged since.

    Then all that the family rests on was found in force with the proof; and the proof is of the organisation
    that the path names, which is the family's.
    """
    held = proof.credential
    return (
        held is not None
        and held.id == family.credential_id
        and proof.client.id == family.subject
        and family.owner_kind is OwnerKind.CLIENT
        and family.epochs == (proof.organisation.epoch, proof.client.epoch, held.epoch)
        and request.organisation_alias is None
    )


def _turn(
    token: RefreshToken,
    family: RefreshFamily,
    request: TokenRequest,
    proof: Proof,
    services: Services,
    now: datetime,
) -> Renewal | Rotation:
    """Carry out the family's verdict: the refresh token to answer with, and what that changes.

    Raises:
        InvalidGrant: A used token came back too late; the family ends with the refusal (RT-02).
    """
    profile, presented = request.profile, request.credential.secret
    setting = proof.organisation.setting
    grace = timedelta()
    if token.generation < family.generation:
        seconds = setting(profile.dialect, "refresh_grace_seconds", profile.refresh_grace_seconds)
        grace = timedelta(seconds=seconds)
    verdict = judge(family, token.generation, now, grace)
    if verdict is Verdict.REPLAYED:
        raise InvalidGrant(
            Reason.REFRESH_TOKEN_REPLAYED,
            about=proof.about,
            consequence=end_family(family, profile, "replayed", services, now),
        )
    if verdict is Verdict.REPEAT:
        return Renewal(family, same_successor(family, presented, services), _unchanged(family))
    if setting(profile.dialect, profile.refresh_mode_setting, profile.refresh_mode) == "reuse":
        return Renewal(family, presented, _unchanged(family))
    return Rotation(family, services.company.do(succeed, family, presented, services, now))


def _unchanged(family: RefreshFamily) -> tuple[Change, ...]:
    return (RequireVersion("refresh_family", family.id, family.version),)
