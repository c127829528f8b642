"""Step 0: find the one organisation and owner that a request names.

The only reader that crosses organisations. Finding nothing is no refusal here: unknown and known take the
same path, and only ``credentials`` and ``holders`` say no: both look and cost the same (TE-09, PW-04).
"""

from contextvars import ContextVar

from keyturn.core.canonical import canonical_email, canonical_user_name
from keyturn.core.ports import Digester, Registry
from keyturn.core.records import Organisation, RefreshFamily
from keyturn.core.refresh_token import RefreshToken, recognise_refresh_token
from keyturn.core.requests import Located, LocatedHolder, PresentedCredential, TokenRequest
from keyturn.core.secret import Secret
from keyturn.core.views import ClientView, EntityView, Held, UserView
from keyturn.core.vocabulary import ClientId, CredentialKind, EntityId, OrganisationId, OwnerName
from keyturn.tokens.assertion import unverified_subject

FROM_MEMORY: ContextVar[bool] = ContextVar("from_memory", default=False)
"""Whether the client of the request that this task serves was found without a read. An unknown one never is,
so a refusal that must look like it owes one; the desk, which refuses, has no other way to know."""

_NOWHERE = OrganisationId("")
"""Where nobody is at home: looked in for the users of an organisation that is not there."""


async def locate(client: PresentedCredential, organisation: str | None, registry: Registry) -> Located:
    """Find the client that a request claims; a path that names another organisation finds nothing (TN-01).

    A signed assertion may come without a ``client_id``: then its own, unproven ``sub`` says where to look for
    the keys that could prove it (RFC 7521 section 4.2).
    """
    claimed = _claimed(client) if client.owner is None else client.owner
    client_id = ClientId(claimed or "")
    view = registry.remembered_client(client_id)
    FROM_MEMORY.set(view is not None)
    if view is None:
        view = await registry.find_client(client_id)
    if view is not None and organisation not in {None, view.organisation.slug}:
        view = None
    return Located(view)


def _claimed(client: PresentedCredential) -> str | None:
    """Say who a client that names nobody beside its credential claims to be."""
    return unverified_subject(client.secret.reveal()) if client.kind is CredentialKind.PUBLIC_KEY else None


async def locate_holder(request: TokenRequest, registry: Registry, digester: Digester) -> LocatedHolder:
    """Find the user or entity that a request claims, and the organisation that it wants a token of.

    A secret that names itself is good in its own organisation only: one that names another beside it finds
    no organisation (TN-01).
    """
    organisation, missing = await named_organisation(request, registry)
    shown = request.credential
    if shown.named is not OwnerName.SECRET:
        return LocatedHolder(await _find(shown, organisation, registry), organisation, missing=missing)
    held = await _held(shown.secret, registry, digester)
    if held is None:
        return LocatedHolder(None, organisation, missing=missing)
    own = await _organisation_of(held, registry)
    if own is None or (organisation is not None and organisation.id != own.id):
        missing = True
    return LocatedHolder(held.owner, own, held.credential, missing)


async def named_organisation(request: TokenRequest, registry: Registry) -> tuple[Organisation | None, bool]:
    """Find the organisation that a request names, by slug or alias, and tell whether it names one in vain.

    Two names of two organisations are in vain too (TN-01).
    """
    found = []
    if request.organisation is not None:
        found.append(await registry.find_organisation(request.organisation))
    if request.organisation_alias is not None:
        found.append(await registry.find_organisation_alias(request.organisation_alias))
    ids = {None if each is None else each.id for each in found}
    if None in ids or len(ids) > 1:
        return None, True
    return (found[0] if found else None), False


async def _find(
    shown: PresentedCredential, organisation: Organisation | None, registry: Registry
) -> UserView | EntityView | None:
    """Find by name; what is no possible name costs a look-up that finds nothing, like an unknown one."""
    owner = shown.owner or ""
    match shown.named:
        case OwnerName.USER_NAME:
            home = _NOWHERE if organisation is None else organisation.id
            return await registry.find_user_at_home(home, canonical_name(owner))
        case OwnerName.EMAIL:
            return await registry.find_user_by_email(canonical_address(owner))
        case OwnerName.ENTITY_ID:
            return await registry.find_entity(EntityId(owner))
        case _:
            return None


def canonical_name(owner: str) -> str:
    """Give a user name's canonical form (PW-03), or the empty name, which nobody has."""
    try:
        return canonical_user_name(owner)
    except ValueError:
        return ""


def canonical_address(owner: str) -> str:
    """Give an e-mail address's canonical form, or the empty one, which nobody has."""
    try:
        return canonical_email(owner)
    except ValueError:
        return ""


async def _held(presented: Secret, registry: Registry, digester: Digester) -> Held | None:
    digest = presented.sha256()
    return await registry.find_held(digester.lookup_hashes(digest))


async def _organisation_of(held: Held, registry: Registry) -> Organisation | None:
    """Find where a credential is good; a deleted organisation is in no user's memberships any more."""
    wanted = held.credential.organisation_id
    if isinstance(held.owner, ClientView):
        known = [held.owner.organisation]
    else:
        known = [held.owner.home, *held.owner.organisations]
    found = next((each for each in known if each.id == wanted), None)
    return found or await registry.find_organisation_alias(wanted)


def recall_family(
    presented: Secret, registry: Registry, digester: Digester
) -> tuple[RefreshToken, RefreshFamily] | None:
    """Give the family of which memory has this as the current token: the digest proves it.

    Only what loses to whatever has happened to the family since may rest on it.
    """
    for digest in digester.lookup_hashes(presented.sha256()):
        known = registry.recall_family(digest)
        if known is not None:
            return RefreshToken(known.id, known.generation, current=True), known
    return None


async def locate_family(
    presented: Secret, registry: Registry, digester: Digester
) -> tuple[RefreshToken, RefreshFamily] | None:
    """Find the family of a refresh token that we really made; a made-up one costs no read of the store."""
    recognised = recognise_refresh_token(presented, digester.tags)
    if recognised is None:
        return None
    token, pepper_id = recognised
    family = await registry.find_family(token.family_id)
    # Who ran the deployment that an organisation came from has its pepper too, and could forge the tag of any
    # family; under the family's own nobody else can.
    return None if family is None or family.pepper_id != pepper_id else (token, family)
