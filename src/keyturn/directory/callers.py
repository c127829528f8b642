"""Callers: what somebody who came in with a token may read of themselves, and of where the token is good.

Nothing is read for it: the Actor was made of what is so now.
"""

from keyturn.core.actors import Actor
from keyturn.core.errors import Fault, NotFound
from keyturn.core.records import Organisation
from keyturn.core.vocabulary import Reason


def own_organisation(actor: Actor, alias: str | None = None) -> Organisation:
    """Give the organisation that a caller's token is for.

    Args:
        alias: The UUID or API key by which the call names it; None where it names none.

    Raises:
        NotFound: The call names another one: to this caller there is none by that name (TN-02).
    """
    organisation = actor.organisation
    if organisation is None:
        raise Fault("a caller without a token")
    if alias not in {None, organisation.id, organisation.api_key}:
        raise NotFound(Reason.NOT_VISIBLE, "no such organisation")
    return organisation
