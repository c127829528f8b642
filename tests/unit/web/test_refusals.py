"""Refusals fold when one address repeats them, and nothing of them is lost by that."""

import asyncio
from datetime import timedelta

import pytest

from harness import HandClock, basic, deployment
from keyturn.core.changes import Recorded
from keyturn.core.errors import Fault, Unavailable
from keyturn.core.records import AuditEvent
from keyturn.core.vocabulary import Reason
from keyturn.storage.feed import Confirmation
from keyturn.storage.registry import CachedRegistry
from keyturn.web import refusals as module
from keyturn.web.refusals import KEPT_A_MINUTE, Refusals, summarising


class Recorder:
    """A recorder that keeps what it is given, or is away."""

    def __init__(self):
        self.units = []
        self.away = False
        self.broken = ""
        self.summarised = asyncio.Event()

    async def record(self, unit):
        if self.away:
            raise Unavailable(Reason.STORE_UNAVAILABLE)
        if self.broken == unit.audit.reason:
            raise Fault("cannot be written")
        self.units.append(unit)
        if self.summaries:
            self.summarised.set()
        return Recorded()

    @property
    def summaries(self):
        return [unit.audit for unit in self.units if unit.audit.kind == "token.refused.summary"]


class Folding:
    """Refusals before a recorder and a clock."""

    def __init__(self):
        self.clock = HandClock()
        self.recorder = Recorder()
        self.refusals = Refusals(self.recorder, self.clock)
        self.number = 0

    async def refuse(
        self,
        times=1,
        *,
        address="192.0.2.1",
        code="invalid_client",
        reason="wrong_secret",
        organisation="a",
        subject=None,
        consequence=(),
    ):
        """Refuse some times."""
        for _ in range(times):
            self.number += 1
            event = AuditEvent(
                at=self.clock.now(),
                kind="token.refused",
                actor="anonymous",
                request_id=f"r{self.number}",
                outcome=code,
                organisation_id=organisation,
                subject=subject,
                reason=reason,
                personal={"address": address},
            )
            await self.refusals.record(event, consequence)

    async def pass_minute(self):
        """Let a minute pass, and write what is due."""
        self.clock.advance(60)
        await self.refusals.write_due()


@pytest.fixture
def folding():
    return Folding()


async def test_the_first_have_rows(folding):
    """AD-05: the first twenty of an address and public code have rows of their own and no summary."""
    await folding.refuse(KEPT_A_MINUTE)
    await folding.pass_minute()
    assert [unit.audit.request_id for unit in folding.recorder.units] == [f"r{n}" for n in range(1, 21)]


async def test_the_rest_are_one_row(folding):
    """AD-05: what repeats them is one row a minute that tells how many, which first, which last and when."""
    began = folding.clock.now()
    await folding.refuse(KEPT_A_MINUTE + 1)
    folding.clock.advance(30)
    await folding.refuse(99)
    assert len(folding.recorder.units) == KEPT_A_MINUTE
    await folding.refusals.write_due()
    assert len(folding.recorder.units) == KEPT_A_MINUTE
    folding.clock.advance(30)
    await folding.refusals.write_due()
    (summary,) = folding.recorder.summaries
    assert summary.details == {
        "count": "100",
        "first": "r21",
        "last": "r120",
        "from": began.isoformat(),
        "until": (began + timedelta(seconds=30)).isoformat(),
        "reasons": "wrong_secret=100",
    }
    assert (summary.outcome, summary.reason, summary.organisation_id) == (
        "invalid_client",
        "wrong_secret",
        "a",
    )
    assert summary.personal == {"address": "192.0.2.1"}
    await folding.pass_minute()
    assert len(folding.recorder.summaries) == 1


async def test_every_refusal_is_told_once(folding):
    """AD-05: rows and counts add up to the refusals, over several minutes."""
    for _ in range(5):
        await folding.refuse(50)
        folding.clock.advance(25)
    await folding.refusals.write_due(everything=True)
    counted = sum(int(each.details["count"]) for each in folding.recorder.summaries)
    rows = len(folding.recorder.units) - len(folding.recorder.summaries)
    assert rows + counted == 250
    assert rows == 2 * KEPT_A_MINUTE


