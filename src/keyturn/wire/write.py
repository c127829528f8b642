"""A dialect's answers and refusals turned into functions that write them."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Any

import msgspec

from keyturn.core.errors import Refusal, SlowDown, Unavailable
from keyturn.core.lasting import OF_EACH_TOKEN, LastingFacts, Spelling
from keyturn.core.secret import Secret
from keyturn.core.shapes import (
    ANSWER_FACTS,
    DOCUMENT_FACTS,
    OPERATION_FACTS,
    REFUSAL_FACTS,
    BodyRenderer,
    Each,
    Member,
    Shape,
    compile_body,
    compile_shape,
    is_known,
    sources,
)
from keyturn.core.vocabulary import Code
from keyturn.wire.http import Headers, WireResponse
from keyturn.wire.tables import Answer, Document, RefusalRow, Refusals, Route

AnswerWriter = Callable[[dict[str, Any]], WireResponse]
RefusalWriter = Callable[[Refusal, str, str, datetime], WireResponse]
"""Takes the refusal, the request's id, a fresh id and the time."""

_PLAIN = frozenset({"plain", "reveal"})
"""Transforms that show a text as it is."""
_TIMES = frozenset({"issued_at", "expires_at"})
"""What differs from token to token and is no text."""
_OF_EACH_REQUEST = ("presented", "notice", "fresh_id", "now", "request.", "setting.")

_encode = msgspec.json.Encoder().encode

PRIVATE: Headers = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"pragma", b"no-cache"),
    (b"x-content-type-options", b"nosniff"),
)
"""Headers of every answer with or about tokens, refusals included (RFC 6749 section 5.1, TE-08)."""


OF_THE_MOMENT = frozenset({"public_key"})
"""Documents whose content changes at once, and not a cache time after it was published."""


def compile_answer(route: Route, where: str) -> AnswerWriter:
    """Turn a route's answers into their writer.

    Raises:
        ValueError: A table shows a fact that its road does not make.
    """
    known = ANSWER_FACTS if route.operation is None else OPERATION_FACTS[route.operation.name]
    return _compile_variants(route, known, PRIVATE, where)


def compile_document(
    route: Route, document: Document, urls: frozenset[str], max_age_seconds: int, where: str
) -> AnswerWriter:
    """Turn a published document's table into its writer; anybody may cache it for ``max_age_seconds``.

    But not what shows only the key that signs now: a cached one would outlive a rotation.

    Raises:
        ValueError: There is no such document, or it does not have a fact that the table shows.
    """
    if document.name not in DOCUMENT_FACTS:
        raise ValueError(f"{where}: unknown document {document.name!r}")
    kept = b"no-cache" if document.name in OF_THE_MOMENT else b"public, max-age=%d" % max_age_seconds
    headers = (
        (b"content-type", b"application/json"),
        (b"cache-control", kept),
        (b"access-control-allow-origin", b"*"),
        (b"x-content-type-options", b"nosniff"),
    )
    return _compile_variants(route, DOCUMENT_FACTS[document.name] | urls, headers, where)


def _compile_variants(route: Route, known: frozenset[str], headers: Headers, where: str) -> AnswerWriter:
    """Give the writer of the first variant whose fact is there, and of the plain answer where none is."""
    write = _compile_one(route.answer, known, headers, where)
    if not route.variants:
        return write
    unknown = [each.when for each in route.variants if each.when is None or not is_known(each.when, known)]
    if unknown:
        raise ValueError(f"{where}: unknown fact {unknown[0]!r}")
    variants = [(each.when, _compile_one(each, known, headers, where)) for each in route.variants]

    def write_first(facts: dict[str, Any]) -> WireResponse:
        chosen = (one for when, one in variants if when is not None and facts.get(when) is not None)
        return next(chosen, write)(facts)

    return write_first


def _compile_one(answer: Answer, known: frozenset[str], headers: Headers, where: str) -> AnswerWriter:
    unknown = [fact for _, fact in answer.headers if not is_known(fact, known)]
    if unknown:
        raise ValueError(f"{where}: unknown fact {unknown[0]!r}")
    if answer.shape is None:
        empty = WireResponse(answer.status, b"", _without_type(headers))
        return lambda _: empty
    render: BodyRenderer = compile_body(answer.shape, known, where)
    shown = [(name.lower().encode(), fact) for name, fact in answer.headers]

    def write(facts: dict[str, Any]) -> WireResponse:
        return WireResponse(answer.status, _encode(render(facts)), headers, _changing(shown, facts))

    if shown or any(source.startswith(_OF_EACH_REQUEST) for source in sources(answer.shape)):
        return write
    return _write_again(answer.status, headers, write, answer.shape)


