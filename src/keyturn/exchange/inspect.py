"""What the store knows of a token or secret, for an operator: whose it is, and what introspection would say.

The same functions as introspection's decide (``standing``), so that the two cannot disagree; unlike
introspection, the answer says why. Nothing is changed: not even a ring is made for an issuer that has none.
"""

from collections.abc import Mapping
from datetime import datetime
from hmac import compare_digest

import msgspec

from keyturn.core.life import Standing
from keyturn.core.ports import Digester, Registry, Revocations
from keyturn.core.profile import TokenProfile
from keyturn.core.records import Credential, Organisation, RefreshFamily
from keyturn.core.secret import Secret
from keyturn.core.secret_policy import NO_POLICY, policy_of, standing
from keyturn.core.store_ports import DeploymentStore
from keyturn.core.views import ClientView, EntityView, UserView
from keyturn.core.vocabulary import ClientId, CredentialKind, EntityId, OrganisationId, OwnerKind, UserId
from keyturn.exchange.locate import locate_family
from keyturn.exchange.standing import OwnerView, ending_of, family_ending, find_owner
from keyturn.tokens.errors import Rejection, TokenRejected
from keyturn.tokens.inspection import Look, Sight
from keyturn.tokens.keyset import KeySet
from keyturn.tokens.own import unverified_organisation
from keyturn.tokens.verify import VerifiedClaims, verify_token


class Inspector(msgspec.Struct, frozen=True, kw_only=True):
    """What inspecting needs from outside.

    Args:
        profiles: Every kind of token there is.
        introspectable: The kinds that some route introspects.
        public_url: Where issuers begin; None where that is not configured, then ``iss`` is not compared.
    """

    store: DeploymentStore
    registry: Registry
    revocations: Revocations
    digester: Digester
    profiles: Mapping[str, TokenProfile]
    introspectable: frozenset[str]
    public_url: str | None


class Knowledge(msgspec.Struct, frozen=True, kw_only=True):
    """What the store knows.

    Args:
        genuine: Whether we made it: its signature, tag or digest is ours.
        standing: In words.
        active: What introspection would answer to a client of its organisation; None where it is not asked
            about such things.
        why: Why not, if not.
    """

    genuine: bool
    standing: str
    active: bool | None = None
    why: str | None = None
    organisation: str | None = None
    client_id: str | None = None
    user_id: str | None = None
    entity_id: str | None = None
    credential_id: str | None = None
    family_id: str | None = None


async def inspect(presented: Secret, sight: Sight, inspector: Inspector, now: datetime) -> Knowledge | None:
    """Ask the store about what was recognised; None for what the store knows nothing about.

    Raises:
        Unavailable: The store cannot be read.
    """
    match sight.look:
        case Look.SECRET:
            return await _secret(presented, inspector, now)
        case Look.REFRESH_TOKEN:
            return await _refresh_token(presented, inspector, now)
        case Look.OWN_JWT:
            return await _token(presented, sight, inspector, now)
        case _:
            return None


async def _secret(presented: Secret, inspector: Inspector, now: datetime) -> Knowledge:
    digest = presented.sha256()
    found = await inspector.store.credential_by_hash(inspector.digester.lookup_hashes(digest))
    if found is None:
        return Knowledge(genuine=False, standing="not here", active=False, why="nobody has this secret")
    owner = await _owner_of(found, inspector.registry)
    organisation = None if owner is None else _organisation_of(owner, found.organisation_id)
    policy = NO_POLICY if organisation is None else policy_of(organisation)
    stands = standing(found, policy, now)
    return Knowledge(
        genuine=True,
        standing=_in_words(stands, found, owner, organisation),
        active=False,
        why="a secret is no token",
        organisation=None if organisation is None else organisation.slug,
        **_owner_id(found.owner_id, owner),
        credential_id=found.id,
    )


async def _owner_of(credential: Credential, registry: Registry) -> OwnerView | None:
    """Find whose a credential is: its kind says what its owner is, but an API token may be a client's too."""
    match credential.kind:
        case CredentialKind.ENTITY_SECRET:
            return await registry.find_entity(EntityId(credential.owner_id))
        case CredentialKind.CLIENT_SECRET | CredentialKind.PUBLIC_KEY:
            return await registry.find_client(ClientId(credential.owner_id))
        case _:
            user = await registry.find_user(UserId(credential.owner_id))
            return user or await registry.find_client(ClientId(credential.owner_id))


def _organisation_of(owner: OwnerView, wanted: OrganisationId) -> Organisation | None:
    if not isinstance(owner, UserView):
        return owner.organisation
    place = owner.place_in(wanted)
    return None if place is None else place[0]


def _owner_id(owner_id: str, owner: OwnerView | None) -> dict[str, str]:
    """Say whose something is, under the name of what the owner is."""
    if isinstance(owner, UserView):
        return {"user_id": owner_id}
    return {"entity_id": owner.entity.id} if isinstance(owner, EntityView) else {"client_id": owner_id}


