"""Readable secrets of entities: sealed beside their digest, so that who looks after one can read it again.

Operators come here and, with a token, the users who are linked to the entity. To everybody else an entity is
not there, whichever is the cause: they are told the same.
"""

from datetime import datetime, timedelta

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.changes import Add, Change, Replace, Unit
from keyturn.core.errors import Conflict, InvalidGrant, InvalidRequest
from keyturn.core.life import Life, State
from keyturn.core.ports import Digester, OrganisationStore, Sealer
from keyturn.core.records import Credential, Entity
from keyturn.core.secret import Dice, Secret
from keyturn.core.vocabulary import CredentialKind, EntityId, Reason
from keyturn.directory.credentials import facts_of, made, make_credential
from keyturn.directory.events import attempt, told
from keyturn.directory.owners import raise_version

_RACES = 50


class SecretTerms(msgspec.Struct, frozen=True, kw_only=True):
    """How long readable secrets live.

    Args:
        longest: The default, and the most that may be asked.
        grace: After its end a secret is accepted so much longer, with a warning.
        overlap: So long the old one stays good after a reset.
    """

    longest: timedelta = timedelta(days=180)
    grace: timedelta = timedelta(days=5)
    overlap: timedelta = timedelta()


class ReadableSecret(msgspec.Struct, frozen=True):
    """A secret and its record.

    Args:
        by_default: The default period applies, because none or too long a one was asked.
    """

    credential: Credential
    secret: Secret
    by_default: bool = False


async def read_secret(
    actor: Actor, store: OrganisationStore, entity_id: EntityId, *, sealer: Sealer, now: datetime, dice: Dice
) -> ReadableSecret:
    """Read an entity's secret again; nothing about it changes.

    Raises:
        InvalidGrant: There is no such entity for this actor, or it has no secret.
    """
    entity = await _open_to(actor, store, entity_id)
    secrets = await store.credentials_of(entity.id, CredentialKind.ENTITY_SECRET)
    newest = next((each for each in reversed(secrets) if each.life.state is State.ACTIVE), None)
    if newest is None or newest.sealed is None:
        raise InvalidGrant(Reason.NO_CREDENTIAL)
    clear = sealer.open(newest.kind, newest.id, newest.sealed).decode()
    event = told(
        "credential.read",
        actor,
        entity.organisation_id,
        newest.id,
        now=now,
        dice=dice,
        details=facts_of(newest),
    )
    await store.record(Unit(audit=event))
    return ReadableSecret(newest, Secret(clear))


async def reset_secret(
    actor: Actor,
    store: OrganisationStore,
    entity_id: EntityId,
    period: timedelta | None,
    *,
    terms: SecretTerms,
    dialects: tuple[str, ...],
    sealer: Sealer,
    digester: Digester,
    now: datetime,
    dice: Dice,
) -> ReadableSecret:
    """Make an entity's secret anew; the old one has ended, unless the terms let it overlap.

    Two resets at once both succeed, one after the other: the later one's secret is the live one. Tokens that
    the entity has stay good until they expire.

    Args:
        period: How long it shall live; None or longer than the terms allow for as long as they do.

    Raises:
        InvalidRequest: The period is not positive.
        InvalidGrant: There is no such entity for this actor.
        Conflict: Others reset it again and again.
    """
    if period is not None and period <= timedelta():
        raise InvalidRequest(Reason.FIELD_INVALID, "a secret lives for a positive time")
    by_default = period is None or period > terms.longest
    expires_at = now + (terms.longest if period is None or by_default else period)
    for _ in range(_RACES):
        entity = await _open_to(actor, store, entity_id)
        fresh, secret = _make(entity, expires_at, terms, dialects, sealer, digester, now, dice)
        old = await store.credentials_of(entity.id, CredentialKind.ENTITY_SECRET)
        changes: list[Change] = [raise_version(entity)]
        changes += [_superseded(each, now, terms) for each in old if each.life.state is not State.ENDED]
        event = made(fresh, actor, now=now, dice=dice, kind="credential.reset")
        if await attempt(store, event, *changes, Add(fresh)) is None:
            return ReadableSecret(fresh, secret, by_default)
    raise Conflict(Reason.LOST_RACE, "the secret was reset by others in the same moment")


async def _open_to(actor: Actor, store: OrganisationStore, entity_id: EntityId) -> Entity:
    entity = await store.entity(entity_id) if actor.may_act_in(store.organisation_id) else None
    if entity is None:
        raise InvalidGrant(Reason.UNKNOWN_ENTITY)
    if actor.permissions is not None and (actor.user is None or actor.user.id not in entity.users):
        raise InvalidGrant(Reason.ENTITY_NOT_LINKED)
    if not entity.usable:
        raise InvalidGrant(Reason.ENTITY_DISABLED)
    return entity


def _make(
    entity: Entity,
    expires_at: datetime,
    terms: SecretTerms,
    dialects: tuple[str, ...],
    sealer: Sealer,
    digester: Digester,
    now: datetime,
    dice: Dice,
) -> tuple[Credential, Secret]:
    life = Life(created_at=now, expires_at=expires_at, grace_until=expires_at + terms.grace)
    credential, secret = make_credential(
        CredentialKind.ENTITY_SECRET, entity, "secret", life, dialects=dialects, digester=digester, dice=dice
    )
    sealed = sealer.seal(credential.kind, credential.id, secret.reveal().encode())
    return msgspec.structs.replace(credential, sealed=sealed), secret


def _superseded(old: Credential, now: datetime, terms: SecretTerms) -> Replace:
    """Let a secret give way; its epoch stays, since the tokens made from it live on (the contract's word)."""
    life = old.life.superseded(now, now + terms.overlap)
    if life.state is State.OVERLAPPING:
        return Replace(msgspec.structs.replace(old, life=life, version=old.version + 1), old.version)
    return Replace(msgspec.structs.replace(old, life=life, sealed=None, version=old.version + 1), old.version)
