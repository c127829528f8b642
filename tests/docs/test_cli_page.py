"""The page about the command line says what the commands say, and every one of them says something."""

import re

from docs.render_cli import PAGE, group_of, leaves, page
from keyturn.cli.root import NOUNS, REMOTE, panels


def test_page_is_current():
    """The committed page is what the commands say; `python -m tests.docs.render_cli` renews it."""
    before = PAGE.read_text(encoding="utf-8")
    assert before == page(before), "run: python -m tests.docs.render_cli"


def test_every_noun_is_in_one_panel():
    """`keyturn --help` shows each noun once, and knows of each whether it goes to a server."""
    shown = [name for _, names in panels() for name in names]
    assert sorted(shown) == sorted(NOUNS)
    assert set(NOUNS) >= REMOTE


def test_everything_has_help_and_an_example():
    """Each command says in a line what it does, and each noun shows how it is typed, with its own words."""
    for noun in NOUNS:
        group = group_of(noun)
        assert group.help, noun
        examples = re.findall(r"^  keyturn (.*)$", group.epilog or "", re.MULTILINE)
        assert examples, noun
        known = dict(leaves(noun, group))
        assert all(any(example.startswith(words) for words in known) for example in examples), noun
        assert all(each.help for each in known.values()), noun
