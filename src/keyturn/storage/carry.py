"""How each kind of change is carried out: the same rules for every store, over the few moves of a shelf.

A shelf is a store's rows inside one transaction that nobody else writes into. A change looks at what is
there, then writes or loses; what it lost to comes back with the loss. Whoever calls undoes the earlier
changes of a unit that lost.
"""

from collections.abc import Iterator
from typing import Protocol, TypeVar

import msgspec

from keyturn.core.admin_records import AdminToken, KeptAnswer
from keyturn.core.changes import (
    Add,
    Change,
    EndFamily,
    Lost,
    Prefer,
    Record,
    Removable,
    Remove,
    Replace,
    ReplaceKey,
    RequireVersion,
    Shred,
    Touch,
    Unit,
    Versioned,
)
from keyturn.core.errors import Fault
from keyturn.core.notices import Delivery, Notice, Subscription
from keyturn.core.records import (
    Client,
    Credential,
    Entity,
    Membership,
    Organisation,
    Project,
    RefreshFamily,
    Revocation,
    Sealed,
    SigningKey,
    Spent,
    Team,
    User,
)
from keyturn.core.refresh import ended
from keyturn.core.store_ports import Leftover
from keyturn.core.tombstones import ERASED
from keyturn.core.vocabulary import OrganisationId
from keyturn.storage.places import unique_names

R = TypeVar("R", bound=Versioned | SigningKey)

TABLES: dict[str, type[Versioned]] = {
    "organisation": Organisation,
    "client": Client,
    "user": User,
    "membership": Membership,
    "team": Team,
    "project": Project,
    "entity": Entity,
    "credential": Credential,
    "refresh_family": RefreshFamily,
    "admin_token": AdminToken,
}
"""What a ``RequireVersion`` may name."""

LEFTOVERS: tuple[type[Leftover], ...] = (
    Credential,
    Client,
    Project,
    Team,
    Membership,
    Entity,
    User,
    RefreshFamily,
    SigningKey,
    AdminToken,
    KeptAnswer,
    Subscription,
    Notice,
    Delivery,
)
"""What an ended organisation leaves to be erased, in that order.

All of it is the organisation's own, the memberships of users at home elsewhere included. What its users have
elsewhere (memberships, API tokens made there) belongs to those organisations and stays: of the person it has
the id, which leads to a tombstone, and a user whose home has ended is usable nowhere.
"""
TOMBSTONES: tuple[type[Leftover], ...] = (Credential, Client, Entity, User)
"""Those of which a row without a name stays, so that no id is used again (TK-15)."""


class Shelf(Protocol):
    """A store's rows inside one transaction."""

    def find(self, kind: type[R], key: str) -> R | None:
        """Read a record by its id."""
        ...

    def holder(self, record: Record) -> Record | None:
        """Find who already has a record's id or another name of it that must be unique."""
        ...

    def rival(self, record: Record) -> Record | None:
        """Find another record of the kind that has a name of this one, its id apart."""
        ...

    def insert(self, record: Record) -> None:
        """Write a new record."""
        ...

    def update(self, record: Versioned | SigningKey) -> None:
        """Write a record in place of the one with its id."""
        ...

    def delete(self, record: Removable) -> None:
        """Delete the record with this id, if there is one."""
        ...

    def tombstone_of(self, lookup_hash: bytes) -> Credential | None:
        """Find a deleted organisation's credential by its secret's digest."""
        ...


def require_sound(unit: Unit) -> None:
    """Refuse a unit that no state of the store could satisfy.

    Raises:
        Fault: A version does not follow the expected one, or a table is unknown.
    """
    for change in unit.changes:
        if isinstance(change, RequireVersion):
            if change.table not in TABLES:
                raise Fault(f"no versions are kept in {change.table!r}")
        elif isinstance(change, Replace) and change.record.version != change.expected + 1:
            raise Fault("a replacement's version must follow the expected one")


def require_inside(unit: Unit, organisation_id: OrganisationId) -> None:
    """Refuse a unit that names another organisation (TN-02, rule 6 of the house).

    Raises:
        Fault: One of its changes or events is another organisation's, or the deployment's.
    """
    named: list[str | None] = [unit.audit.organisation_id]
    if unit.audit_if_lost is not None:
        named.append(unit.audit_if_lost.organisation_id)
    for change in unit.changes:
        if isinstance(change, Add | Replace | Remove):
            named.append(organisation_of(change.record))
        elif isinstance(change, ReplaceKey):
            named += [organisation_of(change.record), organisation_of(change.was)]
        elif isinstance(change, Touch | Shred | EndFamily):
            named.append(change.organisation_id)
        elif isinstance(change, Prefer):
            named.append(change.home_id)
        elif change.table == "organisation":
            named.append(change.id)
    if any(name != organisation_id for name in named):
        raise Fault("a unit of one organisation names another")


