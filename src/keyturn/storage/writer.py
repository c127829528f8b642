"""Group commit: one thread gathers the units that wait and commits them together, one fsync for all.

Every caller is answered after the disk has its unit. While a commit runs, the next units gather by
themselves, and the writer is woken when a turn of the event loop brings nobody else: every batch costs a few
switches between threads, and those cost more than rows. On a slow disk the writer also lingers, for at most
about the time a turn takes here and only if more than one caller was seen lately. So a lone caller never
waits for company. Source: design.md section 4.

The order of a turn matters: first the turn among processes, then SQLite's write lock, and only then the
units are taken. Until then a caller whose patience ends is simply dropped, and nothing of it was written.
"""

import asyncio
import threading
from asyncio import AbstractEventLoop, Future, TimerHandle
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from keyturn.core.changes import Change, Outcome, Unit
from keyturn.core.clock import Clock
from keyturn.core.errors import Fault, Unavailable
from keyturn.core.vocabulary import OrganisationId, Reason
from keyturn.storage.carry import require_inside, require_sound
from keyturn.storage.families import Families
from keyturn.storage.feed import Feed
from keyturn.storage.ground import Ground, Point, Turns
from keyturn.storage.scribe import Scribe, Written, changes_nothing
from keyturn.storage.writing import Bell, WritingConnection, unavailable

PATIENCE_SECONDS = 5.0
"""How long a caller waits for its unit to be taken before it is told that the store is not available."""
QUEUE_LIMIT = 4096
"""Units that may wait; more are refused at once (RE-10)."""
BATCH_LIMIT = 1024
_ENOUGH = 48
"""So many do not wait for another turn of the loop."""
_LONGEST_LINGER_SECONDS = 0.01
_LINGER_FROM_SECONDS = 0.002
"""A turn that is faster than this gathers enough while it commits; lingering would only make callers wait."""
_SMOOTHING = 0.2
_SECONDS_A_ROW = 0.003
"""An import may take: many times what it does, so that nobody is told that it failed while it goes on."""

T = TypeVar("T")


class _Job:
    """A unit that waits, and who waits for it."""

    __slots__ = ("again", "appends", "deadline", "future", "scope", "taken", "unit")

    def __init__(
        self,
        unit: Unit,
        scope: OrganisationId | None,
        future: Future[Outcome],
        deadline: float,
        *,
        appends: bool,
    ) -> None:
        self.unit = unit
        self.scope = scope
        self.future = future
        self.deadline = deadline
        self.appends = appends
        self.taken = False
        self.again = False


class _Errand:
    """Something small to do in a turn, which waits, and who waits for it."""

    __slots__ = ("future", "work")

    def __init__(self, work: Callable[[], Any], future: Future[Any]) -> None:
        self.work = work
        self.future = future


