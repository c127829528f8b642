"""Signing keys that are not in this process, seen from outside: where they sign, and what is left if not."""

import asyncio
import threading

import pytest

from harness import deployment
from integration.renewal import demo_caller
from keyturn.core.errors import Unavailable
from keyturn.core.vocabulary import Reason
from keyturn.keys.custody import SoftwareKeys


class Away:
    """Software keys behind a door: they sign on a thread of their own, as long as it is open."""

    def __init__(self):
        self.open = True
        self.threads = set()
        self._keys = SoftwareKeys()

    def make(self, algorithm, owner, certify=None):
        return self._keys.make(algorithm, owner, certify)

    def load(self, key_id, algorithm, private, x5t=None):
        signer = self._keys.load(key_id, algorithm, private, x5t)
        inner = signer.sign

        def sign(message):
            self.threads.add(threading.current_thread())
            return inner(message)

        signer.sign, signer.elsewhere = sign, self._elsewhere
        return signer

    async def _elsewhere(self, work):
        if not self.open:
            raise Unavailable(Reason.KEY_UNAVAILABLE)
        return await asyncio.to_thread(work)


@pytest.fixture
async def here():
    """A deployment whose keys are elsewhere."""
    async with deployment() as opened:
        opened.away = opened.local.rings._custody = Away()
        opened.local.rings.invalidate_all()
        yield opened


async def test_no_signature_on_the_event_loop(here):
    """HT-09: a key that may have to be waited for signs on another thread, for every grant."""
    caller = demo_caller(here)
    token = await caller.begin()
    await caller.renewed(token["refresh_token"])
    assert here.away.threads
    assert threading.main_thread() not in here.away.threads


async def test_nothing_is_told_as_issued(here):
    """HT-09, RT-03: without its key a request is 503, uses nothing up, and no row tells of a token."""
    caller = demo_caller(here)
    token = await caller.begin()
    issued = len(await here.audit("token.issued"))
    here.away.open = False
    for fields in (
        {"grant_type": "client_credentials"},
        {"grant_type": "refresh_token", "refresh_token": token["refresh_token"]},
    ):
        answer = await caller.post("token", **fields)
        assert (answer.status, answer.header("retry-after")) == (503, "1")
    assert len(await here.audit("token.issued")) == issued
    assert (await here.jwks())["keys"]
    here.away.open = True
    await caller.renewed(token["refresh_token"])
