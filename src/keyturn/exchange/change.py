"""A change of organisation: a living access token of a user becomes one of another organisation of theirs.

The new token rests on the same credential as the old one, which stays good for its own organisation.
"""

from datetime import datetime

import msgspec

from keyturn.core.errors import InvalidGrant
from keyturn.core.records import Organisation
from keyturn.core.requests import Asker, Earlier, Issued, Proof, TokenRequest
from keyturn.core.views import UserView
from keyturn.core.vocabulary import Reason
from keyturn.exchange.admit import admit, admit_holder
from keyturn.exchange.askers import client_of, prove_asker
from keyturn.exchange.bearer import Bearer, prove_bearer
from keyturn.exchange.grants import grant_for
from keyturn.exchange.holders import objection_to, place_of_user
from keyturn.exchange.locate import named_organisation
from keyturn.exchange.policy import decide
from keyturn.exchange.reach import require_alias
from keyturn.exchange.road import begin, conclude, walk
from keyturn.exchange.services import Services


async def change_organisation(request: TokenRequest, services: Services) -> Issued:
    """Exchange a user's access token for one of the organisation that the request names.

    Raises:
        InvalidToken: The presented token is not a good one of ours.
        InsufficientScope: It is of another organisation than the one it was presented for.
        InvalidGrant: The user may not act in the organisation that is wanted, or it is not there.
    """
    return await walk(_attempt, request, services)


async def _attempt(request: TokenRequest, services: Services) -> Issued | None:
    now = begin(services)
    organisation, _ = await named_organisation(request, services.registry)
    await admit(request.origin, services.limits, services.clock.monotonic())
    grant = grant_for(request.grant_type)
    grant.require(request.credential)
    asker = await prove_asker(request, services, now)
    bearer = await prove_bearer(request.credential.secret, request.accepts, services, now)
    own_id = bearer.verified.own.organisation_id
    await require_alias(request.bearer_alias, own_id, bearer.about, services.registry)
    proof = _check_member(request, organisation, asker, bearer, now)
    await admit_holder(proof, services.limits, services.clock.monotonic())
    asked = grant.authorize(request, proof)
    decision = decide(msgspec.structs.replace(asked, earlier=await _earlier(bearer, services, now)))
    return await conclude(request, decision, services, now)


async def _earlier(bearer: Bearer, services: Services, now: datetime) -> Earlier | None:
    """Say what the presented token's family allows: the next one has no more, and ends no later (RT-06)."""
    family_id = bearer.verified.own.family_id
    if family_id is None:
        return None
    family = await services.registry.find_family(family_id)
    if family is None or family.ended_at is not None or now >= family.ends_at:
        raise InvalidGrant(Reason.FAMILY_ENDED, about=bearer.about)
    return Earlier(family.scopes, family.audiences, family.ends_at)


def _check_member(
    request: TokenRequest, wanted: Organisation | None, asker: Asker, bearer: Bearer, now: datetime
) -> Proof:
    """Prove that the token's user may act where they want to, with the credential the token rests on."""
    credential, owner = bearer.credential, bearer.owner
    if not isinstance(owner, UserView) or credential is None:
        raise InvalidGrant(Reason.UNKNOWN_USER, about=bearer.about)
    if wanted is None:
        raise InvalidGrant(Reason.UNKNOWN_ORGANISATION, about=bearer.about)
    place = place_of_user(owner, wanted)
    if isinstance(place, Reason):
        raise InvalidGrant(place, about=bearer.about)
    reason: Reason | None
    if bearer.verified.own.client_id != (None if asker.proof is None else asker.client_id):
        reason = Reason.OTHER_CLIENT
    elif asker.organisation is not None and asker.organisation.id != place.organisation.id:
        reason = Reason.OTHER_ORGANISATION
    else:
        reason = objection_to(request, credential, place, asker, now)
    if reason is not None:
        raise InvalidGrant(reason, about=bearer.about)
    client = client_of(asker, request, place.organisation)
    return Proof(place.organisation, client, credential, asker.spends, place.holder)
