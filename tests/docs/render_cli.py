"""The generated part of the page about the command line: every noun, its commands and their options.

``python -m tests.docs.render_cli`` writes it anew.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import typer

from docs.pages import ROOT
from keyturn.cli.command import SHARED
from keyturn.cli.root import NOUNS, REMOTE, module_of, panels

BEGIN = "<!-- From the commands, by python -m tests.docs.render_cli; edit above or below. -->\n"
END = "<!-- End of what the commands say. -->\n"
PAGE = ROOT / "docs" / "cli.md"


def group_of(noun: str) -> Any:
    """Give a noun as the command line has it."""
    return typer.main.get_command(module_of(noun).app)


def leaves(name: str, found: Any) -> Iterator[tuple[str, Any]]:
    """Yield every command at or below one, with all its words."""
    if not hasattr(found, "commands"):
        yield name, found
        return
    for inner, each in found.commands.items():
        yield from leaves(f"{name} {inner}", each)


def _arguments(command: Any) -> str:
    words = [each for each in command.params if each.param_type_name == "argument"]
    return "".join(f" {each.metavar or each.name.upper()}" for each in words)


def _options(command: Any) -> str:
    own = [each for each in command.params if each.param_type_name == "option" and each.name not in SHARED]
    spelled = (
        f"`{'`, `'.join([*each.opts, *each.secondary_opts])}`" + (" (needed)" if each.required else "")
        for each in own
    )
    return ", ".join(spelled)


def _noun(noun: str) -> Iterator[str]:
    group = group_of(noun)
    yield f"### {noun}"
    yield ""
    yield NOUNS[noun] + (" Also of a server." if noun in REMOTE else "")
    yield ""
    yield "| command | does | options |"
    yield "| --- | --- | --- |"
    for words, each in leaves(noun, group):
        help_text = " ".join(each.help.split()).replace("|", "\\|")
        yield f"| `{words}{_arguments(each)}` | {help_text} | {_options(each)} |"
    yield ""
    yield "```text"
    yield from re.findall(r"^  (keyturn .*)$", group.epilog, re.MULTILINE)
    yield "```"
    yield ""


def lines() -> Iterator[str]:
    """Yield the generated part, line by line."""
    for panel, nouns in panels():
        yield f"## {panel}"
        yield ""
        for noun in nouns:
            yield from _noun(noun)


def page(before: str) -> str:
    """Renew the generated part of the page, and leave what is written by hand."""
    head, _, rest = before.partition(BEGIN)
    return head + BEGIN + "\n".join(("", *lines())) + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
