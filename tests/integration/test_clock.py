"""A clock that is set back, seen from outside: nothing is issued or revived, and an operator decides."""

from datetime import timedelta

import msgspec
import pytest

from harness import Deployment, deployment
from integration.renewal import demo_caller
from keyturn.core.actors import client as client_actor
from keyturn.core.actors import operator
from keyturn.core.changes import Replace, Unit
from keyturn.core.clock_watch import ClockWatch
from keyturn.core.errors import OperatorError, Unavailable
from keyturn.core.records import AuditEvent
from keyturn.core.vocabulary import ClientId, OrganisationId, Reason
from keyturn.directory.clock import accept_clock
from keyturn.upkeep.cleaning import Cleaning
from keyturn.upkeep.clock import ClockChore
from keyturn.upkeep.schedule import Job
from keyturn.upkeep.scheduler import Scheduler

DAY = 86_400


@pytest.fixture
async def here():
    """Open a deployment."""
    async with deployment() as opened:
        yield opened


def set_clock(here: Deployment, seconds: float) -> None:
    """Set the wall clock, as somebody does who mends or breaks it; no time passes."""
    here.clock._now += timedelta(seconds=seconds)


def chore(here: Deployment, watch: ClockWatch | None = None) -> ClockChore:
    """Make the chore that a server runs every few seconds."""
    local = here.local
    return ClockChore(
        local.clock, watch or local.clock_watch, local.store.upkeep, local.store.revocations.forget_expired
    )


async def issue_for_a_day(here: Deployment) -> None:
    """Let the organisation's access tokens live for a day."""
    local = here.local
    there = await local.deployment.organisation_by_slug("acme")
    assert there is not None
    settings = {**there.settings, "oauth2": {"lifetime_seconds": DAY}}
    changed = msgspec.structs.replace(there, settings=settings, version=there.version + 1)
    event = AuditEvent(
        at=here.clock.now(),
        kind="organisation.changed",
        actor="test",
        request_id="r",
        organisation_id=there.id,
    )
    await local.deployment.record(Unit(changes=(Replace(changed, there.version),), audit=event))


def cleaning(here: Deployment, watching: ClockChore) -> Scheduler:
    """Make the upkeep of a server that cleans only."""
    local = here.local
    job = Job("clean", timedelta(hours=1), Cleaning(local.store.upkeep, local.store.upkeep, 0).work)
    return Scheduler([job], (watching.work,), local.store.upkeep, local.clock, local.clock_watch, "here")


async def test_nothing_is_issued_on_a_clock_that_was_set_back(here: Deployment) -> None:
    """HT-09, RE-07: back by more than 5 s issuing and renewing are 503 with Retry-After; keys go on."""
    caller = demo_caller(here)
    token = await caller.begin()
    rows = len(await here.audit())
    set_clock(here, -6)
    for fields in (
        {"grant_type": "client_credentials"},
        {"grant_type": "refresh_token", "refresh_token": token["refresh_token"]},
    ):
        answer = await caller.post("token", **fields)
        assert answer.status == 503
        assert int(answer.header("retry-after") or 0) > 0
    assert len(await here.audit()) == rows
    assert (await here.jwks())["keys"]
    here.clock.advance(1)
    await caller.renewed(token["refresh_token"])


async def test_a_jump_back_revives_nothing(here: Deployment) -> None:
    """RE-07: a token that has expired stays dead on a clock that says it has not."""
    caller = demo_caller(here)
    token = await caller.begin()
    here.clock.advance(token["expires_in"] + 60)
    assert not await caller.is_active(token["access_token"])
    await caller.begin()
    set_clock(here, -(token["expires_in"] + 60))
    assert not await caller.is_active(token["access_token"])


async def test_an_operator_accepts_the_clock(here: Deployment) -> None:
    """RE-07: after the operator's word a running server issues again, and the word is in the trail."""
    caller = demo_caller(here)
    await caller.begin()
    watching = chore(here)
    await watching.work()
    set_clock(here, -3600)
    await watching.work()
    assert (await caller.post("token", grant_type="client_credentials")).status == 503
    local = here.local
    accepted = await accept_clock(
        operator("alice"), local.deployment, local.store.upkeep, now=here.clock.now(), dice=local.dice
    )
    assert accepted.before is not None
    assert accepted.before > accepted.now
    assert (await caller.post("token", grant_type="client_credentials")).status == 503
    await watching.work()
    await caller.begin()
    [row] = await here.audit("clock.accepted")
    assert row.actor == "operator:alice"


