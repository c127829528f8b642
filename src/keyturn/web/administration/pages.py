"""Pages of a list: filtered, sorted, and continued by a cursor that only we can make (AD-03).

A cursor says where a page ended, under a keyed digest over that, the list, its filters and order, and the
caller's organisation: it is worth nothing for another list or caller.
"""

import hmac
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.errors import InvalidRequest
from keyturn.core.ports import Digester
from keyturn.core.requests import Call
from keyturn.core.vocabulary import Reason
from keyturn.tokens import base64url
from keyturn.web.administration.ground import Facts

_FILTER = "filter."
_TAG_BYTES = 32

Position = tuple[str | int, str]
"""What the list is sorted by, of the last item that was shown, and the item's id."""


def page_of(items: Iterable[Facts], actor: Actor, call: Call, digester: Digester, key: str = "id") -> Facts:
    """Choose what a call asks for.

    Args:
        key: The fact that tells two items apart.

    Raises:
        InvalidRequest: The cursor is none of ours, or of another list.
    """
    asked = call.arguments
    sort: str = asked["sort"]
    name, descending = sort.removeprefix("-"), sort.startswith("-")
    found = [each for each in items if _fits(each, asked)]
    found.sort(key=lambda each: _position(each, name, key), reverse=descending)
    bound = _bound(actor, call)
    if "cursor" in asked:
        last = _read(asked["cursor"], bound, digester)
        found = [each for each in found if _follows(_position(each, name, key), last, descending=descending)]
    limit: int = asked["limit"]
    shown = found[:limit]
    more = len(found) > limit
    cursor = _write(_position(shown[-1], name, key), bound, digester) if more else None
    return {"items": shown, "next": cursor}


def _fits(item: Facts, asked: Facts) -> bool:
    return all(
        _has(item, slot.removeprefix(_FILTER), value)
        for slot, value in asked.items()
        if slot.startswith(_FILTER)
    )


def _has(item: Facts, name: str, value: Any) -> bool:
    if name == "ended":
        return (item["ended_at"] is not None) is value
    held = item[name]
    return value in held if isinstance(held, tuple) else held == value


def _position(item: Facts, name: str, key: str) -> Position:
    value = item[name]
    if isinstance(value, datetime):
        return int(value.timestamp() * 1_000_000), item[key]
    return (value if isinstance(value, int) else str(value)), item[key]


def _follows(position: Position, last: Position, *, descending: bool) -> bool:
    # Of one list all positions are of one type; another type is another list's, and has another digest.
    return position < last if descending else position > last


def _bound(actor: Actor, call: Call) -> bytes:
    asked = {name: value for name, value in call.arguments.items() if name not in {"cursor", "limit"}}
    return msgspec.json.encode([call.operation, actor.organisation_id, asked], order="deterministic")


def _message(bound: bytes, position: bytes) -> bytes:
    return b"admin cursor\n" + bound + b"\n" + position


def _write(position: Position, bound: bytes, digester: Digester) -> str:
    spelled = msgspec.json.encode(position)
    return base64url.encode(digester.tag(_message(bound, spelled)) + spelled).decode()


def _read(cursor: str, bound: bytes, digester: Digester) -> Position:
    try:
        raw = base64url.decode(cursor.encode())
    except ValueError:
        raw = b""
    tag, spelled = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
    # ``tags`` gives one for each pepper, so that a cursor outlives a change of peppers.
    if not any(hmac.compare_digest(each, tag) for each in digester.tags(_message(bound, spelled))):
        raise InvalidRequest(Reason.CURSOR_REJECTED, "the cursor is none of this list")
    position: Position = msgspec.json.decode(spelled, type=Position)
    return position
