"""A Postman collection (format v2.1) of a dialect, made from its tables: requests to send, with tests.

Every golden sample is a request whose test expects the sample's status and members; a route without one gets
a request from its fields. The members of the demo entry are variables, without values: a collection holds no
secret. What an answer brings (an access token, a refresh token) becomes a variable for the requests after it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from keyturn.core.shapes import Constant, Each, Member, Shape, Switch
from keyturn.wire.golden import (
    basic_members,
    form_fields,
    media_of,
    samples_of,
    succeeds,
    variable_places,
    wanted_later,
    with_named_answers,
)
from keyturn.wire.tables import FORM, JSON, Bearer, Dialect, Field, Route, Sample, Source

FORMAT = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
_BASIC = "{basic}"
_VARIABLE = re.compile(r"\{\{([\w.-]+)\}\}")
_BROUGHT = ("access_token", "refresh_token", "id_token")
_METHODS_WITHOUT_BODY = frozenset({"GET", "HEAD"})
_LEAST_FAULT = 500


def postman_collection(dialect: Dialect, public_url: str) -> dict[str, Any]:
    """Make the collection of a dialect.

    Args:
        public_url: Where callers reach the deployment: the value of ``{{public_url}}``.
    """
    folders = [
        {"name": f"{route.method} {route.path}", "item": list(_items(dialect, route))}
        for route in dialect.routes
    ]
    return {
        "info": {
            "name": f"Keyturn: {dialect.title}",
            "description": "Fill the variables with your own, or with those of `keyturn demo show`.",
            "schema": FORMAT,
        },
        "item": folders,
        "variable": list(_variables(dialect, public_url, folders)),
    }


def _variables(dialect: Dialect, public_url: str, folders: Any) -> Iterator[dict[str, str]]:
    """Declare every variable: those of the demo entry, and those that requests name and answers bring."""
    values = {"public_url": public_url}
    urls = {"url." + route.name: "{{public_url}}" + variable_places(route.path) for route in dialect.routes}
    for member in dialect.demo.members.members:
        if isinstance(member, Member) and member.transform != "list":
            values.setdefault(member.path, urls.get(member.source, ""))
    for name in _VARIABLE.findall(json.dumps(folders)):
        values.setdefault(name, "")
    return ({"key": name, "value": value, "type": "string"} for name, value in values.items())


def _items(dialect: Dialect, route: Route) -> Iterator[dict[str, Any]]:
    samples = samples_of(dialect, route)
    for sample in samples:
        request = _sampled(dialect, route, with_named_answers(sample))
        yield {
            "name": sample.name,
            "request": request,
            "response": [_shown(sample, request)],
            "event": [_tests([*_expectations(sample), *_keeping(dialect, route, sample)])],
        }
    if not samples:
        expected = _status(route.answer.status) if route.document is not None else _no_fault()
        yield {
            "name": route.name.replace("_", " "),
            "request": _from_fields(route),
            "response": [],
            "event": [_tests(expected)],
        }


# --- requests ---


def _sampled(dialect: Dialect, route: Route, sample: Sample) -> dict[str, Any]:
    headers = {name: value for name, value in sample.headers if value != _BASIC}
    request: dict[str, Any] = {"method": route.method}
    if len(headers) < len(sample.headers):
        request["auth"] = _basic(dialect)
    elif route.bearer is not None and succeeds(sample, route) and not _brings_token(route.bearer, headers):
        request["auth"] = _bearer(route.bearer)
    else:
        request["auth"] = {"type": "noauth"}
    request["header"] = [{"key": name, "value": variable_places(value)} for name, value in headers.items()]
    request["url"] = _url(route, parse_qsl(sample.query, keep_blank_values=True), sample.path)
    if sample.body:
        request["body"] = _body(sample, route)
    return request


def _brings_token(bearer: Bearer, headers: dict[str, str]) -> bool:
    named = {"authorization", *map(str.lower, bearer.headers)}
    return any(name.lower() in named for name in headers)


def _body(sample: Sample, route: Route) -> dict[str, Any]:
    """Write a body as fields where it is a form, which Postman then encodes, and as it stands otherwise."""
    media = media_of(sample, route)
    if media == FORM and "=" in sample.body:
        pairs = [
            {"key": variable_places(name), "value": variable_places(value), "type": "text"}
            for name, value in form_fields(sample)
        ]
        return {"mode": "urlencoded", "urlencoded": pairs}
    language = "json" if media == JSON else "text"
    return {
        "mode": "raw",
        "raw": variable_places(sample.body),
        "options": {"raw": {"language": language}},
    }


def _from_fields(route: Route) -> dict[str, Any]:
    """Make a request of what a route requires, each value a variable of the field's name."""
    query = [field for field in route.fields if field.source is Source.QUERY and field.required]
    headers = [field for field in route.fields if field.source is Source.HEADER and field.required]
    body = [field for field in route.fields if field.source is Source.BODY and field.required]
    request: dict[str, Any] = {
        "method": route.method,
        "auth": _bearer(route.bearer) if route.bearer else {"type": "noauth"},
        "header": [{"key": field.name, "value": _place(field)} for field in headers],
        "url": _url(route, [(field.name, "{" + field.name + "}") for field in query]),
    }
    if route.document is None and route.method not in _METHODS_WITHOUT_BODY:
        request["header"].append({"key": "Content-Type", "value": route.media[0]})
        if route.media[0] == FORM:
            pairs = [{"key": field.name, "value": _place(field), "type": "text"} for field in body]
            request["body"] = {"mode": "urlencoded", "urlencoded": pairs}
        else:
            raw = json.dumps({field.name: _place(field) for field in body})
            request["body"] = {"mode": "raw", "raw": raw, "options": {"raw": {"language": "json"}}}
    return request


