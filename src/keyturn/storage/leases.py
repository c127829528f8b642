"""Limits that the processes of a deployment share, without a trip to the store for each request.

A limit of 600 a minute and more is *leased*: a process takes a slice of at most a second's worth from the
shared counter (``cells.py``) and spends it in memory, asks for the next in the background when half is gone,
and gives back what it did not use. What is spent within a minute was granted within the minute and two
leases, so several processes exceed the figure by less than a tenth (RE-08). A caller who was not seen lately
is served on credit, a tenth of a slice, so that its first request pays no trip either.

Who used a two-hundredth of a slice in all of a lease is not booked: time gave those places back before the
lease was over, and each process exceeds the figure by a four-hundredth at most.

A smaller limit is asked of the store each time, together with whoever else asks then. A counter that is used
up is refused from memory until the store said there would be room, so a flood costs the store nothing.
"""

import asyncio
from asyncio import AbstractEventLoop, Future, TimerHandle
from collections import deque
from collections.abc import Awaitable, Mapping, Sequence

from keyturn.core.clock import Clock
from keyturn.core.errors import Unavailable
from keyturn.core.limits import NANOSECONDS, Grant, Rate, Taken
from keyturn.core.vocabulary import Reason
from keyturn.storage.batches import Batches
from keyturn.storage.cells import Wish, Wishes
from keyturn.storage.limits import TABLE_LIMIT, kind_of, tightest
from keyturn.storage.lockout import Tag

LEASED_FROM = 600
"""A limit of so many a minute is leased; a smaller one is counted in the store."""
LEASE_SECONDS = 2.0
SWEEP_SECONDS = 0.5
_SLICES_A_MINUTE = 60
_CREDITS_A_SLICE = 10
_TRIFLES_A_SLICE = 200
_NAME_BYTES = 16


class _Counter:
    """What this process holds of one shared counter.

    ``left`` of ``filled`` may be spent until ``until``; ``borrowed`` of it is not booked yet. ``size`` is of
    the next slice, ``pending`` tells when it came. Until ``refused_until`` nothing more is asked for.
    """

    __slots__ = (
        "borrowed",
        "filled",
        "kind",
        "left",
        "pending",
        "refused_until",
        "room",
        "size",
        "until",
        "waiting",
    )

    def __init__(self, kind: str, credit: int, room: int, until: float) -> None:
        self.kind = kind
        self.left = self.filled = self.borrowed = credit
        self.room = room
        self.until = until
        self.size = max(1, credit)
        self.pending: Future[bool] | None = None
        self.refused_until = 0.0
        self.waiting = 0

    def covers(self, now: float) -> bool:
        """Tell whether a place can be spent from memory."""
        return self.left > 0 and now < self.until

    def idle(self, now: float) -> bool:
        """Tell whether nothing of it needs to be remembered."""
        return now >= self.until and now >= self.refused_until and self.pending is None


_Held = list[tuple[str, str, _Counter]]
"""The counters of one request: name, kind, and what this process holds."""


