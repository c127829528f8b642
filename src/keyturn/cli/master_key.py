"""``keyturn master-key``: the key that everything in the store is sealed under."""

import sys
from datetime import timedelta
from typing import Annotated

import typer

from keyturn.app import make_master_key_text
from keyturn.cli.command import noun, verb
from keyturn.cli.output import Answer, Row, instant
from keyturn.cli.verbs import Verbs
from keyturn.core.errors import OperatorError
from keyturn.directory.master_key import MasterKeyStanding

app = noun(
    "The master key, under which everything in the store is sealed.",
    "keyturn master-key status",
    "keyturn master-key rotate",
)

KeyId = Annotated[str, typer.Argument(metavar="KEY_ID", help="As `keyturn master-key status` shows it.")]


@app.command()
def make() -> None:
    """Print a new master key and keep it nowhere: for a vault, a variable or a mounted file.

    To the keys a deployment has, add it on a line of its own, behind them.
    """
    print(make_master_key_text())


@verb(app, columns="key_id in_use held_here values servers_with_it servers_without_it")
async def status(verbs: Verbs) -> Answer:
    """Show for each master key how many values lie under it, and which servers have it."""
    return _rows(await verbs.master_keys())


@verb(app)
async def add(verbs: Verbs) -> Answer:
    """Make a master key and put it last into the file; running servers read it by themselves."""
    return {"key_id": await verbs.add_master_key()}


@verb(app, columns="key_id in_use held_here values servers_with_it servers_without_it")
async def rotate(
    verbs: Verbs,
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="KEY_ID", help="The one to bring in; otherwise the newest, or a new one."
        ),
    ] = None,
    wait: Annotated[int, typer.Option(metavar="SECONDS", help="How long to wait for servers.")] = 120,
) -> Answer:
    """Bring in another master key while servers run: everything sealed is sealed again under it.

    Whatever interrupts it, say it again and it goes on. The old key stays good until `master-key retire`.
    """
    return _rows(await verbs.rotate_master_key(to, timedelta(seconds=wait), _tell))


@verb(app)
async def retire(
    verbs: Verbs,
    key_id: KeyId,
    yes: Annotated[bool, typer.Option("--yes", help="Do it.")] = False,
) -> Answer:
    """Take an old master key away, once nothing in the store and no running server needs it. Needs --yes.

    Backups made before the rotation still need it: keep a copy with them, and nowhere else.
    """
    if not yes:
        raise OperatorError(
            f"the master key {key_id} would be taken out of its file for good; backups made before the"
            " rotation need it: keep a copy, then say --yes"
        )
    path = await verbs.retire_master_key(key_id)
    return {"key_id": key_id, "retired": True, "taken_out_of": path}


def _tell(line: str) -> None:
    print(f"keyturn: {line}", file=sys.stderr)


def _rows(standing: MasterKeyStanding) -> list[Row]:
    known = dict.fromkeys(standing.held)
    for counted in standing.values.values():
        known |= dict.fromkeys(counted)
    return [
        {
            "key_id": key_id,
            "in_use": key_id == standing.in_use,
            "since": instant(standing.since) if key_id == standing.in_use else None,
            "held_here": key_id in standing.held,
            "values": standing.under(key_id),
            "servers_with_it": len(standing.nodes) - len(standing.lacking(key_id)),
            "servers_without_it": len(standing.lacking(key_id)),
        }
        for key_id in known
    ]
