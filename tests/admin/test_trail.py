"""The audit trail over the admin API: one request, slices of a long trail, and the record of a deletion."""

import asyncio
import contextlib

import pytest

from admin.kit import Admin, token_for
from admin.test_access import refused
from keyturn.core.errors import SlowDown
from keyturn.core.identifiers import uuid7
from keyturn.core.vocabulary import OrganisationId
from keyturn.directory import audit_search
from keyturn.web.administration.searches import MOST_OF_ALL, Searches

FORGED = "00000000-0000-7000-8000-000000000000"


async def test_one_request(admin):
    """TN-02: what became of a request is told to its organisation's administrators and to no other's."""
    answer = await admin.call("POST", "/organisations/acme/clients", {"name": "bot", "grants": ["magic"]})
    request_id = answer.header("x-request-id")
    made = await admin.call("POST", "/organisations/acme/clients", {"name": "bot"})
    shown = await admin.get(f"/requests/{request_id}")
    assert (shown["verdict"], shown["http_status"], shown["public_code"]) == (
        "refused",
        400,
        "invalid_request",
    )
    assert shown["address"] == admin.address
    assert (await admin.get(f"/requests/{made.header('x-request-id')}"))["kind"] == "client.created"
    own = Admin(admin.here, await token_for(admin.here, "audit:read", slug="acme"))
    other = Admin(admin.here, await token_for(admin.here, "audit:read", slug="globex"))
    assert (await own.get(f"/requests/{made.header('x-request-id')}"))["organisation"] == "acme"
    named = made.header("x-request-id")
    nobody = uuid7(admin.here.clock.now(), admin.here.local.dice)
    answers = [await other.call("GET", f"/requests/{each}") for each in (named, nobody)]
    assert [each.status for each in answers] == [404, 404]
    assert answers[0].json["detail"].replace(named, nobody) == answers[1].json["detail"]
    await refused(admin, "GET", "/requests/nonsense", 404)
    weak = Admin(admin.here, await token_for(admin.here, "clients:read"))
    await refused(weak, "GET", f"/requests/{named}", 403)


async def test_filters(admin):
    """AD-05: the trail is searched by client and by reason."""
    made = await admin.make("/organisations/acme/clients", {"name": "bot"})
    await admin.make(f"/organisations/acme/clients/{made['id']}/disable", status=200)
    found = await admin.get("/audit", f"client={made['id']}")
    assert [each["kind"] for each in found["items"]] == ["client.disabled", "client.created"]
    await refused(admin, "GET", "/organisations/nobody", 404)
    [row] = (await admin.get("/audit", "reason=not_visible"))["items"]
    assert row["outcome"] == "not_found"


async def test_a_search_that_finds_little_ends(admin, monkeypatch):
    """A search looks at a bounded part of the trail, and its cursor goes on where that ended."""
    made = await admin.make("/organisations/acme/clients", {"name": "needle"})
    for number in range(12):
        await admin.make("/organisations/acme/clients", {"name": f"hay {number}"})
    monkeypatch.setattr(audit_search, "SLICE", 2)
    monkeypatch.setattr(audit_search, "MOST_LOOKED_AT", 5)
    query, found, pages = f"subject={made['id']}", [], 0
    cursor = ""
    while cursor is not None:
        page = await admin.get("/audit", query + (cursor and f"&cursor={cursor}"))
        found, cursor, pages = [*found, *page["items"]], page["next"], pages + 1
    assert [each["kind"] for each in found] == ["client.created"]
    assert pages > 2


@pytest.mark.parametrize("days", [6, 8])
async def test_usual_time(admin, days):
    """A search without a time looks at the last seven days."""
    await admin.make("/organisations/acme/clients", {"name": "bot"})
    admin.here.clock.advance(days * 86_400)
    found = (await admin.get("/audit", "kind=client.created&organisation=acme&limit=1"))["items"]
    assert len(found) == (days < 7)
    since = "2020-01-01T00:00:00Z"
    assert (await admin.get("/audit", f"kind=client.created&since={since}&limit=1"))["items"]


async def test_deletion(admin):
    """TN-05: a deletion has a record: when it began, when it was complete, and what was deleted."""
    await refused(admin, "GET", "/organisations/acme/deletion", 404)
    clients = len((await admin.get("/organisations/acme/clients"))["items"])
    begun = admin.here.clock.now()
    assert (await admin.call("DELETE", "/organisations/acme")).status == 200
    shown = await admin.get("/organisations/acme/deletion")
    assert (shown["state"], shown["left"], shown["deleted"]["clients"]) == ("complete", {}, clients)
    assert (
        shown["begun_at"]
        == shown["completed_at"]
        == begun.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
    [row] = await admin.here.audit("organisation.erased")
    assert row.details["clients"] == str(clients)
    assert int(row.details["records"]) == sum(shown["deleted"].values())
    bound = Admin(admin.here, await token_for(admin.here, slug="globex"))
    await refused(bound, "GET", "/organisations/acme/deletion", 404)


@pytest.mark.parametrize(
    "query",
    ["since=0001-01-01T00:00:00Z", "until=0001-01-01T00:00:00Z", "until=9999-12-31T23:59:59.999999Z"],
)
async def test_the_ends_of_the_calendar(admin, query):
    """HT-08: a time that no further step fits behind is a time like any other, and breaks nothing."""
    await admin.get("/audit", query)


async def test_a_request_of_the_last_minute(admin):
    """HT-08: a forged request id of the calendar's last or first minute names nothing, and breaks nothing."""
    for forged in ("e677d21f-dbff-7000-8000-000000000000", FORGED):
        assert (await admin.get("/audit", f"request_id={forged}"))["items"] == []
        await refused(admin, "GET", f"/requests/{forged}", 404)


async def test_searches_at_once(admin):
    """TN-04: one organisation's searches, however many, take a few places and leave others theirs."""
    own = Admin(admin.here, await token_for(admin.here, "audit:read", slug="acme"))
    other = Admin(admin.here, await token_for(admin.here, "audit:read", slug="globex"))
    callers = [*[own] * 9, other, admin]
    answers = await asyncio.gather(*(each.call("GET", "/audit") for each in callers))
    assert sorted(each.status for each in answers[:9]) == [200] * 4 + [429] * 5
    assert [each.status for each in answers[9:]] == [200, 200]
    named = f"/requests/{answers[0].header('x-request-id')}"
    asked = await asyncio.gather(*(own.call("GET", named) for _ in range(5)))
    assert sorted(each.status for each in asked) == [200] * 4 + [429]
    await own.get("/audit")


def test_searches_of_all():
    """TN-04: many organisations together leave the deployment's operators their places."""
    searches = Searches()
    with contextlib.ExitStack() as under_way:
        for number in range(MOST_OF_ALL):
            under_way.enter_context(searches.one(OrganisationId(f"o{number}")))
        with pytest.raises(SlowDown), searches.one(OrganisationId("one more")):
            pass
        with searches.one(None):
            pass
    with searches.one(OrganisationId("one more")):
        pass
