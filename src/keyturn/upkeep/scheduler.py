"""Runs jobs inside a server process, each under its lease, and what every process does for itself.

Jobs of one process run one after the other: upkeep never competes with itself for the store. Only those that
wait for somebody outside run beside the rest. A job that raises is logged, counted and tried again later; it
never stops the others.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from keyturn.core.clock import Clock
from keyturn.core.clock_watch import ClockWatch
from keyturn.core.errors import OperatorError, Unavailable
from keyturn.core.upkeep_ports import JobRun, Lease, Leases
from keyturn.upkeep.schedule import Job, JobState, is_due, state_of

LEASE = timedelta(seconds=90)
"""For how long a job is one process's; renewed while it runs, so that only a dead holder loses it."""
RENEW_SECONDS = 30.0
QUIET_SECONDS = 60.0
"""No job runs in the first minute of a process: a start belongs to the requests."""
JOBS_SECONDS = 15.0
CHORES_SECONDS = 5.0
LAST_TRIES = 8
LAST_TRY_SECONDS = 0.25
"""Between tries of a server that stops, while another one runs the job that it wants to have done."""

CHECKPOINT = "checkpoint"
"""The job that is also done when a server stops."""

Chore = Callable[[], Awaitable[None]]
"""What each process does for itself every few seconds, without a lease."""

log = logging.getLogger(__name__)


