"""``make bench``: start everything, warm it, measure in turns, judge, and end everything."""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from bench import life, load, machine, servers
from bench.figures import Round
from bench.processes import on_core
from bench.report import Report
from bench.servers import Place, Subject, UnfitError

ROOT = Path(__file__).resolve().parents[2]
SCRATCH = ROOT / "build" / "bench"
IN_MEMORY = frozenset({"tmpfs", "ramfs"})
BUSY_CLIENT = 0.9
LIVES = {
    "refresh": life.renewals,
    "introspection": life.introspections,
    "revocation": life.revocations,
}
"""What else may be measured of a token's life, by the name of its option."""


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rs256", action="store_true", help="also measure RS256, ours and oidc-provider's")
    parser.add_argument("--endorsed", action="store_true", help="also measure the endorsed dialect")
    parser.add_argument("--refresh", action="store_true", help="also measure refresh tokens")
    parser.add_argument("--introspection", action="store_true", help="also measure introspection")
    parser.add_argument("--revocation", action="store_true", help="also measure revocation of access tokens")
    parser.add_argument("--all", action="store_true", help="all of the above")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each round is")
    parser.add_argument(
        "--warm", type=float, default=8.0, help="how long each is loaded before it is measured"
    )
    parser.add_argument("--connections", type=int, default=64, help="how many requests are under way at once")
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument("--no-node", action="store_true", help="leave out the peers from npm")
    parser.add_argument("--scratch", type=Path, default=SCRATCH, help="where data and peers are kept")
    parser.add_argument("--json", type=Path, help="also write the report as JSON")
    options = parser.parse_args(given)
    for name in ("rs256", "endorsed", *LIVES):
        setattr(options, name, getattr(options, name) or options.all)
    return options


def start(options: argparse.Namespace, place: Place, report: Report) -> list[Subject]:
    """Start every server that is asked for and can be had."""
    modules = "left out with --no-node" if options.no_node else servers.install_peers(options.scratch)
    if isinstance(modules, str):
        report.notes.append(f"Skipped: oidc-provider: {modules}.")
    subjects: list[Subject] = []
    for algorithm in ("ES256", "RS256") if options.rs256 else ("ES256",):
        ours = servers.keyturn(place, algorithm)
        subjects.append(ours.subject())
        if algorithm == "ES256":
            report.start = {"megabytes": ours.megabytes, "ready_seconds": ours.ready_seconds}
            subjects.append(servers.bare(place))
        if isinstance(modules, Path):
            subjects.append(servers.oidc_provider(place, modules, algorithm))
    if options.endorsed:
        subjects.append(servers.keyturn(place, "ES256", "endorsed").subject("endorsed"))
    lives = [measured for name, measured in LIVES.items() if getattr(options, name)]
    if lives:
        ours = life.ours(servers.keyturn(place, "ES256", label="-life"))
        theirs = life.theirs(place, modules) if isinstance(modules, Path) else None
        for measured in lives:
            subjects += measured(ours, theirs)
    return subjects


def measure(options: argparse.Namespace, subjects: list[Subject], report: Report) -> Counter[str]:
    """Warm each, then measure them in turns; say how many answers each gave in all."""
    answers: Counter[str] = Counter()
    busiest = 0.0
    for subject in subjects:
        subject.confirm()
        tell(f"warming {subject.key}")
        warm, _ = loaded(subject, options.connections, options.warm)
        answers[subject.key] += warm.answered
        report.rounds[subject.key] = []
    for number in range(options.rounds):
        tell(f"round {number + 1} of {options.rounds}")
        for subject in subjects:
            found, client = loaded(subject, options.connections, options.seconds)
            answers[subject.key] += found.answered
            busiest = max(busiest, client)
            report.rounds[subject.key].append(found)
    report.machine["load generator busy, at most"] = round(busiest, 2)
    if busiest > BUSY_CLIENT:
        report.notes.append(
            "The load generator was the bottleneck of at least one round: trust CPU time only."
        )
    for subject in subjects:
        subject.confirm()
    return answers


def loaded(subject: Subject, connections: int, seconds: float) -> tuple[Round, float]:
    """Load one subject; what it needs for that is made before its window opens."""
    return load.run(subject.request, subject.talks(connections, seconds), seconds, subject.pid)


def count_rows(subjects: list[Subject], answers: Counter[str], report: Report) -> None:
    """Confirm that everything that was answered with a change is in the audit trail.

    Raises:
        UnfitError: One is not: then the figures are worth nothing.
    """
    for subject in subjects:
        if subject.store is not None:
            rows, wanted = servers.rows_kept(subject.store, subject.rows), answers[subject.key]
            if rows < wanted:
                raise UnfitError(f"{subject.key}: {wanted} answers, but {rows} rows")
            report.notes.append(
                f"{subject.key}: {wanted:,} answers measured, {rows:,} rows in the audit trail."
            )


def tell(text: str) -> None:
    """Say on standard error what is going on."""
    sys.stderr.write(f"bench: {text}\n")
    sys.stderr.flush()


def show_logs(folder: Path) -> None:
    """Repeat what the servers said last, before their logs are gone."""
    for log in sorted(folder.glob("*.log")):
        for line in log.read_text(errors="replace").splitlines()[-5:]:
            tell(f"{log.stem}: {line}")


def describe(options: argparse.Namespace) -> dict[str, str | float]:
    """Say where and of what this run is."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "commit": commit or "unknown",
        "Python": platform.python_version(),
        "cores": float(os.cpu_count() or 0),
        "load average before": machine.load_average(),
        "file system": machine.file_system(options.scratch),
    }


def run(options: argparse.Namespace) -> Report:
    """Do the whole run.

    Raises:
        UnfitError: The machine cannot run it, or a server does not do what the report would say.
    """
    options.scratch.mkdir(parents=True, exist_ok=True)
    if not {options.server_core, options.load_core} <= os.sched_getaffinity(0):
        raise UnfitError("needs two cores, one for the server and one for the load")
    if machine.file_system(options.scratch) in IN_MEMORY:
        raise UnfitError(f"{options.scratch} is in memory: name a folder on a disk with --scratch")
    report = Report(machine=describe(options))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.scratch)))
        stack.enter_context(on_core(options.load_core))
        tell("measuring the disk and signatures")
        report.machine["fdatasync/s"] = machine.syncs_a_second(folder, 1.0)
        for name, rate in machine.signatures_a_second(0.7).items():
            report.machine[f"{name} signatures/s"] = rate
        try:
            subjects = start(options, Place(folder, options.server_core, stack), report)
            answers = measure(options, subjects, report)
        except Exception:
            show_logs(folder)
            raise
        count_rows(subjects, answers, report)
    return report


def main() -> int:
    """Run, print, and say with the exit status whether the bench worked; a missed target is no failure."""
    if not hasattr(os, "sched_setaffinity"):
        tell("needs Linux: servers and load are pinned to cores, and processor time is read from /proc")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = arguments()
    try:
        report = run(options)
    except (UnfitError, RuntimeError, load.BrokenAnswerError) as error:
        tell(str(error))
        return 1
    sys.stdout.write(report.text() + "\n")
    if options.json is not None:
        options.json.write_text(json.dumps(report.data(), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
