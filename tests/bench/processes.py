"""Servers as processes: started on their core, their processor time read, always ended. Linux only."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE_SECONDS = 5.0


@contextmanager
def on_cores(cores: AbstractSet[int]) -> Iterator[None]:
    """Keep this thread, and what it starts meanwhile, on some cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def running(
    command: Sequence[str], cores: AbstractSet[int], log: Path, environ: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server pinned to cores, in a process group of its own; end the whole group at the end."""
    with log.open("wb") as out, on_cores(cores):
        process = subprocess.Popen(
            [*_mortal(), *command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=dict(environ),
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end(process)


def _mortal() -> tuple[str, ...]:
    """Give what makes a command end with whoever started it, even if that is killed and can end nothing."""
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "TERM", "--") if setpriv else ()


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process group to stop, and stop it if it does not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE_SECONDS)


def cpu_of_ended(stat: str) -> float:
    """Read the processor seconds of a process's children that ended from its ``/proc/PID/stat``.

    The name in parentheses may hold anything, so fields are counted from its end.
    """
    fields = stat[stat.rindex(")") + 2 :].split()
    return sum(map(int, fields[13:15])) / TICKS


def tree(pid: int) -> Iterator[int]:
    """Yield a process and everything below it."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in children.read_text().split():
                yield from tree(int(child))


def cpu_seconds(pid: int) -> float:
    """Give the user and system time that a process tree has used.

    By each process's own clock: ``/proc`` counts in hundredths of a second, a fiftieth of a round.
    """
    used = 0.0
    for member in tree(pid):
        with suppress(OSError):
            used += time.clock_gettime(_clock_of(member))
            used += cpu_of_ended(Path(f"/proc/{member}/stat").read_text())
    return used


def _clock_of(pid: int) -> int:
    """Name the clock of a process's processor time, as ``clock_getcpuclockid(3)`` does on Linux."""
    return ~pid << 3 | 2


def resident_megabytes(pid: int) -> float:
    """Give the resident memory of a process tree."""
    pages = 0
    for member in tree(pid):
        with suppress(OSError):
            pages += int(Path(f"/proc/{member}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
