"""What one process changes, the others' memory of people follows within a poll."""

import pytest

from contract.people_kit import api_token, entity, membership, settle, settle_abroad, user
from contract.store_kit import ACME, BETA, NOW, credential, next_version, open_file, organisation, unit
from contract.test_store_on_disk import eventually
from keyturn.core.changes import Add, Lost, Prefer, Recorded, Replace, RequireVersion, Touch
from keyturn.core.life import Life
from keyturn.core.views import EntityView, Held, UserView
from keyturn.core.vocabulary import CredentialKind
from keyturn.storage.feed import STALE_SECONDS

GONE = Life(created_at=NOW).ended(NOW, "test")


@pytest.fixture
async def here(shared):
    """A store with a user who is a member of two organisations."""
    made = await open_file(shared)
    await settle(made)
    await settle_abroad(made)
    yield made
    await made.close()


@pytest.fixture
async def there(here, shared):
    """Another store at the same place, as another process would open it."""
    made = await open_file(shared)
    yield made
    await made.close()


FINDERS = {
    "user": lambda found: found.find_user("user-1"),
    "name": lambda found: found.find_user_at_home(ACME, "ada.user-1"),
    "address": lambda found: found.find_user_by_email("user-1@example.org"),
    "held": lambda found: found.find_held([b"hash of token-2"]),
    "entity": lambda found: found.find_entity("FIU-SIMULATOR"),
    "subject": lambda found: found.find_entity_by_subject("subject-of-FIU-SIMULATOR"),
    "organisation": lambda found: found.find_organisation_alias("key-org-beta"),
}
OF_A_USER = ("user", "name", "address", "held")
CHANGES = {
    "user": (next_version(user(), disabled=True), OF_A_USER),
    "membership": (next_version(membership("member-2", organisation_id=BETA), ended_at=NOW), OF_A_USER),
    "token": (next_version(api_token("token-2", organisation_id=BETA), scopes=("read",)), OF_A_USER),
    "new credential": (Add(api_token("new")), OF_A_USER),
    "new user key": (Add(credential("key", "user-1", kind=CredentialKind.USER_KEY)), OF_A_USER),
    "home": (next_version(organisation(), disabled=True), (*OF_A_USER, "entity", "subject")),
    "elsewhere": (next_version(organisation(BETA), disabled=True), (*OF_A_USER, "organisation")),
    "last use": (Touch(BETA, "user-1", "token-2", NOW.date()), OF_A_USER),
    "last organisation": (Prefer("user-1", ACME, BETA), OF_A_USER),
    "entity": (next_version(entity(), disabled=True), ("entity", "subject")),
    "entity's secret": (
        next_version(api_token("secret-1", "FIU-SIMULATOR", kind=CredentialKind.ENTITY_SECRET), life=GONE),
        ("entity", "subject"),
    ),
}


def of(finder):
    """Name the read that a finder cannot be spared."""
    return FINDERS[finder]


@pytest.mark.parametrize("name", CHANGES)
async def test_every_view_follows(here, there, name):
    """RV-04: what memory holds of a user, an entity or an organisation follows a change within a second."""
    change, finders = CHANGES[name]
    before = {each: await of(each)(there.registry) for each in FINDERS}
    assert await here.recorder.record(unit(change)) == Recorded()
    for each in finders:

        async def followed(each=each):
            return await of(each)(there.registry) != before[each]

        assert await eventually(followed, STALE_SECONDS), each
    for each in FINDERS:
        assert await of(each)(there.registry) == await of(each)(here.registry)
    untouched = set(FINDERS) - set(finders)
    assert all([await of(each)(there.registry) == before[each] for each in untouched])


async def test_a_new_owner_is_found_everywhere(here, there):
    """Whom another process has just made is found within a second, under every name asked for before."""
    new = user("user-9", BETA)
    token = api_token("token-9", "user-9", BETA)
    for _ in range(2):
        assert await there.registry.find_user_at_home(BETA, "ada.user-9") is None
        assert await there.registry.find_user_by_email("user-9@example.org") is None
        assert await there.registry.find_held([b"hash of token-9"]) is None
        assert await there.registry.find_organisation_alias("org-gamma") is None
    gamma = organisation("org-gamma")
    assert await here.recorder.record(unit(Add(gamma), Add(new), Add(token))) == Recorded()
    view = UserView(organisation(BETA), new, (token,), (), ())

    async def found():
        return await there.registry.find_organisation_alias("org-gamma") == gamma

    assert await eventually(found, STALE_SECONDS)
    assert await there.registry.find_user_at_home(BETA, "ada.user-9") == view
    assert await there.registry.find_user_by_email("user-9@example.org") == view
    assert await there.registry.find_held([b"hash of token-9"]) == Held(token, view)


async def test_an_address_that_changes_hands(here, there):
    """An address that memory knows as one user's leads to the other within a second of its moving."""
    assert (await there.registry.find_user_by_email("user-1@example.org")).user.id == "user-1"
    heir = user("user-9", BETA, email="user-1@example.org")
    changes = next_version(user(), email=None), Add(heir)
    assert await here.recorder.record(unit(*changes)) == Recorded()

    async def moved():
        found = await there.registry.find_user_by_email("user-1@example.org")
        return found is not None and found.user.id == "user-9"

    assert await eventually(moved, STALE_SECONDS)


async def test_warm_memory_is_overtaken(here, there):
    """RV-04: what another process has ended is not good enough for a token, however warm memory is."""
    await there.registry.find_user("user-1")
    await there.registry.find_entity("FIU-SIMULATOR")
    for needs, change in (
        (RequireVersion("membership", "member-2", 0), CHANGES["membership"][0]),
        (RequireVersion("user", "user-1", 0), CHANGES["user"][0]),
        (RequireVersion("entity", "FIU-SIMULATOR", 0), CHANGES["entity"][0]),
    ):
        assert isinstance(change, Replace)
        assert await there.recorder.record(unit(needs)) == Recorded()
        assert await here.recorder.record(unit(change)) == Recorded()
        assert await there.recorder.record(unit(needs)) == Lost(needs, change.record)


async def test_what_memory_answers_without_a_read(here):
    """Once read, every name of who exists is answered from memory, and versions too (design.md section 4)."""
    views = {each: await of(each)(here.registry) for each in FINDERS}
    here._reads.close()
    for each, view in views.items():
        assert await of(each)(here.registry) is view or isinstance(view, Held)
        assert isinstance(view, UserView | EntityView | Held | type(organisation()))
    needs = [("user", "user-1"), ("membership", "member-2"), ("entity", "FIU-SIMULATOR")]
    assert all(here.registry.versions[each] == 0 for each in needs)
