"""What servers promised to verifiers, kept in the store for whoever rotates by other settings (TK-14).

A server that lets key sets be cached for an hour is not helped by a command line that believes in five
minutes. So each server notes, before it answers its first request, how long its key sets may be cached and
its tokens may live, and every rotation goes by the longest that was ever noted. They lie among the sealed
values, where nobody without the master key can shorten one.
"""

from datetime import datetime, timedelta

import msgspec

from keyturn.core.actors import system
from keyturn.core.changes import Add, Unit
from keyturn.core.identifiers import uuid7
from keyturn.core.ports import Sealer
from keyturn.core.records import AuditEvent, Sealed
from keyturn.core.secret import Dice
from keyturn.core.store_ports import DeploymentStore

PURPOSE = "key-promise"


class Promise(msgspec.Struct, frozen=True):
    """For how long a key set may be cached, and a token may live."""

    jwks_cache: timedelta
    longest_lifetime: timedelta

    def longer(self, other: "Promise") -> "Promise":
        """Keep both promises."""
        return Promise(
            max(self.jwks_cache, other.jwks_cache), max(self.longest_lifetime, other.longest_lifetime)
        )


class Promises:
    """The promises that are in a deployment's store."""

    def __init__(self, store: DeploymentStore, sealer: Sealer, dice: Dice) -> None:
        """Read nothing yet."""
        self._store = store
        self._sealer = sealer
        self._dice = dice

    async def longest(self, own: Promise) -> Promise:
        """Join one's own promise with all that were ever noted.

        Raises:
            Unavailable: The store is away.
            Fault: A promise was altered.
        """
        for noted in await self._noted():
            own = own.longer(noted)
        return own

    async def note(self, own: Promise, now: datetime) -> None:
        """Note one's own promise, unless longer ones are there.

        Raises:
            Unavailable: The store is away.
            Fault: A promise was altered.
        """
        longest = await self.longest(own)
        if longest in await self._noted():
            return
        name = uuid7(now, self._dice)
        value = self._sealer.seal(PURPOSE, name, msgspec.json.encode(longest))
        event = AuditEvent(
            at=now,
            kind="signing_keys.promised",
            actor=system("start").name,
            request_id=uuid7(now, self._dice),
            details={
                "jwks_cache_seconds": str(int(longest.jwks_cache.total_seconds())),
                "longest_lifetime_seconds": str(int(longest.longest_lifetime.total_seconds())),
            },
        )
        kept = Sealed(id=name, purpose=PURPOSE, value=value, created_at=now)
        await self._store.record(Unit(changes=(Add(kept),), audit=event))

    async def _noted(self) -> list[Promise]:
        opened = [
            self._sealer.open(PURPOSE, kept.id, kept.value) for kept in await self._store.sealed(PURPOSE)
        ]
        return [msgspec.json.decode(each, type=Promise) for each in opened]
