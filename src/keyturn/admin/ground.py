"""What the tables of all resources are made with: routes, fields, answers, and how refusals are told.

GET    /…/clients             a page: ``limit``, ``cursor``, ``sort``, filters -> ``{"items", "next"}``
POST   /…/clients             201, ``Location``, ``ETag``; ``Idempotency-Key``
GET    /…/clients/{client}    ``ETag``
PATCH  /…/clients/{client}    ``If-Match``; what is not named stays (RFC 7396)
POST   /…/clients/{client}/disable
DELETE /…/clients/{client}    the client as it ended; of credentials ``why``
"""

import re
from typing import Any

from msgspec.structs import replace

from keyturn.core.admin_facts import MANY, OPERATIONS, RESOURCES
from keyturn.core.admin_records import BASE
from keyturn.core.shapes import Each, Member, Shape
from keyturn.core.vocabulary import Code
from keyturn.wire.tables import JSON, PROBLEM, Answer, Bearer, Field, Operation, RefusalRow, Refusals, Route
from keyturn.wire.tables import Source as From

MOST_ITEMS = 200
_SEGMENT = re.compile(r"\{([a-z_]+)\}")

_TRANSFORMS = {
    "instant": "iso_millis",
    "day": "iso_day",
    "texts": "list",
    "secret": "reveal",
    "secrets": "reveal_each",
}
_SCHEMAS: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "number": {"type": "integer"},
    "flag": {"type": "boolean"},
    "object": {"type": "object"},
    "objects": {"type": "array", "items": {"type": "object"}},
}


def shape_of(resource: str, prefix: str = "") -> Shape:
    """Show a resource: each fact as a member of the same name."""
    return Shape(
        tuple(
            Member(name, prefix + name, _TRANSFORMS.get(kind.removesuffix("?"), "plain"))
            for name, kind in RESOURCES[resource].items()
        )
    )


def _facts_schema(resource: str) -> dict[str, Any]:
    facts = RESOURCES[resource]
    return {
        "type": "object",
        "properties": {name: _SCHEMAS.get(kind.removesuffix("?"), {}) for name, kind in facts.items()},
        "required": [name for name, kind in facts.items() if not kind.endswith("?")],
    }


def fact_schemas() -> dict[str, dict[str, Any]]:
    """Say of every operation what its facts are; those that are required are never None."""
    schemas: dict[str, dict[str, Any]] = {}
    for name, shown in OPERATIONS.items():
        if shown.endswith(MANY):
            items = {"type": "array", "items": _facts_schema(shown.removesuffix(MANY))}
            schema = {"properties": {"items": items, "next": {"type": "string"}}, "required": ["items"]}
        else:
            schema = _facts_schema(shown)
        schemas[f"admin.{name}"] = schema
    return schemas


# --- routes ---


def call(
    method: str,
    path: str,
    operation: str,
    scope: str,
    *fields: Field,
    status: int = 200,
    versioned: str | None = None,
    once: bool = False,
) -> Route:
    """Make the route of an operation.

    Args:
        path: Below the base.
        scope: What the token must have been given.
        versioned: The table whose record is changed: the request says which version it is for.
        once: It may come with an idempotency key.
    """
    shown = OPERATIONS[operation]
    in_path = tuple(
        Field(name=name, slot=name, source=From.PATH, longest=255) for name in _SEGMENT.findall(path)
    )
    extra = (*([IF_MATCH] if versioned else []), *([IDEMPOTENCY_KEY] if once else []))
    return Route(
        name=operation.replace(".", "_"),
        method=method,
        path=BASE + path,
        media=(JSON,),
        media_ignored_when_empty=True,
        fields=(*in_path, *extra, *fields),
        bearer=Bearer(administrator=True, scope=scope),
        operation=Operation(name=f"admin.{operation}"),
        answer=_answer(shown, status),
        strict=True,
        versioned=versioned,
        once=once,
    )


def _answer(shown: str, status: int) -> Answer:
    if shown.endswith(MANY):
        each = Each("items", "items", shape_of(shown.removesuffix(MANY), "item."))
        return Answer(Shape((each, Member("next", "next"))))
    headers: tuple[tuple[str, str], ...] = (("ETag", "etag"),) if "version" in RESOURCES[shown] else ()
    if status == 201:  # noqa: PLR2004  # Created
        headers = (*headers, ("Location", "location"))
    return Answer(shape_of(shown), status=status, headers=headers)


def page(path: str, operation: str, scope: str, sorts: tuple[str, ...], *filters: Field) -> Route:
    """Make the route of a list.

    Args:
        sorts: The facts it may be sorted by, the usual one first; with ``-`` before it the other way round.
            One that is given with it goes that way only.
        filters: What may be asked to be equal.
    """
    every = tuple(
        spelled for name in sorts for spelled in ((name,) if name.startswith("-") else (name, f"-{name}"))
    )
    return call(
        "GET",
        path,
        operation,
        scope,
        Field(
            name="limit",
            slot="limit",
            source=From.QUERY,
            reader="integer",
            minimum=1,
            maximum=MOST_ITEMS,
            default=50,
        ),
        Field(name="cursor", slot="cursor", source=From.QUERY, longest=2_000),
        Field(name="sort", slot="sort", source=From.QUERY, choices=every, default=sorts[0]),
        *filters,
    )


