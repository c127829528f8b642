"""Step 5: a decision becomes a signed token. Takes only a ``Decision``; only policy makes one."""

from datetime import datetime
from typing import Any

from keyturn.core.identifiers import uuid7
from keyturn.core.profile import TokenProfile
from keyturn.core.requests import Decision, IssuedToken
from keyturn.core.secret import Secret
from keyturn.core.shapes import TOKEN_FACTS, compile_shape
from keyturn.core.vocabulary import TokenId
from keyturn.exchange.services import ClaimsRenderer, Services
from keyturn.tokens.own import CLAIM, OwnClaim


def compile_claims(profile: TokenProfile) -> ClaimsRenderer:
    """Compile a profile's claims table.

    Raises:
        ValueError: The table shows a fact that minting does not make.
    """
    return compile_shape(profile.claims, TOKEN_FACTS, profile.kind)


async def mint(decision: Decision, services: Services, now: datetime) -> tuple[IssuedToken, dict[str, Any]]:
    """Sign a token that says what was decided.

    Args:
        now: The instant of the operation; ``iat`` is its whole second, ``exp`` that plus the lifetime.

    Returns:
        The token, and the facts that its claims and the answer show.

    Raises:
        Unavailable: No published key may sign.

    Spec: RFC 7519 section 4.1, RFC 9068 section 2.2.
    """
    organisation, profile = decision.proof.organisation, decision.profile
    issuer = profile.issuer_for(organisation.slug, services.public_url)
    signer = await services.rings.signer(profile.shared_ring or organisation.id, profile.algorithm, now)
    issued_at = now.replace(microsecond=0)
    token_id = TokenId(uuid7(now, services.dice))
    facts = _facts(decision, issuer, token_id, issued_at)
    claims = services.claims[profile.kind](facts)
    claims.update(_standard_claims(decision, facts))
    token = IssuedToken(
        id=token_id,
        value=Secret(await services.signing.token(claims, signer, profile.header_type)),
        issued_at=issued_at,
        expires_at=facts["expires_at"],
        issuer=issuer,
    )
    return token, facts


def _facts(decision: Decision, issuer: str, token_id: TokenId, issued_at: datetime) -> dict[str, Any]:
    proof = decision.proof
    return {
        "token_id": token_id,
        "issuer": issuer,
        "subject": decision.subject,
        "audience": decision.audiences,
        "scope": decision.scopes,
        "grant_type": decision.grant_type,
        "issued_at": issued_at,
        "expires_at": issued_at + decision.lifetime,
        "lifetime": decision.lifetime,
        "client.id": proof.client.id,
        "client.name": proof.client.name,
        "credential.id": decision.basis.credential_id,
        "organisation.id": proof.organisation.id,
        "organisation.name": proof.organisation.name,
        "organisation.slug": proof.organisation.slug,
    }


def _standard_claims(decision: Decision, facts: dict[str, Any]) -> dict[str, Any]:
    """Give the claims of every token, those by which revocation and introspection go included."""
    audiences, basis = decision.audiences, decision.basis
    issued_at = int(facts["issued_at"].timestamp())
    own = OwnClaim(
        kind=decision.profile.kind,
        organisation_id=decision.proof.organisation.id,
        credential_id=basis.credential_id,
        epochs=basis.epochs,
        family_id=basis.family_id,
    )
    return {
        "iss": facts["issuer"],
        "sub": decision.subject,
        "aud": audiences[0] if len(audiences) == 1 else list(audiences),
        "iat": issued_at,
        "exp": issued_at + int(decision.lifetime.total_seconds()),
        "jti": facts["token_id"],
        CLAIM: own,
    }
