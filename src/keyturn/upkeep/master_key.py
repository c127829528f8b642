"""One master key takes over from another while servers run: each process follows, one seals everything again.

    held     a server reads the new key from where its keys are, and tells the store so     within seconds
    in use   a value in the store names it: every server seals under it, and tells           within seconds
    again    every value under another key is opened and sealed under it, page by page       this job

A value names its own key, so what a run has done needs no note: one that is killed at any moment is followed
by one that finds what is left. Source: decision 0028.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec

from keyturn.core.actors import system
from keyturn.core.changes import Lost, Unit
from keyturn.core.clock import Clock
from keyturn.core.errors import ConfigError, Fault
from keyturn.core.identifiers import uuid7
from keyturn.core.ports import MasterKeyring
from keyturn.core.records import AuditEvent, Sealed
from keyturn.core.sealed_values import FIELDS, MASTER_KEY, Keeper, open_value, sealed_again
from keyturn.core.secret import Dice
from keyturn.core.store_ports import DeploymentStore
from keyturn.core.upkeep_ports import Node, NodeStore, SealedStore, key_in_order

PAGE = 50
"""Values sealed again in one unit: with one row of the trail, and one turn of the writer."""
REPORT_EVERY = timedelta(seconds=30)
"""A process that has nothing new to say says so that often."""

log = logging.getLogger(__name__)


async def key_in_use(store: DeploymentStore, keyring: MasterKeyring) -> str | None:
    """Read which master key a deployment seals under; None while it has never had another.

    Raises:
        ConfigError: It is none of those that this process was given.
        Fault: The value that says so was altered.
        Unavailable: The store is away.
    """
    for kept in await store.sealed(MASTER_KEY):
        return _named(kept, keyring)
    return None


def _named(kept: Sealed, keyring: MasterKeyring) -> str:
    # It lies under the key that it names: nobody without that key can say that it is in use.
    key_id = kept.value[1:9].hex()
    if key_id not in keyring.held:
        ours = ", ".join(keyring.held)
        raise ConfigError(
            [f"this deployment seals under the master key with id {key_id}; given is only {ours}: add it"]
        )
    if open_value(kept, keyring).decode("ascii", "replace") != key_id:
        raise Fault("the value that names the master key in use was altered")
    return key_id


class Following:
    """Keeps a process's master keys in step with where they come from and with the deployment.

    Args:
        reload: Reads the keys again if they changed, off the event loop; True where they are others now.
        node_id: This process's name.
    """

    def __init__(
        self,
        store: DeploymentStore,
        nodes: NodeStore,
        keyring: MasterKeyring,
        reload: Callable[[], bool],
        clock: Clock,
        node_id: str,
    ) -> None:
        """Follow nothing yet, and tell nobody."""
        self._store = store
        self._nodes = nodes
        self._keyring = keyring
        self._reload = reload
        self._clock = clock
        self._node_id = node_id
        self._enlisted = False
        self._told: Node | None = None
        self._complaint = ""

    async def enlist(self) -> None:
        """Tell from now on that this process serves: a rotation waits for it.

        Raises:
            Unavailable: The store is away.
        """
        self._enlisted = True
        await self.work()

    async def leave(self) -> None:
        """Tell that it serves no more.

        Raises:
            Unavailable: The store is away.
        """
        self._enlisted = False
        await self._nodes.forget_node(self._node_id)

    async def work(self) -> None:
        """Take in new keys and the one in use, and tell what this process holds: a chore.

        Raises:
            Unavailable: The store is away.
        """
        if await asyncio.to_thread(self._reload):
            log.info("master keys read again: %s", ", ".join(self._keyring.held))
        try:
            key_id = await key_in_use(self._store, self._keyring)
        except ConfigError as error:
            self._complain(str(error))
            key_id = None
        if key_id is not None and key_id != self._keyring.current:
            self._keyring.use(key_id)
            log.info("sealing under the master key with id %s from now on", key_id)
        if self._enlisted:
            await self._tell(self._clock.now())

    def _complain(self, problem: str) -> None:
        """Say what is wrong, once."""
        if problem != self._complaint:
            self._complaint = problem
            log.error("%s", problem)

    async def _tell(self, now: datetime) -> None:
        node = Node(
            id=self._node_id, seen_at=now, held=self._keyring.held, sealing_under=self._keyring.current
        )
        told = self._told
        if told is None or _differs(told, node) or not timedelta(0) <= now - told.seen_at < REPORT_EVERY:
            await self._nodes.report_node(node)
            self._told = node


def _differs(one: Node, other: Node) -> bool:
    return (one.held, one.sealing_under) != (other.held, other.sealing_under)


class Resealing(msgspec.Struct, frozen=True):
    """The job ``master-key``: seals under the key in use whatever is under another."""

    store: DeploymentStore
    sealed: SealedStore
    keyring: MasterKeyring
    clock: Clock
    dice: Dice

    async def work(self, _started_at: datetime) -> str:
        """Go through every table; a process that holds one key has nothing to do and asks nothing."""
        if len(self.keyring.held) == 1:
            return "one master key"
        key_id = await key_in_use(self.store, self.keyring)
        if key_id is None:
            return "no rotation"
        self.keyring.use(key_id)
        done = left = 0
        for kind in FIELDS:
            after: tuple[str, ...] = ()
            while page := await self.sealed.sealed_elsewhere(kind, key_id, after, PAGE):
                after = key_in_order(page[-1])
                again = await self._seal_again(page, key_id)
                done, left = done + again, left + len(page) - again
        return f"sealed {done} again, {left} left"

    async def _seal_again(self, page: Sequence[Keeper], key_id: str) -> int:
        """Seal a page in one unit; where one of it has just changed, each by itself."""
        changes = []
        for record in page:
            try:
                changes.append(sealed_again(record, self.keyring))
            except Fault as fault:  # one damaged value must not keep all others under the old key
                log.error("not sealed again: %s", fault)  # noqa: TRY400  # the words say all
        if not changes or await self._recorded(key_id, *changes):
            return len(changes)
        # What loses here was changed meanwhile, by a process that seals under the new key or is told soon.
        return sum([await self._recorded(key_id, change) for change in changes])

    async def _recorded(self, key_id: str, *changes: object) -> bool:
        now = self.clock.now()
        event = AuditEvent(
            at=now,
            kind="master_key.resealed",
            actor=system("master-key").name,
            request_id=uuid7(now, self.dice),
            subject=key_id,
            details={"values": str(len(changes))},
        )
        unit = Unit(changes=changes, audit=event)  # type: ignore[arg-type]  # made by ``sealed_again``
        return not isinstance(await self.store.record(unit), Lost)
