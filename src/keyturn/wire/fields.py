"""The fields of one request being read: what was found, what is wrong, what is deprecated."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from keyturn.core.secret import Secret
from keyturn.core.vocabulary import Code, Reason
from keyturn.wire.ask import Slots
from keyturn.wire.narrow import Narrow, narrow
from keyturn.wire.parse import PARSERS, Pairs
from keyturn.wire.readers import LIST_READERS, READERS, TEXT_READERS
from keyturn.wire.tables import FORM, JSON, Field, Source

BODIES_KEPT = 1024
"""Short bodies without a secret whose reading each route remembers."""
BODY_KEPT_BYTES = 256
_NAME_SHOWN = 100
"""Characters of an unknown field's name that are repeated."""


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with one field."""

    code: Code
    reason: Reason
    field: str
    says: str
    source: Source = Source.BODY

    @property
    def issue(self) -> str:
        """One sentence for the caller."""
        return f"{self.field} {self.says}"


class Reading(msgspec.Struct):
    """One request being read: what was found, what is wrong, what is deprecated."""

    slots: Slots
    problems: list[Problem]
    deprecated: list[str]

    def put(self, slot: str, value: Any, field: str) -> None:
        """Fill a slot; two fields of one slot may say the same, and nothing else."""
        if slot in self.slots and _clear(self.slots[slot]) != _clear(value):
            self.problems.append(repeated(field))
        self.slots[slot] = value

    def merge(self, slots: Slots, name_of: Callable[[str], str]) -> None:
        """Fill several slots, as ``put`` does; ``name_of`` names the field of one that is filled already."""
        if self.slots.keys().isdisjoint(slots):
            self.slots.update(slots)
            return
        for slot, value in slots.items():
            self.put(slot, value, name_of(slot))


def repeated(field: str, source: Source = Source.BODY) -> Problem:
    """Say that a field is there twice (RFC 6749 section 3.2)."""
    return Problem(Code.INVALID_REQUEST, Reason.FIELD_REPEATED, field, "is given more than once", source)


def unknown(field: str, source: Source, shown: Iterable[str]) -> Problem:
    """Say that a field is none of the route's (AD-02); ``shown`` are those that its answer shows."""
    says = "cannot be set" if field in shown else "is not known here"
    return Problem(Code.INVALID_REQUEST, Reason.FIELD_UNKNOWN, field[:_NAME_SHOWN], says, source)


class BoundField(msgspec.Struct, frozen=True):
    """A field with its readers found; ``absent`` are the values that count as none given."""

    table: Field
    readers: dict[str, Callable[[Any], Any]]
    narrow: Narrow | None
    absent: dict[str, tuple[Any, ...]]
    names: tuple[str, ...]

    def read(self, media: str, given: list[tuple[str, Any]], reading: Reading) -> None:
        """Convert what was given into the slot, or note what is wrong with it."""
        table = self.table
        if len(given) > 1 and not table.repeatable:
            reading.problems.append(repeated(table.name, table.source))
            return
        try:
            values = [self._read(media, value) for _, value in given if value not in self.absent[media]]
        except ValueError as problem:
            if table.spare:
                return
            reading.problems.append(
                Problem(table.invalid, Reason.FIELD_INVALID, table.name, str(problem), table.source)
            )
            return
        if table.aliases:
            reading.deprecated += [name for name, _ in given if name in table.aliases]
        if table.deprecated and values:
            reading.deprecated.append(_marked(table))
        if table.repeatable:
            reading.slots[table.slot] = tuple(values)
        elif values and (values[0] is not None or table.clearable):
            reading.put(table.slot, values[0], table.name)

    def _read(self, media: str, value: Any) -> Any:
        if self.table.clearable and value in (None, ""):
            return None
        read = self.readers[media](value)
        return read if self.narrow is None else self.narrow(read)


def bind(field: Field) -> BoundField:
    """Find a field's readers.

    Raises:
        ValueError: It names one that does not exist.
    """
    names = {FORM: field.reader, JSON: field.json_reader or field.reader}
    unknown = [name for name in names.values() if name not in READERS]
    if unknown:
        raise ValueError(f"field {field.name!r}: unknown reader {unknown[0]!r}")
    # An empty value is as good as none (RFC 6749 section 3.1), but an empty text is no list and no number,
    # and null is of no type at all unless the contract says so.
    of_text = names[JSON] not in LIST_READERS and names[JSON] not in TEXT_READERS
    empty_text: tuple[Any, ...] = ("",) if of_text and not (field.blank or field.clearable) else ()
    # Forms send their empty fields along; a header is there because somebody wrote it.
    empty_field = () if field.blank and field.source is Source.HEADER else ("",)
    return BoundField(
        field,
        {FORM: TEXT_READERS.get(names[FORM], READERS[names[FORM]]), JSON: READERS[names[JSON]]},
        narrow(field),
        {FORM: empty_field, JSON: (*empty_text, None) if field.nullable else empty_text},
        (field.name, *field.aliases),
    )


