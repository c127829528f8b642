"""The store's contract for people and what they are in: one suite for every store."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from contract.people_kit import (
    api_token,
    entity,
    keep,
    membership,
    project,
    settle,
    settle_abroad,
    team,
    user,
)
from contract.store_kit import (
    ACME,
    BETA,
    NOW,
    client,
    credential,
    next_version,
    open_at,
    open_file,
    organisation,
    signing_key,
    unit,
)
from contract.test_endings import family
from keyturn.core.changes import Add, Lost, Prefer, Recorded, Remove, Replace, RequireVersion
from keyturn.core.errors import Fault
from keyturn.core.life import Life
from keyturn.core.tombstones import credential_tombstone, entity_tombstone, user_tombstone
from keyturn.core.views import ClientView, EntityView, UserView
from keyturn.core.vocabulary import CredentialKind, OwnerKind
from keyturn.storage.rows import row_of, table_of


@pytest.fixture
async def store(place):
    """A store of each kind with a user and an entity."""
    made = await open_at(place)
    await settle(made)
    yield made
    await made.close()


@pytest.fixture
async def kept(shared):
    """The same on disk only."""
    made = await open_file(shared)
    await settle(made)
    yield made
    await made.close()


def inside(store, organisation_id=ACME):
    """Narrow to one organisation."""
    return store.deployment.organisation_store(organisation_id)


async def record(store, *changes):
    """Commit changes across organisations."""
    return await store.recorder.record(unit(*changes))


FULL = user(
    "user-2",
    service=True,
    email_verified_at=NOW,
    given_name="Ada",
    family_name="Lovelace",
    mfa_required=True,
    last_organisation_id=ACME,
    disabled=True,
    epoch=3,
)


# --- what is written is read ---


async def test_people_come_back_as_they_were(store):
    """Every kind of record about people is read back equal to what was added."""
    own = inside(store)
    member = membership("member-2", "user-2", roles=("oauth2:viewer",), teams=("team-1",), epoch=2)
    child = team("team-2", name="Right", parent_id="team-1")
    rocket = project(teams=("team-1", "team-2"), open=True)
    machine = entity("AA-2", users=("user-1",), disabled=True, epoch=4)
    await keep(store, FULL, member, team(), child, rocket, machine)
    assert await own.user("user-2") == FULL
    assert await own.user_by_name(FULL.name) == FULL
    assert await own.users() == [user(), FULL]
    assert await own.membership("member-2") == await own.membership_of("user-2") == member
    assert await own.memberships() == [membership(), member]
    assert await own.team("team-2") == child
    assert await own.teams() == [team(), child]
    assert await own.project("project-1") == rocket
    assert await own.projects() == [rocket]
    assert await own.entity("AA-2") == machine
    assert await own.entities() == [machine, entity()]


async def test_what_credentials_families_and_keys_gained(store):
    """The fields that people's credentials, families and certified keys need are read back."""
    life = Life(created_at=NOW, expires_at=NOW, grace_until=NOW + timedelta(days=1))
    full = api_token("t", life=life, roles=("viewer",), verifier="$argon2id$", sealed=b"s", mfa=True)
    device = api_token("d", kind=CredentialKind.TOTP, accepted_step=59_000_000)
    members = family("f-1"), family("f-2")
    epochs = [(0, 0, 0, 0, 0), (0, 0, 0)]
    kept = [
        next_version(each, owner_kind=OwnerKind.USER, epochs=epoch).record
        for each, epoch in zip(members, epochs, strict=True)
    ]
    key = signing_key(certificate=b"der")
    await keep(store, full, device, *kept, key)
    assert await inside(store).credential("t") == full
    assert await inside(store).credential("d") == device
    assert [await store.registry.find_family(each.id) for each in kept] == kept
    assert await store.deployment.signing_keys(ACME) == [key]


