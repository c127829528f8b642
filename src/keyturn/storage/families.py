"""Refresh families, which change with every use: what memory keeps of them, and how one is read.

A family is one row, and a rotation one update of it (``abreast.py``).
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Connection

from keyturn.core.changes import Add, Change, EndFamily, Remove, Replace, RequireVersion, Rotate
from keyturn.core.records import RefreshFamily
from keyturn.core.vocabulary import FamilyId
from keyturn.storage.ground import Ground
from keyturn.storage.schema import ANY_DIALECT, REFRESH_FAMILY

FAMILY_LIMIT = 10_000
"""Families kept in memory, each about a kilobyte."""

Seen = Mapping[FamilyId, RefreshFamily | None]
"""Families as a transaction left them; None for those of which it does not know."""

_COLUMNS = tuple(REFRESH_FAMILY.c.keys())
_READ = tuple((name, getattr(REFRESH_FAMILY.c[name].type, "process_result_value", None)) for name in _COLUMNS)


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
            name: value if read is None else read(value, ANY_DIALECT)
            for (name, read), value in zip(_READ, row, strict=True)
        }
    )


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
