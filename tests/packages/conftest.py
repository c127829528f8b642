"""The packages as they are built."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The folder with the wheel and the source archive, built from what git would check out."""
    place = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--directory", place],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=100,
    )
    return place


@pytest.fixture(scope="session")
def wheel(built):
    """The wheel."""
    (found,) = built.glob("*.whl")
    return found
