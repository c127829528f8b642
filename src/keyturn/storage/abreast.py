"""Units that are written abreast: what they change is one statement for all of them, not several for each.

Most of what a batch brings changes nothing, or is one of a few small things: a refresh family that begins or
rotates, a token that is revoked. If a single one of them finds another state than it expects, nothing of that
stays and each goes its own way (``carry.py``), which knows what it lost to.
"""

from collections.abc import Sequence
from typing import Any, get_args

from sqlalchemy import Connection, bindparam, select

from keyturn.core.changes import Add, Change, Rotate
from keyturn.core.errors import Fault
from keyturn.core.records import RefreshFamily, Revocation
from keyturn.core.status_records import StatusMark
from keyturn.storage.ground import Amendment, Ground
from keyturn.storage.rows import table_of
from keyturn.storage.schema import ANY_DIALECT, ORGANISATION, REFRESH_FAMILY, micros

Abreast = RefreshFamily | Revocation | StatusMark
"""What can be written so."""

_TABLES = {kind: table_of(kind) for kind in get_args(Abreast)}
_ROTATION = Amendment(
    REFRESH_FAMILY,
    expected=("id", "organisation_id", "version", "current_hash"),
    changed=(
        "current_hash",
        "pepper_id",
        "generation",
        "previous_hash",
        "rotated_at",
        "successor_sealed",
        "version",
    ),
)
_COLUMNS = {kind: tuple(table.c.keys()) for kind, table in _TABLES.items()}
_SPELL = {
    kind: tuple((column.key, getattr(column.type, "process_bind_param", None)) for column in table.c)
    for kind, table in _TABLES.items()
}
_ENDED = select(ORGANISATION.c.id).where(
    ORGANISATION.c.id.in_(bindparam("ids", expanding=True)), ORGANISATION.c.ended_at.is_not(None)
)


class TogetherError(Exception):
    """One of many is not as expected, so that none may be written."""


def abreast(changes: Sequence[Change]) -> dict[tuple[type[Abreast], str], Abreast] | None:
    """Give what changes write, if others of these kinds may be written with it; None where not."""
    found: dict[tuple[type[Abreast], str], Abreast] = {}
    for change in changes:
        record = change.record if isinstance(change, Add | Rotate) else None
        if not isinstance(record, Abreast):
            return None
        found[type(record), record.id] = record
    return found


def write_all(ground: Ground, connection: Connection, changes: Sequence[Change]) -> None:
    """Carry out changes that are ``abreast``, no two of which write the same.

    Raises:
        TogetherError: One lost; the caller undoes all.
        DBAPIError: As well, where it is ``Ground.is_units_own``; else the transaction has failed.
    """
    born: dict[type[Abreast], list[Abreast]] = {}
    turned: list[tuple[Any, ...]] = []
    for change in changes:
        match change:
            case Rotate(family):
                turned.append(_turn(family))
            case Add(record) if isinstance(record, Abreast):
                born.setdefault(type(record), []).append(record)
            case _:
                raise Fault("a change that is written with others is of another kind")
    # What is revoked or marked is so whatever has become of its organisation.
    homes = {family.organisation_id for family in born.get(RefreshFamily, ())}
    if homes and connection.execute(_ENDED, {"ids": sorted(homes)}).first() is not None:
        raise TogetherError
    for kind, records in born.items():
        values = [_row(kind, record) for record in records]
        ground.append(connection, _TABLES[kind].name, _COLUMNS[kind], values)
    if turned and ground.amend(connection, _ROTATION, turned) != len(turned):
        raise TogetherError


def _row(kind: type[Abreast], record: Abreast) -> tuple[Any, ...]:
    return tuple(
        getattr(record, name) if spell is None else spell(getattr(record, name), ANY_DIALECT)
        for name, spell in _SPELL[kind]
    )


def _turn(family: RefreshFamily) -> tuple[Any, ...]:
    rotated_at = None if family.rotated_at is None else micros(family.rotated_at)
    return (
        family.id,
        family.organisation_id,
        family.version - 1,
        family.previous_hash,
        family.current_hash,
        family.pepper_id,
        family.generation,
        family.previous_hash,
        rotated_at,
        family.successor_sealed,
        family.version,
    )
