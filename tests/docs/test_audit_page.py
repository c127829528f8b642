"""The page about the audit trail says what the code says."""

from docs.render_reasons import PAGE, page
from keyturn.cli.audit_files import COLUMNS


def test_page_is_current():
    """The committed table is what `explain` says; `python -m tests.docs.render_reasons` renews it."""
    before = PAGE.read_text(encoding="utf-8")
    assert before == page(before), "run: python -m tests.docs.render_reasons"


def test_every_member_of_an_export_is_named():
    """The page names each member that a record of an export may have."""
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in COLUMNS if f"`{name}`" not in text] == []
