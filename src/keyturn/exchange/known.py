"""Secrets that name themselves and were proved before: what they proved, while nothing of it has changed.

A machine shows the same token all day. Whose it is and where it is good follow from its owner's view alone;
a record that changed makes another view, and what was found in the old one is not found again. What time
changes is looked at each time, and so are the limits.
"""

from datetime import datetime

import msgspec

from keyturn.core.life import Standing
from keyturn.core.ports import Registry
from keyturn.core.requests import LocatedHolder, Proof, TokenRequest
from keyturn.core.views import ClientView, UserView
from keyturn.core.vocabulary import OwnerName
from keyturn.exchange.credentials import credential_objection

KNOWN_KEPT = 4096
"""How many are kept; one more forgets the oldest."""

_Words = tuple[object, ...]


class _Known(msgspec.Struct, frozen=True):
    """What a secret proved, and the view of its owner in which it was found."""

    view: ClientView | UserView
    proof: Proof


class KnownHolders:
    """What was proved by secrets that name themselves, to the built-in clients of their contracts."""

    def __init__(self) -> None:
        """Know none."""
        self._kept: dict[_Words, _Known] = {}

    async def recall(self, request: TokenRequest, registry: Registry, now: datetime) -> Proof | None:
        """Give what a request's secret proves, if it proved that before; None to find out anew."""
        known = self._kept.get(_words(request)) if _is_plain(request) else None
        if known is None:
            return None
        then = known.view
        if isinstance(then, ClientView):
            view: ClientView | UserView | None = await registry.find_client(then.client.id)
        else:
            view = await registry.find_user(then.user.id)
        held, organisation = known.proof.credential, known.proof.organisation
        if view is not then or held is None or held.life.standing(now) is not Standing.GOOD:
            return None
        objection = credential_objection(request.origin.dialect, held, organisation, now)
        return known.proof if objection is None else None

    def keep(self, request: TokenRequest, located: LocatedHolder, proof: Proof) -> None:
        """Keep what a secret proved, unless more than itself had to do with that."""
        view = located.view
        if not _is_plain(request) or proof.spends or proof.notices:
            return
        if isinstance(view, ClientView | UserView):
            if len(self._kept) >= KNOWN_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[_words(request)] = _Known(view, proof)


def _is_plain(request: TokenRequest) -> bool:
    """Tell whether a request is a secret that names itself, and nothing that says where or adds a proof."""
    return (
        request.credential.named is OwnerName.SECRET
        and request.client_table is not None
        and request.passcode is None
        and request.organisation is None
        and request.organisation_alias is None
    )


def _words(request: TokenRequest) -> _Words:
    shown, origin = request.credential, request.origin
    return shown.secret.sha256(), shown.kind, request.grant_type, origin.dialect, origin.route
