"""What is told of by whom: rings that turn, keys that are withdrawn, users that are locked out."""

from urllib.parse import urlencode

import pytest

from harness import MAIN, deployment
from keyturn.core.identifiers import uuid7
from keyturn.core.notices import Happening
from keyturn.core.vocabulary import Algorithm
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