async def test_projects_come_by_name_and_only_the_living(store):
    """Ended teams and projects are read by id only; living projects come by name."""
    await keep(
        store, team(), project(), project("project-2", name="Apollo"), project("project-3", name="Zeus")
    )
    gone = next_version(project("project-3", name="Zeus"), ended_at=NOW)
    assert await record(store, gone, next_version(team(), ended_at=NOW)) == Recorded()
    assert [each.name for each in await inside(store).projects()] == ["Apollo", "Rocket"]
    assert await inside(store).teams() == []
    assert await inside(store).project("project-3") == gone.record


async def test_views_across_organisations(store):
    """A user's view has the memberships and credentials of everywhere, oldest first, under any name."""
    await settle_abroad(store)
    later = next_version(organisation(BETA), name="Later").record
    assert await record(store, Replace(later, 0)) == Recorded()
    view = UserView(
        organisation(),
        user(),
        (api_token(), api_token("token-2", organisation_id=BETA)),
        (membership(), membership("member-2", organisation_id=BETA)),
        (organisation(), later),
    )
    found = store.registry
    assert await store.deployment.user_view("user-1") == await found.find_user("user-1") == view
    assert await found.find_user_at_home(ACME, "ada.user-1") == view
    assert await found.find_user_by_email("user-1@example.org") == view
    assert await store.deployment.user_by_email("user-1@example.org") == user()
    machine = EntityView(
        organisation(),
        entity(),
        (api_token("secret-1", "FIU-SIMULATOR", kind=CredentialKind.ENTITY_SECRET),),
    )
    assert await found.find_entity("FIU-SIMULATOR") == machine
    assert await found.find_entity_by_subject("subject-of-FIU-SIMULATOR") == machine
    assert await store.deployment.entity_by_id("FIU-SIMULATOR") == entity()
    for alias in (ACME, "key-org-acme"):
        assert await found.find_organisation_alias(alias) == organisation()
        assert await store.deployment.organisation_by_alias(alias) == organisation()


async def test_nobody_is_found(store):
    """What does not exist is found under no name."""
    found, wide = store.registry, store.deployment
    for _ in range(2):
        assert await found.find_user("nobody") is None
        assert await found.find_user_at_home(BETA, "ada.user-1") is None
        assert await found.find_user_at_home(ACME, "") is None
        assert await found.find_user_by_email("") is None
        assert await found.find_entity("fiu-simulator") is None
        assert await found.find_entity_by_subject("FIU-SIMULATOR") is None
        assert await found.find_organisation_alias("slug-org-acme") is None
        assert await found.find_held([b"x", b""]) is None
        assert await found.find_held([]) is None
    assert await wide.user_view("nobody") is None
    assert await wide.user_by_email("nobody") is None
    assert await wide.entity_by_id("nobody") is None
    assert await wide.organisation_by_alias("nobody") is None


async def test_held_by_users_and_clients(store):
    """A secret that says nothing of its owner leads to a user or a service account, in its organisation."""
    await settle_abroad(store)
    await keep(store, api_token("robot-token", "client-1"))
    held = await store.registry.find_held([b"other pepper", b"hash of token-2"])
    assert (held.credential.organisation_id, held.owner.user) == (BETA, user())
    robot = await store.registry.find_held([b"hash of robot-token"])
    view = ClientView(organisation(), client(), (credential(), api_token("robot-token", "client-1")))
    assert (robot.credential, robot.owner) == (view.credentials[1], view)
    assert await store.deployment.client_view("client-1") == view
    assert await store.registry.find_held([b"hash of secret-1"]) is None  # an entity names itself


async def test_a_secret_that_was_regenerated(store):
    """A secret that was found before leads nowhere once its credential has another one (RV-04)."""
    assert (await store.registry.find_held([b"hash of token-1"])).credential == api_token()
    fresh = next_version(api_token(), lookup_hash=b"fresh")
    assert await record(store, fresh) == Recorded()
    assert await store.registry.find_held([b"hash of token-1"]) is None
    assert (await store.registry.find_held([b"fresh"])).credential == fresh.record


