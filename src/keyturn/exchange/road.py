"""What every road to a token shares: how it begins, how often it is walked, and its end.

``issue`` shows the steps between; a road differs in what is located and proved, never in how it ends.
"""

from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Any

import msgspec

from keyturn.core.changes import Add, Change, Lost, Rotate
from keyturn.core.errors import Unavailable
from keyturn.core.records import RefreshFamily
from keyturn.core.requests import Decision, Issued, IssuedToken, TokenRequest
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import OPENID, Reason
from keyturn.exchange.family import open_family
from keyturn.exchange.minting import draft, ended_in, mint, mint_id_token, of_family
from keyturn.exchange.policy import require_current_forms
from keyturn.exchange.recording import details_of, issued, preferred, refuse_lost, still_as_proved
from keyturn.exchange.services import Services
from keyturn.exchange.status import Place, Places
from keyturn.exchange.terms import Terms

Attempt = Callable[[TokenRequest, Services], Awaitable[Issued | None]]
"""Walks a road once; None when something it rests on was changed before it could be recorded."""


class Renewal(msgspec.Struct, frozen=True):
    """What a token's refresh family has to do with it.

    Args:
        family: As it was found, or as it begins.
        token: The refresh token to answer with.
        changes: What the family's part of the record is.
    """

    family: RefreshFamily
    token: Secret
    changes: tuple[Change, ...]


class Rotation(msgspec.Struct, frozen=True):
    """The same where the family rotates: its next token is made in company, beside the signature.

    Args:
        family: As it was found.
        turned: As it will be, and its next token.
    """

    family: RefreshFamily
    turned: Awaitable[tuple[RefreshFamily, Secret]]


ATTEMPTS = 3
"""An operator's edit may race with an exchange now and then; two in a row with one exchange are an attack."""


async def walk(
    attempt: Attempt, request: TokenRequest, services: Services, attempts: int = ATTEMPTS
) -> Issued:
    """Walk a road until it is recorded.

    Raises:
        Refusal: A step says no; nothing was issued.
        Unavailable: Each time, something was changed first.
    """
    for _ in range(attempts):
        done = await attempt(request, services)
        if done is not None:
            return done
    raise Unavailable(Reason.LOST_RACE)


def begin(services: Services) -> datetime:
    """Give the instant of an operation that may issue, if the clock and what memory holds can be trusted.

    Raises:
        Unavailable: One of them cannot (HT-09).
    """
    now = services.clock.now()
    services.clock_watch.require_sound(now)
    services.registry.require_fresh()
    return now


async def conclude(
    request: TokenRequest,
    decision: Decision,
    services: Services,
    now: datetime,
    renewal: Renewal | Rotation | None = None,
) -> Issued | None:
    """Mint what was decided and record it with all that it uses up; None where the recording lost.

    Args:
        renewal: Of a family that was there before.
    """
    require_current_forms(request, decision.proof)
    terms = _terms(request, decision, services)
    services.terms.keep(request, terms, None if renewal is None else renewal.family)
    return await finish(request, terms, services, now, renewal)


def _terms(request: TokenRequest, decision: Decision, services: Services) -> Terms:
    proof = decision.proof
    return Terms(
        decision=decision,
        draft=draft(decision, services),
        rests_on=still_as_proved(proof),
        notes=preferred(decision),
        actor=proof.about.actor,
        details=details_of(request, decision),
    )


def finish(
    request: TokenRequest,
    terms: Terms,
    services: Services,
    now: datetime,
    renewal: Renewal | Rotation | None = None,
) -> Coroutine[Any, Any, Issued | None]:
    """Mint on terms that are settled, and record it; None where the recording lost.

    Args:
        renewal: Of a family that was there before.
    """
    if terms.decision.refreshable:
        family, token = open_family(terms.decision, services, now)
        renewal = Renewal(family, token, (Add(family),))
    if services.places is None or not terms.decision.profile.has_status:
        return _recorded(request, terms, services, now, renewal)
    return _placed(request, terms, services, services.places, now, renewal)


async def _placed(
    request: TokenRequest,
    terms: Terms,
    services: Services,
    places: Places,
    now: datetime,
    renewal: Renewal | Rotation | None,
) -> Issued | None:
    """Take a place in a status list, and let others use what was recorded with it."""
    place = await places.take(_of_family(terms.decision, renewal), now)
    done = None
    try:
        done = await _recorded(request, terms, services, now, renewal, place)
    finally:
        place.settle(kept=done is not None)
    return done


def _of_family(decision: Decision, renewal: Renewal | Rotation | None) -> Decision:
    return decision if renewal is None else of_family(decision, renewal.family.id)


async def _recorded(
    request: TokenRequest,
    terms: Terms,
    services: Services,
    now: datetime,
    renewal: Renewal | Rotation | None,
    place: Place | None = None,
) -> Issued | None:
    """Mint what the terms say, at its place in a status list, and record it."""
    decision, written = terms.decision, terms.draft
    ended = written.ended if renewal is None else ended_in(written, renewal.family.id)
    facts, signature = await mint(written, ended, services, now, None if place is None else place.claim)
    id_token = None
    if request.id_profile is not None and OPENID in decision.scopes:
        id_token = await mint_id_token(
            _of_family(decision, renewal), request.id_profile, facts, services, now
        )
    if isinstance(renewal, Rotation):
        turned, successor = await renewal.turned
        renewal = Renewal(renewal.family, successor, (Rotate(turned),))
    changes = (*decision.proof.spends, *(renewal.changes if renewal else ()))
    if place is not None:
        changes = (*place.changes, *changes)
    if changes:
        await signature  # one that fails must use nothing up (RT-03)
    # Else it may as well be made while the row is written: a row without a token gives nobody anything.
    outcome = await services.recorder.record(issued(request, terms, facts["token_id"], changes, now))
    if isinstance(outcome, Lost):
        refuse_lost(outcome, decision.proof)
        return None
    token = Secret(await signature)
    services.own_tokens.note(token)
    facts["access_token"] = token
    facts["refresh_token"] = None if renewal is None else renewal.token
    facts["id_token"] = id_token
    facts["request_id"] = request.origin.request_id
    return Issued(
        decision,
        IssuedToken(facts["token_id"], token, facts["issued_at"], facts["expires_at"], facts["issuer"]),
        facts,
    )