def _write_again(status: int, headers: Headers, write: AnswerWriter, shape: Shape | Each) -> AnswerWriter:
    """Give a writer that spells facts which last once, and puts other tokens into the same words."""
    differing = OF_EACH_TOKEN.intersection(sources(shape))
    plain = (differing & _shown_plainly(shape)) - _TIMES
    altered = differing - plain

    def again(facts: dict[str, Any]) -> WireResponse:
        if not isinstance(facts, LastingFacts):
            return write(facts)
        # What is said of one token and brings none stays the same as long as its spelling is its own.
        brings_one = facts.get("access_token") is not None
        for fact in altered if brings_one else ():
            if facts.get(fact) is not None:
                return write(facts)
        spelling = facts.spelling
        if spelling.by is not write:
            response = write(facts)
            _spell(spelling, write, response.body, {fact: facts.get(fact) for fact in plain})
            return response
        for fact in spelling.untold:
            if facts.get(fact) is not None:
                return write(facts)
        texts = []
        for fact in spelling.told:
            value = facts[fact]
            if value is None:
                return write(facts)
            texts.append(_clear(value))
        return WireResponse(status, spelling.words % tuple(texts), headers)

    return again


def _shown_plainly(shape: Shape | Each) -> set[str]:
    """Name the facts that a shape shows once, as they are."""
    if isinstance(shape, Each):
        return set()
    shown = Counter(sources(shape))
    members = (each for each in shape.members if isinstance(each, Member))
    return {each.source for each in members if each.transform in _PLAIN and shown[each.source] == 1}


def _spell(spelling: Spelling, by: AnswerWriter, body: bytes, facts: dict[str, Any]) -> None:
    """Keep the words of an answer, if each text that differs stands in it once."""
    texts = {fact: _clear(value) for fact, value in facts.items() if value is not None}
    if any(body.count(text) != 1 for text in texts.values()):
        return
    told = sorted(texts, key=lambda fact: body.index(texts[fact]))
    words, rest = b"", body
    for fact in told:
        before, _, rest = rest.partition(texts[fact])
        words += before.replace(b"%", b"%%") + b"%b"
    spelling.words = words + rest.replace(b"%", b"%%")
    spelling.told = tuple(told)
    spelling.untold = tuple(facts.keys() - texts)
    spelling.by = by


def _clear(value: str | Secret) -> bytes:
    """Give a text of ours as it stands in JSON: none of them needs an escape."""
    return (value.reveal() if isinstance(value, Secret) else value).encode()


def _changing(shown: list[tuple[bytes, str]], facts: dict[str, Any]) -> Headers:
    """Give the headers that show facts."""
    if not shown:
        return ()
    return tuple((name, str(facts[fact]).encode()) for name, fact in shown if facts.get(fact) is not None)


def _without_type(headers: Headers) -> Headers:
    return tuple(header for header in headers if header[0] != b"content-type")


def compile_refusals(refusals: Refusals, needed: frozenset[Code], where: str) -> RefusalWriter:
    """Turn a refusal table into its writer.

    A code that has no row is none that its roads give, so it is told like any other fault of ours.

    Args:
        needed: The codes that the roads can give.

    Raises:
        ValueError: A needed code has no row, or the body shows a fact that refusals do not have.
    """
    missing = sorted(needed - set(refusals.rows))
    if missing:
        message = f"{where}: no refusal row for {', '.join(missing)}"
        raise ValueError(message)
    render = compile_shape(refusals.shape, REFUSAL_FACTS, where)
    common = _of_type(refusals.media)
    rows = {code: _compile_row(row, common) for code, row in refusals.rows.items()}
    fault = rows[Code.SERVER_ERROR]

    def write(refusal: Refusal, request_id: str, fresh_id: str, now: datetime) -> WireResponse:
        row, constant, headers = rows.get(refusal.code, fault)
        body = render(
            {
                **constant,
                **{f"request.{slot}": value for slot, value in refusal.echoes.items()},
                "description": refusal.description,
                "text": _text(row, refusal),
                "issues": refusal.issues or (HTTPStatus(row.status).phrase,),
                "errors": refusal.errors,
                "request_id": request_id,
                "fresh_id": fresh_id,
                "now": now,
            }
        )
        if isinstance(refusal, SlowDown | Unavailable):
            headers = (*headers, (b"retry-after", b"%d" % refusal.retry_after))
        return WireResponse(row.status, _encode(body), headers)

    return write


def _of_type(media: str) -> Headers:
    """Give the headers of every private answer, with another content type."""
    return ((b"content-type", media.encode()), *_without_type(PRIVATE))


def _compile_row(row: RefusalRow, common: Headers) -> tuple[RefusalRow, dict[str, Any], Headers]:
    """Give a row with the facts and headers that all its refusals share."""
    constant = {f"row.{name}": value for name, value in row.values.items()}
    headers = tuple((name.lower().encode(), value.encode()) for name, value in row.headers)
    return row, {**constant, "code": row.code, "status": row.status}, common + headers


def _text(row: RefusalRow, refusal: Refusal) -> str | None:
    """Fill in a row's words; what is filled in is never looked through for places again."""
    if refusal.description is None and row.unexplained is not None:
        return row.unexplained
    if row.text is None:
        return None
    if row.text == "{description}":
        return refusal.description
    tail = "" if refusal.tail is None else row.mask.replace("{tail}", refusal.tail)
    before, place, after = row.text.partition("{tail}")
    words = refusal.description or ""
    filled = [part.replace("{description}", words) for part in (before, after)]
    return (tail if place else "").join(filled)