def filter_by(name: str, reader: str = "text", *, required: bool = False) -> Field:
    """Let a list show only what has a fact of some value."""
    return Field(name=name, slot=f"filter.{name}", source=From.QUERY, reader=reader, required=required)


LIFE_FILTERS = (filter_by("name"), filter_by("disabled", "boolean"), filter_by("ended", "boolean"))


def actions(path: str, noun: str, scope: str, *verbs: str) -> tuple[Route, ...]:
    """Make a route for each thing that can be done to a resource by asking for it."""
    return tuple(call("POST", f"{path}/{verb}", f"{noun}.{verb}", scope) for verb in verbs)


def end(path: str, operation: str, scope: str, *fields: Field) -> Route:
    """Make the route that ends a resource for good."""
    return call("DELETE", path, operation, scope, *fields)


WHY = Field(name="why", slot="why", source=From.QUERY, longest=255)
"""For the record: why a credential ends."""


# --- fields ---

IF_MATCH = Field(
    name="if-match",
    slot="version",
    source=From.HEADER,
    reader="etag",
    required=True,
    missing=Code.PRECONDITION_REQUIRED,
)
IDEMPOTENCY_KEY = Field(
    name="idempotency-key",
    slot="idempotency_key",
    source=From.HEADER,
    reader="idempotency_key",
    blank=True,  # and then refused: whoever sends one counts on it that nothing is done twice
)


def text(name: str, *, required: bool = False, longest: int | None = None) -> Field:
    """Read a text; an empty one is a value."""
    return Field(name=name, slot=name, required=required, blank=True, longest=longest)


def texts(name: str, *, required: bool = False) -> Field:
    """Read a list of texts."""
    return Field(name=name, slot=name, reader="text_list", required=required)


def flag(name: str, *, required: bool = False) -> Field:
    """Read a truth."""
    return Field(name=name, slot=name, reader="boolean", required=required)


def number(name: str, *, required: bool = False, minimum: int = 0, maximum: int | None = None) -> Field:
    """Read a whole number."""
    return Field(name=name, slot=name, reader="integer", required=required, minimum=minimum, maximum=maximum)


def instant(name: str) -> Field:
    """Read a date and time."""
    return Field(name=name, slot=name, reader="date_time")


def secret(name: str, *, required: bool = True) -> Field:
    """Read a secret: nothing keeps or repeats it."""
    return Field(name=name, slot=name, reader="secret", required=required)


def clearable(field: Field) -> Field:
    """Let null empty what a field names."""
    return replace(field, clearable=True, blank=False)


# --- refusals ---


def _row(status: int, code: Code, title: str, *headers: tuple[str, str]) -> tuple[Code, RefusalRow]:
    values: dict[str, str | int | None] = {"title": title, "type": f"urn:keyturn:problem:{code}"}
    return code, RefusalRow(status, code.value, headers, values=values)


def _challenge(error: str) -> tuple[str, str]:
    return "WWW-Authenticate", f'Bearer realm="admin", error="{error}"'


REFUSALS = Refusals(
    media=PROBLEM,
    shape=Shape(
        (
            Member("type", "row.type"),
            Member("title", "row.title"),
            Member("status", "status"),
            Member("detail", "description", optional=True),
            Member("instance", "request_id", "urn"),
            Each(
                "errors",
                "errors",
                Shape(
                    (
                        Member("pointer", "item.pointer", optional=True),
                        Member("parameter", "item.parameter", optional=True),
                        Member("header", "item.header", optional=True),
                        Member("detail", "item.detail"),
                    )
                ),
            ),
        )
    ),
    rows=dict(
        (
            _row(400, Code.INVALID_REQUEST, "The request cannot be done as it is"),
            _row(401, Code.INVALID_TOKEN, "An admin token is needed", _challenge("invalid_token")),
            _row(403, Code.INSUFFICIENT_SCOPE, "Not with this token", _challenge("insufficient_scope")),
            _row(404, Code.NOT_FOUND, "There is nothing here"),
            _row(405, Code.METHOD_NOT_ALLOWED, "Not by this method"),
            _row(409, Code.CONFLICT, "It does not go with what is there"),
            _row(412, Code.PRECONDITION_FAILED, "It was changed since"),
            _row(413, Code.TOO_LARGE, "The body is too large"),
            _row(415, Code.UNSUPPORTED_MEDIA_TYPE, "The body is of another type"),
            _row(422, Code.KEY_REUSED, "The idempotency key was used for another request"),
            _row(428, Code.PRECONDITION_REQUIRED, "If-Match is needed"),
            _row(429, Code.SLOW_DOWN, "Too many requests"),
            _row(500, Code.SERVER_ERROR, "Something of ours broke"),
            _row(503, Code.TEMPORARILY_UNAVAILABLE, "Not available now"),
        )
    ),
)
"""Problem details (RFC 9457) of every refusal."""