def _place(field: Field) -> str:
    return "{{" + field.name + "}}"


def _url(route: Route, query: list[tuple[str, str]], segments: Mapping[str, str] = {}) -> dict[str, Any]:
    path = route.path
    for name, value in segments.items():
        path = path.replace(f"{{{name}}}", value)
    path = variable_places(path)
    pairs = [{"key": name, "value": variable_places(value)} for name, value in query]
    text = "&".join(f"{pair['key']}={pair['value']}" for pair in pairs)
    return {
        "raw": "{{public_url}}" + path + (f"?{text}" if text else ""),
        "host": ["{{public_url}}"],
        "path": path.strip("/").split("/"),
        **({"query": pairs} if pairs else {}),
    }


def _basic(dialect: Dialect) -> dict[str, Any]:
    owner, secret = basic_members(dialect) or ("client_id", "client_secret")
    return {
        "type": "basic",
        "basic": [
            _attribute("username", "{{" + owner + "}}"),
            _attribute("password", "{{" + secret + "}}"),
        ],
    }


def _bearer(bearer: Bearer) -> dict[str, Any]:
    kind = "admin_token" if bearer.administrator else bearer.accepts[0].kind
    return {"type": "bearer", "bearer": [_attribute("token", "{{" + kind + "}}")]}


def _attribute(name: str, value: str) -> dict[str, str]:
    return {"key": name, "value": value, "type": "string"}


# --- answers ---


def _shown(sample: Sample, request: dict[str, Any]) -> dict[str, Any]:
    """Keep a sample's answer beside its request, as Postman shows it."""
    shown = {
        "name": sample.name,
        "originalRequest": request,
        "code": sample.status,
        "header": [],
    }
    if sample.answer is not None:
        shown["header"] = [{"key": "Content-Type", "value": JSON}]
        shown["body"] = json.dumps(sample.answer, indent=2)
    return shown


def _tests(lines: list[str]) -> dict[str, Any]:
    return {"listen": "test", "script": {"type": "text/javascript", "exec": lines}}


def _status(status: int) -> list[str]:
    return [f'pm.test("status {status}", () => pm.response.to.have.status({status}));']


def _no_fault() -> list[str]:
    return [f'pm.test("no fault", () => pm.expect(pm.response.code).to.be.below({_LEAST_FAULT}));']


def _expectations(sample: Sample) -> list[str]:
    lines = _status(sample.status)
    if isinstance(sample.answer, dict) and sample.answer:
        names = json.dumps(list(sample.answer))
        lines.append(f'pm.test("members", () => pm.expect(pm.response.json()).to.have.all.keys({names}));')
    return lines


def _keeping(dialect: Dialect, route: Route, sample: Sample) -> list[str]:
    """Keep what a good answer brings: by its own name, and an access token by its kind too.

    What later samples name of it is kept by the sample's name and the member's path.
    """
    lines = [_keep(name, path.split(".")) for path, name in wanted_later(dialect, sample).items()]
    if not route.exchanges or not succeeds(sample, route):
        return lines
    kinds = list(dict.fromkeys(exchange.profile.kind for exchange in route.exchanges))
    for answer in (route.answer, *route.variants):
        for path, source in _sources(answer.shape) if answer.status == sample.status else ():
            if source in _BROUGHT:
                names = [source, *(kinds if source == "access_token" else [])]
                lines += [_keep(name, path.split(".")) for name in names]
    return list(dict.fromkeys(lines))


def _sources(shape: Shape | Each | None) -> Iterator[tuple[str, str]]:
    for member in shape.members if isinstance(shape, Shape) else ():
        cases = member.cases.values() if isinstance(member, Switch) else (member,)
        for case in cases:
            if not isinstance(case, Constant | Each | Switch):
                yield member.path, case.source


def _keep(name: str, path: list[str]) -> str:
    """Set a variable where the answer has the member, which a variant of it may not have."""
    found = "".join(f"?.[{json.dumps(part)}]" for part in path)
    setting = f"pm.collectionVariables.set({json.dumps(name)}, found)"
    return f"(found => {{ if (found) {setting}; }})(pm.response.json(){found});"
