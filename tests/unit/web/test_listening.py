"""Connections are taken as they come, a crowd of them within a few turns of the loop (RE-10)."""

import asyncio
import socket
from contextlib import ExitStack

import pytest
import uvloop

from keyturn.web.listening import Listener

CROWD = 128


@pytest.fixture
def door():
    """A listening socket."""
    with socket.create_server(("127.0.0.1", 0), backlog=CROWD) as made:
        yield made


class Guest(asyncio.Protocol):
    """A connection that was let in."""

    def connection_made(self, transport):
        """Keep what there is to close."""
        self.transport = transport


async def let_in(door):
    """Let everybody in who waits at a door, within a few turns of the loop."""
    made, turns = [], 0

    def make():
        made.append(Guest())
        return made[-1]

    listener = Listener(door, make, backlog=CROWD)
    await listener.open()
    try:
        while len(made) < CROWD and turns < CROWD / 4:
            turns += 1
            await asyncio.sleep(0)
        await listener.finish()
    finally:
        listener.close()
        await asyncio.sleep(0.01)  # the last one hears of its transport in another turn
        for guest in made:
            guest.transport.abort()
        await asyncio.sleep(0.01)  # for the loop to let go of them
    return len(made)


def test_a_crowd_is_let_in(door):
    """RE-10: whoever waits at the door is let in within a few turns of the loop, each once."""
    with ExitStack() as crowd:
        for _ in range(CROWD):
            crowd.enter_context(socket.create_connection(door.getsockname()))
        assert uvloop.run(let_in(door)) == CROWD
