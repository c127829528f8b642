"""An operator's word that no process of an earlier release is left, so that all write as this one does."""

from datetime import datetime

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.changes import Add
from keyturn.core.errors import OperatorError
from keyturn.core.forms import NEWEST, PURPOSE, Form, read_by_all, said
from keyturn.core.ports import Sealer
from keyturn.core.secret import Dice
from keyturn.core.store_ports import DeploymentStore
from keyturn.directory.events import attempt, told

KIND = "deployment.upgraded"


class Upgraded(msgspec.Struct, frozen=True):
    """Which form was written before, and which is from now on."""

    before: Form
    now: Form = NEWEST


async def written_form(store: DeploymentStore, sealer: Sealer) -> Form:
    """Read in which form the deployment's processes write.

    Raises:
        Unavailable: The store is away.
        Fault: What says so was altered.
    """
    return read_by_all(await store.sealed(PURPOSE), sealer)


async def mark_upgraded(
    actor: Actor, store: DeploymentStore, sealer: Sealer, *, now: datetime, dice: Dice
) -> Upgraded:
    """Have every process write the newest form within a second (RE-04); again, there is nothing to do.

    Raises:
        OperatorError: The actor is confined to one organisation.
    """
    if actor.organisation_id is not None:
        raise OperatorError("only an operator of the deployment upgrades it")
    before = await written_form(store, sealer)
    if before is not NEWEST:
        details = {"form": str(NEWEST.value), "before": str(before.value)}
        event = told(KIND, actor, None, "deployment", now=now, dice=dice, details=details)
        await attempt(store, event, Add(said(NEWEST, sealer, now)))  # lost: another has just said the same
    return Upgraded(before)
