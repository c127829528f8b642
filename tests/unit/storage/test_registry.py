"""The registry's memory: what it keeps, what it forgets, and what it must never keep."""

import asyncio
from datetime import date

import pytest

from contract.people_kit import api_token, membership, user
from contract.store_kit import ACME, BETA, client, credential, organisation
from keyturn.core.clock import SystemClock
from keyturn.core.views import ClientView, UserView
from keyturn.storage.feed import Confirmation, News
from keyturn.storage.ground import Point
from keyturn.storage.registry import CachedRegistry
from keyturn.storage.topics import LAST_USE


class SlowReads:
    """Answers when told to, and counts the questions."""

    def __init__(self):
        self.answers = {}
        self.asked = []
        self.gate = asyncio.Event()

    async def client_view(self, client_id):
        self.asked.append(client_id)
        answer = self.answers.get(client_id)  # read now, given later: what a race is made of
        await self.gate.wait()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def organisation_by_slug(self, slug):
        return await self.client_view(slug)


def view(name="client-1", organisation_id=ACME, version=0):
    return ClientView(
        organisation(organisation_id),
        client(name, organisation_id, version=version),
        (credential(f"cred-of-{name}", name, organisation_id),),
    )


@pytest.fixture
def reads():
    made = SlowReads()
    made.answers = {name: view(name) for name in ("client-1", "client-2", "client-3")}
    made.answers["beta-1"] = view("beta-1", BETA)
    made.answers["slug-org-acme"] = organisation()
    return made


@pytest.fixture
def feed():
    return Confirmation(SystemClock())


@pytest.fixture
def registry(reads, feed):
    return CachedRegistry(reads, feed, limit=2)


async def settle():
    """Let every task run as far as it can."""
    for _ in range(3):
        await asyncio.sleep(0)


def touch(feed, *touched):
    feed.apply(News(Point(feed.at.version + 1), touched, 0.0))


async def test_concurrent_misses_share_one_read(registry, reads):
    """Many who ask for one key at once cause one read, and the next who asks none."""
    waiting = [asyncio.create_task(registry.find_client("client-1")) for _ in range(10)]
    await settle()
    reads.gate.set()
    assert await asyncio.gather(*waiting) == [view()] * 10
    assert await registry.find_client("client-1") == view()
    assert reads.asked == ["client-1"]


