"""``keyturn migrate``: the tables of the database, looked at or brought up to date."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import msgspec
import typer

from keyturn.app import tables
from keyturn.cli.command import Config, Data, Form, epilog, settings_of
from keyturn.cli.output import Format, Row, show

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_BEHIND = 1
"""Exit code of ``--check`` where there is something to do."""


class Action(StrEnum):
    """What can be done."""

    APPLY = "apply"


@app.command(epilog=epilog("keyturn migrate --check", "keyturn migrate apply"))
def migrate(
    *,
    action: Annotated[
        Action | None, typer.Argument(metavar="apply", help="Bring in what is missing.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Tell the versions; exit code 1 where something is missing.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print what is missing as SQL, and change nothing.")
    ] = False,
    data: Data = None,
    config: Config = None,
    form: Form = Format.TABLE,
) -> None:
    """Look at the database's tables, or bring them up to date: --check, --plan or apply.

    Migrations only add, so servers of the version before go on working. No master key is needed.
    """
    if (check, plan, action is not None).count(True) != 1:
        raise typer.BadParameter("say one of --check, --plan and apply")
    with tables.Tables.of(settings_of(data, config).store_url()) as opened:
        found = opened.apply() if action else opened.look()
    if action:
        _show(_versions(max(found.version, found.head), found), "applied", found.pending, form)
    elif check:
        _show(_versions(found.version, found), "missing", found.pending, form)
        raise typer.Exit(_BEHIND if found.pending else 0)
    elif form is Format.JSON:
        show([msgspec.to_builtins(step) for step in found.pending], form)
    else:
        print(_script(found.pending))


def _versions(database: str, found: tables.Outlook) -> Row:
    return {"database": database, "program": found.head, "state": found.standing(database).value}


def _show(answer: Row, what: str, steps: Sequence[tables.Step], form: Format) -> None:
    rows = [{"revision": step.revision, "summary": step.summary} for step in steps]
    if form is Format.JSON:
        show({**answer, what: rows}, form)
        return
    show(answer, form)
    if rows:
        print(f"\n{what}:")
        show(rows, form)


def _script(steps: Sequence[tables.Step]) -> str:
    """Write the steps as one script; a database whose own tool ran it is as if we had."""
    return (
        "\n\n".join(f"-- {each.revision}: {each.summary}\n\n{each.sql}" for each in steps)
        or "-- nothing is missing"
    )
