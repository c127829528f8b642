"""The rows of a file to be imported, read from CSV or JSON: one shape for each kind, nothing else is taken.

Strict: UTF-8, members and columns that are known (AD-02), sizes that are bounded before anything is kept
(HT-01, HT-02). What cannot be read is told by place and member and never quoted: it may be a secret.
"""

import csv
import io
import re
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from keyturn.core.counting import counted
from keyturn.core.errors import OperatorError
from keyturn.core.json_guard import BadJson, decode_json
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import CLIENT_CREDENTIALS, CredentialKind

MAX_BYTES = 32 * 1024 * 1024
MAX_ROWS = 20_000
"""Everybody else's writes wait while a file's are made: a tenth of a second for a thousand rows."""
MAX_FIELD = 8 * 1024
_JSON_DEPTH = 4
_LISTS = frozenset({"dialects", "grants", "scopes", "audiences", "rights", "roles"})
_BREAKERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_MEMBER = re.compile(r"`\$\.(\w+)")
_FIELD = re.compile(r"(?:unknown|missing required) field `(\w+)`")


class FileForm(StrEnum):
    """How a file is written."""

    CSV = "csv"
    JSON = "json"


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """What every row may say of a secret.

    Args:
        secret: In clear.
        secret_hash: As another system kept it (``core/hashes.py``).
        secret_kind: Where the owner may have more than one kind.
    """

    secret: Secret | None = None
    secret_hash: Secret | None = None
    secret_kind: CredentialKind | None = None
    secret_name: str = "imported"
    secret_expires_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class ClientRow(_Row, frozen=True, kw_only=True, tag="client"):
    """A client, by the id it has; see ``ClientWish``."""

    client_id: str
    name: str = ""
    dialects: tuple[str, ...] = ("oauth2",)
    grants: tuple[str, ...] = (CLIENT_CREDENTIALS,)
    scopes: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    rights: tuple[str, ...] = ()
    max_lifetime_seconds: int | None = None
    public: bool = False


class UserRow(_Row, frozen=True, kw_only=True, tag="user"):
    """A user at home in the organisation; see ``UserWish``."""

    user_name: str
    service: bool = False
    display_name: str = ""
    given_name: str = ""
    family_name: str = ""
    email: str | None = None
    email_verified: bool = False
    mfa_required: bool = False
    roles: tuple[str, ...] = ()


class EntityRow(_Row, frozen=True, kw_only=True, tag="entity"):
    """An entity."""

    entity_id: str
    entity_type: str
    name: str = ""


class SecretRow(_Row, frozen=True, kw_only=True, tag="secret"):
    """One more secret of an owner of this file or of the store: exactly one of the names."""

    client_id: str | None = None
    user_name: str | None = None
    entity_id: str | None = None


Row = ClientRow | UserRow | EntityRow | SecretRow
COLUMNS = tuple(dict.fromkeys(["type", *(name for kind in Row.__args__ for name in kind.__struct_fields__)]))
"""Every column that a CSV file may have."""


class Line(msgspec.Struct, frozen=True):
    """A row and its place: in CSV the line it begins in, in JSON its number; or what is wrong with it."""

    number: int
    row: Row | None
    problem: str = ""


def read_lines(body: bytes, form: FileForm) -> list[Line]:
    """Read a file to its end; rows that cannot be read are lines with a problem.

    Raises:
        OperatorError: It is no such file at all, or larger than is read.
    """
    if len(body) > MAX_BYTES:
        raise OperatorError(f"the file has more than {MAX_BYTES // 1024 // 1024} MiB; split it")
    read = _csv if form is FileForm.CSV else _json
    lines: list[Line] = []
    for number, raw in read(body):
        if len(lines) == MAX_ROWS:
            raise OperatorError(f"the file has more than {MAX_ROWS} rows; split it")
        lines.append(_line(number, raw, lax=form is FileForm.CSV))
    if not lines:
        raise OperatorError("the file has no rows")
    return lines


def _csv(body: bytes) -> Iterator[tuple[int, Any]]:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise OperatorError("the file is not UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        heading = next(reader, [])
        _check_heading(heading)
        begins = reader.line_num + 1
        for cells in reader:
            if cells:
                yield begins, _cells(heading, cells)
            begins = reader.line_num + 1
    except csv.Error:
        raise OperatorError(
            f"line {reader.line_num}: this is no CSV with commas and doubled quotes"
        ) from None


def _check_heading(heading: list[str]) -> None:
    unknown = [name for name in heading if name not in COLUMNS]
    if unknown or len(set(heading)) < len(heading) or "type" not in heading:
        # Not quoted: a file without a heading would begin with somebody's secret.
        raise OperatorError(
            f"the first line names columns, each once, `type` among them: {', '.join(COLUMNS)}"
        )


def _cells(heading: list[str], cells: list[str]) -> Any:
    """Make members of cells; an empty cell says nothing."""
    if len(cells) != len(heading):
        return f"{counted(len(cells), 'cell')}, and {counted(len(heading), 'column')} in the first line"
    return {
        name: cell.split() if name in _LISTS else cell
        for name, cell in zip(heading, cells, strict=True)
        if cell
    }


def _json(body: bytes) -> Iterator[tuple[int, Any]]:
    try:
        rows = decode_json(body, max_depth=_JSON_DEPTH)
    except BadJson as error:
        raise OperatorError(
            f"the file is not JSON that is read here: {error.why.replace('_', ' ')}"
        ) from None
    if not isinstance(rows, list):
        raise OperatorError("a JSON file is one array of rows")
    yield from enumerate(rows, start=1)


def _line(number: int, raw: Any, *, lax: bool) -> Line:
    if isinstance(raw, str):
        return Line(number, None, raw if lax else "a row is an object")
    try:
        _check_texts(raw)
        return Line(number, msgspec.convert(raw, Row, strict=not lax, dec_hook=_secret))
    except msgspec.ValidationError as error:
        return Line(number, None, _told(str(error)))
    except ValueError as error:
        return Line(number, None, str(error))


def _check_texts(raw: Any) -> None:
    """Refuse what no request could carry, and what is too long, wherever in a row it is."""
    if not isinstance(raw, dict):
        raise ValueError("a row is an object")  # noqa: TRY004  # told of a row, like every other flaw
    for name, value in raw.items():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and (len(text) > MAX_FIELD or _BREAKERS.search(text)):
                member = name if name in COLUMNS else "a member"
                raise ValueError(f"{member}: longer than {MAX_FIELD} characters, or with control characters")


def _secret(kind: type, value: Any) -> Any:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise ValueError("a secret is a text")


def _told(message: str) -> str:
    """Say which member is wrong and never what it is."""
    if found := _FIELD.search(message):
        known = found[1] in COLUMNS
        what = (
            "is missing" if message.startswith("Object missing") else "does not belong to a row of this type"
        )
        return f"{found[1]}: {what}" if known else "a member that is not known"
    found = _MEMBER.search(message)
    if found and found[1] in COLUMNS:
        return f"{found[1]}: not what it must be"
    return "not a row: its type is client, user, entity or secret"
