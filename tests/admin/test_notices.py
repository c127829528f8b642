"""Subscriptions to notices over the admin API, and the commands about them on either way."""

import secrets

import pytest

from admin.kit import BASE, Admin, token_for
from admin.test_access import refused
from harness import ACTOR
from keyturn.app import upkeep_of
from keyturn.cli import notice
from keyturn.cli.link import Link, Reply
from keyturn.cli.local import LocalVerbs
from keyturn.cli.remote import RemoteVerbs
from keyturn.config import Settings
from keyturn.core.errors import OperatorError
from keyturn.core.notices import GIVEN_UP_AFTER
from keyturn.core.secret import Secret

MANY, OUTBOX = "/notice-subscriptions", "/notice-deliveries"
URL = "https://hooks.example.com/in?key=geheim"
WISH = {"channel": "webhook", "target": URL}


async def send(admin):
    """Let upkeep send what waits; nothing is there at that host's name."""
    await upkeep_of(admin.here.local, Settings()).run_now("notices")


async def bound_to(admin, slug, *scopes):
    """Be an administrator of one organisation."""
    return Admin(admin.here, await token_for(admin.here, *scopes, slug=slug))


async def test_from_first_to_last(admin):
    """AD-04: a webhook's secret is told when it is made and when it is rotated, and nowhere else."""
    answer = await admin.call("POST", MANY, WISH | {"organisation": "acme", "kinds": ["credential.leaked"]})
    made = answer.json
    path = f"{MANY}/{made['id']}"
    assert (answer.status, answer.header("location"), answer.header("etag")) == (201, BASE + path, '"0"')
    assert made["organisation_id"] == admin.here.organisations["acme"].id
    shown = await admin.get(path)
    assert made == shown | {"secret": made["secret"]}
    assert (await admin.get(MANY, "organisation=acme&channel=webhook&ended=false"))["items"] == [shown]
    rotated = await admin.make(f"{path}/rotate", status=200)
    assert rotated["secret"] != made["secret"]
    assert rotated["previous_until"].startswith("2026-11-02")
    await refused(admin, "POST", f"{path}/rotate", 409)
    tested = await admin.make(f"{path}/test", status=200)
    problem = await refused(admin, "POST", f"{path}/test", 409)
    assert "on its way" in problem["detail"]
    await send(admin)
    [waiting] = (await admin.get(OUTBOX))["items"]
    assert (waiting["notice_id"], waiting["tries"]) == (tested["notice_id"], 1)
    assert (await admin.get(OUTBOX, "dead=true"))["items"] == []
    for _ in range(2):
        ended = await admin.call("DELETE", path)
        assert (ended.status, ended.json["ended_at"] is None) == (200, False)
    await refused(admin, "POST", f"{path}/test", 409)
    await refused(admin, "PATCH", path, 405, {"target": URL})
    told = repr([await admin.get(MANY), await admin.get(path), ended.json])
    assert made["secret"] not in told
    assert rotated["secret"] not in told


async def test_mail_has_no_secret(admin):
    """A subscription to mail has no secret, and none is made for it; what is no address is refused."""
    made = await admin.make(MANY, {"channel": "mail", "target": "ops@example.com"})
    assert made["secret"] is None
    problem = await refused(admin, "POST", f"{MANY}/{made['id']}/rotate", 409)
    assert "only a webhook" in problem["detail"]
    await refused(
        admin, "POST", MANY, 400, {"channel": "mail", "target": "a@example.com\r\nBcc: b@c.example"}
    )