def organisation_of(record: Record) -> str | None:
    """Tell whose a record is; None for the deployment's own."""
    match record:
        case Organisation():
            return record.id
        case SigningKey():
            return record.issuer_id
        case Sealed():
            return None
        case _:
            return record.organisation_id


def topics_of(change: Change) -> Iterator[tuple[str, str]]:
    """Name what caches must hear of when a change held: a topic and a key in it; nothing for what none keeps.

    ``organisation``, ``client``, ``user``, ``entity``: its id. ``membership``: the user's id. ``credential``:
    its owner's id. ``signing_key``: the issuer's id. ``sealed``: the purpose. ``revocation``: what it covers
    and until when (``revocation_key``). ``last_use``: owner, credential and day. ``shred``: the id of the
    organisation whose key is destroyed. ``admin_token``: its id.
    """
    match change:
        case Touch():
            yield LAST_USE, f"{change.owner_id}|{change.credential_id}|{change.day.isoformat()}"
        case Prefer():
            yield "user", change.user_id
        case Shred():
            yield SHRED, change.organisation_id
        case Add(Revocation() as revocation):
            yield REVOCATION, revocation_key(revocation)
        case Add() | Replace() | ReplaceKey() | Remove():
            topic, field = _TOPICS.get(type(change.record), ("", ""))
            if topic:
                yield topic, getattr(change.record, field)
        case RequireVersion() | EndFamily():
            return


REVOCATION = "revocation"
"""Topic of a revocation: its key says all that memory keeps of it."""
LAST_USE = "last_use"
"""Topic of a credential's use: its key says all that memory needs, so that nothing is read again."""
ADMIN_TOKEN = "admin_token"
"""Topic of an admin token: its id."""
SHRED = "shred"
"""Topic of a destroyed organisation key: every writer drops what it keeps open of it."""


_TOPICS: dict[type[Record], tuple[str, str]] = {
    Organisation: ("organisation", "id"),
    Client: ("client", "id"),
    User: ("user", "id"),
    Membership: ("membership", "user_id"),
    Entity: ("entity", "id"),
    Credential: ("credential", "owner_id"),
    SigningKey: ("signing_key", "issuer_id"),
    Sealed: ("sealed", "purpose"),
    AdminToken: (ADMIN_TOKEN, "id"),
}
"""Topic and key field of what caches keep; the others are read at each use."""


def revocation_key(revocation: Revocation) -> str:
    """Spell a revocation so that the feed alone tells every process all it has to keep in memory."""
    return f"{revocation.id}|{revocation.expires_at.isoformat()}"


def carry_out(change: Change, shelf: Shelf, scope: OrganisationId | None) -> Lost | None:
    """Carry out one change, or tell what it lost to.

    Args:
        change: What to do.
        shelf: Where to do it.
        scope: The one organisation whose rows may be seen; None for all. Another's row is as good as none,
            but its names are taken all the same.
    """
    lost: Lost | None = None
    match change:
        case Add():
            lost = _add(change, shelf, scope)
        case Replace():
            lost = _replace(change, shelf, scope)
        case ReplaceKey():
            lost = _replace_key(change, shelf, scope)
        case RequireVersion():
            lost = _require_version(change, shelf, scope)
        case Touch():
            _touch(change, shelf)
        case Prefer():
            _prefer(change, shelf)
        case Remove():
            lost = _remove(change, shelf)
        case EndFamily():
            lost = _end_family(change, shelf)
        case Shred():
            # Whoever executes the transaction destroys the key itself, and what it keeps open of it.
            organisation = shelf.find(Organisation, change.organisation_id)
            lost = None if _has_ended(organisation) else _lost(change, organisation, scope)
    return lost


def _end_family(change: EndFamily, shelf: Shelf) -> Lost | None:
    family = shelf.find(RefreshFamily, change.id)
    if family is None or family.organisation_id != change.organisation_id:
        return Lost(change, None)
    if family.ended_at is None:
        shelf.update(ended(family, change.why, change.at))
    return None


def _add(change: Add, shelf: Shelf, scope: OrganisationId | None) -> Lost | None:
    record = change.record
    holder = shelf.holder(record)
    if holder is not None:
        # What is dead may be killed again: the first revocation covers it. What was told is told.
        return None if isinstance(record, Revocation | Notice) else _lost(change, holder, scope)
    # A revocation and a spent thing hold whatever has become of their organisation.
    lost = None if isinstance(record, Revocation | Spent) else _uninhabitable(change, shelf, scope)
    if lost is None:
        shelf.insert(record)
    return lost


