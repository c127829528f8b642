"""Step 5: a decision becomes a signed token. Takes only a ``Decision``; only policy makes one."""

from datetime import datetime
from typing import Any

from keyturn.core.identifiers import uuid7
from keyturn.core.profile import TokenProfile
from keyturn.core.records import Entity
from keyturn.core.requests import Decision, IssuedToken, Member, Proof
from keyturn.core.secret import Secret
from keyturn.core.shapes import TOKEN_FACTS, compile_shape
from keyturn.core.vocabulary import TokenId
from keyturn.exchange.roles import roles_in
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
    facts = _facts(decision, services, now)
    value = await _sign(decision, decision.profile, facts, services, now)
    token = IssuedToken(
        id=facts["token_id"],
        value=value,
        issued_at=facts["issued_at"],
        expires_at=facts["expires_at"],
        issuer=facts["issuer"],
    )
    return token, facts


async def mint_id_token(
    decision: Decision,
    profile: TokenProfile,
    access: dict[str, Any],
    services: Services,
    now: datetime,
) -> Secret:
    """Sign the ID token that comes with an access token: about the same subject, for the client (TK-08).

    It is of a kind of its own, which no route takes for an access token, and as dead as the access token once
    what both rest on has ended.

    Args:
        access: The facts of the access token.

    Spec: OpenID Connect Core section 2.
    """
    audience = (decision.proof.client.id,)
    facts = access | {"token_id": TokenId(uuid7(now, services.dice)), "audience": audience}
    return await _sign(decision, profile, facts, services, now)


async def _sign(
    decision: Decision, profile: TokenProfile, facts: dict[str, Any], services: Services, now: datetime
) -> Secret:
    organisation = decision.proof.organisation
    signer = await services.rings.signer(profile.shared_ring or organisation.id, profile.algorithm, now)
    claims = services.claims[profile.kind](facts)
    claims.update(_standard_claims(decision, profile, facts))
    return Secret(await services.signing.token(claims, signer, profile.header_type))


def _facts(decision: Decision, services: Services, now: datetime) -> dict[str, Any]:
    proof, profile = decision.proof, decision.profile
    organisation = proof.organisation
    issued_at = now.replace(microsecond=0)
    return {
        **(_NOBODY if proof.holder is None else _holder_facts(proof, proof.holder, profile.dialect)),
        "token_id": TokenId(uuid7(now, services.dice)),
        "issuer": profile.issuer_for(organisation.slug, services.public_url),
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
        "organisation.id": organisation.id,
        "organisation.name": organisation.name,
        "organisation.slug": organisation.slug,
    }


_NOBODY: dict[str, Any] = {
    "user.id": None,
    "user.name": None,
    "user.login": None,
    "user.account": None,
    "user.email": None,
    "user.email_verified": None,
    "user.given_name": None,
    "user.family_name": None,
    "home.id": None,
    "home.name": None,
    "home.slug": None,
    "roles": (),
    "entity.id": None,
    "entity.name": None,
    "entity.type": None,
}
"""The facts of a token whose subject is a client."""


def _holder_facts(proof: Proof, holder: Member | Entity, dialect: str) -> dict[str, Any]:
    if isinstance(holder, Entity):
        return _NOBODY | {"entity.id": holder.id, "entity.name": holder.name, "entity.type": holder.type}
    user, home = holder.user, holder.home
    return _NOBODY | {
        "user.id": user.id,
        "user.name": user.display_name,
        "user.login": user.name,
        "user.account": user.account_at(home.slug),
        "user.email": user.email,
        "user.email_verified": user.email_verified_at is not None,
        "user.given_name": user.given_name,
        "user.family_name": user.family_name,
        "home.id": home.id,
        "home.name": home.name,
        "home.slug": home.slug,
        "roles": roles_in(dialect, holder.membership, proof.credential),
    }


def _standard_claims(decision: Decision, profile: TokenProfile, facts: dict[str, Any]) -> dict[str, Any]:
    """Give the claims of every token, those by which revocation and introspection go included."""
    proof, audiences, basis = decision.proof, facts["audience"], decision.basis
    issued_at = int(facts["issued_at"].timestamp())
    asked_by_other = isinstance(proof.holder, Member) and not proof.client.built_in
    own = OwnClaim(
        kind=profile.kind,
        organisation_id=proof.organisation.id,
        credential_id=basis.credential_id,
        epochs=basis.epochs,
        family_id=basis.family_id,
        owner_kind=proof.owner_kind,
        client_id=proof.client.id if asked_by_other else None,
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
