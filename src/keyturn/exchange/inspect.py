"""What the store knows of a token or secret, for an operator: whose it is, and what introspection would say.

The same functions as introspection's decide (``standing``), so that the two cannot disagree; unlike
introspection, the answer says why. Nothing is changed: not even a ring is made for an issuer that has none.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from hmac import compare_digest

import msgspec

from keyturn.core.life import Standing
from keyturn.core.ports import DeploymentStore, Digester, Registry, Revocations
from keyturn.core.profile import TokenProfile
from keyturn.core.records import ClientView, Credential, RefreshFamily
from keyturn.core.secret import Secret
from keyturn.core.secret_policy import NO_POLICY, policy_of, standing
from keyturn.core.vocabulary import ClientId
from keyturn.exchange.locate import locate_family
from keyturn.exchange.standing import ending_of, family_ending
from keyturn.tokens.errors import Rejection, TokenRejected
from keyturn.tokens.inspection import Look, Sight
from keyturn.tokens.keyset import KeySet
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
    credential_id: str | None = None
    family_id: str | None = None


async def inspect(presented: Secret, sight: Sight, inspector: Inspector, now: datetime) -> Knowledge | None:
    """Ask the store about what was recognised; None for what the store knows nothing about.

    Raises:
        Unavailable: The store cannot be read.
    """
    match sight.look:
        case Look.CLIENT_SECRET:
            return await _secret(presented, inspector, now)
        case Look.REFRESH_TOKEN:
            return await _refresh_token(presented, inspector, now)
        case Look.OWN_JWT:
            return await _token(presented, sight, inspector, now)
        case _:
            return None


async def _secret(presented: Secret, inspector: Inspector, now: datetime) -> Knowledge:
    digest = hashlib.sha256(presented.reveal().encode()).digest()
    found = await inspector.store.credential_by_hash(inspector.digester.lookup_hashes(digest))
    if found is None:
        return Knowledge(genuine=False, standing="not here", active=False, why="no client has this secret")
    view = await inspector.registry.find_client(ClientId(found.owner_id))
    organisation = None if view is None else view.organisation
    policy = NO_POLICY if organisation is None else policy_of(organisation)
    stands = standing(found, policy, now)
    return Knowledge(
        genuine=True,
        standing=_in_words(stands, found, view),
        active=False,
        why="a secret is no token",
        organisation=None if organisation is None else organisation.slug,
        client_id=found.owner_id,
        credential_id=found.id,
    )


def _in_words(stands: Standing, credential: Credential, view: ClientView | None) -> str:
    if view is not None and not view.organisation.usable:
        return "its organisation is disabled or has ended"
    if view is not None and not view.client.usable:
        return "its client is disabled or has ended"
    why = credential.life.ended_why
    return f"{stands}: {why}" if stands is Standing.ENDED and why else stands.value


async def _refresh_token(presented: Secret, inspector: Inspector, now: datetime) -> Knowledge:
    held = await locate_family(presented, inspector.registry, inspector.digester)
    if held is None:
        return Knowledge(
            genuine=False, standing="not here", active=False, why="its family is not here, or it was made up"
        )
    token, family = held
    view = await inspector.registry.find_client(family.client_id)
    ending = "its client is not here" if view is None else family_ending(family, view, now)
    if ending is None:
        ending = _generation(presented, token.generation, family, inspector.digester)
    return Knowledge(
        genuine=True,
        standing="good" if ending is None else "dead",
        active=ending is None,
        why=ending if family.ended_why is None else f"{ending}: {family.ended_why}",
        organisation=None if view is None else view.organisation.slug,
        client_id=family.client_id,
        credential_id=family.credential_id,
        family_id=family.id,
    )


def _generation(presented: Secret, generation: int, family: RefreshFamily, digester: Digester) -> str | None:
    digest = hashlib.sha256(presented.reveal().encode()).digest()
    newest = compare_digest(digester.lookup_hash(digest, family.pepper_id), family.current_hash)
    if newest and generation == family.generation:
        return None
    return f"it was used: it is generation {generation} of a family whose newest is {family.generation}"


async def _token(presented: Secret, sight: Sight, inspector: Inspector, now: datetime) -> Knowledge:
    claims = sight.claims or {}
    view = await inspector.registry.find_client(ClientId(str(claims.get("sub"))))
    profile = _profile(claims, inspector)
    if view is None or profile is None:
        unknown = "its subject is not here" if view is None else "no dialect that is served makes such tokens"
        return Knowledge(genuine=False, standing="not here", active=False, why=unknown)
    verified, flaw = await _prove(presented, claims, view, profile, inspector, now)
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
        organisation=view.organisation.slug,
        client_id=view.client.id,
        credential_id=verified.own.credential_id if verified else None,
        family_id=verified.own.family_id if verified else None,
    )


def _profile(claims: dict[str, object], inspector: Inspector) -> TokenProfile | None:
    own = claims.get("kt")
    kind = own.get("k") if isinstance(own, dict) else None
    return inspector.profiles.get(str(kind))


async def _prove(
    presented: Secret,
    claims: dict[str, object],
    view: ClientView,
    profile: TokenProfile,
    inspector: Inspector,
    now: datetime,
) -> tuple[VerifiedClaims | None, Rejection | None]:
    """Verify a token by the published keys of its issuer; gives the claims, or the flaw."""
    ring = await inspector.store.signing_keys(profile.shared_ring or view.organisation.id)
    url = inspector.public_url
    issuer = str(claims.get("iss")) if url is None else profile.issuer_for(view.organisation.slug, url)
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
