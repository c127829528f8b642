"""The rule of lockout: a growing delay, then a lock, for whoever guesses at passwords and passcodes. Pure.

An attempt is counted as a failure before it is checked, and a success clears the count: so of fifty attempts
at once no more are checked than of fifty one after the other (PW-05).

A stranger has one count with all other strangers. A device from which the user succeeded lately has a count
of its own, so strangers cannot shut it out; one that fails too often is a stranger again. So the failures in
a row of one name are at most ``STRANGERS.limit + DEVICES_KEPT * KNOWN_DEVICE.limit`` = 100, however an
attacker goes about it (NIST SP 800-63B-4 section 3.2.2).
"""

from datetime import datetime, timedelta

import msgspec

DEVICE_KNOWN = timedelta(days=30)
"""How long after its last success a device counts as known."""
DEVICES_KEPT = 5
"""Known devices of one name; a further one takes the place of the one not seen for longest."""
KEPT_AFTER_FAILURE = timedelta(days=30)
"""A count without a new failure is forgotten after that."""

_MAX_DOUBLINGS = 20


class Rule(msgspec.Struct, frozen=True):
    """How soon failures in a row delay the next attempt, and when there is none any more.

    Args:
        free: Failures that delay nothing.
        limit: Failures in a row after which it is locked until it is cleared or forgotten.
        first: The first delay; each further failure doubles it.
        longest: No delay is longer, but that of the last lock.
    """

    free: int
    limit: int
    first: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(minutes=15)

    def delay(self, failures: int) -> timedelta:
        """Say how long after so many failures in a row nothing is checked."""
        if failures >= self.limit:
            return KEPT_AFTER_FAILURE
        if failures < self.free:
            return timedelta(0)
        return min(self.longest, self.first * (1 << min(failures - self.free, _MAX_DOUBLINGS)))


STRANGERS = Rule(free=5, limit=50)
KNOWN_DEVICE = Rule(free=5, limit=10)


class Strikes(msgspec.Struct, frozen=True):
    """Failures in a row, the attempt that is being checked included."""

    failures: int = 0
    failed_at: datetime | None = None

    def wait(self, rule: Rule, now: datetime) -> timedelta:
        """Say how long nothing is checked; zero when an attempt may be."""
        if self.failed_at is None:
            return timedelta(0)
        delay = rule.delay(self.failures)
        # A clock that jumped back makes nobody wait longer than the rule says (RE-07).
        return max(timedelta(0), min(delay, self.failed_at + delay - now))

    def one_more(self, now: datetime) -> "Strikes":
        """Count an attempt, before it is checked."""
        return Strikes(self.failures + 1, now)

    def forgotten(self, now: datetime) -> bool:
        """Tell whether the count is too old to count."""
        return self.failed_at is not None and now >= self.failed_at + KEPT_AFTER_FAILURE


def passcode_name(name: str) -> str:
    """Name the count of passcodes beside machines' secrets, which a password does not clear (PW-06)."""
    return f"passcode/{name}"


class LockoutTicket(msgspec.Struct, frozen=True):
    """The right to one check, already counted as a failure; ``Lockout.succeeded`` takes it back.

    Args:
        name_key: Keyed digest of the name.
        device_key: Keyed digest of name and device.
    """

    name_key: bytes
    device_key: bytes