# --- names ---


async def test_user_names_are_taken_in_their_home(store):
    """TK-15: a user name stays taken in its home after the user has ended, and is free in another home."""
    ended = next_version(user(), ended_at=NOW)
    assert await record(store, ended) == Recorded()
    again = Add(user("user-9", name="ada.user-1", email=None))
    assert await record(store, again) == Lost(again, ended.record)
    assert await record(store, Add(user("user-9", BETA, name="ada.user-1"))) == Recorded()


async def test_addresses_are_taken_in_the_deployment(store):
    """An e-mail address is one user's, wherever at home; users without one do not get in each other's way."""
    taken = Add(user("user-9", BETA, email="user-1@example.org"))
    assert await record(store, taken) == Lost(taken, user())
    assert await record(store, *(Add(user(f"none-{n}", email=None)) for n in range(2))) == Recorded()
    moved = next_version(user("none-0", email=None), email="user-1@example.org")
    assert await record(store, moved) == Lost(moved, user())
    assert await record(store, next_version(user(), email=None)) == Recorded()
    assert await record(store, moved) == Recorded()


async def test_another_organisations_address_is_not_shown(store):
    """TN-02: an organisation that asks for a taken address does not learn whose it is."""
    taken = Add(user("user-9", BETA, email="user-1@example.org"))
    assert await inside(store, BETA).record(unit(taken, organisation_id=BETA)) == Lost(taken, None)
    mine = user("user-9", BETA)
    assert await record(store, Add(mine)) == Recorded()
    wish = next_version(mine, email="user-1@example.org")
    assert await inside(store, BETA).record(unit(wish, organisation_id=BETA)) == Lost(wish, None)


async def test_a_pair_has_one_membership(store):
    """A user has one membership in an organisation, an ended one included, and as many as organisations."""
    ended = next_version(membership(), ended_at=NOW)
    assert await record(store, ended) == Recorded()
    again = Add(membership("member-9"))
    assert await record(store, again) == Lost(again, ended.record)
    assert await record(store, Add(membership("member-9", organisation_id=BETA))) == Recorded()


@pytest.mark.parametrize("parent", [None, "team-0"])
async def test_team_names_are_taken_beside_each_other(store, parent):
    """A team name is taken among living teams of one parent, without case, also where there is no parent."""
    first = team(parent_id=parent, name="Straße")
    await keep(store, first)
    again = team("team-2", parent_id=parent, name="STRASSE")
    assert await record(store, Add(again)) == Lost(Add(again), first)
    elsewhere = team("team-3", parent_id="team-1", name="STRASSE"), team("team-4", BETA, name="Straße")
    assert await record(store, *map(Add, elsewhere)) == Recorded()
    assert await record(store, next_version(first, ended_at=NOW), Add(again)) == Recorded()
    revived = Replace(next_version(first, ended_at=None).record, 0)
    ended = next_version(first, ended_at=NOW).record
    back = next_version(ended, ended_at=None)
    assert await record(store, revived) == Lost(revived, ended)
    assert await record(store, back) == Lost(back, again)


async def test_project_names_are_taken_among_the_living(store):
    """A project name is taken among the organisation's living projects, to the letter."""
    await keep(store, project(), project("project-2", name="rocket"))
    again = Add(project("project-3"))
    assert await record(store, again) == Lost(again, project())
    renamed = next_version(project("project-2", name="rocket"), name="Rocket")
    assert await record(store, renamed) == Lost(renamed, project())
    assert await record(store, Add(project("project-3", BETA))) == Recorded()
    assert await record(store, next_version(project(), ended_at=NOW), renamed) == Recorded()


