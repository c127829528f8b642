"""Each dialect's page says what its tables say."""

import pytest

from docs.render import BEGIN, END, page, page_of
from keyturn.dialects import load_dialects

DIALECTS = load_dialects()


@pytest.mark.parametrize("name", DIALECTS)
def test_page_is_current(name):
    """A dialect's committed page is what its tables say; `python -m tests.docs.render` renews it."""
    path = page_of(DIALECTS[name])
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    assert before == page(DIALECTS[name], before), "run: python -m tests.docs.render"


@pytest.mark.parametrize("name", DIALECTS)
def test_page_has_prose(name):
    """A dialect's page also says, by hand, what its tables cannot."""
    before, _, after = page_of(DIALECTS[name]).read_text(encoding="utf-8").partition(BEGIN)
    assert len(before) + len(after.partition(END)[2]) > 500


def test_no_page_without_a_dialect():
    """A page is about a dialect that exists."""
    pages = {path.stem for path in page_of(DIALECTS["oauth2"]).parent.glob("*.md")}
    assert pages == set(DIALECTS)


def test_prose_survives_renewal():
    """Renewing a page changes its generated part and nothing else."""
    dialect = DIALECTS["oauth2"]
    text = f"# By hand\n\n{BEGIN}old\n{END}\nAfter.\n"
    renewed = page(dialect, text)
    assert renewed.startswith("# By hand\n\n" + BEGIN)
    assert renewed.endswith(END + "\nAfter.\n")
    assert "old\n" not in renewed
    assert page(dialect, renewed) == renewed
