"""How the admin API is spoken, whatever the resource: pages, versions, repetitions, problems."""

import asyncio

import pytest

from admin.kit import BASE, Admin, token_for
from admin.test_access import refused

CLIENTS = "/organisations/acme/clients"


async def names(admin, query=""):
    """List the names of clients."""
    return [each["name"] for each in (await admin.get(CLIENTS, query))["items"]]


@pytest.fixture
async def many(admin):
    """Make clients a to e, of which b is disabled and c has ended."""
    for name in "badec":
        made = await admin.make(CLIENTS, {"name": name, "scopes": ["read"]})
        if name == "b":
            await admin.make(f"{CLIENTS}/{made['id']}/disable", status=200)
        if name == "c":
            assert (await admin.call("DELETE", f"{CLIENTS}/{made['id']}")).status == 200
    return admin


async def walk(admin, query):
    """Follow the pages of a list to its end."""
    found, cursor = [], None
    while True:
        shown = await admin.get(CLIENTS, query + (f"&cursor={cursor}" if cursor else ""))
        found += [each["name"] for each in shown["items"]]
        cursor = shown["next"]
        if cursor is None:
            return found


@pytest.mark.parametrize("sort", ["name", "-name", "created_at", "-created_at"])
@pytest.mark.parametrize("limit", [1, 2, 200])
async def test_pages(many, sort, limit):
    """Pages of any size show every item once, in order, also where items were made in one moment."""
    whole = await names(many, f"sort={sort}&limit=200")
    assert await walk(many, f"sort={sort}&limit={limit}") == whole
    by_name = sorted(whole) if sort == "name" else sorted(whole, reverse=True)
    assert "name" not in sort or whole == by_name


async def test_filters(many):
    """A list shows what fits all its filters."""
    assert await names(many, "name=a") == ["a"]
    assert await names(many, "disabled=true") == ["b"]
    assert await names(many, "ended=true") == ["c"]
    assert await names(many, "ended=true&disabled=true") == []
    assert "mend" not in await names(many, "dialects=oauth2&public=false")


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("sort=secret", "sort"),
        ("sort=name,created_at", "sort"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=a", "limit"),
        ("limit=1&limit=2", "limit"),
        ("version=1", "version"),
        ("name[]=a", "name[]"),
        ("ended=1", "ended"),
    ],
)
async def test_lists_take_what_is_allowed(admin, query, parameter):
    """AD-03: a sort, filter or limit that is not on the list is refused by its name."""
    problem = await refused(admin, "GET", CLIENTS, 400, query=query)
    assert [each["parameter"] for each in problem["errors"]] == [parameter]


async def test_cursors_are_ours(many):
    """AD-03, TN-03: a cursor that was altered, or is of another list, order, filter or caller, is refused."""
    cursor = (await many.get(CLIENTS, "limit=1&sort=name"))["next"]
    flipped = ("B" if cursor[0] == "A" else "A") + cursor[1:]
    bound = Admin(many.here, await token_for(many.here, slug="acme"))
    digester = many.here.local.digester
    digester.tag = many.here.bring_pepper().tag
    forged = (await many.get(CLIENTS, "limit=1&sort=name"))["next"]
    del digester.tag
    for admin, path, query in (
        (many, CLIENTS, f"sort=name&cursor={forged}"),
        (many, CLIENTS, f"sort=name&cursor={flipped}"),
        (many, CLIENTS, f"sort=name&cursor={cursor}A"),
        (many, CLIENTS, f"sort=name&cursor={cursor}%3D"),
        (many, CLIENTS, "sort=name&cursor=x"),
        (many, CLIENTS, f"sort=-name&cursor={cursor}"),
        (many, CLIENTS, f"sort=name&disabled=false&cursor={cursor}"),
        (many, "/organisations/globex/clients", f"sort=name&cursor={cursor}"),
        (many, "/organisations", f"sort=name&cursor={cursor}"),
        (bound, CLIENTS, f"sort=name&cursor={cursor}"),
    ):
        problem = await refused(admin, "GET", path, 400, query=query)
        assert "cursor" in problem["detail"]
    assert (await many.call("GET", CLIENTS, query=f"sort=name&limit=7&cursor={cursor}")).status == 200


