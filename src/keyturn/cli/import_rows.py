"""``keyturn import`` of a CSV or JSON file: owners and their secrets from another system."""

import asyncio
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from keyturn.cli.command import settings_of
from keyturn.cli.output import Format, Row, show
from keyturn.core.counting import counted
from keyturn.core.errors import OperatorError
from keyturn.directory.import_plan import Outcome
from keyturn.directory.import_rows import MAX_BYTES, FileForm
from keyturn.directory.imports import ImportReport
from keyturn.settings import Settings

_COLUMNS = ("line", "name", "outcome", "reason")


def import_rows(
    *,
    file: Path,
    organisation: str,
    written: FileForm | None,
    dry_run: bool,
    report: Path | None,
    data: Path | None,
    config: Path | None,
    form: Format,
) -> None:
    """Carry out the command for rows.

    Raises:
        OperatorError: The file cannot be read, or a row is refused and nothing was changed.
    """
    body, settings = _read(file), settings_of(data, config)
    came = asyncio.run(_bring(settings, organisation, body, written or _form(file), dry_run=dry_run))
    rows = [_row(came, number) for number in range(len(came.verdicts))]
    if report is not None:
        _write(report, rows)
    refused = came.count(Outcome.REFUSED)
    if refused:
        _complain(rows)
        raise OperatorError(
            f"{refused} of {counted(len(rows), 'row')} cannot be imported, and nothing was changed"
        )
    show(_summary(organisation, came, rows), form)


async def _bring(
    settings: Settings, slug: str, body: bytes, written: FileForm, *, dry_run: bool
) -> ImportReport:
    from keyturn.cli.local import open_verbs

    async with open_verbs(settings) as verbs:
        return await verbs.import_rows(slug, body, written, dry_run=dry_run)


def _summary(slug: str, came: ImportReport, rows: Sequence[Row]) -> Row:
    return {
        "organisation": slug,
        "rows": len(rows),
        "created": came.count(Outcome.CREATED),
        "unchanged": came.count(Outcome.UNCHANGED),
        "imported": came.done,
        "file": came.digest,
        "remarks": [f"line {row['line']}: {row['reason']}" for row in rows if row["reason"]],
    }


def _row(came: ImportReport, number: int) -> Row:
    verdict = came.verdicts[number]
    return {name: getattr(verdict, name) for name in _COLUMNS}


def _read(file: Path) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise OperatorError(f"{file}: {error.strerror}") from None


def _form(file: Path) -> FileForm:
    try:
        return FileForm(file.suffix.removeprefix(".").lower())
    except ValueError:
        raise OperatorError("say --as csv or --as json: the file's name does not") from None


def _complain(rows: Sequence[Row]) -> None:
    """Tell of refused rows on standard error, one line each."""
    for row in rows:
        if row["outcome"] is Outcome.REFUSED:
            name = f" ({row['name']})" if row["name"].isprintable() and row["name"] else ""
            print(f"keyturn: line {row['line']}{name}: {row['reason']}", file=sys.stderr)


def _write(report: Path, rows: Sequence[Row]) -> None:
    try:
        with report.open("w", encoding="utf-8", newline="") as opened:
            if report.suffix == ".csv":
                writer = csv.DictWriter(opened, _COLUMNS)
                writer.writeheader()
                writer.writerows(rows)
            else:
                json.dump(rows, opened, indent=2)
    except OSError as error:
        raise OperatorError(f"{report}: {error.strerror}; the import itself is done or refused") from None
