"""Introspection: is this token good here, and what does it say (RFC 7662)."""

from datetime import datetime
from typing import Any

from keyturn.core.errors import UnauthorizedClient
from keyturn.core.lasting import LastingFacts, Spelling
from keyturn.core.requests import Proof, Question
from keyturn.core.shapes import QUESTION_FACTS
from keyturn.core.views import UserView
from keyturn.core.vocabulary import INTROSPECT, OwnerKind, Reason
from keyturn.exchange.describe import find_secret
from keyturn.exchange.question import LivingFamily, Subject, find_living, prove_questioner, spend
from keyturn.exchange.services import Services
from keyturn.exchange.standing import find_owner, rest_of_family, rest_of_token

_INACTIVE = dict.fromkeys(QUESTION_FACTS) | {"active": False}


async def introspect(question: Question, services: Services) -> dict[str, Any]:
    """Answer what a token is; whatever is not a good token here is only ``active: false`` (IN-01).

    Raises:
        UnauthorizedClient: The client has no right to ask.
        Refusal: The client is not genuine, or memory is not current.
    """
    now = services.clock_watch.latest(services.clock.now())
    proof = await prove_questioner(question, services, now)
    if INTROSPECT not in proof.client.rights:
        raise UnauthorizedClient(Reason.RIGHT_MISSING, about=proof.about)
    if not question.accepts:
        return await _secret_facts(question, proof, services, now)
    subject = await find_living(question, proof, services, now)
    if proof.spends:
        await spend(question, proof, services, now)
    if subject is None:
        return dict(_INACTIVE)
    if isinstance(subject, LivingFamily):
        return _INACTIVE | _facts(subject) | await _owner_facts(subject, services)
    if subject.facts is None:
        facts = LastingFacts(_INACTIVE | _facts(subject) | await _owner_facts(subject, services))
        facts.spelling = Spelling()
        subject.facts = facts
    return subject.facts


async def _secret_facts(
    question: Question, proof: Proof, services: Services, now: datetime
) -> dict[str, Any]:
    """Answer about an API token, where a contract introspects those and nothing else."""
    found = await find_secret(question, services, now)
    await spend(question, proof, services, now)
    if found is None or found.organisation.id != proof.organisation.id:
        return dict(_INACTIVE)
    return _INACTIVE | {
        "active": True,
        "scope": found.credential.scopes,
        "subject": found.credential.owner_id,
        "organisation.id": found.organisation.id,
        "issued_at": found.credential.life.created_at,
        "expires_at": found.credential.life.expires_at,
    }


async def _owner_facts(subject: Subject, services: Services) -> dict[str, Any]:
    """Say of a user's token who they are in words, and of every token whose it is."""
    if isinstance(subject, LivingFamily):
        rest = rest_of_family(subject.family)
    else:
        rest = rest_of_token(subject.verified)
    owner = (
        await find_owner(rest.kind, rest.subject, services.registry) if rest.kind is OwnerKind.USER else None
    )
    return {
        "username": owner.user.name if isinstance(owner, UserView) else None,
        "organisation.id": rest.organisation_id,
    }


def _facts(subject: Subject) -> dict[str, Any]:
    if isinstance(subject, LivingFamily):
        family = subject.family
        return {
            "active": True,
            "scope": family.scopes,
            "client.id": family.client_id,
            "subject": family.subject,
            "issued_at": family.rotated_at or family.created_at,
            "expires_at": family.ends_at,
        }
    access = subject.verified
    return {
        "active": True,
        "scope": tuple(str(access.claims.get("scope", "")).split()),
        "client.id": subject.client_id,
        "subject": access.subject,
        "audience": access.audiences,
        "issuer": access.issuer,
        "token_id": access.token_id,
        "token_type": "Bearer",
        "issued_at": access.issued_at,
        "expires_at": access.expires_at,
    }
