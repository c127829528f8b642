"""What every road to a token shares: how it begins, how often it is walked, and its end.

``issue`` shows the steps between; a road differs in what is located and proved, never in how it ends.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

from keyturn.core.changes import Add, Change, Lost
from keyturn.core.errors import Unavailable
from keyturn.core.requests import Decision, Issued, IssuedToken, TokenRequest
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import OPENID, Reason
from keyturn.exchange.family import open_family
from keyturn.exchange.minting import draft, mint, mint_id_token
from keyturn.exchange.policy import require_current_forms
from keyturn.exchange.recording import details_of, issued, refuse_lost, still_as_proved
from keyturn.exchange.services import Services
from keyturn.exchange.terms import Terms

Attempt = Callable[[TokenRequest, Services], Awaitable[Issued | None]]
"""Walks a road once; None when something it rests on was changed before it could be recorded."""

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
    renewal: tuple[Secret, tuple[Change, ...]] | None = None,
) -> Issued | None:
    """Mint what was decided and record it with all that it uses up; None where the recording lost.

    Args:
        renewal: Of a family that was there before: its refresh token to answer with, and what that changes.
    """
    require_current_forms(request.origin, decision.proof)
    refresh_token, changes = renewal or (None, ())
    if decision.refreshable:
        decision, family, refresh_token = open_family(decision, services, now)
        changes = (*changes, Add(family))
    terms = _terms(request, decision, services)
    services.terms.keep(request, terms)
    return await finish(request, terms, services, now, refresh_token, changes)


def _terms(request: TokenRequest, decision: Decision, services: Services) -> Terms:
    proof = decision.proof
    return Terms(
        decision=decision,
        draft=draft(decision, services),
        rests_on=still_as_proved(proof),
        actor=proof.about.actor,
        details=details_of(request, decision),
    )


async def finish(
    request: TokenRequest,
    terms: Terms,
    services: Services,
    now: datetime,
    refresh_token: Secret | None = None,
    changes: tuple[Change, ...] = (),
) -> Issued | None:
    """Mint on terms that are settled, and record it; None where the recording lost.

    Args:
        refresh_token: To answer with.
        changes: What it changes.
    """
    decision = terms.decision
    facts, signature = await mint(terms.draft, services, now)
    id_token = None
    if request.id_profile is not None and OPENID in decision.scopes:
        id_token = await mint_id_token(decision, request.id_profile, facts, services, now)
    changes = (*decision.proof.spends, *changes)
    if changes:
        await signature  # one that fails must use nothing up (RT-03)
    # Else it may as well be made while the row is written: a row without a token gives nobody anything.
    outcome = await services.recorder.record(issued(request, terms, facts["token_id"], changes, now))
    if isinstance(outcome, Lost):
        refuse_lost(outcome, decision.proof)
        return None
    token = Secret(await signature)
    facts["access_token"] = token
    facts["refresh_token"] = refresh_token
    facts["id_token"] = id_token
    facts["request_id"] = request.origin.request_id
    return Issued(
        decision,
        IssuedToken(facts["token_id"], token, facts["issued_at"], facts["expires_at"], facts["issuer"]),
        facts,
    )
