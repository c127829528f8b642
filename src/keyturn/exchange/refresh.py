"""Renewal: a refresh token goes in, a fresh access token and the next refresh token come out.

The same road as ``issue``, but what is presented is judged by its family's rule (``core/refresh.py``), and a
refusal may have a consequence: a replayed token ends its family, committed with the refusal's audit event.
"""

from datetime import datetime, timedelta

from keyturn.core.changes import Change, Lost, Replace, RequireVersion
from keyturn.core.errors import InvalidGrant, Unavailable
from keyturn.core.records import RefreshFamily
from keyturn.core.refresh import RefreshToken, Verdict, judge
from keyturn.core.requests import Issued, Proof, TokenRequest
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import Reason
from keyturn.exchange.admit import admit, admit_client
from keyturn.exchange.audiences import assertion_audiences
from keyturn.exchange.credentials import check_client, check_family
from keyturn.exchange.family import end_family, same_again, succeed
from keyturn.exchange.grants import authorize_refresh, require_refresh_token
from keyturn.exchange.locate import locate, locate_family
from keyturn.exchange.minting import mint
from keyturn.exchange.policy import concern, decide
from keyturn.exchange.recording import issued, refuse_replay
from keyturn.exchange.services import Services
from keyturn.exchange.standing import outdated_by

ATTEMPTS = 4
"""Racers lose to the one that rotates, then find its successor; who loses this often is refused for now."""


async def refresh(request: TokenRequest, services: Services) -> Issued:
    """Exchange a refresh token for an access token and the family's next refresh token.

    Raises:
        Refusal: Any step says no; a refresh that is refused or fails uses nothing up (RT-03).
    """
    for _ in range(ATTEMPTS):
        done = await _attempt(request, services)
        if done is not None:
            return done
    raise Unavailable(Reason.LOST_RACE)


async def _attempt(request: TokenRequest, services: Services) -> Issued | None:
    """Walk the road once; None when another use of the family was recorded first."""
    now = services.clock.now()
    services.clock_watch.require_sound(now)
    services.registry.require_fresh()
    located = await locate(request.client, request.organisation, services.registry)
    held = await locate_family(request.credential.secret, services.registry, services.digester)
    await admit(request.origin, services.limits, services.clock.monotonic())
    require_refresh_token(request.credential)
    audiences = assertion_audiences(request.client, located, request.profile, services)
    proof = check_client(request.client, located, request.origin.dialect, services.digester, now, audiences)
    await admit_client(proof, services.limits, services.clock.monotonic())
    presented = request.credential.secret
    token, family = check_family(presented, held, proof, request.profile.kind, services.digester, now)
    if (
        located.view is None
        or outdated_by(family.credential_id, family.epochs, located.view, now) is not None
    ):
        raise InvalidGrant(Reason.FAMILY_OUTDATED, about=concern(proof))
    decision = decide(authorize_refresh(request, proof, family))
    successor, changes = _turn(token, family, request, proof, services, now)
    access_token, facts = await mint(decision, services, now)
    changes = (*proof.spends, *changes)
    outcome = await services.recorder.record(issued(request, decision, access_token, changes, now))
    if isinstance(outcome, Lost):
        refuse_replay(outcome, proof)
        return None
    facts.update(
        access_token=access_token.value, refresh_token=successor, request_id=request.origin.request_id
    )
    return Issued(decision, access_token, facts)


def _turn(
    token: RefreshToken,
    family: RefreshFamily,
    request: TokenRequest,
    proof: Proof,
    services: Services,
    now: datetime,
) -> tuple[Secret, tuple[Change, ...]]:
    """Carry out the family's verdict: the refresh token to answer with, and what that changes.

    Raises:
        InvalidGrant: A used token came back too late; the family ends with the refusal (RT-02).
    """
    profile, presented = request.profile, request.credential.secret
    setting = proof.organisation.setting
    unchanged = (RequireVersion("refresh_family", family.id, family.version),)
    grace = timedelta(
        seconds=setting(profile.dialect, "refresh_grace_seconds", profile.refresh_grace_seconds)
    )
    verdict = judge(family, token.generation, now, grace)
    if verdict is Verdict.REPLAYED:
        raise InvalidGrant(
            Reason.REFRESH_TOKEN_REPLAYED,
            about=concern(proof),
            consequence=end_family(family, profile, "replayed", services, now),
        )
    if verdict is Verdict.REPEAT:
        return same_again(family, presented), unchanged
    if setting(profile.dialect, "refresh_mode", profile.refresh_mode) == "reuse":
        return presented, unchanged
    turned, successor = succeed(family, presented, services, now)
    return successor, (Replace(turned, family.version),)