async def test_versions(admin):
    """A change names the version that it is for: none is 428, another than the newest 412, nonsense 400."""
    made = await admin.call("POST", CLIENTS, {"name": "a"})
    path = made.header("location").removeprefix(BASE)
    assert made.header("etag") == '"0"'
    await refused(admin, "PATCH", path, 428, {"name": "b"})
    changed = await admin.call("PATCH", path, {"name": "b"}, version=0)
    assert (changed.status, changed.header("etag"), changed.json["version"]) == (200, '"1"', 1)
    await refused(admin, "PATCH", path, 412, {"name": "c"}, version=0)
    for tag in ("*", 'W/"1"', '"1", "2"', '"a"', "1"):
        await refused(admin, "PATCH", path, 400, {"name": "c"}, headers={"If-Match": tag})
    assert (await admin.get(path))["name"] == "b"


async def test_of_two_changes_at_once_one_wins(admin):
    """Two changes to one version are not both made, however they meet."""
    made = await admin.make(CLIENTS, {"name": "a"})
    path = f"{CLIENTS}/{made['id']}"
    answers = await asyncio.gather(
        *(admin.call("PATCH", path, {"name": name}, version=0) for name in ("b", "c"))
    )
    assert sorted(answer.status for answer in answers) == [200, 412]
    winner = next(answer for answer in answers if answer.status == 200)
    assert (await admin.get(path))["name"] == winner.json["name"]


async def test_a_change_keeps_what_it_does_not_name(admin):
    """A change touches the members it names; null empties one that may be empty."""
    body = {"name": "a", "scopes": ["read"], "max_lifetime_seconds": 60}
    made = await admin.make(CLIENTS, body)
    path = f"{CLIENTS}/{made['id']}"
    changed = (await admin.call("PATCH", path, {"scopes": ["read", "write"]}, version=0)).json
    assert (changed["name"], changed["scopes"], changed["max_lifetime_seconds"]) == (
        "a",
        ["read", "write"],
        60,
    )
    cleared = (await admin.call("PATCH", path, {"max_lifetime_seconds": None}, version=1)).json
    assert cleared["max_lifetime_seconds"] is None
    same = await admin.call("PATCH", path, {"name": "a"}, version=2)
    assert (same.status, same.header("etag")) == (200, '"2"')
    await refused(admin, "PATCH", path, 400, {"name": ""}, version=2)
    await refused(admin, "PATCH", path, 400, {"name": None}, version=2)


@pytest.mark.parametrize(
    ("member", "says"),
    [
        ("id", "cannot be set"),
        ("organisation_id", "cannot be set"),
        ("version", "cannot be set"),
        ("ended_at", "cannot be set"),
        ("epoch", "is not known here"),
        ("a/b~c", "is not known here"),
    ],
)
async def test_members_are_named(admin, member, says):
    """AD-02: a member that is unknown or not to be set is refused by its name."""
    made = await admin.make(CLIENTS, {"name": "a"})
    for method, path, version in (("POST", CLIENTS, None), ("PATCH", f"{CLIENTS}/{made['id']}", 0)):
        problem = await refused(admin, method, path, 400, {"name": "b", member: 1}, version=version)
        pointer = "#/" + member.replace("~", "~0").replace("/", "~1")
        assert problem["errors"] == [{"pointer": pointer, "detail": says}]


async def test_a_key_makes_it_happen_once(admin):
    """A create by an idempotency key that is sent again is done once and answered alike, secret too."""
    client = (await admin.make(CLIENTS, {"name": "a"}))["id"]
    path = f"{CLIENTS}/{client}/secrets"
    first, second = [await admin.call("POST", path, {"name": "s"}, key="one") for _ in range(2)]
    assert (first.status, first.body, first.header("location"), first.header("etag")) == (
        second.status,
        second.body,
        second.header("location"),
        second.header("etag"),
    )
    assert first.json["secret"].startswith("kt_cs_")
    assert len((await admin.get(path))["items"]) == 1
    await refused(admin, "POST", path, 422, {"name": "t"}, key="one")
    await refused(admin, "POST", CLIENTS, 422, {"name": "s"}, key="one")
    other = Admin(admin.here, await token_for(admin.here))
    assert (await other.call("POST", path, {"name": "s"}, key="one")).status == 201
    admin.here.clock.advance(86_401)
    await refused(admin, "POST", path, 409, {"name": "s"}, key="one")  # a third secret, so it was tried anew


