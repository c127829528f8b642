"""Introspection: is this token good here, and what does it say (RFC 7662)."""

from typing import Any

from keyturn.core.errors import UnauthorizedClient
from keyturn.core.requests import Question
from keyturn.core.shapes import QUESTION_FACTS
from keyturn.core.vocabulary import INTROSPECT, Reason
from keyturn.exchange.policy import concern
from keyturn.exchange.question import LivingFamily, Subject, find_living, prove_asker, spend
from keyturn.exchange.services import Services

_INACTIVE = dict.fromkeys(QUESTION_FACTS) | {"active": False}


async def introspect(question: Question, services: Services) -> dict[str, Any]:
    """Answer what a token is; whatever is not a good token here is only ``active: false`` (IN-01).

    Raises:
        UnauthorizedClient: The client has no right to ask.
        Refusal: The client is not genuine, or memory is not current.
    """
    now = services.clock_watch.latest(services.clock.now())
    proof = await prove_asker(question, services, now)
    if INTROSPECT not in proof.client.rights:
        raise UnauthorizedClient(Reason.RIGHT_MISSING, about=concern(proof))
    subject = await find_living(question, proof, services, now)
    await spend(question, proof, services, now)
    return dict(_INACTIVE) if subject is None else _INACTIVE | _facts(subject)


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
