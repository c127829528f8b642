"""Carry a scenario out: start its servers, warm them, measure its lines in turns, and count what was kept."""

import shutil
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from os import sched_getaffinity
from time import monotonic

from bench import load
from bench.figures import Round
from bench.processes import on_cores
from bench.scenarios import Line, Scenario
from bench.server import AbsentError, Place, Server, Setup, Trail, UnfitError

AGAIN_SECONDS = 1.0
"""How long a line is loaded before it is measured if its server is warm already."""

OURS_SECONDS = 3.0
"""How long ours is, which has no compiler that learns while it runs."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long and how often everything is measured."""

    rounds: int
    seconds: float
    warm: float
    most_connections: int


@dataclass(slots=True)
class Found:
    """What a scenario found out.

    Args:
        rounds: By the key of a line; a line whose server could not be had is not there.
        starts: By the key of a line, figures of its server's start.
        skipped: By the key of a line, why it was not measured.
        kept: Sentences about what was found in the audit trails.
        busiest: How busy the load generator's core was, at most.
    """

    name: str
    rounds: dict[str, list[Round]] = field(default_factory=dict)
    starts: dict[str, Mapping[str, float]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    busiest: float = 0.0
    seconds: float = 0.0


def carry_out(scenario: Scenario, place: Place, pace: Pace) -> Found:
    """Do all of a scenario.

    Raises:
        UnfitError: A server does not do what the report would say, or a row is missing.
    """
    found, began = Found(scenario.name), monotonic()
    if scenario.inside:
        tell(f"{scenario.name}: {pace.rounds} rounds in process")
        found.rounds = scenario.inside(pace.rounds, pace.seconds)
    with ExitStack() as stack:
        folder = place.folder / scenario.name
        folder.mkdir()
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        shared = place.cores | sched_getaffinity(0) if scenario.shares_cores else frozenset[int]()
        if shared:
            stack.enter_context(on_cores(shared))
        servers = _start(scenario, place.inside(stack, folder, shared), found)
        lines = _fit(scenario, servers, found)
        answers: Counter[str] = Counter()
        warmed: set[Setup] = set()
        for line, server in lines:
            tell(f"warming {line.key}")
            enough = AGAIN_SECONDS if line.server in warmed else OURS_SECONDS if server.trail else pace.warm
            seconds = min(enough, pace.warm)
            answers[line.key] += _loaded(line, server, pace, seconds, None, found).answered
            warmed.add(line.server)
            found.rounds[line.key] = []
        for number in range(pace.rounds):
            tell(f"{scenario.name}: round {number + 1} of {pace.rounds}")
            for line, server in lines:
                rate = max(1.0, found.rounds[line.of][-1].rate * line.share) if line.of else None
                measured = _loaded(line, server, pace, pace.seconds, rate, found)
                answers[line.key] += measured.answered
                found.rounds[line.key].append(measured)
        for line, server in lines:
            line.job.confirm(server)
        _count_rows(lines, answers, found)
    found.seconds = monotonic() - began
    return found


def tell(text: str) -> None:
    """Say on standard error what is going on."""
    sys.stderr.write(f"bench: {text}\n")
    sys.stderr.flush()


def _start(scenario: Scenario, place: Place, found: Found) -> dict[Setup, Server]:
    servers: dict[Setup, Server] = {}
    absent: dict[Setup, str] = {}
    for line in scenario.lines:
        if line.server not in servers and line.server not in absent:
            tell(f"starting the server of {line.key}")
            try:
                servers[line.server] = line.server.start(place)
            except AbsentError as error:
                absent[line.server] = str(error)
        if line.server in absent:
            found.skipped[line.key] = absent[line.server]
        else:
            found.starts[line.key] = servers[line.server].started
    return servers


def _fit(scenario: Scenario, servers: Mapping[Setup, Server], found: Found) -> list[tuple[Line, Server]]:
    """Give the lines whose servers do what the report would say.

    Raises:
        UnfitError: One of ours does not; a peer that does not is skipped, and the others are measured.
    """
    fit: list[tuple[Line, Server]] = []
    for line in scenario.lines:
        server = servers.get(line.server)
        if server is None or (line.of and line.of not in {other.key for other, _ in fit}):
            continue
        try:
            line.job.confirm(server)
        except (UnfitError, OSError, load.BrokenAnswerError, ValueError) as error:
            if server.trail is not None:
                raise UnfitError(f"{line.key}: {error}") from error
            found.skipped[line.key] = f"it answers otherwise: {error}"
        else:
            fit.append((line, server))
    return fit


def _loaded(
    line: Line, server: Server, pace: Pace, seconds: float, a_second: float | None, found: Found
) -> Round:
    """Load one line; what it needs for that is made before its window opens.

    A server that is still busy with what others left behind is waited for first.
    """
    load.ask(line.job.at(server))
    connections = min(line.connections, pace.most_connections)
    beside = line.beside
    others = beside.job.talks(server, min(beside.connections, connections), seconds) if beside else ()
    measured, busy = load.run(
        line.job.at(server),
        line.job.talks(server, connections, seconds),
        *(seconds, server.pids),
        a_second=a_second,
        beside=others,
    )
    found.busiest = max(found.busiest, busy)
    return measured


def _count_rows(lines: list[tuple[Line, Server]], answers: Counter[str], found: Found) -> None:
    """Confirm that everything that was answered with a change is in the audit trail.

    Raises:
        UnfitError: It is not: then the figures are worth nothing.
    """
    wanted: Counter[tuple[Trail, str]] = Counter()
    keys: dict[tuple[Trail, str], list[str]] = {}
    for line, server in lines:
        if server.trail is not None and line.job.rows:
            of = (server.trail, line.job.rows)
            wanted[of] += answers[line.key]
            keys.setdefault(of, []).append(line.key)
    for (trail, rows), count in wanted.items():
        kept, names = trail.count(rows), "; ".join(keys[trail, rows])
        if kept < count:
            raise UnfitError(f"{names}: {count} answers, but {kept} rows")
        found.kept.append(f"{names}: {count:,} answers measured, {kept:,} rows in the audit trail.")
