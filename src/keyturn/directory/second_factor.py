"""A person's second factor: a TOTP device, enrolled in two steps, and recovery codes in its place (PW-06).

enrol     a device, pending: its seed is shown once and sealed
confirm   with a code of it: active, and the device before has ended; recovery codes, shown once
remove    the device and its recovery codes have ended
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime

import msgspec

from keyturn.core import totp
from keyturn.core.actors import Actor
from keyturn.core.changes import Add, Change, Replace
from keyturn.core.errors import Clash, OperatorError
from keyturn.core.identifiers import uuid7
from keyturn.core.life import Life, State
from keyturn.core.ports import Digester, Sealer
from keyturn.core.records import Credential, User
from keyturn.core.sealed_values import open_value
from keyturn.core.secret import Dice, Secret
from keyturn.core.store_ports import OrganisationStore
from keyturn.core.vocabulary import CredentialId, CredentialKind, UserId
from keyturn.directory.credentials import made, make_credential
from keyturn.directory.events import carry_out
from keyturn.directory.names import check_name
from keyturn.directory.owners import ended_credentials, raise_version
from keyturn.directory.users import changeable_user, show_user

RECOVERY_CODES = 10


class Enrolment(msgspec.Struct, frozen=True):
    """A device that waits to be confirmed, and what its app must be told, this once.

    Args:
        seed: In base32, to be typed.
        uri: The same as a link or QR code.
    """

    device: Credential
    seed: Secret
    uri: Secret


async def enrol_totp(
    actor: Actor,
    store: OrganisationStore,
    user_id: UserId,
    name: str,
    *,
    issuer: str,
    sealer: Sealer,
    now: datetime,
    dice: Dice,
) -> Enrolment:
    """Make a device for a user; the one there is stays good until this one is confirmed.

    Args:
        issuer: Whose service it is for; shown in the app.

    Raises:
        OperatorError: The user has ended or is a service user.
    """
    user = await _person(actor, store, user_id)
    seed = totp.make_seed(dice)
    device_id = CredentialId(uuid7(now, dice))
    device = Credential(
        id=device_id,
        kind=CredentialKind.TOTP,
        owner_id=user.id,
        organisation_id=user.organisation_id,
        name=check_name(name),
        life=Life(created_at=now, state=State.PENDING),
        dialects=(),
        lookup_hash=hashlib.sha256(device_id.encode()).digest(),
        pepper_id="",
        sealed=sealer.seal(CredentialKind.TOTP, device_id, seed),
    )
    there = await store.credentials_of(user.id, CredentialKind.TOTP)
    waiting = [each for each in there if each.life.state is State.PENDING]
    gone = ended_credentials(waiting, now, "enrolled anew")
    event = made(device, actor, now=now, dice=dice)
    await carry_out(store, event, raise_version(user), *gone, Add(device))
    written = totp.in_base32(seed)
    return Enrolment(device, written, totp.provisioning_uri(written, user.email or user.name, issuer))


async def confirm_totp(
    actor: Actor,
    store: OrganisationStore,
    user_id: UserId,
    code: Secret,
    *,
    sealer: Sealer,
    digester: Digester,
    now: datetime,
    dice: Dice,
) -> tuple[Credential, Sequence[Secret]]:
    """Take a device into use by a code of it; the device before and its recovery codes have ended.

    Returns:
        The device, and fresh recovery codes, which are nowhere else: show them once (AD-04).

    Raises:
        OperatorError: No device waits to be confirmed, or the code is not right.
    """
    user = await _person(actor, store, user_id)
    there = await store.credentials_of(user.id, CredentialKind.TOTP)
    device = next((each for each in there if each.life.state is State.PENDING), None)
    if device is None or device.sealed is None:
        raise Clash(f"no device of user {user_id!r} waits to be confirmed; enrol one")
    step = totp.verify(open_value(device, sealer), code.reveal(), now, None)
    if step is None:
        raise OperatorError("that is not the device's code; look whether its clock is right")
    # The code that confirmed it is spent with its step: it opens nothing afterwards (RFC 6238 section 5.2).
    active = msgspec.structs.replace(
        device,
        life=msgspec.structs.replace(device.life, state=State.ACTIVE),
        accepted_step=step,
        version=device.version + 1,
    )
    before = [each for each in there if each.id != device.id]
    codes, changes = await _fresh_codes(store, user, digester, now, dice)
    await carry_out(
        store,
        made(active, actor, now=now, dice=dice, kind="credential.confirmed"),
        Replace(active, device.version),
        *ended_credentials(before, now, "another device took its place"),
        *changes,
    )
    return active, codes


async def renew_recovery_codes(
    actor: Actor,
    store: OrganisationStore,
    user_id: UserId,
    *,
    digester: Digester,
    now: datetime,
    dice: Dice,
) -> Sequence[Secret]:
    """Make recovery codes in place of those there are.

    Raises:
        OperatorError: The user has no device whose codes they could stand for.
    """
    user = await _person(actor, store, user_id)
    device = await _active_device(store, user)
    codes, changes = await _fresh_codes(store, user, digester, now, dice)
    event = made(device, actor, now=now, dice=dice, kind="credential.recovery_codes_renewed")
    await carry_out(store, event, raise_version(user), *changes)
    return codes


async def remove_totp(
    actor: Actor, store: OrganisationStore, user_id: UserId, *, now: datetime, dice: Dice
) -> Credential:
    """End a user's device and recovery codes; who must use MFA cannot come in until another is enrolled.

    Raises:
        OperatorError: The user has no device.
    """
    user = await _person(actor, store, user_id)
    device = await _active_device(store, user)
    there = [
        each
        for kind in (CredentialKind.TOTP, CredentialKind.RECOVERY_CODE)
        for each in await store.credentials_of(user.id, kind)
    ]
    event = made(device, actor, now=now, dice=dice, kind="credential.ended")
    await carry_out(store, event, raise_version(user), *ended_credentials(there, now, "removed"))
    kept = await store.credentials_of(user.id, CredentialKind.TOTP)
    return next(each for each in kept if each.id == device.id)


async def list_totp(actor: Actor, store: OrganisationStore, user_id: UserId) -> Sequence[Credential]:
    """List a user's devices, oldest first, ended ones included; never a seed."""
    user = await show_user(actor, store, user_id)
    return await store.credentials_of(user.id, CredentialKind.TOTP)


