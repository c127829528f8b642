"""What can be wrong with a route's table as a whole; single names are checked where they are resolved."""

from collections.abc import Iterator

from keyturn.wire.ask import REFUSAL_OF
from keyturn.wire.parse import PARSERS
from keyturn.wire.tables import ClientAuthentication, Route, Source


def check_route(route: Route, where: str) -> None:
    """Check that everything a route names is there.

    Raises:
        ValueError: Something is not; the message lists all of it.
    """
    problems = [*_road(route), *_fields(route), *_exchanges(route)]
    if problems:
        raise ValueError("; ".join(f"{where}: {problem}" for problem in problems))


def _road(route: Route) -> Iterator[str]:
    roads = (bool(route.exchanges), route.operation is not None, route.document is not None)
    if sum(roads) != 1:
        yield "a route exchanges, asks or publishes, and only one of these"
    if not route.media or not set(route.media) <= set(PARSERS):
        yield "a media type that nothing parses"


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


def _exchanges(route: Route) -> Iterator[str]:
    client = route.authentication or ClientAuthentication()
    slots = {field.slot for field in route.fields}
    brought = slots | ({client.owner, client.secret} if route.authentication else set())
    for exchange in route.exchanges:
        for slot in (*exchange.secret, exchange.owner):
            if slot is not None and slot not in brought:
                yield f"no field brings {slot!r}"
        if not exchange.secret and route.authentication is None:
            yield "an exchange without a credential"
        if exchange.absent not in REFUSAL_OF:
            yield f"an absence cannot be refused with {exchange.absent!r}"
        if exchange.wire_grant is not None and "grant_type" not in slots:
            yield "no field brings 'grant_type'"
    if route.operation is not None and route.operation.token not in slots:
        yield f"no field brings {route.operation.token!r}"
