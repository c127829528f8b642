"""Requests that are begun at once, outside of any task."""

import asyncio
from contextvars import ContextVar

import pytest

from keyturn.web.cycle import begin

OF_ONE: ContextVar[str] = ContextVar("of_one", default="nobody's")


@pytest.mark.parametrize("waits", [False, True])
async def test_a_request_keeps_its_context(waits):
    """What a request sets for itself it can take back, also where it had to wait, and nobody else sees it."""
    seen = []

    async def answering():
        before = OF_ONE.set("its own")
        try:
            if waits:
                await asyncio.sleep(0)
            seen.append(OF_ONE.get())
        finally:
            OF_ONE.reset(before)
        seen.append(OF_ONE.get())

    tasks = set()
    task = begin(answering(), asyncio.get_running_loop(), tasks, at_once=True)
    assert OF_ONE.get() == "nobody's"
    assert (task is not None) is waits
    if task is not None:
        await task
    assert seen == ["its own", "nobody's"]
