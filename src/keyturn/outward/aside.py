"""Runs what blocks on a thread of its own: a name that is looked up, a mail that is handed over.

Not on the loop's threads: they are few, the whole process uses them, and one that waits for a dead name
server cannot be called back. A handful of such names, and every other host would miss its deadline. A server
that stops does not wait for these threads. There are as many as tries under way, and those left behind at a
deadline.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

_Answer = TypeVar("_Answer")


async def aside(work: Callable[[], _Answer]) -> _Answer:
    """Give what a function that blocks gives; who is cancelled meanwhile leaves the thread to itself."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[_Answer] = loop.create_future()

    def settle(given: _Answer | None, error: Exception | None) -> None:
        if answer.done():
            return  # cancelled: nobody waits any more
        if error is None:
            answer.set_result(given)  # type: ignore[arg-type]  # None only where the function gives it
        else:
            answer.set_exception(error)

    def run() -> None:
        given, error = None, None
        try:
            given = work()
        except Exception as problem:  # noqa: BLE001  # raised where it is waited for
            error = problem
        with contextlib.suppress(RuntimeError):  # the loop has closed: the process ends
            loop.call_soon_threadsafe(settle, given, error)

    threading.Thread(target=run, name="keyturn-outward", daemon=True).start()
    return await answer
