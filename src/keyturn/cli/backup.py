"""``keyturn backup``: a deployment in one sealed file, and whether that can be relied on."""

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from keyturn.backups import Seen, Verified, make_backup, verify_backup
from keyturn.cli.command import Config, Data, Form, epilog, settings_of
from keyturn.cli.given_file import require_file
from keyturn.cli.local import local_actor
from keyturn.cli.output import Format, Row, instant, show
from keyturn.core.errors import OperatorError

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_VERIFY = "verify"


@app.command(epilog=epilog("keyturn backup /srv/backups/monday", "keyturn backup verify /srv/backups/monday"))
def backup(
    *,
    words: Annotated[
        list[str], typer.Argument(metavar="[verify] FILE", help="Where it goes, or the one to check.")
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    data: Data = None,
    config: Config = None,
    form: Form = Format.TABLE,
) -> None:
    """Write the deployment to one sealed file, or check such a file; servers go on meanwhile.

    The file is sealed under the master key, and THE MASTER KEY IS NOT IN IT: without a copy of the key, kept
    elsewhere, a backup is worth nothing.
    """
    checking, name = _understood(words)
    settings = settings_of(data, config)
    if not checking:
        made = make_backup(settings, name, force=force, now=datetime.now(UTC), dice=os.urandom)
        show({"file": str(name), **shown(made)}, form)
        if form is Format.TABLE:
            print(_KEY.format(key_id=made.head.key_id))
        return
    require_file(name)
    verified = asyncio.run(verify_backup(settings, name, local_actor()))
    if not verified.good:
        raise OperatorError(f"{name} is not good: {_wrong(verified)}")
    trail = verified.trail
    rows = sum(each.rows for each in trail.chains) if trail else 0
    show({"file": str(name), "good": True, **shown(verified.seen), "audit_rows_followed": rows}, form)


_KEY = """
The master key is not in it. Keep a copy of the key with id {key_id} somewhere else: without it this file
cannot be opened by anybody."""


def _understood(words: list[str]) -> tuple[bool, Path]:
    checking = words[0] == _VERIFY
    if len(words) != 1 + checking:
        raise typer.BadParameter("say FILE, or verify FILE")
    return checking, Path(words[-1])


def shown(seen: Seen) -> Row:
    """Tell what a backup says of itself."""
    sight = seen.sight
    return {
        "created_at": instant(seen.head.created_at),
        "made_by": seen.head.made_by,
        "schema": sight.schema,
        "deployment": sight.deployment,
        "master_key_id": seen.head.key_id,
        "newest_checkpoint": sight.checkpoint or None,
        "rows": {**sight.counts, "audit_to": sight.audit_rows_to},
        "bytes": seen.bytes,
    }


def _wrong(verified: Verified) -> str:
    if verified.damage is not None:
        return f"the database in it is damaged: {verified.damage}"
    return "its audit trail is broken; restore it into an empty folder and look with `keyturn audit verify`"
