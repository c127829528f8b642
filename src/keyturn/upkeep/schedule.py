"""When a job is due, and how its runs are told. Pure."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import msgspec

from keyturn.core.upkeep_ports import JobRun, Lease

FIRST_RETRY = timedelta(seconds=30)
_MOST_DOUBLINGS = 16

Work = Callable[[datetime], Awaitable[str]]
"""Does a job's work at an instant and tells in a few words what it did."""


class Job(msgspec.Struct, frozen=True):
    """Something that one process of a deployment does now and then.

    Args:
        name: Names the lease, the actor ``system:<name>`` and the metric.
        every: From one good run to the next.
        work: Bounded: it leaves what is too much to the next run.
        beside: It mostly waits for others, outside, so the other jobs of its process do not wait for it.
    """

    name: str
    every: timedelta
    work: Work
    beside: bool = False


class JobState(msgspec.Struct, frozen=True, kw_only=True):
    """A job as operators see it.

    Args:
        holder: Who is running it now; None where nobody is.
        due_at: When it will be done next; None for as soon as a server has time.
    """

    name: str
    holder: str | None
    last: JobRun | None
    due_at: datetime | None


def due_at(job: Job, last: JobRun | None) -> datetime | None:
    """Tell when a job is due; None for now. A failure is tried again soon, then more and more seldom."""
    if last is None:
        return None
    if last.failures == 0:
        return last.ran_at + job.every
    return last.ran_at + min(job.every, FIRST_RETRY * (1 << min(last.failures - 1, _MOST_DOUBLINGS)))


def is_due(job: Job, last: JobRun | None, now: datetime) -> bool:
    """Tell whether a job is due at ``now``.

    A last run in the future was told by a clock that has been set back since; it must not stop the job.
    """
    due = due_at(job, last)
    return due is None or now >= due or (last is not None and last.ran_at > now + job.every)


def state_of(job: Job, lease: Lease | None, now: datetime) -> JobState:
    """Tell operators of a job what its lease says."""
    last = lease.last if lease is not None else None
    holder = lease.holder if lease is not None and lease.held(now) else None
    return JobState(name=job.name, holder=holder, last=last, due_at=due_at(job, last))
