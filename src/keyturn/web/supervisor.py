"""Several workers under one command: forked, replaced when they die, stopped together.

The supervisor does nothing else. It has no event loop, no thread and no database, so that a fork copies
nothing that is in use, and little can fail.

    bind all ──► fork the first ──► prepared ──► fork the others ──► all serve ──► one dies: fork another

Each worker has a listener of its own, of which the supervisor keeps a copy: what waits at a dead worker's
door is served by whoever takes its place. A worker is told to stop by the end of a pipe, its leash, which
comes however the supervisor ends. Signals of a terminal or a service manager reach workers too; they leave
them to the supervisor.
"""

import contextlib
import gc
import os
import select
import signal
from collections.abc import Callable, Iterator

import msgspec
import structlog

from keyturn.core.clock import Clock
from keyturn.web.server import Listeners
from keyturn.web.slots import Slots

LAST_SECONDS = 8.0
"""How long a worker may take to stop beyond what its requests may: handshakes, checkpoint, store."""
YOUNG_SECONDS = 10.0
"""Whoever dies younger is replaced after a pause, a longer one each time."""
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 5.0

_PREPARED, _SERVING = 0, 1
_STOP = (signal.SIGTERM, signal.SIGINT)

log = structlog.get_logger("keyturn.supervisor")


class Worker(msgspec.Struct, frozen=True):
    """What a worker is given when it starts.

    Args:
        number: From 0.
        prepares: Whether it prepares the deployment for all of them.
        leash: A pipe whose end tells it to stop.
    """

    number: int
    prepares: bool
    listeners: Listeners
    leash: int
    reports: int

    def prepared(self) -> None:
        """Tell the supervisor that the deployment is ready for the others."""
        self._report(_PREPARED)

    def serving(self) -> None:
        """Tell the supervisor that requests are answered."""
        self._report(_SERVING)

    def _report(self, what: int) -> None:
        with contextlib.suppress(BrokenPipeError):  # the leash will tell
            os.write(self.reports, bytes((self.number, what)))


