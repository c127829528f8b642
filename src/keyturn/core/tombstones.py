"""What is left of what a deleted organisation had: identifiers, so that none is used again (TK-15). Pure.

A tombstone is made of nothing but what is named here, so that a field that a record gains later is gone from
it by itself (TN-05). Its empty name marks it: what lives has a name.
"""

from datetime import datetime

import msgspec

from keyturn.core.life import Life, Standing, State
from keyturn.core.records import Client, Credential, Entity, Organisation, User

ERASED = ""
"""The name of what has been erased."""


def ended_organisation(organisation: Organisation, now: datetime) -> Organisation:
    """End an organisation: every token, family and key of it is dead by this one record."""
    return Organisation(
        id=organisation.id,
        slug=organisation.slug,
        name=ERASED,
        api_key=organisation.api_key,
        created_at=organisation.created_at,
        disabled=organisation.disabled,
        ended_at=organisation.ended_at or now,
        epoch=organisation.epoch + 1,
        version=organisation.version + 1,
    )


def erased_organisation(organisation: Organisation, now: datetime) -> Organisation:
    """Note that nothing but tombstones is left of an ended organisation."""
    return msgspec.structs.replace(organisation, erased_at=now, version=organisation.version + 1)


def client_tombstone(client: Client, now: datetime) -> Client:
    """Keep a client's id and its dates."""
    return Client(
        id=client.id,
        organisation_id=client.organisation_id,
        name=ERASED,
        created_at=client.created_at,
        dialects=(),
        grants=(),
        scopes=(),
        audiences=(),
        disabled=client.disabled,
        ended_at=client.ended_at or now,
        epoch=client.epoch + 1,
        version=client.version + 1,
    )


def user_tombstone(user: User, now: datetime) -> User:
    """Keep a user's id, home and dates; every name and the address are gone."""
    return User(
        id=user.id,
        organisation_id=user.organisation_id,
        name=ERASED,
        display_name=ERASED,
        created_at=user.created_at,
        service=user.service,
        disabled=user.disabled,
        ended_at=user.ended_at or now,
        epoch=user.epoch + 1,
        version=user.version + 1,
    )


def entity_tombstone(entity: Entity, now: datetime) -> Entity:
    """Keep an entity's id and subject, by which others knew it, and its dates."""
    return Entity(
        id=entity.id,
        subject=entity.subject,
        organisation_id=entity.organisation_id,
        name=ERASED,
        type=ERASED,
        created_at=entity.created_at,
        disabled=entity.disabled,
        ended_at=entity.ended_at or now,
        epoch=entity.epoch + 1,
        version=entity.version + 1,
    )


def credential_tombstone(credential: Credential, now: datetime) -> Credential:
    """Keep a credential's id and dates, and its secret's digest if the secret was still out there."""
    life = credential.life
    gone = life.standing(now) is Standing.ENDED
    return Credential(
        id=credential.id,
        kind=credential.kind,
        owner_id=credential.owner_id,
        organisation_id=credential.organisation_id,
        name=ERASED,
        life=Life(
            created_at=life.created_at,
            state=State.ENDED,
            ended_at=life.ended_at or now,
            ended_why="organisation deleted",
        ),
        dialects=(),
        lookup_hash=b"" if gone else credential.lookup_hash,
        pepper_id=credential.pepper_id,
        epoch=credential.epoch + 1,
        version=credential.version + 1,
    )
