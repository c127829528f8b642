"""Which names must be unique, and among what: one answer for every store. Pure."""

import unicodedata

from keyturn.core.changes import Record
from keyturn.core.records import Entity, Membership, Organisation, Project, Team, User
from keyturn.core.tombstones import ERASED

Placed = User | Team | Project
"""Records whose name is free again some day: a user's when it is erased, the others' when they end."""


def place_of(record: Placed) -> str | None:
    """Spell a record's name as it is unique in its organisation; None once the name is free.

    A team's parent is in it, since SQL counts no two empty parents as one.
    """
    match record:
        case User():
            return None if record.name == ERASED else record.name
        case Team():
            folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", record.name).casefold())
            return None if record.ended_at is not None else f"{record.parent_id or ''}/{folded}"
        case Project():
            return None if record.ended_at is not None else record.name


def unique_names(record: Record) -> list[dict[str, str]]:
    """Give the columns, with their values, that no other record of the kind may have together; not the id."""
    names: list[dict[str, str | None]] = []
    match record:
        case Organisation():
            names = [{"slug": record.slug}, {"api_key": record.api_key}]
        case User():
            home = {"organisation_id": record.organisation_id, "place": place_of(record)}
            names = [home, {"email": record.email}]
        case Membership():
            names = [{"user_id": record.user_id, "organisation_id": record.organisation_id}]
        case Team() | Project():
            names = [{"organisation_id": record.organisation_id, "place": place_of(record)}]
        case Entity():
            names = [{"subject": record.subject}]
        case _:
            pass
    return [
        {key: value for key, value in name.items() if value is not None}
        for name in names
        if None not in name.values()
    ]
