"""Memberships: a user's place in an organisation, with roles and teams; at home and elsewhere.

An administrator of one organisation can do nothing to a user at home in another but this. A membership that
is given back is the same row, with a higher epoch, so that no old token revives (RV-04).
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.changes import Add, Replace
from keyturn.core.errors import Clash, OperatorError
from keyturn.core.identifiers import uuid7
from keyturn.core.records import Membership, User
from keyturn.core.secret import Dice
from keyturn.core.store_ports import DeploymentStore, OrganisationStore
from keyturn.core.vocabulary import CredentialKind, MembershipId, OrganisationId, TeamId, UserId
from keyturn.directory.events import carry_out, told
from keyturn.directory.owners import (
    change,
    check_reach,
    disable,
    enable,
    ended_credentials,
    living_organisation,
    require_living,
    there,
)
from keyturn.directory.people_names import canonical_address
from keyturn.directory.team_tree import TeamTree


async def add_member(
    actor: Actor,
    store: DeploymentStore,
    organisation_id: OrganisationId,
    user: str,
    *,
    role_names: tuple[str, ...] = (),
    team_names: tuple[str, ...] = (),
    roles: Collection[str],
    now: datetime,
    dice: Dice,
) -> Membership:
    """Take a user of another home into an organisation, or back into it.

    Args:
        user: The id or e-mail address; an address only once it is proved.
        roles: All that the dialects declare.

    Raises:
        OperatorError: There is no such user or role or team, or the user is a member already.
    """
    inside = store.organisation_store(organisation_id)
    organisation = await living_organisation(actor, inside)
    found = await _find_user(actor, store, user)
    accepted, teams = check_roles(role_names, roles), await find_teams(inside, team_names)
    fresh = new_membership(found, organisation.id, accepted, teams, now, dice)
    kept = await inside.membership_of(found.id)
    if kept is not None and kept.ended_at is None:
        raise Clash(f"user {user!r} is a member of {organisation.slug!r} already")
    if kept is not None:
        fresh = msgspec.structs.replace(
            fresh, id=kept.id, created_at=kept.created_at, epoch=kept.epoch + 1, version=kept.version + 1
        )
    change_ = Add(fresh) if kept is None else Replace(fresh, kept.version)
    event = told(
        "membership.created",
        actor,
        organisation.id,
        fresh.id,
        now=now,
        dice=dice,
        details={"user": found.id, "roles": " ".join(accepted)},
    )
    await carry_out(inside, event, change_, taken=f"user {user!r} is a member already")
    return fresh


async def list_members(actor: Actor, store: OrganisationStore) -> Sequence[Membership]:
    """List an organisation's memberships, oldest first, ended ones included."""
    check_reach(actor, store)
    return await store.memberships()


async def show_member(actor: Actor, store: OrganisationStore, user_id: UserId) -> Membership:
    """Show a user's membership in an organisation.

    Raises:
        OperatorError: There is none, or none for this actor: the same words (TN-02).
    """
    return there(actor, store, "member", user_id, await store.membership_of(user_id))


async def change_member(
    actor: Actor,
    store: OrganisationStore,
    user_id: UserId,
    *,
    role_names: tuple[str, ...] | None = None,
    team_names: tuple[str, ...] | None = None,
    roles: Collection[str],
    now: datetime,
    dice: Dice,
) -> Membership:
    """Give a member other roles or teams; None keeps them. They count from the next call on.

    Raises:
        OperatorError: There is no such membership, role or team, or the membership has ended.
    """
    membership = require_living(await show_member(actor, store, user_id))
    wanted: dict[str, Any] = {}
    if role_names is not None:
        wanted["roles"] = check_roles(role_names, roles)
    if team_names is not None:
        wanted["teams"] = await find_teams(store, team_names)
    return await change(actor, store, membership, wanted, now=now, dice=dice)


async def disable_member(
    actor: Actor, store: OrganisationStore, user_id: UserId, *, now: datetime, dice: Dice
) -> Membership:
    """Let a user do nothing more in an organisation and end the tokens for it; undone by enabling."""
    return await disable(actor, store, await show_member(actor, store, user_id), now=now, dice=dice)


