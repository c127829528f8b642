"""Values of people and of what they are in, that the store's contract tests share."""

from contract.store_kit import ACME, BETA, NOW, credential, seed, unit
from keyturn.core.changes import Add, Recorded
from keyturn.core.records import Entity, Membership, Project, Team, User
from keyturn.core.vocabulary import (
    CredentialKind,
    EntityId,
    MembershipId,
    OrganisationId,
    ProjectId,
    TeamId,
    UserId,
)

GAMMA = OrganisationId("org-gamma")


def user(user_id="user-1", organisation_id=ACME, **fields):
    """Make a user with a name and an address that say its id."""
    values = {"name": f"ada.{user_id}", "display_name": "Ada", "email": f"{user_id}@example.org"}
    return User(id=UserId(user_id), organisation_id=organisation_id, created_at=NOW, **(values | fields))


def membership(membership_id="member-1", user_id="user-1", organisation_id=ACME, **fields):
    """Make a user's place in an organisation."""
    return Membership(
        id=MembershipId(membership_id),
        user_id=UserId(user_id),
        organisation_id=organisation_id,
        created_at=NOW,
        **fields,
    )


def team(team_id="team-1", organisation_id=ACME, **fields):
    """Make a team at the root, unless a parent is named."""
    values = {"name": "Left"}
    return Team(id=TeamId(team_id), organisation_id=organisation_id, created_at=NOW, **(values | fields))


def project(project_id="project-1", organisation_id=ACME, **fields):
    """Make a project of no team."""
    values = {"name": "Rocket"}
    return Project(
        id=ProjectId(project_id), organisation_id=organisation_id, created_at=NOW, **(values | fields)
    )


def entity(entity_id="FIU-SIMULATOR", organisation_id=ACME, **fields):
    """Make an entity."""
    values = {"subject": f"subject-of-{entity_id}", "name": "Simulator", "type": "FIU"}
    return Entity(
        id=EntityId(entity_id), organisation_id=organisation_id, created_at=NOW, **(values | fields)
    )


def api_token(credential_id="token-1", owner_id="user-1", organisation_id=ACME, **fields):
    """Make an API token of a user or a client."""
    values = {"kind": CredentialKind.API_TOKEN, "lookup_hash": f"hash of {credential_id}".encode()}
    return credential(credential_id, owner_id, organisation_id, **(values | fields))


async def keep(store, *records):
    """Add records of the first organisation together."""
    assert await store.recorder.record(unit(*map(Add, records))) == Recorded()


async def settle(store):
    """Seed two organisations, in the first a user with an API token and an entity with a secret."""
    await seed(store)
    await keep(store, user(), membership(), api_token(), entity())
    secret = api_token("secret-1", "FIU-SIMULATOR", kind=CredentialKind.ENTITY_SECRET)
    await keep(store, secret)


async def settle_abroad(store):
    """Make the first user a member of the second organisation too, with an API token there."""
    there = membership("member-2", organisation_id=BETA)
    token = api_token("token-2", organisation_id=BETA)
    await keep(store, there, token)
