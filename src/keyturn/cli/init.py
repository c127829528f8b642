"""``keyturn init``: make a data folder ready to serve."""

import asyncio
import os
from pathlib import Path

import typer

from keyturn.app import make_master_key, open_local
from keyturn.cli.command import Config, Data, Form, epilog
from keyturn.cli.output import Format, show
from keyturn.config import load_settings
from keyturn.core.actors import system
from keyturn.core.errors import ConfigError, Fault
from keyturn.core.secret import Secret
from keyturn.directory.admin_tokens import make_first_setup_token
from keyturn.settings import Settings

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(epilog=epilog("keyturn init --data /var/lib/keyturn"))
def init(data: Data = None, config: Config = None, form: Form = Format.TABLE) -> None:
    """Make the data folder, the master key and the database; what is there already stays as it is."""
    settings = load_settings(flags={"data": data}, environ=os.environ, config=config)
    try:
        folder_made = _make_folder(settings.data)
        key_made = not settings.master_key_given and make_master_key(settings.master_key_path)
    except OSError as error:
        raise ConfigError([f"data folder {error.filename or settings.data}: {error.strerror}"]) from None
    setup = asyncio.run(_open_once(settings, key_made=key_made))
    answer = {
        "data": str(settings.data),
        "folder": "made" if folder_made else "kept",
        "master_key": "made" if key_made else "given" if settings.master_key_given else "kept",
        "master_key_file": None if settings.master_key_given else str(settings.master_key_path),
        "setup_token": None if setup is None else setup.reveal(),
    }
    show(answer, form)
    if form is Format.TABLE:
        if setup is not None:
            print(_SETUP)
        print(_NEXT.format(data=settings.data))


_SETUP = """
The setup token is shown this once. For a day it is good for one thing: POST /admin/v1/setup exchanges it for
the first admin token. Who does not use the admin API does not need it."""
_NEXT = """
Keep a copy of the master key apart from the data: without it nothing in the database can be opened.
Next:
  keyturn org create acme --name "Acme" --data {data}
  keyturn client create acme --name "first client" --scope read --data {data}
  keyturn secret create CLIENT_ID --data {data}
  keyturn serve --data {data} --public-url https://tokens.example"""


def _make_folder(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        return False
    return True


async def _open_once(settings: Settings, *, key_made: bool) -> Secret | None:
    """Open the store, which brings its tables up to date; give a setup token where nobody is set up yet."""
    try:
        async with open_local(settings, create=True) as local:
            return await make_first_setup_token(
                system("init"),
                local.deployment,
                digester=local.digester,
                now=local.clock.now(),
                dice=local.dice,
            )
    except ConfigError:
        if key_made:
            settings.master_key_path.unlink()
        raise
    except Fault:
        if not key_made:
            raise
        settings.master_key_path.unlink()
        problem = (
            "there is a database already, under another master key: "
            f"put that into {settings.master_key_path}, or set KEYTURN_MASTER_KEY_FILE"
        )
        raise ConfigError([problem]) from None
