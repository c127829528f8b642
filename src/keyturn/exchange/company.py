"""Work in company: what requests have done that come in one turn of the event loop is done kind by kind.

Each kind of work reads code and tables of its own, which push those of the others out of the processor's
caches: a signature alone reads 150 KB. Done one after the other, work of one kind pays for that once a turn
and not once a request, which is as much again as the work itself.
"""

import asyncio
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Given = TypeVarTuple("Given")


class Company:
    """Does what waits once the event loop has run all that is ready now; used on the event loop."""

    def __init__(self) -> None:
        """Begin with nothing to do."""
        self._loop: AbstractEventLoop | None = None
        self._waiting: list[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = []

    def do(self, work: Callable[[*Given], T], *given: *Given) -> Future[T]:
        """Have work done; what it raises, whoever waits for it is told."""
        loop = self._loop
        if loop is None or not self._waiting:  # asked for each time, the loop would cost a system call each
            self._loop = loop = asyncio.get_running_loop()
            loop.call_soon(self._do_all)
        future: Future[T] = loop.create_future()
        self._waiting.append((future, work, given))
        return future

    def _do_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future, work, given in waiting:
            if future.done():  # whoever asked has left
                continue
            try:
                future.set_result(work(*given))
            except Exception as error:  # noqa: BLE001 - it is told to the one who asked
                future.set_exception(error)
