"""The OpenAPI document of the admin API, and whether an answer is one that it has.

Answers are closed here, so that a member that the document does not name is a failure too.
"""

from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from harness import Answer
from keyturn.admin import ADMIN
from keyturn.wire.openapi import openapi_document

DOCUMENT = openapi_document([ADMIN], "https://keys.example", "0")


def resolved(node):
    """Put what a reference leads to in its place, and let an object have no member but those named."""
    if isinstance(node, list):
        return [resolved(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        _, *path = node["$ref"].split("/")
        found = DOCUMENT
        for name in path:
            found = found[name]
        return resolved(found)
    inner = {name: resolved(item) for name, item in node.items()}
    return {**inner, "additionalProperties": False} if inner.get("properties") else inner


@cache
def _responses(path: str, method: str) -> Any:
    return resolved(DOCUMENT["paths"][path][method.lower()]["responses"])


@cache
def _validator(path: str, method: str, status: str, media: str) -> Draft202012Validator:
    return Draft202012Validator(_responses(path, method)[status]["content"][media]["schema"])


def check_described(path: str, method: str, answer: Answer) -> None:
    """Check that an answer is one of the document's: its status, type, members and headers."""
    status, responses = str(answer.status), _responses(path, method)
    assert status in responses, (path, method, answer)
    for name, header in responses[status]["headers"].items():
        assert not header.get("required") or answer.header(name) is not None, (path, method, name)
    content = responses[status].get("content")
    if content is None:
        assert answer.body == b""
        return
    (media,) = content
    assert answer.header("content-type") == media
    _validator(path, method, status, media).validate(answer.json)
