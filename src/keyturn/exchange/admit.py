"""Step 1: take the request's place in the limits.

The address takes its place before anything is checked. A client, a user and their organisation take theirs
once they are proven: a client id or a name is no secret, so whoever counted requests before that would let
strangers use up somebody's limit, and would tell them by a 429 that it exists (TN-04, TE-09). Guessing a
machine's secret of 256 bits needs no limit of its own; what people remember has the lockout.
"""

from collections.abc import Coroutine, Sequence
from contextvars import ContextVar
from typing import Any

from keyturn.core.addresses import subscriber
from keyturn.core.errors import Concern, SlowDown
from keyturn.core.limits import Taken
from keyturn.core.ports import Limits
from keyturn.core.requests import Origin, Proof
from keyturn.core.vocabulary import OwnerKind, Reason

TAKEN: ContextVar[Taken | None] = ContextVar("taken", default=None)
"""What the tightest limit said of the request that this task serves, for the desk to tell with whatever
answer leaves: a refusal after this step should say it too, and has no other way to bring it along."""


def admit(origin: Origin, limits: Limits, monotonic: float) -> Coroutine[Any, Any, None]:
    """Take one place for the caller's address.

    Raises:
        SlowDown: Its limit is reached.
        Unavailable: The counters that decide cannot be reached.
    """
    return _take(["address:" + subscriber(origin.address)], None, limits, monotonic)


def admit_client(proof: Proof, limits: Limits, monotonic: float) -> Coroutine[Any, Any, None]:
    """Take one place for a proven client and for its organisation, or for neither.

    Raises:
        SlowDown: A limit of theirs is reached.
        Unavailable: The counters that decide cannot be reached.
    """
    client = proof.client
    keys = ["client:" + client.id, "organisation:" + client.organisation_id]
    return _take(keys, Concern(client.organisation_id, client.id), limits, monotonic)


def admit_holder(proof: Proof, limits: Limits, monotonic: float) -> Coroutine[Any, Any, None]:
    """Take one place for a proven user, entity or service account.

    The organisation's is taken with it, unless the client that asked took that before.

    Raises:
        SlowDown: A limit of theirs is reached.
        Unavailable: The counters that decide cannot be reached.
    """
    about = proof.about
    shared = proof.client.built_in or proof.holder is None
    organisation = ["organisation:" + proof.organisation.id] if shared else []
    return _take([_counter(about), *organisation], about, limits, monotonic)


def admit_bearer(caller: Concern, limits: Limits, monotonic: float) -> Coroutine[Any, Any, None]:
    """Take one place for whoever came in with a token, and for their organisation, or for neither.

    Raises:
        SlowDown: A limit of theirs is reached.
        Unavailable: The counters that decide cannot be reached.
    """
    organisation = [] if caller.organisation_id is None else ["organisation:" + caller.organisation_id]
    return _take([_counter(caller), *organisation], caller, limits, monotonic)


def _counter(caller: Concern) -> str:
    """Name the counter of a client or an admin token, or of a user or an entity, which counts as a user."""
    kind = "user" if caller.kind in (OwnerKind.USER, OwnerKind.ENTITY) else "client"
    return f"{kind}:{caller.subject}"


async def _take(keys: Sequence[str], about: Concern | None, limits: Limits, monotonic: float) -> None:
    taken = limits.take(keys, monotonic)
    if not isinstance(taken, Taken):
        taken = await taken
    before = TAKEN.get()
    if before is None or not taken.admitted or taken.remaining < before.remaining:
        TAKEN.set(taken)
    if not taken.admitted:
        raise SlowDown(Reason.RATE_LIMIT, retry_after=taken.retry_after, about=about)
