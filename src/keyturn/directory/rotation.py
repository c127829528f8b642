"""Rotating a client secret without a gap: a successor, an overlap, and its end or its undoing.

    rotate   old: active ──> overlapping(until)      successor: made, active
    finish   old: overlapping ──> ended              at ``until`` it counts as ended by itself
    cancel   old: overlapping ──> active             successor: ended

Each is one unit, so that there are never more than two live secrets and never none (TE-05; decision 0014).
"""

from datetime import datetime, timedelta

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.changes import Add, Replace, Versioned
from keyturn.core.errors import Clash, OperatorError
from keyturn.core.life import Life, Standing, State
from keyturn.core.ports import Digester
from keyturn.core.records import AuditEvent, Client, Credential, User
from keyturn.core.secret import Dice, Secret
from keyturn.core.store_ports import OrganisationStore
from keyturn.core.vocabulary import ClientId, CredentialId, CredentialKind
from keyturn.directory.clients import changeable_client
from keyturn.directory.credentials import (
    accepted_end,
    facts_of,
    live_secrets,
    make_credential,
    show_credential,
)
from keyturn.directory.events import carry_out, told
from keyturn.directory.owners import raise_version

LONGEST_OVERLAP = timedelta(days=90)


async def rotate_client_secret(
    actor: Actor,
    store: OrganisationStore,
    client_id: ClientId,
    overlap: timedelta,
    *,
    digester: Digester,
    name: str | None = None,
    expires_at: datetime | None = None,
    now: datetime,
    dice: Dice,
) -> tuple[Credential, Secret]:
    """Make the successor of a client's one live secret, which stays good for ``overlap`` longer.

    Args:
        overlap: Zero ends the old one, and every token minted from it, at once.
        name: The successor's; the old one's if not given. It takes over dialects and scopes too.
        expires_at: When the successor is refused; None for as late as the policy allows.

    Returns:
        The successor's record, and the secret, which is nowhere else: show it once (AD-04).

    Raises:
        OperatorError: The client has ended, or has not exactly one live secret.
    """
    if not timedelta() <= overlap <= LONGEST_OVERLAP:
        raise OperatorError(f"an overlap is at most {LONGEST_OVERLAP.days} days")
    client = await changeable_client(actor, store, client_id)
    ends = accepted_end(expires_at, await store.organisation(), now)
    old = await _only_live_secret(store, client_id, now)
    life = Life(created_at=now, expires_at=ends)
    return await succeed(
        actor, store, client, old, life, overlap, name=name, digester=digester, now=now, dice=dice
    )


async def succeed(
    actor: Actor,
    store: OrganisationStore,
    owner: Client | User,
    old: Credential,
    life: Life,
    overlap: timedelta = timedelta(),
    *,
    guard: Versioned | None = None,
    name: str | None = None,
    digester: Digester,
    now: datetime,
    dice: Dice,
) -> tuple[Credential, Secret]:
    """Make the successor of a credential: it takes over all that the old one may do.

    Args:
        guard: Whose version is raised so that one of two changes at once wins; the owner's if not given.
    """
    successor, secret = make_credential(
        old.kind,
        owner,
        name or old.name,
        life,
        dialects=old.dialects,
        digester=digester,
        dice=dice,
        organisation_id=old.organisation_id,
        scopes=old.scopes,
        roles=old.roles,
        mfa=old.mfa,
        succeeds=old.id,
    )
    until = now + overlap
    event = _event("credential.rotated", actor, successor, now, dice, until=until.isoformat())
    superseded = _with_life(old, old.life.superseded(now, until))
    await carry_out(
        store, event, raise_version(guard or owner), Replace(superseded, old.version), Add(successor)
    )
    return successor, secret


async def finish_rotation(
    actor: Actor, store: OrganisationStore, credential_id: CredentialId, *, now: datetime, dice: Dice
) -> Credential:
    """End the overlap now: the old secret, and every token minted from it, is dead.

    Args:
        credential_id: The old secret or its successor.

    Raises:
        OperatorError: No rotation of it is under way.
    """
    old, _ = await _rotation(actor, store, credential_id, now)
    done = _with_life(old, old.life.ended(now, "rotated"))
    event = _event("credential.rotation_finished", actor, old, now, dice)
    await carry_out(store, event, Replace(done, old.version))
    return done


async def cancel_rotation(
    actor: Actor, store: OrganisationStore, credential_id: CredentialId, *, now: datetime, dice: Dice
) -> Credential:
    """Go back to the old secret: it is active again, and its successor has ended with all its tokens.

    Args:
        credential_id: The old secret or its successor.

    Raises:
        OperatorError: No rotation of it is under way, or its overlap has passed.
    """
    old, successor = await _rotation(actor, store, credential_id, now)
    back = _with_life(old, old.life.resumed(now))
    changes = [Replace(back, old.version)]
    if successor is not None:
        ended = _with_life(successor, successor.life.ended(now, "rotation cancelled"))
        changes.append(Replace(ended, successor.version))
    await carry_out(store, _event("credential.rotation_cancelled", actor, old, now, dice), *changes)
    return back


async def _only_live_secret(store: OrganisationStore, client_id: ClientId, now: datetime) -> Credential:
    live = live_secrets(await store.credentials_of(client_id, CredentialKind.CLIENT_SECRET), now)
    if not live:
        raise Clash(f"client {client_id!r} has no live secret to rotate; create one")
    if len(live) > 1:
        raise Clash(f"client {client_id!r} has two live secrets; finish the rotation or end one")
    return live[0]


async def _rotation(
    actor: Actor, store: OrganisationStore, credential_id: CredentialId, now: datetime
) -> tuple[Credential, Credential | None]:
    """Find the old secret of a rotation that is under way, and its successor, by either one's id."""
    named = await show_credential(actor, store, credential_id)
    siblings = await store.credentials_of(named.owner_id, named.kind)
    old = next(
        (each for each in siblings if each.id in {named.id, named.succeeds} and _overlaps(each, now)), None
    )
    if old is None:
        raise Clash(f"no rotation of credential {credential_id!r} is under way")
    # An earlier rotation of it that was cancelled left a successor too, which has ended.
    living = (each for each in siblings if each.life.state is not State.ENDED)
    return old, next((each for each in living if each.succeeds == old.id), None)


def _overlaps(credential: Credential, now: datetime) -> bool:
    life = credential.life
    return life.state is State.OVERLAPPING and life.standing(now) is not Standing.ENDED


def _with_life(credential: Credential, life: Life) -> Credential:
    """Change a life; an end raises the epoch, so that the tokens minted from the credential are dead."""
    return msgspec.structs.replace(
        credential,
        life=life,
        epoch=credential.epoch + (life.state is State.ENDED),
        version=credential.version + 1,
    )


def _event(
    kind: str, actor: Actor, credential: Credential, now: datetime, dice: Dice, **details: str
) -> AuditEvent:
    facts = facts_of(credential) | details
    if credential.succeeds is not None:
        facts["succeeds"] = credential.succeeds
    return told(kind, actor, credential.organisation_id, credential.id, now=now, dice=dice, details=facts)
