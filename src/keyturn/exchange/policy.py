"""Step 4: is what is asked allowed, and within what limits? Pure, and the only maker of a ``Decision``."""

from datetime import timedelta

from keyturn.core.errors import Concern, InvalidScope, InvalidTarget, UnauthorizedClient
from keyturn.core.profile import TokenProfile
from keyturn.core.records import Client, Organisation
from keyturn.core.requests import Authorization, Decision, Proof
from keyturn.core.vocabulary import OFFLINE_ACCESS, Reason


def decide(asked: Authorization) -> Decision:
    """Allow what a genuine caller asks, or refuse; never widen and never narrow silently (TE-07).

    Raises:
        UnauthorizedClient: The client may not use this grant.
        InvalidScope: A scope is outside what the client and the credential may have.
        InvalidTarget: A resource is none of the client's audiences.
    """
    proof = asked.proof
    if asked.grant_type not in proof.client.grants:
        raise UnauthorizedClient(Reason.GRANT_NOT_ALLOWED, about=_concern(proof))
    return Decision(
        proof=proof,
        grant_type=asked.grant_type,
        subject=asked.subject,
        scopes=_scopes(asked.scopes, proof),
        audiences=_audiences(asked.resources, proof),
        lifetime=cap_lifetime(asked.profile, proof.client, proof.organisation),
    )


def _scopes(asked: tuple[str, ...] | None, proof: Proof) -> tuple[str, ...]:
    """Grant exactly what is asked, or all that may be had; ``offline_access`` only when named."""
    narrowed = proof.credential.scopes
    allowed = [scope for scope in proof.client.scopes if narrowed is None or scope in narrowed]
    if asked is None:
        return tuple(scope for scope in allowed if scope != OFFLINE_ACCESS)
    if not set(asked) <= set(allowed):
        raise InvalidScope(
            Reason.SCOPE_NOT_ALLOWED, "scope is not allowed for this client", about=_concern(proof)
        )
    return asked


def _audiences(resources: tuple[str, ...], proof: Proof) -> tuple[str, ...]:
    """Choose the token's audience: the resources asked, or the client's default (RFC 8707 section 2)."""
    if not resources:
        return proof.client.audiences[:1]
    if not set(resources) <= set(proof.client.audiences):
        raise InvalidTarget(
            Reason.AUDIENCE_NOT_ALLOWED, "resource is not allowed for this client", about=_concern(proof)
        )
    return tuple(dict.fromkeys(resources))


def cap_lifetime(profile: TokenProfile, client: Client, organisation: Organisation) -> timedelta:
    """Choose the access token's lifetime: the shortest of all ceilings.

    Args:
        profile: Its default holds unless the organisation sets another.
        client: Its ``max_lifetime_seconds`` applies.
        organisation: Its setting ``lifetime_seconds`` of the profile's dialect applies.

    Returns:
        A positive whole number of seconds, as a timedelta.
    """
    seconds = organisation.settings.get(profile.dialect, {}).get("lifetime_seconds", profile.lifetime_seconds)
    if client.max_lifetime_seconds is not None:
        seconds = min(seconds, client.max_lifetime_seconds)
    return timedelta(seconds=seconds)


def _concern(proof: Proof) -> Concern:
    return Concern(proof.organisation.id, proof.client.id)
