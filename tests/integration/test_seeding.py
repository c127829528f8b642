"""What the demo and the tests begin with: every kind of fixture, made in both organisations."""

import hashlib

import msgspec
import pytest

from dialects.test_parcel import DIALECT as PARCEL
from harness import PUBLIC_URL, deployment
from keyturn.core import totp
from keyturn.core.errors import Fault
from keyturn.core.life import Standing, State
from keyturn.core.secret import Secret
from keyturn.core.shapes import Member, Shape
from keyturn.core.views import ClientView
from keyturn.core.vocabulary import PROJECTS_VIEW, CredentialKind, EntityId
from keyturn.seeding import MAIN, OTHER, seed_dialect
from keyturn.wire.tables import (
    ApiTokenFixture,
    ClientFixture,
    DemoEntry,
    EntityFixture,
    FixtureState,
    ProjectFixture,
    Role,
    TeamFixture,
    UserFixture,
)

USER_FACTS = ("id", "name", "email", "password", "user_key", "totp_secret", "projects", "organisation_name")
REVEALED = ("password", "user_key", "totp_secret")
SHOWN = (
    [("open", "open.id", "plain"), ("name", "organisation.name", "plain"), ("base", "base_url", "plain")]
    + [(f"ann_{fact}", f"ann.{fact}", "reveal" if fact in REVEALED else "plain") for fact in USER_FACTS]
    + [("bob_projects", "bob.projects", "list"), ("robot_email", "robot.email", "plain")]
    + [("other_id", "other.ann.id", "plain"), ("other_name", "other.organisation.name", "plain")]
    + [(f"token_{state}", f"token-{state}.secret", "reveal") for state in ("live", "expired", "revoked")]
    + [("client_token", "client-token.secret", "reveal"), ("mfa_token", "mfa-token.secret", "reveal")]
    + [(f"entity_{state}", f"entity-{state}.id", "plain") for state in FixtureState]
    + [(f"entity_{state}_secret", f"entity-{state}.secret", "reveal") for state in FixtureState]
)
ENTRY = DemoEntry(
    base="/parcel/v3",
    fixtures=(
        ClientFixture(name="machine", grants=("client_credentials",), scopes=("read",)),
        ClientFixture(key="open", name="app", grants=("client_credentials",), scopes=(), public=True),
        TeamFixture(path="/Demo/Left"),
        TeamFixture(path="/Demo/Right"),
        ProjectFixture(name="left", teams=("/Demo/Left",)),
        ProjectFixture(name="right", teams=("/Demo/Right",)),
        ProjectFixture(name="everybody", open=True),
        UserFixture(
            key="ann",
            name="Ann",
            email="ann.parcel@{slug}.example",
            roles=("viewer",),
            teams=("/Demo",),
            elsewhere=True,
            password=True,
            user_key=True,
            totp=True,
        ),
        UserFixture(key="bob", name="bob", teams=("/Demo/Left",)),
        UserFixture(key="robot", name="robot", service=True),
        ApiTokenFixture(key="token-live", name="live", owner="ann", roles=("viewer",), scopes=("a",)),
        ApiTokenFixture(key="token-expired", name="expired", owner="ann", state=FixtureState.EXPIRED),
        ApiTokenFixture(key="token-revoked", name="revoked", owner="ann", state=FixtureState.REVOKED),
        ApiTokenFixture(key="mfa-token", name="mfa", owner="ann", mfa=True),
        ApiTokenFixture(key="client-token", name="machine", owner="client", scopes=("read",)),
        *(
            EntityFixture(
                key=f"entity-{state}", id=f"{{slug}}-{state}", type="T", users=("ann",), state=state
            )
            for state in FixtureState
        ),
    ),
    members=Shape(PARCEL.demo.members.members + tuple(Member(*row) for row in SHOWN)),
    curl=PARCEL.demo.curl,
    settings={"lifetime_seconds": 1800},
)
DIALECT = msgspec.structs.replace(
    PARCEL, demo=ENTRY, roles=(Role(name="viewer", title="Viewer", permissions=(PROJECTS_VIEW,)),)
)


@pytest.fixture
async def here():
    """A deployment that serves the dialect with every fixture."""
    async with deployment(DIALECT) as opened:
        yield opened


def _digests(here, text):
    return here.local.digester.lookup_hashes(hashlib.sha256(text.encode()).digest())


async def _held(here, text):
    return await here.local.deployment.credential_by_hash(_digests(here, text))


async def test_users(here):
    """A fixture's user has a name, a verified address of the organisation's own, a role and teams."""
    shown = here.members[MAIN]["parcel"]
    view = await here.local.deployment.user_view(shown["ann_id"])
    assert (shown["ann_name"], view.user.name) == ("Ann", "ann")
    assert shown["ann_email"] == view.user.email == "ann.parcel@acme.example"
    assert view.user.email_verified_at is not None
    assert [each.roles for each in view.memberships] == [("parcel:viewer",)] * 2
    assert [len(each.teams) for each in view.memberships] == [1, 0]
    assert shown["robot_email"] == "robot@acme.service.invalid"


async def test_settings(here):
    """Both organisations choose what the entry says of the dialect's settings."""
    for slug in (MAIN, OTHER):
        assert (await here.organisation(slug)).settings["parcel"] == {"lifetime_seconds": 1800}


