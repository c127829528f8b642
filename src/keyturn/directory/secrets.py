"""Readable secrets of entities: sealed beside their digest, so that who looks after one can read it again.

Operators come here and, with a token, the users who are linked to the entity. To everybody else an entity is
not there, whichever is the cause: they are told the same.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.changes import Add, Replace, Unit
from keyturn.core.errors import Conflict, InvalidGrant, InvalidRequest
from keyturn.core.life import Life, State
from keyturn.core.ports import Digester, Sealer
from keyturn.core.records import Credential, Entity, Organisation
from keyturn.core.sealed_values import open_value, place_of
from keyturn.core.secret import Dice, Secret
from keyturn.core.secret_policy import GROUP
from keyturn.core.store_ports import OrganisationStore
from keyturn.core.vocabulary import CredentialKind, EntityId, Reason
from keyturn.directory.credentials import facts_of, made, make_credential
from keyturn.directory.entities import show_entity
from keyturn.directory.events import attempt, told
from keyturn.directory.owners import raise_version

_RACES = 50


class Term(msgspec.Struct, frozen=True):
    """One of an organisation's settings about such secrets (``policy_settings``)."""

    name: str
    default: int

    def of(self, organisation: Organisation) -> int:
        """Give an organisation's value."""
        return int(organisation.setting(GROUP, self.name, self.default))


SECRET_DAYS = Term("entity_secret_days", 180)
GRACE_DAYS = Term("entity_secret_grace_days", 5)
OVERLAP_HOURS = Term("entity_secret_overlap_hours", 0)


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
    newest = _newest(secrets)
    if newest is None or newest.sealed is None:
        raise InvalidGrant(Reason.NO_CREDENTIAL)
    clear = open_value(newest, sealer).decode()
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
    dialects: tuple[str, ...],
    sealer: Sealer,
    digester: Digester,
    now: datetime,
    dice: Dice,
) -> ReadableSecret:
    """Make an entity's secret anew; the old one has ended, unless the organisation lets it overlap.

    Two resets at once both succeed, one after the other: the later one's secret is the live one. Tokens that
    the entity has stay good until they expire.

    Args:
        period: How long it shall live; None or more than the organisation allows for as much as that.

    Raises:
        InvalidRequest: The period is not positive.
        InvalidGrant: There is no such entity for this actor.
        Conflict: Others reset it again and again.
    """
    if period is not None and period <= timedelta():
        raise InvalidRequest(Reason.FIELD_INVALID, "a secret lives for a positive time")
    for _ in range(_RACES):
        entity = await _open_to(actor, store, entity_id)
        organisation = await store.organisation()
        longest = timedelta(days=SECRET_DAYS.of(organisation))
        by_default = period is None or period > longest
        # To the whole second, so that a contract with seconds and one with milliseconds name one instant.
        expires_at = (now + (longest if period is None or by_default else period)).replace(microsecond=0)
        grace_until = expires_at + timedelta(days=GRACE_DAYS.of(organisation))
        life = Life(created_at=now, expires_at=expires_at, grace_until=grace_until)
        fresh, secret = _make(entity, life, dialects, sealer, digester, dice)
        until = now + timedelta(hours=OVERLAP_HOURS.of(organisation))
        old = await store.credentials_of(entity.id, CredentialKind.ENTITY_SECRET)
        replaced = _newest(old)
        # Whoever cancels an overlap goes back to the old secret, and must not leave the new one alive.
        fresh = msgspec.structs.replace(fresh, succeeds=None if replaced is None else replaced.id)
        changes = [_superseded(each, now, until) for each in old if each.life.state is not State.ENDED]
        event = made(fresh, actor, now=now, dice=dice, kind="credential.reset")
        if await attempt(store, event, raise_version(entity), *changes, Add(fresh)) is None:
            return ReadableSecret(fresh, secret, by_default)
    raise Conflict(Reason.LOST_RACE, "the secret was reset by others in the same moment")


async def entity_secrets(actor: Actor, store: OrganisationStore, entity_id: EntityId) -> Sequence[Credential]:
    """List an entity's secrets, oldest first, ended ones included; never the secrets."""
    entity = await show_entity(actor, store, entity_id)
    return await store.credentials_of(entity.id, CredentialKind.ENTITY_SECRET)


async def _open_to(actor: Actor, store: OrganisationStore, entity_id: EntityId) -> Entity:
    entity = await store.entity(entity_id) if actor.may_act_in(store.organisation_id) else None
    if entity is None:
        raise InvalidGrant(Reason.UNKNOWN_ENTITY)
    if actor.permissions is not None and (actor.user is None or actor.user.id not in entity.users):
        raise InvalidGrant(Reason.ENTITY_NOT_LINKED)
    if not entity.usable:
        raise InvalidGrant(Reason.ENTITY_DISABLED)
    return entity


def _newest(secrets: Sequence[Credential]) -> Credential | None:
    """Give the secret that no reset has replaced, of those oldest first."""
    return next((each for each in reversed(secrets) if each.life.state is State.ACTIVE), None)


def _make(
    entity: Entity,
    life: Life,
    dialects: tuple[str, ...],
    sealer: Sealer,
    digester: Digester,
    dice: Dice,
) -> tuple[Credential, Secret]:
    credential, secret = make_credential(
        CredentialKind.ENTITY_SECRET, entity, "secret", life, dialects=dialects, digester=digester, dice=dice
    )
    sealed = sealer.seal(*place_of(credential), secret.reveal().encode())
    return msgspec.structs.replace(credential, sealed=sealed), secret


def _superseded(old: Credential, now: datetime, until: datetime) -> Replace:
    """Let a secret give way; its epoch stays, since the tokens made from it live until they expire."""
    life = old.life.superseded(now, until)
    kept = old.sealed if life.state is State.OVERLAPPING else None
    return Replace(msgspec.structs.replace(old, life=life, sealed=kept, version=old.version + 1), old.version)
