"""A deployment's store as far as the keys need one, and a master key."""

import asyncio
import secrets

import pytest

from keyturn.core.changes import Add, Lost, Recorded, ReplaceKey
from keyturn.core.errors import Unavailable
from keyturn.core.notices import Notice
from keyturn.core.records import Sealed, SigningKey
from keyturn.core.vocabulary import Reason
from keyturn.keys.sealing import MasterKey, MasterSealer


class FakeStore:
    """Keeps keys and sealed values; every call gives way once, so that racers really interleave."""

    def __init__(self):
        self.keys = {}
        self.values = {}
        self.audit = []
        self.reads = 0
        self.down = False

    async def signing_keys(self, issuer_id):
        self.reads += 1
        await self._turn()
        kept = (key for key in self.keys.values() if key.issuer_id == issuer_id)
        # Retired ones are gone, as in a real store; of those the tests' instants leave the withdrawn ones.
        return [key for key in kept if key.retires_at is None or key.retires_at > key.published_at]

    async def sealed(self, purpose):
        await self._turn()
        return [value for value in self.values.values() if value.purpose == purpose]

    async def record(self, unit):
        await self._turn()
        changes = [each for each in unit.changes if not isinstance(each.record, Notice)]
        for change in changes:  # all or none: look first
            if (winner := self._winner(change)) is not None:
                return Lost(change, winner)
        for change in changes:
            kept = self.values if isinstance(change.record, Sealed) else self.keys
            kept[self._name(change.record)] = change.record
        self.audit.append(unit.audit)
        return Recorded()

    def _winner(self, change):
        name = self._name(change.record)
        if isinstance(change, Add):
            return self.values.get(name) or self.keys.get(name)
        assert isinstance(change, ReplaceKey)
        return None if self.keys[name] == change.was else self.keys[name]

    def _name(self, record):
        return record.id if isinstance(record, SigningKey) else (record.purpose, record.id)

    async def _turn(self):
        if self.down:
            raise Unavailable(Reason.STORE_UNAVAILABLE)
        await asyncio.sleep(0)


@pytest.fixture
def store():
    return FakeStore()


@pytest.fixture
def sealer():
    return MasterSealer(MasterKey.generate(secrets.token_bytes), secrets.token_bytes)
