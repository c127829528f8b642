"""Step 6 as a value: what an issuance saves. No row per access token: only the audit trail grows."""

from datetime import datetime

from keyturn.core.changes import Add, Change, Lost, Prefer, RequireVersion, Touch, Unit
from keyturn.core.errors import Concern, Conflict, InvalidClient
from keyturn.core.life import State
from keyturn.core.records import AuditEvent, Credential, Organisation
from keyturn.core.requests import Decision, Member, Proof, Question, TokenRequest
from keyturn.core.vocabulary import API_TOKEN, REFRESH_TOKEN, CredentialKind, Reason, TokenId
from keyturn.exchange.terms import Terms


def issued(
    request: TokenRequest, terms: Terms, token_id: TokenId, changes: tuple[Change, ...], now: datetime
) -> Unit:
    """Say what an issuance saves: its audit event and ``changes``, if all it rests on is still as it was."""
    origin, decision = request.origin, terms.decision
    more = (*changes, *first_use(decision.proof, now), *terms.notes)
    return Unit(
        changes=(*terms.rests_on, *more) if more else terms.rests_on,
        audit=AuditEvent(
            at=now,
            kind="token.issued",
            actor=terms.actor,
            request_id=origin.request_id,
            organisation_id=decision.proof.organisation.id,
            subject=token_id,
            details=terms.details,
            personal={"address": origin.address},
        ),
    )


def details_of(request: TokenRequest, decision: Decision) -> dict[str, str]:
    """Say what the audit trail keeps of what was asked and decided."""
    origin = request.origin
    details = {
        "dialect": origin.dialect,
        "route": origin.route,
        "grant": decision.grant_type,
        "credential": decision.basis.credential_id,
        "scope": " ".join(decision.scopes),
    }
    if origin.deprecated:
        details["deprecated"] = " ".join(origin.deprecated)
    return details


def first_use(proof: Proof, now: datetime) -> tuple[Touch, ...]:
    """Note the day of a credential's use, once: the day's later uses save nothing."""
    used = proof.credential
    if used is None or (used.last_used_on is not None and used.last_used_on >= now.date()):
        return ()
    return (Touch(used.organisation_id, used.owner_id, used.id, now.date()),)


def preferred(decision: Decision) -> tuple[Prefer, ...]:
    """Note where a user was last issued a token; an API token is good in one place and says nothing of it."""
    organisation, holder = decision.proof.organisation, decision.proof.holder
    if not isinstance(holder, Member) or decision.grant_type in {API_TOKEN, REFRESH_TOKEN}:
        return ()
    if holder.user.last_organisation_id == organisation.id:
        return ()
    return (Prefer(holder.user.id, holder.home.id, organisation.id),)


def refuse_lost(lost: Lost, proof: Proof) -> None:
    """Refuse where a unit lost to something that trying again can only lose to again.

    Raises:
        InvalidClient: An assertion that it spends was used before (TE-06).
        Conflict: The API token ended, or was made again, while its exchange ran.
    """
    if isinstance(lost.change, Add) and lost.change in proof.spends:
        raise InvalidClient(Reason.ASSERTION_REPLAYED, about=Concern(proof.organisation.id, proof.client.id))
    used, winner = proof.credential, lost.winner
    if used is None or used.kind is not CredentialKind.API_TOKEN or not isinstance(winner, Credential):
        return
    if winner.id == used.id and winner.life.state is State.ENDED:
        raise Conflict(Reason.SECRET_ENDED, "the token was changed meanwhile", about=proof.about)


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
    organisation, client, credential, holder = (
        proof.organisation,
        proof.client,
        proof.credential,
        proof.holder,
    )
    changes: list[Change] = [RequireVersion("organisation", organisation.id, organisation.version)]
    if not client.built_in:
        changes.append(RequireVersion("client", client.id, client.version))
    if credential is not None:
        changes.append(RequireVersion("credential", credential.id, credential.version))
    if isinstance(holder, Member):
        changes += _member_as_proved(holder, organisation)
    elif holder is not None:
        changes.append(RequireVersion("entity", holder.id, holder.version))
    return tuple(changes)


def _member_as_proved(member: Member, organisation: Organisation) -> list[Change]:
    user, membership, home = member.user, member.membership, member.home
    changes: list[Change] = [
        RequireVersion("user", user.id, user.version),
        RequireVersion("membership", membership.id, membership.version),
    ]
    if home.id != organisation.id:
        changes.append(RequireVersion("organisation", home.id, home.version))
    return changes