def _uninhabitable(change: Add, shelf: Shelf, scope: OrganisationId | None) -> Lost | None:
    """Tell what keeps a record from being where it wants to be."""
    record = change.record
    organisation = shelf.find(Organisation, organisation_of(record) or "")
    if isinstance(record, _INHABITANTS) and organisation is None:
        return Lost(change, None)
    # Deletion works through what there is; a ring or a client that came after it had passed would stay.
    if _has_ended(organisation):
        return _lost(change, organisation, scope)
    if isinstance(record, Credential) and shelf.tombstone_of(record.lookup_hash) is not None:
        return Lost(change, None)
    if isinstance(record, Membership):
        user = shelf.find(User, record.user_id)
        home = None if user is None else shelf.find(Organisation, user.organisation_id)
        if user is None or user.ended_at is not None or _has_ended(home):
            return _lost(change, user, scope)
    return None


_INHABITANTS = (Client, User, Membership, Team, Project, Entity, Credential)


def _has_ended(organisation: Organisation | None) -> bool:
    return organisation is not None and organisation.ended_at is not None


def _replace_key(change: ReplaceKey, shelf: Shelf, scope: OrganisationId | None) -> Lost | None:
    current = shelf.find(SigningKey, change.record.id)
    if current != change.was:
        return _lost(change, current, scope)
    shelf.update(change.record)
    return None


def _require_version(change: RequireVersion, shelf: Shelf, scope: OrganisationId | None) -> Lost | None:
    found = shelf.find(TABLES[change.table], change.id)
    if found is None or found.version != change.version or _foreign(found, scope):
        return _lost(change, found, scope)
    return None


def _touch(change: Touch, shelf: Shelf) -> None:
    used = shelf.find(Credential, change.credential_id)
    if used is None or used.organisation_id != change.organisation_id:
        return
    if used.last_used_on is None or used.last_used_on < change.day:
        shelf.update(msgspec.structs.replace(used, last_used_on=change.day))


def _prefer(change: Prefer, shelf: Shelf) -> None:
    user = shelf.find(User, change.user_id)
    if user is None or user.organisation_id != change.home_id or user.ended_at is not None:
        return
    if user.last_organisation_id != change.organisation_id:
        shelf.update(msgspec.structs.replace(user, last_organisation_id=change.organisation_id))


def _remove(change: Remove, shelf: Shelf) -> Lost | None:
    here = shelf.find(type(change.record), change.record.id)
    if here is not None and organisation_of(here) != organisation_of(change.record):
        return Lost(change, None)
    shelf.delete(change.record)
    return None


def _replace(change: Replace, shelf: Shelf, scope: OrganisationId | None) -> Lost | None:
    record = change.record
    current = shelf.find(type(record), record.id)
    # Whose a record is never changes, so another organisation's is not found here, whatever the scope.
    if current is None or organisation_of(current) != organisation_of(record):
        return Lost(change, None)
    if current.version != change.expected or not _same_names(current, record):
        return Lost(change, current)
    if isinstance(record, Credential) and isinstance(current, Credential):
        # A use since the record was read has raised no version; it must not be unwritten.
        days = [day for day in (record.last_used_on, current.last_used_on) if day is not None]
        record = msgspec.structs.replace(record, last_used_on=max(days, default=None))
    if isinstance(record, User) and isinstance(current, User) and record.ended_at is None:
        record = msgspec.structs.replace(record, last_organisation_id=current.last_organisation_id)
    rival = None if unique_names(record) == unique_names(current) else shelf.rival(record)
    if rival is not None:
        return _lost(change, rival, scope)
    shelf.update(record)
    return None


def _same_names(current: Versioned, record: Versioned) -> bool:
    """Tell whether a replacement leaves alone what is immutable (TK-15: a name given up could be reused)."""
    if isinstance(current, Organisation) and isinstance(record, Organisation):
        return current.slug == record.slug and current.api_key == record.api_key
    if isinstance(current, Credential) and isinstance(record, Credential):
        return current.owner_id == record.owner_id and current.kind == record.kind
    if isinstance(current, User) and isinstance(record, User):
        return record.name in {current.name, ERASED}
    if isinstance(current, Membership) and isinstance(record, Membership):
        return current.user_id == record.user_id
    if isinstance(current, Entity) and isinstance(record, Entity):
        return current.subject == record.subject
    return True


def _foreign(record: Record, scope: OrganisationId | None) -> bool:
    return scope is not None and organisation_of(record) != scope


def _lost(change: Change, winner: Record | None, scope: OrganisationId | None) -> Lost:
    return Lost(change, None if winner is None or _foreign(winner, scope) else winner)
