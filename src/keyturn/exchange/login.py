"""The exchange for users and entities: what they hold goes in, a token that says who they are comes out.

The same road as ``issue``, with three steps more: somebody asks in their name, guesses at what people
remember are counted before they are checked, and a second factor may be due.
"""

from datetime import datetime

from keyturn.core.requests import Asker, Issued, LocatedHolder, Proof, TokenRequest
from keyturn.exchange.admit import admit, admit_holder
from keyturn.exchange.askers import prove_asker
from keyturn.exchange.grants import grant_for
from keyturn.exchange.holders import check_holder
from keyturn.exchange.known import shown_words
from keyturn.exchange.locate import locate_holder
from keyturn.exchange.passcodes import admit_guess, check_passcode, forgive
from keyturn.exchange.policy import decide
from keyturn.exchange.road import begin, conclude, finish, walk
from keyturn.exchange.services import Services


async def log_in(request: TokenRequest, services: Services) -> Issued:
    """Exchange a user's or an entity's credential for a token, recorded before it is returned.

    Raises:
        Refusal: Any step says no; nothing was issued and nothing was spent but the attempt.
    """
    return await walk(_attempt, request, services)


async def _attempt(request: TokenRequest, services: Services) -> Issued | None:
    now = begin(services)
    words = shown_words(request)
    proof = await services.holders.recall(words, services.registry, now)
    located = LocatedHolder(None)
    if proof is None:
        located = await locate_holder(request, services.registry, services.digester)
    await admit(request.origin, services.limits, services.clock.monotonic())
    grant = grant_for(request.grant_type)
    grant.require(request.credential)
    asker = await prove_asker(request, services, now)
    if proof is None:
        proof = await _prove(request, located, asker, services, now)
        services.holders.keep(words, located.view, proof)
    await admit_holder(proof, services.limits, services.clock.monotonic())
    terms = services.terms.find(request, proof)
    if terms is not None:
        return await finish(request, terms, services, now)
    decision = decide(grant.authorize(request, proof))
    return await conclude(request, decision, services, now)


async def _prove(
    request: TokenRequest, located: LocatedHolder, asker: Asker, services: Services, now: datetime
) -> Proof:
    tickets = await admit_guess(request, located, services, now)
    proof = await check_holder(request, located, asker, services, now)
    proof = check_passcode(request, located, proof, services, now)
    await forgive(tickets, services, now)
    return proof
