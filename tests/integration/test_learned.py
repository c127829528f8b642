"""What a process learns of sealed values while it starts."""

import secrets
from contextlib import AsyncExitStack

import pytest

from contract.test_store_on_disk import eventually
from ground import HandClock
from keyturn.core.actors import system
from keyturn.core.changes import Add
from keyturn.core.forms import PURPOSE, Form, said
from keyturn.core.records import Sealed
from keyturn.directory.events import carry_out, told
from keyturn.keys import peppers
from keyturn.keys.sealing import MasterKey, MasterSealer
from keyturn.learned import open_learned
from keyturn.storage.memory import MemoryStore

PATIENCE = 10.0


class Crossed:
    """A store in which something is added right after the first read of its purpose."""

    def __init__(self, store: MemoryStore, added: Sealed, clock: HandClock) -> None:
        """Stand before a store in memory."""
        self.feed, self.deployment = store.feed, self
        self._store, self._added, self._clock = store.deployment, [added], clock
        self.reads = []

    async def sealed(self, purpose: str):
        """Read, and let somebody else write."""
        self.reads.append(purpose)
        found = await self._store.sealed(purpose)
        if self._added and self._added[0].purpose == purpose:
            await put(self._store, self._added.pop(), self._clock)
        return found


async def put(store, sealed, clock):
    """Add a sealed value as another process does."""
    event = told("test", system("test"), None, "deployment", now=clock.now(), dice=secrets.token_bytes)
    await carry_out(store, event, Add(sealed))


@pytest.mark.parametrize("purpose", [PURPOSE, peppers.PURPOSE])
async def test_nothing_falls_between_the_start_and_the_feed(purpose):
    """RE-04: what another process writes while this one starts is learned here, too."""
    clock = HandClock()
    sealer = MasterSealer(MasterKey.generate(secrets.token_bytes), secrets.token_bytes)
    store = MemoryStore(sealer, clock, secrets.token_bytes)
    value = sealer.seal(peppers.PURPOSE, peppers.FIRST, bytes(32))
    first = Sealed(id=peppers.FIRST, purpose=peppers.PURPOSE, value=value, created_at=clock.now())
    await put(store.deployment, first, clock)
    moved = await peppers.seal_pepper(
        store.deployment, sealer, bytes(range(32)), clock.now(), secrets.token_bytes
    )
    added = {PURPOSE: said(Form.SPELLED, sealer, clock.now()), peppers.PURPOSE: moved}[purpose]
    async with AsyncExitStack() as closing:
        crossed = Crossed(store, added, clock)
        digester, forms = await open_learned(crossed, sealer, clock, secrets.token_bytes, closing)
        assert [*crossed.reads] == [peppers.PURPOSE, PURPOSE]  # once each, before anything is heard

        async def learned():
            return forms.written is Form.SPELLED if purpose == PURPOSE else digester.knows(moved.id)

        assert await eventually(learned, PATIENCE)
