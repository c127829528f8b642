"""``keyturn restore``: a deployment as it was when a backup was made."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from keyturn.app import FOUNDED
from keyturn.backups import restore_backup
from keyturn.cli.backup import shown
from keyturn.cli.command import Config, Data, Form, epilog, settings_of
from keyturn.cli.given_file import require_file
from keyturn.cli.local import local_actor
from keyturn.cli.output import Format, instant, show
from keyturn.directory.restoring import RestoreWish

app = typer.Typer(rich_markup_mode=None, add_completion=False)

KeepTokens = Annotated[
    bool,
    typer.Option(
        "--keep-tokens", help="Let tokens and refresh families live, also those revoked since the backup."
    ),
]
NewKeys = Annotated[
    bool,
    typer.Option(
        "--new-signing-keys",
        help="Withdraw all signing keys: the one way to end tokens at whoever verifies them offline.",
    ),
]


@app.command(epilog=epilog("keyturn restore /srv/backups/monday"))
def restore(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Put it in the place of a database that is there.")
    ] = False,
    keep_tokens: KeepTokens = False,
    new_signing_keys: NewKeys = False,
    data: Data = None,
    config: Config = None,
    form: Form = Format.TABLE,
) -> None:
    """Bring a backup back, with every server stopped; the master key of its time has to be here.

    Tokens that were issued before end, refresh tokens too, and one-time codes that may have been used since
    the backup. Secrets, clients and users that were ended since the backup work again: end them again.
    """
    require_file(file)
    wish = RestoreWish(keep_tokens=keep_tokens, rings=FOUNDED if new_signing_keys else None)
    back = asyncio.run(restore_backup(settings_of(data, config), file, local_actor(), wish, replace=replace))
    answer = {
        "restored_at": instant(back.restored.at),
        **shown(back.seen),
        "tokens": "kept" if keep_tokens else "ended",
        "signing_keys": "withdrawn" if new_signing_keys else "kept",
        "before": str(back.aside) if back.aside else None,
    }
    show(answer, form)
    if form is Format.TABLE:
        print(AFTERWARDS)


AFTERWARDS = """
What was ended, disabled or deleted after the backup is as it was before: end it again. What was made after
it is gone. Checkpoints noted after it are not there any more; the event deployment.restored says so."""
