"""The page about commands from elsewhere names what no server carries out, and nothing else."""

import inspect
import re

from docs.pages import ROOT
from docs.render_cli import group_of, leaves
from keyturn.cli.remote_machine import OnTheMachine
from keyturn.cli.root import NOUNS, REMOTE

PAGE = ROOT / "docs" / "operations" / "remote.md"
STAYS = re.compile(r"^## What stays on the machine\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
REFUSED = {name for name in vars(OnTheMachine) if not name.startswith("_")}
"""The verbs that no server carries out."""


def refused_commands() -> set[str]:
    """Name the commands of nouns that go to a server whose own code calls a verb that no server has."""
    return {
        words
        for noun in REMOTE
        for words, command in leaves(noun, group_of(noun))
        if REFUSED.intersection(inspect.unwrap(command.callback).__code__.co_names)
    }


def named() -> set[str]:
    """Give the nouns and commands that the page names, without their options."""
    (section,) = STAYS.findall(PAGE.read_text(encoding="utf-8"))
    spans = {re.sub(r" ?--.*", "", span) for span in re.findall(r"`([^`]*)`", section)}
    return spans - {""}


def test_what_stays_on_the_machine():
    """Each noun and each command that no server carries out is on the page, and no other is."""
    assert refused_commands()
    assert named() == (NOUNS.keys() - REMOTE) | refused_commands()
