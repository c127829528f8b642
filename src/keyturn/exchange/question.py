"""The question's road: who asks, is it genuine, what is the token they ask about (RFC 7662, RFC 7009)."""

from datetime import datetime

import msgspec

from keyturn.core.changes import Lost
from keyturn.core.records import RefreshFamily
from keyturn.core.requests import Proof, Question
from keyturn.core.vocabulary import ClientId
from keyturn.exchange.admit import admit, admit_client
from keyturn.exchange.audiences import assertion_audiences
from keyturn.exchange.credentials import check_client, is_remembered
from keyturn.exchange.locate import locate, locate_family
from keyturn.exchange.recording import asked, refuse_replay
from keyturn.exchange.services import Services
from keyturn.exchange.standing import ending_of, family_ending
from keyturn.tokens.verify import VerifiedClaims


class LivingToken(msgspec.Struct, frozen=True):
    """An access token that is good now."""

    client_id: ClientId
    verified: VerifiedClaims


class LivingFamily(msgspec.Struct, frozen=True):
    """A refresh family one of whose tokens was shown."""

    client_id: ClientId
    family: RefreshFamily


Subject = LivingToken | LivingFamily


async def prove_asker(question: Question, services: Services, now: datetime) -> Proof:
    """Authenticate the client that asks, like any other client (RFC 7662 section 2.1).

    Raises:
        Refusal: It is not who it claims, or asks too often.
    """
    services.registry.require_fresh()
    located = await locate(question.client, question.organisation, services.registry)
    await admit(question.origin, services.limits, services.clock.monotonic())
    audiences = assertion_audiences(question.client, located, question.accepts[0], services)
    dialect = question.origin.dialect
    proof = check_client(question.client, located, dialect, services.digester, now, audiences)
    await admit_client(proof, services.limits, services.clock.monotonic())
    services.uses.note(question, proof, services.recorder, now)
    return proof


async def spend(question: Question, proof: Proof, services: Services, now: datetime) -> None:
    """Spend what the asker's proof uses up, before a question is answered that records nothing else.

    Raises:
        InvalidClient: It was used before.
        Unavailable: It cannot be recorded, so nothing may be answered.
    """
    if proof.spends:
        outcome = await services.recorder.record(asked(question, proof, now))
        if isinstance(outcome, Lost):
            refuse_replay(outcome, proof)


async def find_living(
    question: Question, proof: Proof, services: Services, now: datetime, *, newest_only: bool = True
) -> Subject | None:
    """Find the token a question is about, if it is alive and of the asker's organisation; None otherwise.

    The hint of its type is not needed: a refresh token looks like nothing else (RFC 7009 section 2.1).

    Args:
        newest_only: Whether a refresh token that was used is nothing any more. Whoever revokes may hold only
            a used one, since the answer with its successor was lost.
    """
    held = await locate_family(question.token, services.registry, services.digester)
    if held is not None:
        token, family = held
        fits = token.generation == family.generation or not newest_only
        known = fits and is_remembered(question.token, token, family, services.digester)
        view = await services.registry.find_client(family.client_id) if known else None
        if view is None or family.organisation_id != proof.organisation.id:
            return None
        if family_ending(family, view, now) is not None:
            return None
        return LivingFamily(family.client_id, family)
    verified = await services.own_tokens.verify(question.token, question.accepts, proof.organisation, now)
    if verified is None or verified.own.organisation_id != proof.organisation.id:
        return None
    if await ending_of(verified, services.registry, services.revocations, now) is not None:
        return None
    return LivingToken(ClientId(str(verified.claims.get("client_id", verified.subject))), verified)
