"""Step 6 as a value: what an issuance saves. No row per access token: only the audit trail grows."""

from datetime import datetime

from keyturn.core.changes import Change, Lost, RequireVersion, Touch, Unit
from keyturn.core.errors import Concern, InvalidClient
from keyturn.core.records import AuditEvent
from keyturn.core.requests import Decision, IssuedToken, Proof, Question, TokenRequest
from keyturn.core.vocabulary import Reason


def issued(
    request: TokenRequest,
    decision: Decision,
    token: IssuedToken,
    changes: tuple[Change, ...],
    now: datetime,
) -> Unit:
    """Say what an issuance saves: its audit event and ``changes``, if all it rests on is still as it was."""
    origin, proof = request.origin, decision.proof
    details = {
        "dialect": origin.dialect,
        "route": origin.route,
        "grant": decision.grant_type,
        "credential": decision.basis.credential_id,
        "scope": " ".join(decision.scopes),
    }
    if origin.deprecated:
        details["deprecated"] = " ".join(origin.deprecated)
    return Unit(
        changes=(*still_as_proved(proof), *changes, *first_use(proof, now)),
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


def first_use(proof: Proof, now: datetime) -> tuple[Touch, ...]:
    """Note the day of a credential's use, once: the day's later uses save nothing."""
    used = proof.credential
    if used is None or (used.last_used_on is not None and used.last_used_on >= now.date()):
        return ()
    return (Touch(used.organisation_id, used.owner_id, used.id, now.date()),)


def refuse_replay(lost: Lost, proof: Proof) -> None:
    """Refuse where a unit lost because what it spends was spent before: trying again can only lose again.

    Raises:
        InvalidClient: The assertion was used before (TE-06).
    """
    if lost.change in proof.spends:
        about = Concern(proof.organisation.id, proof.client.id)
        raise InvalidClient(Reason.ASSERTION_REPLAYED, about=about)


def asked(question: Question, proof: Proof, now: datetime) -> Unit:
    """Say what a question saves that changes nothing else: what its asker's proof spends."""
    return Unit(
        changes=proof.spends,
        audit=AuditEvent(
            at=now,
            kind="client.authenticated",
            actor="client:" + proof.client.id,
            request_id=question.origin.request_id,
            organisation_id=proof.organisation.id,
            subject=proof.client.id,
            details={"dialect": question.origin.dialect, "route": question.origin.route},
            personal={"address": question.origin.address},
        ),
    )


def still_as_proved(proof: Proof) -> tuple[Change, ...]:
    """Require that nobody has changed what a proof rests on since it was read."""
    records = (
        RequireVersion("organisation", proof.organisation.id, proof.organisation.version),
        RequireVersion("client", proof.client.id, proof.client.version),
    )
    if proof.credential is None:
        return records
    return (*records, RequireVersion("credential", proof.credential.id, proof.credential.version))
