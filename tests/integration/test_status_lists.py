"""Status lists over the whole road: what an API can know of a token without asking (RV-02 to RV-04)."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta

import pytest

from harness import PUBLIC_URL, Deployment, deployment
from integration.renewal import FORM, another_caller, demo_caller
from integration.status_reading import bit, claims_of, fetched, named, statuses
from integration.test_endings import Operator
from keyturn.app import profiles
from keyturn.core.changes import Rewind
from keyturn.core.errors import Unavailable
from keyturn.core.status_records import StatusBlock
from keyturn.core.vocabulary import Reason
from keyturn.dialects import load_dialects
from keyturn.seeding import OTHER

DAY = 86_400


@pytest.fixture
async def here():
    """Open a deployment whose tokens name status lists."""
    async with deployment(status_lists=True) as opened:
        yield opened


def blocks(here: Deployment) -> list[StatusBlock]:
    """Give the rows of all blocks."""
    return here.store._shelf.all(StatusBlock)


async def test_a_fresh_token(here: Deployment) -> None:
    """The claim is as the draft has it, the list proves by the organisation's keys, and says valid."""
    token = (await demo_caller(here).begin("read"))["access_token"]
    assert claims_of(token)["status"].keys() == {"status_list"}
    uri, number = named(token)
    claims = await fetched(here, uri)
    assert bit(claims, number) == 0
    assert claims["exp"] - claims["iat"] == 2 * claims["ttl"] == 120
    answer = await here.ask("GET", uri.removeprefix(PUBLIC_URL))
    assert answer.header("cache-control") == "public, max-age=60"
    head = await here.ask("HEAD", uri.removeprefix(PUBLIC_URL))
    assert (head.status, head.body) == (200, b"")
    assert (await here.ask("POST", uri.removeprefix(PUBLIC_URL))).status == 405


async def test_a_revoked_token_alone(here: Deployment) -> None:
    """RV-01: the bit of a revoked token is 1 and no neighbour's; revoking twice changes nothing."""
    caller = demo_caller(here)
    tokens = [(await caller.begin("read"))["access_token"] for _ in range(9)]
    assert len(set(map(named, tokens))) == 9
    for _ in range(2):
        await caller.post("revoke", token=tokens[4])
    assert await statuses(here, *tokens) == [0, 0, 0, 0, 1, 0, 0, 0, 0]
    claims = await fetched(here, named(tokens[4])[0])
    assert sum(bit(claims, number) for number in range(64)) == 1


@pytest.mark.parametrize("what", ["secret", "client", "organisation"])
async def test_disabling_and_enabling(here: Deployment, what: str) -> None:
    """RV-04: all tokens of what is disabled are 1, others' are 0, and enabling revives none."""
    caller, other = await another_caller(here), await another_caller(here)
    operator = Operator(here, caller)
    old = [(await caller.begin("read"))["access_token"] for _ in range(6)]
    others = (await other.begin("read"))["access_token"]
    await operator.switch(what, "disable")
    spared = 1 if what == "organisation" else 0
    assert await statuses(here, *old, others) == [1] * 6 + [spared]
    await operator.switch(what, "enable")
    new = (await caller.begin("read"))["access_token"]
    assert await statuses(here, *old, others, new) == [1] * 6 + [spared, 0]


async def test_an_overlap_that_passes(here: Deployment) -> None:
    """RV-04: what time alone ends is 1 as well."""
    caller = await another_caller(here)
    await Operator(here, caller).rotate(timedelta(seconds=90))
    token = (await caller.begin("read"))["access_token"]
    here.clock.advance(88)
    assert await statuses(here, token) == [0]
    assert await statuses(here, token) == [1]


async def test_a_store_that_was_set_back(here: Deployment) -> None:
    """RE-09: after a restore old lists are gone, and a server that goes on begins another."""
    caller = demo_caller(here)
    old = named((await caller.begin("read"))["access_token"])[0]
    await here.change(Rewind(here.clock.now()))
    new = (await caller.begin("read"))["access_token"]
    assert await statuses(here, new) == [0]
    assert (await here.ask("GET", old.removeprefix(PUBLIC_URL))).status == 404
    assert named(new)[0] != old


async def test_a_family(here: Deployment) -> None:
    """RV-02: revoking a refresh token sets the bits of all its family's tokens, and of no other family's."""
    caller = demo_caller(here)
    first, other = await caller.begin(), await caller.begin()
    renewed = [first]
    for _ in range(5):
        renewed.append(await caller.renewed(renewed[-1]["refresh_token"]))
    await caller.post("revoke", token=renewed[-1]["refresh_token"])
    tokens = [each["access_token"] for each in (*renewed, other)]
    assert await statuses(here, *tokens) == [1] * 6 + [0]


