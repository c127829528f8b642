"""``keyturn config``: what is set."""

from typing import Any

from keyturn.cli.command import Config, Data, Form, noun, settings_of
from keyturn.cli.output import Format, Row, show

app = noun(
    "The configuration.",
    "keyturn config print --format json",
)


@app.callback()
def config() -> None:
    """Keep `print` a word of its own, although it is the only one."""


@app.command("print")
def print_settings(data: Data = None, config: Config = None, form: Form = Format.TABLE) -> None:
    """Print every setting as it applies; secrets are masked."""
    values = settings_of(data, config).shown()
    show(values if form is Format.JSON else _dotted(values), form)


def _dotted(values: dict[str, Any], prefix: str = "") -> Row:
    row: Row = {}
    for name, value in values.items():
        if value == {}:
            row[prefix + name] = None  # a table without rows is a setting, too
        else:
            row |= _dotted(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return row
