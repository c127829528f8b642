"""Step 5: a decision becomes a signed token. Takes only a ``Decision``; only policy makes one."""

from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from keyturn.core.identifiers import uuid7
from keyturn.core.lasting import LastingFacts
from keyturn.core.profile import TokenProfile
from keyturn.core.records import Entity
from keyturn.core.requests import Decision, Member, Proof
from keyturn.core.secret import Secret
from keyturn.core.shapes import TOKEN_FACTS, compile_shape, sources
from keyturn.core.vocabulary import FamilyId, TokenId
from keyturn.exchange.roles import roles_in
from keyturn.exchange.services import ClaimsTable, Services
from keyturn.exchange.terms import Draft
from keyturn.tokens.own import CLAIM, OwnClaim
from keyturn.tokens.status_list import CLAIM as STATUS

_OF_EACH = frozenset({"token_id", "issued_at", "expires_at"})
"""The facts in which the tokens of one decision differ."""
_OF_EVERY = frozenset({"iss", "sub", "aud", "iat", "exp", "jti", STATUS, CLAIM})
"""The claims that every token has, or may have."""

_encode = msgspec.json.Encoder().encode


def compile_claims(profile: TokenProfile) -> ClaimsTable:
    """Compile a profile's claims table.

    Raises:
        ValueError: The table shows a fact that minting does not make, or a claim that every token has.
    """
    taken = _OF_EVERY & {member.path.partition(".")[0] for member in profile.claims.members}
    if taken:
        raise ValueError(f"{profile.kind}: every token has {', '.join(sorted(taken))} already")
    render = compile_shape(profile.claims, TOKEN_FACTS, profile.kind)
    return ClaimsTable(render, lasting=_OF_EACH.isdisjoint(sources(profile.claims)))


def draft(decision: Decision, services: Services) -> Draft:
    """Write down what all tokens of a decision have in common."""
    profile, facts = decision.profile, _facts(decision, services)
    lasting = services.claims[profile.kind].lasting
    begun = _begun(decision, profile, facts, services) if lasting else None
    return Draft(decision, facts, begun, _ended(decision, profile), _around_family(decision, profile))


def ended_in(draft: Draft, family_id: FamilyId) -> bytes:
    """Spell the last claims of a token of a refresh family; its id is a UUID and needs no escapes."""
    before, after = draft.of_family
    return before + family_id.encode() + after


def of_family(decision: Decision, family_id: FamilyId) -> Decision:
    """Give the decision about a token of a refresh family."""
    return replace(decision, basis=replace(decision.basis, family_id=family_id))


async def mint(
    draft: Draft, ended: bytes, services: Services, now: datetime, status: bytes | None = None
) -> tuple[dict[str, Any], Awaitable[str]]:
    """Make a token that says what was decided, and have it signed.

    Args:
        ended: Its last claims: the draft's own, or those of a family.
        now: The instant of the operation; ``iat`` is its whole second, ``exp`` that plus the lifetime.
        status: The claim that names its place in a status list, with a comma; None for no place.

    Returns:
        The facts that its claims and the answer show, and the token once it is signed.

    Raises:
        Unavailable: No published key may sign.

    Spec: RFC 7519 section 4.1, RFC 9068 section 2.2.
    """
    decision = draft.decision
    issued_at = datetime.fromtimestamp(int(now.timestamp()), UTC)
    facts = LastingFacts(draft.facts)
    facts.spelling = draft.spelling
    facts["token_id"] = TokenId(uuid7(now, services.naming))
    facts["issued_at"] = issued_at
    facts["expires_at"] = issued_at + decision.lifetime
    begun = draft.begun or _begun(decision, decision.profile, facts, services)
    claims = _spelled(begun, ended if status is None else status + ended, facts)
    return facts, await _signature(decision, decision.profile, claims, services, now)


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
    facts = access | {"token_id": TokenId(uuid7(now, services.naming)), "audience": audience}
    begun, ended = _begun(decision, profile, facts, services), _ended(decision, profile)
    return Secret(await (await _signature(decision, profile, _spelled(begun, ended, facts), services, now)))


async def _signature(
    decision: Decision, profile: TokenProfile, claims: msgspec.Raw, services: Services, now: datetime
) -> Awaitable[str]:
    issuer_id = profile.shared_ring or decision.proof.organisation.id
    signer = await services.rings.signer(issuer_id, profile.algorithm, now)
    if signer.elsewhere is not None:
        return await services.signing.token_elsewhere(claims, signer, profile.header_type)
    return services.signing.token(claims, signer, profile.header_type)


def _begun(decision: Decision, profile: TokenProfile, facts: dict[str, Any], services: Services) -> bytes:
    """Spell the contract's own claims, and those of every token up to the times."""
    audiences = facts["audience"]
    claims = services.claims[profile.kind].render(facts)
    claims["iss"] = facts["issuer"]
    claims["sub"] = decision.subject
    claims["aud"] = audiences[0] if len(audiences) == 1 else list(audiences)
    return _encode(claims)[:-1]


def _ended(decision: Decision, profile: TokenProfile) -> bytes:
    """Spell the claim by which revocation and introspection go, which every token ends with."""
    proof, basis = decision.proof, decision.basis
    own = OwnClaim(
        kind=profile.kind,
        organisation_id=proof.organisation.id,
        credential_id=basis.credential_id,
        epochs=basis.epochs,
        family_id=basis.family_id,
        owner_kind=proof.owner_kind,
        client_id=decision.asked_by,
    )
    return _encode({CLAIM: own})[1:]


def _around_family(decision: Decision, profile: TokenProfile) -> tuple[bytes, bytes]:
    """Spell the same for any refresh family, with nothing in its place."""
    place = FamilyId("-family-id-")
    before, _, after = _ended(of_family(decision, place), profile).partition(place.encode())
    return before, after


def _spelled(begun: bytes, ended: bytes, facts: dict[str, Any]) -> msgspec.Raw:
    """Put claims together; a token's id is a UUID and needs no escapes."""
    issued_at, expires_at = int(facts["issued_at"].timestamp()), int(facts["expires_at"].timestamp())
    token_id = facts["token_id"].encode()
    return msgspec.Raw(
        b'%b,"iat":%d,"exp":%d,"jti":"%b",%b' % (begun, issued_at, expires_at, token_id, ended)
    )


def _facts(decision: Decision, services: Services) -> dict[str, Any]:
    proof, profile = decision.proof, decision.profile
    organisation = proof.organisation
    return {
        **(_NOBODY if proof.holder is None else _holder_facts(proof, proof.holder, profile.dialect)),
        "issuer": profile.issuer_for(organisation.slug, services.public_url),
        "subject": decision.subject,
        "audience": decision.audiences,
        "scope": decision.scopes,
        "grant_type": decision.grant_type,
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
