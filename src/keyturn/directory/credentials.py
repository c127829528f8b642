"""Credentials: made and shown once, kept as a digest, ended at any time; and the secrets of clients.

A client has at most two secrets that are live, which is what rotating one without a gap needs (TE-05).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.changes import Add, Replace
from keyturn.core.errors import Clash, OperatorError
from keyturn.core.identifiers import uuid7
from keyturn.core.life import Life, Standing, State
from keyturn.core.ports import Digester
from keyturn.core.records import AuditEvent, Client, Credential, Entity, Organisation, User
from keyturn.core.secret import Dice, Secret, make_secret
from keyturn.core.secret_policy import is_dormant, policy_of
from keyturn.core.store_ports import OrganisationStore
from keyturn.core.vocabulary import ClientId, CredentialId, CredentialKind
from keyturn.directory.clients import changeable_client, show_client
from keyturn.directory.events import carry_out, told
from keyturn.directory.names import check_name
from keyturn.directory.owners import raise_version, there

MAX_LIVE_SECRETS = 2

_SPENT = frozenset({Standing.ENDED, Standing.EXPIRED})


async def create_client_secret(
    actor: Actor,
    store: OrganisationStore,
    client_id: ClientId,
    name: str,
    *,
    digester: Digester,
    expires_at: datetime | None = None,
    now: datetime,
    dice: Dice,
) -> tuple[Credential, Secret]:
    """Make a secret for a client, refused from ``expires_at`` on (None: as late as the policy allows).

    Returns:
        The record that is kept, and the secret, which is nowhere else: show it once (AD-04).

    Raises:
        OperatorError: The client has ended or has two live secrets, or ``expires_at`` is not to come or
            later than the organisation's policy allows.
    """
    client = await changeable_client(actor, store, client_id)
    expires_at = accepted_end(expires_at, await store.organisation(), now)
    there = await store.credentials_of(client.id, CredentialKind.CLIENT_SECRET)
    if len(live_secrets(there, now)) >= MAX_LIVE_SECRETS:
        raise Clash(f"client {client_id!r} has {MAX_LIVE_SECRETS} live secrets; end one first")
    credential, secret = make_credential(
        CredentialKind.CLIENT_SECRET,
        client,
        name,
        Life(created_at=now, expires_at=expires_at),
        dialects=client.dialects,
        digester=digester,
        dice=dice,
    )
    event = made(credential, actor, now=now, dice=dice)
    # Two writers who each saw one live secret would leave three: raising the client's version lets one win.
    await carry_out(store, event, raise_version(client), Add(credential))
    return credential, secret


def make_credential(
    kind: CredentialKind,
    owner: Client | User | Entity,
    name: str,
    life: Life,
    *,
    dialects: tuple[str, ...],
    digester: Digester,
    dice: Dice,
    **members: Any,
) -> tuple[Credential, Secret]:
    """Make a secret and the record that keeps its digest; nothing is saved yet.

    Args:
        members: Further ones of the record; ``organisation_id`` where it is not the owner's.
    """
    secret = make_secret(kind, dice)
    pepper_id = digester.current_pepper_id
    digest = secret.sha256()
    credential = Credential(
        id=CredentialId(uuid7(life.created_at, dice)),
        kind=kind,
        owner_id=owner.id,
        name=check_name(name),
        life=life,
        dialects=dialects,
        lookup_hash=digester.lookup_hash(digest, pepper_id),
        pepper_id=pepper_id,
        **{"organisation_id": owner.organisation_id, **members},
    )
    return credential, secret


def made(
    credential: Credential, actor: Actor, *, now: datetime, dice: Dice, kind: str = "credential.created"
) -> AuditEvent:
    """Tell that a credential was made, and for whom."""
    return told(
        kind,
        actor,
        credential.organisation_id,
        credential.id,
        now=now,
        dice=dice,
        details=facts_of(credential),
        personal={"name": credential.name},
    )


def accepted_end(asked: datetime | None, organisation: Organisation, now: datetime) -> datetime | None:
    """Choose when a new secret expires: when asked to, else as late as the policy allows.

    Raises:
        OperatorError: What is asked is not to come, or later than the policy allows.
    """
    if asked is not None and asked <= now:
        raise OperatorError("a secret expires in the future")
    days = policy_of(organisation).max_secret_days
    if days is None:
        return asked
    latest = now + timedelta(days=days)
    if asked is not None and asked > latest:
        raise OperatorError(f"policy.max_secret_days of {organisation.slug!r} allows a secret {days} days")
    return asked or latest


async def list_client_secrets(
    actor: Actor, store: OrganisationStore, client_id: ClientId
) -> Sequence[Credential]:
    """List a client's secrets, oldest first, ended ones included; the secrets themselves are not kept."""
    client = await show_client(actor, store, client_id)
    return await store.credentials_of(client.id, CredentialKind.CLIENT_SECRET)


