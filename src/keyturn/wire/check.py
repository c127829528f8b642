"""What can be wrong with a route's table as a whole; single names are checked where they are resolved."""

from collections.abc import Iterable, Iterator

from keyturn.core.shapes import OPERATION_FACTS, Each, Shape, Switch, sources
from keyturn.core.vocabulary import PASSWORD, Code, CredentialKind
from keyturn.wire.ask import REFUSAL_OF
from keyturn.wire.fields import is_secret
from keyturn.wire.parse import PARSERS
from keyturn.wire.settings import DEPRECATED_FORMS, PASSWORD_GRANT, Scope, Setting
from keyturn.wire.tables import Answer, Bearer, ClientAuthentication, Dialect, Exchange, Field, Route, Source


def check_route(route: Route, dialect: Dialect, where: str) -> None:
    """Check that everything a route names is there.

    Raises:
        ValueError: Something is not; the message lists all of it.
    """
    settings = {setting.name: setting for setting in dialect.settings}
    problems = [
        *_road(route),
        *_fields(route),
        *(problem for field in route.fields for problem in _field(field, settings)),
        *_exchanges(route),
        *(
            problem
            for answer in (route.answer, *route.variants)
            for problem in _settings_of(answer, settings)
        ),
        *_deprecated(route, settings),
    ]
    if problems:
        raise ValueError("; ".join(f"{where}: {problem}" for problem in problems))


ALWAYS = frozenset(
    {
        Code.INVALID_REQUEST,
        Code.NOT_FOUND,
        Code.METHOD_NOT_ALLOWED,
        Code.TOO_LARGE,
        Code.UNSUPPORTED_MEDIA_TYPE,
        Code.SLOW_DOWN,
        Code.TEMPORARILY_UNAVAILABLE,
        Code.SERVER_ERROR,
    }
)
"""What any request may be refused with."""
_EXCHANGE = frozenset(
    {
        Code.INVALID_CLIENT,
        Code.INVALID_GRANT,
        Code.INVALID_SCOPE,
        Code.INVALID_TARGET,
        Code.UNAUTHORIZED_CLIENT,
        Code.UNSUPPORTED_GRANT_TYPE,
    }
)
_QUESTION = frozenset({Code.INVALID_CLIENT, Code.INVALID_GRANT, Code.UNAUTHORIZED_CLIENT})
_CALL = frozenset({Code.INVALID_TOKEN, Code.INSUFFICIENT_SCOPE})
_VERB = frozenset({Code.CONFLICT, Code.INVALID_GRANT})
_ADMINISTRATOR = frozenset({Code.CONFLICT})
_PASSCODE = frozenset({Code.PASSCODE_REQUIRED, Code.INVALID_PASSCODE})


def codes_of(routes: Iterable[Route]) -> frozenset[Code]:
    """Give the public codes that the roads of some routes can refuse with."""
    return ALWAYS | {code for route in routes for code in _codes_of(route)}


def _codes_of(route: Route) -> Iterator[Code]:
    if route.bearer is not None:
        yield from _CALL
    if route.operation is not None:
        yield from _QUESTION if route.bearer is None else _verb_codes(route.bearer)
    if route.versioned is not None:
        yield from (Code.PRECONDITION_REQUIRED, Code.PRECONDITION_FAILED)
    if route.once:
        yield Code.KEY_REUSED
    for exchange in route.exchanges:
        yield from _EXCHANGE
        yield exchange.absent
        if exchange.passcode is not None:
            yield from _PASSCODE
        if exchange.kind is CredentialKind.API_TOKEN:
            yield Code.CONFLICT
        if exchange.organisation is not None:
            yield Code.INSUFFICIENT_SCOPE
    for field in route.fields:
        yield from (field.missing, field.invalid)


def _verb_codes(bearer: Bearer) -> frozenset[Code]:
    return _ADMINISTRATOR if bearer.administrator else _VERB


