"""Step 1: take the request's place in the limits, before anything is checked."""

from math import ceil

from keyturn.core.errors import Concern, SlowDown
from keyturn.core.ports import Limits
from keyturn.core.requests import Admission, Located, Origin
from keyturn.core.vocabulary import Reason


def admit(origin: Origin, located: Located, limits: Limits, monotonic: float) -> Admission:
    """Take one place for the address, and for the client and its organisation where they are known.

    Raises:
        SlowDown: A limit is reached; no place was taken anywhere.
    """
    keys = ["address:" + origin.address]
    about = None
    if located.view is not None:
        client = located.view.client
        keys += ["client:" + client.id, "organisation:" + client.organisation_id]
        about = Concern(client.organisation_id, client.id)
    wait = limits.take(keys, monotonic)
    if wait is not None:
        raise SlowDown(Reason.RATE_LIMIT, retry_after=max(1, ceil(wait)), about=about)
    return Admission(tuple(keys))