async def test_elsewhere(here):
    """The main organisation's user is also in the other one, with the home as oldest; the other's is not."""
    shown = here.members[MAIN]["parcel"]
    for slug, places in ((MAIN, [MAIN, OTHER]), (OTHER, [OTHER])):
        view = await here.local.deployment.user_view(here.members[slug]["parcel"]["ann_id"])
        assert [each.slug for each in view.organisations] == places
        assert view.home.slug == slug
    assert shown["other_id"] == here.members[OTHER]["parcel"]["ann_id"] != shown["ann_id"]
    assert (shown["name"], shown["other_name"]) == ("Acme", "Globex")
    assert shown["base"] == "https://keys.example/parcel/v3"


async def test_passwords_are_the_same_in_both_organisations(here):
    """Only the organisation that is named tells two users of one name and password apart."""
    passwords = {here.members[slug]["parcel"]["ann_password"] for slug in (MAIN, OTHER)}
    assert len(passwords) == 1
    for slug in (MAIN, OTHER):
        view = await here.local.deployment.user_view(here.members[slug]["parcel"]["ann_id"])
        (kept,) = (each for each in view.credentials if each.kind is CredentialKind.PASSWORD)
        assert await here.local.passwords.check(Secret(*passwords), kept.verifier)


async def test_a_device_whose_code_of_now_is_not_spent(here):
    """PW-06: the device that the demo shows accepts the code of this moment."""
    shown = here.members[MAIN]["parcel"]
    view = await here.local.deployment.user_view(shown["ann_id"])
    (device,) = (each for each in view.credentials if each.kind is CredentialKind.TOTP)
    assert device.life.state is State.ACTIVE
    seed = totp.from_base32(Secret(shown["ann_totp_secret"]))
    now = here.clock.now()
    for step in (totp.step_at(now) - 1, totp.step_at(now)):
        assert totp.verify(seed, totp.passcode(seed, step), now, device.accepted_step) == step


async def test_projects_are_what_the_user_sees(here):
    """A user's shown projects are those of their teams and below, and the open ones."""
    shown = here.members[MAIN]["parcel"]
    house = "acme-handbook"  # open to everybody, by a dialect of the house
    assert sorted(shown["ann_projects"]) == [house, "everybody", "left", "right"]
    assert sorted(shown["bob_projects"]) == [house, "everybody", "left"]


async def test_secrets_and_their_states(here):
    """A token or key is found by its digest, and its life says at once what has become of it."""
    now, shown = here.clock.now(), here.members[MAIN]["parcel"]
    states = {"live": Standing.GOOD, "expired": Standing.EXPIRED, "revoked": Standing.ENDED}
    for state, standing in states.items():
        credential = await _held(here, shown[f"token_{state}"])
        assert credential.life.standing(now) is standing
        assert len(shown[f"token_{state}"]) == 65
    live = await _held(here, shown["token_live"])
    assert (live.roles, live.scopes, live.mfa) == (("parcel:viewer",), ("a",), False)
    assert (await _held(here, shown["mfa_token"])).mfa is True
    assert (await _held(here, shown["ann_user_key"])).owner_id == shown["ann_id"]
    machine = await _held(here, shown["client_token"])
    assert (machine.owner_id, machine.scopes) == (shown["key"], ("read",))


async def test_entities_and_their_states(here):
    """An entity's secret is live, in its grace, expired or revoked, as its fixture says."""
    now, shown = here.clock.now(), here.members[MAIN]["parcel"]
    standings = {
        FixtureState.LIVE: Standing.GOOD,
        FixtureState.GRACE: Standing.GRACE,
        FixtureState.EXPIRED: Standing.EXPIRED,
        FixtureState.REVOKED: Standing.ENDED,
    }
    for state, standing in standings.items():
        entity = await here.local.deployment.entity_by_id(EntityId(shown[f"entity_{state}"]))
        assert entity.id == f"ACME-{state}"
        assert entity.users == (shown["ann_id"],)
        credential = await _held(here, shown[f"entity_{state}_secret"])
        assert (credential.owner_id, credential.life.standing(now)) == (entity.id, standing)


async def test_a_public_client_has_no_secret(here):
    """A public client is made without a secret."""
    view = await here.local.deployment.client_view(here.members[MAIN]["parcel"]["open"])
    assert isinstance(view, ClientView)
    assert (view.client.public, view.credentials) == (True, ())


async def test_an_interrupted_start_is_taken_up(here):
    """Who seeds again finds users, teams, projects and entities, and gets fresh secrets that are good."""
    before = here.members[MAIN]["parcel"]
    made = await seed_dialect(here.local, DIALECT, here.organisations, PUBLIC_URL)
    after = made[MAIN]
    for kept in ("ann_id", "ann_name", "ann_email", "ann_projects", "entity_live"):
        assert after[kept] == before[kept]
    now = here.clock.now()
    for fresh in ("ann_user_key", "entity_live_secret", "token_live"):
        assert after[fresh] != before[fresh]
        assert (await _held(here, after[fresh])).life.standing(now) is Standing.GOOD
    view = await here.local.deployment.user_view(before["ann_id"])
    kept = [
        each
        for each in view.credentials
        if each.kind is CredentialKind.PASSWORD and each.life.state is State.ACTIVE
    ]
    assert len(kept) == 1
    assert await here.local.passwords.check(Secret(after["ann_password"]), kept[0].verifier)


async def test_what_nobody_can_make(here):
    """A fixture in a state that its kind does not have is a fault of the dialect's table."""
    graceful = ApiTokenFixture(key="t", name="t", owner="client", state=FixtureState.GRACE)
    entry = msgspec.structs.replace(PARCEL.demo, fixtures=(*PARCEL.demo.fixtures, graceful))
    broken = msgspec.structs.replace(PARCEL, demo=entry)
    with pytest.raises(Fault, match="no grace"):
        await seed_dialect(here.local, broken, here.organisations, PUBLIC_URL)
