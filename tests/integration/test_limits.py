"""Limits over the whole road: what a caller is told of them, who shares them, what a flood leaves behind."""

import pytest

from harness import Deployment, basic, deployment
from integration.renewal import FORM, another_caller, demo_caller
from keyturn.core.limits import Rate
from keyturn.seeding import OTHER
from keyturn.web.refusals import KEPT_A_MINUTE

LIMITS = ("ratelimit", "ratelimit-policy")


def told(answer):
    """Give what an answer says of limits."""
    return tuple(answer.header(name) for name in LIMITS)


async def ask(here: Deployment, caller, secret=None, **options):
    """Ask for a token with some secret, from some address."""
    return await here.ask(
        "POST",
        f"/o/{caller.slug}/oauth2/token",
        headers=[FORM, ("Authorization", basic(caller.client_id, secret or caller.secret))],
        body=b"grant_type=client_credentials",
        **options,
    )


async def test_answers_tell_the_tightest_limit():
    """RL-01: token, introspection and revocation answers name the counter with the least room."""
    async with deployment(rates={"client": Rate(60, 10), "organisation": Rate(600, 300)}) as here:
        caller = demo_caller(here)
        token = await caller.post("token", grant_type="client_credentials")
        assert told(token) == ('"client";r=9;t=1', '"client";q=60;w=60')
        asked = await caller.post("introspect", token=token.json["access_token"])
        assert told(asked) == ('"client";r=8;t=1', '"client";q=60;w=60')
        revoked = await caller.post("revoke", token=token.json["access_token"])
        assert told(revoked) == ('"client";r=7;t=1', '"client";q=60;w=60')
        refused = await caller.post("token", grant_type="client_credentials", scope="never")
        assert refused.status == 400
        assert told(refused) == ('"client";r=6;t=1', '"client";q=60;w=60')


async def test_a_refused_caller_is_told_when_to_return():
    """RL-01: 429 has Retry-After, and the limits' headers say the same."""
    async with deployment(rates={"client": Rate(20, 2)}) as here:
        caller = demo_caller(here)
        for _ in range(2):
            await ask(here, caller)
        answer = await ask(here, caller)
        assert (answer.status, answer.header("retry-after")) == (429, "3")
        assert told(answer) == ('"client";r=0;t=3', '"client";q=20;w=60')


async def test_limits_tell_nobody_who_exists():
    """TE-09: an unknown client and a wrong secret are the same to the byte, limits included."""
    async with deployment(rates={"client": Rate(60, 10)}) as here:
        caller = demo_caller(here)
        await ask(here, caller)
        wrong = await ask(here, caller, secret="wrong")
        nobody = await here.ask(
            "POST",
            "/o/acme/oauth2/token",
            headers=[FORM, ("Authorization", basic("nobody", "wrong"))],
            body=b"grant_type=client_credentials",
        )
        assert wrong.seen() == nobody.seen()
        assert told(wrong) == (None, None)


async def test_documents_tell_no_limits():
    """Published documents count for nobody and tell of no limit, after a limited answer too."""
    async with deployment(rates={"client": Rate(60, 10)}) as here:
        await ask(here, demo_caller(here))
        assert told(await here.ask("GET", "/o/acme/.well-known/jwks.json")) == (None, None)
        assert told(await here.ask("GET", "/o/acme/oauth2/token")) == (None, None)


async def test_a_noisy_organisation():
    """TN-04: an organisation far over its limit takes no place of another's."""
    rates = {"organisation": Rate(60, 10)}
    async with deployment(rates=rates) as here:
        noisy, quiet = demo_caller(here), demo_caller(here, OTHER)
        statuses = [(await ask(here, noisy)).status for _ in range(100)]
        assert statuses == [200] * 10 + [429] * 90
        assert [(await ask(here, quiet)).status for _ in range(10)] == [200] * 10


async def test_a_client_of_the_same_organisation():
    """RL-01: a client over its limit leaves its neighbours theirs, an organisation over its limit none."""
    async with deployment(rates={"client": Rate(60, 5), "organisation": Rate(60, 8)}) as here:
        first, second = demo_caller(here), await another_caller(here)
        assert [(await ask(here, first)).status for _ in range(6)] == [200] * 5 + [429]
        answers = [await ask(here, second) for _ in range(4)]
        assert [answer.status for answer in answers] == [200] * 3 + [429]
        assert told(answers[-1])[1] == '"organisation";q=60;w=60'


async def test_an_ipv6_subscriber_is_one_address():
    """RL-01: changing the address within a /64 gives no new limit."""
    async with deployment(rates={"address": Rate(60, 3)}) as here:
        caller = demo_caller(here)
        statuses = [(await ask(here, caller, address=f"2001:db8::{n}")).status for n in range(5)]
        assert statuses == [200] * 3 + [429] * 2
        assert (await ask(here, caller, address="2001:db8:0:1::1")).status == 200


@pytest.mark.parametrize(("secret", "reason"), [("wrong", "wrong_secret"), (None, "rate_limit")])
async def test_a_flood_leaves_one_row_a_minute(secret, reason):
    """AD-05 and RE-10: of a flood of refusals, 429 included, twenty have rows and the rest one summary."""
    rates = {"client": Rate(1, 1)} if secret is None else {}
    async with deployment(rates=rates, kept_refusals=KEPT_A_MINUTE) as here:
        caller = demo_caller(here)
        if secret is None:
            await ask(here, caller)
        answers = [await ask(here, caller, secret=secret) for _ in range(100)]
        assert {answer.status for answer in answers} == {401 if secret else 429}
        assert len(await here.audit("token.refused")) == KEPT_A_MINUTE
        here.clock.advance(60)
        await here.refusals.write_due()
        (summary,) = await here.audit("token.refused.summary")
        assert summary.reason == reason
        assert summary.details["count"] == "80"
        ids = [answer.header("x-request-id") for answer in answers[KEPT_A_MINUTE:]]
        assert (summary.details["first"], summary.details["last"]) == (ids[0], ids[-1])
        assert summary.organisation_id == (await here.organisation()).id
        assert summary.sealed_personal