@pytest.mark.parametrize(
    "other", [{"address": "192.0.2.2"}, {"code": "invalid_grant"}, {"address": "2001:db8:0:1::1"}]
)
async def test_others_are_not_folded(folding, other):
    """AD-05: another address or another public code has rows of its own."""
    await folding.refuse(50)
    await folding.refuse(1, **other)
    assert folding.recorder.units[-1].audit.request_id == "r51"


async def test_a_subscriber_is_one_address(folding):
    """RL-01: the addresses of an IPv6 /64 fold together."""
    for number in range(50):
        await folding.refuse(1, address=f"2001:db8::{number:x}")
    await folding.pass_minute()
    assert len(folding.recorder.units) == KEPT_A_MINUTE + 1
    assert folding.recorder.summaries[0].personal == {"address": "2001:db8::/64"}


@pytest.mark.parametrize(
    "other", [{"reason": "unknown_client", "organisation": None}, {"reason": "secret_expired"}]
)
async def test_only_what_the_caller_knows_decides(folding, other):
    """TE-09: unknown and known clients fill the same twenty, so a flood does not tell them apart."""
    await folding.refuse(KEPT_A_MINUTE, **other)
    await folding.refuse(1)
    await folding.refuse(1, **other)
    assert len(folding.recorder.units) == KEPT_A_MINUTE


async def test_several_organisations(folding):
    """AD-05: each organisation that a flood is aimed at has a summary, and so has none at all."""
    await folding.refuse(KEPT_A_MINUTE, organisation=None, reason="unknown_client")
    await folding.refuse(3, organisation="a", subject="a-1")
    await folding.refuse(5, organisation="b", subject="b-1")
    await folding.refuse(2, organisation="a", subject="a-2", reason="secret_expired")
    await folding.refuse(7, organisation=None, reason="unknown_client")
    await folding.pass_minute()
    told = {each.organisation_id: each for each in folding.recorder.summaries}
    assert len(folding.recorder.summaries) == 3
    facts = {whose: (each.reason, each.details["reasons"]) for whose, each in told.items()}
    assert facts == {
        "a": (None, "secret_expired=2,wrong_secret=3"),
        "b": ("wrong_secret", "wrong_secret=5"),
        None: ("unknown_client", "unknown_client=7"),
    }
    spans = {whose: [each.details[key] for key in ("count", "first", "last")] for whose, each in told.items()}
    assert spans == {"a": ["5", "r21", "r30"], "b": ["5", "r24", "r28"], None: ["7", "r31", "r37"]}
    assert {whose: each.details.get("subjects") for whose, each in told.items()} == {
        "a": "a-1,a-2",
        "b": "b-1",
        None: None,
    }


async def test_subjects_are_bounded(folding):
    """RE-10: a summary names the first five subjects, each once, however many there were."""
    await folding.refuse(KEPT_A_MINUTE)
    for number in range(20):
        await folding.refuse(1, subject=f"c{number // 2}")
    await folding.pass_minute()
    assert folding.recorder.summaries[0].details["subjects"] == "c0,c1,c2,c3,c4"


@pytest.mark.parametrize("limit", ["ORGANISATIONS_A_MINUTE", "ORGANISATIONS_LIMIT"])
async def test_organisations_are_bounded(folding, monkeypatch, limit):
    """RE-10 and AD-05: organisations beyond the limit count as none's, and the row says how many."""
    monkeypatch.setattr(module, limit, 4)
    await folding.refuse(KEPT_A_MINUTE)
    for number in range(10):
        await folding.refuse(2, organisation=f"o{number}")
    await folding.refuse(1, organisation=None)
    await folding.refuse(1, organisation="o0")
    assert folding.refusals._organisations == 4
    await folding.pass_minute()
    assert folding.refusals._organisations == 0
    counts = {each.organisation_id: each.details["count"] for each in folding.recorder.summaries}
    assert counts == {"o0": "3", "o1": "2", "o2": "2", "o3": "2", None: "13"}
    unattributed = [each.details.get("unattributed") for each in folding.recorder.summaries]
    assert unattributed == [None] * 4 + ["12"]


