"""``make bench-growth``: what a deployment costs as it grows, kind by kind, beside one that has not grown.

Each kind's stores are filled (``fills.py``), their servers run side by side on one core, and each job is
measured in turns: saturated, for processor time, and by a lone caller, for how long an answer takes. Then a
job of upkeep is called, and the lone caller asks while it works.
"""

import argparse
import asyncio
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench import load, machine
from bench.__main__ import SCRATCH, describe
from bench.figures import Round, Spread, quantile
from bench.fills import opened as opened_deployment
from bench.kinds import KINDS, Chore, Kind
from bench.measure import tell
from bench.ours import MEGABYTES, READY, Keyturn, SqliteTrail
from bench.page import markdown
from bench.processes import on_cores, resident_megabytes
from bench.report import plain
from bench.server import Place, Server, UnfitError
from bench.talks import each_once
from bench.upkeeping import call, look, opened, wait_until_running
from keyturn.storage.audit import Tail, verify_chain

CONNECTIONS = 64
WARM_SECONDS = 2.0
MOST_CHORE_ROWS = 300_000
"""Of what upkeep deletes: a quarter of a minute of its batches."""
VERIFIED_PAGES, PAGE = 50, 1_000
SEARCHES = 5
FAR = 100_000_000
FIRST_SECONDS = 300.0
"""Long enough that each was seen once, or the rounds would measure first sights."""


@dataclass(slots=True)
class Grown:
    """A store of one size, and what was measured of it.

    Args:
        saturated: Rounds of each job.
        alone: The same by a lone caller.
        further: Other figures, by name.
    """

    size: int
    server: Server
    ready_seconds: float
    idle_megabytes: float
    disk_megabytes: float
    saturated: dict[str, list[Round]] = field(default_factory=dict)
    alone: dict[str, list[Round]] = field(default_factory=dict)
    used_megabytes: float = 0.0
    further: dict[str, float | str] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        """The database file."""
        assert isinstance(self.server.trail, SqliteTrail)
        return self.server.trail.file


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make bench-growth", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=[kind.name for kind in KINDS], help="these kinds")
    parser.add_argument("--largest", type=int, default=FAR, help="no store has more of a kind")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument("--seconds", type=float, default=1.2, help="how long each round is")
    parser.add_argument("--beside", type=float, default=8.0, help="how long beside upkeep; 0 not at all")
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument("--scratch", type=Path, default=SCRATCH, help="where stores are kept meanwhile")
    parser.add_argument("--json", type=Path, help="also write every round as JSON")
    options = parser.parse_args(given)
    options.warm = WARM_SECONDS
    return options


def sizes(kind: Kind, largest: int) -> tuple[int, ...]:
    """Give the sizes of a kind, none beyond a limit and none twice."""
    return tuple(dict.fromkeys(min(size, largest) for size in kind.sizes))


def carry_out(kind: Kind, place: Place, options: argparse.Namespace) -> list[Grown]:
    """Do all of a kind, and delete its stores.

    Raises:
        UnfitError: A server does not do what the report would say.
    """
    with ExitStack() as stack:
        folder = place.folder / kind.name
        folder.mkdir()
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        inside = place.inside(stack, folder)
        stores = [_start(kind, size, inside) for size in sizes(kind, options.largest)]
        for grown in stores:
            for name, job in kind.jobs:
                tell(f"{kind.name}: warming {name} of {grown.size:,}")
                job.confirm(grown.server)
                _load(grown, job, CONNECTIONS, min(WARM_SECONDS, options.seconds))
                grown.saturated[name], grown.alone[name] = [], []
        for number in range(options.rounds):
            tell(f"{kind.name}: round {number + 1} of {options.rounds}")
            for name, job in kind.jobs:
                for grown in stores:
                    grown.saturated[name].append(_load(grown, job, CONNECTIONS, options.seconds))
                for grown in stores:
                    grown.alone[name].append(_load(grown, job, 1, options.seconds))
        for grown in stores:
            grown.used_megabytes = resident_megabytes(grown.server.pids[0])
            if kind.name == "audit":
                grown.further |= _trail(grown)
        if kind.beside and options.beside:
            stores[-1].further |= _beside(kind, kind.beside, stores[-1], options.beside)
        return stores


def _start(kind: Kind, size: int, place: Place) -> Grown:
    tell(f"{kind.name}: filling a store with {size:,}")
    began = time.monotonic()
    server = Keyturn(fill=kind.fill(size)).start(place)
    assert isinstance(server.trail, SqliteTrail)
    disk = server.trail.file.stat().st_size / 1e6
    tell(f"{kind.name}: {size:,} in {time.monotonic() - began:.0f} s, {disk:,.0f} MB")
    grown = Grown(size, server, server.started[READY], server.started[MEGABYTES], disk)
    if kind.first:
        requests = kind.first.each(server)
        # The one that the start asked for is remembered, and so is nobody else.
        talks = each_once([request.raw for request in requests], min(16, len(requests)))
        measured, _ = load.run(requests[0], talks, FIRST_SECONDS, server.pids)
        if measured.answered:
            p99 = 1000 * quantile(measured.latencies, 0.99)
            grown.further |= {"first sight, CPU us": measured.cpu_micros, "first sight, p99 ms": p99}
    return grown


