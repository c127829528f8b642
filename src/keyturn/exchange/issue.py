"""The exchange: a credential goes in, a short-lived token comes out. The page to read first.

Here a client asks in its own name; ``login`` is the same road for users and entities.
"""

from collections.abc import Coroutine
from typing import Any

from keyturn.core.requests import Issued, TokenRequest
from keyturn.exchange.admit import admit, admit_client
from keyturn.exchange.askers import prove_located
from keyturn.exchange.grants import grant_for
from keyturn.exchange.locate import locate
from keyturn.exchange.policy import decide
from keyturn.exchange.reach import require_own_organisation
from keyturn.exchange.road import begin, conclude, finish, walk
from keyturn.exchange.services import Services


def issue(request: TokenRequest, services: Services) -> Coroutine[Any, Any, Issued]:
    """Exchange a presented credential for a token, recorded before it is returned.

    Raises:
        Refusal: Any step says no; nothing was issued and nothing was spent.
    """
    return walk(_attempt, request, services)


async def _attempt(request: TokenRequest, services: Services) -> Issued | None:
    now = begin(services)
    located = await locate(request.client, request.organisation, services.registry)
    await admit(request.origin, services.limits, services.clock.monotonic())
    grant = grant_for(request.grant_type)
    grant.require(request.credential)
    proof = await prove_located(request.client, located, request.profile, request.origin, services, now)
    await admit_client(proof, services.limits, services.clock.monotonic())
    if request.organisation_alias is not None:
        await require_own_organisation(request.organisation_alias, proof, services.registry)
    terms = services.terms.find(request, proof)
    if terms is not None:
        return await finish(request, terms, services, now)
    decision = decide(grant.authorize(request, proof))
    return await conclude(request, decision, services, now)
