"""``keyturn serve``: serve tokens until stopped."""

import os
from typing import Annotated, Any

import typer

from keyturn.cli.command import Config, Data, epilog, with_pin
from keyturn.cli.handover import Order, give
from keyturn.config import load_settings
from keyturn.core.errors import ConfigError

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(
    epilog=epilog(
        "keyturn serve --demo", "keyturn serve --data /var/lib/keyturn --public-url https://tokens.example"
    )
)
def serve(
    *,
    demo: Annotated[
        bool,
        typer.Option(
            "--demo", help="A demo on this machine: every dialect, two organisations, fresh secrets."
        ),
    ] = False,
    data: Data = None,
    config: Config = None,
    host: Annotated[str | None, typer.Option(help="Where to listen.")] = None,
    port: Annotated[int | None, typer.Option(help="Where to listen.")] = None,
    management_port: Annotated[
        int | None, typer.Option(help="Where to listen for health and metrics.")
    ] = None,
    public_url: Annotated[str | None, typer.Option(help="Where callers reach this deployment.")] = None,
    workers: Annotated[int | None, typer.Option(help="How many processes share the work.")] = None,
) -> None:
    """Serve tokens until SIGTERM or SIGINT, then finish what has begun and stop."""
    flags: dict[str, Any] = {
        "data": data,
        "host": host,
        "port": port,
        "management_port": management_port,
        "public_url": public_url,
        "workers": workers,
    }
    settings = load_settings(flags=flags, environ=os.environ, config=config, serving=True, demo=demo)
    if not demo:
        settings = with_pin(settings)
        if settings.pkcs11.module is not None and settings.pkcs11.pin is None:
            raise ConfigError(["pkcs11.pin: give it, or pkcs11.pin_file, or start from a terminal"])
    give(Order(settings, demo))