async def test_a_consequence_is_never_folded(folding):
    """RT-02: a refusal that ends something is committed, however many came before it."""
    await folding.refuse(50)
    await folding.refuse(1, consequence=("end",))
    assert folding.recorder.units[-1].changes == ("end",)


async def test_folded_ones_do_not_wait(folding):
    """RE-10: a folded refusal is told while the store is away; one that needs its row is not."""
    await folding.refuse(KEPT_A_MINUTE)
    folding.recorder.away = True
    await folding.refuse(5)
    with pytest.raises(Unavailable):
        await folding.refuse(1, code="other")


async def test_summaries_wait_for_the_store(folding):
    """A summary that cannot be written is written later, once."""
    await folding.refuse(30)
    await folding.refuse(30, code="other", reason="other")
    folding.recorder.away = True
    await folding.pass_minute()
    folding.recorder.away = False
    await folding.refusals.write_due()
    assert [each.reason for each in folding.recorder.summaries] == ["wrong_secret", "other"]


async def test_a_fault_in_one_stops_no_other(folding):
    """A summary that can never be written is dropped, and those behind it are written."""
    await folding.refuse(30)
    await folding.refuse(30, code="other", reason="other")
    folding.recorder.broken = "wrong_secret"
    await folding.pass_minute()
    assert [each.reason for each in folding.recorder.summaries] == ["other"]


async def test_the_table_is_bounded(folding, monkeypatch):
    """RE-10: an attacker with many addresses fills no memory, and what was folded is still told."""
    monkeypatch.setattr(module, "TABLE_LIMIT", 10)
    await folding.refuse(30)
    for number in range(50):
        await folding.refuse(1, address=f"198.51.100.{number}")
    assert len(folding.refusals._minutes) == 10
    await folding.refusals.write_due()
    assert [each.details["count"] for each in folding.recorder.summaries] == ["10"]


async def test_waiting_summaries_are_bounded(folding, monkeypatch):
    """RE-10: while the store is away for long, summaries beyond the limit are dropped."""
    monkeypatch.setattr(module, "SUMMARIES_LIMIT", 3)
    for number in range(5):
        await folding.refuse(KEPT_A_MINUTE + 1, code=f"r{number}")
    folding.recorder.away = True
    await folding.pass_minute()
    folding.recorder.away = False
    await folding.refusals.write_due()
    assert len(folding.recorder.summaries) == 3


async def test_summaries_are_written_at_the_end(folding):
    """RE-03: a process that stops writes the summaries of minutes that are not over."""
    async with summarising(folding.refusals):
        await folding.refuse(25)
        await asyncio.sleep(0)
    assert folding.recorder.summaries[0].details["count"] == "5"


async def test_summaries_are_written_meanwhile(folding, monkeypatch):
    """Summaries are written while requests are served."""
    monkeypatch.setattr(module, "SWEEP_SECONDS", 0.01)
    async with summarising(folding.refusals):
        await folding.refuse(25)
        folding.clock.advance(60)
        await asyncio.wait_for(folding.recorder.summarised.wait(), 5)
    assert len(folding.recorder.summaries) == 1


class CountedReads:
    """The reads of a store, counted."""

    def __init__(self, deployment_store):
        self.store = deployment_store
        self.count = 0

    async def client_view(self, client_id):
        self.count += 1
        return await self.store.client_view(client_id)


@pytest.mark.parametrize("whose", ["acme", "globex", None])
async def test_every_stranger_costs_one_read(whose):
    """TE-09: a wrong secret, another organisation's client and nobody cost one read, remembered or not."""
    async with deployment(kept_refusals=1) as here:
        reads = CountedReads(here.local.deployment)
        here.store.registry._port = CachedRegistry(reads, Confirmation(here.clock))
        client_id = here.members[whose]["oauth2"]["client_id"] if whose else "nobody"
        counts = []
        for _ in range(4):
            before = reads.count
            answer = await here.ask(
                "POST",
                "/o/acme/oauth2/token",
                headers=[
                    ("Content-Type", "application/x-www-form-urlencoded"),
                    ("Authorization", basic(client_id, "wrong")),
                ],
                body=b"grant_type=client_credentials",
            )
            assert answer.status == 401
            counts.append(reads.count - before)
        assert counts == [1] * 4
