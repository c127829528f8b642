"""Users: people and service users, each at home in one organisation (design.md section 3).

Only the home's administrators come here; what another organisation may do about a user is in ``memberships``.
A user name stays with its user for good, also when the user has ended (TK-15).
"""

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.changes import Add, Replace
from keyturn.core.errors import Clash, NothingThere, OperatorError
from keyturn.core.records import AuditEvent, Membership, Organisation, User
from keyturn.core.secret import Dice
from keyturn.core.store_ports import DeploymentStore, OrganisationStore, PageWish
from keyturn.core.vocabulary import CredentialKind, UserId
from keyturn.directory.credentials import live_secrets
from keyturn.directory.events import carry_out, told
from keyturn.directory.memberships import check_roles, ended_membership, find_teams, new_membership
from keyturn.directory.names import check_name
from keyturn.directory.owners import (
    change,
    check_reach,
    disable,
    enable,
    end,
    ended_credentials,
    living_organisation,
    require_living,
    there,
)
from keyturn.directory.people_names import check_email, check_user_name, service_email

_TAKEN = "that user name or e-mail address is taken; a user name is never used again"


class UserWish(msgspec.Struct, frozen=True, kw_only=True):
    """What a new user shall be.

    Args:
        name: The user name; kept in its canonical form, and shown as it is typed.
        service: A service user: its address is made, it has no password and no second factor.
        email_verified: The operator's word that the address is the user's.
        roles: In the home organisation: ``<dialect>:<role>``.
        teams: In the home organisation: paths or ids.
    """

    name: str
    service: bool = False
    display_name: str = ""
    given_name: str = ""
    family_name: str = ""
    email: str | None = None
    email_verified: bool = False
    mfa_required: bool = False
    roles: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()


async def create_user(
    actor: Actor,
    store: OrganisationStore,
    wish: UserWish,
    *,
    roles: Collection[str],
    now: datetime,
    dice: Dice,
) -> tuple[User, Membership]:
    """Make a user who is at home in an organisation, and a member of it.

    Args:
        roles: All that the dialects declare.

    Raises:
        OperatorError: Something of the wish is not acceptable, or the name or address is taken.
    """
    organisation = await living_organisation(actor, store)
    user = new_user(organisation, wish, now=now, dice=dice)
    teams = await find_teams(store, wish.teams)
    membership = new_membership(user, organisation.id, check_roles(wish.roles, roles), teams, now, dice)
    event = user_made(user, membership, actor, now=now, dice=dice)
    await carry_out(store, event, Add(user), Add(membership), taken=_TAKEN)
    return user, membership


def new_user(organisation: Organisation, wish: UserWish, *, now: datetime, dice: Dice) -> User:
    """Make a user without a membership; nothing is saved yet.

    Raises:
        OperatorError: Something of the wish is not acceptable.
    """
    name = check_user_name(wish.name)
    if wish.service and (wish.email is not None or wish.mfa_required):
        raise OperatorError("a service user's address is made, and it has no second factor")
    email = service_email(name, organisation) if wish.service else _email(wish.email)
    if wish.email_verified and email is None:
        raise OperatorError("there is no e-mail address to be verified")
    return User(
        id=UserId(str(uuid.UUID(bytes=dice(16), version=4))),
        organisation_id=organisation.id,
        name=name,
        display_name=check_name(wish.display_name or wish.name.strip()),
        created_at=now,
        service=wish.service,
        email=email,
        email_verified_at=now if wish.email_verified or wish.service else None,
        given_name=_optional(wish.given_name),
        family_name=_optional(wish.family_name),
        mfa_required=wish.mfa_required,
    )


def user_made(user: User, membership: Membership, actor: Actor, *, now: datetime, dice: Dice) -> AuditEvent:
    """Tell that a user was made, and became a member at home."""
    return told(
        "user.created",
        actor,
        user.organisation_id,
        user.id,
        now=now,
        dice=dice,
        details={"membership": membership.id} | ({"service": "yes"} if user.service else {}),
        personal={"name": user.name} | ({"email": user.email} if user.email else {}),
    )


async def list_users(actor: Actor, store: OrganisationStore) -> Sequence[User]:
    """List the users at home in an organisation, oldest first, ended ones included."""
    check_reach(actor, store)
    return await store.users()


async def page_users(actor: Actor, store: OrganisationStore, wish: PageWish) -> Sequence[User]:
    """List those of the users at home in an organisation that are wanted, ended ones included."""
    check_reach(actor, store)
    return await store.page(User, wish)


