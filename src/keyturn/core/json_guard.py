"""Decode JSON that a stranger wrote: one pass, one meaning, bounded work.

What parsers disagree about is where attacks live: of two members with the same name one parser keeps the
first and another the last, one cuts a string at NUL, one turns a lone surrogate into ``?``. Such a text is
refused here, so that no two parts of a deployment read it differently (RFC 8259 sections 4 and 8.2,
RFC 7493). The costly ones are refused before they cost: nesting before anything recurses, long numbers
before they are converted (their conversion is quadratic).
"""

import json
import math
import re
from enum import StrEnum
from typing import Any, NoReturn

from keyturn.core.errors import KeyturnError

MAX_DEPTH = 32
MAX_DIGITS = 20

# The closing quote may be missing: an unterminated string is consumed once and not again from each quote in
# it, which would make this scan quadratic. Nothing here is possessive: Python before 3.11.5 gets that wrong.
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|([\[{])|[\]}]', re.DOTALL)
# Each escape whole, a surrogate pair as one: group 1 is NUL, group 2 half a pair.
_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u(?:(0000)|([dD][89a-fA-F]))|\\."
)


class Flaw(StrEnum):
    """Why a text is not JSON that we read."""

    NOT_UTF8 = "not_utf8"
    SYNTAX = "syntax"
    TOO_DEEP = "too_deep"
    DUPLICATE_MEMBER = "duplicate_member"
    NUMBER = "number"
    NUL = "nul"
    LONE_SURROGATE = "lone_surrogate"


class BadJson(KeyturnError):
    """A text is not JSON, or not JSON with one meaning; ``why`` says what is wrong with it."""

    def __init__(self, why: Flaw) -> None:
        """Keep the flaw, and nothing of the text: it may hold a secret."""
        super().__init__(why.value)
        self.why = why


def decode_json(body: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """Decode one JSON text strictly.

    Args:
        body: The whole text as UTF-8; the caller has bounded its size.
        max_depth: How many arrays and objects may stand inside one another.

    Returns:
        Dictionaries, lists, strings, integers, floats, booleans and None.

    Raises:
        BadJson: For any flaw, and never anything else.

    Spec: RFC 8259, RFC 7493 (I-JSON).
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise BadJson(Flaw.NOT_UTF8) from None
    if text.count("[") + text.count("{") > max_depth:
        _check_depth(text, max_depth)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError:
        raise BadJson(Flaw.SYNTAX) from None
    if "\\u" in text:
        _check_characters(text)
    return value


def _check_depth(text: str, max_depth: int) -> None:
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(text):
        if token[1]:
            depth += 1
            if depth > max_depth:
                raise BadJson(Flaw.TOO_DEEP)
        elif token[0] in {"]", "}"}:
            depth -= 1


def _check_characters(text: str) -> None:
    """Refuse escapes of NUL and of lone surrogates in a text whose syntax is known to be good."""
    for escape in _ESCAPE.finditer(text):
        if escape.lastindex:
            raise BadJson(Flaw.NUL if escape[1] else Flaw.LONE_SURROGATE)


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) != len(members):
        raise BadJson(Flaw.DUPLICATE_MEMBER)
    return value


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS and len(text.lstrip("-")) > MAX_DIGITS:
        raise BadJson(Flaw.NUMBER)
    return int(text)


def _number(text: str) -> float:
    if len(text) > MAX_DIGITS and sum(map(str.isdigit, text[: 2 * MAX_DIGITS])) > MAX_DIGITS:
        raise BadJson(Flaw.NUMBER)
    number = float(text)
    if math.isinf(number):  # 1e999: JSON has no infinity, and neither may what we read
        raise BadJson(Flaw.NUMBER)
    return number


def _constant(_name: str) -> NoReturn:
    """Refuse ``NaN``, ``Infinity`` and ``-Infinity``, which Python reads and JSON does not have."""
    raise BadJson(Flaw.NUMBER)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_number, parse_constant=_constant
)
