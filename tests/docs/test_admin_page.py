"""The page about the admin API says what its tables say."""

from docs.render_admin import PAGE, page
from keyturn.core.admin_records import SCOPES


def test_page_is_current():
    """The committed page is what the tables say; `python -m tests.docs.render_admin` renews it."""
    before = PAGE.read_text(encoding="utf-8")
    assert before == page(before), "run: python -m tests.docs.render_admin"


def test_every_resource_of_a_scope_is_named():
    """The page names each resource that a scope can speak of."""
    text = PAGE.read_text(encoding="utf-8")
    assert [scope for scope in SCOPES if scope.partition(":")[0] not in text] == []