async def show_credential(actor: Actor, store: OrganisationStore, credential_id: CredentialId) -> Credential:
    """Show one credential.

    Raises:
        OperatorError: There is none by that id, or none for this actor: the same words (TN-02).
    """
    return there(actor, store, "credential", credential_id, await store.credential(credential_id))


async def end_credential(
    actor: Actor,
    store: OrganisationStore,
    credential_id: CredentialId,
    why: str,
    *,
    now: datetime,
    dice: Dice,
) -> Credential:
    """End a credential for good, with every token minted from it; ending twice keeps the first."""
    credential = await show_credential(actor, store, credential_id)
    if credential.life.state is State.ENDED:
        return credential
    ended = credential.life.ended(now, check_name(why))
    return await _change(actor, store, credential, ended, "credential.ended", raises=True, now=now, dice=dice)


async def disable_credential(
    actor: Actor, store: OrganisationStore, credential_id: CredentialId, *, now: datetime, dice: Dice
) -> Credential:
    """Refuse a credential and end every token minted from it; undone by enabling."""
    credential = await _changeable(actor, store, credential_id)
    if credential.life.disabled:
        return credential
    life = msgspec.structs.replace(credential.life, disabled=True)
    return await _change(
        actor, store, credential, life, "credential.disabled", raises=True, now=now, dice=dice
    )


async def enable_credential(
    actor: Actor, store: OrganisationStore, credential_id: CredentialId, *, now: datetime, dice: Dice
) -> Credential:
    """Accept a disabled or dormant credential again; tokens from before it was disabled stay dead."""
    credential = await _changeable(actor, store, credential_id)
    dormant = is_dormant(credential, policy_of(await store.organisation()), now)
    if not credential.life.disabled and not dormant:
        return credential
    awake = msgspec.structs.replace(credential, woken_on=now.date()) if dormant else credential
    life = msgspec.structs.replace(credential.life, disabled=False)
    return await _change(actor, store, awake, life, "credential.enabled", raises=False, now=now, dice=dice)


async def _changeable(actor: Actor, store: OrganisationStore, credential_id: CredentialId) -> Credential:
    credential = await show_credential(actor, store, credential_id)
    if credential.life.state is State.ENDED:
        raise Clash(f"credential {credential_id!r} has ended")
    return credential


async def _change(
    actor: Actor,
    store: OrganisationStore,
    credential: Credential,
    life: Life,
    kind: str,
    *,
    raises: bool,
    now: datetime,
    dice: Dice,
) -> Credential:
    changed = msgspec.structs.replace(
        credential, life=life, epoch=credential.epoch + raises, version=credential.version + 1
    )
    event = told(
        kind,
        actor,
        credential.organisation_id,
        credential.id,
        now=now,
        dice=dice,
        details=facts_of(credential),
    )
    await carry_out(store, event, Replace(changed, credential.version))
    return changed


def live_secrets(credentials: Sequence[Credential], now: datetime) -> list[Credential]:
    """Choose those that may be used, now or again: disabled ones too, and those that a policy refuses."""
    return [credential for credential in credentials if credential.life.standing(now) not in _SPENT]


def facts_of(credential: Credential) -> dict[str, str]:
    """Give what the trail tells of a credential beside its id."""
    return {"kind": credential.kind, "owner": credential.owner_id}
