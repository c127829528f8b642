"""What a command's end looks like where its answer cannot be printed, or its words cannot be read."""

import io
import sys
from pathlib import Path

import pytest

from keyturn.cli.outcome import NO, STORE, UNREADABLE, outcome
from keyturn.cli.output import Format, show
from keyturn.cli.root import run


@pytest.mark.parametrize("leaves", [lambda: None, lambda: sys.exit(0)])
def test_an_answer_that_finds_no_room(capsys, monkeypatch, leaves):
    """An answer that the disk has no room for is told in a line, and the exit code is no success."""

    def command():
        show({"secret": "kt_cs_"}, Format.TABLE)
        leaves()

    with Path("/dev/full").open("w", encoding="utf-8") as full:  # its end, like Python's, tries what is left
        monkeypatch.setattr(sys, "stdout", full)
        assert outcome(command) == NO
    told = capsys.readouterr().err
    assert told == "keyturn: No space left on device: not all of the answer was written, but it may be done\n"


def test_letters_that_the_terminal_has_not(monkeypatch):
    """A name with letters that the terminal cannot show is printed with escapes, and is no fault."""
    shown = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", shown)
    assert outcome(lambda: show({"name": "Ackmé 😀"}, Format.TABLE)) == 0
    assert shown.buffer.getvalue() == b"name  Ackm\\xe9 \\U0001f600\n"


def test_a_file_that_fails(capsys):
    """A file that a command stumbles over is named, in one line."""
    assert outcome(Path("/dev/null/there").read_bytes) == STORE
    assert capsys.readouterr().err == "keyturn: /dev/null/there: Not a directory\n"


def test_words_that_are_not_utf8(capsys):
    """HT-02: a command line that is not UTF-8 is refused before any of it reaches the store."""
    assert run(["org", "show", "a\udcffb"]) == UNREADABLE
    assert capsys.readouterr().err == "keyturn: the command line is not UTF-8\n"
