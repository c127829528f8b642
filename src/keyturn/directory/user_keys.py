"""User keys: secrets by which a user's programs come in, several at a time; the home's alone (section 3)."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from keyturn.core.actors import Actor
from keyturn.core.changes import Add
from keyturn.core.errors import Clash, OperatorError
from keyturn.core.life import Life, State
from keyturn.core.ports import Digester
from keyturn.core.records import Credential
from keyturn.core.secret import Dice, Secret
from keyturn.core.store_ports import OrganisationStore
from keyturn.core.vocabulary import CredentialId, CredentialKind, UserId
from keyturn.directory.credentials import live_secrets, made, make_credential, show_credential
from keyturn.directory.events import carry_out
from keyturn.directory.owners import raise_version
from keyturn.directory.rotation import LONGEST_OVERLAP, succeed
from keyturn.directory.users import changeable_user, show_user

MAX_LIVE_USER_KEYS = 20


async def create_user_key(
    actor: Actor,
    store: OrganisationStore,
    user_id: UserId,
    name: str,
    *,
    dialects: tuple[str, ...],
    digester: Digester,
    expires_at: datetime | None = None,
    now: datetime,
    dice: Dice,
) -> tuple[Credential, Secret]:
    """Make a key for a user, refused from ``expires_at`` on (None: never).

    Returns:
        The record that is kept, and the key, which is nowhere else: show it once (AD-04).

    Raises:
        OperatorError: The user has ended or has enough keys, or ``expires_at`` is not to come.
    """
    user = await changeable_user(actor, store, user_id)
    require_to_come(expires_at, now)
    there = await store.credentials_of(user.id, CredentialKind.USER_KEY)
    if len(live_secrets(there, now)) >= MAX_LIVE_USER_KEYS:
        raise Clash(f"user {user_id!r} has {MAX_LIVE_USER_KEYS} live keys; end one first")
    credential, secret = make_credential(
        CredentialKind.USER_KEY,
        user,
        name,
        Life(created_at=now, expires_at=expires_at),
        dialects=dialects,
        digester=digester,
        dice=dice,
    )
    event = made(credential, actor, now=now, dice=dice)
    await carry_out(store, event, raise_version(user), Add(credential))
    return credential, secret


async def list_user_keys(actor: Actor, store: OrganisationStore, user_id: UserId) -> Sequence[Credential]:
    """List a user's keys with their last use, oldest first, ended ones included; not the keys themselves."""
    user = await show_user(actor, store, user_id)
    return await store.credentials_of(user.id, CredentialKind.USER_KEY)


async def rotate_user_key(
    actor: Actor,
    store: OrganisationStore,
    credential_id: CredentialId,
    overlap: timedelta,
    *,
    expires_at: datetime | None = None,
    digester: Digester,
    now: datetime,
    dice: Dice,
) -> tuple[Credential, Secret]:
    """Make the successor of a key, which stays good for ``overlap`` longer; zero ends it and its tokens now.

    Raises:
        OperatorError: It is no living user key, a successor was made already, or the overlap is too long.
    """
    if not timedelta() <= overlap <= LONGEST_OVERLAP:
        raise OperatorError(f"an overlap is at most {LONGEST_OVERLAP.days} days")
    require_to_come(expires_at, now)
    old = await replaceable(actor, store, credential_id, CredentialKind.USER_KEY)
    user = await changeable_user(actor, store, UserId(old.owner_id))
    life = Life(created_at=now, expires_at=expires_at)
    return await succeed(actor, store, user, old, life, overlap, digester=digester, now=now, dice=dice)


async def replaceable(
    actor: Actor, store: OrganisationStore, credential_id: CredentialId, kind: CredentialKind
) -> Credential:
    """Read a credential of a kind that may be replaced by a successor.

    Raises:
        OperatorError: It is of another kind, is disabled, has ended, or has a successor.
    """
    old = await show_credential(actor, store, credential_id)
    if old.kind is not kind:
        raise OperatorError(f"credential {credential_id!r} is no {kind.replace('_', ' ')}")
    if old.life.state is not State.ACTIVE:
        raise Clash(f"credential {credential_id!r} has ended or has a successor")
    if old.life.disabled:  # its successor would be good, and so undo what disabled it
        raise Clash(f"credential {credential_id!r} is disabled; enable it first")
    return old


def require_to_come(expires_at: datetime | None, now: datetime) -> None:
    """Refuse an expiry that has passed.

    Raises:
        OperatorError: It has.
    """
    if expires_at is not None and expires_at <= now:
        raise OperatorError("a secret expires in the future")
