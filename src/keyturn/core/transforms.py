"""Named transforms: how a shape's member shows a fact. A table names one, it never holds one."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from keyturn.core.secret import Secret


def _epoch_seconds(value: datetime) -> int:
    return int(value.timestamp())


def _day_seconds(value: date) -> int:
    return int(datetime.combine(value, time.min, UTC).timestamp())


def _epoch_millis(value: datetime) -> int:
    return int(value.timestamp() * 1000)


def _whole_seconds(value: timedelta) -> int:
    return int(value.total_seconds())


def _second_digits(value: timedelta) -> str:
    return str(int(value.total_seconds()))


def _iso_millis(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _urn(value: str) -> str:
    """Spell a UUID as a URI (RFC 9562 section 4)."""
    return f"urn:uuid:{value}"


def _local_iso_millis(value: datetime) -> str:
    return _iso_millis(value).removesuffix("Z")


def _short_id(value: str) -> str:
    """Cut a UUID short; its beginning is a clock's, the same for a minute, so the end it is."""
    return value[-8:]


def _pem_one_line(value: str) -> str:
    first, *body, last = value.splitlines()
    return "\n".join((first, "".join(body), last))


def _pem_body(value: str) -> str:
    """Give what stands between the lines of a PEM text, in one line."""
    return "".join(value.splitlines()[1:-1])


def _parent_url(value: str) -> str:
    """Cut the last segment off a URL."""
    return value.rpartition("/")[0]


def _one_or_list(value: tuple[str, ...]) -> str | list[str]:
    return value[0] if len(value) == 1 else list(value)


def _reveal_each(value: Sequence[Secret]) -> list[str]:
    return [each.reveal() for each in value]


def _plain(value: Any) -> Any:
    return value


TRANSFORMS: dict[str, Callable[[Any], Any]] = {
    "plain": _plain,
    "epoch_seconds": _epoch_seconds,
    "day_seconds": _day_seconds,
    "epoch_millis": _epoch_millis,
    "seconds": _whole_seconds,
    "second_digits": _second_digits,
    "iso_millis": _iso_millis,
    "local_iso_millis": _local_iso_millis,
    "iso_day": date.isoformat,
    "urn": _urn,
    "short_id": _short_id,
    "pem_one_line": _pem_one_line,
    "pem_body": _pem_body,
    "parent_url": _parent_url,
    "words": " ".join,
    "list": list,
    "one_or_list": _one_or_list,
    "upper": str.upper,
    "lower": str.lower,
    "digits": str,
    "reveal": Secret.reveal,
    "reveal_each": _reveal_each,
}
"""Name of a transform -> what it does with a fact."""

_TEXT: dict[str, Any] = {"type": "string"}
_TEXTS: dict[str, Any] = {"type": "array", "items": _TEXT}
TRANSFORM_SCHEMAS: dict[str, dict[str, Any]] = {
    "plain": {},
    "epoch_seconds": {"type": "integer"},
    "epoch_millis": {"type": "integer"},
    "day_seconds": {"type": "integer"},
    "seconds": {"type": "integer"},
    "second_digits": {"type": "string", "pattern": "^[0-9]+$"},
    "iso_millis": {"type": "string", "format": "date-time"},
    "local_iso_millis": _TEXT,
    "iso_day": {"type": "string", "format": "date"},
    "urn": {"type": "string", "format": "uri"},
    "short_id": _TEXT,
    "pem_one_line": _TEXT,
    "pem_body": _TEXT,
    "parent_url": {"type": "string", "format": "uri"},
    "words": _TEXT,
    "list": _TEXTS,
    "one_or_list": {"anyOf": [_TEXT, _TEXTS]},
    "upper": _TEXT,
    "lower": _TEXT,
    "digits": _TEXT,
    "reveal": _TEXT,
    "reveal_each": _TEXTS,
}
"""Name of a transform -> what it makes, as JSON Schema; ``plain`` is what the fact is. Every one is here."""
