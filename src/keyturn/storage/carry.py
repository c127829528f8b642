"""How each kind of change is carried out: the same rules for every store, over the few moves of a shelf.

A shelf is a store's rows inside one transaction that nobody else writes into. A change looks at what is
there, then writes or loses; what it lost to comes back with the loss. Whoever calls undoes the earlier
changes of a unit that lost.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import msgspec

from keyturn.core.admin_records import AdminToken, KeptAnswer
from keyturn.core.changes import (
    Add,
    AddMany,
    Change,
    EndFamily,
    Imported,
    Lost,
    Prefer,
    Record,
    Removable,
    Remove,
    Replace,
    ReplaceKey,
    RequireVersion,
    Rewind,
    Rotate,
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
from keyturn.core.status_records import StatusMark
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

    def holder_among(self, records: Sequence[Imported]) -> Record | None:
        """Find who already has the id or another unique name of one of many records."""
        ...

    def insert_all(self, records: Sequence[Imported]) -> None:
        """Write many new records."""
        ...

    def update(self, record: Versioned | SigningKey | Sealed) -> None:
        """Write a record in place of the one with its id."""
        ...

    def delete(self, record: Removable) -> None:
        """Delete the record with this id, if there is one."""
        ...

    def touch(self, change: Touch) -> None:
        """Note the day of a credential's use, unless it is another's or a later day is noted."""
        ...

    def tombstone_of(self, *lookup_hashes: bytes) -> Credential | None:
        """Find a deleted organisation's credential by one of its secret's digests."""
        ...

    def rewind(self, change: Rewind) -> None:
        """End what could happen twice (``rewinding``)."""
        ...


def require_sound(unit: Unit) -> None:
    """Refuse a unit that no state of the store could satisfy.

    Raises:
        Fault: A version does not follow the expected one, a table is unknown, or an import is not sound.
    """
    for change in unit.changes:
        if isinstance(change, RequireVersion):
            if change.table not in TABLES:
                raise Fault(f"no versions are kept in {change.table!r}")
        elif isinstance(change, Replace) and change.record.version != change.expected + 1:
            raise Fault("a replacement's version must follow the expected one")
        elif isinstance(change, AddMany):
            _require_sound_import(change)


def _require_sound_import(change: AddMany) -> None:
    users = {each.id for each in change.records if isinstance(each, User)}
    if len({(type(each), each.id) for each in change.records}) < len(change.records):
        raise Fault("an import brings the same twice")
    for each in change.records:
        if each.organisation_id != change.organisation_id:
            raise Fault("an import of one organisation names another")
        if isinstance(each, Membership) and each.user_id not in users:
            raise Fault("an import brings a membership without its user")


def require_inside(unit: Unit, organisation_id: OrganisationId) -> None:
    """Refuse a unit that names another organisation (TN-02, rule 6 of the house).

    Raises:
        Fault: One of its changes or events is another organisation's, or the deployment's.
    """
    named: list[str | None] = [each.organisation_id for each in unit.events]
    if unit.audit_if_lost is not None:
        named.append(unit.audit_if_lost.organisation_id)
    for change in unit.changes:
        if isinstance(change, Add | Replace | Rotate | Remove):
            named.append(organisation_of(change.record))
        elif isinstance(change, ReplaceKey):
            named += [organisation_of(change.record), organisation_of(change.was)]
        elif isinstance(change, AddMany | Touch | Shred | EndFamily):
            named.append(change.organisation_id)
        elif isinstance(change, Prefer):
            named.append(change.home_id)
        elif isinstance(change, Rewind):
            named.append(None)
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
        case AddMany():
            lost = _add_many(change, shelf, scope)
        case Replace():
            lost = _replace(change, shelf, scope)
        case ReplaceKey():
            lost = _replace_key(change, shelf, scope)
        case RequireVersion():
            lost = _require_version(change, shelf, scope)
        case Rotate():
            lost = _rotate(change, shelf, scope)
        case Remove() | EndFamily():
            lost = _take_away(change, shelf)
        case Shred():
            lost = _shred(change, shelf, scope)
        case Touch() | Prefer() | Rewind():
            _do(change, shelf)
    return lost


def _take_away(change: Remove | EndFamily, shelf: Shelf) -> Lost | None:
    """Carry out what takes away; whose it is stands in the change, not in who asks."""
    return _remove(change, shelf) if isinstance(change, Remove) else _end_family(change, shelf)


def _shred(change: Shred, shelf: Shelf, scope: OrganisationId | None) -> Lost | None:
    """Look only: whoever executes the transaction destroys the key itself, and what it keeps open of it."""
    organisation = shelf.find(Organisation, change.organisation_id)
    return None if _has_ended(organisation) else _lost(change, organisation, scope)


def _do(change: Touch | Prefer | Rewind, shelf: Shelf) -> None:
    """Carry out what nothing can be in the way of."""
    match change:
        case Touch():
            shelf.touch(change)
        case Prefer():
            _prefer(change, shelf)
        case Rewind():
            shelf.rewind(change)


def _rotate(change: Rotate, shelf: Shelf, scope: OrganisationId | None) -> Lost | None:
    record = change.record
    family = shelf.find(RefreshFamily, record.id)
    if family is None or family.organisation_id != record.organisation_id:
        return Lost(change, None)
    if (family.version, family.current_hash) != (record.version - 1, record.previous_hash):
        return _lost(change, family, scope)
    shelf.update(record)
    return None


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
        return None if isinstance(record, Revocation | StatusMark | Notice) else _lost(change, holder, scope)
    # A revocation and a spent thing hold whatever has become of their organisation.
    unbound = isinstance(record, Revocation | StatusMark | Spent)
    lost = None if unbound else _uninhabitable(change, shelf, scope)
    if lost is None:
        shelf.insert(record)
    return lost


def _add_many(change: AddMany, shelf: Shelf, scope: OrganisationId | None) -> Lost | None:
    organisation = shelf.find(Organisation, change.organisation_id)
    dead = organisation is None or organisation.ended_at is not None
    holder = organisation if dead else shelf.holder_among(change.records)
    if dead or holder is not None:
        return _lost(change, holder, scope)
    if shelf.tombstone_of(*(each.lookup_hash for each in change.records if isinstance(each, Credential))):
        return Lost(change, None)
    shelf.insert_all(change.records)
    return None


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
    current = shelf.holder(change.record)
    if current != change.was:
        return _lost(change, current, scope)
    shelf.update(change.record)
    return None


def _require_version(change: RequireVersion, shelf: Shelf, scope: OrganisationId | None) -> Lost | None:
    found = shelf.find(TABLES[change.table], change.id)
    if found is None or found.version != change.version or _foreign(found, scope):
        return _lost(change, found, scope)
    return None


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
