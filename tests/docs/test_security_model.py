"""The security model's promises are held by tests that say so."""

import re

import pytest

from docs.pages import ROOT

PAGE = ROOT / "docs" / "security-model.md"
TEXT = PAGE.read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([A-Z]{2}-\d\d) \| [^|]+ \| ([^|]+) \|$", TEXT, re.MULTILINE)


@pytest.mark.parametrize(("promise", "held_by"), ROWS, ids=[promise for promise, _ in ROWS])
def test_promise_is_held(promise, held_by):
    """Each test file that a promise's row links to names the promise, unless it is held in passing."""
    files = [PAGE.parent / target for target in re.findall(r"\]\(([^)]+)\)", held_by)]
    assert files
    silent = [
        file.name for file in files if not re.search(rf"\b{promise}\b", file.read_text(encoding="utf-8"))
    ]
    assert held_by.startswith("in passing") or silent == []


def test_promises_stand_once():
    """No promise has two rows."""
    assert len({promise for promise, _ in ROWS}) == len(ROWS) > 40