class _Place:
    """A worker's place, whoever has it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.pid: int | None = None
        self.born = 0.0
        self.serves = False
        self.deaths = 0
        self.due: float | None = None
        """When to fork; None while somebody is there or nobody is wanted."""


class Supervisor:
    """Keeps every place taken until it is told to stop.

    Args:
        listeners: One public socket for each worker; used up.
        slots: Where workers show what they count, and this who serves.
        shutdown_seconds: How long the requests of a worker may take when it is told to stop.
        reloads: Whether SIGHUP means something to workers.
        on_serving: Called once, when all of them answer.
        clock: Measures lives and pauses.
    """

    def __init__(
        self,
        listeners: Listeners,
        slots: Slots,
        *,
        shutdown_seconds: int,
        reloads: bool,
        on_serving: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._listeners = listeners
        self._slots = slots
        self._shutdown_seconds = shutdown_seconds
        self._forwarded = (signal.SIGHUP,) if reloads else ()
        self._on_serving = on_serving
        self._clock = clock
        self._places = [_Place(number) for number in range(slots.count)]
        self._leash = os.pipe()
        self._reports = os.pipe()
        self._signals = os.pipe()
        self._prepared = False
        self._served = False
        self._stopping = False
        self._kill_at: float | None = None
        self._code = 0

    def run(self) -> Worker:
        """Fork workers and watch them; returns in each worker only.

        Raises:
            SystemExit: In the supervisor's own process, when all workers have ended.
        """
        self._hear()
        gc.collect()
        gc.freeze()  # what is looked through is copied
        self._places[0].due = self._clock.monotonic()
        while True:
            worker = self._fork_due()
            if worker is not None:
                return worker
            if self._stopping and not any(place.pid for place in self._places):
                raise SystemExit(self._code)
            self._wait()

    # --- forking ---

    def _fork_due(self) -> Worker | None:
        now = self._clock.monotonic()
        for place in self._places:
            if place.due is not None and place.due <= now:
                worker = self._fork(place)
                if worker is not None:
                    return worker
        return None

    def _fork(self, place: _Place) -> Worker | None:
        place.due = None
        # A signal between the fork and the worker's own handlers would be taken for one to the supervisor.
        everything = {*_STOP, *self._forwarded, signal.SIGCHLD}
        signal.pthread_sigmask(signal.SIG_BLOCK, everything)
        try:
            pid = os.fork()
            if not pid:
                return self._become(place)
        except OSError as error:
            if not self._served:
                raise
            log.warning("worker_not_started", worker=place.number + 1, why=error.strerror)
            self._replace_later(place)
            return None
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, everything)
        place.pid, place.born = pid, self._clock.monotonic()
        return None

    def _become(self, place: _Place) -> Worker:
        """Leave behind, in a new worker, all that is the supervisor's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in (*_STOP, *self._forwarded):
            signal.signal(number, signal.SIG_IGN)
        leash, _ = self._leash
        _, reports = self._reports
        for descriptor in {*self._leash, *self._reports, *self._signals} - {leash, reports}:
            os.close(descriptor)
        listeners = self._listeners.part(place.number)
        return Worker(place.number, not self._prepared, listeners, leash, reports)

    # --- watching ---

    def _hear(self) -> None:
        for descriptor in self._signals:
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(self._signals[1], warn_on_full_buffer=False)
        for number in (*_STOP, *self._forwarded, signal.SIGCHLD):
            signal.signal(number, lambda _number, _frame: None)  # the pipe tells

    def _wait(self) -> None:
        """Wait for a signal, a report or the next thing that is due, and see to it."""
        signals, reports = self._signals[0], self._reports[0]
        ready, _, _ = select.select([signals, reports], [], [], self._patience())
        # A stop before deaths: who was told to stop at the same moment is not to be replaced.
        if signals in ready:
            self._heard(os.read(signals, 4096))
        if reports in ready:
            self._told(os.read(reports, 4096))
        self._reap()
        if self._kill_at is not None and self._kill_at <= self._clock.monotonic():
            self._kill_at = None
            for pid in self._pids():
                log.warning("worker_killed", pid=pid)
                os.kill(pid, signal.SIGKILL)

    def _patience(self) -> float | None:
        times = [each for each in (self._kill_at, *(place.due for place in self._places)) if each is not None]
        return max(0.0, min(times) - self._clock.monotonic()) if times else None

    def _heard(self, numbers: bytes) -> None:
        for number in numbers:
            if number in _STOP:
                self._stop()
            elif number in self._forwarded:
                for pid in self._pids():
                    os.kill(pid, number)

    def _told(self, reports: bytes) -> None:
        """Take in what workers report: two bytes each, which a pipe does not tear apart."""
        for number, what in zip(reports[::2], reports[1::2], strict=True):
            place = self._places[number]
            if what == _PREPARED and not self._prepared:
                self._prepared = True
                for other in self._places[1:]:
                    other.due = None if self._stopping else self._clock.monotonic()
            elif what == _SERVING:
                place.serves = True
                self._slots.set_up(number, up=True)
        if not self._served and not self._stopping and all(place.serves for place in self._places):
            self._served = True
            self._on_serving()

    def _reap(self) -> None:
        for place in self._places:
            if place.pid is None:
                continue
            pid, status = os.waitpid(place.pid, os.WNOHANG)
            if pid:
                self._ended(place, os.waitstatus_to_exitcode(status))

    def _ended(self, place: _Place, code: int) -> None:
        pid, place.pid, place.serves = place.pid, None, False
        self._slots.set_up(place.number, up=False)
        if self._stopping:
            self._code = self._code or _exit_code(code)
        elif not self._served:  # it has said why
            self._code = _exit_code(code) or 1
            self._stop()
        else:
            log.warning("worker_died", worker=place.number + 1, pid=pid, code=code)
            self._slots.restarted()
            self._listeners.reopen(place.number)
            self._replace_later(place)

    def _replace_later(self, place: _Place) -> None:
        """Have a place taken again: at once, or after a pause where one dies after the other."""
        now = self._clock.monotonic()
        place.deaths = place.deaths + 1 if now - place.born < YOUNG_SECONDS else 0
        pause = FIRST_PAUSE_SECONDS * 2 ** min(place.deaths - 1, 10) if place.deaths else 0.0
        place.due = now + min(pause, LONGEST_PAUSE_SECONDS)

    def _stop(self) -> None:
        """Tell everybody to stop; a listener's last handle must be its worker's then (RE-03)."""
        if self._stopping:
            return
        self._stopping = True
        for place in self._places:
            place.due = None
        self._listeners.close()
        os.close(self._leash[1])
        self._kill_at = self._clock.monotonic() + self._shutdown_seconds + LAST_SECONDS

    def _pids(self) -> Iterator[int]:
        return (place.pid for place in self._places if place.pid is not None)


def _exit_code(code: int) -> int:
    """Say as a process's exit code what became of a worker; a signal is told as shells tell it."""
    return code if code >= 0 else 128 - code
