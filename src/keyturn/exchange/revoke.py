"""Revocation: a client gives back a token of its own (RFC 7009)."""

from datetime import datetime
from typing import Any

from keyturn.core.changes import Add, Change, Recorded, Unit
from keyturn.core.errors import InvalidGrant, Unavailable
from keyturn.core.records import AuditEvent, Revocation
from keyturn.core.requests import Proof, Question
from keyturn.core.vocabulary import Reason
from keyturn.exchange.family import end_family
from keyturn.exchange.question import LivingFamily, Subject, find_living, prove_questioner, spend
from keyturn.exchange.recording import refuse_lost
from keyturn.exchange.services import Services
from keyturn.exchange.status import mark_of

ATTEMPTS = 4
"""A family may be renewed in the moment in which it is revoked; the next look finds it as it is then."""


async def revoke(question: Question, services: Services) -> dict[str, Any]:
    """End a token, and with a refresh token its whole family; a dead or unknown one is no error.

    The answer comes after the revocation is durable (RV-03).

    Raises:
        InvalidGrant: The token is another client's (RFC 7009 section 2.1).
        Refusal: The client is not genuine, or the revocation cannot be recorded.
    """
    for _ in range(ATTEMPTS):
        now = services.clock.now()
        proof = await prove_questioner(question, services, now)
        subject = await find_living(question, proof, services, now, newest_only=False)
        if subject is None:
            await spend(question, proof, services, now)
            return {}
        if subject.client_id != proof.client.id:
            raise InvalidGrant(
                Reason.OTHER_CLIENT, "the token was issued to another client", about=proof.about
            )
        outcome = await services.recorder.record(_unit(question, proof, subject, services, now))
        if isinstance(outcome, Recorded):
            return {}
        refuse_lost(outcome, proof)
    raise Unavailable(Reason.LOST_RACE)


def _unit(question: Question, proof: Proof, subject: Subject, services: Services, now: datetime) -> Unit:
    ended, changes = _changes(question, subject, services, now)
    return Unit(
        changes=(*proof.spends, *changes),
        audit=AuditEvent(
            at=now,
            kind="token.revoked",
            actor="client:" + proof.client.id,
            request_id=question.origin.request_id,
            organisation_id=proof.organisation.id,
            subject=ended,
            details={"dialect": question.origin.dialect, "route": question.origin.route},
            personal={"address": question.origin.address},
        ),
    )


def _changes(
    question: Question, subject: Subject, services: Services, now: datetime
) -> tuple[str, tuple[Change, ...]]:
    """Say what ends: the id of the token or family, and the changes that end it."""
    if isinstance(subject, LivingFamily):
        profile = next(item for item in question.accepts if item.kind == subject.family.profile)
        return subject.family.id, end_family(subject.family, profile, "revoked", services, now)
    access = subject.verified
    revocation = Revocation(
        id=access.token_id,
        organisation_id=access.own.organisation_id,
        revoked_at=now,
        expires_at=access.expires_at,
    )
    return access.token_id, (Add(revocation), *mark_of(access))
