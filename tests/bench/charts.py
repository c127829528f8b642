"""Bars as SVG, drawn by hand: a chart that reads alone, in both of a page's colour schemes."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LEFT, RIGHT, ROW, BAR, TOP, BOTTOM = 760, 280, 110, 28, 16, 44, 16
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-weight:600;font-size:14px}"
    ".figure{font-variant-numeric:tabular-nums}.ours{fill:#0a6b5c}.theirs{fill:#9aa4b0}"
    ".range{stroke:#24292f;stroke-width:1.5}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.ours{fill:#3fb8a3}.theirs{fill:#6b7682}"
    ".range{stroke:#e6edf3}}"
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its length, how far the rounds were apart, and whether it is one of ours."""

    label: str
    value: float
    low: float
    high: float
    ours: bool


def bars(title: str, unit: str, rows: Sequence[Bar]) -> str:
    """Draw horizontal bars from zero, each with a line from its lowest round to its highest.

    Args:
        rows: At least one; in the order in which they are drawn.
    """
    height = TOP + ROW * len(rows) + BOTTOM
    longest = max(row.high for row in rows) or 1.0
    scale = (WIDTH - LEFT - RIGHT) / longest
    box = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
    parts = [
        f'<svg {box} role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        f'<text class="title" x="12" y="24">{escape(title)}</text>',
    ]
    for number, row in enumerate(rows):
        middle = TOP + ROW * number + ROW / 2
        low, high = LEFT + row.low * scale, LEFT + row.high * scale
        kind, length = "ours" if row.ours else "theirs", row.value * scale
        parts += [
            f'<text x="{LEFT - 10}" y="{middle + 4.5:g}" text-anchor="end">{escape(row.label)}</text>',
            f'<rect class="{kind}" x="{LEFT}" y="{middle - BAR / 2:g}" width="{length:.1f}" height="{BAR}"/>',
            f'<path class="range" d="M{low:.1f} {middle:g}H{high:.1f}"/>',
            f'<text class="figure" x="{high + 8:.1f}" y="{middle + 4.5:g}">{row.value:,.0f} {unit}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
