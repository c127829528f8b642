"""Passwords of people: set and ended; they belong to the home organisation alone (PW-01, PW-02)."""

import hashlib
from datetime import datetime

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.changes import Add, Replace
from keyturn.core.errors import OperatorError
from keyturn.core.identifiers import uuid7
from keyturn.core.life import Life
from keyturn.core.password_rules import MIN_LENGTH, check_new_password
from keyturn.core.ports import Passwords
from keyturn.core.records import Credential, Organisation, User
from keyturn.core.secret import Dice, Secret
from keyturn.core.store_ports import OrganisationStore
from keyturn.core.vocabulary import CredentialId, CredentialKind, UserId
from keyturn.directory.credentials import made
from keyturn.directory.events import carry_out
from keyturn.directory.owners import ended_credentials
from keyturn.directory.users import changeable_user

PRODUCT = "keyturn"


async def set_password(
    actor: Actor,
    store: OrganisationStore,
    user_id: UserId,
    password: Secret,
    *,
    dialects: tuple[str, ...],
    passwords: Passwords,
    now: datetime,
    dice: Dice,
) -> Credential:
    """Give a user a password, in place of the one before; every token of the user is dead (RV-04).

    Raises:
        OperatorError: It may not be set (the words hold nothing of it), or the user is a service user.
        Unavailable: Too many wait for a hash already.
    """
    user = await changeable_user(actor, store, user_id)
    if user.service:
        raise OperatorError("a service user has no password; give it a user key or an API token")
    normal = _accept(password, user, await store.organisation())
    credential_id = CredentialId(uuid7(now, dice))
    credential = Credential(
        id=credential_id,
        kind=CredentialKind.PASSWORD,
        owner_id=user.id,
        organisation_id=user.organisation_id,
        name="password",
        life=Life(created_at=now),
        dialects=dialects,
        lookup_hash=hashlib.sha256(credential_id.encode()).digest(),
        pepper_id="",
        verifier=await passwords.hash(Secret(normal)),
        mfa=len(normal) < MIN_LENGTH,
    )
    before = await store.credentials_of(user.id, CredentialKind.PASSWORD)
    changed = msgspec.structs.replace(user, epoch=user.epoch + 1, version=user.version + 1)
    await carry_out(
        store,
        made(credential, actor, now=now, dice=dice),
        Replace(changed, user.version),
        *ended_credentials(before, now, "password changed"),
        Add(credential),
    )
    return credential


def _accept(password: Secret, user: User, organisation: Organisation) -> str:
    context = (
        user.name,
        user.display_name,
        (user.email or "").partition("@")[0],
        organisation.name,
        organisation.slug,
        PRODUCT,
    )
    try:
        return check_new_password(password.reveal(), second_factor=user.mfa_required, context=context)
    except ValueError as error:
        raise OperatorError(str(error)) from None
