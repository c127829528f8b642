"""``keyturn import``: bring an organisation in from another deployment."""

from pathlib import Path
from typing import Annotated

import typer

from keyturn.cli.command import Config, Data, Form
from keyturn.cli.export import PassphraseFile, bring_in, shown
from keyturn.cli.output import Format, show
from keyturn.core.errors import OperatorError

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def import_(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `keyturn export` wrote.")],
    passphrase_file: PassphraseFile = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing.")] = False,
    data: Data = None,
    config: Config = None,
    form: Form = Format.TABLE,
) -> None:
    """Bring an organisation in, whole or not at all, with its identifiers and secrets; its tokens end.

    Exit code 1 where something of it is taken here, or was once.
    """
    moved = bring_in(file, passphrase_file, dry_run=dry_run, data=data, config=config)
    if moved.conflicts:
        raise OperatorError("nothing was imported; taken here: " + ", ".join(moved.conflicts))
    show({**shown(moved), "imported": not dry_run}, form)
