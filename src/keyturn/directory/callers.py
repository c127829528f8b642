"""Callers: what somebody who came in with a token may read of themselves, and of where the token is good.

Nothing is read for it: the Actor was made of what is so now.
"""

from collections.abc import Sequence

import msgspec

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


class OrganisationPage(msgspec.Struct, frozen=True):
    """Some of the organisations that a caller may act in, and how many there are in all."""

    organisations: Sequence[Organisation]
    total: int
    last: bool


def own_organisations(
    actor: Actor,
    *,
    name: str | None = None,
    descending: bool = False,
    offset: int = 0,
    limit: int | None = None,
) -> OrganisationPage:
    """List the organisations that a caller may act in, sorted by name; a caller that is no user has one.

    Args:
        name: Only those of that name, in any letter case.
    """
    wanted = None if name is None else name.casefold()
    places = actor.places or (own_organisation(actor),)
    found = [each for each in places if wanted in (None, each.name.casefold())]
    found.sort(key=lambda each: (each.name.casefold(), each.id), reverse=descending)
    end = len(found) if limit is None else offset + limit
    return OrganisationPage(found[offset:end], len(found), end >= len(found))
