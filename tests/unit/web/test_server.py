"""The two listeners of a process: when one cannot start, the other does not pretend."""

import asyncio

import pytest

from keyturn.web.framing import ProtocolLimits
from keyturn.web.management import Management
from keyturn.web.metrics import Metrics
from keyturn.web.server import bind_sockets, run_servers


@pytest.mark.parametrize("broken", ["public", "management"])
async def test_a_listener_that_cannot_start_ends_the_process(broken):
    """RE-11: a server whose listener is gone before it starts raises, instead of waiting for it for ever."""
    listeners = bind_sockets(("127.0.0.1", 0), ("127.0.0.1", 0))
    management, started = Management(Metrics(), {}), []
    getattr(listeners, broken).close()
    other = listeners.management if broken == "public" else listeners.public
    with other, pytest.raises((OSError, ValueError), match="file descriptor"):
        async with asyncio.timeout(20):
            await run_servers(
                management,
                management,
                listeners,
                ProtocolLimits(),
                shutdown_seconds=1,
                on_refused=print,
                on_started=lambda: started.append(True),
            )
    assert started == []
