"""What a refresh family needs of ports: its birth, its next token, and its end.

The rule of the family is pure and lives in ``core/refresh.py``; when which of these happens is decided by
``exchange/refresh.py``.
"""

from datetime import datetime, timedelta

from keyturn.core.changes import Add, Change, EndFamily
from keyturn.core.identifiers import uuid7
from keyturn.core.profile import TokenProfile
from keyturn.core.records import RefreshFamily, Revocation
from keyturn.core.refresh import rotated
from keyturn.core.requests import Decision
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import FamilyId
from keyturn.exchange.services import Services
from keyturn.exchange.successor import fresh_token, make_successor

_DEFAULT_LIFETIME_SECONDS = 30 * 86_400


def open_family(decision: Decision, services: Services, now: datetime) -> tuple[RefreshFamily, Secret]:
    """Begin a refresh family with its first token."""
    proof, profile = decision.proof, decision.profile
    family_id = FamilyId(uuid7(now, services.naming))
    pepper_id = services.digester.current_pepper_id
    token = fresh_token(family_id, 0, pepper_id, services)
    seconds = proof.organisation.setting(
        profile.dialect,
        "refresh_lifetime_seconds",
        profile.refresh_lifetime_seconds or _DEFAULT_LIFETIME_SECONDS,
    )
    ends_at = now + timedelta(seconds=seconds)
    family = RefreshFamily(
        id=family_id,
        organisation_id=proof.organisation.id,
        client_id=proof.client.id,
        subject=decision.subject,
        owner_kind=proof.owner_kind,
        dialect=profile.dialect,
        profile=profile.kind,
        credential_id=decision.basis.credential_id,
        scopes=decision.scopes,
        audiences=decision.audiences,
        created_at=now,
        ends_at=min(ends_at, decision.ends_at or ends_at),
        epochs=decision.basis.epochs,
        current_hash=_digest(token, pepper_id, services),
        pepper_id=pepper_id,
    )
    return family, token


def succeed(
    family: RefreshFamily, presented: Secret, services: Services, now: datetime
) -> tuple[RefreshFamily, Secret]:
    """Replace the newest token of a family by the next."""
    successor, kept = make_successor(family, presented, services)
    pepper_id = family.pepper_id
    return rotated(family, _digest(successor, pepper_id, services), pepper_id, kept, now), successor


def end_family(
    family: RefreshFamily, profile: TokenProfile, why: str, services: Services, now: datetime
) -> tuple[Change, ...]:
    """End a family and every access token that came from it, those from before a clock was set back too."""
    latest = services.clock_watch.latest(now)
    last_token_expires = latest + timedelta(seconds=profile.max_lifetime_seconds)
    revocation = Revocation(
        id=family.id,
        organisation_id=family.organisation_id,
        revoked_at=now,
        expires_at=last_token_expires,
    )
    return EndFamily(family.id, family.organisation_id, why, now), Add(revocation)


def _digest(token: Secret, pepper_id: str, services: Services) -> bytes:
    return services.digester.lookup_hash(token.sha256(), pepper_id)
