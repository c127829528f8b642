"""Exports of the audit trail as files: JSON lines for programs, CSV for spreadsheets; both can be checked."""

import contextlib
import csv
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import IO, Any

from keyturn.cli.given_file import require_file
from keyturn.core.errors import OperatorError
from keyturn.directory.audit_export import Record
from keyturn.directory.audit_file import Lines


class Spelling(StrEnum):
    """How an export is spelled."""

    JSONL = "jsonl"
    CSV = "csv"


_OPENING = ("type", "format", "made_at", "after", "to", "key")
_ROW = (
    "position",
    "chain",
    "seq",
    "at",
    "kind",
    "actor",
    "request_id",
    "outcome",
    "organisation_id",
    "subject",
)
_LINKS = ("reason", "details", "sealed_personal", "prev_hash", "row_hash", "personal")
_SIGNED = ("key_id", "statement", "signature", "rows", "checkpoints")
COLUMNS = (*_OPENING, *_ROW, *_LINKS, *_SIGNED)
"""Of CSV: every member that any record has; empty where it has none, or null."""
_NUMBERS = {"format", "after", "to", "position", "seq", "rows", "checkpoints"}
_OBJECTS = {"key", "details", "personal"}
_LONGEST = 1 << 24
"""Characters in one line: a checkpoint names every chain that there is."""
_LONGEST_KEY = 1 << 16
"""Bytes of a key's file."""


@contextlib.contextmanager
def writer(path: Path | None, spelling: Spelling) -> Iterator[Callable[[Record], None]]:
    """Give what writes a record, into a new file for its owner only or to standard output.

    Raises:
        OperatorError: The file is there already, or cannot be made.
    """
    with contextlib.nullcontext(sys.stdout) if path is None else _made(path) as out:
        if spelling is Spelling.JSONL:
            yield lambda record: print(json.dumps(record), file=out)
            return
        table = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        table.writeheader()
        yield lambda record: table.writerow({name: _cell(value) for name, value in record.items()})


@contextlib.contextmanager
def _made(path: Path) -> Iterator[IO[str]]:
    """Make a file that is gone again where it could not be finished."""
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise OperatorError(f"{path}: {error.strerror}") from None
    try:
        with os.fdopen(made, "w", encoding="utf-8", newline="") as out:
            yield out
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # writing, where a full disk shows
            raise OperatorError(f"{path}: {error.strerror}") from None
        raise


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict) else value


def records_of(path: Path) -> Lines:
    """Read the records of an export, each with its line; which spelling it is shows in the first line.

    Raises:
        OperatorError: It cannot be read, or a line is no record.
    """
    require_file(path)
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            first = lines.readline(_LONGEST)
            lines.seek(0)
            yield from _of_csv(lines) if first.startswith("type,") else _of_json(path, lines)
    except OSError as error:
        raise OperatorError(f"{path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise OperatorError(f"{path} is no export: {error}") from None


def _of_json(path: Path, lines: IO[str]) -> Lines:
    number = 0
    while line := lines.readline(_LONGEST):
        number += 1
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise OperatorError(f"{path}, line {number}: no JSON object")
        yield number, record


def _of_csv(lines: IO[str]) -> Lines:
    csv.field_size_limit(_LONGEST)
    table = csv.DictReader(iter(partial(lines.readline, _LONGEST), ""))  # a line may have no end
    for row in table:
        yield table.line_num, {name: _read(name, text) for name, text in row.items()}


def _read(name: str | None, text: Any) -> Any:
    if text in ("", None):
        return None
    with contextlib.suppress(ValueError, RecursionError):  # whoever misses it says where
        if name in _NUMBERS:
            return int(text)
        if name in _OBJECTS:
            return json.loads(text)
    return text


def read_key(path: Path) -> Mapping[str, str]:
    """Read a public key as ``keyturn audit key --format json`` prints it.

    Raises:
        OperatorError: It is none.
    """
    require_file(path)
    try:
        with path.open("rb") as file:
            key = json.loads(file.read(_LONGEST_KEY))
    except OSError as error:
        raise OperatorError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        key = None
    if not isinstance(key, dict) or not all(isinstance(value, str) for value in key.values()):
        raise OperatorError(f"{path} is no public key, as `keyturn audit key --format json` prints it")
    return key
