"""``make bench-guard``: count a request's instructions in each dialect, against figures in the repository.

Callgrind counts what a processor is asked to do, so a loaded machine counts the same as a quiet one. The path
is that of a request inside the process: the desk, the dialect, every check, signature and record, over
the store in memory, behind what a process remembers of a store on disk. ``path.py`` runs it; connection and
disk are left to ``make bench``. Two cases begin where a kept connection hands over its bytes (``lines.py``).
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from bench.figures import table
from bench.path import COUNTED, FENCE, NAMES

BASELINE = Path(__file__).with_name("guard.json")
TOLERANCE = 0.02
"""How far a count may be off: two counts of the same code were 0.1 % apart, since nonces are random."""
PATIENCE_SECONDS = 900
_SUMMARY = re.compile(r"^(?:summary|totals): (\d+)$", re.MULTILINE)


class UncountedError(Exception):
    """Callgrind cannot be had, or did not count what it should."""


def ground() -> dict[str, str]:
    """Name what counts depend on beside our own code."""
    packages = ("cryptography", "msgspec")
    return {
        "machine": platform.machine(),
        "Python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def count() -> dict[str, int]:
    """Run every case once under callgrind.

    Returns:
        Instructions of one request, by the name of its case.

    Raises:
        UncountedError: There are no counts, or not one for each case.
    """
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise UncountedError("valgrind is not installed")
    with tempfile.TemporaryDirectory() as folder:
        command = [
            valgrind,
            "--tool=callgrind",
            f"--dump-before={FENCE}",
            f"--callgrind-out-file={folder}/counts",
        ]
        done = subprocess.run(
            [*command, sys.executable, "-m", "bench.path"],
            env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        if done.returncode:
            raise UncountedError("\n".join(done.stderr.splitlines()[-10:]))
        # The first dump is of what came before the first fence, and one more of what came after the last.
        if Path(f"{folder}/counts.{len(NAMES) + 3}").exists():
            raise UncountedError(f"something beside the fences calls {FENCE}")
        counts = [_read(Path(f"{folder}/counts.{number}")) for number in range(2, len(NAMES) + 2)]
    return {name: found // COUNTED for name, found in zip(NAMES, counts, strict=True)}


def judge(counts: Mapping[str, int], baseline: Mapping[str, int]) -> tuple[list[tuple[str, ...]], bool]:
    """Compare with the baseline; gives rows of a table, and whether nothing became dearer or is unknown."""
    rows: list[tuple[str, ...]] = [("", "instructions", "baseline", "change", "")]
    good = True
    for name, found in counts.items():
        before = baseline.get(name)
        if before is None:
            rows.append((name, f"{found:,}", "", "", "NEW"))
            good = False
            continue
        change = found / before - 1
        said = "DEARER" if change > TOLERANCE else "cheaper" if change < -TOLERANCE else ""
        good = good and change <= TOLERANCE
        rows.append((name, f"{found:,}", f"{before:,}", f"{change:+.1%}", said))
    return rows, good


def main(given: list[str] | None = None) -> int:
    """Count, compare and say so; 1 if a request became dearer, 2 if that cannot be told here."""
    parser = argparse.ArgumentParser(prog="make bench-guard", description=__doc__)
    parser.add_argument("--write", action="store_true", help="keep what was counted as the new baseline")
    options = parser.parse_args(given)
    kept = json.loads(BASELINE.read_text()) if BASELINE.exists() else {"ground": {}, "instructions": {}}
    if not options.write and kept["ground"] != ground():
        sys.stderr.write(
            f"The baseline was counted on {kept['ground']}; here is {ground()}: nothing to compare.\n"
        )
        return 2
    try:
        counts = count()
    except (UncountedError, subprocess.TimeoutExpired) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    rows, good = judge(counts, kept["instructions"])
    sys.stdout.write(table(rows) + "\n")
    if options.write:
        BASELINE.write_text(json.dumps({"ground": ground(), "instructions": counts}, indent=2) + "\n")
        return 0
    if not good:
        sys.stdout.write('What is meant to cost more is told with make bench-guard ARGS="--write".\n')
    return 0 if good else 1


def _read(file: Path) -> int:
    """Read the sum of one dump."""
    said = _SUMMARY.search(file.read_text()) if file.exists() else None
    if said is None:
        raise UncountedError(f"callgrind wrote no {file.name}")
    return int(said[1])


if __name__ == "__main__":
    sys.exit(main())
