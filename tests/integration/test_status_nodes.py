"""Status lists of several processes on one store."""

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from harness import PLENTY, PUBLIC_URL, Deployment
from integration.renewal import Caller
from integration.status_reading import bit, fetched, named
from keyturn.app import make_master_key_text, open_local
from keyturn.config import load_settings
from keyturn.core.actors import system
from keyturn.directory.clients import ClientWish, create_client
from keyturn.directory.credentials import create_client_secret
from keyturn.directory.organisations import create_organisation
from keyturn.storage.limits import MemoryLimits

ACTOR = system("test")


class Node(Deployment):
    """A process on a shared store, by the real clock."""

    def __init__(self, local) -> None:
        limits = MemoryLimits(dict.fromkeys(("client", "user", "address", "organisation"), PLENTY))
        super().__init__(local, local.store, limits, local.clock, 1000)


async def in_time(question) -> None:
    """Wait until something is so: another process hears of it within a second, and keeps a list for one."""
    until = time.monotonic() + 20
    while not await question():
        assert time.monotonic() < until
        await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_two_nodes(tmp_path):
    """RE-02: each node has lists of its own, each tells of both, and of what another process left behind."""
    environ = {"KEYTURN_MASTER_KEY": make_master_key_text(), "KEYTURN_STATUS_LISTS": "true"}
    settings = load_settings(flags={"data": tmp_path, "public_url": PUBLIC_URL}, environ=environ)
    async with AsyncExitStack() as stack:
        first = Node(await stack.enter_async_context(open_local(settings, create=True)))
        caller = await _caller(first)
        second = Node(await stack.enter_async_context(open_local(settings)))
        callers = [caller, Caller(second, caller.client_id, caller.secret)]
        tokens = [[(await each.begin("read"))["access_token"] for _ in range(5)] for each in callers]
        everywhere = [*map(named, tokens[0]), *map(named, tokens[1])]
        assert len(set(everywhere)) == 10
        assert len({uri for uri, _ in everywhere}) == 2
        # Nothing has been closed, so the rows are what a killed process leaves.
        third = Node(await stack.enter_async_context(open_local(settings)))
        for node in (first, second, third):
            assert [bit(await fetched(node, uri), number) for uri, number in everywhere] == [0] * 10
        await callers[1].post("revoke", token=tokens[0][2])
        for node in (first, second, third):
            await in_time(lambda node=node: _shows(node, everywhere, [0, 0, 1, 0, 0, 0, 0, 0, 0, 0]))
        client = await first.client(caller.client_id)
        await first.replace(client, disabled=True, epoch=client.epoch + 1)
        for node in (third, second):
            await in_time(lambda node=node: _shows(node, everywhere, [1] * 10))


async def _shows(node, everywhere, wanted) -> bool:
    return [bit(await fetched(node, uri), number) for uri, number in everywhere] == wanted


async def _caller(node) -> Caller:
    local = node.local
    common = {"now": local.clock.now(), "dice": local.dice}
    organisation = await create_organisation(ACTOR, local.deployment, "acme", "Acme", **common)
    store = local.deployment.organisation_store(organisation.id)
    wish = ClientWish(name="robot", scopes=("read",), audiences=("https://api.example",))
    client = await create_client(ACTOR, store, wish, dialects=("oauth2",), **common)
    _, secret = await create_client_secret(ACTOR, store, client.id, "s", digester=local.digester, **common)
    return Caller(node, client.id, secret.reveal())