async def test_a_restart_does_not_forget_the_time(here: Deployment) -> None:
    """RE-07: a process that starts on a clock that was set back finds the newest time in the store."""
    caller = demo_caller(here)
    await caller.begin()
    here.local.clock_watch.__init__()  # as a new process begins
    set_clock(here, -60)
    await chore(here).work()
    assert (await caller.post("token", grant_type="client_credentials")).status == 503


async def test_steps_are_told_to_the_store(here: Deployment) -> None:
    """RE-07: a step forward is noted, issuing goes on, and for an hour nothing is dropped for its age."""
    dropped: list[object] = []
    local = here.local
    watching = ClockChore(local.clock, local.clock_watch, local.store.upkeep, dropped.append)
    await watching.work()
    await watching.work()
    assert len(dropped) == 1
    set_clock(here, 365 * 86_400)
    await watching.work()
    mark = await local.store.upkeep.clock_mark()
    assert mark is not None
    assert mark.stepped_at == here.clock.now()
    assert (await demo_caller(here).post("token", grant_type="client_credentials")).status == 200
    here.clock.advance(3599)
    await watching.work()
    assert len(dropped) == 1
    here.clock.advance(1)
    await watching.work()
    assert len(dropped) == 2


async def test_only_the_deployments_operator_accepts(here: Deployment) -> None:
    """TN-02: an actor of one organisation has no word about the deployment's clock."""
    local = here.local
    actor = client_actor(ClientId("c"), OrganisationId("o"))
    with pytest.raises(OperatorError, match="only an operator"):
        await accept_clock(actor, local.deployment, local.store.upkeep, now=here.clock.now(), dice=local.dice)


async def test_a_family_revoked_on_a_clock_behind_stays_revoked(here: Deployment) -> None:
    """RE-07: what is revoked while the clock is set back outlives the tokens from before."""
    await issue_for_a_day(here)
    caller, watching = demo_caller(here), chore(here)
    await watching.work()
    token = await caller.begin()
    assert token["expires_in"] == DAY
    set_clock(here, -3 * DAY)
    await watching.work()
    assert (await caller.post("revoke", token=token["refresh_token"])).status == 200
    set_clock(here, 3 * DAY)
    await watching.work()
    here.clock.advance(3700)
    await watching.work()
    await cleaning(here, watching).run_now("clean")
    assert not await caller.is_active(token["access_token"])


async def test_a_start_on_a_clock_far_ahead_drops_no_revocation(here: Deployment) -> None:
    """RE-07: a start on a clock a month ahead cleans nothing, so mending it revives nothing."""
    await issue_for_a_day(here)
    caller, local = demo_caller(here), here.local
    await chore(here).work()
    token = await caller.begin()
    assert (await caller.post("revoke", token=token["access_token"])).status == 200
    local.clock_watch.__init__()  # as a new process begins
    set_clock(here, 30 * DAY)
    mark = await local.store.upkeep.clock_mark()
    assert mark is not None
    local.clock_watch.follow(mark)
    await caller.begin()  # its audit row is of the time that is wrong
    here.clock.advance(60)
    watching = chore(here)
    run = await cleaning(here, watching).run_now("clean")
    assert run.outcome.startswith("waits")
    set_clock(here, -30 * DAY)
    await accept_clock(
        operator("alice"), local.deployment, local.store.upkeep, now=here.clock.now(), dice=local.dice
    )
    await watching.work()
    assert not await caller.is_active(token["access_token"])


async def test_a_job_that_comes_before_the_chores_sees_a_step(here: Deployment) -> None:
    """RE-07: the clock is looked at before a job is judged due, so the first after a step cleans nothing."""
    upkeep = cleaning(here, chore(here))
    await upkeep.do_jobs()
    set_clock(here, 30 * DAY)
    await upkeep.do_jobs()
    [state] = await upkeep.states()
    assert state.last is not None
    assert state.last.outcome.startswith("waits")


async def test_a_step_that_could_not_be_told_is_told_later(here: Deployment, monkeypatch) -> None:
    """RE-07: a store that is away when a step is found hears of it at the next look; no job runs before."""
    watching, store = chore(here), here.local.store.upkeep
    upkeep = cleaning(here, watching)
    await watching.work()
    set_clock(here, 30 * DAY)
    stepped_at = here.clock.now()

    async def away(*_: object, **__: object) -> None:
        raise Unavailable(Reason.STORE_UNAVAILABLE)

    with monkeypatch.context() as patched:
        patched.setattr(type(store), "note_clock", away)
        await upkeep.do_jobs()
    assert (await upkeep.states())[0].last is None
    here.clock.advance(5)
    await watching.work()
    mark = await store.clock_mark()
    assert mark is not None
    assert mark.stepped_at == stepped_at
