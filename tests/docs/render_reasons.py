"""The generated part of the audit trail's page: what each reason means, from the code.

``python -m tests.docs.render_reasons`` writes it anew.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from docs.pages import ROOT
from keyturn.core.reasons import MEANINGS

BEGIN = "<!-- From the code, by python -m tests.docs.render_reasons; edit above. -->\n"
PAGE = ROOT / "docs" / "operations" / "audit.md"


def lines() -> Iterator[str]:
    """Yield the table, line by line."""
    yield "| reason | what happened | what to do |"
    yield "| --- | --- | --- |"
    for reason, meaning in MEANINGS.items():
        yield f"| `{reason}` | {meaning.happened} | {meaning.remedy} |"


def page(before: str) -> str:
    """Renew the table at the end of the page, and leave what is written by hand."""
    head, _, _ = before.partition(BEGIN)
    return head + BEGIN + "\n".join(("", *lines(), ""))


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
