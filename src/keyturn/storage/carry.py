"""How each kind of change is carried out: the same rules for every store, over the few moves of a shelf.

A shelf is a store's rows inside one transaction that nobody else writes into. A change looks at what is
there, then writes or loses; what it lost to comes back with the loss. Whoever calls undoes the earlier
changes of a unit that lost.
"""

from collections.abc import Iterator
from typing import Protocol, TypeVar

import msgspec

from keyturn.core.changes import (
    Add,
    Change,
    EndFamily,
    Lost,
    Record,
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
from keyturn.core.records import (
    Client,
    Credential,
    Organisation,
    RefreshFamily,
    Revocation,
    Sealed,
    SigningKey,
    Spent,
)
from keyturn.core.refresh import ended
from keyturn.core.vocabulary import OrganisationId

R = TypeVar("R", bound=Versioned | SigningKey)

TABLES: dict[str, type[Organisation | Client | Credential | RefreshFamily]] = {
    "organisation": Organisation,
    "client": Client,
    "credential": Credential,
    "refresh_family": RefreshFamily,
}
"""What a ``RequireVersion`` may name."""


class Shelf(Protocol):
    """A store's rows inside one transaction."""

    def find(self, kind: type[R], key: str) -> R | None:
        """Read a record by its id."""
        ...

    def holder(self, record: Record) -> Record | None:
        """Find who already has a record's id or another name of it that must be unique."""
        ...

    def insert(self, record: Record) -> None:
        """Write a new record."""
        ...

    def update(self, record: Versioned | SigningKey) -> None:
        """Write a record in place of the one with its id."""
        ...

    def delete(self, record: RefreshFamily | SigningKey) -> None:
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
        elif change.table == "organisation":
            named.append(change.id)
    if any(name != organisation_id for name in named):
        raise Fault("a unit of one organisation names another")


def organisation_of(record: Record) -> str | None:
    """Tell whose a record is; None for the deployment's own."""
    match record:
        case Organisation():
            return record.id
        case Client() | Credential() | RefreshFamily() | Revocation() | Spent():
            return record.organisation_id
        case SigningKey():
            return record.issuer_id
        case Sealed():
            return None


def topics_of(change: Change) -> Iterator[tuple[str, str]]:
    """Name what caches must hear of when a change held: a topic and a key in it; nothing for what none keeps.

    ``organisation``: its id. ``client``: its id. ``credential``: its owner's id. ``signing_key``: the
    issuer's id. ``sealed``: the purpose. ``revocation``: what it covers and until when (``revocation_key``).
    ``last_use``: owner, credential and day. ``shred``: the id of the organisation whose key is destroyed.
    """
    match change:
        case Touch():
            yield LAST_USE, f"{change.owner_id}|{change.credential_id}|{change.day.isoformat()}"
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
SHRED = "shred"
"""Topic of a destroyed organisation key: every writer drops what it keeps open of it."""


_TOPICS: dict[type[Record], tuple[str, str]] = {
    Organisation: ("organisation", "id"),
    Client: ("client", "id"),
    Credential: ("credential", "owner_id"),
    SigningKey: ("signing_key", "issuer_id"),
    Sealed: ("sealed", "purpose"),
}
"""Topic and key field of what caches keep; refresh families and spent things are read at each use."""


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
            lost = _replace(change, shelf)
        case ReplaceKey():
            lost = _replace_key(change, shelf, scope)
        case RequireVersion():
            lost = _require_version(change, shelf, scope)
        case Touch():
            _touch(change, shelf)
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
        # What is dead may be killed again: the first revocation covers it.
        return None if isinstance(record, Revocation) else _lost(change, holder, scope)
    if isinstance(record, Revocation | Spent):  # it holds whatever has become of its organisation
        shelf.insert(record)
        return None
    organisation = shelf.find(Organisation, organisation_of(record) or "")
    if isinstance(record, Client | Credential) and organisation is None:
        return Lost(change, None)
    # Deletion works through what there is; a ring or a client that came after it had passed would stay.
    if _has_ended(organisation):
        return _lost(change, organisation, scope)
    if isinstance(record, Credential) and shelf.tombstone_of(record.lookup_hash) is not None:
        return Lost(change, None)
    shelf.insert(record)
    return None


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


def _remove(change: Remove, shelf: Shelf) -> Lost | None:
    here = shelf.find(type(change.record), change.record.id)
    if here is not None and organisation_of(here) != organisation_of(change.record):
        return Lost(change, None)
    shelf.delete(change.record)
    return None


def _replace(change: Replace, shelf: Shelf) -> Lost | None:
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
    shelf.update(record)
    return None


def _same_names(current: Versioned, record: Versioned) -> bool:
    """Tell whether a replacement leaves alone what is immutable (TK-15: a name given up could be reused)."""
    if isinstance(current, Organisation) and isinstance(record, Organisation):
        return current.slug == record.slug and current.api_key == record.api_key
    if isinstance(current, Credential) and isinstance(record, Credential):
        return current.owner_id == record.owner_id and current.kind == record.kind
    return True


def _foreign(record: Record, scope: OrganisationId | None) -> bool:
    return scope is not None and organisation_of(record) != scope


def _lost(change: Change, winner: Record | None, scope: OrganisationId | None) -> Lost:
    return Lost(change, None if winner is None or _foreign(winner, scope) else winner)
