"""Slow hashes as ``Passwords`` makes them, and how long whoever is checked waits for one."""

from keyturn.core.clock import Clock
from keyturn.core.histogram import CheckTimes
from keyturn.core.ports import Passwords
from keyturn.core.secret import Secret


class TimedPasswords:
    """The ``Passwords`` of ``core.ports``, each check counted with the wait for a thread."""

    def __init__(self, passwords: Passwords, times: CheckTimes, clock: Clock) -> None:
        """Stand before those that hash."""
        self._passwords = passwords
        self._times = times
        self._clock = clock
        self.hash = passwords.hash
        self.hash_exactly = passwords.hash_exactly
        self.is_outdated = passwords.is_outdated

    async def check(self, password: Secret, verifier: str | None) -> bool:
        """Compare a password with a hash."""
        began = self._clock.monotonic()
        right = await self._passwords.check(password, verifier)
        self._times.slow(self._clock.monotonic() - began)
        return right

    async def check_exactly(self, secret: Secret, verifier: str) -> bool:
        """Compare a machine's secret with a slow hash."""
        began = self._clock.monotonic()
        right = await self._passwords.check_exactly(secret, verifier)
        self._times.slow(self._clock.monotonic() - began)
        return right
