"""The pages' commands exist: what a page tells an operator to type, the command line can read."""

import re
from typing import Any

import pytest
import typer

from docs.pages import ROOT
from keyturn.cli.root import NOUNS, module_of

PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
FENCED = re.compile(r"^```(?:sh|text)\b.*?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`]*)`")
CALL = re.compile(r"(?<!-u )\bkeyturn ([a-z][^|;#)`\n]*)")
NO_COMMANDS = {
    "backup",  # operations says that there is none yet
    "audit checkpoint",  # the first words of what is signed
}
OPTION = re.compile(r"(?<!\S)--[a-z][a-z-]*")


def calls(text: str) -> set[str]:
    """Find the command lines of a page: in blocks of shell, continued ones joined, and in its sentences."""
    blocks = [block.replace("\\\n", " ") for block in FENCED.findall(text)]
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    spans = [" ".join(span.split()) for span in INLINE.findall(prose)]
    return {call for piece in [*blocks, *spans] for call in CALL.findall(piece)} - NO_COMMANDS


def problem(call: str) -> str | None:
    """Say what the command line would not know of a call."""
    noun, *words = call.split()
    if noun not in NOUNS:
        return f"no noun {noun!r}: {call}"
    found: Any = typer.main.get_command(module_of(noun).app)
    for word in words:
        if not hasattr(found, "commands") or word.startswith("-"):
            break
        if word not in found.commands:
            return f"no {word!r}: {call}"
        found = found.commands[word]
    known = {"--help", *(option for each in found.params for option in [*each.opts, *each.secondary_opts])}
    strange = set(OPTION.findall(call)) - known
    return f"no {', '.join(strange)}: {call}" if strange and not hasattr(found, "commands") else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_exist(page):
    """Every noun, verb and option of a `keyturn` command that stands on a page can be typed."""
    told = {problem(call) for call in calls(page.read_text(encoding="utf-8"))}
    assert told - {None} == set()


@pytest.mark.parametrize(
    ("call", "good"),
    [
        ("user totp enrol acme/alice", True),
        ("serve --demo --port 0", True),
        ("audit list", False),
        ("nonsense", False),
        ("user-key create acme/jon --forever", False),
    ],
)
def test_commands_are_compared(call, good):
    """A call is good only with a noun, a verb and options that there are."""
    assert (problem(call) is None) is good