async def test_an_organisation_mails_nobody_who_is_not_listed(admin):
    """HT-10, TN-04: where no domain is listed only the operator subscribes mail, also an organisation's."""
    bound = await bound_to(admin, "acme")
    wish = {"channel": "mail", "target": "ops@example.com"}
    problem = await refused(bound, "POST", MANY, 400, wish)
    assert "example.com is not among notices.mail_domains" in problem["detail"]
    made = await admin.make(MANY, wish | {"organisation": "acme"})
    assert [each["id"] for each in (await bound.get(MANY))["items"]] == [made["id"]]


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"target": "https://elsewhere.example/"}, "not among notices.hosts"),
        ({"target": "https://169.254.169.254/latest"}, "not among notices.hosts"),
        ({"target": "https://hooks.example.com.evil.example/"}, "not among notices.hosts"),
        ({"target": "https://me@hooks.example.com/"}, "https:// URL"),
        ({"target": "http://hooks.example.com/"}, "https:// URL"),
        ({"target": ""}, "https:// URL"),
        ({"kinds": []}, "at least one kind"),
        ({"kinds": ["notice.test"]}, "unknown kind"),
        ({"channel": "carrier pigeon"}, "channel"),
        ({"secret": "whsec_mine"}, "secret"),
        ({"organisation_id": None}, "organisation_id"),
    ],
)
async def test_where_it_cannot_be_led(admin, wish, words):
    """HT-10, AD-02: whoever administers an organisation chooses a host on the operator's list, or none."""
    bound = await bound_to(admin, "acme")
    problem = await refused(bound, "POST", MANY, 400, WISH | wish)
    assert words in problem["detail"]
    assert (await bound.get(MANY))["items"] == []


async def test_an_organisations_token_reaches_its_own(admin):
    """TN-02: what is another organisation's, or the deployment's, is as what nobody ever made."""
    bound = await bound_to(admin, "acme")
    own = await bound.make(MANY, WISH)
    assert own["organisation_id"] == admin.here.organisations["acme"].id
    foreign = [(await admin.make(MANY, WISH | of))["id"] for of in ({"organisation": "globex"}, {})]
    nothing = "0190aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee"
    for each in (*foreign, own["id"]):
        await admin.make(f"{MANY}/{each}/test", status=200)
    await send(admin)
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/rotate"), ("POST", "/test")):
        missing = await refused(bound, method, f"{MANY}/{nothing}{path}", 404)
        for name in foreign:
            there = await refused(bound, method, f"{MANY}/{name}{path}", 404)
            assert there["detail"].replace(name, nothing) == missing["detail"]
    for method, path, body, query in (
        ("GET", MANY, None, "organisation={}"),
        ("GET", OUTBOX, None, "organisation={}"),
        ("POST", MANY, WISH | {"organisation": "{}"}, ""),
    ):
        there, missing = [
            await refused(
                bound,
                method,
                path,
                404,
                body and body | {"organisation": name},
                query=query.format(name),
            )
            for name in ("globex", "nobody")
        ]
        assert there["detail"].replace("globex", "nobody") == missing["detail"]
    assert [each["id"] for each in (await bound.get(MANY))["items"]] == [own["id"]]
    [waiting] = (await bound.get(OUTBOX, "limit=1"))["items"]
    assert waiting["subscription_id"] == own["id"]
    assert len((await admin.get(OUTBOX))["items"]) == 3
    assert [each["ended_at"] for each in (await admin.get(MANY))["items"]] == [None] * 3


async def test_what_an_organisation_hears_of_a_try(admin):
    """HT-10: how a try failed that got no answer is the operator's alone, in the outbox and in the trail."""
    bound = await bound_to(admin, "acme")
    made = await bound.make(MANY, WISH)
    await bound.make(f"{MANY}/{made['id']}/test", status=200)
    for dead in (False, True):
        admin.here.clock.advance(GIVEN_UP_AFTER.total_seconds() * dead)
        await send(admin)
        [own] = (await bound.get(OUTBOX, f"dead={str(dead).lower()}"))["items"]
        [whole] = (await admin.get(OUTBOX, f"dead={str(dead).lower()}"))["items"]
        assert whole["problem"] == "no answer: the host's name does not resolve"
        assert own == whole | {"problem": "no answer"}
    [row] = await admin.here.audit("notice.undelivered")
    assert row.details["problem"] == "no answer"