def _road(route: Route) -> Iterator[str]:
    roads = (bool(route.exchanges), route.operation is not None, route.document is not None)
    if sum(roads) != 1:
        yield "a route exchanges, asks or publishes, and only one of these"
    if not route.media or not set(route.media) <= set(PARSERS):
        yield "a media type that nothing parses"
    if route.operation is not None and route.operation.name not in OPERATION_FACTS:
        yield f"unknown operation {route.operation.name!r}"
    if route.document is not None and route.document.profile is None and "{organisation}" not in route.path:
        yield "a document of no organisation and no profile"
    if route.bearer is not None and not (route.operation or any(map(_takes_token, route.exchanges))):
        yield "a bearer token that nothing takes"


def _takes_token(exchange: Exchange) -> bool:
    return exchange.kind is CredentialKind.ACCESS_TOKEN and not exchange.secret


def _fields(route: Route) -> Iterator[str]:
    seen: set[tuple[Source, str]] = set()
    for field in route.fields:
        for name in (field.name, *field.aliases):
            if (field.source, name) in seen:
                yield f"two fields are called {name!r}"
            seen.add((field.source, name))
        if field.source is Source.PATH:
            paths = (route.path, *route.aliases)
            if not all(f"/{{{field.name}}}" in path for path in paths):
                yield f"a path without its field {field.name!r}"


def _field(field: Field, settings: dict[str, Setting]) -> Iterator[str]:
    if field.echo and is_secret(field):
        yield f"a secret that is repeated, {field.name!r}"
    if bool(field.prefix) != (field.reader == "prefixed_word"):
        yield f"a prefix and its reader come together, {field.name!r}"
    if field.spare and field.source is not Source.BODY:
        yield f"a spare field outside the body, {field.name!r}"
    if field.required_by is not None:
        found = settings.get(field.required_by)
        if found is None or found.kind != "bool" or found.scope is not Scope.DEPLOYMENT:
            yield f"no switch of the deployment is called {field.required_by!r}"


def _settings_of(answer: Answer, settings: dict[str, Setting]) -> Iterator[str]:
    shape = answer.shape or Shape(())
    for source in sources(shape):
        if source.startswith("setting.") and source.removeprefix("setting.") not in settings:
            yield f"unknown fact {source!r}"
    for member in () if isinstance(shape, Each) else shape.members:
        if not isinstance(member, Switch):
            continue
        setting = settings.get(member.on.removeprefix("setting."))
        if setting is not None and _cases_of(setting) != set(member.cases):
            yield f"{member.path!r} has not one case for each choice of {member.on!r}"


def _cases_of(setting: Setting) -> set[str]:
    return {"true", "false"} if setting.kind == "bool" else set(setting.choices)


def _deprecated(route: Route, settings: dict[str, Setting]) -> Iterator[str]:
    marked = {field.deprecated for field in route.fields}
    marked |= {
        exchange.deprecated
        for exchange in route.exchanges
        if exchange.grant_type != PASSWORD or PASSWORD_GRANT not in settings
    }
    if True in marked and DEPRECATED_FORMS not in settings:
        yield f"a deprecated form without the setting {DEPRECATED_FORMS!r}"


def _exchanges(route: Route) -> Iterator[str]:
    client = route.authentication or ClientAuthentication()
    slots = {field.slot for field in route.fields}
    brought = slots | ({client.owner, client.secret} if route.authentication else set())
    for exchange in route.exchanges:
        for slot in (*exchange.secret, exchange.owner, exchange.organisation, exchange.passcode):
            if slot is not None and slot not in brought:
                yield f"no field brings {slot!r}"
        by_token = _takes_token(exchange) and route.bearer is not None
        if not exchange.secret and route.authentication is None and not by_token:
            yield "an exchange without a credential"
        if exchange.absent not in REFUSAL_OF:
            yield f"an absence cannot be refused with {exchange.absent!r}"
        if exchange.wire_grant is not None and "grant_type" not in slots:
            yield "no field brings 'grant_type'"
    if route.operation is not None and route.bearer is None and route.operation.token not in slots:
        yield f"no field brings {route.operation.token!r}"
