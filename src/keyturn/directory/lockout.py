"""Forgiving a name that was locked: only an operator does, before it is forgotten by itself (PW-05)."""

from datetime import datetime

from keyturn.core.actors import Actor
from keyturn.core.lockout import passcode_name
from keyturn.core.ports import Lockout
from keyturn.core.secret import Dice
from keyturn.core.store_ports import OrganisationStore
from keyturn.directory.events import carry_out, told
from keyturn.directory.owners import check_reach
from keyturn.directory.people_names import check_user_name


async def clear_lockout(
    actor: Actor, store: OrganisationStore, lockout: Lockout, user_name: str, *, now: datetime, dice: Dice
) -> str:
    """Forget every failure of a name that is at home in an organisation, whether anybody has it or not.

    Told before it is done: a clearing that nobody was told of would hide who helped an attacker.

    Returns:
        The canonical name.

    Raises:
        OperatorError: It can be nobody's name, or the organisation is not there for this actor.
    """
    check_reach(actor, store)
    name = check_user_name(user_name)
    organisation_id = store.organisation_id
    event = told(
        "lockout.cleared",
        actor,
        organisation_id,
        organisation_id,
        now=now,
        dice=dice,
        personal={"user_name": name},
    )
    await carry_out(store, event)
    counted = f"{organisation_id}/{name}"
    for each in (counted, passcode_name(counted)):
        await lockout.clear(each)
    return name