def _in_words(
    stands: Standing, credential: Credential, owner: OwnerView | None, organisation: Organisation | None
) -> str:
    if organisation is not None and not organisation.usable:
        return "its organisation is disabled or has ended"
    match owner:
        case ClientView(client=record) if not record.usable:
            return "its client is disabled or has ended"
        case UserView(user=person) if not person.usable:
            return "its user is disabled or has ended"
        case EntityView(entity=party) if not party.usable:
            return "its entity is disabled or has ended"
    why = credential.life.ended_why
    return f"{stands}: {why}" if stands is Standing.ENDED and why else stands.value


async def _refresh_token(presented: Secret, inspector: Inspector, now: datetime) -> Knowledge:
    held = await locate_family(presented, inspector.registry, inspector.digester)
    if held is None:
        return Knowledge(
            genuine=False, standing="not here", active=False, why="its family is not here, or it was made up"
        )
    token, family = held
    owner = await find_owner(family.owner_kind, family.subject, inspector.registry)
    organisation = None if owner is None else _organisation_of(owner, family.organisation_id)
    ending: str | None = await family_ending(family, inspector.registry, now)
    if ending is None:
        ending = _generation(presented, token.generation, family, inspector.digester)
    return Knowledge(
        genuine=True,
        standing="good" if ending is None else "dead",
        active=ending is None,
        why=ending if family.ended_why is None else f"{ending}: {family.ended_why}",
        organisation=None if organisation is None else organisation.slug,
        **({"client_id": family.client_id} | _owner_id(family.subject, owner)),
        credential_id=family.credential_id,
        family_id=family.id,
    )


def _generation(presented: Secret, generation: int, family: RefreshFamily, digester: Digester) -> str | None:
    digest = presented.sha256()
    newest = compare_digest(digester.lookup_hash(digest, family.pepper_id), family.current_hash)
    if newest and generation == family.generation:
        return None
    return f"it was used: it is generation {generation} of a family whose newest is {family.generation}"


async def _token(presented: Secret, sight: Sight, inspector: Inspector, now: datetime) -> Knowledge:
    claims = sight.claims or {}
    profile, kind = _profile(claims, inspector), _owner_kind(claims)
    subject = str(claims.get("sub"))
    owner = await find_owner(kind, subject, inspector.registry)
    claimed = unverified_organisation(presented.reveal())
    organisation = None if owner is None or claimed is None else _organisation_of(owner, claimed)
    if organisation is None or profile is None:
        unknown = (
            "its subject is not here" if owner is None else "no dialect that is served makes such tokens"
        )
        return Knowledge(genuine=False, standing="not here", active=False, why=unknown)
    verified, flaw = await _prove(presented, claims, organisation, profile, inspector, now)
    why: str | None = flaw
    if verified is not None:
        why = await ending_of(verified, inspector.registry, inspector.revocations, now)
        if why is None and profile.kind not in inspector.introspectable:
            why = f"no route introspects tokens of kind {profile.kind}"
    genuine = verified is not None or flaw in {Rejection.EXPIRED, Rejection.NOT_YET_VALID}
    return Knowledge(
        genuine=genuine,
        standing="good" if why is None else "dead" if genuine else "not ours",
        active=why is None,
        why=None if why is None else why.removeprefix("token_").replace("_", " "),
        organisation=organisation.slug,
        **_owner_id(subject, owner),
        credential_id=verified.own.credential_id if verified else None,
        family_id=verified.own.family_id if verified else None,
    )


def _owner_kind(claims: dict[str, object]) -> OwnerKind:
    """Say what a token's subject claims to be; unproven, so it only says where to look."""
    own = claims.get("kt")
    said = own.get("s") if isinstance(own, dict) else None
    return OwnerKind(said) if said in set(OwnerKind) else OwnerKind.CLIENT


def _profile(claims: dict[str, object], inspector: Inspector) -> TokenProfile | None:
    own = claims.get("kt")
    kind = own.get("k") if isinstance(own, dict) else None
    return inspector.profiles.get(str(kind))


async def _prove(
    presented: Secret,
    claims: dict[str, object],
    organisation: Organisation,
    profile: TokenProfile,
    inspector: Inspector,
    now: datetime,
) -> tuple[VerifiedClaims | None, Rejection | None]:
    """Verify a token by the published keys of its issuer; gives the claims, or the flaw."""
    ring = await inspector.store.signing_keys(profile.shared_ring or organisation.id)
    url = inspector.public_url
    issuer = str(claims.get("iss")) if url is None else profile.issuer_for(organisation.slug, url)
    try:
        verified = verify_token(
            presented.reveal(),
            KeySet.from_jwks(key.public_jwk for key in ring),
            issuer=issuer,
            audience=None,
            kind=profile.kind,
            header_type=profile.header_type,
            now=now,
        )
    except TokenRejected as rejected:
        return None, rejected.why
    return verified, None
