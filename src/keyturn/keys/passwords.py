"""Slow hashing of what people remember, and of machines' secrets that cannot be kept under a fast hash.

argon2id (RFC 9106), on a few threads of its own, with few who may wait for them. What was imported is checked
here too, in whatever hash it came (``foreign``), until its first good use.

argon2-cffi lets go of the interpreter while it hashes, so tokens go on being issued meanwhile, and the number
of threads bounds the cores it takes (PW-02, RE-10). On a core that both want they step back before the event
loop, and more threads than cores would only take it from it more often. Nothing is imported and no thread
started before the first password.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import BoundedSemaphore, get_native_id
from typing import TypeVar

from keyturn.core.errors import Fault, Unavailable
from keyturn.core.hashes import EXACT
from keyturn.core.password_rules import MAX_LENGTH, normal_form
from keyturn.core.secret import Dice, Secret
from keyturn.core.vocabulary import Reason
from keyturn.keys.foreign import verify_foreign

Made = TypeVar("Made")

MEMORY_KIB = 19 * 1024
PASSES = 2
THREADS = 2
MAX_WAITING = 32
_LONGEST_SPELLING = 4 * MAX_LENGTH
"""Characters of a password as it may be typed; NFC makes fewer of them. Normalising takes a time that grows
with the square of a run of marks, and what is longer was never set."""
_NEVER_SET = b"\xff"
"""No text's UTF-8, so the hash of no password."""
_SALT_BYTES = 16
_HASH_BYTES = 32
_LANES = 1
_NICENESS = 10
"""How far a thread steps back: where it wants the event loop's core it gets a tenth of it."""


class ArgonPasswords:
    """The ``Passwords`` of ``core.ports``.

    Args:
        dice: Gives the salts.
        memory_kib: What one hash takes while it is made.
        passes: How often it goes over that memory.
        threads: How many are made at a time; no more than there are cores for this process.
        max_waiting: How many may wait for a thread; whoever comes then is refused at once.
    """

    def __init__(
        self,
        dice: Dice,
        *,
        memory_kib: int = MEMORY_KIB,
        passes: int = PASSES,
        threads: int = THREADS,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        """Hold the settings; threads start when they are needed."""
        self._memory_kib = memory_kib
        self._passes = passes
        self._dice = dice
        threads = min(threads, _usable_cores())
        self._pool = ThreadPoolExecutor(threads, "passwords", _step_back)
        self._places = BoundedSemaphore(threads + max_waiting)

    async def hash(self, password: Secret) -> str:
        """Hash a password as it shall be kept: in PHC form, over its NFC normalisation.

        Raises:
            Unavailable: Too many wait already (Reason.HASHING_BUSY).
        """
        return await self._on_a_thread(lambda: self._hash(password))

    async def check(self, password: Secret, verifier: str | None) -> bool:
        """Compare a password with a hash; with none, spend the same time and say no (PW-04).

        Raises:
            Unavailable: Too many wait already (Reason.HASHING_BUSY).
            Fault: The hash is damaged.
        """
        spellings = _spellings(password)
        if verifier is None:
            await self._on_a_thread(lambda: [self._hash_octets(each) for each in spellings])
            return False
        return await self._on_a_thread(lambda: _verify_any(spellings, verifier))

    async def hash_exactly(self, secret: Secret) -> str:
        """Hash a machine's secret as it shall be kept: not one octet of it is read otherwise (TE-05).

        Raises:
            Unavailable: Too many wait already (Reason.HASHING_BUSY).
        """
        octets = secret.sha256().hex().encode()
        return EXACT + await self._on_a_thread(lambda: self._hash_octets(octets))

    async def check_exactly(self, secret: Secret, verifier: str) -> bool:
        """Compare a machine's secret with a hash of ours or with one that was imported.

        Raises:
            Unavailable: Too many wait already (Reason.HASHING_BUSY).
            Fault: The hash is damaged.
        """
        if verifier.startswith(EXACT):
            spelling, kept = secret.sha256().hex().encode(), verifier.removeprefix(EXACT)
        else:
            spelling, kept = secret.reveal().encode("utf-8", "surrogatepass"), verifier
        return await self._on_a_thread(lambda: _verify_any([spelling], kept))

    def is_outdated(self, verifier: str) -> bool:
        """Tell whether a hash was made under weaker settings than today's."""
        from argon2 import Type, extract_parameters
        from argon2.exceptions import InvalidHashError

        try:
            made = extract_parameters(verifier.removeprefix(EXACT))
        except InvalidHashError:
            return True
        return (
            made.type is not Type.ID or made.memory_cost < self._memory_kib or made.time_cost < self._passes
        )

    def close(self) -> None:
        """Let the threads end; what still waits is given up."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _on_a_thread(self, work: Callable[[], Made]) -> Made:
        if not self._places.acquire(blocking=False):
            raise Unavailable(Reason.HASHING_BUSY)
        future = self._pool.submit(work)
        # Not when its caller has gone, but when it is done: until then the thread is taken.
        future.add_done_callback(lambda _done: self._places.release())
        return await asyncio.wrap_future(future)

    def _hash(self, password: Secret) -> str:
        return self._hash_octets(_spelt(password))

    def _hash_octets(self, octets: bytes) -> str:
        from argon2.low_level import Type, hash_secret

        salt = self._dice(_SALT_BYTES)
        return hash_secret(octets, salt, self._passes, self._memory_kib, _LANES, _HASH_BYTES, Type.ID).decode(
            "ascii"
        )


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _step_back() -> None:
    """Let others go first. Linux alone has priorities of threads: elsewhere the number may be a process's."""
    if sys.platform == "linux":
        with suppress(OSError):  # some sandboxes forbid it
            os.setpriority(os.PRIO_PROCESS, get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + _NICENESS)


def _verify_any(spellings: Sequence[bytes], verifier: str) -> bool:
    """Compare all spellings, none the less when one is right: how many there are is the caller's doing only.

    Raises:
        Fault: The hash is damaged.
    """
    try:
        verdicts = [verify_foreign(each, verifier) for each in spellings]
    except ValueError as error:
        raise Fault("a stored password hash cannot be read") from error
    return any(verdicts)


def _spelt(password: Secret) -> bytes:
    """Give the octets that are hashed: all of them, whatever they are; none of what is far too long."""
    typed = password.reveal()
    if len(typed) > _LONGEST_SPELLING:
        return _NEVER_SET
    return normal_form(typed).encode("utf-8", "surrogatepass")


def _spellings(password: Secret) -> Sequence[bytes]:
    """Give what may have been hashed: the normal form, and where it differs what was typed.

    Whoever hashed an imported password may have known no normal form. What is hashed here has only that.
    """
    normal = _spelt(password)
    typed = normal if normal is _NEVER_SET else password.reveal().encode("utf-8", "surrogatepass")
    return [normal] if typed == normal else [normal, typed]
