"""The exchange: a credential goes in, a short-lived token comes out. The page to read first."""

from keyturn.core.changes import Add, Lost
from keyturn.core.errors import Unavailable
from keyturn.core.requests import Issued, TokenRequest
from keyturn.core.vocabulary import Reason
from keyturn.exchange.admit import admit, admit_client
from keyturn.exchange.audiences import assertion_audiences
from keyturn.exchange.credentials import check_client
from keyturn.exchange.family import open_family
from keyturn.exchange.grants import grant_for
from keyturn.exchange.locate import locate
from keyturn.exchange.minting import mint
from keyturn.exchange.policy import decide
from keyturn.exchange.recording import issued, refuse_replay
from keyturn.exchange.services import Services

ATTEMPTS = 3
"""An operator's edit may race with an exchange now and then; two in a row with one exchange are an attack."""


async def issue(request: TokenRequest, services: Services) -> Issued:
    """Exchange a presented credential for a token, recorded before it is returned.

    Raises:
        Refusal: Any step says no; nothing was issued and nothing was spent.
    """
    for _ in range(ATTEMPTS):
        done = await _attempt(request, services)
        if done is not None:
            return done
    raise Unavailable(Reason.LOST_RACE)


async def _attempt(request: TokenRequest, services: Services) -> Issued | None:
    """Walk the road once; None when something it rests on was changed before it could be recorded."""
    now = services.clock.now()
    services.clock_watch.require_sound(now)
    services.registry.require_fresh()
    located = await locate(request.client, request.organisation, services.registry)
    await admit(request.origin, services.limits, services.clock.monotonic())
    grant = grant_for(request.grant_type)
    grant.require(request.credential)
    audiences = assertion_audiences(request.client, located, request.profile, services)
    proof = check_client(request.client, located, request.origin.dialect, services.digester, now, audiences)
    await admit_client(proof, services.limits, services.clock.monotonic())
    decision = decide(grant.authorize(request, proof))
    refresh_token, changes = None, proof.spends
    if decision.refreshable:
        decision, family, refresh_token = open_family(decision, services, now)
        changes = (*changes, Add(family))
    token, facts = await mint(decision, services, now)
    outcome = await services.recorder.record(issued(request, decision, token, changes, now))
    if isinstance(outcome, Lost):
        refuse_replay(outcome, proof)
        return None
    facts.update(access_token=token.value, refresh_token=refresh_token, request_id=request.origin.request_id)
    return Issued(decision, token, facts)
