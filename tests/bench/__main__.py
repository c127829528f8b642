"""``make bench``: pick scenarios, carry them out, judge, and write the report."""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench import load, machine
from bench.measure import Pace, carry_out, tell
from bench.page import write_page
from bench.processes import on_cores
from bench.report import Report
from bench.scenarios import SCENARIOS, Scenario, Tier
from bench.server import Place, UnfitError

ROOT = Path(__file__).resolve().parents[2]
SCRATCH = ROOT / "build" / "bench"
IN_MEMORY = frozenset({"tmpfs", "ramfs"})
BUSY_CLIENT = 0.9
QUICK = {"rounds": 9, "seconds": 0.4, "warm": 2.0}


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    names = [scenario.name for scenario in SCENARIOS]
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--only", nargs="+", choices=names, help="these scenarios")
    which.add_argument("--quick", action="store_true", help="two minutes: the token alone, short rounds")
    which.add_argument("--all", action="store_true", help="also the scenarios that take long")
    parser.add_argument(
        "--list", action="store_true", help="tell what the scenarios are, and measure nothing"
    )
    parser.add_argument("--rounds", type=int, default=15, help="how often each is measured")
    parser.add_argument("--seconds", type=float, default=0.5, help="how long each round is")
    parser.add_argument(
        "--warm", type=float, default=8.0, help="how long each peer is loaded before it is measured"
    )
    parser.add_argument("--connections", type=int, default=512, help="at most so many requests at once")
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument("--scratch", type=Path, default=SCRATCH, help="where data and peers are kept")
    parser.add_argument("--json", type=Path, help="also write the report as JSON")
    parser.add_argument("--page", type=Path, help="also write it as a page, its charts in a folder beside it")
    options = parser.parse_args(given)
    if options.quick:
        for name, value in QUICK.items():
            if getattr(options, name) == parser.get_default(name):
                setattr(options, name, value)
    return options


def picked(options: argparse.Namespace) -> list[Scenario]:
    """Give the scenarios that are asked for."""
    if options.only:
        return [scenario for scenario in SCENARIOS if scenario.name in options.only]
    most = Tier.QUICK if options.quick else Tier.ALL if options.all else Tier.DEFAULT
    return [scenario for scenario in SCENARIOS if scenario.tier <= most]


def describe(options: argparse.Namespace) -> dict[str, str | float]:
    """Say where and of what this run is."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "commit": commit or "unknown",
        "Python": platform.python_version() + (" of the system" if sys.base_prefix == "/usr" else ""),
        "processor": machine.processor(),
        "cores": float(os.cpu_count() or 0),
        "file system": machine.file_system(options.scratch),
        "rounds": f"{options.rounds} of {options.seconds:g} s, each peer warmed for {options.warm:g} s",
        "load average before": machine.load_average(),
    }


def run(options: argparse.Namespace) -> Report:
    """Do the whole run; a scenario that fails is told, and does not take the others with it.

    Raises:
        UnfitError: The machine cannot run it.
    """
    options.scratch.mkdir(parents=True, exist_ok=True)
    if not {options.server_core, options.load_core} <= os.sched_getaffinity(0):
        raise UnfitError("needs two cores, one for the server and one for the load")
    if machine.file_system(options.scratch) in IN_MEMORY:
        raise UnfitError(f"{options.scratch} is in memory: name a folder on a disk with --scratch")
    report = Report(machine=describe(options))
    pace = Pace(options.rounds, options.seconds, options.warm, options.connections)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.scratch)))
        # Where this is root, PostgreSQL runs as somebody else, and has to get to its own folder in there.
        folder.chmod(0o711)
        stack.enter_context(on_cores({options.load_core}))
        tell("measuring the disk and signatures")
        report.machine["fdatasync/s"] = machine.syncs_a_second(folder, 1.0)
        for name, rate in machine.signatures_a_second(0.7).items():
            report.machine[f"{name} signatures/s"] = rate
        place = Place(folder, options.scratch, {options.server_core}, stack)
        for scenario in picked(options):
            try:
                report.found.append((scenario, carry_out(scenario, place, pace)))
            except (UnfitError, load.BrokenAnswerError, OSError) as error:
                tell(f"{scenario.name}: {error}")
                report.failed.append(f"{scenario.name}: {error}")
    busiest = max((found.busiest for _, found in report.found), default=0.0)
    report.machine["load generator busy, at most"] = round(busiest, 2)
    report.machine["load average after"] = machine.load_average()
    if busiest > BUSY_CLIENT:
        report.notes.append(
            "The load generator was the bottleneck of at least one round: trust CPU time only."
        )
    return report


def main() -> int:
    """Run, print, and say with the exit status whether the bench worked; a missed target is no failure."""
    options = arguments()
    if options.list:
        sys.stdout.writelines(f"{scenario.name:<14} {scenario.says}\n" for scenario in SCENARIOS)
        return 0
    if not hasattr(os, "sched_setaffinity"):
        tell("needs Linux: servers and load are pinned to cores, and processor time is read from /proc")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        report = run(options)
    except UnfitError as error:
        tell(str(error))
        return 2
    if options.json is not None:
        options.json.write_text(json.dumps(report.data(), indent=2) + "\n")
    sys.stdout.write(report.text() + "\n")
    if options.page is not None:
        write_page(options.page, report.data())
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
