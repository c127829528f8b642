"""Which master key a deployment seals under, and whether one may go (TK-12).

The keys themselves are nowhere here: an operator speaks of them by their ids.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.changes import Add, ReplaceKey
from keyturn.core.errors import Clash, NotPermitted, OperatorError
from keyturn.core.ports import MasterKeyring
from keyturn.core.records import Sealed
from keyturn.core.sealed_values import IN_USE, MASTER_KEY
from keyturn.core.secret import Dice
from keyturn.core.store_ports import DeploymentStore
from keyturn.core.upkeep_ports import Node, NodeStore, SealedStore
from keyturn.directory.events import carry_out, told

NODE_LIVES = timedelta(seconds=90)
"""A server that was not seen for so long is gone: it tells of itself three times as often."""
SETTLED_AFTER = timedelta(minutes=2)
"""From the moment a key comes into use: what was begun under the old one has ended by then."""


class MasterKeyStanding(msgspec.Struct, frozen=True, kw_only=True):
    """How the master keys of a deployment stand.

    Args:
        in_use: What everything is sealed under.
        since: When it came into use; None while it is the first.
        held: What this process was given.
        values: How many values lie under each, by table.
        nodes: The servers that are running.
    """

    in_use: str
    since: datetime | None
    held: tuple[str, ...]
    values: Mapping[str, Mapping[str, int]]
    nodes: Sequence[Node]

    def under(self, key_id: str) -> int:
        """Count the values under a key."""
        return sum(counted.get(key_id, 0) for counted in self.values.values())

    def elsewhere(self) -> int:
        """Count the values under any other key than the one in use."""
        return sum(sum(counted.values()) for counted in self.values.values()) - self.under(self.in_use)

    def lacking(self, key_id: str) -> Sequence[Node]:
        """Give the servers that do not hold a key."""
        return [node for node in self.nodes if key_id not in node.held]


class MasterKeyPlaces(NodeStore, SealedStore, Protocol):
    """What is asked of a store."""


async def show_master_keys(
    actor: Actor,
    store: DeploymentStore,
    places: MasterKeyPlaces,
    keyring: MasterKeyring,
    *,
    now: datetime,
) -> MasterKeyStanding:
    """Tell how the master keys stand.

    Raises:
        NotPermitted: The actor is confined to one organisation.
        Unavailable: The store is away.
    """
    _check_reach(actor)
    noted = await _noted(store)
    return MasterKeyStanding(
        in_use=keyring.current,
        since=noted.created_at if noted is not None else None,
        held=keyring.held,
        values=await places.count_sealed(),
        nodes=await places.nodes(now - NODE_LIVES),
    )


async def running_servers(actor: Actor, nodes: NodeStore, *, now: datetime) -> Sequence[Node]:
    """Read which servers run and what they hold: without counting values, for who asks again and again.

    Raises:
        NotPermitted: The actor is confined to one organisation.
        Unavailable: The store is away.
    """
    _check_reach(actor)
    return await nodes.nodes(now - NODE_LIVES)


async def use_master_key(
    actor: Actor,
    store: DeploymentStore,
    nodes: NodeStore,
    keyring: MasterKeyring,
    key_id: str,
    *,
    now: datetime,
    dice: Dice,
) -> None:
    """Have everything sealed under another key from now on; every server has to hold it already.

    Raises:
        NotPermitted: The actor is confined to one organisation.
        Clash: A server does not hold it, or another operator chose in the same moment.
        OperatorError: This process does not hold it.
    """
    _check_reach(actor)
    if key_id not in keyring.held:
        raise OperatorError(f"no master key with id {key_id!r} was given; there is {', '.join(keyring.held)}")
    lacking = [node.id for node in await nodes.nodes(now - NODE_LIVES) if key_id not in node.held]
    if lacking:
        raise Clash(f"a running server does not hold the master key {key_id} yet: {', '.join(lacking)}")
    value = keyring.seal_under(key_id, MASTER_KEY, IN_USE, key_id.encode())
    fresh = Sealed(id=IN_USE, purpose=MASTER_KEY, value=value, created_at=now)
    before = await _noted(store)
    details = {"before": keyring.current}
    event = told("master_key.used", actor, None, key_id, now=now, dice=dice, details=details)
    await carry_out(store, event, Add(fresh) if before is None else ReplaceKey(fresh, before))
    keyring.use(key_id)


async def retire_master_key(
    actor: Actor,
    store: DeploymentStore,
    places: MasterKeyPlaces,
    keyring: MasterKeyring,
    key_id: str,
    *,
    now: datetime,
    dice: Dice,
) -> None:
    """Confirm that nothing needs a key any more, and note that it goes; taking it away is the caller's.

    Raises:
        NotPermitted: The actor is confined to one organisation.
        Clash: It is in use, a value lies under it, or a server seals under it.
    """
    standing = await show_master_keys(actor, store, places, keyring, now=now)
    if key_id == standing.in_use:
        raise Clash(f"the master key {key_id} is in use: `keyturn master-key rotate` brings in another")
    if left := standing.under(key_id):
        need = "value still needs" if left == 1 else "values still need"
        raise Clash(f"{left} {need} the master key {key_id}: run `keyturn master-key rotate`")
    if behind := [node.id for node in standing.nodes if node.sealing_under == key_id]:
        raise Clash(f"a running server seals under the master key {key_id}: {', '.join(behind)}")
    if standing.since is not None and not standing.since + SETTLED_AFTER <= now:
        until = standing.since + SETTLED_AFTER
        raise Clash(
            f"the other key came into use a moment ago, and commands begun before may still seal under"
            f" {key_id}; wait until {until.isoformat(timespec='seconds')}"
        )
    await carry_out(store, told("master_key.retired", actor, None, key_id, now=now, dice=dice))


async def _noted(store: DeploymentStore) -> Sealed | None:
    return next(iter(await store.sealed(MASTER_KEY)), None)


def _check_reach(actor: Actor) -> None:
    if actor.organisation_id is not None:
        raise NotPermitted("only an operator of the deployment has to do with its master key")
