"""What organisations, clients, users, memberships and entities have in common: switched off, on, and ended.

Disabling and ending raise the epoch, so that every token that rests on the record is dead; enabling lowers
nothing, so that none revives (RV-04). What has ended stays as it is: its id is never somebody else's (TK-15).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.changes import Change, Replace, Versioned
from keyturn.core.errors import Clash, NothingThere
from keyturn.core.life import State
from keyturn.core.records import (
    AuditEvent,
    Client,
    Credential,
    Entity,
    Membership,
    Organisation,
    Project,
    Team,
    User,
)
from keyturn.core.secret import Dice
from keyturn.core.store_ports import OrganisationStore
from keyturn.core.vocabulary import OrganisationId
from keyturn.directory.events import Writer, carry_out, told

Owner = Organisation | Client | User | Membership | Entity
_OWNER = TypeVar("_OWNER", Organisation, Client, User, Membership, Entity)
_NAMED = TypeVar("_NAMED", Organisation, Client, User, Membership, Entity, Team, Project)
_ANY = TypeVar("_ANY")


def check_reach(actor: Actor, store: OrganisationStore) -> None:
    """Keep an actor of one organisation out of every other (TN-02).

    Raises:
        OperatorError: The organisation is not there for this actor.
    """
    if not actor.may_act_in(store.organisation_id):
        raise NothingThere("no such organisation")


async def living_organisation(actor: Actor, store: OrganisationStore) -> Organisation:
    """Read an organisation that something shall be made in.

    Raises:
        OperatorError: It has ended, or is not there for this actor.
    """
    check_reach(actor, store)
    return require_living(await store.organisation())


def there(actor: Actor, store: OrganisationStore, word: str, name: str, found: _ANY | None) -> _ANY:
    """Give what was found in an actor's reach.

    Raises:
        OperatorError: There is none by that name, or none for this actor: the same words (TN-02).
    """
    if found is None or not actor.may_act_in(store.organisation_id):
        raise NothingThere(f"no {word} {name!r}")
    return found


def require_living(owner: _NAMED) -> _NAMED:
    """Give back what has not ended.

    Raises:
        OperatorError: It has ended.
    """
    if owner.ended_at is not None:
        raise Clash(f"{_word(owner)} {_name(owner)!r} has ended")
    return owner


async def change(
    actor: Actor,
    store: Writer,
    owner: _NAMED,
    wanted: Mapping[str, Any],
    *also: Change,
    raises: bool = False,
    taken: str | None = None,
    now: datetime,
    dice: Dice,
) -> _NAMED:
    """Give a record other values; nothing is written where it has them already.

    Args:
        also: Carried out in the same unit.
        raises: Whether the change ends every token that rests on the record.
        taken: What to say where a name is in use.
    """
    names = sorted(name for name, value in wanted.items() if getattr(owner, name) != value)
    if not names:
        return owner
    epoch = {"epoch": getattr(owner, "epoch", 0) + 1} if raises else {}
    changed = msgspec.structs.replace(owner, **wanted, **epoch, version=owner.version + 1)
    event = _event("changed", actor, owner, now, dice, {"changed": " ".join(names)})
    await carry_out(store, event, Replace(changed, owner.version), *also, taken=taken)
    return changed


async def disable(actor: Actor, store: Writer, owner: _OWNER, *, now: datetime, dice: Dice) -> _OWNER:
    """Issue nothing more that rests on a record and end every token that does; undone by enabling."""
    if require_living(owner).disabled:
        return owner
    changed = msgspec.structs.replace(owner, disabled=True, epoch=owner.epoch + 1, version=owner.version + 1)
    event = _event("disabled", actor, owner, now, dice)
    await carry_out(store, event, Replace(changed, owner.version))
    return changed


async def enable(actor: Actor, store: Writer, owner: _OWNER, *, now: datetime, dice: Dice) -> _OWNER:
    """Issue again; tokens from before it was disabled stay dead."""
    if not require_living(owner).disabled:
        return owner
    changed = msgspec.structs.replace(owner, disabled=False, version=owner.version + 1)
    event = _event("enabled", actor, owner, now, dice)
    await carry_out(store, event, Replace(changed, owner.version))
    return changed


async def end(
    actor: Actor, store: Writer, owner: _OWNER, *also: Replace, now: datetime, dice: Dice
) -> _OWNER:
    """End a record for good, and what goes with it; ending twice changes nothing."""
    if owner.ended_at is not None:
        return owner
    changed = msgspec.structs.replace(owner, ended_at=now, epoch=owner.epoch + 1, version=owner.version + 1)
    credentials = sum(isinstance(each.record, Credential) for each in also)
    event = _event("ended", actor, owner, now, dice, {"credentials_ended": str(credentials)})
    await carry_out(store, event, Replace(changed, owner.version), *also)
    return changed


def ended_credentials(credentials: Iterable[Credential], now: datetime, why: str) -> list[Replace]:
    """End those credentials that have not ended, with every token minted from them."""
    return [
        Replace(
            msgspec.structs.replace(
                each, life=each.life.ended(now, why), epoch=each.epoch + 1, version=each.version + 1
            ),
            each.version,
        )
        for each in credentials
        if each.life.state is not State.ENDED
    ]


def raise_version(record: Versioned) -> Replace:
    """Change nothing but the version, so that one of two wins who change what belongs to a record at once."""
    return Replace(msgspec.structs.replace(record, version=record.version + 1), record.version)


def _event(
    what: str,
    actor: Actor,
    owner: Owner | Team | Project,
    now: datetime,
    dice: Dice,
    details: dict[str, str] | None = None,
) -> AuditEvent:
    facts = {"user": owner.user_id} if isinstance(owner, Membership) else {}
    return told(
        f"{_word(owner)}.{what}",
        actor,
        _organisation_of(owner),
        owner.id,
        now=now,
        dice=dice,
        details=facts | (details or {}),
    )


def _organisation_of(owner: Owner | Team | Project) -> OrganisationId:
    return owner.id if isinstance(owner, Organisation) else owner.organisation_id


def _word(owner: Owner | Team | Project) -> str:
    return type(owner).__name__.lower()


def _name(owner: Owner | Team | Project) -> str:
    return owner.slug if isinstance(owner, Organisation) else owner.id