class GroupWriter:
    """The one writer of a process (``Recorder``); made on the event loop whose callers it answers.

    Args:
        ground: Keeps what is written.
        engine: Gives the writer its connection.
        turns: The place in the queue of processes.
        scribe: Writes the units.
        feed: Hears of every commit before those who wait for it do.
        families: Learns what became of them, at the same time.
        clock: Counts patience and measures turns.
        loop: Where callers wait.
        patience_seconds: How long a caller waits.
        committed: Hears of every commit, on the writer's thread; must not fail.
    """

    def __init__(
        self,
        *,
        ground: Ground,
        engine: Engine,
        turns: Turns,
        scribe: Scribe,
        feed: Feed,
        families: Families,
        clock: Clock,
        loop: AbstractEventLoop,
        patience_seconds: float = PATIENCE_SECONDS,
        committed: Callable[[], None] | None = None,
    ) -> None:
        self._ground = ground
        self._engine = engine
        self._turns = turns
        self._scribe = scribe
        self._feed = feed
        self._families = families
        self._clock = clock
        self._loop = loop
        self._patience = patience_seconds
        self._committed = committed
        self._held = WritingConnection(ground, engine, turns, loop)

        self._waiting: deque[_Job] = deque()
        self._taking = threading.Lock()
        self._bell = Bell()
        self._wanted = 1
        self._waking = False
        self._came = 0
        self._closing = False
        self._rested_on: Sequence[Change] = ()
        """Seen to be sound and to change nothing; the tokens of one decision all rest on the same value."""
        self._unanswered: deque[_Job] = deque()
        self._errands: deque[_Errand] = deque()
        self._timer: TimerHandle | None = None

        self._expected = 1
        self._turn_seconds = 0.0
        self._commit_seconds = 0.0
        self._batches = 0
        self._units = 0
        self._largest_batch = 0
        self._last_batch = 0
        self._newest_at = 0.0
        self._thread = threading.Thread(target=self._run, name="keyturn-writer", daemon=True)
        self._thread.start()

    # --- on the event loop ---

    def record(self, unit: Unit) -> Future[Outcome]:
        """Commit a unit's changes and its audit event together, or report what it lost to.

        Raises:
            Fault: The unit contradicts itself, or holds what cannot be written.
            Unavailable: It could not be committed; nothing of it was, unless the disk hung in the middle of
                the commit itself for twice the patience.
        """
        return self._enqueue(unit, None)

    async def record_inside(self, unit: Unit, organisation_id: OrganisationId) -> Outcome:
        """Commit a unit that must stay inside one organisation; raises like ``record``."""
        require_inside(unit, organisation_id)
        return await self._enqueue(unit, organisation_id)

    async def errand(self, work: Callable[[Connection], T]) -> T:
        """Do small work of upkeep in a transaction of its own, in turn with the batches of requests.

        Args:
            work: Runs on the writer's thread with the write lock held, so it must be short; it may be done
                although its caller left.

        Raises:
            Unavailable: It could not be committed; nothing of it was.
        """
        return await self._in_turn(partial(self._transact, work))

    async def wipe_log(self) -> bool:
        """Leave nothing that was erased in the write-ahead log; False while somebody still reads it.

        In turn: a commit of another process just as the log is copied home may destroy the file
        (``log_keeper.py``). So nobody waits for it longer than for any errand.

        Raises:
            Unavailable: The store cannot be reached or written, or its turn did not come.
        """
        return await self._in_turn(partial(self._ground.wipe_log, self._engine))

    async def _in_turn(self, work: Callable[[], T]) -> T:
        """Have something done on the writer's thread, in a turn of its own."""
        if self._closing:
            raise Unavailable(Reason.STORE_UNAVAILABLE)
        future: Future[T] = self._loop.create_future()
        self._errands.append(_Errand(work, future))
        self._bell.ring()
        try:
            async with asyncio.timeout(2 * self._patience):
                return await future
        except TimeoutError as error:
            raise unavailable(error) from error

    def _enqueue(self, unit: Unit, scope: OrganisationId | None) -> Future[Outcome]:
        appends = unit.changes is self._rested_on
        if not appends:
            require_sound(unit)
            appends = changes_nothing(unit)
            if appends:
                self._rested_on = unit.changes
        if self._closing or len(self._waiting) >= QUEUE_LIMIT:
            raise Unavailable(Reason.STORE_UNAVAILABLE)
        future: Future[Outcome] = self._loop.create_future()
        patience = self._patience + _SECONDS_A_ROW * len(unit.also)
        job = _Job(unit, scope, future, self._clock.monotonic() + patience, appends=appends)
        self._unanswered.append(job)
        self._waiting.append(job)
        if not self._waking:
            self._waking = True
            self._loop.call_soon(self._wake_writer)
        if self._timer is None:
            self._timer = self._loop.call_later(self._patience / 20, self._watch)
        return future

    def _wake_writer(self) -> None:
        """Wake the writer after a turn of the loop that brought nobody else, or when enough have come."""
        waiting = len(self._waiting)
        if self._came < waiting < _ENOUGH:
            self._came = waiting
            self._loop.call_soon(self._wake_writer)
            return
        self._waking = False
        self._came = 0
        if waiting >= self._wanted:
            self._bell.ring()

    def _watch(self) -> None:
        """Let go of those who waited long enough: one timer for all, as one each costs a row's time."""
        self._timer = None
        now = self._clock.monotonic()
        with self._taking:
            for job in self._unanswered:
                if job.deadline > now:
                    continue  # not the last: an import waits longer than who came after it
                overdue = not job.taken or job.deadline + self._patience <= now
                if overdue and not job.future.done():
                    job.future.set_exception(unavailable(TimeoutError()))
        self._forget_answered()
        if self._unanswered:
            self._timer = self._loop.call_later(self._patience / 20, self._watch)

    def _forget_answered(self) -> None:
        """Let go of what was answered, soon: memory that is used again at once is still in the caches."""
        while self._unanswered and self._unanswered[0].future.done():
            self._unanswered.popleft()

    def _answer(self, jobs: Sequence[_Job], written: Written) -> None:
        self._feed.apply(written.news)
        self._families.learn(written.families)
        for job, outcome in zip(jobs, written.outcomes, strict=True):
            if job.future.done():
                continue
            if isinstance(outcome, Fault):
                job.future.set_exception(outcome)
            else:
                job.future.set_result(outcome)
        self._forget_answered()

    def _refuse(self, jobs: Sequence[_Job], cause: Exception) -> None:
        for job in jobs:
            if not job.future.done():
                job.future.set_exception(unavailable(cause))

    async def close(self) -> None:
        """Take no more units, commit those that wait, and stop; nobody waits longer than their patience."""
        self._closing = True
        self._bell.ring()
        await self._loop.run_in_executor(None, self._thread.join, 2 * self._patience)
        if self._timer is not None:
            self._timer.cancel()

    def stats(self) -> dict[str, float]:
        """Tell how the queue, the batches and the disk do."""
        return {
            "queue_length": len(self._waiting),
            "batches": self._batches,
            "units": self._units,
            "last_batch": self._last_batch,
            "largest_batch": self._largest_batch,
            "last_commit_seconds": self._commit_seconds,
            "turn_seconds": self._turn_seconds,
            "audit_lag_seconds": self._lag_seconds(),
            "audit_newest_timestamp_seconds": self._newest_at,
        }

    def _lag_seconds(self) -> float:
        """Tell for how long the unit has waited that waits longest."""
        # Those that are answered are let go of a moment later.
        waiting = next((job for job in self._unanswered if not job.future.done()), None)
        if waiting is None:
            return 0.0
        return self._clock.monotonic() - (waiting.deadline - self._patience)

    # --- on the writer's thread ---

    def _run(self) -> None:
        while self._wait():
            if self._waiting:
                self._linger()
                self._turn()
            if self._errands:
                self._run_errand(self._errands.popleft())
        self._held.close()

    def _wait(self) -> bool:
        """Wait for work; False when there is none and none will come."""
        while True:
            while self._waiting and self._waiting[0].future.done():
                self._waiting.popleft()  # it left; without this a locked store would keep us from closing
            if self._waiting or self._errands:
                return True
            if self._closing:
                return False
            self._bell.wait()

    def _linger(self) -> None:
        """Wait for as many as came last time, at most for a turn's time: longer costs more than it saves."""
        enough = len(self._waiting) >= self._expected
        if enough or self._closing or self._turn_seconds < _LINGER_FROM_SECONDS:
            return
        self._wanted = self._expected
        self._bell.hush()
        if len(self._waiting) < self._expected:
            self._bell.wait(min(self._turn_seconds, _LONGEST_LINGER_SECONDS))
        self._wanted = 1

    def _turn(self) -> None:
        """Commit what waits, or refuse it; whatever happens, the next turn starts from a clean state."""
        jobs: list[_Job] = []
        committing = False
        try:
            with self._turns.held():
                started = self._clock.monotonic()
                alone = not (self._ground.side_by_side and all(job.appends for job in tuple(self._waiting)))
                connection, at = self._begin(alone=alone)
                jobs = self._take(alone=alone)
                written = self._scribe.write(connection, at, jobs, started)
                committing = True
                self._commit(connection)
            self._newest_at = self._clock.now().timestamp()
            self._measure(len(jobs), self._clock.monotonic() - started)
            self._held.tell(partial(self._answer, jobs, written))
        except Exception as error:  # noqa: BLE001  # told by ``failed``
            self._scribe.forget()
            self._held.failed(error)
            if jobs and not committing and self._ground.may_go_again(error):
                refused = self._put_back(jobs)
            elif jobs or not self._ground.is_busy(error):
                refused = jobs or self._take()
            else:
                # A stranger holds the lock and nothing was taken yet: who has patience left keeps its place.
                refused = []
            self._held.tell(partial(self._refuse, refused, error))

    def _run_errand(self, errand: _Errand) -> None:
        """Do one errand, unless whoever wanted it has left; a failure is its own and nobody else's."""
        if errand.future.done():
            return
        try:
            with self._turns.held():
                done = errand.work()
            self._held.tell(partial(_settle, errand.future, done))
        except Exception as error:  # noqa: BLE001  # told by ``failed``
            self._scribe.forget()
            self._held.failed(error)
            self._held.tell(partial(_settle, errand.future, unavailable(error)))

    def _transact(self, work: Callable[[Connection], T]) -> T:
        connection, _ = self._begin(alone=True)
        done = work(connection)
        self._commit(connection)
        return done

    def _begin(self, *, alone: bool) -> tuple[Connection, Point]:
        return self._held.begin(partial(self._ground.begin_writing, alone=alone))

    def _commit(self, connection: Connection) -> None:
        before = self._clock.monotonic()
        self._ground.commit(connection)
        self._commit_seconds = self._clock.monotonic() - before
        if self._committed is not None:
            self._committed()

    def _take(self, *, alone: bool = True) -> list[_Job]:
        """Take what waits, except for those who left; from here on only the commit decides.

        Args:
            alone: Otherwise only up to the first that changes something: it came while we began.
        """
        jobs: list[_Job] = []
        with self._taking:
            while self._waiting and len(jobs) < BATCH_LIMIT and (alone or self._waiting[0].appends):
                job = self._waiting.popleft()
                if not job.future.done():
                    job.taken = True
                    jobs.append(job)
        return jobs

    def _put_back(self, jobs: Sequence[_Job]) -> list[_Job]:
        """Have units go again, first of all and once: nothing of their transaction was committed.

        That is known because its COMMIT was never sent. Gives those who have had their second chance.
        """
        with self._taking:
            for job in reversed(jobs):
                if not job.again:
                    job.again, job.taken = True, False
                    self._waiting.appendleft(job)
        return [job for job in jobs if job.taken]

    def _measure(self, size: int, seconds: float) -> None:
        self._batches += 1
        self._units += size
        self._last_batch = size
        self._largest_batch = max(self._largest_batch, size)
        self._turn_seconds += _SMOOTHING * (seconds - self._turn_seconds)
        # Growing at once and shrinking by halves follows a burst without waiting long for one that is over.
        self._expected = max(size, (self._expected + size) // 2, 1)


def _settle(future: Future[Any], done: Any) -> None:
    """Answer an errand on the event loop, unless its caller left."""
    if future.done():
        return
    if isinstance(done, Unavailable):
        future.set_exception(done)
    else:
        future.set_result(done)
