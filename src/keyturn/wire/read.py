"""A route's table turned into the function that reads its requests.

``compile_reader`` resolves every name in the table once; the returned function does the same few steps for
every route: media type, fields, client authentication, what is asked. It raises a ``Refusal`` with one issue
for each bad field; the first bad field of the table decides the public code. A name that nobody can have
counts as a wrong one, and that is told only of a request in which nothing else is bad.
"""

from collections.abc import Callable, Iterable

from keyturn.core import errors
from keyturn.core.errors import Refusal
from keyturn.core.requests import Call, Origin
from keyturn.core.shapes import Each
from keyturn.core.vocabulary import Code, Reason
from keyturn.wire.ask import REFUSAL_OF, Asked, Slots, caller, compile_ask, merge_basic
from keyturn.wire.fields import Bodies, BoundField, Problem, Reading, bind, read_texts, unknown
from keyturn.wire.http import WireRequest
from keyturn.wire.parse import Pairs, bearer, form, media_type
from keyturn.wire.tables import FORM, Field, Route, Source

Reader = Callable[[WireRequest], Asked]

BODILESS = ("GET", "DELETE")
"""Methods whose body means nothing (RFC 9110 sections 9.3.1 and 9.3.5), so that nobody looks at it."""


def compile_reader(route: Route, dialect: str) -> Reader:
    """Turn a route that reads more than its path into its reader.

    Raises:
        ValueError: The table names something that does not exist.
    """
    fill = _compile_fill(route)
    required = tuple(field for field in route.fields if field.required)
    needed = {field.slot for field in required}
    grant_field = next((field.name for field in route.fields if field.slot == "grant_type"), "grant_type")
    echoed = tuple(field.slot for field in route.fields if field.echo)
    defaults = {field.slot: field.default for field in route.fields if field.default is not None}
    ask = compile_ask(route)

    def understand(request: WireRequest, reading: Reading) -> Asked:
        fill(request, reading)
        if not needed <= reading.slots.keys():
            _require(required, reading)
        asked = ask(reading.slots)
        if asked is None:
            reading.problems.append(
                Problem(Code.UNSUPPORTED_GRANT_TYPE, Reason.GRANT_UNKNOWN, grant_field, "is not supported")
            )
        if reading.problems or asked is None:
            raise _refusal(reading.problems, route)
        token = None if route.bearer is None else bearer(request, route.bearer)
        slots = defaults | reading.slots if defaults else reading.slots
        origin = Origin(
            request_id=request.request_id,
            address=request.address,
            dialect=dialect,
            route=route.name,
            deprecated=tuple(reading.deprecated),
            echoes=_echoes(echoed, slots) if echoed else {},
        )
        return asked(origin, slots, token)

    def read(request: WireRequest) -> Asked:
        if request.oversized:
            raise errors.TooLarge(Reason.TOO_LARGE, "the body is too large")
        reading = Reading({}, [], [])
        try:
            return understand(request, reading)
        except Refusal as refusal:
            refusal.echoes = _echoes(echoed, reading.slots)
            raise

    return read


def compile_knock(route: Route, dialect: str) -> Callable[[WireRequest], Call] | None:
    """Give the function that reads of a call only who makes it; None where nobody has to say who they are."""
    if route.operation is None or route.bearer is None:
        return None
    call, table = caller(route.operation, route.bearer), route.bearer

    def knock(request: WireRequest) -> Call:
        origin = Origin(
            request_id=request.request_id, address=request.address, dialect=dialect, route=route.name
        )
        return call(origin, {}, bearer(request, table))

    return knock


def _compile_fill(route: Route) -> Callable[[WireRequest, Reading], None]:
    """Give the function that fills the slots, in the order in which refusals of a request come."""
    bound = [_bound(field) for field in route.fields]
    body = [field for field in bound if field.table.source is Source.BODY]
    query = _by_name(bound, Source.QUERY)
    headers = _by_name(bound, Source.HEADER)
    path = [field for field in bound if field.table.source is Source.PATH]
    path_names = {field.table.slot: field.table.name for field in path}
    body_only = frozenset(name for field in body for name in field.names) - query.keys()
    bodies = Bodies(body, _shown(route) if route.strict else None)
    has_body = route.method not in BODILESS

    def fill(request: WireRequest, reading: Reading) -> None:
        empty = not has_body or (route.media_ignored_when_empty and not request.body)
        notes = request.notes
        media = FORM if empty else notes.media
        if media is None:
            media = notes.media = media_type(request, route.media, optional=route.media_optional)
        if request.query:
            pairs = form(request.query)
            _read_query(pairs, query, body_only, reading)
            if route.strict:
                strange = (name for name, _ in pairs if name not in query)
                reading.problems += [unknown(name, Source.QUERY, ()) for name in strange]
        if not empty:
            bodies.read(request.body, media, reading)
        if headers:
            read_texts(_header_pairs(request, headers), headers, reading)
        if path:
            in_path = notes.path
            if in_path is None:
                in_path = _read_path(path, request, reading)
            reading.merge(in_path, path_names.__getitem__)
        if route.authentication is not None:
            merge_basic(request, route.authentication, reading.slots)

    return fill