async def test_a_user(here: Deployment) -> None:
    """A user's token names a list too; it dies with the client that asked."""
    shown = here.members["acme"]["oauth2"]
    body = (
        f"grant_type=password&client_id={shown['public_client_id']}"
        f"&username={shown['username']}&password={shown['password']}"
    )
    answer = await here.ask("POST", "/o/acme/oauth2/token", headers=[FORM], body=body.encode())
    token = answer.json["access_token"]
    assert await statuses(here, token) == [0]
    client = await here.client(shown["public_client_id"])
    await here.replace(client, disabled=True, epoch=client.epoch + 1)
    assert await statuses(here, token) == [1]


async def test_rows_grow_with_groups(here: Deployment) -> None:
    """A row stands for ever more tokens: 200 of a client take six."""
    caller = demo_caller(here)
    found = [named((await caller.begin("read"))["access_token"]) for _ in range(200)]
    assert len(set(found)) == 200
    assert [each.size for each in blocks(here)] == [4, 8, 16, 32, 64, 128]
    numbers = [number for _, number in found]
    assert numbers[100:] != sorted(numbers[100:])


async def test_many_at_once(here: Deployment) -> None:
    """Concurrent first tokens wait for one block after another: no two have a place, few rows are made."""
    caller = demo_caller(here)
    found = await asyncio.gather(*(caller.begin("read") for _ in range(40)))
    assert len({named(each["access_token"]) for each in found}) == 40
    assert [each.size for each in blocks(here)] == [4, 8, 16, 32]


async def test_a_block_is_not_used_for_ever(here: Deployment) -> None:
    """No token outlives its block's row."""
    caller = demo_caller(here)
    await caller.begin("read")
    here.clock.advance(6 * 3600 + 1)
    token = (await caller.begin("read"))["access_token"]
    assert len(blocks(here)) == 2
    kept = {
        each.list_id + "." + str(number): each
        for each in blocks(here)
        for number in range(each.first, each.first + each.size)
    }
    uri, number = named(token)
    row = kept[f"{uri.rpartition('/')[2]}.{number}"]
    assert row.expires_at.timestamp() >= claims_of(token)["exp"]


async def test_a_token_that_was_not_recorded(here: Deployment) -> None:
    """Where the unit fails nobody has the block: the next token brings a row of its own."""
    caller = demo_caller(here)
    here.store.recorder.raises = Unavailable(Reason.STORE_UNAVAILABLE)
    assert (await caller.post("token", grant_type="client_credentials")).status == 503
    here.store.recorder.raises = None
    token = (await caller.begin("read"))["access_token"]
    [block] = blocks(here)
    assert block.first <= named(token)[1] < block.first + block.size
    assert block.first == 4
    await Operator(here, caller).switch("client", "disable")
    assert await statuses(here, token) == [1]


async def test_a_store_that_is_away_is_asked_once(here: Deployment, monkeypatch) -> None:
    """RE-05: whoever waited for a block that was not recorded waits for no second one in its turn."""
    came, gate = asyncio.Semaphore(0), asyncio.Event()

    async def record(_: object) -> None:
        came.release()
        await gate.wait()
        raise Unavailable(Reason.STORE_UNAVAILABLE)

    monkeypatch.setattr(here.store.recorder, "_port", type("Port", (), {"record": staticmethod(record)}))
    caller = demo_caller(here)
    asked = [asyncio.create_task(caller.post("token", grant_type="client_credentials")) for _ in range(5)]
    await came.acquire()
    gate.set()
    gate.clear()
    async with asyncio.timeout(5):
        for _ in asked[1:]:
            await came.acquire()
    gate.set()
    assert [answer.status for answer in await asyncio.gather(*asked)] == [503] * 5


async def test_a_full_list(here: Deployment) -> None:
    """A list that is full is followed by another, and both are published and listed."""
    here.desk._services.places.list_size = 8
    caller = demo_caller(here)
    tokens = [(await caller.begin("read"))["access_token"] for _ in range(20)]
    uris = {named(token)[0] for token in tokens}
    assert len(uris) == 3
    metadata = await here.ask("GET", "/o/acme/.well-known/oauth-authorization-server")
    index = metadata.json["status_list_aggregation_endpoint"]
    answer = await here.ask("GET", index.removeprefix(PUBLIC_URL))
    assert set(answer.json["status_lists"]) == uris
    assert (await fetched(here, named(tokens[0])[0]))["status_list"]["aggregation_uri"] == index
    await Operator(here, caller).switch("secret", "end")
    assert await statuses(here, *tokens) == [1] * 20


