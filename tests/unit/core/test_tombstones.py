"""Tombstones: identifiers and digests of what was unended, and nothing else."""

from datetime import UTC, datetime, timedelta

import msgspec

from keyturn.core.life import Life, Standing
from keyturn.core.records import Client, Credential, Entity, Organisation, User
from keyturn.core.tombstones import (
    client_tombstone,
    credential_tombstone,
    ended_organisation,
    entity_tombstone,
    user_tombstone,
)
from keyturn.core.vocabulary import ClientId, CredentialId, CredentialKind, EntityId, OrganisationId, UserId

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
PERSONAL = "Ada Lovelace"


def test_organisation():
    """TK-15, TN-05: an ended organisation keeps its id, slug and alias, and is dead by its epoch."""
    organisation = Organisation(
        id=OrganisationId("a"),
        slug="acme",
        name=PERSONAL,
        api_key="k",
        created_at=NOW,
        settings={"policy": {"max_secret_days": 1}},
        epoch=3,
    )
    ended = ended_organisation(organisation, LATER)
    assert (ended.id, ended.slug, ended.api_key, ended.ended_at) == ("a", "acme", "k", LATER)
    assert (ended.epoch, ended.version, ended.usable) == (4, 1, False)
    assert PERSONAL not in repr(ended)
    assert ended.settings == {}


def test_client():
    """TN-05: a client keeps its id and dates."""
    client = Client(
        id=ClientId("c"),
        organisation_id=OrganisationId("a"),
        name=PERSONAL,
        created_at=NOW,
        dialects=("oauth2",),
        grants=("client_credentials",),
        scopes=(PERSONAL,),
        audiences=(PERSONAL,),
        rights=(PERSONAL,),
    )
    dead = client_tombstone(client, LATER)
    assert (dead.id, dead.created_at, dead.ended_at, dead.epoch) == ("c", NOW, LATER, 1)
    assert PERSONAL not in repr(dead)
    before = msgspec.structs.replace(client, ended_at=NOW)
    assert client_tombstone(before, LATER).ended_at == NOW


def test_credential():
    """TK-15: the digest of a secret that was still out there is kept, that of an ended one is not."""
    life = Life(created_at=NOW, disabled=True)
    credential = Credential(
        id=CredentialId("s"),
        kind=CredentialKind.CLIENT_SECRET,
        owner_id="c",
        organisation_id=OrganisationId("a"),
        name=PERSONAL,
        life=life,
        dialects=("oauth2",),
        lookup_hash=b"digest",
        pepper_id="p",
        scopes=(PERSONAL,),
        roles=(PERSONAL,),
        verifier=PERSONAL,
        sealed=PERSONAL.encode(),
    )
    dead = credential_tombstone(credential, LATER)
    assert (dead.id, dead.owner_id, dead.lookup_hash, dead.epoch) == ("s", "c", b"digest", 1)
    assert dead.life.standing(LATER) is Standing.ENDED
    assert PERSONAL not in repr(dead)
    ended = msgspec.structs.replace(credential, life=life.ended(NOW, PERSONAL))
    gone = credential_tombstone(ended, LATER)
    assert (gone.lookup_hash, gone.life.ended_at) == (b"", NOW)
    assert PERSONAL not in repr(gone)


def test_user():
    """TN-05: a user keeps id, home and dates; no name and no address is left, and nothing is usable."""
    user = User(
        id=UserId("u"),
        organisation_id=OrganisationId("a"),
        name=PERSONAL,
        display_name=PERSONAL,
        created_at=NOW,
        email=PERSONAL,
        email_verified_at=NOW,
        given_name=PERSONAL,
        family_name=PERSONAL,
        last_organisation_id=OrganisationId("b"),
        epoch=2,
        version=5,
    )
    dead = user_tombstone(user, LATER)
    assert (dead.id, dead.organisation_id, dead.created_at, dead.ended_at) == ("u", "a", NOW, LATER)
    assert (dead.epoch, dead.version, dead.usable) == (3, 6, False)
    assert (dead.email, dead.email_verified_at, dead.last_organisation_id) == (None, None, None)
    assert PERSONAL not in repr(dead)
    assert user_tombstone(msgspec.structs.replace(user, ended_at=NOW), LATER).ended_at == NOW


def test_entity():
    """TK-15, TN-05: an entity keeps the id and the subject that others knew it by, and nobody's name."""
    entity = Entity(
        id=EntityId("FIU-1"),
        subject="s",
        organisation_id=OrganisationId("a"),
        name=PERSONAL,
        type=PERSONAL,
        created_at=NOW,
        users=(UserId(PERSONAL),),
    )
    dead = entity_tombstone(entity, LATER)
    assert (dead.id, dead.subject, dead.ended_at, dead.epoch) == ("FIU-1", "s", LATER, 1)
    assert (dead.version, dead.usable, dead.users) == (1, False, ())
    assert PERSONAL not in repr(dead)
