"""Step 6 as a value: what an issuance saves. No row per access token: only the audit trail grows."""

from datetime import datetime

from keyturn.core.changes import Change, RequireVersion, Touch, Unit
from keyturn.core.records import AuditEvent
from keyturn.core.requests import Decision, IssuedToken, Proof, TokenRequest


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


def still_as_proved(proof: Proof) -> tuple[Change, ...]:
    """Require that nobody has changed what a proof rests on since it was read."""
    records = (
        RequireVersion("organisation", proof.organisation.id, proof.organisation.version),
        RequireVersion("client", proof.client.id, proof.client.version),
    )
    if proof.credential is None:
        return records
    return (*records, RequireVersion("credential", proof.credential.id, proof.credential.version))