def _load(grown: Grown, job: Any, connections: int, seconds: float) -> Round:
    server = grown.server
    load.ask(job.at(server))
    talks = job.talks(server, connections, seconds)
    measured, _ = load.run(job.at(server), talks, seconds, server.pids)
    if measured.refused > CONNECTIONS:
        raise UnfitError(f"{grown.size:,}: {measured.refused} requests were refused")
    return measured


def _beside(kind: Kind, chore: Chore, grown: Grown, seconds: float) -> dict[str, float | str]:
    """Measure a lone caller while a job of upkeep works, and how fast that is."""
    job = dict(kind.jobs)["token" if kind.name == "audit" else "birth"]
    tell(f"{kind.name}: waiting for the job {chore.job}")
    quiet = _load(grown, job, 1, seconds)
    with opened(grown.store) as connection:
        if chore.prepare:
            most = min(grown.size // 3, MOST_CHORE_ROWS)
            connection.execute(chore.prepare, {"most": most})
    call(grown.store, chore.job)
    wait_until_running(grown.store, chore.job)
    found: dict[str, float | str] = _latency("quiet", quiet)
    began, before = time.monotonic(), _count(grown, chore)
    while look(grown.store, chore.job).running and _count(grown, chore) == before and not _over(began):
        found |= _latency(f"while {chore.job} looks", _load(grown, job, 1, min(seconds, 2.0)))
    began, before = time.monotonic(), _count(grown, chore)
    measured = _load(grown, job, 1, seconds)
    deleted, took = before - _count(grown, chore), time.monotonic() - began
    if not look(grown.store, chore.job).running:
        found["ended too early"] = look(grown.store, chore.job).outcome
    return (
        found | _latency(f"while {chore.job} deletes", measured) | {"rows deleted a second": deleted / took}
    )


def _over(began: float) -> bool:
    return time.monotonic() - began > 60


def _count(grown: Grown, chore: Chore) -> int:
    with opened(grown.store) as connection:
        return int(connection.execute(chore.counts).fetchone()[0])


def _latency(when: str, measured: Round) -> dict[str, float]:
    ranked = measured.latencies or [0.0]
    return {
        f"{when}, p50 ms": 1000 * quantile(ranked, 0.5),
        f"{when}, p99 ms": 1000 * quantile(ranked, 0.99),
        f"{when}, slowest ms": 1000 * max(ranked),
    }


def _trail(grown: Grown) -> dict[str, float | str]:
    """Measure a search for one request in the middle of the trail, one that finds nothing, and verifying."""
    with opened(grown.store) as connection:
        middle = "SELECT request_id FROM audit WHERE id = (SELECT (min(id) + max(id)) / 2 FROM audit)"
        (request_id,) = connection.execute(middle).fetchone()
    week = (datetime.now(UTC) - timedelta(days=7)).isoformat().replace("+00:00", "Z")
    return {
        "search by request id, ms": _search(grown, f"request_id={request_id}"),
        "search of a week that finds nothing, ms": _search(grown, f"actor=nobody&since={week}"),
        "verifying a row, us": asyncio.run(_verify(grown)),
    }


def _search(grown: Grown, query: str) -> float:
    admin = grown.server.admin
    headers = (("Authorization", f"Bearer {admin['token']}"),)
    request = load.Request.of("GET", f"{admin['url']}/audit?{query}", "", headers)
    took = []
    for _ in range(SEARCHES):
        began = time.perf_counter()
        answer = load.ask(request)
        took.append(1000 * (time.perf_counter() - began))
        if answer.status != 200:
            raise UnfitError(f"search: status {answer.status}: {answer.body[:200]!r}")
    return Spread.of(took).middle


async def _verify(grown: Grown) -> float:
    """Read and verify the longest chain's first rows, as ``keyturn audit verify`` does."""
    with opened(grown.store) as connection:
        longest = (
            "SELECT chain FROM audit_chain JOIN audit ON audit.id = (SELECT max(id) FROM audit AS a"
            " WHERE a.chain_id = audit_chain.id) ORDER BY seq DESC LIMIT 1"
        )
        (chain,) = connection.execute(longest).fetchone()
    rows, place, used = 0, Tail(chain), 0.0
    async with opened_deployment(grown.store.parent) as local:
        for _ in range(VERIFIED_PAGES):
            began = time.process_time()
            page = await local.deployment.audit_rows(chain=chain, after=place.seq, limit=PAGE)
            if verify_chain(page, place) is not None:
                raise UnfitError("a chain that was multiplied does not hold")
            used += time.process_time() - began
            if not page:
                break
            rows, place = rows + len(page), Tail(chain, page[-1].seq, page[-1].row_hash)
    return 1e6 * used / rows


def tables(kind: Kind, stores: Sequence[Grown]) -> Iterator[str]:
    """Write what was found of a kind, in Markdown."""
    yield from (f"## {kind.name}", "", kind.says, "")
    headings = (kind.name, "seconds to the first answer", "MB when idle", "MB after the load", "MB on disk")
    rows = [
        (
            f"{each.size:,}",
            f"{each.ready_seconds:.2f}",
            f"{each.idle_megabytes:.0f}",
            f"{each.used_megabytes:.0f}",
            f"{each.disk_megabytes:,.0f}",
        )
        for each in stores
    ]
    yield from (*markdown(headings, rows), "")
    headings = (
        "",
        "CPU us/request",
        "to the first",
        "middle half of the rounds",
        "p50 ms",
        "p99 ms",
        "alone p50",
        "p99",
    )
    rows = []
    for name, _ in kind.jobs:
        for each in stores:
            pairs = zip(each.saturated[name], stores[0].saturated[name], strict=True)
            ratio = Spread.of(one.cpu_micros / other.cpu_micros for one, other in pairs)
            cpu = Spread.of(one.cpu_micros for one in each.saturated[name])
            busy, alone = (
                [seconds for one in rounds[name] for seconds in one.latencies] or [0.0]
                for rounds in (each.saturated, each.alone)
            )
            shown = (quantile(which, share) * 1000 for which in (busy, alone) for share in (0.5, 0.99))
            over = f"{ratio.low:.2f} to {ratio.high:.2f}"
            times = (f"{value:.2f}" for value in shown)
            rows.append((f"{name}, {each.size:,}", f"{cpu.middle:,.0f}", f"{ratio.middle:.2f}", over, *times))
    yield from (*markdown(headings, rows), "")
    names = dict.fromkeys(name for each in stores for name in each.further)
    if names:
        told = [(name, *(_told(each.further.get(name)) for each in stores)) for name in names]
        yield from (*markdown(("", *(f"{each.size:,}" for each in stores)), told), "")
    least, most = stores[0], stores[-1]
    if most.size > least.size:
        further = most.size - least.size
        disk = (most.disk_megabytes - least.disk_megabytes) / further
        idle = (most.idle_megabytes - least.idle_megabytes) / further
        said = f"Of each one more: {disk * 1e6:,.0f} bytes on disk, {idle * 1e6:,.0f} in memory when idle"
        if kind.name == "audit":
            verify = most.further["verifying a row, us"]
            assert isinstance(verify, float)
            said += (
                f". So {FAR:,} rows: {disk * FAR / 1000:,.0f} GB on disk, {verify * FAR / 3.6e9:.1f} hours of"
                f" a core to verify, and {FAR.bit_length()} steps to find a time, in place of"
                f" {most.size.bit_length()}"
            )
        yield from (f"{said}.", "")


def _told(figure: float | str | None) -> str:
    return "" if figure is None else figure if isinstance(figure, str) else f"{figure:,.2f}"


def main(given: list[str] | None = None) -> int:
    """Do every kind, and print what was found of each as it is found."""
    options = arguments(given)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options.scratch.mkdir(parents=True, exist_ok=True)
    about = describe(options)
    data: dict[str, Any] = {"machine": about, "kinds": {}, "failed": []}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.scratch)))
        stack.enter_context(on_cores({options.load_core}))
        about["fdatasync/s"] = machine.syncs_a_second(folder, 0.5)
        lines = [
            "# Growth",
            "",
            *markdown(("machine", ""), [(name, plain(it)) for name, it in about.items()]),
        ]
        sys.stdout.write("\n".join([*lines, "", ""]))
        place = Place(folder, options.scratch, {options.server_core}, stack)
        for kind in KINDS:
            if options.only and kind.name not in options.only:
                continue
            try:
                stores = carry_out(kind, place, options)
            except (UnfitError, load.BrokenAnswerError, OSError) as error:
                tell(f"{kind.name}: {error}")
                data["failed"].append(f"{kind.name}: {error}")
                continue
            sys.stdout.write("\n".join([*tables(kind, stores), ""]))
            sys.stdout.flush()
            data["kinds"][kind.name] = [_data(each) for each in stores]
    about["load average after"] = machine.load_average()
    sys.stdout.write("\n".join([f"Load average after: {about['load average after']}", *data["failed"], ""]))
    if options.json is not None:
        options.json.write_text(json.dumps(data, indent=2) + "\n")
    return 1 if data["failed"] else 0


def _data(grown: Grown) -> dict[str, Any]:
    told = {name: getattr(grown, name) for name in ("size", "ready_seconds", "idle_megabytes")}
    told |= {name: getattr(grown, name) for name in ("used_megabytes", "disk_megabytes", "further")}
    for which in ("saturated", "alone"):
        told[which] = {
            name: [{key: value for key, value in asdict(one).items() if key != "latencies"} for one in rounds]
            for name, rounds in getattr(grown, which).items()
        }
    return told


if __name__ == "__main__":
    sys.exit(main())
