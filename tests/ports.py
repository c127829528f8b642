"""Ports for servers that have to be told where to listen."""

import contextlib
import random
import socket
from collections.abc import Iterator


def free_ports(count: int = 1) -> Iterator[str]:
    """Give ports that nobody listens on."""
    # Below what kernels give to whoever connects or asks for any port, so that nobody takes it meanwhile.
    dice = random.SystemRandom()
    for port in dice.sample(range(10_000, 32_000), 1_000):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            yield str(port)
            count -= 1
            if not count:
                return
