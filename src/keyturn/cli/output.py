"""How an answer is printed: a table for people, JSON with stable member names for programs."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

Row = dict[str, Any]
Answer = Row | Sequence[Row]
"""One thing, or several of a kind; the values are plain JSON."""


class Format(StrEnum):
    """How to print."""

    TABLE = "table"
    JSON = "json"


def instant(value: datetime | None) -> str | None:
    """Spell an instant: ISO 8601, UTC, milliseconds."""
    if value is None:
        return None
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def show(answer: Answer, form: Format, columns: Sequence[str] = ()) -> None:
    """Print an answer on standard output; ``columns`` is the heading of a table without rows."""
    if form is Format.JSON:
        print(json.dumps(answer if isinstance(answer, dict) else list(answer), indent=2))
    elif isinstance(answer, dict):
        width = max(map(len, answer), default=0)
        for name, value in answer.items():
            print(f"{name:<{width}}  {_cell(value)}")
    elif heading := [name.upper() for name in (answer[0] if answer else columns)]:
        _table([heading, *([_cell(value) for value in row.values()] for row in answer)])


class Rolling:
    """Prints rows as they come: a table whose columns only get wider, or one JSON object a line."""

    def __init__(self, form: Format, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Print the heading and the rows that are there."""
        self._form = form
        heading = [name.upper() for name in columns]
        self._widths = [0] * len(heading)
        lines = [heading, *(_cells(row) for row in rows)]
        for line in lines:
            self._fit(line)
        if form is Format.JSON:
            for row in rows:
                self.print(row)
        else:
            for line in lines:
                self._line(line)

    def print(self, row: Row) -> None:
        """Print one row now."""
        if self._form is Format.JSON:
            print(json.dumps(row), flush=True)
        else:
            cells = _cells(row)
            self._fit(cells)
            self._line(cells)

    def _fit(self, cells: Sequence[str]) -> None:
        self._widths = [max(len(cell), width) for cell, width in zip(cells, self._widths, strict=True)]

    def _line(self, cells: Sequence[str]) -> None:
        told = "  ".join(cell.ljust(width) for cell, width in zip(cells, self._widths, strict=True))
        print(told.rstrip(), flush=True)


def _cells(row: Row) -> Sequence[str]:
    return [_cell(value) for value in row.values()]


def _table(lines: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    if value is None or value in ([], {}, ""):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return " ".join(f"{_cell(name)}={_cell(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return " ".join(map(_cell, value))
    # What a stranger once sent may be in an audit row; a terminal would obey its control characters.
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in str(value))
