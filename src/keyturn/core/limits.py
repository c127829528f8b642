"""The rule of a limit: the generic cell rate algorithm, one number a counter. Pure.

A counter holds the theoretical arrival time (in nanoseconds) of its next request: every place taken moves it
on by one spacing, time itself catches up with it, and it may run ahead of time by ``burst`` spacings. So a
counter whose time has passed is as good as absent, and none needs cleaning to be right.
"""

from math import ceil

import msgspec

_MINUTE = 60_000_000_000
NANOSECONDS = 1_000_000_000


class Rate(msgspec.Struct, frozen=True):
    """How many requests a minute, and how many of them may come at once."""

    per_minute: int
    burst: int

    @property
    def spacing(self) -> int:
        """Nanoseconds that one request uses up."""
        return max(1, _MINUTE // self.per_minute)


class Taken(msgspec.Struct, frozen=True):
    """What the limits say of one request, by the counter that leaves the least room.

    Args:
        kind: Of the counter: ``client``, ``user``, ``organisation`` or ``address``.
        remaining: Requests for which there is still room now.
        seconds: Until there is room for one more; of a refused request, until a retry may succeed.
    """

    kind: str
    admitted: bool
    remaining: int
    seconds: float

    @property
    def retry_after(self) -> int:
        """Whole seconds to wait, at least one."""
        return max(1, ceil(self.seconds))


class Grant(msgspec.Struct, frozen=True):
    """What became of a wish for places in one counter.

    Args:
        arrival: The counter's new value.
        places: How many were granted.
        room: How many more could be.
        wait: Nanoseconds until one more than ``room`` could be.
    """

    arrival: int
    places: int
    room: int
    wait: int


def grant(arrival: int, now: int, rate: Rate, *, wanted: int = 1, owed: int = 0) -> Grant:
    """Grant as many of the wanted places as there is room for.

    Args:
        arrival: The counter's value; 0 for a new one.
        now: On the clock that ``arrival`` was counted on.
        owed: Places that were used before they were asked for, booked whatever the room; negative for
            places that were granted and not used.
    """
    spacing = rate.spacing
    ceiling = now + rate.burst * spacing
    # More than a minute of debt is a clock that jumped back; nobody is kept out longer for that (RE-07).
    arrival = min(max(arrival, now), ceiling + _MINUTE)
    arrival = max(arrival + owed * spacing, now)
    places = min(wanted, max(0, (ceiling - arrival) // spacing))
    arrival += places * spacing
    room = max(0, (ceiling - arrival) // spacing)
    return Grant(arrival, places, room, max(0, arrival + (room + 1) * spacing - ceiling))