async def test_entities_are_known_in_the_deployment(store):
    """An entity's id and its subject are taken in every organisation, also after its end (TK-15)."""
    ended = next_version(entity(), ended_at=NOW)
    assert await record(store, ended) == Recorded()
    for again in (entity(organisation_id=BETA, subject="new"), entity("NEW", BETA, subject=entity().subject)):
        assert await record(store, Add(again)) == Lost(Add(again), ended.record)


@pytest.mark.parametrize(
    "change",
    [
        next_version(user(), name="other"),
        next_version(membership(), user_id="user-2"),
        next_version(entity(), subject="other"),
    ],
)
async def test_what_never_changes(store, change):
    """A replacement that would change a user name, a membership's user or a subject loses (TK-15)."""
    outcome = await record(store, change)
    assert isinstance(outcome, Lost)
    assert outcome.winner.version == 0


@pytest.mark.parametrize(
    "racers",
    [
        [user(f"racer-{n}", name="same") for n in range(8)],
        [user(f"racer-{n}", email="same@example.org") for n in range(8)],
        [membership(f"racer-{n}", organisation_id=BETA) for n in range(8)],
        [team(f"racer-{n}") for n in range(8)],
        [project(f"racer-{n}") for n in range(8)],
        [entity(f"racer-{n}", subject="same") for n in range(8)],
    ],
    ids=["name", "address", "membership", "team", "project", "subject"],
)
async def test_one_racer_gets_the_name(store, racers):
    """Of many who want one name at once exactly one gets it, and every other one is told who."""
    outcomes = await asyncio.gather(*(record(store, Add(each)) for each in racers))
    [winner] = [each for each, outcome in zip(racers, outcomes, strict=True) if outcome == Recorded()]
    assert all(outcome.winner == winner for outcome in outcomes if outcome != Recorded())


@pytest.mark.parametrize(
    "records",
    [
        (user("a", name="same"), user("b", name="same")),
        (user("a", email="same"), user("b", BETA, email="same")),
        (membership("a", organisation_id=BETA), membership("b", organisation_id=BETA)),
        (team("a", name="Same"), team("b", name="sAME")),
        (project("a"), project("b")),
        (entity("a", subject="same"), entity("b", BETA, subject="same")),
    ],
    ids=["name", "address", "membership", "team", "project", "subject"],
)
async def test_the_tables_themselves_refuse(kept, records):
    """A writer that does not look first is stopped by the tables: names are unique in SQL."""
    table = table_of(type(records[0]))

    def write(connection):
        for each in records:
            connection.execute(table.insert(), row_of(each))

    with kept.recorder._engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        with pytest.raises(IntegrityError):
            write(connection)
        connection.exec_driver_sql("ROLLBACK")


@pytest.mark.parametrize(
    "record_of_nobody",
    [
        user("user-9", "org-nowhere"),
        membership("member-9", "nobody", BETA),
        membership("member-9", organisation_id="org-nowhere"),
        team(organisation_id="org-nowhere"),
        project(organisation_id="org-nowhere"),
        entity("NEW", "org-nowhere"),
    ],
)
async def test_nothing_belongs_to_nobody(store, record_of_nobody):
    """A record of no known organisation, or a membership of no known user, loses to nothing."""
    assert await record(store, Add(record_of_nobody)) == Lost(Add(record_of_nobody), None)


async def test_nobody_ended_becomes_a_member(store):
    """A user who has ended, or whose home has, becomes a member of nothing more (RV-04)."""
    await keep(store, user("user-2"))
    ended = next_version(user("user-2"), ended_at=NOW)
    assert await record(store, ended) == Recorded()
    late = Add(membership("member-9", "user-2", BETA))
    assert await record(store, late) == Lost(late, ended.record)
    assert await record(store, next_version(organisation(), ended_at=NOW)) == Recorded()
    orphan = Add(membership("member-9", organisation_id=BETA))
    assert isinstance(await record(store, orphan), Lost)


# --- versions ---


