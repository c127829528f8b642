"""A dialect's answers and refusals turned into functions that write them."""

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Any

import msgspec

from keyturn.core.errors import Refusal, SlowDown, Unavailable
from keyturn.core.shapes import ANSWER_FACTS, DOCUMENT_FACTS, QUESTION_FACTS, REFUSAL_FACTS, compile_shape
from keyturn.core.vocabulary import Code
from keyturn.wire.http import Headers, WireResponse
from keyturn.wire.tables import Answer, Document, Refusals, Route

AnswerWriter = Callable[[dict[str, Any]], WireResponse]
RefusalWriter = Callable[[Refusal, str, datetime], WireResponse]

_encode = msgspec.json.Encoder().encode

PRIVATE: Headers = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"pragma", b"no-cache"),
    (b"x-content-type-options", b"nosniff"),
)
"""Headers of every answer with or about tokens, refusals included (RFC 6749 section 5.1, TE-08)."""


def compile_answer(route: Route, where: str) -> AnswerWriter:
    """Turn a route's answer into its writer.

    Raises:
        ValueError: The table shows a fact that its road does not make.
    """
    answer = route.answer
    known = ANSWER_FACTS if route.operation is None else QUESTION_FACTS
    render = compile_shape(answer.shape, known, where)

    def write(facts: dict[str, Any]) -> WireResponse:
        return WireResponse(answer.status, _encode(render(facts)), PRIVATE)

    return write


def compile_document(
    answer: Answer, document: Document, urls: frozenset[str], max_age_seconds: int, where: str
) -> AnswerWriter:
    """Turn a published document's table into its writer; anybody may cache it for ``max_age_seconds``.

    Raises:
        ValueError: There is no such document, or it does not have a fact that the table shows.
    """
    if document.name not in DOCUMENT_FACTS:
        raise ValueError(f"{where}: unknown document {document.name!r}")
    render = compile_shape(answer.shape, DOCUMENT_FACTS[document.name] | urls, where)
    headers = (
        (b"content-type", b"application/json"),
        (b"cache-control", b"public, max-age=%d" % max_age_seconds),
        (b"access-control-allow-origin", b"*"),
        (b"x-content-type-options", b"nosniff"),
    )

    def write(facts: dict[str, Any]) -> WireResponse:
        return WireResponse(answer.status, _encode(render(facts)), headers)

    return write


def compile_refusals(refusals: Refusals, where: str) -> RefusalWriter:
    """Turn a dialect's refusal table into its writer.

    Raises:
        ValueError: A public code has no row, or the body shows a fact that refusals do not have.
    """
    missing = sorted(set(Code) - set(refusals.rows))
    if missing:
        message = f"{where}: no refusal row for {', '.join(missing)}"
        raise ValueError(message)
    render = compile_shape(refusals.shape, REFUSAL_FACTS, where)
    rows = {
        code: (row, PRIVATE + tuple((name.lower().encode(), value.encode()) for name, value in row.headers))
        for code, row in refusals.rows.items()
    }

    def write(refusal: Refusal, request_id: str, now: datetime) -> WireResponse:
        row, headers = rows[refusal.code]
        body = render(
            {
                "code": row.code,
                "description": refusal.description,
                "issues": refusal.issues or (HTTPStatus(row.status).phrase,),
                "request_id": request_id,
                "now": now,
                "status": row.status,
            }
        )
        if isinstance(refusal, SlowDown | Unavailable):
            headers = (*headers, (b"retry-after", b"%d" % refusal.retry_after))
        return WireResponse(row.status, _encode(body), headers)

    return write
