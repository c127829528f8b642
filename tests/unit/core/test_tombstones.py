"""Tombstones: identifiers and digests of what was unended, and nothing else."""

from datetime import UTC, datetime, timedelta

import msgspec

from keyturn.core.life import Life, Standing
from keyturn.core.records import Client, Credential, Organisation
from keyturn.core.tombstones import client_tombstone, credential_tombstone, ended_organisation
from keyturn.core.vocabulary import ClientId, CredentialId, CredentialKind, OrganisationId

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
    )
    dead = credential_tombstone(credential, LATER)
    assert (dead.id, dead.owner_id, dead.lookup_hash, dead.epoch) == ("s", "c", b"digest", 1)
    assert dead.life.standing(LATER) is Standing.ENDED
    assert PERSONAL not in repr(dead)
    ended = msgspec.structs.replace(credential, life=life.ended(NOW, PERSONAL))
    gone = credential_tombstone(ended, LATER)
    assert (gone.lookup_hash, gone.life.ended_at) == (b"", NOW)
    assert PERSONAL not in repr(gone)