@pytest.mark.parametrize("warm", [True, False])
@pytest.mark.parametrize(
    ("table", "there"), [("user", user()), ("membership", membership()), ("entity", entity())]
)
async def test_required_versions_hold_or_lose(store, table, there, warm):
    """RV-04: a token that rests on a user, membership or entity is not recorded once that has changed."""
    if warm:
        await store.registry.find_user("user-1")
        await store.registry.find_entity("FIU-SIMULATOR")
    needs = RequireVersion(table, there.id, 0)
    assert await record(store, needs) == Recorded()
    ended = next_version(there, ended_at=NOW)
    assert await record(store, ended) == Recorded()
    assert await record(store, needs) == Lost(needs, ended.record)


@pytest.mark.parametrize(("table", "there"), [("team", team()), ("project", project())])
async def test_teams_and_projects_have_versions_too(store, table, there):
    """A change that rests on a team or a project as it was loses to what came after."""
    await keep(store, there)
    needs = RequireVersion(table, there.id, 0)
    assert await record(store, needs) == Recorded()
    changed = next_version(there, name="new")
    assert await record(store, changed) == Recorded()
    assert await record(store, needs) == Lost(needs, changed.record)


# --- where a user was last ---


async def test_the_last_organisation_is_noted_without_a_version(store):
    """Where a user was last is seen at once, makes nobody lose, and is not unwritten by an edit."""
    await settle_abroad(store)
    before = (await store.registry.find_user("user-1")).user
    assert (
        await record(store, RequireVersion("user", "user-1", 0), Prefer("user-1", ACME, BETA)) == Recorded()
    )
    after = (await store.registry.find_user("user-1")).user
    assert (after.last_organisation_id, after.version) == (BETA, 0)
    assert await record(store, next_version(before, given_name="Ada")) == Recorded()
    kept = await inside(store).user("user-1")
    assert (kept.given_name, kept.last_organisation_id) == ("Ada", BETA)


async def test_the_last_organisation_of_others(store):
    """TN-02: it is noted only from the user's home, and of nobody who has ended or is not there."""
    assert await record(store, Prefer("user-1", BETA, BETA), Prefer("nobody", ACME, BETA)) == Recorded()
    with pytest.raises(Fault):
        await inside(store, BETA).record(unit(Prefer("user-1", ACME, BETA), organisation_id=BETA))
    assert (await inside(store).user("user-1")).last_organisation_id is None
    assert await record(store, next_version(user(), ended_at=NOW), Prefer("user-1", ACME, BETA)) == Recorded()
    assert (await inside(store).user("user-1")).last_organisation_id is None


# --- one organisation's store cannot name another (TN-02) ---


async def test_another_organisation_sees_nobody(store):
    """TN-02: another organisation's people answer exactly like those that do not exist."""
    await keep(store, team(), project())
    other = inside(store, BETA)
    assert await other.user("user-1") is None
    assert await other.user_by_name("ada.user-1") is None
    assert await other.membership("member-1") is None
    assert await other.membership_of("user-1") is None
    assert await other.team("team-1") is None
    assert await other.project("project-1") is None
    assert await other.entity("FIU-SIMULATOR") is None
    for listed in (other.users, other.memberships, other.teams, other.projects, other.entities):
        assert await listed() == []


@pytest.mark.parametrize(
    "change",
    [Add(user("u")), next_version(membership()), Add(team()), Remove(project()), next_version(entity())],
)
async def test_writing_to_another_organisation_is_a_fault(store, change):
    """TN-02: a unit that changes another organisation's people does not pass an organisation's store."""
    with pytest.raises(Fault):
        await inside(store, BETA).record(unit(change, organisation_id=BETA))


async def test_a_member_from_elsewhere(store):
    """An organisation may make another's user a member, and sees the membership, not the user."""
    other = inside(store, BETA)
    there = membership("member-2", organisation_id=BETA)
    assert await other.record(unit(Add(there), organisation_id=BETA)) == Recorded()
    assert await other.memberships() == [there]
    assert await other.user("user-1") is None


