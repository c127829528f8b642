"""API tokens: long-lived secrets of users and service accounts, each good in one organisation only.

A token is worth at most what it was made for: fewer roles and scopes than its owner has, perhaps a passcode.
It belongs to the organisation it is for, wherever its user is at home.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.changes import Add
from keyturn.core.errors import Clash, NotPermitted, OperatorError
from keyturn.core.life import Life
from keyturn.core.ports import Digester
from keyturn.core.records import Client, Credential, Membership, User
from keyturn.core.secret import Dice, Secret
from keyturn.core.store_ports import DeploymentStore
from keyturn.core.vocabulary import ClientId, CredentialId, CredentialKind, OrganisationId, UserId
from keyturn.directory.credentials import live_secrets, made, make_credential
from keyturn.directory.events import carry_out
from keyturn.directory.memberships import check_roles
from keyturn.directory.names import check_scopes
from keyturn.directory.owners import check_reach, living_organisation, raise_version, require_living
from keyturn.directory.rotation import succeed
from keyturn.directory.user_keys import replaceable

MAX_LIVE_API_TOKENS = 100


class ApiTokenWish(msgspec.Struct, frozen=True, kw_only=True):
    """What a new API token shall be.

    Args:
        owner_id: A user who is a member of the organisation, or a client of it (a service account).
        roles: ``<dialect>:<role>``, fewer than the owner's; None for all the owner has at each use.
        scopes: Fewer than the owner's; None for all.
        mfa: Its exchange needs a passcode of its owner's device.
        lifetime: None for without end.
    """

    name: str
    owner_id: str
    dialects: tuple[str, ...]
    roles: tuple[str, ...] | None = None
    scopes: tuple[str, ...] | None = None
    mfa: bool = False
    lifetime: timedelta | None = None


class _Owner(msgspec.Struct, frozen=True):
    """Whose a token is, and the record in its organisation whose version two changes at once race for."""

    record: User | Client
    guard: Membership | Client


async def create_api_token(
    actor: Actor,
    store: DeploymentStore,
    organisation_id: OrganisationId,
    wish: ApiTokenWish,
    *,
    digester: Digester,
    now: datetime,
    dice: Dice,
) -> tuple[Credential, Secret]:
    """Make a token of exactly 65 characters for one organisation.

    Returns:
        The record that is kept, and the token, which is nowhere else: show it once (AD-04).

    Raises:
        OperatorError: The owner may not act there or has enough, or the wish goes beyond what the owner has.
        NotPermitted: The owner is a guest, and the actor does not reach the guest's home.
    """
    inside = store.organisation_store(organisation_id)
    await living_organisation(actor, inside)
    owner = await _find_owner(actor, store, organisation_id, wish.owner_id)
    if wish.lifetime is not None and wish.lifetime <= timedelta():
        raise OperatorError("a secret expires in the future")
    if wish.mfa and isinstance(owner.record, Client):
        raise OperatorError("a client has no device, so its tokens cannot need a passcode")
    there = await inside.credentials_of(owner.record.id, CredentialKind.API_TOKEN)
    if len(live_secrets(there, now)) >= MAX_LIVE_API_TOKENS:
        raise Clash(f"{wish.owner_id!r} has {MAX_LIVE_API_TOKENS} live API tokens; end one first")
    credential, secret = make_credential(
        CredentialKind.API_TOKEN,
        owner.record,
        wish.name,
        Life(created_at=now, expires_at=now + wish.lifetime if wish.lifetime else None),
        dialects=wish.dialects,
        digester=digester,
        dice=dice,
        organisation_id=organisation_id,
        roles=_roles(wish, owner),
        scopes=None if wish.scopes is None else _scopes(wish.scopes, owner),
        mfa=wish.mfa,
    )
    event = made(credential, actor, now=now, dice=dice)
    await carry_out(inside, event, raise_version(owner.guard), Add(credential))
    return credential, secret


async def list_api_tokens(
    actor: Actor, store: DeploymentStore, organisation_id: OrganisationId, owner_id: str
) -> Sequence[Credential]:
    """List an owner's tokens for an organisation, oldest first, ended ones included; never the tokens."""
    inside = store.organisation_store(organisation_id)
    check_reach(actor, inside)
    return await inside.credentials_of(owner_id, CredentialKind.API_TOKEN)


async def regenerate_api_token(
    actor: Actor,
    store: DeploymentStore,
    organisation_id: OrganisationId,
    credential_id: CredentialId,
    *,
    digester: Digester,
    now: datetime,
    dice: Dice,
) -> tuple[Credential, Secret]:
    """Make a token anew and end the old one with its access tokens, in one step; it lives as long again.

    Raises:
        OperatorError: It is no living API token, or somebody else regenerated it in the same moment.
    """
    inside = store.organisation_store(organisation_id)
    old = await replaceable(actor, inside, credential_id, CredentialKind.API_TOKEN)
    owner = await _find_owner(actor, store, organisation_id, old.owner_id)
    again = None if old.life.expires_at is None else old.life.expires_at - old.life.created_at
    life = Life(created_at=now, expires_at=None if again is None else now + again)
    return await succeed(
        actor, inside, owner.record, old, life, guard=owner.guard, digester=digester, now=now, dice=dice
    )


async def _find_owner(
    actor: Actor, store: DeploymentStore, organisation_id: OrganisationId, owner_id: str
) -> _Owner:
    """Find a client or a member of an organisation who may act there.

    Whoever has a person's token is that person, by name and address. So a guest's is made by those only whom
    the guest's home is there for too: else who takes somebody in could speak for them (TN-02).
    """
    inside = store.organisation_store(organisation_id)
    client = await inside.client(ClientId(owner_id))
    if client is not None:
        return _Owner(require_living(client), client)
    membership = await inside.membership_of(UserId(owner_id))
    view = await store.user_view(UserId(owner_id)) if membership is not None else None
    if membership is None or membership.ended_at is not None or view is None:
        raise OperatorError(f"no user or client {owner_id!r} in this organisation")
    if not actor.may_act_in(view.user.organisation_id):
        raise NotPermitted("a guest's API tokens are made by whoever may act in the guest's home too")
    return _Owner(require_living(view.user), membership)


def _roles(wish: ApiTokenWish, owner: _Owner) -> tuple[str, ...] | None:
    if wish.roles is None:
        return None
    if isinstance(owner.guard, Client):
        raise OperatorError("a client has no roles to choose from")
    return check_roles(wish.roles, owner.guard.roles)


def _scopes(scopes: tuple[str, ...], owner: _Owner) -> tuple[str, ...]:
    kept = check_scopes(scopes)
    if isinstance(owner.record, Client) and not set(kept) <= set(owner.record.scopes):
        raise OperatorError("a token's scopes are among its client's")
    return kept
