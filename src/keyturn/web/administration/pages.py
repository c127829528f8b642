"""Pages of a list: filtered, sorted, and continued by a cursor that only we can make (AD-03).

A cursor says where a page ended, under a keyed digest over that, the list, its filters and order, and the
caller's organisation: it is worth nothing for another list or caller.
"""

import hmac
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.errors import InvalidRequest
from keyturn.core.ports import Digester
from keyturn.core.requests import Call
from keyturn.core.store_ports import PageWish
from keyturn.core.vocabulary import Reason
from keyturn.tokens import base64url
from keyturn.web.administration.ground import Facts

_FILTER = "filter."
_TAG_BYTES = 32
_EPOCH, _MICROSECOND = datetime.fromtimestamp(0, UTC), timedelta(microseconds=1)

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
    last = read_position(actor, call, digester)
    if last is not None:
        found = [each for each in found if _follows(_position(each, name, key), last, descending=descending)]
    return _cut(found, actor, call, digester, key)


def wish_of(actor: Actor, call: Call, digester: Digester) -> PageWish | None:
    """Say what a call asks of a list that the store cuts; None where it asks what a store cannot tell.

    Raises:
        InvalidRequest: The cursor is none of ours, or of another list.
    """
    asked = call.arguments
    filters = {slot.removeprefix(_FILTER): value for slot, value in asked.items() if slot.startswith(_FILTER)}
    if filters.keys() & _LISTS:
        return None
    sort: str = asked["sort"]
    last = read_position(actor, call, digester)
    return PageWish(
        ended=filters.pop("ended", None),
        equal=filters,
        sort=sort.removeprefix("-"),
        descending=sort.startswith("-"),
        after=None if last is None else (_value(last[0]), last[1]),
        limit=asked["limit"] + 1,
    )


_LISTS = frozenset({"dialects"})
"""Facts of which a filter wants to find one among several: no SQL that all stores speak looks into those."""


def cut_page(items: Iterable[Facts], actor: Actor, call: Call, digester: Digester) -> Facts:
    """Show what a store gave for ``wish_of``: one more than was asked for, if there is one."""
    return _cut(list(items), actor, call, digester, "id")


def _cut(found: Sequence[Facts], actor: Actor, call: Call, digester: Digester, key: str) -> Facts:
    limit: int = call.arguments["limit"]
    name: str = call.arguments["sort"].removeprefix("-")
    shown, cursor = found[:limit], None
    if len(found) > limit:
        cursor = write_position(_position(shown[-1], name, key), actor, call, digester)
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
        return (value - _EPOCH) // _MICROSECOND, item[key]
    return (value if isinstance(value, int) else str(value)), item[key]


def _value(position: str | int) -> datetime | str:
    """Give what a position was made of: of an instant the whole microseconds."""
    return _EPOCH + position * _MICROSECOND if isinstance(position, int) else position


def instant_in(position: Position) -> datetime:
    """Give the instant that the last item was sorted by, of a list that is sorted by nothing else."""
    return _EPOCH + int(position[0]) * _MICROSECOND


def _follows(position: Position, last: Position, *, descending: bool) -> bool:
    # Of one list all positions are of one type; another type is another list's, and has another digest.
    return position < last if descending else position > last


def _bound(actor: Actor, call: Call) -> bytes:
    asked = {name: value for name, value in call.arguments.items() if name not in {"cursor", "limit"}}
    return msgspec.json.encode([call.operation, actor.organisation_id, asked], order="deterministic")


def _message(bound: bytes, position: bytes) -> bytes:
    return b"admin cursor\n" + bound + b"\n" + position


def write_position(position: Position, actor: Actor, call: Call, digester: Digester) -> str:
    """Give the cursor that says where a page of a list ended."""
    spelled = msgspec.json.encode(position)
    tag = digester.tag(_message(_bound(actor, call), spelled))
    return base64url.encode(tag + spelled).decode()


def read_position(actor: Actor, call: Call, digester: Digester) -> Position | None:
    """Read where the page before ended; None where a call begins at the start.

    Raises:
        InvalidRequest: The cursor is none of ours, or of another list.
    """
    if "cursor" not in call.arguments:
        return None
    try:
        raw = base64url.decode(call.arguments["cursor"].encode())
    except ValueError:
        raw = b""
    tag, spelled = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
    message = _message(_bound(actor, call), spelled)
    if not hmac.compare_digest(digester.tag(message), tag):
        raise InvalidRequest(Reason.CURSOR_REJECTED, "the cursor is none of this list")
    position: Position = msgspec.json.decode(spelled, type=Position)
    return position
