"""``keyturn export``: an organisation in one sealed file, for another deployment."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from keyturn.cli.command import Config, Data, Form, epilog, settings_of
from keyturn.cli.local import local_actor
from keyturn.cli.output import Format, Row, show
from keyturn.cli.prompt import secret_from
from keyturn.transfers import Moved, export_organisation, import_organisation

app = typer.Typer(rich_markup_mode=None, add_completion=False)

PassphraseFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Where the passphrase is; without it, it is asked for."),
]


@app.command(epilog=epilog("keyturn export acme.keyturn --organisation acme"))
def export(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where it goes.")],
    organisation: Annotated[str, typer.Option(help="The organisation's slug.")],
    passphrase_file: PassphraseFile = None,
    with_signing_keys: Annotated[
        bool, typer.Option("--with-signing-keys", help="So that its issuer's key set goes on elsewhere.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    data: Data = None,
    config: Config = None,
    form: Form = Format.TABLE,
) -> None:
    """Write an organisation, its secrets included, to a file sealed under a passphrase of yours.

    Nothing changes here. `keyturn import FILE` brings it in elsewhere; tokens and the audit trail stay.
    """
    passphrase = secret_from(passphrase_file, "Passphrase", twice=True)
    moved = asyncio.run(
        export_organisation(
            settings_of(data, config),
            file,
            organisation,
            passphrase,
            local_actor(),
            with_keys=with_signing_keys,
            force=force,
        )
    )
    show({"file": str(file), **shown(moved)}, form)


def shown(moved: Moved) -> Row:
    """Tell what is in a file."""
    return {
        "organisation": moved.slug,
        "organisation_id": moved.organisation_id,
        "signing_keys": moved.signing_keys,
        **{name: int(count) for name, count in moved.counts.items()},
    }


def bring_in(
    file: Path, passphrase_file: Path | None, *, dry_run: bool, data: Path | None, config: Path | None
) -> Moved:
    """Bring in an organisation's file (``keyturn import``)."""
    passphrase = secret_from(passphrase_file, "Passphrase")
    settings = settings_of(data, config)
    return asyncio.run(import_organisation(settings, file, passphrase, local_actor(), dry_run=dry_run))
