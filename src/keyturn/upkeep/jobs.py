"""Every job there is, and how often; the one list to add to."""

from collections.abc import Callable
from datetime import datetime, timedelta

from keyturn.core.clock import Clock
from keyturn.core.clock_watch import ClockWatch
from keyturn.core.identifiers import uuid7
from keyturn.core.ports import MasterKeyring
from keyturn.core.sealed_values import MASTER_KEY
from keyturn.core.secret import Dice
from keyturn.core.store_ports import DeploymentStore
from keyturn.core.upkeep_ports import AuditKeys, UpkeepStore
from keyturn.upkeep.checkpoints import ChainCheck, Checkpoints, Retention
from keyturn.upkeep.cleaning import Cleaning
from keyturn.upkeep.clock import ClockChore
from keyturn.upkeep.master_key import Following, Resealing
from keyturn.upkeep.notices import Expiry, Noticing, Outgoing
from keyturn.upkeep.rotation import NotingRings, Rotation, Turn
from keyturn.upkeep.schedule import Job
from keyturn.upkeep.scheduler import CHECKPOINT, Scheduler

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def make_scheduler(
    store: UpkeepStore,
    trail: DeploymentStore,
    keys: AuditKeys,
    rings: NotingRings,
    turn: Turn,
    keyring: MasterKeyring,
    following: Following,
    *,
    check: ChainCheck,
    forget_expired: Callable[[datetime], None],
    clock: Clock,
    clock_watch: ClockWatch,
    dice: Dice,
    checkpoint_every: timedelta,
    kept: timedelta | None,
    outgoing: Outgoing | None = None,
    expiry: Expiry | None = None,
    noticing: Noticing | None = None,
) -> Scheduler:
    """Put the upkeep of one process together; nothing happens before it is run.

    Args:
        check: Follows the links of an audit chain.
        forget_expired: Drops from memory what no living token needs.
        kept: The age beyond which audit rows go; None for never.
        outgoing: Sends notices.
        expiry: Notices what will expire.
        noticing: Writes down what a process noticed.
    """
    rotation = Rotation(rings, store, turn, clock)
    jobs = [
        Job("keys", MINUTE, rotation.work),
        Job("clean", 10 * MINUTE, Cleaning(store, store).work),
        Job(CHECKPOINT, checkpoint_every, Checkpoints(store, keys).work),
        Job(MASTER_KEY, 10 * MINUTE, Resealing(trail, store, keyring, clock, dice).work),
    ]
    if kept is not None:
        retention = Retention(
            store=store, clock=store, trail=trail, keys=keys, check=check, kept=kept, dice=dice
        )
        jobs.append(Job("retention", HOUR, retention.work))
    if expiry is not None:
        jobs.append(Job("expiry", HOUR, expiry.work))
    if outgoing is not None:
        jobs.append(Job("notices", MINUTE, outgoing.work, beside=True))
    watching = ClockChore(clock, clock_watch, store, forget_expired)
    told = () if noticing is None else (noticing.work,)
    holder = uuid7(clock.now(), dice)
    return Scheduler(
        jobs, (watching.work, rotation.note, following.work, *told), store, clock, clock_watch, holder
    )