async def test_scopes(admin):
    """AD-01: reading notices changes none, and no other resource's scope reads them."""
    made = await admin.make(MANY, WISH)
    reader = Admin(admin.here, await token_for(admin.here, "notices:read"))
    stranger = Admin(admin.here, await token_for(admin.here, "organisations:write", "clients:write"))
    one = f"{MANY}/{made['id']}"
    for method, path in (("POST", MANY), ("DELETE", one), ("POST", f"{one}/rotate"), ("POST", f"{one}/test")):
        problem = await refused(reader, method, path, 403, WISH if path == MANY else None)
        assert "notices:write" in problem["detail"]
    for path in (MANY, one, OUTBOX):
        await reader.get(path)
        problem = await refused(stranger, "GET", path, 403)
        assert "notices:read" in problem["detail"]


async def test_a_key_makes_it_happen_once(admin):
    """A create, a rotation and a test by an idempotency key are done once and answered alike."""
    bound = await bound_to(admin, "acme")
    answers = [await bound.call("POST", MANY, WISH, key="make") for _ in range(2)]
    path = f"{MANY}/{answers[0].json['id']}"
    answers += [await bound.call("POST", f"{path}/rotate", key="turn") for _ in range(2)]
    answers += [await bound.call("POST", f"{path}/test", key="test") for _ in range(2)]
    assert [each.status for each in answers] == [201, 201, 200, 200, 200, 200]
    assert [first.body == again.body for first, again in zip(answers[::2], answers[1::2], strict=True)]
    assert len({each.body for each in answers}) == 3
    assert len((await bound.get(MANY))["items"]) == 1
    await refused(bound, "POST", f"{path}/test", 422, key="turn")


async def test_what_the_trail_says(admin):
    """AD-05, HT-07: each change names who, whence and in which request, and neither secret nor target."""
    bound = await bound_to(admin, "acme")
    made = await bound.call("POST", MANY, WISH, key="k")
    path = f"{MANY}/{made.json['id']}"
    rotated = await bound.call("POST", f"{path}/rotate", key="l")
    tested = await bound.call("POST", f"{path}/test")
    ended = await bound.call("DELETE", path)
    [own] = (await bound.get("/admin-tokens"))["items"]
    done = {
        "notice_subscription.created": made,
        "notice_subscription.rotated": rotated,
        "notice.tested": tested,
        "notice_subscription.ended": ended,
    }
    for kind, answer in done.items():
        [row] = await admin.here.audit(kind)
        assert (row.actor, row.subject) == (f"admin:{own['id']}", made.json["id"])
        assert row.request_id == answer.header("x-request-id")
        assert row.organisation_id == admin.here.organisations["acme"].id
    page = await admin.here.local.deployment.audit_page(limit=1_000)
    of = {row.request_id: personal for row, personal in zip(page.rows, page.personal, strict=True)}
    assert of[ended.header("x-request-id")]["address"] == bound.address
    rows = repr(await admin.here.audit())
    kept = rows + repr(page.personal) + repr(list(admin.here.store._shelf.rows.values()))
    assert made.json["secret"] not in kept
    assert rotated.json["secret"] not in kept
    assert "geheim" not in rows


async def waiting(admin, count, slug):
    """Let so many tests wait, each of a subscription of its own."""
    for number in range(count):
        made = await admin.make(MANY, WISH | {"target": f"{URL}{number}", "organisation": slug})
        await admin.make(f"{MANY}/{made['id']}/test", status=200)
        admin.here.clock.advance(number % 2)
        await send(admin)


async def test_pages_of_the_outbox(admin):
    """AD-03: pages show each delivery once, newest first, and a cursor is of one list and caller."""
    await waiting(admin, 4, "acme")
    await waiting(admin, 2, "globex")
    whole = (await admin.get(OUTBOX))["items"]
    assert [each["created_at"] for each in whole] == sorted((e["created_at"] for e in whole), reverse=True)
    found, cursor = [], ""
    while cursor is not None:
        page = await admin.get(OUTBOX, "limit=2&organisation=acme" + (cursor and f"&cursor={cursor}"))
        found, cursor = [*found, *page["items"]], page["next"]
    acme = admin.here.organisations["acme"].id
    assert found == [each for each in whole if each["organisation_id"] == acme]
    assert len(found) == 4
    cursor, bound = (await admin.get(OUTBOX, "limit=1"))["next"], await bound_to(admin, "acme")
    assert len((await bound.get(OUTBOX, "limit=4"))["items"]) == 4
    for who, query in ((bound, "limit=1"), (admin, "dead=true"), (admin, "organisation=acme")):
        await refused(who, "GET", OUTBOX, 400, query=f"{query}&cursor={cursor}")
    await refused(admin, "GET", OUTBOX, 400, query="sort=created_at")


