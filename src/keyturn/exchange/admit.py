"""Step 1: take the request's place in the limits, before anything is checked."""

from contextvars import ContextVar

from keyturn.core.addresses import subscriber
from keyturn.core.errors import Concern, SlowDown
from keyturn.core.limits import Taken
from keyturn.core.ports import Limits
from keyturn.core.requests import Admission, Located, Origin
from keyturn.core.vocabulary import Reason

TAKEN: ContextVar[Taken | None] = ContextVar("taken", default=None)
"""What the limits said of the request that this task serves, for the desk to tell with whatever answer
leaves: a refusal after this step should say it too, and has no other way to bring it along."""


async def admit(origin: Origin, located: Located, limits: Limits, monotonic: float) -> Admission:
    """Take one place for the address, and for the client and its organisation where they are known.

    Raises:
        SlowDown: A limit is reached; no place was taken anywhere.
        Unavailable: The counters that decide cannot be reached.
    """
    keys = ["address:" + subscriber(origin.address)]
    about = None
    if located.view is not None:
        client = located.view.client
        keys += ["client:" + client.id, "organisation:" + client.organisation_id]
        about = Concern(client.organisation_id, client.id)
    taken = limits.take(keys, monotonic)
    if not isinstance(taken, Taken):
        taken = await taken
    TAKEN.set(taken)
    if not taken.admitted:
        raise SlowDown(Reason.RATE_LIMIT, retry_after=taken.retry_after, about=about)
    return Admission(tuple(keys))
