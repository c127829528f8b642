"""The whole bench, hurried: it starts, measures, counts rows, reports and leaves nothing running."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
SECONDS = 300
"""How long it may take on a machine that does other things too; alone, well under a minute."""


@pytest.mark.bench
@pytest.mark.timeout(SECONDS + 10)
def test_a_hurried_run_reports_every_part(tmp_path):
    """One short round without any peer gives figures, ratios, rows in the trail, a page and its charts."""
    report, page = tmp_path / "report.json", tmp_path / "figures.md"
    subprocess.run(
        [
            *(sys.executable, "-m", "bench", "--only", "dialects", "latency", "stored"),
            *("--rounds", "1", "--seconds", "0.5", "--warm", "0.2", "--connections", "8"),
            *("--scratch", str(TESTS.parent / "build" / "bench"), "--json", str(report), "--page", str(page)),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS.parent / "src"), str(TESTS)])},
        check=True,
        timeout=SECONDS,
    )
    data = json.loads(report.read_text())
    lines = {key: line for each in data["scenarios"] for key, line in each["lines"].items()}
    assert len(lines) == 16
    assert all(line["refused"] == 0 for line in lines.values())
    assert len(data["targets"]) == 8
    assert all("rows in the audit trail" in said for each in data["scenarios"] for said in each["kept"])
    assert page.read_text().count("](bench-charts/") == 3
    assert {file.name for file in (tmp_path / "bench-charts").iterdir()} == {
        "dialects.svg",
        "latency.svg",
        "stored.svg",
    }
