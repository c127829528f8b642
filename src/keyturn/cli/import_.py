"""``keyturn import``: bring in an organisation's file, or a list of owners and their secrets.

Which of them a file is, its first line says.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from keyturn.cli.command import Config, Data, Form, epilog
from keyturn.cli.export import PassphraseFile, bring_in, shown
from keyturn.cli.given_file import require_file
from keyturn.cli.import_rows import import_rows
from keyturn.cli.output import Format, show
from keyturn.core.errors import OperatorError
from keyturn.directory.import_rows import FileForm
from keyturn.transfers import is_bundle

app = typer.Typer(rich_markup_mode=None, add_completion=False)

MOST_CONFLICTS = 20
"""Those that are named."""


@app.command(
    epilog=epilog("keyturn import acme.keyturn", "keyturn import clients.csv --organisation acme --dry-run")
)
def import_(
    *,
    file: Annotated[Path, typer.Argument(help="From `keyturn export`, or CSV or JSON, or - for these.")],
    organisation: Annotated[
        str | None, typer.Option(help="Of a CSV or JSON file: the organisation's slug.")
    ] = None,
    written: Annotated[
        FileForm | None, typer.Option("--as", help="How it is written; by its name, if not said.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="Where to write what becomes of each row: .csv, else JSON.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    data: Data = None,
    config: Config = None,
    form: Form = Format.TABLE,
) -> None:
    """Bring clients, users, entities and their secrets, in clear or hashed: all of the file or nothing.

    A row that is here already changes nothing. Exit code 1 where a row is refused. The formats are in
    docs/operations/import.md. The file has secrets in it: end it when it is imported.

    An organisation's file comes in whole, with its identifiers and secrets; its tokens end. Exit code 1 where
    something of it is taken here, or was once.
    """
    if str(file) != "-":
        require_file(file)
    if str(file) == "-" or not is_bundle(file):
        if organisation is None:
            raise typer.BadParameter("say --organisation: it is no file that `keyturn export` wrote")
        import_rows(
            file=file,
            organisation=organisation,
            written=written,
            dry_run=dry_run,
            report=report,
            data=data,
            config=config,
            form=form,
        )
        return
    if organisation is not None or written is not None or report is not None:
        raise typer.BadParameter("--organisation, --as and --report are for CSV and JSON")
    moved = bring_in(file, passphrase_file, dry_run=dry_run, data=data, config=config)
    if moved.conflicts:
        raise OperatorError("nothing was imported; taken here: " + _some_of(moved.conflicts))
    show({**shown(moved), "imported": not dry_run}, form)


def _some_of(conflicts: Sequence[str]) -> str:
    """Name what is taken, as far as people read: of an organisation that is here it is everything."""
    more = len(conflicts) - MOST_CONFLICTS
    return ", ".join(conflicts[:MOST_CONFLICTS]) + (f" and {more} more" if more > 0 else "")