class Bodies:
    """Reads the bodies of a route, and remembers those that callers send again and again.

    Most callers ask with the same few words every time and say who they are in a header. What a short body
    says follows from its bytes alone, so it is kept if all of it was sound. One with a secret, or with a
    field that we do not know and that may be one, is never kept.
    """

    def __init__(self, fields: Iterable[BoundField], shown: Iterable[str] | None = None) -> None:
        """Take the fields that a body of the route may hold.

        Args:
            shown: Members of the answer, of a route that refuses other fields; None where it ignores them.
        """
        self._shown = None if shown is None else frozenset(shown)
        self._fields = {name: field for field in fields for name in field.names}
        self._any_case = {name.lower(): field for name, field in self._fields.items() if field.table.any_case}
        self._plain = {name for name, field in self._fields.items() if not is_secret(field.table)}
        self._simple = {} if self._any_case else _simple(self._fields.values())
        self._known: dict[tuple[str, bytes], tuple[Slots, list[str]]] = {}

    def read(self, body: bytes, media: str, reading: Reading) -> None:
        """Put what a body says into the slots, or note what is wrong with it."""
        known = self._known.get((media, body))
        if known is None:
            found = Reading({}, [], [])
            pairs = PARSERS[media](body)
            read = media == FORM and _read_simple(pairs, self._simple, found.slots)
            if not read:
                _read_fields(pairs, self._field_of, media, found)
            if self._shown is not None:
                strange = (name for name, _ in pairs if self._field_of(name) is None)
                found.problems += [unknown(name, Source.BODY, self._shown) for name in strange]
            known = (found.slots, found.deprecated)
            reading.problems += found.problems
            short = len(body) <= BODY_KEPT_BYTES
            if short and not found.problems and self._plain.issuperset(name for name, _ in pairs):
                if len(self._known) >= BODIES_KEPT:
                    self._known.clear()
                self._known[media, body] = known
        slots, deprecated = known
        if reading.slots:
            reading.merge(slots, self._name_of)
        else:
            reading.slots.update(slots)
        reading.deprecated += deprecated

    def _field_of(self, name: str) -> BoundField | None:
        found = self._fields.get(name)
        return self._any_case.get(name.lower()) if found is None and self._any_case else found

    def _name_of(self, slot: str) -> str:
        return next(field.table.name for field in self._fields.values() if field.table.slot == slot)


def is_secret(field: Field) -> bool:
    """Tell whether a field may hold a secret: nothing keeps or repeats it."""
    return "secret" in (field.reader, field.json_reader)


def _marked(field: Field) -> str:
    return field.name if field.source is Source.BODY else f"{field.source}:{field.name}"


def _clear(value: Any) -> Any:
    """Give what two values of a slot are compared by; both are the caller's own, so time tells it nothing."""
    return value.reveal() if isinstance(value, Secret) else value


_Simple = dict[str, tuple[str, Callable[[Any], Any], Narrow | None]]


def _simple(fields: Iterable[BoundField]) -> _Simple:
    """Give slot and readers of the fields of a form that are all read alike, by their own names."""
    return {
        field.table.name: (field.table.slot, field.readers[FORM], field.narrow)
        for field in fields
        if not (
            field.table.repeatable or field.table.deprecated or field.table.clearable or field.table.spare
        )
        and field.absent[FORM] == ("",)
    }


def _read_simple(pairs: Pairs, simple: _Simple, slots: Slots) -> bool:
    """Read a form of simple fields, each there once, sound and not empty; False of any other.

    So are most, and ``_read_fields`` costs them several times as much.
    """
    found: Slots = {}
    for name, text in pairs:
        field = simple.get(name)
        if field is None:
            return False
        slot, read, narrow = field
        if slot in found or not text:
            return False
        try:
            value = read(text)
            found[slot] = value if narrow is None else narrow(value)
        except ValueError:
            return False
        if value is None:
            return False
    slots.update(found)
    return True


def _read_fields(
    pairs: Pairs, field_of: Callable[[str], BoundField | None], media: str, reading: Reading
) -> None:
    """Read every known field; unknown ones are ignored.

    No name may stand twice, known or not: two readers of one request could take different ones
    (RFC 6749 section 3.2).
    """
    given: dict[str, tuple[BoundField | None, list[tuple[str, Any]]]] = {}
    for pair in pairs:
        field = field_of(pair[0])
        place = pair[0] if field is None else field.table.name  # an alias is the same field
        if place in given:
            given[place][1].append(pair)
        else:
            given[place] = field, [pair]
    spare = []
    for field, values in given.values():
        if field is None:
            if len(values) > 1:
                reading.problems.append(repeated("a field"))
        elif field.table.spare:
            spare.append((field, values))
        else:
            field.read(media, values, reading)
    for field, values in spare:
        if field.table.slot not in reading.slots:
            field.read(media, values, reading)


def read_texts(pairs: Pairs, fields: Mapping[str, BoundField], reading: Reading) -> None:
    """Read fields whose values are texts from outside a body; other names are nobody's business."""
    given: dict[str, list[tuple[str, Any]]] = {}
    for pair in pairs:
        field = fields.get(pair[0])
        if field is not None:
            given.setdefault(field.table.name, []).append(pair)
    for place, values in given.items():
        fields[place].read(FORM, values, reading)
