"""An open PKCS#11 token: a few sessions, each on its thread, and how it comes back after it was away (HT-09).

    away ──► one tries at most once a second: initialise anew, log in ──► there
    there ── an answer that says the token or a session is gone ──► away

Whoever asks while it is away is refused at once. A wrong PIN is tried once: a token locks after a few.
"""

import asyncio
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from keyturn.core.clock import Clock
from keyturn.core.errors import ConfigError, Fault, Unavailable
from keyturn.core.secret import Secret
from keyturn.core.vocabulary import Reason
from keyturn.keys.pkcs11_library import initialise

Made = TypeVar("Made")

RETRY_SECONDS = 1.0
ANSWER_SECONDS = 5.0
"""How long a caller waits for a signature."""
MAX_WAITING = 256
"""How many may wait for a session; whoever comes then is refused at once."""
KEYS_KEPT = 2_000
"""Key handles that a session keeps; finding one costs a call or two."""

_ABOUT_THE_REQUEST = frozenset(
    {
        "AttributeReadOnly",
        "AttributeTypeInvalid",
        "AttributeValueInvalid",
        "DataInvalid",
        "DataLenRange",
        "DomainParamsInvalid",
        "FunctionNotSupported",
        "KeySizeRange",
        "KeyTypeInconsistent",
        "MechanismInvalid",
        "MechanismParamInvalid",
        "TemplateIncomplete",
        "TemplateInconsistent",
    }
)
"""Errors of a token that is well: it cannot do what was asked of it, and opening it anew changes nothing."""

log = logging.getLogger("keyturn.keys")


class Session:
    """One session and the handles of the keys it has found; used by one thread at a time."""

    def __init__(self, raw: Any) -> None:
        """Know no key yet."""
        self.raw = raw
        self._keys: OrderedDict[bytes, Any] = OrderedDict()

    def private_key(self, object_id: bytes) -> Any:
        """Find a private key by its object's id."""
        from pkcs11 import ObjectClass

        key = self._keys.get(object_id)
        if key is None:
            key = self._keys[object_id] = self.raw.get_key(ObjectClass.PRIVATE_KEY, id=object_id)
            if len(self._keys) > KEYS_KEPT:
                self._keys.popitem(last=False)
        return key

    def has_keys(self) -> bool:
        """Tell whether any private key is there."""
        from pkcs11 import Attribute, ObjectClass

        found = self.raw.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY})
        try:
            return next(iter(found), None) is not None
        finally:
            del found  # ends the search


