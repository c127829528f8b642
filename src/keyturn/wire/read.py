"""A route's table turned into the function that reads its requests.

``compile_reader`` resolves every name in the table once; the returned function does the same few steps for
every route: media type, query, body, fields, client authentication, exchange. It raises a ``Refusal`` with
one issue for each bad field; the first bad field of the table decides the public code.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from keyturn.core import errors
from keyturn.core.requests import Origin, PresentedCredential, TokenRequest
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import Code, Reason
from keyturn.wire.http import WireRequest
from keyturn.wire.parse import Pairs, basic, form, json_object, media_type
from keyturn.wire.readers import READERS
from keyturn.wire.tables import (
    FORM,
    JSON,
    ClientAuthentication,
    Conflict,
    Exchange,
    Field,
    Route,
    Source,
)

TokenReader = Callable[[WireRequest], TokenRequest]
Slots = dict[str, Any]

PARSERS: dict[str, Callable[[bytes], Pairs]] = {FORM: form, JSON: json_object}

REFUSAL_OF: dict[Code, type[errors.Refusal]] = {
    kind.code: kind
    for kind in (
        errors.InvalidRequest,
        errors.InvalidClient,
        errors.InvalidGrant,
        errors.InvalidScope,
        errors.InvalidTarget,
        errors.UnsupportedGrantType,
    )
}
"""The codes that a field may be refused with."""


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


def compile_reader(route: Route, dialect: str) -> TokenReader:
    """Turn a route that exchanges something into its reader.

    Raises:
        ValueError: The table names a reader that does not exist.
    """
    body = [_bind(field) for field in route.fields if field.source is Source.BODY]
    body_names = frozenset(name for field in body for name in field.names)
    path = tuple(
        (field.table.name, field) for field in map(_bind, route.fields) if field.table.source is Source.PATH
    )
    required = tuple(field for field in route.fields if field.required)
    select = _selector(route.exchanges)

    def read(request: WireRequest) -> TokenRequest:
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
            _authenticate(request, route.authentication, slots)
        for table in required:
            if table.slot not in slots and all(problem.field != table.name for problem in problems):
                problems.append(_Problem(table.missing, Reason.FIELD_MISSING, table.name, "is required"))
        exchange = select(slots, problems)
        if problems or exchange is None:
            raise _refusal(problems, route)
        origin = Origin(
            request_id=request.request_id,
            address=request.address,
            dialect=dialect,
            route=route.name,
            deprecated=deprecated,
        )
        return _token_request(origin, exchange, slots)

    return read


def _bind(field: Field) -> _BoundField:
    readers = {FORM: field.reader, JSON: field.json_reader or field.reader}
    missing = [name for name in readers.values() if name not in READERS]
    if missing:
        message = f"field {field.name!r}: unknown reader {missing[0]!r}"
        raise ValueError(message)
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


def _authenticate(request: WireRequest, table: ClientAuthentication, slots: Slots) -> None:
    """Merge HTTP Basic with what the body says, as the table settles a conflict (TE-04)."""
    claimed = basic(request, other_schemes_refused=table.other_schemes_refused) if table.basic else None
    if claimed is None:
        return
    owner, secret = claimed
    in_body = slots.get(table.secret)
    same_owner = slots.get(table.owner, owner) == owner
    if table.conflict is Conflict.BODY_WINS and in_body is not None:
        return
    if table.conflict is Conflict.ONE and (in_body is not None or not same_owner):
        raise errors.InvalidRequest(Reason.TWO_AUTHENTICATIONS, "use one way of client authentication")
    differs = not same_owner or (in_body is not None and in_body.reveal() != secret)
    if table.conflict is Conflict.MUST_AGREE and differs:
        raise errors.InvalidRequest(
            Reason.TWO_AUTHENTICATIONS, "the Authorization header and the body name different clients"
        )
    slots[table.owner] = READERS["uuid_or_text"](owner)
    slots[table.secret] = Secret(secret)


def _selector(exchanges: tuple[Exchange, ...]) -> Callable[[Slots, list[_Problem]], Exchange | None]:
    """Choose the exchange by the ``grant_type`` slot; one without a wire value is the route's own."""
    by_grant = {exchange.wire_grant: exchange for exchange in exchanges}
    alone = by_grant.get(None)

    def select(slots: Slots, problems: list[_Problem]) -> Exchange | None:
        wanted = slots.get("grant_type")
        if alone is not None:
            return alone
        exchange = by_grant.get(wanted)
        if exchange is None and wanted is not None:
            problems.append(
                _Problem(Code.UNSUPPORTED_GRANT_TYPE, Reason.GRANT_UNKNOWN, "grant_type", "is not supported")
            )
        return exchange

    return select


def _token_request(origin: Origin, exchange: Exchange, slots: Slots) -> TokenRequest:
    secret = slots.get(exchange.secret)
    owner = slots.get(exchange.owner) if exchange.owner else None
    if secret is None or (exchange.owner and owner is None):
        raise REFUSAL_OF[exchange.absent](Reason.NO_CREDENTIAL)
    return TokenRequest(
        origin=origin,
        profile=exchange.profile,
        grant_type=exchange.grant_type,
        credential=PresentedCredential(kind=exchange.kind, secret=secret, owner=owner),
        organisation=slots.get("organisation"),
        scopes=slots.get("scope"),
        resources=slots.get("resource", ()),
    )


def _refusal(problems: list[_Problem], route: Route) -> errors.Refusal:
    """Make one refusal of all problems: the first in the order of the table names the code."""
    order = {field.name: place for place, field in enumerate(route.fields)}
    ranked = sorted(problems, key=lambda problem: order.get(problem.field, len(order)))
    first = ranked[0]
    return REFUSAL_OF[first.code](first.reason, first.issue, issues=[problem.issue for problem in ranked])
