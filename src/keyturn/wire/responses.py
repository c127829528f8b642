"""What a route may answer, as OpenAPI says it: its refusals, its headers, and what its facts are."""

import re
from collections.abc import Container, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from keyturn.core.vocabulary import Code
from keyturn.wire.check import codes_of
from keyturn.wire.golden import samples_of, succeeds
from keyturn.wire.json_schemas import (
    FLAG,
    NUMBER,
    TEXT,
    TEXTS,
    URL,
    FactSchemas,
    Schema,
    any_of,
    field_schema,
    setting_schema,
    shape_schema,
)
from keyturn.wire.tables import FORM, JSON, Answer, Dialect, RefusalRow, Refusals, Route

HEADERS: dict[str, Any] = {
    "request-id": {
        "description": "Names the request in our logs and audit trail.",
        "required": True,
        "schema": {"type": "string", "format": "uuid"},
    },
    "cache-control": {"description": "Who may keep the answer.", "required": True, "schema": TEXT},
    "rate-limit": {"description": "What is left of the caller's limits.", "schema": TEXT},
    "rate-limit-policy": {"description": "The caller's limits.", "schema": TEXT},
    "etag": {"description": "The version, for If-Match.", "required": True, "schema": TEXT},
    "location": {"description": "The path of what is new.", "required": True, "schema": TEXT},
    "retry-after": {
        "description": "Seconds after which a retry may succeed.",
        "schema": {"type": "integer", "minimum": 1},
    },
}
"""The headers that answers share (RateLimit is an Internet-Draft, Retry-After RFC 9110 section 10.2.3)."""


def _header(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/headers/{name}"}


COMMON_HEADERS = {
    "X-Request-Id": _header("request-id"),
    "Cache-Control": _header("cache-control"),
    "RateLimit": _header("rate-limit"),
    "RateLimit-Policy": _header("rate-limit-policy"),
}


def answer_headers(answer: Answer) -> dict[str, Any]:
    """Say which headers of its own an answer has."""
    return {name: _header(name.lower()) for name, _ in answer.headers}


UNREAD = {
    f"unread.{status}": {
        "description": f"{HTTPStatus(status).phrase}: {why}; no dialect has seen the request",
        "headers": {"Cache-Control": _header("cache-control")},
        "content": {
            JSON: {
                "schema": {
                    "type": "object",
                    "properties": {"error": {"const": Code.INVALID_REQUEST}},
                    "required": ["error"],
                }
            }
        },
    }
    for status, why in {
        HTTPStatus.REQUEST_TIMEOUT: "it did not arrive in time",
        HTTPStatus.REQUEST_URI_TOO_LONG: "path and query are over 8 KiB",
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "its headers are too many or over 32 KiB",
    }.items()
}
"""How any request is refused whose head or body the server did not take (HT-01, HT-05)."""

_LATER = frozenset({Code.SLOW_DOWN, Code.TEMPORARILY_UNAVAILABLE})

_PROJECT: dict[str, Schema] = {
    **dict.fromkeys(("id", "name", "created_at", "organisation_id"), TEXT),
    "teams": TEXTS,
    "open": FLAG,
}
_FACTS: dict[str, Schema] = {
    **{f"project.{name}": schema for name, schema in _PROJECT.items()},
    "projects": {
        "type": "array",
        "items": {"type": "object", "properties": _PROJECT, "required": list(_PROJECT)},
    },
    "total": NUMBER,
    "active": FLAG,
    "user.email_verified": FLAG,
    "disabled": FLAG,
    "status": NUMBER,
    "audience": TEXTS,
    "scope": TEXTS,
    "roles": TEXTS,
    "algorithms": TEXTS,
    "issues": TEXTS,
    "errors": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": dict.fromkeys(("pointer", "parameter", "header", "detail"), TEXT),
            "required": ["detail"],
        },
    },
    "keys": {"type": "array", "items": {"type": "object"}},
    "issuer": URL,
    "status_lists": URL,
    "request_id": {"type": "string", "format": "uuid"},
    "fresh_id": {"type": "string", "format": "uuid"},
    **dict.fromkeys(
        (
            *("token_id", "subject", "grant_type", "token_type", "description", "text", "notice"),
            *("pem", "algorithm"),
            *("client.id", "client.name", "credential.id", "credential.name", "username"),
            *("organisation.id", "organisation.name", "organisation.slug"),
            *(
                "user.id",
                "user.name",
                "user.login",
                "user.account",
                "user.email",
                "user.given_name",
                "user.family_name",
            ),
            *("home.id", "home.name", "home.slug"),
            *("entity.id", "entity.name", "entity.type"),
        ),
        TEXT,
    ),
}
"""What a fact is where a shape shows it as it is; what is not here may be anything."""

_ALWAYS = frozenset({"request_id", "fresh_id", "now", "code", "status", "active", "item"})
_ALWAYS_ISSUED = _ALWAYS | {
    *("token_id", "issuer", "subject", "audience", "scope", "grant_type", "lifetime", "access_token"),
    *("issued_at", "expires_at", "organisation.id", "organisation.name", "organisation.slug", "presented"),
}
_ALWAYS_PUBLISHED = _ALWAYS | {"issuer", "keys", "algorithms", "pem", "algorithm"}
_ALWAYS_CALLED = _ALWAYS | {"projects", "total", *(f"project.{name}" for name in _PROJECT)}


