"""What blocks goes aside: it gives and raises as it would, and however many hang, others do not wait."""

import asyncio
import threading

import pytest

from keyturn.outward import addresses
from keyturn.outward.aside import aside

MORE_THAN_THE_LOOP_HAS = 40
"""Threads: ``ThreadPoolExecutor`` has 32 at the most."""
PATIENCE_SECONDS = 30.0
"""Until what hangs is let go, and the test fails."""


async def test_it_gives_and_raises():
    """What a function gives or raises arrives where it is waited for."""
    assert await aside(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await aside(lambda: 1 // 0)


def test_names_that_hang_hold_nobody_up(monkeypatch):
    """Names whose server never answers hold up no other name, nor a server that stops (RE-03)."""
    release = threading.Event()

    def look_up(host, port, **_):
        if host == "dead.example":
            release.wait()
        return [(2, 1, 6, "", ("93.184.215.14", port))]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", look_up)

    async def work():
        dead = [addresses.resolve("dead.example", 443) for _ in range(MORE_THAN_THE_LOOP_HAS)]
        hanging = [asyncio.create_task(each) for each in dead]
        await asyncio.sleep(0)  # each of them begins
        found = await addresses.resolve("alive.example", 443)
        assert not any(each.done() for each in hanging)
        for each in hanging:
            each.cancel()
        return found

    patience = threading.Timer(PATIENCE_SECONDS, release.set)
    patience.start()
    try:
        assert asyncio.run(work()) == ["93.184.215.14"]
        assert not release.is_set()
    finally:
        patience.cancel()
        release.set()
