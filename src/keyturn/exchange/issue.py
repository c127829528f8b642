"""The exchange: a credential goes in, a short-lived token comes out. The page to read first."""

from datetime import datetime

from keyturn.core.changes import Recorded, RequireVersion, Unit
from keyturn.core.errors import Unavailable
from keyturn.core.records import AuditEvent
from keyturn.core.requests import Decision, Issued, IssuedToken, TokenRequest
from keyturn.core.vocabulary import Reason
from keyturn.exchange.admit import admit
from keyturn.exchange.credentials import check_credential
from keyturn.exchange.grants import grant_for
from keyturn.exchange.locate import locate
from keyturn.exchange.minting import mint
from keyturn.exchange.policy import decide
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
    services.registry.require_fresh()
    located = await locate(request, services.registry)
    admit(request, located, services.limits, services.clock.monotonic())
    grant = grant_for(request.grant_type)
    grant.require(request.credential)
    proof = check_credential(request, located, services.digester, now)
    decision = decide(grant.authorize(request, proof))
    token, facts = await mint(decision, request.profile, services, now)
    outcome = await services.recorder.record(issued(request, decision, token, now))
    if not isinstance(outcome, Recorded):
        return None
    facts.update(access_token=token.value, request_id=request.origin.request_id)
    return Issued(decision, token, facts)


def issued(request: TokenRequest, decision: Decision, token: IssuedToken, now: datetime) -> Unit:
    """Say what an issuance saves: its audit event, and nothing unless all it rests on is still as it was.

    No row per access token: the trail is the only thing that grows with traffic.
    """
    proof, origin = decision.proof, request.origin
    details = {
        "dialect": origin.dialect,
        "route": origin.route,
        "grant": decision.grant_type,
        "credential": proof.credential.id,
        "scope": " ".join(decision.scopes),
    }
    if origin.deprecated:
        details["deprecated"] = " ".join(origin.deprecated)
    return Unit(
        changes=(
            RequireVersion("organisation", proof.organisation.id, proof.organisation.version),
            RequireVersion("client", proof.client.id, proof.client.version),
            RequireVersion("credential", proof.credential.id, proof.credential.version),
        ),
        audit=AuditEvent(
            at=now,
            kind="token.issued",
            actor="client:" + proof.client.id,
            request_id=origin.request_id,
            organisation_id=proof.organisation.id,
            subject=token.id,
            details=details,
            personal={"address": origin.address},
        ),
    )
