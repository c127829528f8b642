"""``keyturn dialect``: the token APIs that are spoken."""

from keyturn.cli.command import Config, Data, Form, noun, settings_of
from keyturn.cli.output import Format, show
from keyturn.dialects import load_dialects

app = noun("Dialects: the token APIs that are spoken.")


@app.callback()
def dialect() -> None:
    """Keep `list` a word of its own, although it is the only one."""


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