async def _person(actor: Actor, store: OrganisationStore, user_id: UserId) -> User:
    user = await changeable_user(actor, store, user_id)
    if user.service:
        raise OperatorError("a service user has no second factor")
    return user


async def _active_device(store: OrganisationStore, user: User) -> Credential:
    there = await store.credentials_of(user.id, CredentialKind.TOTP)
    device = next((each for each in there if each.life.state is State.ACTIVE), None)
    if device is None:
        raise Clash(f"user {user.id!r} has no device")
    return device


async def _fresh_codes(
    store: OrganisationStore, user: User, digester: Digester, now: datetime, dice: Dice
) -> tuple[Sequence[Secret], Sequence[Change]]:
    """Make recovery codes, and end those before; 256 bits each, so a digest is enough to keep them."""
    before = await store.credentials_of(user.id, CredentialKind.RECOVERY_CODE)
    fresh = [
        make_credential(
            CredentialKind.RECOVERY_CODE,
            user,
            f"recovery code {number}",
            Life(created_at=now),
            dialects=(),
            digester=digester,
            dice=dice,
        )
        for number in range(1, RECOVERY_CODES + 1)
    ]
    changes: list[Change] = [*ended_credentials(before, now, "made anew")]
    changes += [Add(credential) for credential, _ in fresh]
    return [code for _, code in fresh], changes