def _read_path(path: Iterable[BoundField], request: WireRequest, reading: Reading) -> Slots:
    """Read what the path says, and note it with the head if all of it is sound."""
    found = Reading({}, [], [])
    for field in path:
        name = field.table.name
        field.read(FORM, [(name, request.params[name])], found)
    reading.problems += found.problems
    reading.deprecated += found.deprecated
    if not found.problems and not found.deprecated:
        request.notes.path = found.slots
    return found.slots


def _shown(route: Route) -> Iterable[str]:
    """Name the members of a route's answer."""
    shape = route.answer.shape
    return () if shape is None or isinstance(shape, Each) else [member.path for member in shape.members]


def _bound(field: Field) -> BoundField:
    unknown = [code for code in (field.missing, field.invalid) if code not in REFUSAL_OF]
    if unknown:
        raise ValueError(f"field {field.name!r}: unknown refusal {unknown[0]!r}")
    return bind(field)


def _by_name(bound: Iterable[BoundField], source: Source) -> dict[str, BoundField]:
    return {name: field for field in bound if field.table.source is source for name in field.names}


def _read_query(
    pairs: Pairs, fields: dict[str, BoundField], body_only: frozenset[str], reading: Reading
) -> None:
    """Read what the contract has in the query, and refuse what belongs in the body.

    A credential or grant parameter in the query is kept by logs and histories (TE-01).
    """
    if any(name in body_only for name, _ in pairs):
        raise errors.InvalidRequest(
            Reason.CREDENTIAL_IN_QUERY, "parameters belong in the body, not in the query"
        )
    if fields:
        read_texts(pairs, fields, reading)


def _header_pairs(request: WireRequest, fields: dict[str, BoundField]) -> Pairs:
    return [(name, value.decode("latin-1")) for name in fields for value in request.header(name.encode())]


def _echoes(echoed: tuple[str, ...], slots: Slots) -> dict[str, object]:
    return {slot: slots[slot] for slot in echoed if slot in slots}


def _require(fields: Iterable[Field], reading: Reading) -> None:
    for table in fields:
        if table.slot not in reading.slots and not _is_told(table.name, reading):
            reading.problems.append(
                Problem(table.missing, Reason.FIELD_MISSING, table.name, "is required", table.source)
            )


def _is_told(field: str, reading: Reading) -> bool:
    return any(problem.field == field for problem in reading.problems)


def _refusal(problems: list[Problem], route: Route) -> errors.Refusal:
    """Make one refusal of all problems: the first in the order of the table names the code."""
    order = {field.name: place for place, field in enumerate(route.fields)}
    ranked = sorted(problems, key=lambda problem: (_is_nobody(problem), order.get(problem.field, len(order))))
    first = ranked[0]
    refusal = REFUSAL_OF[first.code](first.reason, first.issue, issues=[problem.issue for problem in ranked])
    refusal.errors = [_located(problem) for problem in ranked]
    return refusal


def _is_nobody(problem: Problem) -> bool:
    """Tell a name that nobody can have: it waits as long as others, which are looked up last."""
    return problem.code is Code.INVALID_GRANT and problem.reason is Reason.FIELD_INVALID


def _located(problem: Problem) -> dict[str, str | None]:
    """Say where a problem is: a JSON pointer into the body (RFC 6901), or a parameter's or header's name."""
    escaped = problem.field.replace("~", "~0").replace("/", "~1")
    of_head = problem.source is Source.HEADER
    return {
        "pointer": f"#/{escaped}" if problem.source is Source.BODY else None,
        "parameter": problem.field if problem.source in (Source.QUERY, Source.PATH) else None,
        "header": problem.field if of_head else None,
        "detail": problem.says,
    }
