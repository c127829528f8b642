"""How a program asks for an operation of the admin API, and reads the answer, by the same tables."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from keyturn.admin.api import ADMIN
from keyturn.core.admin_facts import MANY, OPERATIONS, RESOURCES
from keyturn.core.errors import NothingThere
from keyturn.core.secret import Secret
from keyturn.wire.tables import JSON, Field, Route, Source

Facts = dict[str, Any]
_SLOT = re.compile(r"\{([a-z_]+)\}")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it is sent, but for who sends it.

    Args:
        target: Path and query.
        repeatable: Sent twice it is done once: it only reads, or has an idempotency key.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None
    repeatable: bool


@cache
def _routes() -> Mapping[str, Route]:
    return {route.operation.name: route for route in ADMIN.routes if route.operation is not None}


def request_of(
    operation: str, arguments: Mapping[str, Any], *, version: int | None = None, key: str = ""
) -> Asked:
    """Write the request of an operation.

    Args:
        operation: As ``OPERATIONS`` names it.
        arguments: By the name of the field; None empties what may be emptied.
        version: Which version a change is for.
        key: Of this one wish; counts where the operation is done once for each.

    Raises:
        NothingThere: An argument cannot be part of a path, so that nothing can be called that.
    """
    route = _routes()[f"admin.{operation}"]
    places = {field.name: field.source for field in route.fields}
    of = {source: {n: v for n, v in arguments.items() if places[n] is source} for source in Source}
    headers = {}
    if version is not None:
        headers["If-Match"] = f'"{version}"'
    if route.once and key:
        headers["Idempotency-Key"] = key
    body = msgspec.json.encode(of[Source.BODY], enc_hook=_reveal) if of[Source.BODY] else None
    if body is not None:
        headers["Content-Type"] = JSON
    query = urlencode({name: _spelled(value) for name, value in of[Source.QUERY].items()})
    return Asked(
        method=route.method,
        target=_path(route.path, of[Source.PATH]) + (f"?{query}" if query else ""),
        headers=headers,
        body=body,
        repeatable=route.method == "GET" or "Idempotency-Key" in headers,
    )


def _path(template: str, names: Mapping[str, Any]) -> str:
    for slot, name in names.items():
        # On the way somebody may resolve dots, and another resource would be meant then. What has to be
        # escaped is nothing at the server either.
        if name in {"", ".", ".."} or quote(name, safe="") != name:
            raise NothingThere(f"no {slot.replace('_', ' ')} {name!r}")
    return _SLOT.sub(lambda slot: str(names[slot[1]]), template)


def _spelled(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _reveal(value: Any) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError(f"{type(value).__name__} is no value of a request")


def fields_of(operation: str) -> Mapping[str, Field]:
    """Give the fields of an operation's request, by name."""
    return {field.name: field for field in _routes()[f"admin.{operation}"].fields}


_READERS: dict[str, Callable[[Any], Any]] = {
    "instant": datetime.fromisoformat,
    "day": date.fromisoformat,
    "texts": tuple,
    "secret": Secret,
    "objects": tuple,
    "secrets": lambda values: [Secret(each) for each in values],
}


def answer_of(operation: str, body: bytes) -> Facts:
    """Read the answer to an operation: its facts, of a list ``items`` and ``next``.

    Members that the tables do not know are passed over: the server may be newer.

    Raises:
        ValueError: It is no such answer.
    """
    shown = OPERATIONS[operation]
    try:
        told = msgspec.json.decode(body)
        if shown.endswith(MANY):
            resource = shown.removesuffix(MANY)
            return {"items": [_facts(resource, each) for each in told["items"]], "next": told.get("next")}
        return _facts(shown, told)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"no answer to {operation}: {error}") from None


def _facts(resource: str, told: Mapping[str, Any]) -> Facts:
    return {name: _read(kind, told[name]) for name, kind in RESOURCES[resource].items()}


def _read(kind: str, value: Any) -> Any:
    if value is None and (kind.endswith("?") or kind == "any"):
        return None
    reader = _READERS.get(kind.removesuffix("?"))
    return value if reader is None else reader(value)
