"""Lockout as a state machine: whatever attackers and owners do, the promises hold."""

import asyncio
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from keyturn.core.errors import SlowDown
from keyturn.core.lockout import DEVICES_KEPT, KNOWN_DEVICE, STRANGERS
from keyturn.storage.lockout import MemoryLockout

DEVICES = st.sampled_from([f"192.0.2.{number}" for number in range(8)])
NAMES = st.sampled_from(["org/ann", "org/bob"])
WAITS = st.sampled_from([0, 0.5, 1, 30, 900, 86_400, 31 * 86_400])


class Attackers(RuleBasedStateMachine):
    """Two names, eight devices, a clock."""

    def __init__(self):
        """Begin with no failures."""
        super().__init__()
        self.lockout = MemoryLockout(lambda message: message)
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.in_a_row = {}
        self.loop = asyncio.Runner()  # one for all steps: a loop costs more than a step

    def teardown(self):
        """Close the loop."""
        self.loop.close()

    def admit(self, name, device):
        """Ask for a check; None where there is none."""
        try:
            return self.loop.run(self.lockout.admit(name, device, self.now))
        except SlowDown:
            return None

    @rule(name=NAMES, device=DEVICES, times=st.integers(1, 60))
    def fail(self, name, device, times):
        """Fail some times at one instant."""
        checks = sum(self.admit(name, device) is not None for _ in range(times))
        # One device at one instant: its own free failures, then a stranger's.
        assert checks <= max(STRANGERS.free, KNOWN_DEVICE.free)
        self.in_a_row[name] = self.in_a_row.get(name, 0) + checks

    @rule(name=NAMES, device=DEVICES)
    def succeed(self, name, device):
        """Be right, if a check is to be had, and be let in at once the next time."""
        ticket = self.admit(name, device)
        if ticket is None:
            return
        self.loop.run(self.lockout.succeeded(ticket, self.now))
        self.in_a_row[name] = 0
        ticket = self.admit(name, device)
        assert ticket is not None
        self.loop.run(self.lockout.succeeded(ticket, self.now))

    @rule(seconds=WAITS)
    def wait(self, seconds):
        """Let time pass; a month without a failure forgets."""
        self.now += timedelta(seconds=seconds)
        if seconds > 30 * 86_400:
            self.in_a_row.clear()

    @invariant()
    def at_most_a_hundred(self):
        """PW-05: no name has more than a hundred failures in a row."""
        assert all(count <= 100 for count in self.in_a_row.values())
        assert STRANGERS.limit + DEVICES_KEPT * KNOWN_DEVICE.limit == 100


TestAttackers = Attackers.TestCase
TestAttackers.settings = settings(max_examples=30)