# --- the end of an organisation ---


@pytest.mark.parametrize(
    "late", [user("u"), membership("m"), team(), project(), entity("LATE")], ids=lambda each: each.id
)
async def test_nothing_is_added_to_what_has_ended(store, late):
    """TN-05: what a slower process adds behind the deletion loses, so that deletion has an end."""
    assert await record(store, next_version(organisation(), ended_at=NOW)) == Recorded()
    assert isinstance(await record(store, Add(late)), Lost)


async def test_leftovers(store):
    """TN-05: what is left comes in the order of erasing, with members from elsewhere, and then is gone."""
    await settle_abroad(store)
    await keep(store, team(), team("team-2", parent_id="team-1"), project(), family(), signing_key())
    await keep(store, user("user-b", BETA), membership("member-b", "user-b"), api_token("token-b", "user-b"))
    assert await record(store, next_version(team(), ended_at=NOW)) == Recorded()
    own = inside(store)
    found = await own.leftovers(100)
    assert [type(each).__name__ for each in found] == (
        ["Credential"] * 4
        + ["Client", "Project", "Team", "Team", "Membership", "Membership", "Entity", "User"]
        + ["RefreshFamily", "SigningKey"]
    )
    assert {each.id for each in found} >= {"member-1", "member-b", "token-b"}
    assert {each.id for each in found}.isdisjoint({"member-2", "token-2", "user-b"})
    assert [each.id for each in await own.leftovers(6)] == [each.id for each in found[:6]]
    make = {"Credential": credential_tombstone, "Entity": entity_tombstone, "User": user_tombstone}
    make["Client"] = lambda each, _: next_version(each, name="").record
    tombs = [each for each in found if type(each).__name__ in make]
    erasing = [Replace(make[type(each).__name__](each, NOW), each.version) for each in tombs]
    erasing += [Remove(each) for each in found if each not in tombs]
    assert await own.record(unit(*erasing)) == Recorded()
    assert await own.leftovers(100) == []
    assert await own.memberships() == await own.teams() == await own.projects() == []


async def test_what_is_left_of_a_user_and_an_entity(store):
    """TN-05: a user's names and address lead nowhere any more; ids and subjects stay taken (TK-15)."""
    await settle_abroad(store)
    await store.registry.find_user_by_email("user-1@example.org")
    await store.registry.find_user_at_home(ACME, "ada.user-1")
    await store.registry.find_held([b"hash of token-2"])
    erased = user_tombstone(user(), NOW), entity_tombstone(entity(), NOW)
    assert await record(store, *(Replace(each, 0) for each in erased)) == Recorded()
    found = store.registry
    assert await found.find_user_by_email("user-1@example.org") is None
    assert await found.find_user_at_home(ACME, "ada.user-1") is None
    assert await found.find_user_at_home(ACME, "") is None
    for view in (await found.find_user("user-1"), (await found.find_held([b"hash of token-2"])).owner):
        assert (view.user, view.user.usable) == (erased[0], False)
    for again in (user(), entity(), entity("NEW", BETA, subject=entity().subject)):
        assert isinstance(await record(store, Add(again)), Lost)
    # The address may be somebody's again: it leads to another id, so no old token or credential revives.
    assert await record(store, Add(user("user-2", BETA, email="user-1@example.org"))) == Recorded()
    assert (await found.find_user_by_email("user-1@example.org")).user.id == "user-2"


async def test_many_are_erased_side_by_side(store):
    """TN-05: any number of erased users of one home stand beside each other, without a name."""
    users = [user(f"u{n}") for n in range(3)]
    await keep(store, *users)
    assert await record(store, *(Replace(user_tombstone(each, NOW), 0) for each in users)) == Recorded()
    assert [each.name for each in await inside(store).users()].count("") == 3