def facts_of(dialect: Dialect, route: Route | None) -> FactSchemas:
    """Say what each fact is that an answer of a route can show, or any refusal of the dialect."""
    routes = dialect.routes if route is None else (route,)
    asked: dict[str, list[Schema]] = {}
    for each in routes:
        for field in each.fields:
            if not field.repeatable:
                media = JSON if JSON in each.media else FORM
                asked.setdefault(field.slot, []).append(field_schema(field, media))
    return {
        **_FACTS,
        **{"url." + each.name: URL for each in dialect.routes},
        **{"request." + slot: any_of(schemas) for slot, schemas in asked.items()},
        **{"setting." + setting.name: setting_schema(setting) for setting in dialect.settings},
        **_own_facts(dialect, route).get("properties", {}),
    }


def _own_facts(dialect: Dialect, route: Route | None) -> Schema:
    """Give what a dialect says of the facts of a route's operation."""
    return {} if route is None or route.operation is None else dialect.facts.get(route.operation.name, {})


def always_there(dialect: Dialect, route: Route) -> frozenset[str]:
    """Name the facts of a route's good answers that are never None."""
    asked = {"request." + field.slot for field in route.fields if field.required}
    asked |= {"url." + each.name for each in dialect.routes}
    asked |= {"setting." + each.name for each in dialect.settings if each.default is not None}
    if route.exchanges:
        return _ALWAYS_ISSUED | asked | ({"client.id"} if route.authentication is not None else set())
    if route.document is not None:
        return _ALWAYS_PUBLISHED | asked
    asked |= set(_own_facts(dialect, route).get("required", ()))
    return (_ALWAYS if route.bearer is None else _ALWAYS_CALLED) | asked


def _table_of(dialect: Dialect, route: Route) -> Refusals:
    return route.refusals or dialect.refusals


def refused_statuses(dialect: Dialect, route: Route) -> set[int]:
    """Name the statuses with which a route may refuse."""
    rows = _table_of(dialect, route).rows
    return {rows[code].status for code in codes_of([route]) if code in rows}


def refusal_name(dialect: Dialect, route: Route, status: int) -> str:
    """Name the component that holds a route's refusals of one status: the dialect's, or the route's own."""
    return ".".join([dialect.name, *([route.name] if route.refusals else []), str(status)])


def refusal_responses(dialect: Dialect, route: Route, known: Container[str]) -> dict[str, Any]:
    """Say what each refusal of a route looks like, by the name of its component.

    Args:
        known: Names of components that there are; a dialect's routes share theirs, and one is much work.
    """
    named = {
        refusal_name(dialect, route, status): status for status in sorted(refused_statuses(dialect, route))
    }
    return {name: _refusal(dialect, route, status) for name, status in named.items() if name not in known}


def refusal_schema(dialect: Dialect, route: Route, status: int) -> Schema:
    """Say what the body of a refusal is; routes that share a table share it whole."""
    refusals = _table_of(dialect, route)
    rows = [row for row in refusals.rows.values() if row.status == status]
    names = dict.fromkeys(name for row in refusals.rows.values() for name in row.values)
    facts: dict[str, Schema] = {**facts_of(dialect, route if route.refusals else None)}
    facts["code"] = {"enum": list(dict.fromkeys(row.code for row in rows))}
    facts["status"] = {"const": status}
    for name in names:
        facts["row." + name] = {"enum": list(dict.fromkeys(row.values.get(name) for row in rows))}
    always = _ALWAYS | {"issues"} | {name for name in facts if name.startswith("row.")}
    return shape_schema(refusals.shape, facts, always)


def _refusal(dialect: Dialect, route: Route, status: int) -> dict[str, Any]:
    rows = _table_of(dialect, route).rows
    codes = [code for code, row in rows.items() if row.status == status]
    sharing = [each for each in dialect.routes if each is route or (not route.refusals and not each.refusals)]
    content: dict[str, Any] = {"schema": refusal_schema(dialect, route, status)}
    examples = examples_of(
        (f"{each.name}: {sample.name}", sample.answer)
        for each in sharing
        for sample in samples_of(dialect, each)
        if sample.status == status and not succeeds(sample, each)
    )
    if examples:
        content["examples"] = examples
    return {
        "description": f"{HTTPStatus(status).phrase}: {', '.join(codes)}",
        "headers": COMMON_HEADERS | _row_headers(rows, codes),
        "content": {_table_of(dialect, route).media: content},
    }


def _row_headers(rows: Mapping[Code, RefusalRow], codes: list[Code]) -> dict[str, Any]:
    """Say which headers the refusals of one status have: always, where every row has them."""
    headers: dict[str, Any] = {}
    for name in dict.fromkeys(name for code in codes for name, _ in rows[code].headers):
        values = [dict(rows[code].headers).get(name) for code in codes]
        headers[name] = {
            "required": None not in values,
            "schema": {"enum": list(dict.fromkeys(value for value in values if value is not None))},
        }
    if set(codes) & _LATER:
        headers["Retry-After"] = _header("retry-after")
    return headers


def examples_of(shown: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Name examples as OpenAPI wants it; one that holds nothing shows nothing."""
    return {
        re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"): {"summary": name, "value": value}
        for name, value in shown
        if value is not None
    }
