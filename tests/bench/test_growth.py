"""The bench of growth, hurried and small: every kind is filled, used over HTTP, measured, and told."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.growth import arguments, sizes
from bench.kinds import KINDS

TESTS = Path(__file__).resolve().parents[1]
SECONDS = 300


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_sizes_stay_below_what_was_asked(kind):
    """A limit makes stores smaller and leaves out those that would be alike."""
    assert sizes(kind, arguments([]).largest) == kind.sizes
    small = sizes(kind, 50)
    assert small == (kind.sizes[0], 50)


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 10)
def test_a_hurried_run_fills_and_uses_every_kind(tmp_path):
    """Rows that were multiplied are as good as those that the product made: they renew, end and verify."""
    report = tmp_path / "growth.json"
    told = subprocess.run(
        [
            *(sys.executable, "-m", "bench.growth", "--largest", "50", "--rounds", "1", "--seconds", "0.3"),
            *("--beside", "0", "--scratch", str(TESTS.parent / "build" / "bench"), "--json", str(report)),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS.parent / "src"), str(TESTS)])},
        check=True,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    ).stdout
    data = json.loads(report.read_text())
    assert set(data["kinds"]) == {kind.name for kind in KINDS}
    assert data["failed"] == []
    for kind in KINDS:
        assert f"## {kind.name}" in told
        for store in data["kinds"][kind.name]:
            assert set(store["saturated"]) == set(store["alone"]) == {name for name, _ in kind.jobs}
            assert all(each["answered"] for rounds in store["saturated"].values() for each in rounds)