# --- the commands ---


class InProcess:
    """A ``Wire`` to a desk in this process."""

    def __init__(self, here):
        self._here = here

    async def send(self, asked, token):
        """Ask the desk."""
        path, _, query = asked.target.partition("?")
        headers = [*asked.headers.items(), ("Authorization", f"Bearer {token.reveal()}")]
        body = asked.body or b""
        told = await self._here.ask(asked.method, path, query=query.encode(), headers=headers, body=body)
        return Reply(told.status, dict(told.headers), told.body)

    def close(self):
        """Nothing is held."""


@pytest.fixture
def both(admin):
    """Be at the machine, and at a server."""
    here = LocalVerbs(admin.here.local, ACTOR, None, upkeep_of(admin.here.local, Settings()))
    return here, RemoteVerbs(Link(InProcess(admin.here), Secret(admin.token), "there"))


async def test_both_ways_show_the_same(admin, both):
    """What is read of subscriptions and the outbox is the same here and there, over several pages too."""
    await waiting(admin, 3, "acme")
    await waiting(admin, 2, "globex")
    [first, *_] = (await admin.get(MANY))["items"]
    assert (await admin.call("DELETE", f"{MANY}/{first['id']}")).status == 200
    admin.here.clock.advance(60)
    await send(admin)
    answers = [
        [
            await notice.list(verbs),
            await notice.show(verbs, first["id"].upper()),
            *[
                await notice.outbox(verbs, dead=dead, limit=limit)
                for dead in (True, False)
                for limit in (1, 3, 1_000)
            ],
        ]
        for verbs in both
    ]
    assert answers[0] == answers[1]
    assert [len(each) for each in answers[0][2:]] == [1, 1, 1, 1, 3, 4]


async def test_both_ways_refuse_alike(admin, both):
    """What cannot be done is refused here and there, in the same words."""
    made = await admin.make(MANY, WISH)
    ended = await admin.make(MANY, WISH)
    await admin.call("DELETE", f"{MANY}/{ended['id']}")
    for path in ("rotate", "test"):
        await admin.make(f"{MANY}/{made['id']}/{path}", status=200)
    wishes = (
        {"url": "https://elsewhere.example/", "kind": ["credential.leaked"]},
        {"mail": "ops@example.com, b@c.example", "kind": ["credential.leaked"]},
        {"url": URL, "kind": ["nonsense"]},
        {"url": URL, "kind": []},
        {"url": URL, "kind": ["credential.leaked"], "organisation": "nobody"},
    )
    named = [(do, name) for do in (notice.rotate, notice.test) for name in (made["id"], ended["id"])]
    named += [(do, name) for do in (notice.show, notice.end) for name in ("NOBODY", "no body", "..")]
    words = []
    for verbs in both:
        asked = [notice.create(verbs, **({"mail": None, "organisation": None} | each)) for each in wishes]
        asked += [do(verbs, name) for do, name in named]
        words.append([await _refused(each) for each in asked])
    assert words[0] == words[1]


async def _refused(asked):
    with pytest.raises(OperatorError) as caught:
        await asked
    return str(caught.value)


async def test_many_at_once_are_few(admin, monkeypatch):
    """RL-01: an organisation's token makes no more subscriptions than its organisation may have."""
    bound = await bound_to(admin, "acme")
    monkeypatch.setattr("keyturn.directory.notices.MOST_LIVING", 2)
    for _ in range(2):
        await admin.make(MANY, WISH)  # the deployment's do not count
        await bound.make(MANY, WISH, key=secrets.token_hex(8))
    problem = await refused(bound, "POST", MANY, 409, WISH)
    assert "end one first" in problem["detail"]