class Token:
    """A token by its label.

    Args:
        module: The shared library of its vendor.
        label: The token's.
        pin: The user's; None where it was not given, and then no key can be used.
        sessions: How many signatures are made at a time.
        clock: Says when it is tried again.

    Raises:
        ConfigError: There is no such library, or ``keyturn[pkcs11]`` is not installed.
    """

    def __init__(self, module: Path, label: str, pin: Secret | None, sessions: int, clock: Clock) -> None:
        """Open nothing yet: a token that is away now may be there later."""
        try:
            import pkcs11  # noqa: F401  # only to see that it is there
        except ImportError:
            raise ConfigError(["pkcs11.module: install keyturn[pkcs11]"]) from None
        if not module.is_file():
            raise ConfigError([f"pkcs11.module: {module}: no such file"])
        self._module = module
        self._label = label
        self._pin = pin
        self._clock = clock
        self._pool = ThreadPoolExecutor(sessions, thread_name_prefix="pkcs11")
        self._places = threading.BoundedSemaphore(sessions + MAX_WAITING)
        self._lock = threading.Condition()
        self._free: list[Session] = []
        self._at_work = 0
        self._there = False
        self._mending = False
        self._pin_refused = False
        self._lacking_told = False
        self._was_there: bool | None = None
        self._next_try = clock.monotonic()
        self._token: Any = None

    async def elsewhere(self, work: Callable[[], Made]) -> Made:
        """Run work that asks the token, on a thread of its own.

        Raises:
            Unavailable: It does not answer (in time), or too many wait already (Reason.KEY_UNAVAILABLE).
        """
        if not self._places.acquire(blocking=False):
            raise Unavailable(Reason.KEY_UNAVAILABLE)
        future = self._pool.submit(work)
        # Not when its caller has gone, but when it is done: until then the thread is taken.
        future.add_done_callback(lambda _done: self._places.release())
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise Unavailable(Reason.KEY_UNAVAILABLE) from None

    def call(self, work: Callable[[Session], Made]) -> Made:
        """Do something with a session, on the thread that asks.

        Raises:
            Unavailable: The token does not answer, or does not have what is asked for.
        """
        from pkcs11.exceptions import NoSuchKey, PKCS11Error

        self._require_there()
        session = None
        try:
            session = self._take()
            try:
                return work(session)
            except NoSuchKey as error:
                if not session.has_keys():
                    raise
                # The token is well and lacks one key: no reason to disturb the others.
                self._tell_lacking()
                raise Unavailable(Reason.KEY_UNAVAILABLE) from error
        except PKCS11Error as error:
            if type(error).__name__ in _ABOUT_THE_REQUEST:
                raise Fault(f"the PKCS#11 token cannot do that: {type(error).__name__}") from error
            self._away(error)
            raise Unavailable(Reason.KEY_UNAVAILABLE) from error
        finally:
            self._give_back(session)

    def close(self) -> None:
        """Let the threads end; what still waits is given up."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _require_there(self) -> None:
        """Begin to work with the token, bringing it back first if it is time to try.

        Raises:
            Unavailable: It is away.
        """
        with self._lock:
            self._lock.wait_for(lambda: not self._mending, ANSWER_SECONDS)
            if self._there:
                self._at_work += 1
                return
            # Initialising anew under somebody who still waits for an answer is not allowed.
            waits = self._mending or self._at_work or self._clock.monotonic() < self._next_try
            if waits or self._pin_refused:
                raise Unavailable(Reason.KEY_UNAVAILABLE)
            self._mending = True
        try:
            self._open()
        finally:
            with self._lock:
                self._mending = False
                self._next_try = self._clock.monotonic() + RETRY_SECONDS
                self._at_work += self._there
                self._lock.notify_all()
        if not self._there:
            raise Unavailable(Reason.KEY_UNAVAILABLE)

    def _open(self) -> None:
        import pkcs11
        from pkcs11.exceptions import PinIncorrect, PinInvalid, PinLocked, PKCS11Error

        if self._pin is None:
            self._pin_refused = True
            log.error("the PKCS#11 token %s needs a PIN: pkcs11.pin or pkcs11.pin_file", self._label)
            return
        try:
            library = pkcs11.lib(str(self._module))
            initialise(self._module)
            self._token = library.get_token(token_label=self._label)
            first = self._token.open(rw=True, user_pin=self._pin.reveal())
        except (PinIncorrect, PinInvalid, PinLocked) as error:
            self._pin_refused = True
            log.error(  # noqa: TRY400  # the kind says all
                "the PKCS#11 token %s refuses the PIN (%s): it is not tried again before a restart,"
                " because tries lock the token",
                self._label,
                type(error).__name__,
            )
            return
        except (PKCS11Error, RuntimeError, OSError) as error:
            self._told(error)
            return
        with self._lock:
            self._free = [Session(first)]
            self._there = True
        if self._was_there is False:
            log.warning("the PKCS#11 token %s answers again", self._label)
        self._was_there = True

    def _take(self) -> Session:
        with self._lock:
            if self._free:
                return self._free.pop()
        # The login holds for all sessions of the process, so only the first gives the PIN.
        return Session(self._token.open(rw=True))

    def _give_back(self, session: Session | None) -> None:
        with self._lock:
            self._at_work -= 1
            if self._there and session is not None:
                self._free.append(session)

    def _tell_lacking(self) -> None:
        if not self._lacking_told:
            self._lacking_told = True
            log.error("the PKCS#11 token %s lacks a key that a ring has", self._label)

    def _away(self, error: Exception) -> None:
        with self._lock:
            self._there = False
            self._free = []
        self._told(error)

    def _told(self, error: Exception) -> None:
        """Tell once that it is away: callers must not be able to fill the log."""
        if self._was_there is not False:
            log.error("the PKCS#11 token %s does not answer: %s", self._label, type(error).__name__)
        self._was_there = False
