"""The OpenAPI 3.1 document of the dialects that are on, made from their tables alone.

What a table says is here, what it cannot say is not: whoever reads the document sees what the server runs.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from keyturn.wire.golden import body_value, media_of, samples_of, succeeds
from keyturn.wire.json_schemas import FactSchemas, Schema, any_of, field_schema, shape_schema
from keyturn.wire.responses import (
    COMMON_HEADERS,
    HEADERS,
    UNREAD,
    always_there,
    answer_headers,
    examples_of,
    facts_of,
    refusal_name,
    refusal_responses,
    refusal_schema,
    refused_statuses,
)
from keyturn.wire.tables import FORM, JSON, Answer, Dialect, Field, Route, Source

_SEGMENT = re.compile(r"\{([^{}]+)\}")
_ADMIN_TOKEN = "An admin token, `kt_admin_...`; for the setup the setup token, `kt_setup_...`."
_BODILESS = frozenset({"GET", "HEAD", "DELETE"})
_ABOUT = (
    "Every call of every dialect that this deployment speaks, from the tables that serve it. Unknown fields"
    " are ignored, and refused where a body has no additional properties. Another method of a path is"
    " answered with 405, and every answer to a request that was read names it in `X-Request-Id`. Values in"
    " braces, as `{client_id}`, stand for your own."
)


def openapi_document(dialects: Iterable[Dialect], public_url: str, version: str) -> dict[str, Any]:
    """Say in one document what every dialect of a deployment serves.

    Args:
        dialects: Those that are on, with the deployment's settings worked in.
        public_url: Where callers reach the deployment.
        version: Of Keyturn.
    """
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Keyturn", "version": version, "description": _ABOUT},
        "servers": [{"url": public_url}],
        "tags": [],
        "paths": {},
        "components": {"headers": HEADERS, "responses": {**UNREAD}, "securitySchemes": {}},
    }
    spellings: dict[tuple[str, ...], str] = {}
    for dialect in dialects:
        document["tags"].append({"name": dialect.name, "description": dialect.title})
        for route in dialect.routes:
            responses = document["components"]["responses"]
            responses |= refusal_responses(dialect, route, responses)
            document["components"]["securitySchemes"] |= _schemes(route)
            for number, path in enumerate((route.path, *route.aliases), start=1):
                own = _SEGMENT.findall(path)
                # Two templates that differ in names only are one path to OpenAPI, as they are to the router.
                spelled = spellings.setdefault(tuple(_SEGMENT.sub("{}", path).split("/")), path)
                names = dict(zip(own, _SEGMENT.findall(spelled), strict=True))
                item = document["paths"].setdefault(spelled, {})
                item[route.method.lower()] = _operation(dialect, route, number, names)
    return document


def _operation(dialect: Dialect, route: Route, number: int, names: Mapping[str, str]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{dialect.name}.{route.name}" + (f".{number}" if number > 1 else ""),
        "summary": f"{dialect.title}: {route.name.replace('_', ' ')}",
        "description": " ".join(_words(dialect, route, number)),
        "tags": [dialect.name],
        "security": _security(route),
        "parameters": list(_parameters(route, names)),
    }
    body = _body(dialect, route)
    if body is not None:
        operation["requestBody"] = body
    operation["responses"] = _responses(dialect, route)
    return operation


def _words(dialect: Dialect, route: Route, number: int) -> Iterator[str]:
    if number > 1:
        yield f"Another path of `{dialect.name}.{route.name}`."
    if route.document is not None:
        yield "Published for anybody, and may be cached."
    for exchange in route.exchanges:
        asked = exchange.wire_grant or exchange.grant_type
        deprecated = " (deprecated)" if exchange.deprecated else ""
        yield f"`{asked}`{deprecated} gives a token of kind `{exchange.profile.kind}`."
    if route.operation is not None:
        yield f"Does `{route.operation.name}`."
    if route.authentication is not None and route.authentication.basic:
        yield "The client may say who it is by HTTP Basic instead of in the body."
    if route.bearer is not None and route.bearer.scope is not None:
        yield f"The token must have been granted `{route.bearer.scope}`."
    if route.bearer is not None and route.bearer.permission is not None:
        yield f"A role of the token's owner must permit `{route.bearer.permission}`."
    if route.media_optional and _fields(route, Source.BODY):
        yield f"Without a content type the body is read as `{route.media[0]}`."


# --- what is asked ---


def _fields(route: Route, source: Source) -> list[Field]:
    return [field for field in route.fields if field.source is source]


def _is_required(field: Field, route: Route) -> bool:
    """Tell whether a field has to be there itself, and not HTTP Basic or another name in its place."""
    login = route.authentication
    by_header = login is not None and login.basic and field.slot in {login.owner, login.secret}
    return field.required and not by_header and not field.aliases


def _field_words(field: Field) -> str:
    words = []
    if field.required and field.aliases:
        words.append(f"One of {', '.join((field.name, *field.aliases))} is required.")
    if field.required_by is not None:
        words.append(f"Required where the deployment's setting {field.required_by} is on.")
    if field.prefix:
        words.append(f"Of several words the one that begins with {field.prefix}.")
    return " ".join(words)


def _described(field: Field, name: str) -> dict[str, Any]:
    words, deprecated = _field_words(field), field.deprecated or name != field.name
    return {
        **({"description": words} if words else {}),
        **({"deprecated": True} if deprecated else {}),
    }


def _parameters(route: Route, names: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    own = {field.name: field for field in _fields(route, Source.PATH)}
    for name, spelled in names.items():
        schema = field_schema(own[name], FORM) if name in own else {"type": "string"}
        yield {
            "name": spelled,
            "in": "path",
            "required": True,
            "schema": {"minLength": 1, "pattern": "^[^/?#]+$", **schema},
        }
    for source in (Source.QUERY, Source.HEADER):
        for field in _fields(route, source):
            for name in (field.name, *field.aliases):
                if name.lower() != "authorization":  # OpenAPI knows it as a security scheme only
                    yield {
                        "name": name,
                        "in": source.value,
                        "required": _is_required(field, route),
                        "schema": field_schema(field, FORM),
                        **_described(field, name),
                    }


def _body(dialect: Dialect, route: Route) -> dict[str, Any] | None:
    fields = _fields(route, Source.BODY)
    if route.document is not None or (not fields and route.method in _BODILESS):
        return None
    content = {}
    for media in route.media:
        content[media] = {"schema": _body_schema(route, fields, media)}
        examples = examples_of(
            (sample.name, body_value(sample, route))
            for sample in samples_of(dialect, route)
            if succeeds(sample, route) and media_of(sample, route) == media
        )
        if examples:
            content[media]["examples"] = examples
    needed = any(_is_required(field, route) or (field.required and field.aliases) for field in fields)
    absent = route.media_optional or route.media_ignored_when_empty
    return {"required": needed or not absent, "content": content}


def _body_schema(route: Route, fields: Iterable[Field], media: str) -> Schema:
    properties: dict[str, Schema] = {}
    required, choices = [], []
    for field in fields:
        schema = field_schema(field, media)
        grants = _grants(route) if field.slot == "grant_type" and not field.choices else []
        if grants:
            schema = {"type": "string", "enum": grants}
        for name in (field.name, *field.aliases):
            properties[name] = {**schema, **_described(field, name)}
        if _is_required(field, route):
            required.append(field.name)
        elif field.required and field.aliases:
            choices.append({"anyOf": [{"required": [name]} for name in (field.name, *field.aliases)]})
    return {
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        **({"allOf": choices} if choices else {}),
        **({"additionalProperties": False} if route.strict else {}),
    }


def _grants(route: Route) -> list[str]:
    """Name what selects an exchange, where that is all that the field may hold."""
    grants = [exchange.wire_grant for exchange in route.exchanges]
    return [] if None in grants else [grant for grant in grants if grant is not None]


# --- who asks ---


def _schemes(route: Route) -> dict[str, Any]:
    """Declare the security schemes that a route knows."""
    schemes: dict[str, Any] = {}
    if route.authentication is not None and route.authentication.basic:
        schemes["basic"] = {
            "type": "http",
            "scheme": "basic",
            "description": "Client id and secret, both form-encoded (RFC 6749 section 2.3.1).",
        }
    if route.bearer is not None and route.bearer.administrator:
        schemes["administrator"] = {"type": "http", "scheme": "bearer", "description": _ADMIN_TOKEN}
    elif route.bearer is not None:
        schemes["bearer"] = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
        for header in route.bearer.headers:
            schemes["header." + header.lower()] = {"type": "apiKey", "in": "header", "name": header}
        if route.bearer.bare:
            schemes["bare"] = {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": "The token without a scheme.",
            }
    return schemes


def _security(route: Route) -> list[dict[str, list[str]]]:
    """List the ways to say who asks; an empty one is that the body says it."""
    if route.bearer is not None:
        scopes = [route.bearer.scope] if route.bearer.scope else []
        if route.bearer.administrator:
            return [{"administrator": scopes}]
        others = ["header." + header.lower() for header in route.bearer.headers]
        others += ["bare"] if route.bearer.bare else []
        return [{"bearer": scopes}, *({name: list[str]()} for name in others)]
    login = route.authentication
    if login is None or not login.basic:
        return []
    slots = {field.slot for field in route.fields}
    return [{"basic": []}, *([{}] if slots & {login.secret, login.assertion} else [])]


# --- what is answered ---


def _responses(dialect: Dialect, route: Route) -> dict[str, Any]:
    facts, always = facts_of(dialect, route), always_there(dialect, route)
    answers: dict[int, list[Answer]] = {}
    for answer in (route.answer, *route.variants):
        answers.setdefault(answer.status, []).append(answer)
    responses = {
        str(status): _answer(dialect, route, status, same, facts, always) for status, same in answers.items()
    }
    for name in UNREAD:
        responses[name.rpartition(".")[2]] = {"$ref": f"#/components/responses/{name}"}
    for status in refused_statuses(dialect, route) - answers.keys():
        responses[str(status)] = {"$ref": f"#/components/responses/{refusal_name(dialect, route, status)}"}
    return dict(sorted(responses.items()))


def _answer(
    dialect: Dialect,
    route: Route,
    status: int,
    answers: Iterable[Answer],
    facts: FactSchemas,
    always: frozenset[str],
) -> dict[str, Any]:
    own = {name: header for answer in answers for name, header in answer_headers(answer).items()}
    response: dict[str, Any] = {"description": HTTPStatus(status).phrase, "headers": COMMON_HEADERS | own}
    schemas = [shape_schema(answer.shape, facts, always) for answer in answers if answer.shape is not None]
    if status in refused_statuses(dialect, route):  # there are contracts that refuse with 200
        schemas.append(refusal_schema(dialect, route, status))
    if schemas:
        content: dict[str, Any] = {"schema": any_of(schemas)}
        samples = [sample for sample in samples_of(dialect, route) if sample.status == status]
        examples = examples_of((sample.name, sample.answer) for sample in samples)
        if examples:
            content["examples"] = examples
        response["content"] = {JSON: content}
    return response