async def show_user(actor: Actor, store: OrganisationStore, user_id: UserId) -> User:
    """Show one of the users at home in an organisation.

    Raises:
        OperatorError: There is none by that id, or none for this actor: the same words (TN-02).
    """
    return there(actor, store, "user", user_id, await store.user(user_id))


async def changeable_user(actor: Actor, store: OrganisationStore, user_id: UserId) -> User:
    """Read a user who has not ended.

    Raises:
        OperatorError: There is none, or they have ended.
    """
    return require_living(await show_user(actor, store, user_id))


async def change_user(
    actor: Actor,
    store: OrganisationStore,
    user_id: UserId,
    changes: dict[str, Any],
    *,
    now: datetime,
    dice: Dice,
) -> User:
    """Change what is said of a user: display, given and family name, e-mail address, whether MFA is required.

    Another address is unverified until it is proved. Requiring MFA ends every token of the user, since none
    of them was asked for it.

    Raises:
        OperatorError: A value is not acceptable, or the user's password would be too short without MFA.
    """
    user = await changeable_user(actor, store, user_id)
    unknown = changes.keys() - _CHANGEABLE
    if unknown:
        raise OperatorError(f"a user's {', '.join(sorted(unknown))} cannot be changed (AD-02)")
    if user.service and changes.keys() & {"email", "mfa_required"}:
        raise OperatorError("a service user's address is made, and it has no second factor")
    wanted = dict(changes)
    for name in ("given_name", "family_name"):
        if name in wanted:
            wanted[name] = _optional(wanted[name])
    if "display_name" in wanted:
        check_name(wanted["display_name"])
    if "email" in wanted:
        wanted["email"] = _email(wanted["email"] or None)
        if wanted["email"] != user.email:
            wanted["email_verified_at"] = None
    if wanted.get("mfa_required") is False:
        await _require_long_password(store, user, now)
    raises = bool(wanted.get("mfa_required")) and not user.mfa_required
    return await change(actor, store, user, wanted, raises=raises, taken=_TAKEN, now=now, dice=dice)


_CHANGEABLE = frozenset({"display_name", "given_name", "family_name", "email", "mfa_required"})


async def disable_user(
    actor: Actor, store: OrganisationStore, user_id: UserId, *, now: datetime, dice: Dice
) -> User:
    """Issue nothing more to a user in any organisation and end every token; undone by enabling."""
    return await disable(actor, store, await show_user(actor, store, user_id), now=now, dice=dice)


async def enable_user(
    actor: Actor, store: OrganisationStore, user_id: UserId, *, now: datetime, dice: Dice
) -> User:
    """Issue to a user again; tokens from before they were disabled stay dead."""
    return await enable(actor, store, await show_user(actor, store, user_id), now=now, dice=dice)


async def log_out_everywhere(
    actor: Actor, store: OrganisationStore, user_id: UserId, *, now: datetime, dice: Dice
) -> User:
    """End every access and refresh token of a user, in every organisation (RV-04)."""
    user = await changeable_user(actor, store, user_id)
    changed = msgspec.structs.replace(user, epoch=user.epoch + 1, version=user.version + 1)
    event = told("user.logged_out", actor, user.organisation_id, user.id, now=now, dice=dice)
    await carry_out(store, event, Replace(changed, user.version))
    return changed


async def end_user(
    actor: Actor, store: DeploymentStore, user_id: UserId, *, now: datetime, dice: Dice
) -> User:
    """End a user for good, with all credentials and memberships, those of other organisations too.

    Raises:
        OperatorError: There is none by that id, or none at home where this actor may act (TN-02).
    """
    view = await store.user_view(user_id)
    if view is None or not actor.may_act_in(view.user.organisation_id):
        raise NothingThere(f"no user {user_id!r}")
    also: list[Replace] = ended_credentials(view.credentials, now, "user ended")
    also += [
        Replace(ended_membership(each, now), each.version)
        for each in view.memberships
        if each.ended_at is None
    ]
    return await end(actor, store, view.user, *also, now=now, dice=dice)


def _optional(name: str) -> str:
    return check_name(name) if name else ""


def _email(address: str | None) -> str | None:
    return None if address is None else check_email(address)


async def _require_long_password(store: OrganisationStore, user: User, now: datetime) -> None:
    passwords = live_secrets(await store.credentials_of(user.id, CredentialKind.PASSWORD), now)
    if any(each.mfa for each in passwords):
        raise Clash("the user's password is too short to be the only factor; set a longer one first")
