"""Slow hashing of passwords: argon2id (RFC 9106) on a few threads of its own, with few who may wait for them.

argon2-cffi lets go of the interpreter while it hashes, so tokens go on being issued meanwhile, and the number
of threads bounds the cores it takes (PW-02, RE-10). Nothing is imported and no thread started before the
first password.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import TypeVar

from keyturn.core.errors import Fault, Unavailable
from keyturn.core.password_rules import MAX_LENGTH, normal_form
from keyturn.core.secret import Dice, Secret
from keyturn.core.vocabulary import Reason

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


class ArgonPasswords:
    """The ``Passwords`` of ``core.ports``.

    Args:
        dice: Gives the salts.
        memory_kib: What one hash takes while it is made.
        passes: How often it goes over that memory.
        threads: How many are made at a time.
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
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="passwords")
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
        if verifier is None:
            await self._on_a_thread(lambda: self._hash(password))
            return False
        return await self._on_a_thread(lambda: self._verify(password, verifier))

    def is_outdated(self, verifier: str) -> bool:
        """Tell whether a hash was made under weaker settings than today's."""
        from argon2 import Type, extract_parameters
        from argon2.exceptions import InvalidHashError

        try:
            made = extract_parameters(verifier)
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
        from argon2.low_level import Type, hash_secret

        salt = self._dice(_SALT_BYTES)
        return hash_secret(
            _spelt(password), salt, self._passes, self._memory_kib, _LANES, _HASH_BYTES, Type.ID
        ).decode("ascii")

    def _verify(self, password: Secret, verifier: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
        from argon2.low_level import Type, verify_secret

        try:
            return verify_secret(verifier.encode(), _spelt(password), Type.ID)
        except VerifyMismatchError:
            return False
        except (VerificationError, InvalidHashError) as error:
            raise Fault("a stored password hash cannot be read") from error


def _spelt(password: Secret) -> bytes:
    """Give the octets that are hashed: all of them, whatever they are; none of what is far too long."""
    typed = password.reveal()
    if len(typed) > _LONGEST_SPELLING:
        return _NEVER_SET
    return normal_form(typed).encode("utf-8", "surrogatepass")
