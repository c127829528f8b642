"""The proof of an e-mail address: a code that only whoever reads its mail has, good once and for a day.

The code says whose address it proves and until when, under a keyed digest over both and the address: another
address, a later day or an altered character make it worthless. Nothing is stored until it is used.
"""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.changes import Add, Replace
from keyturn.core.errors import Clash, OperatorError
from keyturn.core.ports import Digester
from keyturn.core.records import Spent, User
from keyturn.core.secret import Dice, Secret
from keyturn.core.store_ports import OrganisationStore
from keyturn.core.vocabulary import UserId
from keyturn.directory.events import carry_out, told
from keyturn.directory.users import changeable_user

GOOD_FOR = timedelta(days=1)
_PARTS = 3
_MOST_DIGITS = 12


def user_of(code: Secret) -> UserId:
    """Read whose address a code is about; nothing about it is proven.

    Raises:
        OperatorError: It does not look like a code.
    """
    return UserId(_parts(code)[0])


async def make_email_code(
    actor: Actor, store: OrganisationStore, user_id: UserId, *, digester: Digester, now: datetime, dice: Dice
) -> Secret:
    """Make the code that proves a user's address; to be sent there and nowhere else.

    Raises:
        OperatorError: The user has no address, or it is proved already.
    """
    user = await changeable_user(actor, store, user_id)
    if user.email is None or user.email_verified_at is not None:
        raise Clash(f"user {user_id!r} has no e-mail address that is still to be proved")
    until = str(int((now + GOOD_FOR).timestamp()))
    tag = digester.tag(_message(user, until)).hex()
    event = told("user.email_code_made", actor, user.organisation_id, user.id, now=now, dice=dice)
    await carry_out(store, event)
    return Secret(f"{user.id}.{until}.{tag}")


async def confirm_email(
    actor: Actor, store: OrganisationStore, code: Secret, *, digester: Digester, now: datetime, dice: Dice
) -> User:
    """Note that a user's address is proved; the code is used up.

    Raises:
        OperatorError: The code is not good: altered, too old, for another address or used.
    """
    user_id, until, tag = _parts(code)
    user = await changeable_user(actor, store, UserId(user_id))
    expected = digester.tag(_message(user, until)).hex()
    genuine = hmac.compare_digest(expected.encode(), tag.encode())
    if not genuine or user.email is None or now.timestamp() >= int(until):
        raise OperatorError("this code is not good (any more); make another one")
    proved = msgspec.structs.replace(user, email_verified_at=now, version=user.version + 1)
    used = Spent(
        id=f"email:{hashlib.sha256(f'{user_id}.{until}.{tag}'.encode()).hexdigest()}",
        organisation_id=user.organisation_id,
        expires_at=datetime.fromtimestamp(int(until), UTC),
    )
    event = told("user.email_proved", actor, user.organisation_id, user.id, now=now, dice=dice)
    await carry_out(
        store, event, Add(used), Replace(proved, user.version), taken="this code was used already"
    )
    return proved


def _parts(code: Secret) -> tuple[str, str, str]:
    parts = code.reveal().strip().split(".")
    if len(parts) != _PARTS or not parts[1].isdecimal() or len(parts[1]) > _MOST_DIGITS:
        raise OperatorError("that is no code for an e-mail address")
    user_id, until, tag = parts
    return user_id, until, tag


def _message(user: User, until: str) -> bytes:
    return "\n".join(("email proof", user.id, user.email or "", until)).encode()
