"""``keyturn demo``: what ``keyturn serve --demo`` made."""

from typing import Any

from keyturn.cli.command import Data, Form, noun
from keyturn.cli.output import Format, Row, show
from keyturn.demo import show as read_demo

app = noun("Show what a demo made.", "keyturn demo show")


@app.callback()
def demo() -> None:
    """Keep `show` a word of its own, although it is the only one."""


@app.command("show")
def show_demo(data: Data = None, form: Form = Format.TABLE) -> None:
    """Print a demo's addresses and credentials; without --data those of the demo started last."""
    shown = read_demo(data)
    show(shown if form is Format.JSON else _lines(shown), form)


def _lines(value: Any, prefix: str = "") -> Row:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    row: Row = {}
    for name, item in inner:
        nested = isinstance(item, dict) or (
            isinstance(item, list) and any(isinstance(each, dict) for each in item)
        )
        row |= _lines(item, f"{prefix}{name}.") if nested else {f"{prefix}{name}": item}
    return row
