"""Refresh families, which change with every use: what memory keeps of them, and how a batch writes its own.

A family is one row, and a rotation one update of it. A batch brings many: one statement writes all births,
and one all rotations. If a single one of them finds another state than it expects, nothing of that stays and
each goes its own way (``carry.py``), which knows what it lost to.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.dialects import sqlite

from keyturn.core.changes import Add, Change, EndFamily, Remove, Replace, RequireVersion, Rotate, Unit
from keyturn.core.errors import Fault
from keyturn.core.records import RefreshFamily
from keyturn.core.vocabulary import FamilyId
from keyturn.storage.ground import Amendment, Ground
from keyturn.storage.schema import ORGANISATION, REFRESH_FAMILY, micros

FAMILY_LIMIT = 10_000
"""Families kept in memory, each about a kilobyte."""

Seen = Mapping[FamilyId, RefreshFamily | None]
"""Families as a transaction left them; None for those of which it does not know."""

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
_COLUMNS = tuple(REFRESH_FAMILY.c.keys())
_DIALECT = sqlite.dialect()
# What a column keeps of a value is the same in every database (schema.py), so any dialect will do.
_SPELL = tuple((name, getattr(REFRESH_FAMILY.c[name].type, "process_bind_param", None)) for name in _COLUMNS)
_READ = tuple((name, getattr(REFRESH_FAMILY.c[name].type, "process_result_value", None)) for name in _COLUMNS)
_ENDED = select(ORGANISATION.c.id).where(
    ORGANISATION.c.id.in_(bindparam("ids", expanding=True)), ORGANISATION.c.ended_at.is_not(None)
)


class Families:
    """Families as this process wrote them last, a bounded number; used on the event loop.

    Another process may have changed one since, and nobody says so: it would cost every process something for
    each refresh. So only what loses to any change may rest on what is found here.
    """

    def __init__(self) -> None:
        """Know none."""
        self._kept: OrderedDict[FamilyId, RefreshFamily] = OrderedDict()
        self._current: dict[bytes, RefreshFamily] = {}

    def current(self, current_hash: bytes) -> RefreshFamily | None:
        """Give the family whose current token has a digest."""
        return self._current.get(current_hash)

    def learn(self, seen: Seen) -> None:
        """Take over what a transaction left, once it is committed."""
        kept, current = self._kept, self._current
        for family_id, family in seen.items():
            before = kept.pop(family_id, None)
            if before is not None:
                current.pop(before.current_hash, None)
            if family is not None:
                kept[family_id] = current[family.current_hash] = family
        while len(kept) > FAMILY_LIMIT:
            _, oldest = kept.popitem(last=False)
            current.pop(oldest.current_hash, None)

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()
        self._current.clear()


def find_family(ground: Ground, connection: Connection, family_id: FamilyId) -> RefreshFamily | None:
    """Read a family that memory has let go; a renewal waits for it.

    Raises:
        DBAPIError: The store cannot be read.
    """
    row = ground.find_row(connection, REFRESH_FAMILY.name, _COLUMNS, family_id)
    if row is None:
        return None
    return RefreshFamily(
        **{
            name: value if read is None else read(value, _DIALECT)
            for (name, read), value in zip(_READ, row, strict=True)
        }
    )


def family_in(unit: Unit) -> RefreshFamily | None:
    """Give the family that a unit's last change begins or rotates, if that is what it does."""
    last = unit.changes[-1] if unit.changes else None
    record = last.record if isinstance(last, Add | Rotate) else None
    return record if isinstance(record, RefreshFamily) else None


def named_in(changes: Sequence[Change]) -> Iterator[FamilyId]:
    """Name every family that is changed or required to be as it was."""
    for change in changes:
        match change:
            case Add(RefreshFamily() as family) | Replace(RefreshFamily() as family):
                yield family.id
            case Remove(RefreshFamily() as family) | Rotate(family):
                yield family.id
            case EndFamily():
                yield change.id
            case RequireVersion(table="refresh_family"):
                yield FamilyId(change.id)
            case _:
                pass


class TogetherError(Exception):
    """One of many families is not as expected, so that none may be written."""


def write_all(ground: Ground, connection: Connection, units: Sequence[Unit]) -> None:
    """Begin and rotate the families of units that do just that, none of them twice.

    Raises:
        TogetherError: One lost; the caller undoes all.
        DBAPIError: As well, where it is ``Ground.is_units_own``; else the transaction has failed.
    """
    born: list[RefreshFamily] = []
    turned: list[tuple[Any, ...]] = []
    for unit in units:
        match unit.changes[-1]:
            case Add(RefreshFamily() as family):
                born.append(family)
            case Rotate(family):
                turned.append(_turn(family))
            case _:
                raise Fault("a unit that is written with others does not end with its family")
    if born:
        homes = {family.organisation_id for family in born}
        if connection.execute(_ENDED, {"ids": sorted(homes)}).first() is not None:
            raise TogetherError
        ground.append(connection, REFRESH_FAMILY.name, _COLUMNS, [_row(family) for family in born])
    if turned and ground.amend(connection, _ROTATION, turned) != len(turned):
        raise TogetherError


def _row(family: RefreshFamily) -> tuple[Any, ...]:
    return tuple(
        getattr(family, name) if spell is None else spell(getattr(family, name), _DIALECT)
        for name, spell in _SPELL
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
