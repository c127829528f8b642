"""A route's table turned into the function that reads its requests.

``compile_reader`` resolves every name in the table once; the returned function does the same few steps for
every route: media type, query, body, fields, client authentication, what is asked. It raises a ``Refusal``
with one issue for each bad field; the first bad field of the table decides the public code.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from keyturn.core import errors
from keyturn.core.requests import Origin
from keyturn.core.vocabulary import Code, Reason
from keyturn.wire.ask import REFUSAL_OF, Asked, Slots, compile_ask, merge_basic
from keyturn.wire.http import WireRequest
from keyturn.wire.parse import Pairs, form, json_object, media_type
from keyturn.wire.readers import READERS
from keyturn.wire.tables import FORM, JSON, Field, Route, Source

Reader = Callable[[WireRequest], Asked]

PARSERS: dict[str, Callable[[bytes], Pairs]] = {FORM: form, JSON: json_object}


class _Problem(msgspec.Struct, frozen=True):
    code: Code
    reason: Reason
    field: str
    says: str

    @property
    def issue(self) -> str:
        """One sentence for the caller."""
        return f"{self.field} {self.says}"


class _BoundField(msgspec.Struct, frozen=True):
    """A field with its readers found."""

    table: Field
    readers: dict[str, Callable[[Any], Any]]
    names: tuple[str, ...]

    def read(self, media: str, given: list[tuple[str, Any]], slots: Slots) -> _Problem | None:
        """Convert what was given into the slot, or say what is wrong with it."""
        table = self.table
        if len(given) > 1 and not table.repeatable:
            return _Problem(
                Code.INVALID_REQUEST, Reason.FIELD_REPEATED, table.name, "is given more than once"
            )
        try:
            values = [self.readers[media](value) for _, value in given if value not in ("", None)]
        except ValueError as problem:
            return _Problem(table.invalid, Reason.FIELD_INVALID, table.name, str(problem))
        if table.repeatable:
            slots[table.slot] = tuple(values)
        elif values and values[0] is not None:
            slots[table.slot] = values[0]
        return None


def compile_reader(route: Route, dialect: str) -> Reader:
    """Turn a route that exchanges or asks something into its reader.

    Raises:
        ValueError: The table names a reader that does not exist, or a code that no field is refused with.
    """
    body = [_bind(field) for field in route.fields if field.source is Source.BODY]
    body_names = frozenset(name for field in body for name in field.names)
    path = tuple(
        (field.table.name, field) for field in map(_bind, route.fields) if field.table.source is Source.PATH
    )
    required = tuple(field for field in route.fields if field.required)
    choose = compile_ask(route)

    def read(request: WireRequest) -> Asked:
        if request.oversized:
            raise errors.TooLarge(Reason.TOO_LARGE, "the body is too large")
        media = media_type(request, route.media, optional=route.media_optional)
        _refuse_query(request.query, body_names)
        slots: Slots = {}
        problems: list[_Problem] = []
        deprecated = _read_fields(PARSERS[media](request.body), body, media, slots, problems)
        for name, field in path:
            _note(problems, field.read(FORM, [(name, request.params[name])], slots))
        if route.authentication is not None:
            merge_basic(request, route.authentication, slots)
        for table in required:
            if table.slot not in slots and all(problem.field != table.name for problem in problems):
                problems.append(_Problem(table.missing, Reason.FIELD_MISSING, table.name, "is required"))
        asked = choose(slots)
        if asked is None:
            problems.append(
                _Problem(Code.UNSUPPORTED_GRANT_TYPE, Reason.GRANT_UNKNOWN, "grant_type", "is not supported")
            )
        if problems or asked is None:
            raise _refusal(problems, route)
        origin = Origin(
            request_id=request.request_id,
            address=request.address,
            dialect=dialect,
            route=route.name,
            deprecated=deprecated,
        )
        return asked(origin, slots)

    return read


def _bind(field: Field) -> _BoundField:
    readers = {FORM: field.reader, JSON: field.json_reader or field.reader}
    unknown = [f"reader {name!r}" for name in readers.values() if name not in READERS]
    unknown += [f"refusal {code!r}" for code in (field.missing, field.invalid) if code not in REFUSAL_OF]
    if unknown:
        raise ValueError(f"field {field.name!r}: unknown {unknown[0]}")
    return _BoundField(
        field,
        {media: READERS[name] for media, name in readers.items()},
        (field.name, *field.aliases),
    )


def _read_fields(
    pairs: Pairs,
    fields: list[_BoundField],
    media: str,
    slots: Slots,
    problems: list[_Problem],
) -> tuple[str, ...]:
    """Read every known field and name the deprecated ones; unknown ones are ignored.

    No name may stand twice, known or not: two readers of one request could take different ones
    (RFC 6749 section 3.2).
    """
    given: dict[str, list[tuple[str, Any]]] = {}
    for pair in pairs:
        given.setdefault(pair[0], []).append(pair)
    deprecated: list[str] = []
    for field in fields:
        values = [pair for name in field.names for pair in given.pop(name, ())]
        if values:
            _note(problems, field.read(media, values, slots))
            deprecated += [name for name, _ in values if name in field.table.aliases]
    if any(len(values) > 1 for values in given.values()):
        problems.append(
            _Problem(Code.INVALID_REQUEST, Reason.FIELD_REPEATED, "a field", "is given more than once")
        )
    return tuple(deprecated)


def _note(problems: list[_Problem], problem: _Problem | None) -> None:
    if problem is not None:
        problems.append(problem)


def _refuse_query(query: bytes, body_names: frozenset[str]) -> None:
    """Refuse a credential or grant parameter in the query, where logs and histories keep it (TE-01)."""
    if query and any(name in body_names for name, _ in form(query)):
        raise errors.InvalidRequest(
            Reason.CREDENTIAL_IN_QUERY, "parameters belong in the body, not in the query"
        )


def _refusal(problems: list[_Problem], route: Route) -> errors.Refusal:
    """Make one refusal of all problems: the first in the order of the table names the code."""
    order = {field.name: place for place, field in enumerate(route.fields)}
    ranked = sorted(problems, key=lambda problem: order.get(problem.field, len(order)))
    first = ranked[0]
    return REFUSAL_OF[first.code](first.reason, first.issue, issues=[problem.issue for problem in ranked])