class SharedLimits:
    """The port ``Limits`` over a store that processes share; used on the event loop.

    Args:
        rates: By the kind of counter.
        batches: Carries out wishes.
        tag: Makes the counters' names unreadable.
        clock: Its monotonic time is what ``take`` is given.
        loop: Runs the sweep.
    """

    def __init__(
        self,
        rates: Mapping[str, Rate],
        batches: Batches[Wishes, tuple[Grant, ...]],
        tag: Tag,
        clock: Clock,
        loop: AbstractEventLoop,
    ) -> None:
        self.rates = rates
        self._batches = batches
        self._tag = tag
        self._clock = clock
        self._loop = loop
        self._slice = {
            kind: max(1, rate.per_minute // _SLICES_A_MINUTE)
            for kind, rate in rates.items()
            if rate.per_minute >= LEASED_FROM
        }
        self._spacing = {kind: rate.spacing / NANOSECONDS for kind, rate in rates.items()}
        self._counters: dict[str, _Counter] = {}
        self._ends: deque[tuple[float, str]] = deque()
        self._away = False
        self._timer: TimerHandle | None = None

    def take(self, keys: Sequence[str], now: float) -> Taken | Awaitable[Taken]:
        """Take one place in every counter, or none: from memory where it covers all of them."""
        held: _Held = []
        for key in keys:
            counter = self._counters.get(key)
            # As ``covers`` says, without a call: this is asked three times a request.
            if counter is None or counter.left <= 0 or now >= counter.until:
                return self._take_uncovered(keys, now)
            held.append((key, counter.kind, counter))
        return self._spend(held)

    def _take_uncovered(self, keys: Sequence[str], now: float) -> Taken | Awaitable[Taken]:
        held = self._hold(keys, now)
        refused = self._refused(held, now)
        if refused is not None:
            return refused
        if not all(counter.covers(now) for _, _, counter in held):
            return self._take_slowly(keys)
        return self._spend(held)

    async def close(self) -> None:
        """Give back what was not used, and stop."""
        if self._timer is not None:
            self._timer.cancel()
        coming = [counter.pending for counter in self._counters.values() if counter.pending is not None]
        # All at once: one after the other would each wait out the patience where the store hangs (RE-03).
        await asyncio.gather(*map(self._batches.hurry, coming), return_exceptions=True)
        for key in list(self._counters):
            self._end(key)
        await self._batches.close()

    def _hold(self, keys: Sequence[str], now: float) -> _Held:
        held = []
        for key in keys:
            counter = self._counters.get(key)
            kind = kind_of(key)
            if counter is None or (now >= counter.until and counter.idle(now)):
                counter = self._begin(key, kind, now)
            held.append((key, kind, counter))
        return held

    def _begin(self, key: str, kind: str, now: float) -> _Counter:
        """Begin to count somebody who was not seen lately, on credit unless the store is away."""
        if key in self._counters or len(self._counters) >= TABLE_LIMIT:
            self._end(key if key in self._counters else next(iter(self._counters)))
        credit = 0
        burst = self.rates[kind].burst
        if kind in self._slice and not self._away:
            credit = max(1, min(self._slice[kind] // _CREDITS_A_SLICE, burst))
        counter = self._counters[key] = _Counter(kind, credit, burst - credit, now + LEASE_SECONDS)
        self._remember(key, counter.until)
        return counter

    def _remember(self, key: str, until: float) -> None:
        self._ends.append((until, key))
        if self._timer is None:
            self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        """Settle the leases that are over."""
        now = self._clock.monotonic()
        while self._ends and self._ends[0][0] <= now:
            _, key = self._ends.popleft()
            counter = self._counters.get(key)
            if counter is None or counter.until > now:
                continue
            if counter.idle(now):
                self._end(key)
            else:
                self._ends.append((now + LEASE_SECONDS, key))
        self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep) if self._ends else None

    def _end(self, key: str) -> None:
        """Book what was used on credit, or give back what was not used; then forget."""
        counter = self._counters.pop(key)
        owed, now = counter.borrowed - counter.left, self._clock.monotonic()
        if 0 < owed <= self._slice.get(counter.kind, 0) // _TRIFLES_A_SLICE and now >= counter.until:
            return  # most callers come seldom, and each would cost a row's write
        if owed < 0 and now > counter.until + LEASE_SECONDS:
            return  # time has given these places back long ago; giving them twice would exceed the figure
        self._settle(key, owed)

    def _settle(self, key: str, owed: int) -> None:
        """Book places without asking for more, or give them back where ``owed`` is negative."""
        if owed:
            wish = Wish(self._name(key), self.rates[kind_of(key)], wanted=0, owed=owed)
            self._batches.leave(Wishes((wish,)), lambda _grants: None)

    def _refused(self, held: _Held, now: float) -> Taken | None:
        """Say no from memory where the store said so a moment ago."""
        wait, kind_of_longest = 0.0, ""
        for _, kind, counter in held:
            if counter.refused_until - now > wait and not counter.covers(now):
                wait, kind_of_longest = counter.refused_until - now, kind
        return Taken(kind_of_longest, False, 0, wait) if kind_of_longest else None

    def _spend(self, held: _Held) -> Taken:
        """Spend one of each lease, and ask for more of those that are half gone."""
        least, kind_of_least = -1, ""
        for key, kind, counter in held:
            counter.left -= 1
            room = counter.left + counter.room
            if room < least or not kind_of_least:
                least, kind_of_least = room, kind
            if 2 * counter.left < counter.filled and counter.pending is None:
                self._ask(key, kind, counter)
        return Taken(kind_of_least, True, least, self._spacing[kind_of_least])

    # --- what needs the store ---

    async def _take_slowly(self, keys: Sequence[str]) -> Taken:
        """Take places some of which only the store can give; none is kept where one is refused.

        Raises:
            Unavailable: It cannot be reached.
        """
        small = [key for key in keys if kind_of(key) not in self._slice]
        while True:
            now = self._clock.monotonic()
            held = self._hold(keys, now)
            refused = self._refused(held, now)
            if refused is not None:
                return refused
            leased = [each for each in held if each[1] in self._slice]
            bare = [each for each in leased if not each[2].covers(now)]
            if not bare:
                break
            await self._renew(bare)
        taken = [self._spend(leased)] if leased else []
        if small:
            try:
                taken.append(await self._count(small))
            except BaseException:
                _give_back(leased)
                raise
            if not taken[-1].admitted:
                _give_back(leased)
                return taken[-1]
        return min(taken, key=lambda each: each.remaining)

    async def _count(self, small: Sequence[str]) -> Taken:
        """Take a place in every small counter, or none; remember which of them is full."""
        wishes = tuple(Wish(self._name(key), self.rates[kind_of(key)]) for key in small)
        grants = dict(zip(small, await self._batches.ask(Wishes(wishes, whole=True)), strict=True))
        now = self._clock.monotonic()
        taken = tightest(grants)
        for key, _, counter in self._hold(small, now):
            if not grants[key].places:
                counter.refused_until = now + grants[key].wait / NANOSECONDS
        return taken

    async def _renew(self, bare: _Held) -> None:
        """Wait for the next slice; who comes while it is on its way waits for the same one."""
        coming = []
        for key, kind, counter in bare:
            counter.waiting += 1
            coming.append(counter.pending or self._ask(key, kind, counter))
        try:
            for pending in coming:
                if not await self._batches.hurry(pending):
                    raise Unavailable(Reason.STORE_UNAVAILABLE)
        finally:
            for _, _, counter in bare:
                counter.waiting -= 1

    def _ask(self, key: str, kind: str, counter: _Counter) -> Future[bool]:
        """Ask for the next slice, and book what was used on credit; tells when, and whether, it came."""
        owed, counter.borrowed = counter.borrowed, 0
        wanted = max(counter.size, counter.waiting) - counter.left
        pending: Future[bool] = self._loop.create_future()
        counter.pending = pending

        def then(grants: tuple[Grant, ...] | None) -> None:
            counter.pending = None
            self._away = grants is None
            if grants is None:
                counter.borrowed += owed
            else:
                self._granted(key, kind, counter, grants[0], wanted)
            pending.set_result(grants is not None)

        wish = Wish(self._name(key), self.rates[kind], wanted=max(0, wanted), owed=owed)
        self._batches.leave(Wishes((wish,)), then)
        return pending

    def _granted(self, key: str, kind: str, counter: _Counter, given: Grant, wanted: int) -> None:
        if self._counters.get(key) is not counter:  # it was forgotten meanwhile
            self._settle(key, -given.places)
            return
        now = self._clock.monotonic()
        counter.left += given.places
        counter.filled = counter.left
        counter.room = given.room
        counter.size = min(2 * counter.size, self._slice[kind], self.rates[kind].burst)
        counter.until = now + LEASE_SECONDS
        if given.places < wanted:
            counter.refused_until = now + given.wait / NANOSECONDS
        self._remember(key, counter.until)

    def _name(self, key: str) -> bytes:
        return self._tag(b"limit:" + key.encode())[:_NAME_BYTES]


def _give_back(held: _Held) -> None:
    for _, _, counter in held:
        counter.left += 1
