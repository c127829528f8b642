"""The whole bench, hurried: it starts, measures, counts rows, reports and leaves nothing running."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.bench
def test_a_hurried_run_reports_every_part(tmp_path):
    """One short round without node gives all of our servers, their ratio and the rows in the trail."""
    report = tmp_path / "report.json"
    scratch = ["--scratch", str(TESTS.parent / "build" / "bench"), "--json", str(report)]
    hurry = ["--rounds", "1", "--seconds", "0.5", "--warm", "0.2", "--connections", "8", "--no-node"]
    life = ["--refresh", "--introspection", "--revocation"]
    subprocess.run(
        [sys.executable, "-m", "bench", *hurry, *life, *scratch],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        check=True,
        timeout=50,
    )
    found = json.loads(report.read_text())
    assert set(found["subjects"]) == {
        *("keyturn ES256", "bare", "keyturn refresh", "keyturn revocation"),
        *("keyturn introspection", "keyturn introspection, each once"),
    }
    assert all(subject["refused"] == 0 for subject in found["subjects"].values())
    assert len(found["targets"]) == 3
    assert sum("rows in the audit trail" in note for note in found["notes"]) == 3
    assert any("Skipped: oidc-provider" in note for note in found["notes"])
