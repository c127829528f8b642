"""The page about sizing tells every limit of what memory keeps, as the code has it."""

import ast
import re

import pytest

from docs.pages import ROOT

SOURCE = ROOT / "src" / "keyturn"
TEXT = (ROOT / "docs" / "operations" / "sizing.md").read_text(encoding="utf-8")
FROM = 100
"""What keeps fewer is a matter of one request or one owner."""
NOT_KEPT = {"QUEUE_LIMIT", "BATCH_LIMIT"}
"""What may wait or go together, which is told elsewhere."""


def limits():
    """Give every limit of something that is kept: its file, its name, its number."""
    for file in sorted(SOURCE.rglob("*.py")):
        for each in ast.parse(file.read_text(encoding="utf-8")).body:
            targets = each.targets if isinstance(each, ast.Assign) else [getattr(each, "target", None)]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            number = getattr(each, "value", None)
            for name in names:
                if not name.endswith(("_KEPT", "_LIMIT")) or name in NOT_KEPT:
                    continue
                if isinstance(number, ast.Constant) and number.value >= FROM:
                    yield file.relative_to(SOURCE).as_posix(), name, number.value


def told():
    """Give what the page says: number and file of each row of its table."""
    rows = re.findall(r"^\| [^|]+ \| ([\d,]+) \| `([^`]+)` \|", TEXT, re.MULTILINE)
    return {(file, int(number.replace(",", ""))) for number, file in rows}


@pytest.mark.parametrize(("file", "name", "number"), list(limits()), ids=str)
def test_a_limit_is_told(file, name, number):
    """An operator finds how many of each memory keeps, and the developer who changes it the page."""
    assert (file, number) in told(), f"docs/operations/sizing.md: {name} of {file} is {number:,}"


def test_nothing_is_told_that_is_not_so():
    """No row of the page outlives its limit."""
    assert told() == {(file, number) for file, _, number in limits()}


def test_no_memory_is_without_a_name():
    """A number in the decorator itself would be found by nobody who looks for limits."""
    files = {
        file.relative_to(SOURCE).as_posix()
        for file in SOURCE.rglob("*.py")
        if re.search(r"lru_cache\(maxsize=\d", file.read_text(encoding="utf-8"))
    }
    assert files == set()
