"""What a refresh family needs of ports: its birth, its next token, and the same token again.

The rule of the family is pure and lives in ``core/refresh.py``; when which of these happens is decided by
``exchange/refresh.py``.
"""

from datetime import datetime, timedelta

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from keyturn.core.changes import Add, Change, EndFamily
from keyturn.core.errors import Fault
from keyturn.core.identifiers import uuid7
from keyturn.core.profile import TokenProfile
from keyturn.core.records import RefreshFamily, Revocation
from keyturn.core.refresh import make_refresh_token, rotated
from keyturn.core.requests import Decision
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import FamilyId
from keyturn.exchange.services import Services

_NONCE_BYTES = 12
_EXTRACT = HMAC(bytes(32), SHA256())
_DEFAULT_LIFETIME_SECONDS = 30 * 86_400


def open_family(decision: Decision, services: Services, now: datetime) -> tuple[RefreshFamily, Secret]:
    """Begin a refresh family with its first token."""
    proof, profile = decision.proof, decision.profile
    family_id = FamilyId(uuid7(now, services.naming))
    token = make_refresh_token(family_id, 0, services.digester.tag, services.dice)
    seconds = proof.organisation.setting(
        profile.dialect,
        "refresh_lifetime_seconds",
        profile.refresh_lifetime_seconds or _DEFAULT_LIFETIME_SECONDS,
    )
    ends_at = now + timedelta(seconds=seconds)
    pepper_id = services.digester.current_pepper_id
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
    """Make the next token of a family and seal it under a key that only the presented one gives."""
    successor = make_refresh_token(family.id, family.generation + 1, services.digester.tag, services.dice)
    nonce = services.naming(_NONCE_BYTES)  # no secret, and the key is of this one token
    cipher = _cipher(presented, family.id)
    sealed = nonce + cipher.encrypt(nonce, successor.reveal().encode(), family.id.encode())
    pepper_id = family.pepper_id
    turned = rotated(family, _digest(successor, pepper_id, services), pepper_id, sealed, now)
    return turned, successor


def same_again(family: RefreshFamily, presented: Secret) -> Secret:
    """Open the successor that was made when the presented token was used first (RT-02).

    Raises:
        Fault: The sealed successor does not open.
    """
    sealed = family.successor_sealed or b""
    nonce, sealed = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return Secret(_cipher(presented, family.id).decrypt(nonce, sealed, family.id.encode()).decode())
    except (InvalidTag, ValueError) as error:
        raise Fault("a sealed refresh token does not open") from error


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


def _cipher(presented: Secret, family_id: FamilyId) -> AESGCM:
    """Derive a key by HKDF without a salt, whose first step begins the same each time."""
    extract = _EXTRACT.copy()
    extract.update(presented.reveal().encode())
    info = b"keyturn refresh successor " + family_id.encode()
    return AESGCM(HKDFExpand(SHA256(), 32, info).derive(extract.finalize()))
