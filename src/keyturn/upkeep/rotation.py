"""Turns the rings whose key has signed for long enough, and only those that are in use.

A ring that signs although its key is old is noted in the store by whichever process sees it; the job turns
what is noted. So ten thousand idle rings cost nothing, however old their keys: each turns at its next use.
When a key may sign and until when it is published is ``keys.schedule``'s rule (TK-14).
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from keyturn.core.clock import Clock
from keyturn.core.counting import counted
from keyturn.core.errors import Fault
from keyturn.core.upkeep_ports import DueRings
from keyturn.core.vocabulary import Algorithm

PAGE = 50
MOST_A_RUN = 500
"""Ten thousand rings of one birthday turn within 20 runs; an RSA key alone may take a second to make."""

log = logging.getLogger(__name__)

Turn = Callable[[str, Algorithm, datetime], Awaitable[bool]]
"""Turns (issuer, algorithm, now) if it is due still; False where there was nothing to turn."""


class NotingRings(Protocol):
    """What the rings of this process notice."""

    def take_due(self, now: datetime) -> Sequence[tuple[str, Algorithm]]:
        """Give the rings that signed although they are due, each now and then until it has turned."""
        ...


class Rotation(msgspec.Struct, frozen=True):
    """The job ``keys``, and the chore that feeds it."""

    rings: NotingRings
    due: DueRings
    turn: Turn
    clock: Clock

    async def note(self) -> None:
        """Write down which rings were used although they are due; a chore of every process."""
        now = self.clock.now()
        rings = self.rings.take_due(now)
        if rings:
            await self.due.note_due_rings(rings, now)

    async def work(self, _started_at: datetime) -> str:
        """Turn what was noted, those that wait longest first.

        Each at the time of its own turn: a run may take minutes, and a new key counts as published from then.
        """
        turned = seen = 0
        while seen < MOST_A_RUN and (page := await self.due.due_rings(PAGE)):
            for issuer_id, algorithm in page:
                try:
                    turned += await self.turn(issuer_id, algorithm, self.clock.now())
                except Fault:
                    # One damaged ring must not keep all others from turning.
                    log.exception("the %s ring of %s cannot be turned", algorithm, issuer_id)
                await self.due.forget_due_ring(issuer_id, algorithm)
                seen += 1
        return f"turned {turned} of {counted(seen, 'ring')}"