async def test_a_key_in_the_same_moment(admin):
    """Of requests by one key that meet, one is done; the others are told so or answered the same."""
    answers = await asyncio.gather(
        *(admin.call("POST", CLIENTS, {"name": "twin"}, key="two") for _ in range(5))
    )
    assert {answer.status for answer in answers} <= {201, 409}
    assert len({answer.body for answer in answers if answer.status == 201}) == 1
    assert await names(admin, "name=twin") == ["twin"]


async def test_a_refused_request_leaves_its_key_free(admin):
    """A key whose request was refused was not used."""
    await refused(admin, "POST", CLIENTS, 400, {"name": "", "scopes": ["a"]}, key="three")
    assert (await admin.call("POST", CLIENTS, {"name": "b"}, key="three")).status == 201


async def test_a_kept_answer_is_sealed(admin):
    """HT-07: the answer that is kept for a key is sealed, and the key itself is not kept."""
    client = (await admin.make(CLIENTS, {"name": "a"}))["id"]
    made = await admin.make(f"{CLIENTS}/{client}/secrets", {"name": "s"}, key="my-key")
    rows = repr(list(admin.here.store._shelf.rows.values()))
    assert made["secret"] not in rows
    assert "my-key" not in rows


@pytest.mark.parametrize("key", ["", "a" * 256, "a b", "\x7f"])
async def test_keys_are_short_and_visible(admin, key):
    """An idempotency key is 1 to 255 visible ASCII characters; an empty one is not as good as none."""
    problem = await refused(admin, "POST", CLIENTS, 400, {"name": "a"}, key=key)
    assert problem["errors"][0]["header"] == "idempotency-key"


@pytest.mark.parametrize(
    ("method", "path", "status", "options"),
    [
        ("GET", "/nothing", 404, {}),
        ("GET", "/", 404, {}),
        ("PUT", CLIENTS, 405, {}),
        ("POST", CLIENTS, 415, {"body": b"name=a", "headers": {"Content-Type": "text/plain"}}),
        ("POST", CLIENTS, 400, {"body": b"{"}),
        ("POST", CLIENTS, 400, {"body": b"[]"}),
        ("POST", CLIENTS, 400, {"body": b'{"name": "a", "name": "b"}'}),
        ("POST", CLIENTS, 400, {"body": b'{"name": "a\\u0000b"}'}),
        ("POST", CLIENTS, 400, {"body": {"name": 7}}),
        ("POST", CLIENTS, 400, {}),
    ],
)
async def test_problems(admin, method, path, status, options):
    """HT-01, HT-02: whatever is wrong is told as a problem (RFC 9457), and a wrong method names the right."""
    body = options.pop("body", None)
    headers = options.get("headers", {})
    if headers:
        sent = [("Authorization", f"Bearer {admin.token}"), *headers.items()]
        answer = await admin.here.ask(method, BASE + path, headers=sent, body=body)
    else:
        answer = await admin.call(method, path, body)
    assert (answer.status, answer.header("content-type")) == (status, "application/problem+json")
    assert {"type", "title", "status", "instance"} <= answer.json.keys()
    if status == 405:
        assert answer.header("allow") == "GET, HEAD, POST"
    assert answer.header("cache-control") == "no-store"


async def test_a_fault_shows_nothing(admin):
    """HT-08: a fault of ours is a problem with a request id and nothing more."""
    admin.here.local.digester.raises = RuntimeError("it stands at line 7")
    problem = await refused(admin, "GET", CLIENTS, 500)
    assert "line" not in str(problem)


async def test_too_large(admin):
    """HT-01: a body over the limit is refused as a problem."""
    headers = [("Authorization", f"Bearer {admin.token}"), ("Content-Type", "application/json")]
    answer = await admin.here.ask("POST", BASE + CLIENTS, headers=headers, oversized=True)
    assert answer.status == 413


async def test_reading_the_head(admin):
    """HEAD is answered as GET without a body."""
    headers = [("Authorization", f"Bearer {admin.token}")]
    answer = await admin.here.ask("HEAD", f"{BASE}/organisations/acme", headers=headers)
    assert (answer.status, answer.body) == (200, b"")
