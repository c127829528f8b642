"""The report as a page of the docs, with charts beside it: written from the report's data alone."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.charts import Bar, bars
from bench.report import HEADINGS, cells, plain

CHARTS = "bench-charts"
OURS = (
    "keyturn",
    "oauth2",
    "endorsed",
    "mend",
    "sahamati",
    "vmware-csp",
    "checkmarx",
    "SQLite",
    "PostgreSQL",
)
UNIT = "us"


def write_page(file: Path, data: Mapping[str, Any]) -> None:
    """Write the page, and a chart for each scenario into a folder beside it."""
    charts = file.parent / CHARTS
    charts.mkdir(parents=True, exist_ok=True)
    for scenario in data["scenarios"]:
        if scenario["lines"]:
            (charts / f"{scenario['name']}.svg").write_text(chart(scenario))
    file.write_text(page(data))


def chart(scenario: Mapping[str, Any]) -> str:
    """Draw what a request of each line costs."""
    rows = []
    for key, line in scenario["lines"].items():
        # A round that had nothing left to use up tells nothing.
        told = [each for each in scenario["rounds"][key] if each["answered"]]
        costs = [1e6 * each["cpu_seconds"] / each["answered"] for each in told]
        if costs:
            rows.append(Bar(key, line["cpu_micros"], min(costs), max(costs), _is_ours(key, scenario)))
    return bars(f"{scenario['name']}: processor time of a request", UNIT, rows)


def _is_ours(key: str, scenario: Mapping[str, Any]) -> bool:
    """Tell our lines from others': where all lines are ours, none is named after us."""
    return key.startswith(OURS) or not any("keyturn" in name for name in scenario["lines"])


def page(data: Mapping[str, Any]) -> str:
    """Write the page in Markdown."""
    return "\n".join(_lines(data))


def _lines(data: Mapping[str, Any]) -> Iterator[str]:
    yield from ("# Figures", "")
    yield "Written by `make bench`; [performance.md](performance.md) says how to read it."
    yield from (
        "",
        *markdown(("machine", ""), [(name, plain(it)) for name, it in data["machine"].items()]),
        "",
    )
    yield from (
        "## Targets",
        "",
        "Ratios are of processor time a request: above 1, ours is the cheaper one.",
        "",
    )
    yield from (*markdown(("", "figure", "middle half of the rounds", "must", "moonshot"), _judged(data)), "")
    for scenario in data["scenarios"]:
        yield from (f"## {scenario['name']}", "", scenario["says"], "")
        if scenario["lines"]:
            yield from (f"![{scenario['name']}]({CHARTS}/{scenario['name']}.svg)", "")
            yield from markdown(HEADINGS, [cells(key, line) for key, line in scenario["lines"].items()])
            yield ""
            yield from _starts(scenario)
    left_out = (*(f"{reason} (failed)" for reason in data["failed"]), *data["skipped"], *data["notes"])
    if left_out:
        yield from ("## What was left out", "", *(f"- {reason}" for reason in left_out), "")


def _judged(data: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for target in data["targets"]:
        low, high = target["low"], target["high"]
        said = {
            name: f"{bar['value']:.3g}: {'met' if bar['met'] else '**missed**'}"
            for name, bar in target["bars"].items()
        }
        over = f"{low:.2f} to {high:.2f}" if low != high else ""
        yield target["says"], f"{target['figure']:.2f}", over, said.get("must", ""), said.get("moonshot", "")


def _starts(scenario: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        (key, f"{start['ready_seconds']:.2f}", f"{start['megabytes']:.0f}")
        for key, start in scenario["starts"].items()
        if start
    ]
    if rows:
        yield from (*markdown(("", "seconds to the first answer", "MB when idle"), rows), "")


def markdown(
    headings: Sequence[str], rows: Sequence[Sequence[str]] | Iterator[Sequence[str]]
) -> Iterator[str]:
    """Write a table in Markdown, line by line."""
    yield "| " + " | ".join(headings) + " |"
    yield "| " + " | ".join(["---", *("---:" for _ in headings[1:])]) + " |"
    yield from ("| " + " | ".join(cell.replace("|", "\\|") for cell in each) + " |" for each in rows)
