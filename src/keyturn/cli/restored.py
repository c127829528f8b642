"""``keyturn restored``: what has to end after a database was brought back by its own tools."""

import asyncio

import typer

from keyturn.app import FOUNDED
from keyturn.backups import mark
from keyturn.cli.command import Config, Data, Form, epilog, settings_of
from keyturn.cli.local import local_actor
from keyturn.cli.output import Format, instant, show
from keyturn.cli.prompt import Yes, require_yes
from keyturn.cli.restore import AFTERWARDS, KeepTokens, NewKeys
from keyturn.directory.restoring import RestoreWish

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(epilog=epilog("keyturn restored --yes"))
def restored(
    *,
    yes: Yes = False,
    keep_tokens: KeepTokens = False,
    new_signing_keys: NewKeys = False,
    data: Data = None,
    config: Config = None,
    form: Form = Format.TABLE,
) -> None:
    """Say that the database was set back to an earlier state, by pg_restore or a base backup.

    Does what ``keyturn restore`` does after it has put a file in place; run it before servers start.
    """
    require_yes("This ends what may have been used or revoked since, tokens first of all.", yes)
    wish = RestoreWish(
        keep_tokens=keep_tokens,
        rings=FOUNDED if new_signing_keys else None,
        source={"restored_by": "its own tools"},
    )
    done = asyncio.run(mark(settings_of(data, config), local_actor(), wish))
    answer = {
        "restored_at": instant(done.at),
        "newest_checkpoint": None if done.checkpoint == "none" else done.checkpoint,
        "tokens": "kept" if keep_tokens else "ended",
        "signing_keys": "withdrawn" if new_signing_keys else "kept",
    }
    show(answer, form)
    if form is Format.TABLE:
        print(AFTERWARDS)
