"""What became of a request: `explain` on requests that went through the desk."""

from datetime import timedelta

import pytest

from harness import ACTOR, deployment
from integration.renewal import demo_caller
from integration.test_limits import ask
from keyturn.core.errors import NothingThere, OperatorError
from keyturn.core.identifiers import uuid7
from keyturn.directory.audit_search import AFTER
from keyturn.directory.explain import explain
from keyturn.web.refusals import KEPT_A_MINUTE


@pytest.fixture
async def here():
    """Open a deployment that folds floods."""
    async with deployment(kept_refusals=KEPT_A_MINUTE) as opened:
        yield opened


async def told(here, answer_or_id, actor=ACTOR):
    """Explain a request, by the id that its caller saw."""
    request_id = answer_or_id if isinstance(answer_or_id, str) else answer_or_id.header("x-request-id")
    local = here.local
    at = {"now": here.clock.now(), "dice": local.dice}
    return await explain(actor, local.deployment, request_id, status_of=local.status_of, **at)


async def test_refused(here):
    """AD-05: a refusal is explained by check, caller, time, what was seen, and what to do about it."""
    caller = demo_caller(here)
    answer = await ask(here, caller, secret="wrong", address="198.51.100.7")
    other = await ask(here, caller, secret="wrong")
    here.clock.advance(3_600)
    said = await told(here, answer)
    assert (said.verdict, said.status, said.code, said.reason) == (
        "refused",
        answer.status,
        answer.json["error"],
        "wrong_secret",
    )
    assert (said.organisation, said.address, said.dialect) == ("acme", "198.51.100.7", "oauth2")
    assert said.actor == f"client:{caller.client_id}"
    assert said.name is not None
    assert f"keyturn secret rotate {caller.client_id}`" in said.remedy
    assert "CLIENT_ID" not in said.remedy
    assert (await told(here, other)).rows != said.rows


async def test_granted(here):
    """A request that got a token is told as granted, with nothing to do."""
    said = await told(here, await ask(here, demo_caller(here)))
    assert (said.verdict, said.remedy, said.code, said.kind) == ("granted", None, None, "token.issued")
    assert said.details["grant"] == "client_credentials"


async def test_malformed(here):
    """A request that could not be read is explained too, and names nobody."""
    path = "/o/acme/oauth2/token"
    answer = await here.ask("POST", path, headers=[("Content-Type", "application/json")], body=b"{")
    said = await told(here, answer)
    assert (said.verdict, said.actor, said.status) == ("refused", "anonymous", answer.status)
    assert said.reason == "media_type"


async def test_counted(here):
    """A refusal that was only counted in a flood's summary is told as such, and no other is."""
    caller = demo_caller(here)
    answers = []
    for _ in range(KEPT_A_MINUTE + 5):
        answers.append(await ask(here, caller, secret="wrong"))
        here.clock.advance(0.01)
    here.clock.advance(60)
    await here.refusals.write_due()
    assert (await told(here, answers[KEPT_A_MINUTE - 1])).verdict == "refused"
    for answer in answers[KEPT_A_MINUTE:]:
        said = await told(here, answer)
        assert (said.verdict, said.status, said.code) == ("counted", None, "invalid_client")
        assert "no row of its own" in said.happened
        assert "5 requests" in said.happened
        [summary] = said.counted
        assert summary["last"] == answers[-1].header("x-request-id")
        assert f"keyturn secret list {caller.client_id}" not in said.remedy  # nobody knows whose it was
    with pytest.raises(NothingThere):
        await told(here, uuid7(here.clock.now(), here.local.dice))


async def test_nothing(here):
    """An id that no row has is told with how far the trail reaches; what is no id is told as that."""
    await ask(here, demo_caller(here))
    dice, now = here.local.dice, here.clock.now()
    for at, says in (
        (now, "reaches back to"),
        (now - timedelta(days=400), "the trail begins at"),
        (now + timedelta(days=1), "yet to come"),
    ):
        with pytest.raises(NothingThere, match=says):
            await told(here, uuid7(at, dice))
    for text in ("nonsense", "", "01a20242-1732-4028-a2ac-575e4d6da147"):
        with pytest.raises(OperatorError, match="no request id"):
            await told(here, text)


async def test_only_its_time_is_looked_at(here, monkeypatch):
    """The rows of a request are looked for around the time of its id, not in the whole trail."""
    caller = demo_caller(here)
    for _ in range(3):
        await ask(here, caller)
        here.clock.advance(3_600)
    answer = await ask(here, caller)
    looked = []
    store = here.local.deployment
    real = type(store).audit_hits

    async def watched(self, wish):
        looked.append(wish)
        return await real(self, wish)

    monkeypatch.setattr(type(store), "audit_hits", watched)
    assert (await told(here, answer)).verdict == "granted"
    assert all(wish.since > here.clock.now() - timedelta(hours=1) for wish in looked)
    assert all(wish.until <= here.clock.now() + AFTER for wish in looked)
    rows = len(await here.audit())
    assert all(wish.after >= rows - 4 for wish in looked)


async def test_reading_is_told(here):
    """AD-05: that somebody looked at a request, and so at an address, is a row itself."""
    answer = await ask(here, demo_caller(here))
    await told(here, answer)
    [row] = await here.audit("audit.read")
    assert (row.actor, row.details) == (ACTOR.name, {"request": answer.header("x-request-id")})
