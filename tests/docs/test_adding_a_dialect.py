"""The walk-through of docs/adding-a-dialect.md is a dialect that keeps the whole contract."""

from types import ModuleType

import pytest

from dialects.client_contract import ClientContract
from docs.pages import ROOT, blocks
from harness import deployment
from keyturn.core import shapes
from keyturn.core.transforms import TRANSFORMS
from keyturn.wire.readers import READERS
from keyturn.wire.tables import Dialect

PAGE = ROOT / "docs" / "adding-a-dialect.md"


def written() -> Dialect:
    """Put the page's parts together, in their order, as the file that they describe."""
    parts = [block.text for block in blocks(PAGE) if (block.language, block.mark) == ("python", "part")]
    module = ModuleType("wicket")
    exec(compile("\n\n".join(parts), str(PAGE), "exec"), vars(module))  # noqa: S102  # a page of ours
    dialect: Dialect = module.DIALECT
    return dialect


class TestWalkThrough(ClientContract):
    """The whole contract, from the tables of the page."""

    dialect = written()

    @pytest.fixture
    async def here(self):
        """Open a deployment that serves the page's dialect."""
        async with deployment(self.dialect) as opened:
            yield opened


def test_every_name_is_listed():
    """The page lists every reader, transform and fact that a table may use."""
    _, _, listed = PAGE.read_text(encoding="utf-8").partition("## Names a table may use")
    documents = {fact for facts in shapes.DOCUMENT_FACTS.values() for fact in facts}
    names = {*READERS, *TRANSFORMS, *shapes.ANSWER_FACTS, *shapes.REFUSAL_FACTS, *documents}
    marks = {name: f"`{name}<" if name.endswith(".") else f"`{name}`" for name in names}
    assert {name for name, mark in marks.items() if mark not in listed} == set()