async def test_what_is_not_there(here: Deployment) -> None:
    """TN-03: another organisation's list, an unknown one and a dropped one look like nothing there is."""
    uri, _ = named((await demo_caller(here).begin("read"))["access_token"])
    path = uri.removeprefix(PUBLIC_URL)
    nothing = await here.ask("GET", "/nothing/here")
    assert nothing.status == 404
    for wrong in (
        path.replace("/acme/", f"/{OTHER}/"),
        path[:-1] + "_",
        path[:-12] + "0" * 12,
        "/o/none/status",
    ):
        assert (await here.ask("GET", wrong)).seen() == nothing.seen()
    here.clock.advance(6 * 3600 + 600 + DAY)
    for cleaner in ("status_block", "status_mark"):
        await here.store.upkeep.sweep(cleaner, here.clock.now(), 100)
    assert (await here.ask("GET", path)).status == 200
    here.clock.advance(1)
    await here.store.upkeep.sweep("status_block", here.clock.now(), 100)
    assert (await here.ask("GET", path)).seen() == nothing.seen()


async def test_nobody_can_tell(here: Deployment) -> None:
    """HT-09: where memory is not current there is no list, rather than an old one."""
    uri, _ = named((await demo_caller(here).begin("read"))["access_token"])
    await fetched(here, uri)
    here.store.registry.raises = Unavailable(Reason.CACHE_STALE)
    answer = await here.ask("GET", uri.removeprefix(PUBLIC_URL))
    assert (answer.status, answer.header("cache-control")) == (503, "no-store")
    assert answer.header("retry-after")


async def test_made_once_a_second(here: Deployment) -> None:
    """However many ask, a list is signed once a second."""
    uri, _ = named((await demo_caller(here).begin("read"))["access_token"])
    path = uri.removeprefix(PUBLIC_URL)
    answers = await asyncio.gather(*(here.ask("GET", path) for _ in range(5)))
    assert len({each.body for each in answers}) == 1
    here.clock.advance(1)
    assert (await here.ask("GET", path)).body != answers[0].body


class Toiling:
    """A reader that takes half a second for everything, and counts how often it is asked."""

    def __init__(self, here: Deployment) -> None:
        """Stand before a deployment's."""
        self._here = here
        self.asked = 0

    async def content(self, *names: str) -> object:
        """Read what is in a list."""
        return await self._toil(self._here.store.status.content(*names))

    async def lists(self, *names: str) -> object:
        """Name lists."""
        return await self._toil(self._here.store.status.lists(*names))

    async def _toil(self, found: Awaitable[object]) -> object:
        self.asked += 1
        self._here.clock.advance(0.5)
        return await found


async def test_a_stranger_who_asks_for_everything(here: Deployment) -> None:
    """RE-10: lists and index take a tenth of the time, and get no older than they may be kept."""
    uri, _ = named((await demo_caller(here).begin("read"))["access_token"])
    path = uri.removeprefix(PUBLIC_URL)
    reader = here.desk._status_lists._reader = Toiling(here)
    for _ in range(12):
        await asyncio.gather(*(here.ask("GET", each) for each in (path, "/o/acme/status") for _ in range(5)))
        here.clock.advance(1)
    assert reader.asked == 4
    here.clock.advance(60)
    await here.ask("GET", path)
    assert reader.asked == 5


async def test_made_up_names_push_nothing_out(here: Deployment) -> None:
    """RE-10: whoever asks for lists that are not there does not have the others made again."""
    uri, _ = named((await demo_caller(here).begin("read"))["access_token"])
    path = uri.removeprefix(PUBLIC_URL)
    first = (await here.ask("GET", path)).body
    for number in range(300):
        assert (await here.ask("GET", f"{path[:-12]}{number:012d}")).status == 404
    assert (await here.ask("GET", path)).body == first


async def test_off() -> None:
    """By default no token names a list, metadata tells of none, and there is no row."""
    async with deployment() as here:
        token = (await demo_caller(here).begin("read"))["access_token"]
        assert "status" not in claims_of(token)
        metadata = await here.ask("GET", "/o/acme/.well-known/oauth-authorization-server")
        assert "status_list_aggregation_endpoint" not in metadata.json
        assert blocks(here) == []


def test_whose_tokens_have_a_status() -> None:
    """Kinds of tokens whose issuer is an organisation's own name a list; those of a shared issuer do not."""
    kinds = profiles(load_dialects())
    listed = {kind.partition(".")[0] for kind, profile in kinds.items() if profile.has_status}
    bare = {kind.partition(".")[0] for kind, profile in kinds.items() if not profile.has_status}
    assert listed == {"oauth2", "endorsed", "mend"}
    assert bare == {"checkmarx", "sahamati", "vmware-csp"}
