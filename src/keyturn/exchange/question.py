"""The question's road: who asks, is it genuine, what is the token they ask about (RFC 7662, RFC 7009)."""

from datetime import datetime

import msgspec

from keyturn.core.changes import Lost
from keyturn.core.errors import InvalidClient
from keyturn.core.records import RefreshFamily
from keyturn.core.requests import Proof, Question
from keyturn.core.vocabulary import ClientId, Reason
from keyturn.exchange.admit import admit, admit_client
from keyturn.exchange.askers import prove_located
from keyturn.exchange.credentials import is_remembered
from keyturn.exchange.living import LivingToken
from keyturn.exchange.locate import locate, locate_family
from keyturn.exchange.recording import asked, refuse_lost
from keyturn.exchange.services import Services
from keyturn.exchange.standing import family_ending, is_revoked, outdated_by, rest_of_token
from keyturn.tokens.verify import VerifiedClaims


class LivingFamily(msgspec.Struct, frozen=True):
    """A refresh family one of whose tokens was shown."""

    client_id: ClientId
    family: RefreshFamily


Subject = LivingToken | LivingFamily


async def prove_questioner(question: Question, services: Services, now: datetime) -> Proof:
    """Authenticate the client that asks, like any other client (RFC 7662 section 2.1).

    Raises:
        Refusal: It is not who it claims, or asks too often.
    """
    services.registry.require_fresh()
    if question.client is None:
        raise InvalidClient(Reason.NO_CREDENTIAL)
    await admit(question.origin, services.limits, services.clock.monotonic())
    profile = question.accepts[0] if question.accepts else None
    located = await locate(question.client, question.organisation, services.registry)
    proof = await prove_located(question.client, located, profile, question.origin, services, now)
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
            refuse_lost(outcome, proof)


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
        # A family of another contract is no more this question's than its access tokens are (TK-08).
        accepted = family.profile in {profile.kind for profile in question.accepts}
        if not known or not accepted or family.organisation_id != proof.organisation.id:
            return None
        if await family_ending(family, services.registry, now) is not None:
            return None
        return LivingFamily(family.client_id, family)
    verified = await services.own_tokens.verify(question.token, question.accepts, proof.organisation, now)
    if verified is None or verified.own.organisation_id != proof.organisation.id:
        return None
    return await _living(verified, services, now)


async def _living(verified: VerifiedClaims, services: Services, now: datetime) -> LivingToken | None:
    """Give a proved token if it is alive; what it rests on is looked through anew unless it is known."""
    registry, known = services.registry, services.living
    if is_revoked(verified, registry, services.revocations):
        return None
    token = known.find(verified, registry, now)
    if token is not None:
        return token
    before = registry.remembered_client(ClientId(verified.subject))
    if await outdated_by(rest_of_token(verified), registry, now) is not None:
        return None
    token = LivingToken(verified)
    # A view that was read meanwhile may be a later one than what was looked at.
    if registry.remembered_client(ClientId(verified.subject)) is before:
        known.keep(token, before)
    return token
