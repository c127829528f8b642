"""The generated part of the page about monitoring: every metric, from the code.

``python -m tests.docs.render_metrics`` writes it anew.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from docs.pages import ROOT
from keyturn.web.measures import MEASURES, Measure

BEGIN = "<!-- From the code, by python -m tests.docs.render_metrics; edit above. -->\n"
PAGE = ROOT / "docs" / "operations" / "monitoring.md"
_MERGED = {sum: "summed", max: "greatest", min: "least", None: "summed"}


def lines() -> Iterator[str]:
    """Yield the table, line by line."""
    yield "| metric | kind | what it says | of several workers |"
    yield "| --- | --- | --- | --- |"
    for name, measure in MEASURES.items():
        merged = _MERGED[measure.merge]
        yield f"| `{_spelled(name, measure)}` | {measure.kind} | {measure.text} | {merged} |"


def _spelled(name: str, measure: Measure) -> str:
    labels = "{" + ",".join(measure.labels) + "}" if measure.labels else ""
    return measure.shown_as(name) + labels


def page(before: str) -> str:
    """Renew the table at the end of the page, and leave what is written by hand."""
    head, _, _ = before.partition(BEGIN)
    return head + BEGIN + "\n".join(("", *lines(), ""))


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
