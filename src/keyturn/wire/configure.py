"""What a deployment sets of a dialect, worked into its tables, and what several dialects declare together."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from keyturn.core.profile import TokenProfile
from keyturn.core.vocabulary import Algorithm, Code
from keyturn.wire.settings import Scope
from keyturn.wire.tables import Dialect, Exchange, Field, Route

Change = Callable[[TokenProfile], TokenProfile]


def configure(dialect: Dialect, chosen: Mapping[str, Any]) -> Dialect:
    """Work the deployment's values of a dialect's settings into its tables.

    Args:
        chosen: By name; what is not there keeps its default.
    """
    settings = tuple(
        replace(setting, default=chosen.get(setting.name, setting.default))
        if setting.scope is Scope.DEPLOYMENT
        else setting
        for setting in dialect.settings
    )
    values = {setting.name: setting.default for setting in settings}

    def with_values(profile: TokenProfile) -> TokenProfile:
        algorithm = Algorithm(values.get("algorithm", profile.algorithm))
        return replace(profile, algorithm=algorithm, issuer=values.get("issuer", profile.issuer))

    routes = tuple(_configured(route, with_values, values) for route in dialect.routes)
    return replace(dialect, routes=routes, settings=settings)


def _configured(route: Route, change: Change, values: Mapping[str, Any]) -> Route:
    def required(field: Field) -> Field:
        return field if field.required_by is None else replace(field, required=values[field.required_by])

    bearer, operation, document = route.bearer, route.operation, route.document
    return replace(
        route,
        fields=tuple(map(required, route.fields)),
        exchanges=tuple(_exchange(exchange, change) for exchange in route.exchanges),
        bearer=bearer and replace(bearer, accepts=tuple(map(change, bearer.accepts))),
        operation=operation and replace(operation, accepts=tuple(map(change, operation.accepts))),
        document=document and replace(document, profile=document.profile and change(document.profile)),
    )


def _exchange(exchange: Exchange, change: Change) -> Exchange:
    id_profile = exchange.id_profile and change(exchange.id_profile)
    return replace(exchange, profile=change(exchange.profile), id_profile=id_profile)


def profiles(dialects: Mapping[str, Dialect]) -> dict[str, TokenProfile]:
    """Give every token profile of some dialects, by its kind.

    Raises:
        ValueError: Two different profiles have one kind, so it would not tell what a token is for (TK-08).
    """
    found: dict[str, TokenProfile] = {}
    exchanges = [
        each for dialect in dialects.values() for route in dialect.routes for each in route.exchanges
    ]
    for profile in (profile for each in exchanges for profile in (each.profile, each.id_profile)):
        if profile is not None and found.setdefault(profile.kind, profile) != profile:
            raise ValueError(f"two profiles are of the kind {profile.kind!r}")
    return found


def role_permissions(dialects: Mapping[str, Dialect]) -> dict[str, frozenset[str]]:
    """Give what every role of some dialects permits, by ``<dialect>:<role>``."""
    return {
        f"{name}:{role.name}": frozenset(role.permissions)
        for name, dialect in dialects.items()
        for role in dialect.roles
    }


def refusal_status(dialects: Mapping[str, Dialect], name: str, route: str, code: str) -> int | None:
    """Give the HTTP status with which a route of a dialect tells a public code; None where none is known."""
    dialect = dialects.get(name)
    found = next((each for each in dialect.routes if each.name == route), None) if dialect else None
    if dialect is None or found is None:
        return None
    row = (found.refusals or dialect.refusals).rows.get(Code(code)) if code in _CODES else None
    return None if row is None else row.status


_CODES = frozenset(code.value for code in Code)
