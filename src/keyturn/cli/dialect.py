"""``keyturn dialect``: the token APIs that are spoken, and how they are described to programs."""

import difflib
import sys
from pathlib import Path
from typing import Annotated

import typer

from keyturn.cli.command import Config, Data, Form, noun, settings_of
from keyturn.cli.output import Format, show
from keyturn.core.errors import OperatorError
from keyturn.dialects import load_dialects

app = noun(
    "Dialects: the token APIs that are spoken.",
    "keyturn dialect list",
    "keyturn dialect openapi --output openapi.json",
)

Output = Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Write to a file.")]


@app.command("list")
def list_dialects(data: Data = None, config: Config = None, form: Form = Format.TABLE) -> None:
    """List the dialects there are, and whether this deployment serves them."""
    served = settings_of(data, config).dialects
    show(
        [
            {
                "name": dialect.name,
                "title": dialect.title,
                "served": dialect.name in served,
                "routes": [f"{route.method} {route.path}" for route in dialect.routes],
            }
            for dialect in load_dialects().values()
        ],
        form,
    )


@app.command()
def openapi(data: Data = None, config: Config = None, output: Output = None) -> None:
    """Write the OpenAPI document of the dialects that this deployment serves."""
    from keyturn.app import configured_dialects
    from keyturn.web.descriptions import openapi_text

    settings = settings_of(data, config)
    _write(openapi_text(configured_dialects(settings).values(), settings.public_url_text()), output)


@app.command()
def postman(
    name: Annotated[str, typer.Argument(help="The dialect.")],
    data: Data = None,
    config: Config = None,
    output: Output = None,
) -> None:
    """Write the Postman collection of a dialect that this deployment serves."""
    from keyturn.app import configured_dialects
    from keyturn.web.descriptions import postman_text

    settings = settings_of(data, config)
    served = configured_dialects(settings)
    if name not in served:
        close = difflib.get_close_matches(name, served, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise OperatorError(f"no dialect {name!r} is served here{hint}")
    _write(postman_text(served[name], settings.public_url_text()), output)


def _write(text: bytes, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text.decode())
        return
    try:
        output.write_bytes(text)
    except OSError as error:
        raise OperatorError(f"{output}: {error.strerror}") from None