async def enable_member(
    actor: Actor, store: OrganisationStore, user_id: UserId, *, now: datetime, dice: Dice
) -> Membership:
    """Let a user act in an organisation again; tokens from before it was disabled stay dead."""
    return await enable(actor, store, await show_member(actor, store, user_id), now=now, dice=dice)


async def end_member(
    actor: Actor, store: OrganisationStore, user_id: UserId, *, now: datetime, dice: Dice
) -> Membership:
    """End a user's place in an organisation, with their API tokens for it and links to its entities.

    Raises:
        OperatorError: There is none for this actor, or the user is at home there: then the user can be ended.
    """
    membership = await show_member(actor, store, user_id)
    if await store.user(user_id) is not None:
        raise Clash(f"user {user_id!r} is at home here; disable or end the user instead")
    if membership.ended_at is not None:
        return membership
    tokens = await store.credentials_of(user_id, CredentialKind.API_TOKEN)
    unlinked = [
        Replace(
            msgspec.structs.replace(
                each,
                users=tuple(linked for linked in each.users if linked != user_id),
                version=each.version + 1,
            ),
            each.version,
        )
        for each in await store.entities()
        if user_id in each.users
    ]
    ended = ended_membership(membership, now)
    event = told(
        "membership.ended",
        actor,
        membership.organisation_id,
        membership.id,
        now=now,
        dice=dice,
        details={"user": user_id},
    )
    gone = ended_credentials(tokens, now, "membership ended")
    await carry_out(store, event, Replace(ended, membership.version), *gone, *unlinked)
    return ended


def ended_membership(membership: Membership, now: datetime) -> Membership:
    """End a membership; its roles and teams do not come back with it."""
    return msgspec.structs.replace(
        membership,
        ended_at=now,
        roles=(),
        teams=(),
        epoch=membership.epoch + 1,
        version=membership.version + 1,
    )


def new_membership(
    user: User,
    organisation_id: OrganisationId,
    roles: tuple[str, ...],
    teams: tuple[TeamId, ...],
    now: datetime,
    dice: Dice,
) -> Membership:
    """Make a membership; nothing is saved yet."""
    return Membership(
        id=MembershipId(uuid7(now, dice)),
        user_id=user.id,
        organisation_id=organisation_id,
        created_at=now,
        roles=roles,
        teams=teams,
    )


def check_roles(asked: Iterable[str], known: Collection[str]) -> tuple[str, ...]:
    """Accept roles that the dialects declare, each once, in their order.

    Raises:
        OperatorError: One of them is unknown.
    """
    kept = tuple(dict.fromkeys(asked))
    unknown = [role for role in kept if role not in known]
    if unknown:
        there_are = ", ".join(sorted(known)) or "none: no dialect that is on declares one"
        raise OperatorError(f"unknown role {', '.join(unknown)}; there is {there_are}")
    return kept


async def find_teams(store: OrganisationStore, names: Iterable[str]) -> tuple[TeamId, ...]:
    """Find living teams by path or id, each once.

    Raises:
        OperatorError: There is no such team.
    """
    asked = tuple(names)
    if not asked:
        return ()
    tree = TeamTree(await store.teams())
    found = [(name, tree.find(name)) for name in asked]
    missing = [name for name, team in found if team is None]
    if missing:
        raise OperatorError(f"no team {', '.join(map(repr, missing))}")
    return tuple(dict.fromkeys(team.id for _, team in found if team is not None))


async def _find_user(actor: Actor, store: DeploymentStore, named: str) -> User:
    if "@" in named:
        found = await store.user_by_email(canonical_address(named))
        # Anybody's administrator may write any address down; only its proof says whose it is.
        if found is not None and found.email_verified_at is None:
            # That somebody elsewhere wrote it down is not for everybody to know (TN-02).
            if not actor.may_act_in(found.organisation_id):
                raise OperatorError(f"no user {named!r}")
            raise OperatorError(f"the address {named!r} is not proved yet; name the user by id")
    else:
        view = await store.user_view(UserId(named))
        found = view.user if view is not None else None
    if found is None or found.ended_at is not None:
        raise OperatorError(f"no user {named!r}")
    return found
