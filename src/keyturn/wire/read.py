"""A route's table turned into the function that reads its requests.

``compile_reader`` resolves every name in the table once; the returned function does the same few steps for
every route: media type, fields, client authentication, what is asked. It raises a ``Refusal`` with one issue
for each bad field; the first bad field of the table decides the public code.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from keyturn.core import errors
from keyturn.core.requests import Origin
from keyturn.core.vocabulary import Code, Reason
from keyturn.wire.ask import REFUSAL_OF, Asked, Slots, compile_ask, merge_basic
from keyturn.wire.http import WireRequest
from keyturn.wire.parse import PARSERS, Pairs, form, media_type
from keyturn.wire.readers import LIST_READERS, READERS
from keyturn.wire.tables import FORM, JSON, Field, Route, Source

BODIES_KEPT = 1024
"""Short bodies without a secret whose reading each route remembers."""
BODY_KEPT_BYTES = 256

Reader = Callable[[WireRequest], Asked]


class _Problem(msgspec.Struct, frozen=True):
    code: Code
    reason: Reason
    field: str
    says: str

    @property
    def issue(self) -> str:
        """One sentence for the caller."""
        return f"{self.field} {self.says}"


class _Reading(msgspec.Struct):
    """One request being read: what was found, what is wrong, what is deprecated."""

    slots: Slots
    problems: list[_Problem]
    deprecated: list[str]


class _BoundField(msgspec.Struct, frozen=True):
    """A field with its readers found; ``absent`` are the values that count as none given."""

    table: Field
    readers: dict[str, Callable[[Any], Any]]
    absent: dict[str, tuple[Any, ...]]
    names: tuple[str, ...]

    def read(self, media: str, given: list[tuple[str, Any]], reading: _Reading) -> None:
        """Convert what was given into the slot, or note what is wrong with it."""
        table = self.table
        if len(given) > 1 and not table.repeatable:
            reading.problems.append(_repeated(table.name))
            return
        try:
            values = [self.readers[media](value) for _, value in given if value not in self.absent[media]]
        except ValueError as problem:
            reading.problems.append(_Problem(table.invalid, Reason.FIELD_INVALID, table.name, str(problem)))
            return
        if table.aliases:
            reading.deprecated += [name for name, _ in given if name in table.aliases]
        if table.repeatable:
            reading.slots[table.slot] = tuple(values)
        elif values and values[0] is not None:
            reading.slots[table.slot] = values[0]


class _Bodies:
    """Reads the bodies of a route, and remembers those that callers send again and again.

    Most callers ask with the same few words every time and say who they are in a header. What a short body
    says follows from its bytes alone, so it is kept if all of it was sound. One with a secret, or with a
    field that we do not know and that may be one, is never kept.
    """

    def __init__(self, fields: Iterable[_BoundField]) -> None:
        self._fields = {name: field for field in fields for name in field.names}
        self._plain = {name for name, field in self._fields.items() if field.table.reader != "secret"}
        self._known: dict[tuple[str, bytes], tuple[Slots, list[str]]] = {}

    def read(self, body: bytes, media: str, reading: _Reading) -> None:
        """Put what a body says into the slots, or note what is wrong with it."""
        known = self._known.get((media, body))
        if known is None:
            found = _Reading({}, [], [])
            pairs = PARSERS[media](body)
            _read_fields(pairs, self._fields, media, found)
            known = (found.slots, found.deprecated)
            reading.problems += found.problems
            harmless = not found.problems and self._plain.issuperset(name for name, _ in pairs)
            if harmless and len(body) <= BODY_KEPT_BYTES:
                if len(self._known) >= BODIES_KEPT:
                    self._known.clear()
                self._known[media, body] = known
        slots, deprecated = known
        reading.slots.update(slots)
        reading.deprecated += deprecated


def compile_reader(route: Route, dialect: str) -> Reader:
    """Turn a route that exchanges or asks something into its reader.

    Raises:
        ValueError: The table names something that does not exist.
    """
    bound = [(field.source, _bind(field)) for field in route.fields]
    body = [field for source, field in bound if source is Source.BODY]
    query = [field for source, field in bound if source is Source.QUERY]
    headers = [field for source, field in bound if source is Source.HEADER]
    path = [field for source, field in bound if source is Source.PATH]
    body_only = frozenset(name for field in body for name in field.names) - {
        name for field in query for name in field.names
    }
    required = tuple(field for field in route.fields if field.required)
    grant_field = next((field.name for field in route.fields if field.slot == "grant_type"), "grant_type")
    ask = compile_ask(route)
    bodies = _Bodies(body)

    def read(request: WireRequest) -> Asked:
        if request.oversized:
            raise errors.TooLarge(Reason.TOO_LARGE, "the body is too large")
        media = media_type(request, route.media, optional=route.media_optional)
        reading = _Reading({}, [], [])
        if request.query:
            _read_query(form(request.query), query, body_only, reading)
        bodies.read(request.body, media, reading)
        for field in headers:
            field.read(FORM, _header_values(request, field.names), reading)
        for field in path:
            name = field.table.name
            field.read(FORM, [(name, request.params[name])], reading)
        if route.authentication is not None:
            merge_basic(request, route.authentication, reading.slots)
        _require(required, reading)
        asked = ask(reading.slots)
        if asked is None:
            reading.problems.append(
                _Problem(Code.UNSUPPORTED_GRANT_TYPE, Reason.GRANT_UNKNOWN, grant_field, "is not supported")
            )
        if reading.problems or asked is None:
            raise _refusal(reading.problems, route)
        origin = Origin(
            request_id=request.request_id,
            address=request.address,
            dialect=dialect,
            route=route.name,
            deprecated=tuple(reading.deprecated),
        )
        return asked(origin, reading.slots)

    return read


def _bind(field: Field) -> _BoundField:
    readers = {FORM: field.reader, JSON: field.json_reader or field.reader}
    unknown = [f"reader {name!r}" for name in readers.values() if name not in READERS]
    unknown += [f"refusal {code!r}" for code in (field.missing, field.invalid) if code not in REFUSAL_OF]
    if unknown:
        raise ValueError(f"field {field.name!r}: unknown {unknown[0]}")
    # An empty value is as good as none (RFC 6749 section 3.1), but an empty text is no list, and null is
    # of no type at all unless the contract says so.
    empty_text: tuple[Any, ...] = () if readers[JSON] in LIST_READERS else ("",)
    return _BoundField(
        field,
        {media: READERS[name] for media, name in readers.items()},
        {FORM: ("",), JSON: (*empty_text, None) if field.nullable else empty_text},
        (field.name, *field.aliases),
    )


def _read_fields(pairs: Pairs, fields: Mapping[str, _BoundField], media: str, reading: _Reading) -> None:
    """Read every known field; unknown ones are ignored.

    No name may stand twice, known or not: two readers of one request could take different ones
    (RFC 6749 section 3.2).
    """
    given: dict[str, list[tuple[str, Any]]] = {}
    for pair in pairs:
        name = pair[0]
        field = fields.get(name)
        place = name if field is None else field.table.name  # an alias is the same field
        if place in given:
            given[place].append(pair)
        else:
            given[place] = [pair]
    for place, values in given.items():
        field = fields.get(place)
        if field is not None:
            field.read(media, values, reading)
        elif len(values) > 1:
            reading.problems.append(_repeated("a field"))


def _read_query(
    pairs: Pairs, fields: Iterable[_BoundField], body_only: frozenset[str], reading: _Reading
) -> None:
    """Read what the contract has in the query, and refuse what belongs in the body.

    A credential or grant parameter in the query is kept by logs and histories (TE-01).
    """
    if any(name in body_only for name, _ in pairs):
        raise errors.InvalidRequest(
            Reason.CREDENTIAL_IN_QUERY, "parameters belong in the body, not in the query"
        )
    for field in fields:
        given = [pair for pair in pairs if pair[0] in field.names]
        if given:
            field.read(FORM, given, reading)


def _header_values(request: WireRequest, names: tuple[str, ...]) -> list[tuple[str, Any]]:
    return [(name, value.decode("latin-1")) for name in names for value in request.header(name.encode())]


def _require(fields: Iterable[Field], reading: _Reading) -> None:
    for table in fields:
        if table.slot not in reading.slots and not _is_told(table.name, reading):
            reading.problems.append(_Problem(table.missing, Reason.FIELD_MISSING, table.name, "is required"))


def _is_told(field: str, reading: _Reading) -> bool:
    return any(problem.field == field for problem in reading.problems)


def _repeated(field: str) -> _Problem:
    return _Problem(Code.INVALID_REQUEST, Reason.FIELD_REPEATED, field, "is given more than once")


def _refusal(problems: list[_Problem], route: Route) -> errors.Refusal:
    """Make one refusal of all problems: the first in the order of the table names the code."""
    order = {field.name: place for place, field in enumerate(route.fields)}
    ranked = sorted(problems, key=lambda problem: order.get(problem.field, len(order)))
    first = ranked[0]
    return REFUSAL_OF[first.code](first.reason, first.issue, issues=[problem.issue for problem in ranked])