class Scheduler:
    """The upkeep of one process.

    Args:
        jobs: In the order in which they are looked at.
        chores: Run every few seconds in every process; the first watches the clock, before each job too.
        leases: Decide who does a job.
        clock: Dates runs.
        clock_watch: While the clock may not be trusted, no job runs.
        holder: This process's name in leases.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        chores: Sequence[Chore],
        leases: Leases,
        clock: Clock,
        clock_watch: ClockWatch,
        holder: str,
    ) -> None:
        """Do nothing yet."""
        self._jobs = {job.name: job for job in jobs}
        self._chores = chores
        self._leases = leases
        self._clock = clock
        self._watch = clock_watch
        self._holder = holder
        self._failures = dict.fromkeys(self._jobs, 0)
        self._last_runs: dict[str, JobRun] = {}
        self._successes: dict[str, float] = dict.fromkeys(self._jobs, 0.0)

    async def run(self) -> None:
        """Keep up until cancelled."""
        await asyncio.gather(
            self._forever(self.do_chores, CHORES_SECONDS, CHORES_SECONDS),
            self._forever(self.do_jobs, QUIET_SECONDS, JOBS_SECONDS),
            self._forever(self.do_jobs_beside, QUIET_SECONDS, JOBS_SECONDS),
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep up for the block; at its end sign once more what was written, so that a stop leaves little."""
        keeping = asyncio.create_task(self.run())
        try:
            yield
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping
            if CHECKPOINT in self._jobs:
                with contextlib.suppress(Unavailable):
                    await self._sign_last()

    async def _sign_last(self) -> None:
        """Sign what was written; another process that is signing may have begun before our last row."""
        for _ in range(LAST_TRIES):
            try:
                await self.run_now(CHECKPOINT)
            except OperatorError:
                await asyncio.sleep(LAST_TRY_SECONDS)
            else:
                return

    async def _forever(self, work: Chore, first_seconds: float, seconds: float) -> None:
        await asyncio.sleep(first_seconds)
        while True:
            await work()
            await asyncio.sleep(seconds)

    async def do_chores(self) -> None:
        """Do every chore once; one that fails does not keep the others from being done."""
        for chore in self._chores:
            try:
                await chore()
            except Unavailable as unavailable:
                log.warning("upkeep waits for the store: %s", unavailable.reason.value)
            except Exception:
                log.exception("a chore of upkeep failed")

    async def do_jobs(self) -> None:
        """Run every job that is due and free, one after the other."""
        await self._do(job for job in self._jobs.values() if not job.beside)

    async def do_jobs_beside(self) -> None:
        """Run those jobs that are due and free which the others do not wait for."""
        await self._do(job for job in self._jobs.values() if job.beside)

    async def _do(self, jobs: Iterable[Job]) -> None:
        try:
            leases = await self._by_name()
            for job in jobs:
                lease, now = leases.get(job.name), await self._looked()
                if not self._watch.is_sound(now):
                    return
                if is_due(job, lease.last if lease else None, now) and not (lease and lease.held(now)):
                    await self._run(job, now)
        except Unavailable as unavailable:
            log.warning("upkeep waits for the store: %s", unavailable.reason.value)
        except Exception:
            log.exception("upkeep failed")

    async def run_now(self, name: str) -> JobRun:
        """Run one job, due or not.

        Raises:
            OperatorError: There is no such job, another process is running it, or the clock is not sound.
            Unavailable: The store cannot be asked about the clock, or for the lease.
        """
        if name not in self._jobs:
            raise OperatorError(f"no job {name!r}; there is {', '.join(self._jobs)}")
        now = await self._looked()
        if not self._watch.is_sound(now):
            raise OperatorError("the clock was set back: mend it, or say `keyturn clock accept`")
        run = await self._run(self._jobs[name], now, asked=True)
        if run is None:
            raise OperatorError(f"another process is running {name}")
        return run

    @property
    def jobs(self) -> Sequence[str]:
        """Name every job."""
        return tuple(self._jobs)

    async def states(self) -> Sequence[JobState]:
        """Tell how every job stands."""
        leases, now = await self._by_name(), self._clock.now()
        return [state_of(job, leases.get(job.name), now) for job in self._jobs.values()]

    def figures(self) -> Mapping[str, tuple[float, float, int]]:
        """Give three figures for each job, instants as seconds since 1970 or 0.

        When this process ran it last, when any process that is known of did with success, and how often it
        failed here.
        """
        return {
            name: (
                self._last_runs[name].ran_at.timestamp() if name in self._last_runs else 0.0,
                self._successes[name],
                self._failures[name],
            )
            for name in self._jobs
        }

    async def _by_name(self) -> dict[str, Lease]:
        leases = {lease.name: lease for lease in await self._leases.leases()}
        for name in leases.keys() & self._jobs.keys():
            self._note(name, leases[name].last)
        return leases

    def _note(self, name: str, run: JobRun | None) -> None:
        """Remember a run that went well, whichever process had it."""
        if run is not None and not run.failures:
            self._successes[name] = max(self._successes[name], run.ran_at.timestamp())

    async def _looked(self) -> datetime:
        """Give the time for a job; a step of the clock up to that time is in the store by then (RE-07)."""
        now = self._clock.now()
        for watching in self._chores[:1]:
            await watching()
        return now

    async def _run(self, job: Job, now: datetime, *, asked: bool = False) -> JobRun | None:
        """Run a job under its lease; None where another process has it, or did it a moment ago."""
        lease = await self._leases.lease(job.name, self._holder, now, now + LEASE)
        if lease is None:
            return None
        if not asked and not is_due(job, lease.last, now):
            await self._leases.release(job.name, self._holder, now)
            return None
        working = asyncio.ensure_future(job.work(now))
        keeping = asyncio.create_task(self._keep(job, working))
        try:
            run = JobRun(ran_at=now, failures=0, outcome=await working)
        except asyncio.CancelledError:
            if not _asked_to_stop():
                return None
            with contextlib.suppress(Unavailable):
                await self._leases.release(job.name, self._holder, self._clock.now())
            raise
        except Exception as error:
            log.exception("upkeep job %s failed", job.name)
            before = lease.last.failures if lease.last else 0
            run = JobRun(ran_at=now, failures=before + 1, outcome=f"failed: {type(error).__name__}")
            self._failures[job.name] += 1
        finally:
            keeping.cancel()
        await self._leases.release(job.name, self._holder, self._clock.now(), run)
        self._last_runs[job.name] = run
        self._note(job.name, run)
        return run

    async def _keep(self, job: Job, working: "asyncio.Future[str]") -> None:
        """Renew a job's lease while it runs; stop the job where the lease has gone to another."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            now = self._clock.now()
            with contextlib.suppress(Unavailable):
                if await self._leases.lease(job.name, self._holder, now, now + LEASE) is None:
                    log.warning("upkeep job %s was taken over by another process", job.name)
                    working.cancel()
                    return


def _asked_to_stop() -> bool:
    """Tell a server that stops from a job that lost its lease: only the first cancels the task itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