async def test_one_who_leaves_does_not_take_the_answer_along(registry, reads):
    """Cancelling the first of those who share a read leaves the others their answer."""
    first, other = (asyncio.create_task(registry.find_client("client-1")) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    reads.gate.set()
    assert await other == view()


@pytest.mark.parametrize(
    "touched", [("client", "client-1"), ("credential", "client-1"), ("organisation", ACME), ("*", "*")]
)
async def test_a_value_read_before_a_change_is_not_kept_after_it(registry, reads, feed, touched):
    """A read overtaken by a change of its key is answered but not kept, nor joined by those who ask later."""
    early = asyncio.create_task(registry.find_client("client-1"))
    await settle()
    reads.answers["client-1"] = view(version=1)
    touch(feed, touched)
    late = asyncio.create_task(registry.find_client("client-1"))
    await settle()
    reads.gate.set()
    assert await early == view()
    assert await late == view(version=1)
    assert await registry.find_client("client-1") == view(version=1)
    assert registry.versions["client", "client-1"] == 1
    assert reads.asked == ["client-1"] * 2


async def test_absence_is_kept_until_something_appears(registry, reads, feed):
    """A slug that does not exist is asked for once, until the feed names it."""
    reads.gate.set()
    for _ in range(3):
        assert await registry.find_organisation("slug-new") is None
    assert reads.asked == ["slug-new"]
    reads.answers |= {"slug-new": organisation("org-new", slug="slug-new")}
    touch(feed, ("organisation", "org-new"))
    assert (await registry.find_organisation("slug-new")).id == "org-new"


async def test_what_no_organisation_is_called_is_not_kept(registry, reads):
    """RE-10: made-up names of kilobytes take no room in memory, however many come."""
    reads.gate.set()
    for _ in range(2):
        assert await registry.find_organisation("x" * 101) is None
        assert await registry.find_organisation("x" * 100) is None
    assert [len(each) for each in reads.asked] == [101, 100, 101]


async def test_an_unknown_client_costs_a_read_each_time(registry, reads):
    """TE-09: the absence of a client is never answered from memory."""
    reads.gate.set()
    for _ in range(3):
        assert await registry.find_client("new") is None
    assert reads.asked == ["new"] * 3


async def test_what_memory_has_is_told(registry, reads, feed):
    """TE-09: a client is remembered once it was read and until it is touched, one that is nobody's never."""
    reads.gate.set()
    known = [registry.remembered_client("client-1")]
    found = await registry.find_client("client-1")
    known.append(registry.remembered_client("client-1"))
    touch(feed, ("client", "client-1"))
    known.append(registry.remembered_client("client-1"))
    await registry.find_client("new")
    assert [*known, registry.remembered_client("new")] == [None, found, None, None]
    assert found is not None


async def test_failures_are_not_kept(registry, reads):
    """A read that failed is tried again by the next who asks."""
    reads.gate.set()
    reads.answers["client-1"] = OSError("disk")
    with pytest.raises(OSError, match="disk"):
        await registry.find_client("client-1")
    reads.answers["client-1"] = view()
    assert await registry.find_client("client-1") == view()


async def test_an_organisations_change_forgets_its_clients_only(registry, reads, feed):
    """A change of an organisation forgets every client under it and nobody else's."""
    reads.gate.set()
    await registry.find_client("client-1")
    await registry.find_client("beta-1")
    await registry.find_organisation("slug-org-acme")
    touch(feed, ("organisation", ACME))
    assert ("client", "client-1") not in registry.versions
    assert ("organisation", ACME) not in registry.versions
    assert registry.versions["client", "beta-1"] == 0
    await registry.find_client("beta-1")
    assert reads.asked.count("beta-1") == 1
    await registry.find_organisation("slug-org-acme")
    assert reads.asked.count("slug-org-acme") == 2


async def test_memory_is_bounded(registry, reads):
    """Beyond its limit the registry forgets the least recently used client, its versions too."""
    reads.gate.set()
    for name in ("client-1", "client-2", "client-1", "client-3"):
        await registry.find_client(name)
    kept = {key for table, key in registry.versions if table == "client"}
    assert kept == {"client-1", "client-3"}
    for name in ("beta-1", "client-2", "client-3"):
        await registry.find_client(name)
    assert ("organisation", BETA) not in registry.versions
    assert len(registry.versions) == 5


class People:
    """Answers about people from the same place."""

    def __init__(self, reads):
        self._reads = reads

    async def user_view(self, user_id):
        return await self._reads.client_view(user_id)

    async def entity_view(self, entity_id):
        return await self._reads.client_view(entity_id)

    async def user_by_email(self, email):
        return await self._reads.client_view(email)


def user_view(name="user-1", version=0, **fields):
    """Make a view of a user at home in one organisation and a member of another."""
    there = membership(f"member-{name}", name, BETA)
    held = (api_token(f"token-{name}", name),)
    return UserView(
        organisation(), user(name, version=version, **fields), held, (there,), (organisation(BETA),)
    )


@pytest.fixture
def people(reads):
    """Know three users by id and address, and an entity that has a client's id."""
    reads.people = People(reads)
    for name in ("user-1", "user-2", "user-3"):
        reads.answers |= {name: user_view(name), f"{name}@example.org": user(name)}
    reads.gate.set()
    return reads


@pytest.mark.parametrize(
    "touched",
    [
        ("user", "user-1"),
        ("membership", "user-1"),
        ("credential", "user-1"),
        ("organisation", ACME),
        ("organisation", BETA),
        ("*", "*"),
    ],
)
async def test_a_users_view_goes_with_what_it_rests_on(registry, people, feed, touched):
    """A user is read again after a change of anything that a token for them rests on, and all versions go."""
    await registry.find_user("user-1")
    assert set(registry.versions) == {
        ("user", "user-1"),
        ("membership", "member-user-1"),
        ("credential", "token-user-1"),
        ("organisation", ACME),
        ("organisation", BETA),
    }
    touch(feed, touched)
    assert registry.versions == {}
    people.answers["user-1"] = user_view(version=1)
    assert (await registry.find_user("user-1")).user.version == 1


async def test_a_name_that_is_on_its_way_is_not_joined_after_a_change(registry, people, feed):
    """Whoever asks for an address after a change does not join the read of one who asked before it."""
    people.gate.clear()
    early = asyncio.create_task(registry.find_user_by_email("new@example.org"))
    await settle()
    people.answers["new@example.org"] = user("user-1")
    people.answers["user-1"] = user_view(email="new@example.org")
    touch(feed, ("user", "user-1"))
    late = asyncio.create_task(registry.find_user_by_email("new@example.org"))
    await settle()
    people.gate.set()
    assert await early is None
    assert (await late).user.id == "user-1"


async def test_an_unknown_person_costs_a_read_each_time(registry, people):
    """TE-09, PW-04: the absence of a user, an address or an entity is never answered from memory."""
    for _ in range(3):
        assert await registry.find_user("new") is None
        assert await registry.find_user_by_email("new@x") is None
        assert await registry.find_entity("NEW") is None
    assert people.asked == ["new", "new@x", "NEW"] * 3


async def test_memory_of_people_is_bounded(registry, people):
    """Beyond its limit memory forgets the least recently used user with all versions, whoever shares some."""
    for name in ("user-1", "user-2", "client-1", "user-3"):
        await (registry.find_client(name) if name == "client-1" else registry.find_user(name))
    users = {key for table, key in registry.versions if table == "user"}
    assert users == {"user-2", "user-3"}
    assert ("membership", "member-user-1") not in registry.versions
    assert {("organisation", ACME), ("organisation", BETA), ("client", "client-1")} <= set(registry.versions)


async def test_a_day_of_use_is_noted_on_users_too(registry, people, feed):
    """A day of use of a user's token is taken over without a read."""
    await registry.find_user("user-1")
    touch(feed, (LAST_USE, "user-1|token-user-1|2026-03-02"))
    [held] = (await registry.find_user("user-1")).credentials
    assert held.last_used_on == date(2026, 3, 2)
    assert people.asked == ["user-1"]
