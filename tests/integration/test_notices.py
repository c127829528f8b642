"""What is told of by whom: rings that turn, keys that are withdrawn, users that are locked out."""

import asyncio
import secrets
from datetime import timedelta
from urllib.parse import urlencode

import msgspec
import pytest

from harness import MAIN, deployment
from keyturn.app import upkeep_of
from keyturn.config import Settings
from keyturn.core.actors import operator
from keyturn.core.identifiers import uuid7
from keyturn.core.notices import Channel, Happening
from keyturn.core.vocabulary import Algorithm
from keyturn.directory import notices as verbs
from keyturn.telling import Telling
from keyturn.upkeep import scheduler as scheduler_module
from keyturn.upkeep.notices import Noticing


@pytest.fixture
async def here():
    """A deployment of the house's dialects."""
    async with deployment() as made:
        yield made


async def told(here, kind):
    """Give the notices of a kind."""
    return [each for each in await here.local.store.outbox.unspread(100) if each.kind == kind]


async def test_a_ring_that_turns_is_told_of(here):
    """A rotation and a withdrawal each make one notice, in the unit that does it."""
    organisation, now = await here.organisation(), here.clock.now()
    common = {
        "longest_lifetime": here.local.longest_lifetime(),
        "actor": "operator:test",
        "organisation_id": organisation.id,
    }
    turned = await here.local.rings.rotate(
        organisation.id, Algorithm.ES256, now, request_id=uuid7(now, here.local.dice), **common
    )
    [rotated] = await told(here, Happening.KEY_ROTATED)
    assert rotated.organisation_id == organisation.id
    assert rotated.details["subject"] == turned.signing_key_id
    for _ in range(2):
        await here.local.rings.withdraw(
            organisation.id, turned.next_key_id, now, request_id=uuid7(now, here.local.dice), **common
        )
    [withdrawn] = await told(here, Happening.KEY_WITHDRAWN)
    assert withdrawn.details["subject"] == turned.next_key_id


async def guess(here, username):
    """Guess at a password; gives for how long the name has to wait."""
    demo = here.members[MAIN]["oauth2"]
    fields = {
        "grant_type": "password",
        "client_id": demo["public_client_id"],
        "username": username,
        "password": "wrong",
    }
    answer = await here.ask(
        "POST",
        f"/o/{MAIN}/oauth2/token",
        headers=[("Content-Type", "application/x-www-form-urlencoded")],
        body=urlencode(fields).encode(),
    )
    return int(answer.header("retry-after") or 0)


async def test_a_lockout_is_told_of_once_a_day(here):
    """PW-04: a user who has to wait for minutes is told of once, by a chore; nobody else is."""
    chore = Noticing(noticed=here.local.telling.noticed, trail=here.local.deployment, dice=here.local.dice)
    username = here.members[MAIN]["oauth2"]["username"]
    for name in (username, "nobody-at-all"):
        for _ in range(40):
            wait = await guess(here, name)
            if wait >= 300:
                break
            here.clock.advance(wait)
        assert wait >= 300
        assert await told(here, Happening.LOCKED_OUT) == [] or name != username
        await chore.work()
    await guess(here, username)
    await chore.work()
    [locked] = await told(here, Happening.LOCKED_OUT)
    assert username not in str(locked)
    assert locked.organisation_id == (await here.organisation()).id
    [row] = await here.audit("lockout.began")
    assert row.subject == locked.details["user"]


class Silent:
    """A ``Sender`` to a host that never answers."""

    def __init__(self):
        self.asked = asyncio.Event()

    def is_allowed(self, channel, target, *, listed=False):
        return None

    def host_of(self, channel, target):
        return "hooks.example.com"

    async def send(self, notice, channel, target, secrets, now):
        self.asked.set()
        await asyncio.Event().wait()


async def test_a_silent_host_holds_up_no_job(here, monkeypatch):
    """While a server waits for a receiver its other jobs go on, and no other server sends the same."""
    monkeypatch.setattr(scheduler_module, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(scheduler_module, "JOBS_SECONDS", 0.01)
    silent, local = Silent(), here.local
    asked = {"now": here.clock.now(), "dice": secrets.token_bytes}
    common = (operator("test"), local.deployment, local.store.outbox)
    wish = verbs.SubscriptionWish(channel=Channel.WEBHOOK, target="https://hooks.example.com/")
    made, _ = await verbs.create_subscription(*common, wish, sender=silent, sealer=local.sealer, **asked)
    await verbs.send_test(*common, made.id, **asked)
    one, other = (
        upkeep_of(msgspec.structs.replace(local, telling=Telling(sender)), Settings())
        for sender in (silent, Silent())
    )
    async with asyncio.timeout(30), one.running():
        await silent.asked.wait()
        here.clock.advance(timedelta(minutes=1, seconds=1).total_seconds())
        while here.clock.now() != await last_run(one, "keys"):  # noqa: ASYNC110  # nobody is told of it
            await asyncio.sleep(0.01)
        assert await last_run(one, "notices") is None
        await other.do_jobs_beside()
        assert await last_run(one, "notices") is None
    [waiting] = await local.store.outbox.deliveries(dead=False, limit=9)
    assert waiting.tries == 0


async def last_run(scheduler, name):
    """Tell when a job was done last."""
    [state] = [each for each in await scheduler.states() if each.name == name]
    return None if state.last is None else state.last.ran_at
